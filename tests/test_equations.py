"""Equations of the book that no function of the library computes alone, each against another way to its value."""

import math

import pytest
import torch
from scipy import stats

from frugal.laboratory import GaussianMixture, transitions
from frugal.results.rows import Rows


def test_eq_7m_is_bayes_rule_given_the_measurement():
    """The weights of five points times the likelihood of y, against the mixture's posterior given both."""
    generator = torch.Generator().manual_seed(0)
    points = torch.randn(5, 3, generator=generator).double()
    A, y = torch.randn(2, 3, generator=generator).double(), torch.randn(2, generator=generator).double()
    t, sigma = 0.3, 0.7
    x_t = math.exp(-t) * points[2] + 0.5
    likelihood = -(y - points @ A.T).square().sum(1) / (2 * sigma**2)
    weights = (transitions.log_weights(x_t[None], points, t)[0] + likelihood).softmax(0)
    prior = GaussianMixture(torch.full((5,), 0.2).double(), points, torch.zeros(5, 3, 3).double())
    given = prior.given_noisy(x_t, torch.tensor(math.exp(-2 * t)).double())
    assert torch.allclose(weights, given.posterior(y, A, sigma).weights, atol=1e-6)


def test_eq_10a_is_students_paired_interval():
    values = {"dps": (20.0, 21.5, 19.0, 23.0), "hybrid": (20.4, 21.1, 19.9, 23.2)}
    rows = [
        {"image": i, "method": m, "psnr": v} for m, numbers in values.items() for i, v in enumerate(numbers)
    ]
    expected = stats.ttest_rel(values["hybrid"], values["dps"]).confidence_interval(0.95)
    mean, low, high = Rows(rows).gap("hybrid", "dps", "psnr").interval
    assert mean == pytest.approx(0.275) and (low, high) == pytest.approx(tuple(expected))
