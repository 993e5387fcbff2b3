"""Problems with exact posteriors: their pictures, their samplers, and the judge of the restorations."""

import pytest
import torch
from diffusers import DDPMScheduler
from examples import gaussian, low_rank, same, seeded, three

from frugal import Measurement, collapse, operators
from frugal.laboratory import GaussianMixture, Problem, draw, left_open
from frugal.samplers import METHODS, poster
from frugal.samplers.walk import last, walk
from frugal.schedule import Schedule


def test_problem_holds_what_it_was_drawn_from():
    prior, A = low_rank(), operators.make("sr4", (3, 4, 4))
    problem = Problem.draw(prior, A, 0.1, 2, seeded())
    schedule = Schedule.from_scheduler(DDPMScheduler(), 10)
    x_k = torch.ones(2, 3, 4, 4).double()
    assert same(
        problem.denoiser(schedule)(x_k, 5).flatten(1), prior.denoise(x_k.flatten(1), schedule.alpha_bar[5])
    )
    each = [
        prior.likelihood_score(x.flatten()[None], y, A, 0.1, 0.5) for x, y in zip(x_k, problem.measurement.y)
    ]
    assert same(problem.score(x_k, 0.5), torch.cat(each))
    means = torch.stack([p.mean() for p in problem.posteriors])
    assert (problem.sample(2000, seeded()).mean(1) - means).abs().max() < 0.05


def test_branches_are_the_samplers_own_hybrid():
    A = operators.make("sr4", (3, 4, 4))
    problem = Problem.draw(low_rank(), A, 0.1, 2, seeded())
    schedule, draws = Schedule.from_scheduler(DDPMScheduler(), 10), 3
    ends, curves = problem.hybrids(schedule, (0.2, 1), (1.0, 0.5), (0, 4, 10), draws, seeded())
    assert len(ends) == 12 and [curve.shape for curve in curves.values()] == [(9, 6)] * 2
    m, denoise = (
        Measurement(problem.measurement.y.repeat_interleave(draws, 0), A, 0.1),
        problem.denoiser(schedule),
    )
    for (zeta, k, lam), x in ends.items():
        g = seeded()
        noise = lambda g=g: torch.randn(6, 3, 4, 4, generator=g, dtype=torch.float64)
        states = list(walk(poster.hybrid(denoise, schedule, zeta, lam, k), schedule, m, noise))
        assert same(x.flatten(), states[-1].x.flatten())
        if k == 0:
            assert same(curves[zeta], collapse.consecutive_psnr([s.x0_hat for s in states]), 1e-5)


def test_draws_are_the_methods_own_and_take_no_more_arguments_than_it_has():
    problem = Problem.draw(low_rank(), operators.make("sr4", (3, 4, 4)), 0.1, 2, seeded())
    schedule = Schedule.from_scheduler(DDPMScheduler(), 6)
    x = draw(problem, METHODS["dps"], schedule, {"zeta": 0.5, "lam": 1.0}, 3, seeded(1))
    m = Measurement(problem.measurement.y.repeat_interleave(3, 0), problem.measurement.A, 0.1)
    g = seeded(1)
    noise = lambda: torch.randn(6, 3, 4, 4, generator=g, dtype=torch.float64)
    theirs = last(walk(poster.dps(problem.denoiser(schedule), schedule, 0.5), schedule, m, noise)).x
    assert x.shape == (2, 3, 48) and same(x.flatten(), theirs.flatten())


def test_what_a_gaussian_priors_guess_leaves_open_is_its_posterior_variance():
    """Of a prior N(0, v I) the guess leaves v s^2 / (v + s^2) open, along every wave."""
    v = 0.5
    prior = GaussianMixture(
        torch.ones(1).double(), torch.zeros(1, 16).double(), v * torch.eye(16).double()[None]
    )
    schedule = Schedule.from_scheduler(DDPMScheduler(), 5)
    x0, z = torch.randn(2, 20000, 1, 4, 4, generator=seeded(), dtype=torch.float64)
    found = left_open(prior, schedule, v**0.5 * x0, z)
    assert found["r2"][0] == 0 and len(found["r2"]) == 6
    for k in schedule.steps:
        expected = v * schedule.s[k] ** 2 / (v + schedule.s[k] ** 2)
        assert found["r2"][k] == pytest.approx(expected, rel=0.02)
        assert (found["spectrum"][k] / expected - 1).abs().max() < 0.05


@pytest.mark.parametrize("prior", [three(48), low_rank()], ids=["full", "low rank"])
def test_judge_finds_no_fault_in_exact_restorations_and_finds_each_planted_one(prior):
    problem = Problem.draw(prior, operators.make("sr4", (3, 4, 4)), 1.0, 3, seeded())
    x = problem.sample(1000, seeded(1))
    exact = problem.judge(x)
    assert exact["mean"].max() < 0.04 and (exact["spread"] - 1).abs().max() < 0.05
    assert (exact["coverage"].mean() - 0.9).abs() < 0.06 and exact["modes"].max() < 0.05
    assert problem.judge(x + 0.5)["mean"].min() > 0.45
    mean = x.mean(1, keepdim=True)
    assert problem.judge(mean + 2 * (x - mean))["spread"].min() > 1.9
    assert problem.judge(mean + 0.1 * (x - mean))["coverage"].max() < 0.4
    one = prior.means[0].expand(3, 2, -1)
    others = 1 - torch.stack([p.weights[0] for p in problem.posteriors])
    assert same(problem.judge(one)["modes"], others, 1e-4)


@pytest.mark.parametrize("method, tolerance", [("dmps", 0.08), ("dps", 0.08)])
def test_samplers_reach_the_exact_posterior_mean(method, tolerance):
    """2,000 samples under an exact denoiser, weak noise: the mean where the measurement decides, A x_0."""
    A, schedule = operators.make("sr4", (3, 4, 4)), Schedule.from_scheduler(DDPMScheduler(), 100)
    problem = Problem.draw(gaussian(48), A, 0.05, 1, seeded(1))
    exact = problem.posteriors[0].mean().reshape(1, 3, 4, 4)
    samples = draw(problem, METHODS[method], schedule, {"zeta": 0.5, "lam": 1.0}, 2000, seeded(3))
    mean = samples.mean(1).reshape(1, 3, 4, 4)
    assert (A(mean) - A(exact)).abs().max() < tolerance
    assert (mean - exact).abs().max() < 2 * tolerance
