"""Speciation and collapse in theory: every estimator against a Gaussian cloud, whose t_C is known.

The poster's heuristic is tested in test_collapse.py.
"""

import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from diffusers import DDPMScheduler

from frugal.laboratory import transitions
from frugal.schedule import Schedule

N, D, V = 1000, 3072, 0.25  # as many entries as a 32 x 32 RGB picture, with its usual variance
T_C = transitions.cloud_collapse(N, D, V)
SCHEDULE = Schedule.from_scheduler(DDPMScheduler(), 100)


def cloud(seed=0, n=N, d=D):
    """Draws that no version or machine changes."""
    return torch.from_numpy(np.random.RandomState(seed).standard_normal((n, d)).astype("float32")) * V**0.5


def forward(points, t, draws, seed=1):
    stream = np.random.RandomState(seed)
    own = torch.from_numpy(stream.randint(len(points), size=draws))
    z = torch.from_numpy(stream.standard_normal((draws, points.shape[1])).astype("float32"))
    return own, math.exp(-t) * points[own] + (-math.expm1(-2 * t)) ** 0.5 * z


@pytest.fixture(scope="module")
def seen():
    points, levels = cloud(), torch.linspace(T_C - 0.4, T_C + 0.4, 9, dtype=torch.float64)
    f, phi = [], []
    for t in levels.tolist():
        own, x_t = forward(points, t, 400)
        log_w = transitions.log_weights(x_t, points, t)
        f.append(transitions.excess_entropy(log_w, own, D))
        phi.append(transitions.clones_agree(log_w))
    return SimpleNamespace(points=points, levels=levels, f=torch.stack(f), phi=torch.stack(phi))


def test_excess_entropy_of_the_points_vanishes_at_the_analytic_time(seen):
    assert abs(transitions.crossing(seen.levels, seen.f) / T_C - 1) < 0.05


def test_draws_at_all_levels_find_the_analytic_time_too(seen):
    own, log_w = transitions.observe(seen.points, seen.levels, 200, torch.Generator().manual_seed(0))
    assert (log_w[0].argmax(1) == own).double().mean() > 0.95  # well after the collapse
    f = torch.stack([transitions.excess_entropy(w, own, D) for w in log_w])
    assert abs(transitions.crossing(seen.levels, f) / T_C - 1) < 0.05


def test_half_of_the_clones_agree_at_the_analytic_time(seen):
    assert abs(transitions.crossing(seen.levels, 0.5 - seen.phi) / T_C - 1) < 0.05


def test_nearest_point_changes_for_the_last_time_at_the_analytic_time(seen):
    generator = torch.Generator().manual_seed(0)
    start = torch.randn(100, D, generator=generator)
    nearest, guesses = transitions.reverse(seen.points, SCHEDULE, 100, start, generator)
    assert nearest.shape == (100, 100) and len(guesses) == 100
    t = transitions.times(SCHEDULE)[transitions.last_change(nearest)]
    assert abs(t.mean() / T_C - 1) < 0.05
    assert (guesses[-1] - seen.points[nearest[-1]]).abs().max() < 1e-3


def test_information_from_the_denoisers_error_reaches_ln_N_at_the_analytic_time():
    t = torch.linspace(5, 0.5, 40, dtype=torch.float64)
    snr = 1 / torch.expm1(2 * t)
    found = transitions.information(snr, D * V / (1 + V * snr))
    exact = transitions.cloud_information(t, D, V)
    assert ((found / exact - 1).abs() < 0.01).all()
    t_C = transitions.crossing(t.flip(0), (math.log(N) - found).flip(0))
    assert abs(t_C / T_C - 1) < 0.05


def test_analytic_time_is_where_the_information_is_ln_N():
    for n, d, v in ((10, 2, 0.5), (1000, 64, 1.0), (10**6, 12288, 0.2)):
        t = torch.tensor(transitions.cloud_collapse(n, d, v), dtype=torch.float64)
        assert transitions.cloud_information(t, d, v).item() == pytest.approx(math.log(n))


def test_information_with_a_measurement_is_that_of_one_gaussian_channel():
    """Against ln det of the covariances, for 3 entries of which 2 are measured."""
    t, v, sigma = 0.7, 0.3, 0.4
    precision = torch.full((3,), 1 / math.expm1(2 * t))
    precision[:2] += sigma**-2
    found = transitions.cloud_information(torch.tensor(t), 3, v, measured=2, sigma=sigma)
    assert found.item() == pytest.approx(0.5 * torch.log1p(v * precision).sum().item(), rel=1e-5)


def test_excess_entropy_by_hand():
    log_w = torch.tensor([[0.5, 0.3, 0.2], [0.1, 0.6, 0.3]]).log()
    expected = (math.log(0.5 / 0.5) + math.log(0.7 / 0.3)) / 2 + math.log(3 / 2)
    found = transitions.excess_entropy(log_w, torch.tensor([0, 2]), 4)
    assert found.item() == pytest.approx(expected / 4, rel=1e-5)
    assert transitions.clones_agree(log_w).item() == pytest.approx((0.38 + 0.46) / 2)


def test_weights_are_bayes_rule():
    points, t = cloud(n=5, d=3), 0.3
    _, x_t = forward(points, t, 4)
    channel = torch.distributions.Normal(math.exp(-t) * points, (1 - math.exp(-2 * t)) ** 0.5)
    expected = channel.log_prob(x_t[:, None]).sum(-1).log_softmax(1)
    assert torch.allclose(transitions.log_weights(x_t, points, t), expected, atol=1e-5)


FINE = Schedule.from_scheduler(DDPMScheduler(), 500)  # 100 steps lose some of the noise, and of the movement


def test_clones_that_are_walked_back_agree_as_often_as_the_formula_says():
    points, k, pairs = cloud(n=40, d=48), 150, 1000
    t = transitions.times(FINE)[k].item()
    _, x_t = forward(points, t, pairs)
    expected = transitions.clones_agree(transitions.log_weights(x_t, points, t))
    assert 0.2 < expected < 0.8
    nearest, _ = transitions.reverse(points, FINE, k, x_t.repeat(2, 1), torch.Generator().manual_seed(2))
    one, other = nearest[-1].chunk(2)
    assert abs((one == other).double().mean() - expected) < 3 * (0.25 / pairs) ** 0.5


def test_guesses_of_the_empirical_score_move_by_what_their_error_shrinks():
    points, generator = cloud(n=40, d=48), torch.Generator().manual_seed(3)
    _, guesses = transitions.reverse(points, FINE, 500, torch.randn(2000, 48, generator=generator), generator)
    moved = sum((b - a).square().mean() for a, b in zip(guesses, guesses[1:]))
    assert abs(moved / (points - points.mean(0)).square().mean() - 1) < 0.05


def test_speciation_of_two_clouds():
    m, points = 0.5, cloud()
    points = points + m * torch.where(torch.arange(N) % 2 == 0, 1.0, -1.0)[:, None]
    assert transitions.speciation(points) == pytest.approx(0.5 * math.log(D * m**2 + V), rel=0.05)


def test_last_change_and_crossing_by_hand():
    nearest = torch.tensor([[4, 4], [7, 4], [4, 4], [4, 4]])  # at k = 4, 3, 2, 1
    assert transitions.last_change(nearest).tolist() == [2, 4]
    t = torch.tensor([1.0, 2.0, 3.0])
    assert transitions.crossing(t, torch.tensor([-1.0, 3.0, -1.0])) == pytest.approx(1.25)
    assert transitions.crossing(t, torch.tensor([-3.0, -2.0, -1.0])) == math.inf


def test_time_and_steps_are_one_axis():
    t = transitions.times(SCHEDULE)
    assert t[0] == 0 and t[60].item() == pytest.approx(-0.5 * math.log(SCHEDULE.alpha_bar[60]))
    assert transitions.steps_left(t[60].item(), SCHEDULE) == pytest.approx(60)
    assert transitions.steps_left(math.inf, SCHEDULE) == 100
