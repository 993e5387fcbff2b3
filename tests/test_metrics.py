import hashlib

import numpy as np
import pytest
import skimage.data
import torch
from hypothesis import given
from hypothesis import strategies as st

from frugal import images, lpips_weights, metrics
from frugal.lpips_weights import LPIPSUnavailable


@pytest.fixture(scope="module")
def cats():
    """A cat (1, 3, 64, 64), and the same in mosaic, flipped and in grey: (3, 3, 64, 64) beside it."""
    cat = images.from_uint8(skimage.data.chelsea()[:256:4, 100:356:4])[None]
    mosaic = torch.nn.functional.avg_pool2d(cat, 4).repeat_interleave(4, 2).repeat_interleave(4, 3)
    return cat.expand(3, -1, -1, -1), torch.cat(
        [mosaic, cat.flip(3), cat.mean(1, keepdim=True).expand_as(cat)]
    )


def trained():
    """Skip where the trained weights are not available; what the metric then does is tested below."""
    try:
        lpips_weights.load()
    except LPIPSUnavailable as error:
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
    heads = metrics.network(torch.device("cpu")).lins
    digest = hashlib.sha256(b"".join(head.model[1].weight.detach().numpy().tobytes() for head in heads))
    assert digest.hexdigest() == "718a8b40b0d22f96192d34ab93c0db5c7943558ff6c2407f44812dce2f29b5f4"


def test_lpips_leaves_the_random_numbers_alone(cats):
    trained()
    metrics.network.cache_clear()
    before = torch.get_rng_state()
    metrics.lpips(*cats)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.fixture
def without_weights(monkeypatch):
    """A machine on which the trained weights are not available."""

    def load():
        raise LPIPSUnavailable("LPIPS is unavailable")

    monkeypatch.setattr(lpips_weights, "load", load)
    metrics.network.cache_clear()
    yield
    metrics.network.cache_clear()


def test_without_weights_lpips_is_refused_and_random_ones_never_stand_in(without_weights, cats):
    with pytest.raises(LPIPSUnavailable):
        metrics.lpips(*cats)


def test_quality_has_a_number_for_each_metric_and_picture(cats):
    trained()
    x, y = cats
    scores = metrics.quality(y, x)
    assert scores == {name: metric.measure(y, x).tolist() for name, metric in metrics.METRICS.items()}
    assert all(len(values) == len(x) for values in scores.values())


def test_quality_is_that_of_the_pictures_clipped_as_they_would_be_stored(cats):
    """pSNR and LPIPS see the same picture, clipped to [-1, 1]."""
    x, y = cats
    beyond = torch.where(y > 0, y + 3, y)
    assert metrics.quality(beyond, x) == metrics.quality(beyond.clamp(-1, 1), x)
    assert (metrics.psnr(beyond, x) < metrics.psnr(beyond.clamp(-1, 1), x)).all()


def test_quality_is_none_where_the_weights_are_not_available(without_weights, cats):
    scores = metrics.quality(*cats)
    assert scores["lpips"] == [None] * 3 and all(isinstance(value, float) for value in scores["psnr"])


def test_the_table_says_which_direction_is_better(cats):
    """A picture with a little noise is better than one with much, by every metric and its sign."""
    trained()
    x = cats[0][:1]
    noise = torch.randn(x.shape, generator=torch.Generator().manual_seed(0))
    for metric in metrics.METRICS.values():
        little, much = (metric.measure((x + scale * noise).clamp(-1, 1), x) for scale in (0.05, 0.3))
        assert metric.better * (little - much) > 0 and metric.heading
