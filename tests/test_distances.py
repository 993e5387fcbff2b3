"""Distances between draws, and a denoiser's errors: against their values for laws that are known."""

import pytest
import torch
from diffusers import DDPMScheduler
from examples import seeded

from frugal.laboratory import LowRankMixture, denoising_errors, energy_distance, sliced_wasserstein
from frugal.schedule import Schedule


def test_denoising_errors_of_a_gaussian():
    """One Gaussian of variance v: the error is v (1 - a) / (a v + 1 - a) for each entry."""
    prior = LowRankMixture(torch.ones(1).double(), torch.zeros(1, 500).double(), torch.zeros(1, 500, 0), 0.3)
    schedule = Schedule.from_scheduler(DDPMScheduler(), 5)
    errors = denoising_errors(prior, schedule, 40, seeded()).mean(1) / 500
    truth = [0.3 * (1 - a) / (0.3 * a + 1 - a) for a in schedule.alpha_bar[1:]]
    assert errors.tolist() == pytest.approx(truth, rel=0.05)


def test_sliced_wasserstein_of_equal_and_of_shifted_draws():
    x = torch.randn(2, 30, 8, generator=seeded(), dtype=torch.float64)
    twice = torch.cat([x, x], 1)
    assert sliced_wasserstein(x, twice.flip(1)).max() < 1e-12
    shifted = sliced_wasserstein(x + 0.5, twice, seeded(), projections=2000)
    assert (shifted - 0.5).abs().max() < 0.02


def test_energy_distance_is_fair_to_few_draws():
    g = seeded()
    x, exact = torch.randn(2000, 4, 8, generator=g), torch.randn(2000, 30, 8, generator=g)
    fair, narrow, shifted = (energy_distance(some, exact) for some in (x, 0.7 * x, x + 0.3))
    assert fair.mean().abs() < 4 * fair.std() / 2000**0.5
    assert narrow.mean() > 0.02 and shifted.mean() > 0.02
    points = torch.zeros(1, 2, 9)
    assert energy_distance(points, points + 0.5).item() == pytest.approx(1)
