"""Exact priors: denoiser against quadrature, posterior against conditioning, samplers against the posterior mean."""

import pytest
import torch
from diffusers import DDPMScheduler

from frugal import RestorationPipeline, operators
from frugal.exact import ExactDenoiser, GaussianMixture


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
        (torch.ones(1), torch.ones(1, 2), torch.tensor([[[1.0, 0], [0, -1]]]), "covariances"),
        (torch.ones(1), torch.ones(1, 2), torch.tensor([[[1.0, 1], [0, 1]]]), "covariances"),
    ],
)
def test_bad_mixtures(weights, means, covariances, named):
    with pytest.raises(ValueError, match=f"^{named}: "):
        GaussianMixture(weights, means, covariances)


def test_exact_posterior_needs_noise():
    with pytest.raises(ValueError, match="^sigma: "):
        gaussian(2).posterior(torch.zeros(2).double(), torch.eye(2).double(), 0.0)


def test_exact_denoiser_needs_a_sample_scheduler():
    with pytest.raises(ValueError, match="^scheduler: "):
        ExactDenoiser(gaussian(2), DDPMScheduler())
