"""Exact priors: denoiser by quadrature, posterior by conditioning, low rank against full covariances."""

import pytest
import torch
from diffusers import DDPMScheduler

from frugal import RestorationPipeline, collapse, operators, samplers
from frugal.exact import (
    ExactDenoiser,
    GaussianMixture,
    LowRankMixture,
    Problem,
    Sweep,
    best_of_other_half,
    denoising_errors,
    energy_distance,
    sliced_wasserstein,
)
from frugal.schedule import Schedule


def gaussian(n, seed=0):
    """A Gaussian with a smooth random covariance on [-1, 1]-like scales."""
    g = torch.Generator().manual_seed(seed)
    R = torch.randn(n, n, generator=g, dtype=torch.float64) / n**0.5
    return GaussianMixture(
        torch.ones(1).double(),
        0.2 * torch.randn(1, n, generator=g).double(),
        (0.2 * R @ R.T + 0.05 * torch.eye(n))[None],
    )


def test_denoiser_of_a_mixture_against_quadrature():
    mixture = GaussianMixture(
        *(torch.tensor(v, dtype=torch.float64) for v in ([0.3, 0.7], [[-0.8], [0.5]], [[[0.01]], [[0.09]]]))
    )
    x0 = torch.linspace(-4, 4, 200_001, dtype=torch.float64)
    prior = sum(
        w * torch.exp(-((x0 - m) ** 2) / (2 * c)) / c**0.5
        for w, m, c in ((0.3, -0.8, 0.01), (0.7, 0.5, 0.09))
    )
    for alpha_bar in (0.9, 0.3):
        for x_k in (-0.7, 0.1, 0.9):
            weight = prior * torch.exp(-((x_k - alpha_bar**0.5 * x0) ** 2) / (2 * (1 - alpha_bar)))
            expected = (weight * x0).sum() / weight.sum()
            assert (
                abs(mixture.denoise(torch.tensor([[x_k]], dtype=torch.float64), alpha_bar) - expected) < 1e-8
            )


def test_posterior_of_a_gaussian_against_the_joint_precision():
    prior, A = gaussian(48), operators.make("sr4", (3, 4, 4))
    M, sigma = A.matrix(), 0.1
    y = A(prior.sample(1, torch.Generator().manual_seed(1)).reshape(1, 3, 4, 4)).flatten()
    precision = prior.covariances[0].inverse() + M.T @ M / sigma**2
    mean = torch.linalg.solve(precision, prior.covariances[0].inverse() @ prior.means[0] + M.T @ y / sigma**2)
    posterior = prior.posterior(y, M, sigma)
    assert (posterior.mean() - mean).abs().max() < 1e-9
    assert (posterior.covariance() - precision.inverse()).abs().max() < 1e-9


def test_samples_have_the_stated_moments():
    prior = gaussian(6)
    draws = prior.sample(40_000, torch.Generator().manual_seed(0))
    assert (draws.mean(0) - prior.mean()).abs().max() < 0.01
    assert (draws.T.cov() - prior.covariance()).abs().max() < 0.01


def three(n, seed=0):
    """Three Gaussians of random means and covariances."""
    parts = [gaussian(n, seed + j) for j in range(3)]
    weights = torch.tensor([0.2, 0.3, 0.5], dtype=torch.float64)
    return GaussianMixture(
        weights, 3 * torch.cat([p.means for p in parts]), torch.cat([p.covariances for p in parts])
    )


@pytest.mark.parametrize("task", ["denoise", "colorize", "sr4", "deblur", "inpaint-box", "outpaint"])
@pytest.mark.parametrize("alpha_bar", [0.9999, 0.6, 0.01])
def test_likelihood_score_against_the_gradient_of_the_joint_density(task, alpha_bar):
    """log p(y | x_k) = log p(x_k, y) - log p(x_k), each a mixture of Gaussians; autograd does the rest."""
    prior, A, sigma = three(48), operators.make(task, (3, 4, 4)), 0.1
    M, a = A.matrix(), alpha_bar**0.5
    g = torch.Generator().manual_seed(1)
    x0 = prior.sample(4, g)
    x_k = (a * x0 + (1 - alpha_bar) ** 0.5 * torch.randn(x0.shape, generator=g).double()).requires_grad_()
    y = A.measure(x0[:1].reshape(1, 3, 4, 4), sigma, g).flatten()

    def log_density(point, matrix, noise):
        covariances = matrix @ prior.covariances @ matrix.T + torch.diag(noise)
        parts = torch.distributions.MultivariateNormal(prior.means @ matrix.T, covariances)
        return (parts.log_prob(point[:, None]) + prior.weights.log()).logsumexp(1)

    eye = torch.eye(48, dtype=torch.float64)
    now, measured = torch.full((48,), 1 - alpha_bar).double(), torch.full((len(y),), sigma**2).double()
    joint = log_density(
        torch.cat([x_k, y.expand(4, -1)], 1), torch.cat([a * eye, M]), torch.cat([now, measured])
    )
    (truth,) = torch.autograd.grad((joint - log_density(x_k, a * eye, now)).sum(), x_k)
    score = prior.likelihood_score(x_k.detach(), y, M, sigma, alpha_bar)
    assert (score - truth).norm() < 1e-6 * truth.norm()


def test_given_noisy_has_the_denoisers_mean_and_tweedies_covariance():
    """Cov[x_0 | x_k] = (1 - abar) / sqrt(abar) times the Jacobian of the denoiser."""
    prior, alpha_bar = three(6), 0.4
    x_k = torch.linspace(-1, 1, 6, dtype=torch.float64)
    given = prior.given_noisy(x_k, alpha_bar)
    denoise = lambda x: prior.denoise(x[None], alpha_bar)[0]
    jacobian = torch.autograd.functional.jacobian(denoise, x_k)
    assert (given.mean() - denoise(x_k)).abs().max() < 1e-10
    assert (given.covariance() - (1 - alpha_bar) / alpha_bar**0.5 * jacobian).abs().max() < 1e-10


def test_posterior_samples_have_the_posteriors_moments():
    prior, A = three(48), operators.make("sr4", (3, 4, 4))
    posterior = prior.posterior(torch.tensor([0.5, 0.2, -0.3]).double(), A.matrix(), 1.0)
    draws = posterior.sample(20_000, torch.Generator().manual_seed(0))
    standard_error = (posterior.covariance().diag().max() / len(draws)) ** 0.5
    assert (draws.mean(0) - posterior.mean()).abs().max() < 4 * standard_error
    assert abs(draws.T.cov().trace() / posterior.covariance().trace() - 1) < 0.02


def test_posterior_is_sound_where_the_noise_is_tiny():
    prior, A = three(48), operators.make("inpaint-box", (3, 4, 4))
    x0 = prior.sample(1, torch.Generator().manual_seed(0))[0]
    posterior = prior.posterior(A.matrix() @ x0, A.matrix(), 1e-6)
    assert (A.matrix() @ (posterior.mean() - x0)).abs().max() < 1e-5


def test_empirical_measure_is_the_limit_of_zero_covariance():
    points = torch.randn(20, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    measure = GaussianMixture.empirical(points)
    nearly = GaussianMixture(measure.weights, points, 1e-10 * torch.eye(5).double().expand(20, 5, 5))
    x_k = 2 * points[:3]
    assert (measure.denoise(x_k, 0.5) - nearly.denoise(x_k, 0.5)).abs().max() < 1e-7
    squared = torch.cdist(x_k, 0.5**0.5 * points) ** 2
    assert (measure.denoise(x_k, 0.5) - (-squared).softmax(1) @ points).abs().max() < 1e-12
    drawn = measure.posterior(points[7], torch.eye(5).double(), 0.01).sample(
        4, torch.Generator().manual_seed(0)
    )
    assert torch.equal(drawn, points[7].expand(4, -1))


def test_fit_recovers_two_far_clusters():
    g = torch.Generator().manual_seed(0)
    covariances = [[[1.0, 0.5], [0.5, 1]], [[2.0, 0], [0, 1]]]
    truth = GaussianMixture(
        *(torch.tensor(v).double() for v in ([0.3, 0.7], [[-5.0, 0], [5, 1]], covariances))
    )
    fitted = GaussianMixture.fit(truth.sample(5000, g), components=2, floor=1e-6)
    order = fitted.means[:, 0].argsort()
    assert (fitted.weights[order] - truth.weights).abs().max() < 0.03
    assert (fitted.means[order] - truth.means).abs().max() < 0.1
    assert (fitted.covariances[order] - truth.covariances).abs().max() < 0.15


@pytest.mark.parametrize("method, tolerance", [("dmps", 0.08), ("dps", 0.08)])
def test_samplers_reach_the_exact_posterior_mean(method, tolerance):
    """2,000 samples under an exact denoiser, weak noise: the mean where the measurement decides, A x_0."""
    prior, A, sigma = gaussian(48), operators.make("sr4", (3, 4, 4)), 0.05
    scheduler = DDPMScheduler(prediction_type="sample", clip_sample=False)
    pipe = RestorationPipeline(ExactDenoiser(prior, scheduler), scheduler)
    pipe.set_progress_bar_config(disable=True)
    y = A.measure(
        prior.sample(1, torch.Generator().manual_seed(1)).reshape(1, 3, 4, 4),
        sigma,
        torch.Generator().manual_seed(2),
    )
    exact = prior.posterior(y.flatten(), A.matrix(), sigma).mean().reshape(3, 4, 4)
    images = pipe(
        y.expand(2000, -1, -1, -1),
        A,
        sigma,
        method,
        100,
        zeta=0.5,
        lam=1.0,
        generator=torch.Generator().manual_seed(3),
    ).images
    assert (A(images.mean(0)[None]) - A(exact[None])).abs().max() < tolerance
    assert (images.mean(0) - exact).abs().max() < 2 * tolerance


@pytest.mark.parametrize(
    "weights, means, covariances, named",
    [
        (torch.ones(0), torch.ones(0, 2), torch.ones(0, 2, 2), "mixture"),
        (torch.ones(1), torch.ones(1, 2), torch.ones(1, 3, 3), "mixture"),
        (torch.ones(2), torch.ones(2, 2), torch.eye(2).expand(2, 2, 2), "weights"),
        (torch.tensor([1.5, -0.5]), torch.ones(2, 2), torch.eye(2).expand(2, 2, 2), "weights"),
        (torch.ones(1), torch.ones(1, 2), torch.tensor([[[1.0, 0], [0, -1]]]), "covariances"),
        (torch.ones(1), torch.ones(1, 2), torch.tensor([[[1.0, 1], [0, 1]]]), "covariances"),
    ],
)
def test_bad_mixtures(weights, means, covariances, named):
    with pytest.raises(ValueError, match=f"^{named}: "):
        GaussianMixture(weights, means, covariances)


@pytest.mark.parametrize(
    "y, columns, sigma, named",
    [(2, 2, 0.0, "sigma"), (2, 2, float("nan"), "sigma"), (2, 3, 0.1, "A"), (3, 2, 0.1, "y")],
)
def test_bad_measurements(y, columns, sigma, named):
    with pytest.raises(ValueError, match=f"^{named}: "):
        gaussian(2).posterior(torch.zeros(y).double(), torch.eye(2, columns).double(), sigma)


@pytest.mark.parametrize("alpha_bar", [0.0, 1.0, float("nan")])
def test_bad_noise_levels(alpha_bar):
    y = torch.zeros(2).double()
    with pytest.raises(ValueError, match="^alpha_bar: "):
        gaussian(2).likelihood_score(y[None], y, torch.eye(2).double(), 0.1, alpha_bar)


def test_log_joint_is_the_density_of_the_noisy_mixture():
    prior, alpha_bar = three(6), 0.3
    x_k = torch.linspace(-1, 1, 12, dtype=torch.float64).reshape(2, 6)
    covariances = alpha_bar * prior.covariances + (1 - alpha_bar) * torch.eye(6, dtype=torch.float64)
    parts = torch.distributions.MultivariateNormal(alpha_bar**0.5 * prior.means, covariances)
    truth = parts.log_prob(x_k[:, None]) + prior.weights.log()
    assert (prior.log_joint(x_k, alpha_bar) - truth).abs().max() < 1e-10


# Low rank


def seeded(number=0):
    return torch.Generator().manual_seed(number)


def low_rank(n=48, r=4, floor=0.02, seed=0):
    """Three components around planes of r dimensions."""
    g = torch.Generator().manual_seed(seed)
    means, factors = (torch.randn(3, n, *more, generator=g).double() for more in ((), (r,)))
    weights = torch.tensor([0.2, 0.3, 0.5], dtype=torch.float64)
    return LowRankMixture(weights, 0.3 * means, 0.3 * factors, floor)


def full(mixture):
    """The same mixture with its covariances written out."""
    D = mixture.apply(mixture.spectrum, torch.eye(mixture.means.shape[1]).double())
    return GaussianMixture(mixture.weights, mixture.means, mixture.factors @ mixture.factors.mT + D)


def same(ours, truth, tolerance=1e-10):
    return torch.linalg.vector_norm(ours - truth) <= tolerance * (1 + torch.linalg.vector_norm(truth))


@pytest.mark.parametrize("sigma", [1e-3, 0.3])
@pytest.mark.parametrize("task", ["denoise", "colorize", "sr4", "deblur", "inpaint-box", "outpaint"])
def test_low_rank_is_the_full_mixture(task, sigma):
    prior, A, g = low_rank(), operators.make(task, (3, 4, 4)), torch.Generator().manual_seed(1)
    truth = full(prior)
    y = A.measure(prior.sample(1, g).reshape(1, 3, 4, 4), 0.3, g)[0]
    ours, theirs = prior.posterior(y, A, sigma), truth.posterior(y, A, sigma)
    assert same(ours.weights, theirs.weights) and same(ours.means, theirs.means)
    assert same(full(ours).covariances, theirs.covariances)
    for low, mixture in ((prior, truth), (ours, theirs)):
        assert same(low.mean(), mixture.mean()) and same(low.total_variance(), mixture.total_variance())
        for alpha_bar in (0.9999, 0.5, 0.01):
            x_k = torch.randn(5, 48, generator=g).double()
            assert same(low.denoise(x_k, alpha_bar), mixture.denoise(x_k, alpha_bar))
            assert same(*(m.log_joint(x_k, alpha_bar).logsumexp(1) for m in (low, mixture)))
    for alpha_bar in (0.9999, 0.5, 0.01):
        score = prior.likelihood_score(x_k, y, A, sigma, alpha_bar)
        assert same(score, truth.likelihood_score(x_k, y, A, sigma, alpha_bar))


def test_low_rank_given_noisy_is_the_full_mixtures():
    prior, x_k = low_rank(), torch.linspace(-1, 1, 48, dtype=torch.float64)
    ours, theirs = (m.given_noisy(x_k, 0.4) for m in (prior, full(prior)))
    assert same(ours.mean(), theirs.mean()) and same(full(ours).covariance(), theirs.covariance())


@pytest.mark.parametrize("measured", [False, True])
def test_low_rank_samples_have_the_stated_moments(measured):
    mixture = low_rank(floor=0.2)
    if measured:
        mixture = mixture.posterior(torch.tensor([0.5, 0.2, -0.3]), operators.make("sr4", (3, 4, 4)), 0.3)
    draws, truth = mixture.sample(10_000, torch.Generator().manual_seed(0)), full(mixture)
    standard_error = (truth.covariance().diag().max() / len(draws)) ** 0.5
    assert (draws.mean(0) - truth.mean()).abs().max() < 4.5 * standard_error
    assert (draws.T.cov() - truth.covariance()).norm() < 0.08 * truth.covariance().norm()


def test_low_rank_posterior_of_whole_pictures():
    """The mean solves m - x + C A^T (y - A x) / sigma^2 = 0, with C applied and never written out."""
    prior, A, sigma = low_rank(3 * 64 * 64, r=10), operators.make("sr4"), 0.05
    g = torch.Generator().manual_seed(0)
    y = A.measure(prior.sample(1, g).reshape(1, 3, 64, 64), sigma, g)
    posterior = prior.posterior(y[0], A, sigma)
    for m, F, x in zip(prior.means, prior.factors, posterior.means):
        pull = A.A_adjoint(y - A(x.reshape(1, 3, 64, 64))).flatten() / sigma**2
        assert same(m + F @ (F.T @ pull) + prior.floor * pull, x)


def test_low_rank_empirical_measure_has_no_factors():
    points = torch.randn(20, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    measure = LowRankMixture.empirical(points)
    assert same(
        measure.denoise(2 * points[:3], 0.5), GaussianMixture.empirical(points).denoise(2 * points[:3], 0.5)
    )
    drawn = measure.posterior(points[7], operators.make("denoise", (1, 1, 5)), 0.01).sample(4)
    assert torch.equal(drawn, points[7].expand(4, -1))


@pytest.mark.parametrize("task", ["denoise", "colorize", "sr4", "deblur", "inpaint-box", "outpaint"])
def test_modes_without_factors_are_the_full_mixture(task):
    A, points = operators.make(task, (3, 4, 4)), torch.randn(5, 48, generator=seeded()).double()
    prior = LowRankMixture(torch.full((5,), 0.2).double(), points, points.new_zeros(5, 48, 0), 0.05)
    y = A.measure(points[:1].reshape(1, 3, 4, 4), 0.3, seeded())[0]
    ours, theirs = prior.posterior(y, A, 0.3), full(prior).posterior(y, A, 0.3)
    assert same(ours.weights, theirs.weights) and same(ours.means, theirs.means)
    assert same(full(ours).covariances, theirs.covariances)


def test_low_rank_fit_recovers_two_far_planes():
    g = torch.Generator().manual_seed(0)
    plane = torch.tensor([[[2.0, 0], [0, 1], [0, 0]], [[0.0, 1], [0, 0], [3, 0]]]).double()
    means = torch.tensor([[-20.0, 0, 0], [20, 0, 0]]).double()
    truth = LowRankMixture(torch.tensor([0.3, 0.7]).double(), means, plane, 0.01)
    fitted = LowRankMixture.fit(truth.sample(5000, g), components=2, rank=2, floor=0.01)
    order = fitted.means[:, 0].argsort()
    assert (fitted.weights[order] - truth.weights).abs().max() < 0.03
    assert (fitted.means[order] - truth.means).abs().max() < 0.15
    assert (full(fitted).covariances[order] - full(truth).covariances).abs().max() < 0.4


def test_problem_holds_what_it_was_drawn_from():
    prior, A = low_rank(), operators.make("sr4", (3, 4, 4))
    problem = Problem.draw(prior, A, 0.1, 2, torch.Generator().manual_seed(0))
    schedule = Schedule.from_scheduler(DDPMScheduler(), 10)
    x_k = torch.ones(2, 3, 4, 4).double()
    assert same(
        problem.denoiser(schedule)(x_k, 5).flatten(1), prior.denoise(x_k.flatten(1), schedule.alpha_bar[5])
    )
    each = [prior.likelihood_score(x.flatten()[None], y, A, 0.1, 0.5) for x, y in zip(x_k, problem.y)]
    assert same(problem.score(x_k, 0.5), torch.cat(each))
    means = torch.stack([p.mean() for p in problem.posteriors])
    assert (problem.sample(2000, torch.Generator().manual_seed(0)).mean(1) - means).abs().max() < 0.05


def test_branches_are_the_samplers_own_hybrid():
    problem = Problem.draw(low_rank(), operators.make("sr4", (3, 4, 4)), 0.1, 2, seeded())
    schedule, draws = Schedule.from_scheduler(DDPMScheduler(), 10), 3
    ends, curves = problem.hybrids(schedule, (0.2, 1), (1.0, 0.5), (0, 4, 10), draws, seeded())
    assert len(ends) == 12 and [curve.shape for curve in curves.values()] == [(9, 6)] * 2
    y, guesses = problem.y.repeat_interleave(draws, 0), []
    for (zeta, k, lam), x in ends.items():
        g = seeded()
        noise = lambda g=g: torch.randn(6, 3, 4, 4, generator=g, dtype=torch.float64)
        record = lambda k, x, x0_hat: guesses.append(x0_hat) or x
        guesses.clear()
        theirs, _ = samplers.hybrid(
            problem.denoiser(schedule), schedule, y, problem.A, 0.1, zeta, lam, k, noise, record
        )
        assert same(x.flatten(), theirs.flatten())
        if k == 0:
            assert same(curves[zeta], collapse.consecutive_psnr(guesses), 1e-5)


def test_settings_are_chosen_on_other_pictures():
    distances = {"a": torch.tensor([0.0, 0, 9, 9, 9]), "b": torch.tensor([1.0, 1, 1, 1, 1])}
    assert best_of_other_half(distances) == ["b", "b", "a", "a", "a"]
    with pytest.raises(ValueError, match="^distances: "):
        best_of_other_half({"a": torch.zeros(1)})


def test_sweep_serves_each_half_with_the_zeta_of_the_other():
    problem = Problem.draw(low_rank(), operators.make("sr4", (3, 4, 4)), 0.1, 4, seeded())
    schedule = Schedule.from_scheduler(DDPMScheduler(), 10)
    sweep = Sweep.run(problem, schedule, (0.1, 1.0), (0, 5), 6)
    assert sweep.exact.shape == (4, 48, 48) and sweep.floor.shape == (4, 6, 48)
    for k in (0, 5):
        assert sweep.zeta[k] == best_of_other_half({z: sweep.far[z, k] for z in (0.1, 1.0)})
        again = sliced_wasserstein(sweep.restored[k], sweep.exact, seeded())
        assert same(sweep.tuned[k], again, 1e-8)
        assert sweep.tuned[k][0] == sweep.far[sweep.zeta[k][0], k][0]


@pytest.mark.parametrize("prior", [three(48), low_rank()], ids=["full", "low rank"])
def test_judge_finds_no_fault_in_exact_restorations_and_finds_each_planted_one(prior):
    problem = Problem.draw(prior, operators.make("sr4", (3, 4, 4)), 1.0, 3, torch.Generator().manual_seed(0))
    x = problem.sample(1000, torch.Generator().manual_seed(1))
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


def test_denoising_errors_of_a_gaussian():
    """One Gaussian of variance v: the error is v (1 - a) / (a v + 1 - a) for each entry."""
    prior = LowRankMixture(torch.ones(1).double(), torch.zeros(1, 500).double(), torch.zeros(1, 500, 0), 0.3)
    schedule = Schedule.from_scheduler(DDPMScheduler(), 5)
    errors = denoising_errors(prior, schedule, 40, torch.Generator().manual_seed(0)).mean(1) / 500
    truth = [0.3 * (1 - a) / (0.3 * a + 1 - a) for a in schedule.alpha_bar[1:]]
    assert errors.tolist() == pytest.approx(truth, rel=0.05)


def test_sliced_wasserstein_of_equal_and_of_shifted_draws():
    x = torch.randn(2, 30, 8, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    twice = torch.cat([x, x], 1)
    assert sliced_wasserstein(x, twice.flip(1)).max() < 1e-12
    shifted = sliced_wasserstein(x + 0.5, twice, torch.Generator().manual_seed(0), projections=2000)
    assert (shifted - 0.5).abs().max() < 0.02


def test_energy_distance_is_fair_to_few_draws():
    g = torch.Generator().manual_seed(0)
    x, exact = torch.randn(2000, 4, 8, generator=g), torch.randn(2000, 30, 8, generator=g)
    fair, narrow, shifted = (energy_distance(some, exact) for some in (x, 0.7 * x, x + 0.3))
    assert fair.mean().abs() < 4 * fair.std() / 2000**0.5
    assert narrow.mean() > 0.02 and shifted.mean() > 0.02
    points = torch.zeros(1, 2, 9)
    assert energy_distance(points, points + 0.5).item() == pytest.approx(1)


@pytest.mark.parametrize(
    "changes, named",
    [
        ({"weights": torch.ones(0)}, "mixture"),
        ({"means": torch.zeros(3, 2)}, "mixture"),
        ({"factors": torch.zeros(2, 48, 4)}, "mixture"),
        ({"factors": torch.zeros(3, 48)}, "mixture"),
        ({"weights": torch.ones(3)}, "weights"),
        ({"floor": -0.1}, "floor"),
        ({"floor": float("nan")}, "floor"),
    ],
)
def test_bad_low_rank_mixtures(changes, named):
    good = low_rank()
    parts = {name: getattr(good, name) for name in ("weights", "means", "factors", "floor")}
    with pytest.raises(ValueError, match=f"^{named}: "):
        LowRankMixture(**(parts | changes))


@pytest.mark.parametrize(
    "entries, shape, sigma, named",
    [(3, (3, 4, 4), 0.0, "sigma"), (3, (3, 8, 4), 0.1, "A"), (5, (3, 4, 4), 0.1, "y")],
)
def test_bad_low_rank_measurements(entries, shape, sigma, named):
    with pytest.raises(ValueError, match=f"^{named}: "):
        low_rank().posterior(torch.zeros(entries), operators.make("sr4", shape), sigma)


def test_a_low_rank_posterior_is_not_measured_again():
    A = operators.make("sr4", (3, 4, 4))
    with pytest.raises(ValueError, match="^mixture: "):
        low_rank().posterior(torch.zeros(3), A, 0.1).posterior(torch.zeros(3), A, 0.1)


def test_rank_must_be_below_the_smallest_cluster():
    with pytest.raises(ValueError, match="^rank: "):
        LowRankMixture.fit(torch.randn(6, 5).double(), components=2, rank=5, floor=0.0)


def test_exact_denoiser_needs_a_sample_scheduler():
    with pytest.raises(ValueError, match="^scheduler: "):
        ExactDenoiser(gaussian(2), DDPMScheduler())
