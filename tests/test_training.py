"""The trainer: what it writes, that it goes on after a kill, what it learns to predict, and bad input."""

import json
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers import DDIMPipeline, DDIMScheduler, DDPMScheduler, UNet2DModel
from diffusers.models.unets.unet_2d import UNet2DOutput
from PIL import Image
from safetensors import safe_open
from safetensors.torch import save_file

from frugal import RestorationPipeline, cli, training
from frugal.base.checks import Refusal
from frugal.training import objective
from frugal.training.data import digest, read_pictures
from frugal.training.loop import learning_rate
from frugal.training.run import Run

SMALL = {"size": 16, "channels": (32, 32), "batch_size": 4, "lr": 1e-3, "steps": 6, "every": 2}


@pytest.fixture(scope="module")
def faces(tmp_path_factory):
    """Twelve 16 x 16 pictures: a bright disc somewhere on a ramp."""
    folder = tmp_path_factory.mktemp("faces")
    y, x = np.mgrid[:16, :16]
    for i in range(12):
        disc = ((x - i) ** 2 + (y - 8) ** 2 < 16) * 120
        Image.fromarray(np.stack([disc + 8 * x, disc + 8 * y, disc], -1).astype(np.uint8)).save(
            folder / f"{i:02d}.png"
        )
    return folder


@pytest.fixture(scope="module")
def trained(faces, tmp_path_factory):
    return training.train([faces], tmp_path_factory.mktemp("run"), **SMALL)


def curve(folder):
    """The curve without its wall times."""
    lines = map(json.loads, (folder / "curve.jsonl").read_text().splitlines())
    return [{name: value for name, value in line.items() if name != "seconds"} for line in lines]


def test_the_folder_loads_with_from_pretrained_and_holds_nothing_pickled(trained):
    unet = UNet2DModel.from_pretrained(trained, subfolder="unet", use_safetensors=True)
    scheduler = DDPMScheduler.from_pretrained(trained, subfolder="scheduler")
    pipe = RestorationPipeline.from_pretrained(str(trained))
    assert unet.config.sample_size == 16 and scheduler.config.prediction_type == "v_prediction"
    assert all(torch.equal(a, b) for a, b in zip(unet.parameters(), pipe.unet.parameters()))
    assert {path.suffix for path in trained.rglob("*") if path.is_file()} == {
        ".json",
        ".jsonl",
        ".png",
        ".safetensors",
    }


def test_the_curve_has_a_line_for_each_validation_at_each_noise_level(trained):
    lines = curve(trained)
    assert [(line["step"], line["pictures"]) for line in lines] == [(2, 8), (4, 16), (6, 24)]
    assert all(list(map(int, line["validation"])) == list(objective.NOISE_LEVELS) for line in lines)
    assert sorted(path.name for path in (trained / "samples").iterdir()) == [
        "0000002.png",
        "0000004.png",
        "0000006.png",
    ]


KILLED = """
import os, signal, sys
from frugal import training
from frugal.training import loop
from frugal.training.run import Run
loop.SAVE_SECONDS = 0
count = Run.advance
def advance(run, **step):
    count(run, **step)
    if run.progress.step == 4:
        os.kill(os.getpid(), signal.SIGKILL)
Run.advance = advance
training.train([sys.argv[1]], sys.argv[2], size=16, channels=(32, 32), batch_size=4, lr=1e-3, steps=6, every=2)
"""


def test_a_run_killed_between_validations_goes_on_with_the_same_curve(faces, trained, tmp_path):
    killed = subprocess.run([sys.executable, "-c", KILLED, faces, tmp_path], capture_output=True)
    assert killed.returncode == -signal.SIGKILL, killed.stderr.decode()
    assert [line["step"] for line in curve(tmp_path)] == [2]
    training.train([faces], tmp_path, **SMALL)
    assert curve(tmp_path) == curve(trained)
    weights = [
        UNet2DModel.from_pretrained(folder, subfolder="unet").state_dict() for folder in (tmp_path, trained)
    ]
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])


def test_lines_of_the_curve_after_the_last_saved_state_are_written_again(
    faces, trained, tmp_path, monkeypatch
):
    monkeypatch.setattr(Run, "save", lambda run: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        training.train([faces], tmp_path, **SMALL)
    monkeypatch.undo()
    assert len(curve(tmp_path)) == 1
    training.train([faces], tmp_path, **SMALL)
    assert curve(tmp_path) == curve(trained)


def test_training_goes_on_from_the_weights_alone(faces, trained, tmp_path):
    out = training.train([faces], tmp_path, init=str(trained), **{**SMALL, "steps": 1, "lr": 1e-9})
    before, after = (UNet2DModel.from_pretrained(folder, subfolder="unet") for folder in (trained, out))
    rounding = 1e-3  # of 16 bits, relative
    assert all(torch.allclose(a, b, rounding) for a, b in zip(before.parameters(), after.parameters()))


def test_weights_are_stored_with_16_bits_and_computed_with_in_32(trained):
    with safe_open(trained / "unet" / "diffusion_pytorch_model.safetensors", "pt") as file:
        assert {file.get_tensor(name).dtype for name in file.keys()} == {torch.float16}
    assert RestorationPipeline.from_pretrained(str(trained)).unet.dtype == torch.float32


@pytest.mark.parametrize("kind", ["epsilon", "v_prediction", "sample"])
def test_the_validation_loss_of_the_perfect_predictor_is_0_and_that_of_the_zero_image_known(kind):
    pixels = torch.randint(256, (5, 3, 8, 8), dtype=torch.uint8)
    x0 = pixels.float() / 127.5 - 1
    scheduler = DDPMScheduler(1000, prediction_type=kind)

    def predictor(guess):
        def predict(x_t, t):
            a = scheduler.alphas_cumprod[t[0]]
            eps = (x_t - a.sqrt() * guess) / (1 - a).sqrt()
            return UNet2DOutput(objective.target(scheduler, guess, eps, t))

        return predict

    assert max(objective.validation_loss(predictor(x0), scheduler, pixels).values()) < 1e-6
    for t, loss in objective.validation_loss(predictor(torch.zeros_like(x0)), scheduler, pixels).items():
        a = scheduler.alphas_cumprod[t]
        assert loss == pytest.approx((a / (1 - a) * x0.square().mean()).item(), rel=1e-3)


def test_batches_are_drawn_by_seed_with_evenly_spread_noise_levels():
    pixels = torch.arange(4, dtype=torch.uint8)[:, None, None, None].expand(4, 3, 2, 2)
    shares = objective.level_shares(DDPMScheduler(1000))
    draws = [objective.draw_batch(pixels, 8, torch.Generator().manual_seed(5), shares) for _ in range(2)]
    assert all(torch.equal(a, b) for a, b in zip(*draws))
    x0, eps, t = draws[0]
    assert x0.shape == eps.shape == (8, 3, 2, 2) and x0.min() >= -1 and x0.max() <= 1
    assert ((t.sort().values.diff() - 125).abs() <= 1).all()


@pytest.mark.parametrize("kind", ["epsilon", "sample", "v_prediction"])
def test_noise_levels_are_drawn_as_often_as_min_snr_weighs_them(kind):
    scheduler = DDPMScheduler(1000, prediction_type=kind)
    alpha_bar = scheduler.alphas_cumprod
    # Hang et al. (2023): the squared error of x_0 is weighed by min(SNR, gamma), whatever is predicted;
    # Eq. a3 turns it into the error of the target.
    of_x0 = {"epsilon": (1 - alpha_bar) / alpha_bar, "sample": 1, "v_prediction": 1 - alpha_bar}[kind]
    weight = (alpha_bar / (1 - alpha_bar)).clamp(max=5) * of_x0
    pixels = torch.zeros(1, 3, 1, 1, dtype=torch.uint8)
    shares = objective.level_shares(scheduler, 5)
    *_, t = objective.draw_batch(pixels, 100_000, torch.Generator().manual_seed(0), shares)
    drawn = torch.bincount(t, minlength=1000) / len(t)
    torch.testing.assert_close(drawn, weight / weight.sum(), atol=2e-5, rtol=0)


def test_the_learning_rate_rises_stays_and_falls():
    rates = [learning_rate(step, 1.0, 10_000, 0.2) for step in (0, 499, 7_999, 9_000, 9_999)]
    assert rates == pytest.approx([1 / 500, 1, 1, 0.5, 1 / 2000])
    assert learning_rate(9_999, 1.0, 10_000, 0) == 1


def test_a_corrupt_picture_is_named_skipped_and_counted(faces, tmp_path, capsys):
    for path in list(faces.iterdir())[:3]:
        (tmp_path / path.name).write_bytes(path.read_bytes())
    (tmp_path / "cut.png").write_bytes(next(faces.iterdir()).read_bytes()[:60])
    assert read_pictures([tmp_path], 16).shape == (3, 3, 16, 16)
    said = capsys.readouterr().err
    assert "cut.png" in said and "1 of 4 pictures" in said


def test_arrays_and_folders_may_be_mixed(faces, tmp_path):
    np.save(tmp_path / "more.npy", np.zeros((2, 16, 16, 3), np.uint8))
    assert read_pictures([faces, tmp_path / "more.npy"], 16).shape == (14, 3, 16, 16)


def test_more_pictures_than_memory_are_one_sentence(faces, monkeypatch):
    def full(arrays):
        raise MemoryError

    monkeypatch.setattr(np, "concatenate", full)
    with pytest.raises(Refusal, match="^images: the pictures do not fit into memory"):
        read_pictures([faces], 16)


def array(path, value):
    np.save(path, value, allow_pickle=True)
    return path


def claiming(path, count):
    """A .npy file of two pictures whose header claims ``count``."""
    np.save(path, np.zeros((2, 16, 16, 3), np.uint8))
    whole = path.read_bytes()
    header, claim = b"(2, 16, 16, 3), }", b"(%d, 16, 16, 3), }" % count
    assert header in whole
    path.write_bytes(whole.replace(header + b" " * (len(claim) - len(header)), claim, 1))
    return path


@pytest.mark.parametrize(
    "source, names",
    [
        (lambda tmp, faces: array(tmp / "floats.npy", np.zeros((2, 16, 16, 3))), "float64"),
        (lambda tmp, faces: array(tmp / "wide.npy", np.zeros((2, 8, 8, 3), np.uint8)), "uint8"),
        (lambda tmp, faces: claiming(tmp / "empty.npy", 0), "uint8"),
        (lambda tmp, faces: claiming(tmp / "greedy.npy", 10**12), "cannot be read"),
        (lambda tmp, faces: claiming(tmp / "absurd.npy", 10**30), "cannot be read"),
    ],
)
def test_pictures_that_cannot_be_used_are_refused(source, names, faces, tmp_path):
    with pytest.raises(Refusal, match=names):
        training.train([source(tmp_path, faces)], tmp_path / "out", **SMALL)
    assert not (tmp_path / "out").exists()


def test_a_folder_without_a_readable_picture_is_refused(tmp_path):
    (tmp_path / "cut.png").write_bytes(b"\x89PNG")
    with pytest.raises(Refusal, match="can be read"):
        read_pictures([tmp_path], 16)


def test_the_state_of_another_network_is_refused(faces, trained):
    with pytest.raises(Refusal, match="another network"):
        training.train([faces], trained, **{**SMALL, "channels": (32, 64)})


@pytest.fixture
def copy(trained, tmp_path):
    """A copy of the finished run, to be harmed."""
    return shutil.copytree(trained, tmp_path / "copy")


def rewrite(folder, tensors=lambda tensors: tensors, **metadata):
    """Write the state of a run again with other tensors or metadata."""
    state = folder / "state.safetensors"
    with safe_open(state, "pt") as file:
        content, kept = {name: file.get_tensor(name) for name in file.keys()}, file.metadata()
    kept = {name: value for name, value in {**kept, **metadata}.items() if value is not None}
    save_file(tensors(content), state, kept)


def without(prefix):
    return lambda tensors: {name: value for name, value in tensors.items() if not name.startswith(prefix)}


def with_progress(**change):
    sound = {"step": 6, "pictures": 24, "seconds": 1.0, "loss": 0.0, "since": 0, **change}
    return json.dumps({name: value for name, value in sound.items() if value is not None})


@pytest.mark.parametrize(
    "harm",
    [
        lambda folder: (folder / "state.safetensors").write_bytes(b"not a state"),
        lambda folder: (folder / "state.safetensors").write_bytes(b""),
        lambda folder: (folder / "state.safetensors").write_bytes(
            (folder / "state.safetensors").read_bytes()[:-9]
        ),
        lambda folder: save_file({"x": torch.zeros(1)}, folder / "state.safetensors"),
        lambda folder: rewrite(folder, without("network.")),
        lambda folder: rewrite(folder, without("mean.3")),
        lambda folder: rewrite(folder, without("optimizer.0.exp_avg_sq")),
        lambda folder: rewrite(folder, lambda tensors: {**tensors, "mean.0": torch.zeros(2, 2)}),
        lambda folder: rewrite(folder, lambda tensors: {**tensors, "more": torch.zeros(1)}),
        lambda folder: rewrite(folder, progress=None),
        lambda folder: rewrite(folder, progress="[1, 2]"),
        lambda folder: rewrite(folder, progress="[" * 100_000),
        lambda folder: rewrite(folder, progress=with_progress(step=None)),
        lambda folder: rewrite(folder, progress=with_progress(step="6")),
        lambda folder: rewrite(folder, progress=with_progress(step=-6)),
        lambda folder: rewrite(folder, progress=with_progress(since=0.5)),
        lambda folder: rewrite(folder, progress=with_progress(more=1)),
        lambda folder: rewrite(folder, settings=None),
        lambda folder: rewrite(folder, settings="[]"),
        lambda folder: rewrite(folder, prediction_type=None),
    ],
)
def test_a_damaged_state_is_one_sentence(harm, faces, copy):
    harm(copy)
    with pytest.raises(
        Refusal, match="^out: .*state.safetensors is (not the state of a run|of another network)"
    ):
        training.train([faces], copy, **SMALL)


@pytest.mark.parametrize(
    "line",
    ["{", "[]", "{}", '"step"', '{"step": "2", "validation": {}}', '{"step": 2, "validation": 1}', "\udcff"],
)
def test_a_damaged_curve_is_one_sentence(line, faces, copy):
    (copy / "curve.jsonl").write_text(line + "\n", errors="surrogateescape")
    with pytest.raises(Refusal, match="^out: .*curve.jsonl holds lines that are no validation"):
        training.train([faces], copy, **SMALL)


def test_a_run_does_not_go_on_with_other_data_or_settings(faces, copy, tmp_path):
    before = (copy / "state.safetensors").read_bytes()
    np.save(tmp_path / "more.npy", np.zeros((2, 16, 16, 3), np.uint8))
    for change, other in (
        ({"seed": 1}, "seed"),
        ({"batch_size": 2, "min_snr": 5}, "batch_size, min_snr"),
        ({"sources": [faces, tmp_path / "more.npy"]}, "images"),
    ):
        with pytest.raises(Refusal, match=f"^out: .* was trained with another {other}; give the same"):
            training.train(**{"sources": [faces], "out": copy, **SMALL, "steps": 7, **change})
    assert (copy / "state.safetensors").read_bytes() == before


def test_a_run_goes_on_with_other_steps_rate_and_validation(faces, copy):
    held_out = copy.parent / "held_out.npy"
    np.save(held_out, np.zeros((2, 16, 16, 3), np.uint8))
    # the pictures trained on are those that were not held out, given as an array
    pixels = read_pictures([faces], 16)[1::2]
    np.save(copy.parent / "same.npy", pixels.movedim(1, -1).numpy())
    change = {"steps": 7, "lr": 1e-4, "decay": 0.5, "every": 3, "val": [held_out]}
    training.train([copy.parent / "same.npy"], copy, **{**SMALL, **change})
    assert [line["step"] for line in curve(copy)] == [2, 4, 6, 7]


def test_the_digest_of_pictures_belongs_to_their_content_and_order():
    pixels = torch.arange(24, dtype=torch.uint8).view(2, 3, 2, 2)
    others = pixels.flip(0), pixels[:1], pixels.view(2, 3, 1, 4), pixels + 1
    assert digest(pixels) == digest(pixels.clone()) and digest(pixels) not in map(digest, others)


def test_a_full_disk_is_one_sentence_and_the_last_state_stays(faces, trained, tmp_path, monkeypatch):
    training.train([faces], tmp_path, **{**SMALL, "steps": 2})
    before = (tmp_path / "state.safetensors").read_bytes()

    def full(path, content):
        path.write_text("half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(Refusal, match="No space left"):
        training.train([faces], tmp_path, **SMALL)
    assert (tmp_path / "state.safetensors").read_bytes() == before
    assert not list(tmp_path.glob("*.part"))


def test_pictures_are_drawn_by_seed_with_the_steps_of_diffusers(trained):
    """DDIMPipeline takes the same steps from the same noises, and clamps."""
    pipe = RestorationPipeline.from_pretrained(str(trained))
    drawn = training.draw(pipe.unet, pipe.scheduler, 2, steps=5, seed=3)
    sampler = DDIMScheduler.from_config(pipe.scheduler.config, timestep_spacing="trailing")
    theirs = DDIMPipeline(pipe.unet, sampler)
    theirs.set_progress_bar_config(disable=True)
    pictures = theirs(2, torch.Generator().manual_seed(3), num_inference_steps=5, output_type="np").images
    assert drawn.shape == (2, 3, 16, 16)
    torch.testing.assert_close(
        drawn.clamp(-1, 1), torch.from_numpy(pictures).movedim(-1, 1) * 2 - 1, atol=1e-5, rtol=0
    )


def test_the_command_trains_and_answers_bad_input_with_one_sentence(faces, tmp_path, capsys):
    settings = "--size 16 --channels 32 32 --steps 1 --batch-size 2".split()
    assert cli.main(["train", "--images", str(faces), "--out", str(tmp_path / "out"), *settings]) == 0
    assert capsys.readouterr().out.strip() == str(tmp_path / "out")
    assert cli.main(["train", "--images", str(tmp_path / "none"), "--out", str(tmp_path / "other")]) == 2
    assert capsys.readouterr().err.count("\n") == 1
