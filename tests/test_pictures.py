"""The shipped pictures: what they are, and that their script and README agree with them."""

import sys
from pathlib import Path

import numpy as np
import pytest
from examples import loaded
from PIL import Image

from frugal import images, metrics


@pytest.fixture(scope="module")
def script():
    return loaded(images.SHIPPED / "make_pictures.py")


@pytest.mark.parametrize("name, count", [("faces", 20), ("out_of_distribution", 8)])
def test_shipped_set(name, count):
    x = images.shipped(name)
    assert x.shape == (count, 3, 64, 64)
    assert x.min() >= -1 and x.max() <= 1
    assert (x.flatten(1).std(dim=1) > 0.1).all(), "a picture is blank"
    assert len({picture.numpy().tobytes() for picture in x}) == count, "a picture is there twice"


@pytest.mark.parametrize("name", images.SHIPPED_SETS)
def test_readme_lists_every_picture(name):
    readme = (images.SHIPPED / "README.md").read_text(encoding="utf-8")
    for path in images.find(images.SHIPPED / name):
        assert f"`{path.name}`" in readme, f"README.md does not say where {path.name} comes from"


def test_script_makes_the_shipped_files(script):
    faces = [path.stem for path in images.find(images.SHIPPED / "faces")]
    others = [path.stem for path in images.find(images.SHIPPED / "out_of_distribution")]
    assert faces == [f"{seed:02d}" for seed in script.SHIPPED_SEEDS]
    assert others == sorted(script.OUT_OF_DISTRIBUTION)


def test_readme_states_each_truncation(script):
    readme = (images.SHIPPED / "README.md").read_text(encoding="utf-8")
    for seed in script.SHIPPED_SEEDS:
        assert f"| `{seed:02d}.png` | {script.latent(seed)[1]:.4f} |" in readme


def test_training_seeds_are_not_shipped(script):
    assert max(script.SHIPPED_SEEDS) < script.TRAINING_SEED
    assert script.MEAN_SEED not in script.SHIPPED_SEEDS


def test_training_faces_resume(script, tmp_path, monkeypatch):
    monkeypatch.setattr(script, "SHARD", 2)
    drawn = []

    def generator(halved):
        def draw(seed):
            drawn.append(seed)
            if len(drawn) == 4:
                raise KeyboardInterrupt
            return Image.new("RGB", (512, 512), (seed - script.TRAINING_SEED, 0, 0))

        return draw

    monkeypatch.setattr(script, "generator", generator)
    with pytest.raises(KeyboardInterrupt):
        script.write_training(5, tmp_path / "faces.npy")
    assert not (tmp_path / "faces.npy").exists()
    script.write_training(5, tmp_path / "faces.npy")
    faces = np.load(tmp_path / "faces.npy")
    assert faces.shape == (5, 64, 64, 3) and faces.dtype == np.uint8
    assert faces[:, 0, 0, 0].tolist() == [0, 1, 2, 3, 4]
    assert [seed - script.TRAINING_SEED for seed in drawn] == [0, 1, 2, 3, 2, 3, 4]
    assert [path.name for path in tmp_path.iterdir()] == ["faces.npy"]


def test_a_picture_is_written_whole_or_stays_as_it_was(script, tmp_path):
    def half(file):
        file.write(b"half")
        raise KeyboardInterrupt

    (tmp_path / "a.png").write_bytes(b"before")
    with pytest.raises(KeyboardInterrupt):
        script.write(tmp_path / "a.png", half)
    assert (tmp_path / "a.png").read_bytes() == b"before"


@pytest.mark.parametrize("name, size", [("out_of_distribution", 64), ("out_of_distribution_256", 256)])
def test_out_of_distribution_can_be_made_again(script, tmp_path, monkeypatch, name, size):
    pytest.importorskip("skimage")
    monkeypatch.setattr(script, "HERE", tmp_path)
    script.write_out_of_distribution()
    for path in images.find(images.SHIPPED / name):
        assert (images.load(tmp_path / name / path.name, size) - images.load(path, size)).abs().max() < 0.02


@pytest.mark.parametrize(
    "arguments",
    [
        ["--training", "0", "--out", "faces.npy"],
        ["--training", "-3", "--out", "faces.npy"],
        ["--training", "5"],
        ["--out", "faces.npy"],
        ["--training", "5", "--out", "faces.png"],
        ["--training", "5", "--out", "nowhere/faces.npy"],
    ],
)
def test_script_refuses(script, arguments, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["make_pictures.py", *arguments])
    with pytest.raises(SystemExit, match="2"):
        script.arguments()
    assert "error: --" in capsys.readouterr().err and not list(tmp_path.iterdir())


def test_packed_pictures_have_the_frame_and_the_size_and_a_name_counts_once(tmp_path):
    packer, (photo, *_) = (
        loaded(images.SHIPPED / "pack_pictures.py"),
        images.find(images.SHIPPED / "faces_256"),
    )
    sharp, soft = tmp_path / "sharp", tmp_path / "soft"
    for folder, names in ((sharp, "a"), (soft, "ab")):
        folder.mkdir()
        for name in names:
            (folder / f"{name}.png").write_bytes(photo.read_bytes())
    for _ in range(2):
        packer.pack([(sharp, 200), (soft, 100)], 128, tmp_path / "packed")
    assert [path.name for path in images.find(tmp_path / "packed" / "soft")] == ["b.webp"]
    (packed,) = images.find(tmp_path / "packed" / "sharp")
    assert metrics.psnr(images.load(packed, 128)[None], images.load(photo, 128, 200)[None]) > 35
    assert packer.source("CELEBA/val:140") == (Path("CELEBA/val"), 140)
