"""The samplers of others and the repaired ones, against dense formulas and exact posteriors."""

import math

import pytest
import torch
from diffusers import DDPMScheduler
from examples import gaussian, same, seeded

from frugal import Measurement, guidance, operators
from frugal.covariance import Answer, Covariance
from frugal.guidance import spectral_mean
from frugal.prior.step_sizes import RINGS, StepSizes, rings
from frugal.samplers import METHODS, POSTER, others
from frugal.samplers.walk import last, walk
from frugal.schedule import ALL_NEW, TURNED, Schedule, ddim, noise_in, width
from frugal.waves import Waves

SHAPE, N = (3, 8, 8), 192
TASKS = ("denoise", "sr4", "inpaint-box", "deblur-motion", "colorize")
OTHERS = [name for name in METHODS if name not in POSTER]


def schedule(steps=100):
    return Schedule.from_scheduler(DDPMScheduler(), steps)


def measured(task, x0, sigma=0.1, seed=1):
    return operators.make(task, SHAPE).measure(x0, sigma, seeded(seed))


def normal(*shape, seed=0):
    return torch.randn(shape, generator=seeded(seed), dtype=torch.float64)


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("sigma", [0.0, 0.1])
def test_the_centred_mean_is_the_dense_posterior_mean(task, sigma):
    x0_hat, r2 = normal(2, *SHAPE), 0.3
    m = measured(task, normal(2, *SHAPE, seed=2), sigma)
    A = m.A.matrix()
    gain = r2 * A.T @ torch.linalg.pinv(sigma**2 * torch.eye(len(A)).double() + r2 * A @ A.T, hermitian=True)
    dense = x0_hat.flatten(1) + (m.y.flatten(1) - x0_hat.flatten(1) @ A.T) @ gain.T
    assert same(guidance.centred_mean(x0_hat, m, r2).flatten(1), dense, 1e-8)


def test_the_centred_mean_is_exact_where_the_prior_is_a_gaussian_of_one_variance():
    v, k, steps = 0.2, 60, schedule()
    alpha_bar, s2 = steps.alpha_bar[k], steps.s[k] ** 2
    m, x_k = measured("sr4", normal(1, *SHAPE)), normal(1, *SHAPE, seed=3)
    r2 = v * s2 / (v + s2)  # the variance of x_0 given x_k
    x0_hat = r2 / s2 * x_k / alpha_bar**0.5
    A = m.A.matrix()
    precision = torch.eye(N).double() / v + torch.eye(N).double() / s2 + A.T @ A / m.sigma**2
    pull = x_k.flatten() / (alpha_bar**0.5 * s2) + A.T @ m.y.flatten() / m.sigma**2
    exact = torch.linalg.solve(precision, pull)
    assert same(guidance.centred_mean(x0_hat, m, r2).flatten(), exact, 1e-8)


@pytest.mark.parametrize("k", [1, 2, 50, 100])
def test_ddim_with_all_noise_anew_is_the_reverse_step(k):
    steps, x_k, x0, z = schedule(), normal(1, *SHAPE), normal(1, *SHAPE, seed=1), normal(1, *SHAPE, seed=2)
    eps = noise_in(steps, k, x_k, x0)
    assert same(ddim(steps, k, x0, eps, z, 1.0), steps.ancestral(k, x_k, x0, z), 1e-9)
    level = steps.alpha_bar[k - 1]
    assert same(ddim(steps, k, x0, eps, z, 0.0), level**0.5 * x0 + (1 - level) ** 0.5 * eps, 1e-9)
    assert same(ddim(steps, k, x0, eps, 0.0, 0.0, 0), x0, 1e-9)


def test_pigdm_pulls_along_the_gradient_of_its_gaussian():
    """r^2 times the gradient in x_k of log N(y; A x0_hat(x_k), sigma^2 I + r^2 A A^T), the matrix held fixed."""
    steps, k = schedule(), 40
    m, x_k = measured("sr4", normal(1, *SHAPE)), normal(1, *SHAPE, seed=1)
    bend = lambda x, k: torch.tanh(x) + 0.3 * x.flip(-1)
    alone = others.pigdm(bend, steps, 0.0)(k, x_k, lambda: 0.0, m).x
    x0_hat = bend(x_k, k)
    alone = alone - ddim(steps, k, x0_hat, noise_in(steps, k, x_k, x0_hat), 0.0, 0.0)
    r2, A = 1 - steps.alpha_bar[k], m.A.matrix()
    covariance = m.sigma**2 * torch.eye(len(A)).double() + r2 * A @ A.T
    x = x_k.clone().requires_grad_()
    residual = m.y.flatten() - A @ bend(x, k).flatten()
    (gradient,) = torch.autograd.grad(-0.5 * residual @ torch.linalg.solve(covariance, residual), x)
    assert same(alone, steps.alpha_bar[k] ** 0.5 * r2 * gradient, 1e-8)


@pytest.mark.parametrize("method", OTHERS)
@pytest.mark.parametrize("task", ["sr4", "inpaint-box"])
def test_a_sampler_explains_the_measurement_and_comes_near_the_posterior_mean(method, task):
    """500 restorations of one y under an exact denoiser; what A sees, and the whole of the mean."""
    shape, sigma = (3, 4, 4), 0.05
    prior, A, steps = gaussian(48), operators.make(task, (3, 4, 4)), schedule()
    y = A.measure(prior.sample(1, seeded(1)).reshape(1, *shape), sigma, seeded(2)).y
    exact = prior.posterior(y.flatten(), A.matrix(), sigma).mean().reshape(shape)
    m = Measurement(y.expand(500, *y.shape[1:]), A, sigma)
    denoise = lambda x, k: prior.denoise(x.flatten(1), steps.alpha_bar[k]).reshape(x.shape)
    g = seeded(3)
    noise = lambda: torch.randn((500, *shape), generator=g, dtype=torch.float64)
    variance = prior.total_variance() / 48
    own = {"r2": (0.0, *(variance * s**2 / (variance + s**2) for s in steps.s[1:])), "switch": 50}
    own["spectrum"] = [torch.full(shape, r2, dtype=torch.float64) for r2 in own["r2"]]
    kind = METHODS[method]
    step = kind.step(denoise, steps, own)
    end = last(walk(step, steps, m, noise))
    mean = end.x.mean(0)
    seen = (A(mean[None]) - A(exact[None])).abs().max()
    tolerances = {"mpgd": (0.4, 0.4)}.get(method, (0.1, 0.25))  # MPGD has one length for all operators
    assert seen < tolerances[0] and (mean - exact).abs().max() < tolerances[1]
    assert end.passes.tolist() == [kind.calls(steps) + {"pigdm": 100, "relay": 50}.get(method, 0)] * 500


def test_what_a_guess_leaves_open_is_read_off_the_priors_errors():
    sizes = StepSizes(errors={0.01: 0.001, 1.0: 0.01, 100.0: 0.1})
    assert math.isclose(sizes.left_open(0.1), 10**-2.5) and math.isclose(sizes.left_open(1000.0), 10**-0.5)
    assert sizes.left_open(1e-9) == 1e-9 and StepSizes().left_open(1.0) == 0.5


@pytest.mark.parametrize("task", TASKS)
def test_the_spectral_mean_is_the_dense_posterior_mean(task):
    """Eq. 14f by a matrix; eight steps of conjugate gradients come near where variances are of one size."""
    x0_hat, c = normal(2, *SHAPE), 0.5 + 0.1 * normal(*SHAPE, seed=4).square()
    m, waves = measured(task, normal(2, *SHAPE, seed=2), 0.5), Waves(x0_hat)
    W = waves.W(torch.eye(N).double().reshape(N, *SHAPE)).flatten(1).T
    A, C = m.A.matrix(), W @ torch.diag(c.flatten()) @ W.T
    gain = C @ A.T @ torch.linalg.inv(m.sigma**2 * torch.eye(len(A)).double() + A @ C @ A.T)
    dense = x0_hat.flatten(1) + (m.y.flatten(1) - x0_hat.flatten(1) @ A.T) @ gain.T
    off = (spectral_mean(x0_hat, m, Covariance(x0_hat, c)).flatten(1) - dense).norm() / (
        dense - x0_hat.flatten(1)
    ).norm()
    assert off < 0.01


def test_asking_moves_the_guess_along_the_networks_own_covariance():
    """Eq. 14i for a Gaussian prior of any covariance, whose guess is a matrix: exact, and the residual least."""
    k, S = 60, schedule()
    root, alpha_bar = torch.randn(N, N, generator=seeded(8)).double() / N**0.5, S.alpha_bar[60]
    V, eye = root @ root.T, torch.eye(N).double()
    inverse = torch.linalg.inv(alpha_bar * V + (1 - alpha_bar) * eye)
    J, C = alpha_bar**0.5 * V @ inverse, (1 - alpha_bar) * V @ inverse
    denoise = lambda x, k: (x.flatten(1) @ J.T).reshape(x.shape)
    m, x_k, c = measured("sr4", normal(2, *SHAPE)), normal(2, *SHAPE, seed=3), torch.ones(SHAPE).double()
    x0_hat = denoise(x_k, k)
    waves = Covariance(x0_hat, c)
    moved, answer = guidance.asked_guess(denoise, k, x_k, x0_hat, m, waves, alpha_bar)
    move, along = moved - x0_hat, guidance.spectral_pull(x0_hat, m, waves).flatten(1) @ C
    assert same(answer.q.flatten(1), along, 1e-7) and same(answer.Pq.flatten(1) @ V, along, 1e-6)
    length = (move.flatten(1) * along).sum(1) / along.square().sum(1)
    assert same(move.flatten(1), length[:, None] * along, 1e-9)
    assert 0 < length.min() and length.max() <= guidance.FARTHEST
    residual = lambda stretch: (m.y - m.A(x0_hat + stretch * move)).flatten(1).norm(dim=1)
    free = length < guidance.FARTHEST
    assert free.any() and all((residual(1) < residual(s))[free].all() for s in (0.9, 1.1))


def test_a_guess_that_explains_its_measurement_is_not_moved():
    """Then the pull is zero, in 32 bits too, and the answer says nothing."""
    x0_hat, c = normal(2, *SHAPE).float(), torch.ones(SHAPE)
    A = operators.make("sr4", SHAPE)
    m, C = Measurement(A(x0_hat), A, 0.1), Covariance(x0_hat, c)
    moved, answer = guidance.asked_guess(lambda x, k: x0_hat, 60, 30 * x0_hat, x0_hat, m, C, 0.5)
    assert torch.equal(moved, x0_hat)
    assert same(Covariance(x0_hat, c, 1.0, [answer])(x0_hat.double()), C(x0_hat.double()), 1e-12)


def test_what_was_asked_is_known_at_every_level():
    """Eq. 14k for a Gaussian prior of any covariance V: C p = q at another level, and the nearer C, the more is asked."""
    root = torch.randn(N, N, generator=seeded(8)).double() / N**0.5
    V, eye = root @ root.T + 0.1 * torch.eye(N), torch.eye(N).double()
    C_at = lambda s2: torch.linalg.inv(torch.linalg.inv(V) + eye / s2)
    asked = normal(6, 1, *SHAPE, seed=2).double()
    answers = [Answer.of(p, (p.flatten(1) @ C_at(2.0)).reshape(p.shape), 2.0) for p in asked]
    like, c, s2 = eye.reshape(N, *SHAPE), torch.full(SHAPE, 0.3).double(), 0.5
    apart = []
    for count in (0, 3, 6):
        C = Covariance(
            like, c, s2, [Answer(*(part.expand_as(like) for part in one)) for one in answers[:count]]
        )
        matrix = C(like).flatten(1)
        assert same(matrix, matrix.T, 1e-9) and torch.linalg.eigvalsh(matrix).min() > 0
        apart.append((matrix - C_at(s2)).norm().item())
    q, Pq = (part.flatten() for part in answers[-1])
    assert same(matrix @ (Pq + q / s2), q, 1e-9)
    assert apart == sorted(apart, reverse=True)
    nothing = Answer(answers[0].q, -9 * answers[0].q)  # a covariance that is negative
    assert same(Covariance(like, c, s2, [nothing])(like), Covariance(like, c)(like), 1e-12)


@pytest.mark.parametrize("shape", [(3, 8, 8), (1, 6, 10)])
def test_waves_are_orthonormal(shape):
    x = torch.randn(2, *shape, generator=seeded(), dtype=torch.float64)
    waves = Waves(x)
    assert same(waves.W(waves.Wt(x)), x, 1e-12) and same(waves.Wt(waves.W(x)), x, 1e-12)
    flat = waves.Wt(torch.ones_like(x))
    assert flat[:, 0, 0, 0].abs().min() > 1  # the mean is the first wave
    assert flat.square().sum() == pytest.approx(x.numel()) and flat[:, :, 1:, 1:].abs().max() < 1e-12


def test_with_one_number_for_all_waves_it_is_the_centred_mean():
    m = measured("inpaint-box", normal(2, *SHAPE))
    x0_hat, even = normal(2, *SHAPE, seed=3), torch.full(SHAPE, 0.3, dtype=torch.float64)
    assert same(
        spectral_mean(x0_hat, m, Covariance(x0_hat, even)), guidance.centred_mean(x0_hat, m, 0.3), 1e-7
    )


def test_it_is_exact_where_the_prior_is_a_gaussian_of_waves():
    k, steps = 60, schedule()
    alpha_bar, s2 = steps.alpha_bar[k], steps.s[k] ** 2
    m, x_k = measured("sr4", normal(1, *SHAPE)), normal(1, *SHAPE, seed=3)
    v, waves = 0.5 + 0.1 * normal(*SHAPE, seed=5).square(), Waves(x_k)
    c = v * s2 / (v + s2)  # Eq. 14e: the variance of x_0 given x_k, along each wave
    x0_hat = waves.W(c / s2 * waves.Wt(x_k)) / alpha_bar**0.5
    W = waves.W(torch.eye(N).double().reshape(N, *SHAPE)).flatten(1).T
    A = m.A.matrix()
    precision = W @ torch.diag(1 / v.flatten() + 1 / s2) @ W.T + A.T @ A / m.sigma**2
    pull = x_k.flatten() / (alpha_bar**0.5 * s2) + A.T @ m.y.flatten() / m.sigma**2
    assert same(
        spectral_mean(x0_hat, m, Covariance(x0_hat, c)).flatten(), torch.linalg.solve(precision, pull), 1e-3
    )


def test_what_a_guess_leaves_open_by_frequency_is_read_off_the_prior():
    rows = lambda v: [[v * (r + 1) for r in range(RINGS)] for _ in range(3)]
    sizes = StepSizes(errors={0.01: 0.001, 1.0: 0.01}, spectrum={0.01: rows(1e-4), 1.0: rows(1e-2)})
    c = sizes.left_open_by_wave(0.1, (3, 64, 64))
    assert c.shape == (3, 64, 64) and c[0, 0, 0] == pytest.approx(1e-3) == c[2, 0, 0].item()
    assert c[1, 63, 63] == pytest.approx(12e-3) and c[0, 1, 0] == pytest.approx(2e-3)
    assert sizes.left_open_by_wave(1e-6, (3, 8, 8)).max() <= 1e-6  # never more than the noise
    assert (sizes.left_open_by_wave(0.1, (1, 8, 8)) == torch.full((1, 8, 8), sizes.left_open(0.1))).all()
    assert rings(64, 64).unique().tolist() == list(range(RINGS))
    assert rings(128, 128).unique().tolist() == list(range(RINGS))


def test_a_spectral_draw_has_its_share_of_the_covariance():
    """Eq. 14g against dense matrices: mean and covariance of many draws, tau times as wide as the posterior."""
    shape, tau, count = (1, 3, 4), 0.6, 40_000
    seen = torch.tensor([[1, 1, 0, 0], [1, 0, 0, 1], [1, 1, 1, 0]])
    A = operators.make("inpaint", shape, mask=seen)
    guess, c = normal(1, *shape), 0.2 + normal(*shape, seed=1).square()
    m = A.measure(normal(1, *shape, seed=2), 0.3, seeded(3))
    W = Waves(guess).W(torch.eye(12).double().reshape(12, *shape)).flatten(1).T
    M, C = A.matrix(), W @ torch.diag(c.flatten()) @ W.T
    gain = C @ M.T @ torch.linalg.inv(m.sigma**2 * torch.eye(len(M)).double() + M @ C @ M.T)
    mean = guess.flatten() + gain @ (m.y.flatten() - M @ guess.flatten())
    g = seeded(4)
    noise = lambda: torch.randn(count, *shape, generator=g, dtype=torch.float64)
    many = Measurement(m.y.expand(count, -1), A, m.sigma)
    draws = guidance.spectral_draw(
        guess.expand(count, -1, -1, -1), many, Covariance(guess, c), tau, noise
    ).flatten(1)
    covariance = tau**2 * (C - gain @ M @ C)
    assert (draws.mean(0) - mean).abs().max() < 0.02
    assert (draws.T.cov() - covariance).abs().max() < 0.02 * C.abs().max()


def test_the_width_of_a_draw_is_that_of_the_reverse_step():
    """Eq. 14h: the share of x_0 in the mean of Eq. 0b is beta_k / (1 - alpha_bar_k) times sqrt(alpha_bar_{k-1})."""
    steps = METHODS["spectral"].schedule(DDPMScheduler(), 14)
    for k in steps.steps:
        assert math.isclose(width(steps, k, 1.0), steps.beta[k] / (1 - steps.alpha_bar[k]), rel_tol=1e-9)
        assert math.isclose(width(steps, k, 1.0), 1 - (steps.s[k - 1] / steps.s[k]) ** 2, rel_tol=1e-9)
        assert math.isclose(width(steps, k, 0.0), 1 - steps.s[k - 1] / steps.s[k], rel_tol=1e-9)
        assert width(steps, k, ALL_NEW) == 1


def test_a_guess_at_full_power_varies_as_pictures_do():
    """Eq. 14j, for a Gaussian prior with a variance along each wave; and a wave of which nothing is known stays small."""
    s2, v = 0.2, 0.1 + torch.rand(SHAPE, generator=seeded(4)).double()
    waves = Waves(torch.zeros(1, *SHAPE).double())
    x0 = waves.W(v.sqrt() * normal(20000, *SHAPE, seed=5))
    guess = waves.W(v / (v + s2) * waves.Wt(x0 + s2**0.5 * normal(20000, *SHAPE, seed=6)))
    c = v * s2 / (v + s2)
    found = waves.Wt(guidance.at_full_power(guess, c, v)).var(0)
    assert (found / v - 1).abs().max() < 0.06 < (waves.Wt(guess).var(0) / v - 1).abs().min()
    assert same(guidance.at_full_power(guess, v, v), guidance.STRONGEST * guess, 1e-9)


def test_some_steps_ask_the_network_twice_and_budgets_count_them():
    scheduler, kind = DDPMScheduler(), METHODS["spectral"]
    for passes, steps in ((10, 7), (20, 14), (40, 29)):
        assert kind.within(passes, scheduler) == steps
        assert kind.calls(kind.schedule(scheduler, steps)) == passes
    assert [METHODS[m].within(20, scheduler) for m in ("dps", "dmps", "hybrid")] == [10, 20, 13]


def test_draws_are_wider_along_waves_of_which_more_is_open():
    """Eq. 14n, where all waves are alike: how far a draw lies from the mean, by the width that it is told."""
    kind, m = METHODS["spectral"], measured("sr4", 0.3 * normal(1, *SHAPE, seed=1), 0.0)
    steps, x_k, z = kind.schedule(DDPMScheduler(), 14), normal(1, *SHAPE), normal(3, 1, *SHAPE, seed=2)
    share, k, wider = 0.2, 2, 1.5
    open_at = lambda j: torch.full(SHAPE, 0.5 if j == 14 else 0.5 * share, dtype=torch.float64)
    given = {"spectrum": [open_at(j) for j in range(15)]}

    def end(wider, drawn):
        step = kind.step(lambda x, k: x / 2, steps, given, wider=wider)
        return step(k, x_k, iter([*(drawn * z[:2]), z[2]]).__next__, m).x

    mean, tau = end(0.0, 0.0), width(steps, k, 1.0)
    assert (end(0.0, 1.0) - mean).abs().max() > 0.01
    times = (1 + wider * share / tau) ** 0.5
    assert same(end(wider, 1.0) - mean, times * (end(0.0, 1.0) - mean), 1e-9)


def test_all_noise_new_keeps_nothing_of_the_path_but_the_guess():
    steps, x_k, x0, z = schedule(20), normal(1, *SHAPE), normal(1, *SHAPE, seed=1), normal(1, *SHAPE, seed=2)
    there = ddim(steps, 9, x0, noise_in(steps, 9, x_k, x0), z, ALL_NEW)
    level = steps.alpha_bar[8]
    assert same(there, level**0.5 * x0 + (1 - level) ** 0.5 * z, 1e-12)
    assert same(ddim(steps, 1, x0, x_k, z, ALL_NEW), x0, 1e-12)


def test_turned_noise_is_that_of_the_step_before_with_the_other_sign():
    """Eq. 14m: nothing is drawn, and who looks from the same picture finds the noise turned."""
    steps, x_k, x0, z = schedule(20), normal(1, *SHAPE), normal(1, *SHAPE, seed=1), normal(1, *SHAPE, seed=2)
    eps = noise_in(steps, 9, x_k, x0)
    there = ddim(steps, 9, x0, eps, z, TURNED)
    assert same(there, ddim(steps, 9, x0, eps, 2 * z, TURNED), 1e-12)
    assert same(noise_in(steps, 8, there, x0), -eps, 1e-12)
    assert same(ddim(steps, 1, x0, eps, z, TURNED), x0, 1e-12)


def test_the_method_on_offer_turns_the_noise_explores_and_settles_where_its_levels_say():
    """Where the guess is 0, and y says so, a step is what it does with the noise."""
    kind, nothing = METHODS["spectral"], torch.zeros(1, *SHAPE).double()
    steps, m = kind.schedule(DDPMScheduler(), 14), measured("sr4", nothing, 0.0)
    step = kind.step(lambda x, k: 0 * x, steps, {"spectrum": [0.1 * torch.ones(SHAPE)] * 15})
    x, found = normal(1, *SHAPE), {}
    for k in range(14, 1, -1):
        z, before = normal(1, *SHAPE, seed=k), x / (1 - steps.alpha_bar[k]) ** 0.5
        x = step(k, x, lambda z=z: z, m).x
        now = x / (1 - steps.alpha_bar[k - 1]) ** 0.5
        found[k] = "turned" if same(now, -before, 1e-9) else "new" if same(now, z, 1e-9) else "settled"
    turned, undecided = (kind.numbers[name] for name in ("turned", "undecided"))
    wanted = lambda s: "turned" if s > turned else "new" if s > undecided else "settled"
    assert found == {k: wanted(steps.s[k]) for k in found}
    assert set(found.values()) == {"turned", "new", "settled"}
