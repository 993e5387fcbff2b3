"""Mixtures with full covariances: denoiser by quadrature, posterior by conditioning, score by automatic gradients."""

import pytest
import torch
from examples import gaussian, seeded, three

from frugal import operators
from frugal.laboratory import GaussianMixture


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
    y = A(prior.sample(1, seeded(1)).reshape(1, 3, 4, 4)).flatten()
    precision = prior.covariances[0].inverse() + M.T @ M / sigma**2
    mean = torch.linalg.solve(precision, prior.covariances[0].inverse() @ prior.means[0] + M.T @ y / sigma**2)
    posterior = prior.posterior(y, M, sigma)
    assert (posterior.mean() - mean).abs().max() < 1e-9
    assert (posterior.covariance() - precision.inverse()).abs().max() < 1e-9


def test_samples_have_the_stated_moments():
    prior = gaussian(6)
    draws = prior.sample(40_000, seeded())
    assert (draws.mean(0) - prior.mean()).abs().max() < 0.01
    assert (draws.T.cov() - prior.covariance()).abs().max() < 0.01


@pytest.mark.parametrize("task", ["denoise", "colorize", "sr4", "deblur", "inpaint-box", "outpaint"])
@pytest.mark.parametrize("alpha_bar", [0.9999, 0.6, 0.01])
def test_likelihood_score_against_the_gradient_of_the_joint_density(task, alpha_bar):
    """log p(y | x_k) = log p(x_k, y) - log p(x_k), each a mixture of Gaussians; autograd does the rest."""
    prior, A, sigma = three(48), operators.make(task, (3, 4, 4)), 0.1
    M, a = A.matrix(), alpha_bar**0.5
    g = seeded(1)
    x0 = prior.sample(4, g)
    x_k = (a * x0 + (1 - alpha_bar) ** 0.5 * torch.randn(x0.shape, generator=g).double()).requires_grad_()
    y = A.measure(x0[:1].reshape(1, 3, 4, 4), sigma, g).y.flatten()

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
    draws = posterior.sample(20_000, seeded())
    standard_error = (posterior.covariance().diag().max() / len(draws)) ** 0.5
    assert (draws.mean(0) - posterior.mean()).abs().max() < 4 * standard_error
    assert abs(draws.T.cov().trace() / posterior.covariance().trace() - 1) < 0.02


def test_posterior_is_sound_where_the_noise_is_tiny():
    prior, A = three(48), operators.make("inpaint-box", (3, 4, 4))
    x0 = prior.sample(1, seeded())[0]
    posterior = prior.posterior(A.matrix() @ x0, A.matrix(), 1e-6)
    assert (A.matrix() @ (posterior.mean() - x0)).abs().max() < 1e-5


def test_empirical_measure_is_the_limit_of_zero_covariance():
    points = torch.randn(20, 5, generator=seeded(), dtype=torch.float64)
    measure, nearly = (
        GaussianMixture(torch.full((20,), 0.05).double(), points, v * torch.eye(5).double().expand(20, 5, 5))
        for v in (0.0, 1e-10)
    )
    x_k = 2 * points[:3]
    assert (measure.denoise(x_k, 0.5) - nearly.denoise(x_k, 0.5)).abs().max() < 1e-7
    squared = torch.cdist(x_k, 0.5**0.5 * points) ** 2
    assert (measure.denoise(x_k, 0.5) - (-squared).softmax(1) @ points).abs().max() < 1e-12
    drawn = measure.posterior(points[7], torch.eye(5).double(), 0.01).sample(4, seeded())
    assert torch.equal(drawn, points[7].expand(4, -1))


def test_fit_recovers_two_far_clusters():
    g = seeded()
    covariances = [[[1.0, 0.5], [0.5, 1]], [[2.0, 0], [0, 1]]]
    truth = GaussianMixture(
        *(torch.tensor(v).double() for v in ([0.3, 0.7], [[-5.0, 0], [5, 1]], covariances))
    )
    fitted = GaussianMixture.fit(truth.sample(5000, g), components=2, floor=1e-6)
    order = fitted.means[:, 0].argsort()
    assert (fitted.weights[order] - truth.weights).abs().max() < 0.03
    assert (fitted.means[order] - truth.means).abs().max() < 0.1
    assert (fitted.covariances[order] - truth.covariances).abs().max() < 0.15


def test_log_joint_is_the_density_of_the_noisy_mixture():
    prior, alpha_bar = three(6), 0.3
    x_k = torch.linspace(-1, 1, 12, dtype=torch.float64).reshape(2, 6)
    covariances = alpha_bar * prior.covariances + (1 - alpha_bar) * torch.eye(6, dtype=torch.float64)
    parts = torch.distributions.MultivariateNormal(alpha_bar**0.5 * prior.means, covariances)
    truth = parts.log_prob(x_k[:, None]) + prior.weights.log()
    assert (prior.log_joint(x_k, alpha_bar) - truth).abs().max() < 1e-10
