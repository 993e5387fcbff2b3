"""The laboratory as a test bench: every sampler, guidance term and schedule against a truth known exactly.

Eq. 4 is exact under a flat prior and Eq. 3 under a concentrated one; there a step must be the reverse
step towards E[x_0 | x_k, y], the exact conditional mean of a mixture. Golden values hold the rest.
"""

import functools
import math

import numpy as np
import pytest
import torch
from diffusers import DDPMScheduler
from diffusers.models.unets.unet_2d import UNet2DOutput

from frugal import Measurement, RestorationPipeline, collapse, guidance, operators
from frugal.laboratory import GaussianMixture
from frugal.samplers import METHODS, poster
from frugal.samplers.walk import last, walk
from frugal.schedule import Schedule

SHAPE, N = (3, 4, 4), 48
SIGMA = 0.1
TASKS = ("denoise", "colorize", "sr4", "deblur", "inpaint-box", "outpaint")
STEPS = 20
LEVELS = (2, 5, 9, 13)  # of 20: alpha_bar from 0.97 to 0.08


def standard_normal(seed=0):
    """A stream of draws that no version or machine changes."""
    stream = np.random.RandomState(seed)
    return lambda *shape: torch.from_numpy(stream.standard_normal(shape))


def make(task):
    blur = torch.tensor([[0.1, 0.2, 0.1]]) if task == "deblur" else None
    return operators.make(task, SHAPE, kernel=blur)


def scheduler(**changes):
    return DDPMScheduler(**({"prediction_type": "sample", "clip_sample": False} | changes))


def schedule(steps=STEPS):
    return Schedule.from_scheduler(scheduler(), steps)


def alpha_bars(schedule):
    """alpha_bar[0], ..., alpha_bar[t], taken from diffusers and not from the library's schedule."""
    kept = scheduler().alphas_cumprod.double()[list(schedule.timestep[1:])]
    return [1.0, *kept.tolist()]


@functools.cache
def mixture():
    """Three Gaussians over 3 x 4 x 4 pictures, two of them inside [-1, 1] and one at 2."""
    normal = standard_normal(1)
    R = normal(3, N, N) / N**0.5
    return GaussianMixture(
        torch.tensor([0.5, 0.3, 0.2]).double(),
        torch.tensor([-0.6, 0.4, 2.0]).double()[:, None] + 0.2 * normal(3, N),
        0.2 * R @ R.mT + 0.02 * torch.eye(N),
    )


def isotropic(variance):
    """One Gaussian of that variance in every direction: flat when it is large, a point when it is small."""
    covariance = variance * torch.eye(N, dtype=torch.float64)
    return GaussianMixture(torch.ones(1).double(), 0.3 * standard_normal(2)(1, N), covariance[None])


def problem(task, seed=5):
    """A measurement, x_k and z (1, C, H, W), all of ordinary size."""
    A, normal = make(task), standard_normal(seed)
    x_k, y, z = normal(1, *SHAPE), normal(1, *A.measurement_shape), normal(1, *SHAPE)
    return Measurement(y, A, SIGMA), x_k, z


def conditional_mean(prior, x_k, m, alpha_bar):
    """E[x_0 | x_k, y] as a picture."""
    posterior = prior.posterior(m.y.flatten(), m.A.matrix(), m.sigma)
    return posterior.denoise(x_k.flatten(1), alpha_bar).reshape(x_k.shape)


def close(ours, truth, tolerance):
    return torch.linalg.vector_norm(ours - truth) < tolerance * torch.linalg.vector_norm(truth)


def guess_of(prior, schedule):
    """(x_k, k) -> E[x_0 | x_k], with alpha_bar taken from diffusers."""
    alpha_bar = alpha_bars(schedule)
    return lambda x_k, k: prior.denoise(x_k.flatten(1), alpha_bar[k]).reshape(x_k.shape)


# The schedule and the network's guess


def test_schedule_is_diffusers_at_the_kept_steps():
    ours, truth = schedule(), alpha_bars(schedule())
    assert ours.alpha_bar == pytest.approx(truth, rel=1e-12)
    for k in ours.steps:
        assert ours.alpha[k] == pytest.approx(truth[k] / truth[k - 1], rel=1e-12)
        assert ours.beta[k] == pytest.approx(1 - truth[k] / truth[k - 1], rel=1e-9)
        assert ours.s[k] == pytest.approx(math.sqrt(1 / truth[k] - 1), rel=1e-9)
    assert list(ours.steps) == list(range(STEPS, 0, -1))


def test_reverse_step_undoes_the_forward_process_of_a_known_picture():
    """If x_k has the forward law given x_0, so has x_{k-1}, and the two have the forward covariance."""
    steps, alpha_bar = schedule(), alpha_bars(schedule())
    for k in steps.steps:
        of_x_k, of_x0, of_z = (
            steps.ancestral(k, *torch.eye(3, dtype=torch.float64)[i]).item() for i in range(3)
        )
        now, before = alpha_bar[k], alpha_bar[k - 1]
        assert of_x_k * now**0.5 + of_x0 == pytest.approx(before**0.5, abs=1e-12)
        assert of_x_k * (1 - now) == pytest.approx((now / before) ** 0.5 * (1 - before), abs=1e-12)
        assert of_x_k**2 * (1 - now) + of_z**2 == pytest.approx(1 - before, abs=1e-12)


class ExactNetwork(torch.nn.Module):
    """Answers exactly in any prediction type."""

    def __init__(self, scheduler):
        super().__init__()
        self.scheduler = scheduler

    def forward(self, x_k, timestep):
        a = self.scheduler.alphas_cumprod[timestep].double().item()
        x0 = mixture().denoise(x_k.flatten(1), a).reshape(x_k.shape)
        eps = (x_k - a**0.5 * x0) / (1 - a) ** 0.5
        v = a**0.5 * eps - (1 - a) ** 0.5 * x0
        answers = {"epsilon": eps, "sample": x0, "v_prediction": v}
        return UNet2DOutput(sample=answers[self.scheduler.config.prediction_type])


@pytest.mark.parametrize("clip", [False, True])
@pytest.mark.parametrize("prediction_type", ["epsilon", "sample", "v_prediction"])
def test_guess_is_the_conditional_mean_clipped_only_where_asked(prediction_type, clip):
    asked = scheduler(prediction_type=prediction_type, clip_sample=clip)
    pipe = RestorationPipeline(ExactNetwork(asked), asked)
    x_k = 2 * standard_normal()(50, *SHAPE)
    for k in LEVELS:
        truth = guess_of(mixture(), schedule())(x_k, k)
        assert truth.max() > 1.2
        truth = truth.clamp(-1, 1) if clip else truth
        assert close(pipe.denoiser(schedule())(x_k, k), truth, 1e-5)


# Measurements and guidance


@pytest.mark.parametrize("task", TASKS)
def test_measurements_have_noise_of_standard_deviation_sigma(task):
    A = make(task)
    x0 = standard_normal()(4000, *SHAPE)
    y = A.measure(x0, SIGMA, torch.Generator().manual_seed(0)).y
    noise = y.flatten(1) - x0.flatten(1) @ A.matrix().T
    assert abs(noise.std().item() / SIGMA - 1) < 0.02


def in_words(task, x):
    """A x by its definition; deblur with the kernel [0.5, 0.3, 0.2]."""
    middle = torch.zeros(SHAPE, dtype=torch.bool)
    middle[:, 1:3, 1:3] = True
    return {
        "denoise": x,
        "colorize": x.mean(1, keepdim=True),
        "sr4": x.mean((2, 3), keepdim=True),
        "deblur": 0.5 * x.roll(-1, 3) + 0.3 * x + 0.2 * x.roll(1, 3),
        "inpaint-box": x[:, ~middle],
        "outpaint": x[:, middle],
    }[task]


@pytest.mark.parametrize("task", TASKS)
def test_operators_do_what_their_names_say_and_their_adjoints_fit(task):
    kernel = torch.tensor([[0.5, 0.3, 0.2]]) if task == "deblur" else None
    A, x = operators.make(task, SHAPE, kernel=kernel), standard_normal()(2, *SHAPE)
    assert close(A(x), in_words(task, x), 1e-6)
    y = standard_normal(1)(2, *A.measurement_shape)
    assert (A(x) * y).sum().item() == pytest.approx((x * A.A_adjoint(y)).sum().item(), rel=1e-6)


@pytest.mark.parametrize("alpha_bar", [0.9, 0.5, 0.2])
@pytest.mark.parametrize("task", TASKS)
def test_eq5_and_eq6_are_exact_under_a_flat_prior(task, alpha_bar):
    m, x_k, _ = problem(task)
    truth = isotropic(1e6).likelihood_score(x_k.flatten(1), m.y.flatten(), m.A.matrix(), SIGMA, alpha_bar)
    for score in (guidance.dmps_score, guidance.dmps_score_dense):
        assert close(score(x_k, m, alpha_bar).flatten(1), truth, 1e-4)


@pytest.mark.parametrize("alpha_bar", [0.9, 0.5, 0.2])
@pytest.mark.parametrize("task", TASKS)
def test_eq3_is_exact_under_a_concentrated_prior(task, alpha_bar):
    m, x_k, _ = problem(task)
    prior = isotropic(1e-7)
    truth = prior.likelihood_score(x_k.flatten(1), m.y.flatten(), m.A.matrix(), SIGMA, alpha_bar)
    x_k = x_k.requires_grad_()
    x0_hat = prior.denoise(x_k.flatten(1), alpha_bar).reshape(x_k.shape)
    assert close(guidance.dps_score(x_k, x0_hat, m).flatten(1), truth, 1e-3)


# One step


@pytest.mark.parametrize("k", LEVELS)
@pytest.mark.parametrize("task", TASKS)
def test_dmps_steps_to_the_conditional_mean_under_a_flat_prior(task, k):
    prior, steps = isotropic(1e6), schedule()
    m, x_k, z = problem(task)
    denoise = guess_of(prior, steps)
    start = steps.ancestral(k, x_k, denoise(x_k, k), z)
    towards = conditional_mean(prior, x_k, m, alpha_bars(steps)[k])
    truth = steps.ancestral(k, x_k, towards, z) - start
    for lam in (1, 0.5):
        ours, x0_hat, _ = poster.dmps(denoise, steps, lam)(k, x_k, lambda: z, m)
        assert close(ours - start, lam * truth, 1e-3) and torch.equal(x0_hat, denoise(x_k, k))


@pytest.mark.parametrize("k", LEVELS)
@pytest.mark.parametrize("task", TASKS)
def test_dps_steps_to_the_conditional_mean_under_a_concentrated_prior(task, k):
    """zeta = beta / sqrt(alpha) ||r|| / sigma^2 is the step that Eq. 2 asks for."""
    prior, steps, alpha_bar = isotropic(1e-7), schedule(), alpha_bars(schedule())
    m, x_k, z = problem(task)
    denoise = guess_of(prior, steps)
    start = steps.ancestral(k, x_k, denoise(x_k, k), z)
    truth = steps.ancestral(k, x_k, conditional_mean(prior, x_k, m, alpha_bar[k]), z) - start
    alpha = alpha_bar[k] / alpha_bar[k - 1]
    norm = torch.linalg.vector_norm(m.y - m.A(denoise(x_k, k))).item()
    zeta = (1 - alpha) / alpha**0.5 * norm / SIGMA**2
    for share in (1, 0.5):
        ours, x0_hat, _ = poster.dps(denoise, steps, share * zeta)(k, x_k, lambda: z, m)
        assert close(ours - start, share * truth, 1e-3) and torch.equal(x0_hat, denoise(x_k, k))


# Whole chains


def run(method, denoise, steps, m, noise, **settings):
    """x_0 by a method of the table, which takes the settings that are its own."""
    kind = METHODS[method]
    step = kind.make(denoise, steps, **{name: settings[name] for name in kind.parameters})
    return last(walk(step, steps, m, noise)).x


@pytest.mark.parametrize("switch", [0, 1, 7, STEPS - 1, STEPS])
def test_hybrid_backpropagates_while_more_than_switch_steps_remain(switch):
    truth, seen = guess_of(mixture(), schedule()), []

    def denoise(x_k, k):
        seen.append((k, x_k.requires_grad))
        return truth(x_k, k)

    m, _, _ = problem("sr4")
    normal = standard_normal()
    step = poster.hybrid(denoise, schedule(), 0.5, 1.0, switch)
    end = last(walk(step, schedule(), m, lambda: normal(1, *SHAPE)))
    assert seen == [(k, k > switch) for k in range(STEPS, 0, -1)]
    assert end.passes.tolist() == [STEPS + STEPS - switch]


def test_hybrid_turns_after_the_guess_that_collapses():
    m, _, _ = problem("sr4")
    steps, denoise = schedule(100), guess_of(mixture(), schedule(100))

    def states(switch):
        normal = standard_normal(3)
        return walk(poster.hybrid(denoise, steps, 0.5, 1.0, switch), steps, m, lambda: normal(1, *SHAPE))

    found = list(states("collapse"))
    switch = 200 - found[-1].passes
    assert 0 < switch.item() < 100
    curve = collapse.consecutive_psnr([state.x0_hat for state in found])
    assert switch.tolist() == collapse.switch_from_curve(curve).tolist()
    assert collapse.settled_from_curve(curve).item() == max(
        k for k in range(99) if (curve[98 - k :] >= 20).all()
    )
    assert torch.equal(last(states(switch.item())).x, found[-1].x)


@pytest.mark.parametrize("method", ["dps", "dmps", "hybrid"])
def test_chain_with_the_posterior_for_a_prior_draws_the_posterior(method):
    """Given E[x_0 | x_k, y] and asked for no guidance, a sampler draws from p(x_0 | y), here two modes.

    The reverse step's variance is that of a known x_0, so 100 steps lose a little of the spread.
    """
    steps, A, count, normal = schedule(100), make("sr4"), 1500, standard_normal(4)
    y = torch.zeros(1, *A.measurement_shape, dtype=torch.float64)
    posterior = mixture().posterior(y.flatten(), A.matrix(), 1.5)
    assert sorted(posterior.weights.tolist())[1] > 0.2
    denoise, m = guess_of(posterior, steps), Measurement(y.expand(count, -1, -1, -1), A, SIGMA)
    x = run(method, denoise, steps, m, lambda: normal(count, *SHAPE), zeta=0.0, lam=0.0, switch=50).flatten(1)
    mean, covariance = posterior.mean(), posterior.covariance()
    assert (x.mean(0) - mean).abs().max() < 4.5 * (covariance.diag().max() / count) ** 0.5
    assert 0.9 < x.T.cov().trace() / covariance.trace() < 1.02


# Mean, mean square and last entry of x_0 after 20 steps at sigma 0.1, zeta 0.7, lam 0.9, switch 6.
GOLDEN = {
    ("dps", "sr4"): (-0.10094567, 0.41198816, -0.60135576),
    ("dps", "deblur"): (-0.08980602, 0.42380216, 0.79603226),
    ("dps", "inpaint-box"): (-0.10261733, 0.33664646, 0.47131211),
    ("dmps", "sr4"): (-0.10099827, 0.39291080, -0.49162346),
    ("dmps", "deblur"): (-0.09066325, 0.36764675, 0.61733704),
    ("dmps", "inpaint-box"): (-0.10989904, 0.33909760, 0.51472143),
    ("hybrid", "sr4"): (-0.10257345, 0.39610166, -0.49022624),
    ("hybrid", "deblur"): (-0.09091281, 0.36826985, 0.62825029),
    ("hybrid", "inpaint-box"): (-0.10659564, 0.34388474, 0.51249490),
}


@pytest.mark.parametrize("task", ["sr4", "deblur", "inpaint-box"])
@pytest.mark.parametrize("method", ["dps", "dmps", "hybrid"])
def test_golden_values(method, task):
    A, normal = make(task), standard_normal(6)
    x0 = mixture().means[:2].reshape(2, *SHAPE)
    m = Measurement(A(x0) + SIGMA * normal(2, *A.measurement_shape), A, SIGMA)
    denoise, noise = guess_of(mixture(), schedule()), lambda: normal(2, *SHAPE)
    x = run(method, denoise, schedule(), m, noise, zeta=0.7, lam=0.9, switch=6)
    found = [x.mean().item(), x.square().mean().item(), x[-1, -1, -1, -1].item()]
    assert found == pytest.approx(GOLDEN[method, task], abs=1e-6)
