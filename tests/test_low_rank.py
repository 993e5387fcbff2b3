"""Mixtures of low rank: everything against the same mixture with its covariances written out."""

import pytest
import torch
from examples import full, low_rank, same, seeded

from frugal import operators
from frugal.base.checks import Refusal
from frugal.laboratory import LowRankMixture


@pytest.mark.parametrize("sigma", [1e-3, 0.3])
@pytest.mark.parametrize("task", ["denoise", "colorize", "sr4", "deblur", "inpaint-box", "outpaint"])
def test_low_rank_is_the_full_mixture(task, sigma):
    prior, A, g = low_rank(), operators.make(task, (3, 4, 4)), seeded(1)
    truth = full(prior)
    y = A.measure(prior.sample(1, g).reshape(1, 3, 4, 4), 0.3, g).y[0]
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


@pytest.mark.parametrize("measured", [False, True])
def test_low_rank_samples_have_the_stated_moments(measured):
    mixture = low_rank(floor=0.2)
    if measured:
        mixture = mixture.posterior(torch.tensor([0.5, 0.2, -0.3]), operators.make("sr4", (3, 4, 4)), 0.3)
    draws, truth = mixture.sample(10_000, seeded()), full(mixture)
    standard_error = (truth.covariance().diag().max() / len(draws)) ** 0.5
    assert (draws.mean(0) - truth.mean()).abs().max() < 4.5 * standard_error
    assert (draws.T.cov() - truth.covariance()).norm() < 0.08 * truth.covariance().norm()


def test_low_rank_posterior_of_whole_pictures():
    """The mean solves m - x + C A^T (y - A x) / sigma^2 = 0, with C applied and never written out."""
    prior, A, sigma = low_rank(3 * 64 * 64, r=10), operators.make("sr4"), 0.05
    g = seeded()
    y = A.measure(prior.sample(1, g).reshape(1, 3, 64, 64), sigma, g).y
    posterior = prior.posterior(y[0], A, sigma)
    for m, F, x in zip(prior.means, prior.factors, posterior.means):
        pull = A.A_adjoint(y - A(x.reshape(1, 3, 64, 64))).flatten() / sigma**2
        assert same(m + F @ (F.T @ pull) + prior.floor * pull, x)


def test_low_rank_empirical_measure_has_no_factors():
    points = torch.randn(20, 5, generator=seeded(), dtype=torch.float64)
    measure = LowRankMixture.empirical(points)
    squared = torch.cdist(2 * points[:3], 0.5**0.5 * points) ** 2
    assert same(measure.denoise(2 * points[:3], 0.5), (-squared).softmax(1) @ points)
    drawn = measure.posterior(points[7], operators.make("denoise", (1, 1, 5)), 0.01).sample(4)
    assert torch.equal(drawn, points[7].expand(4, -1))


@pytest.mark.parametrize("task", ["denoise", "colorize", "sr4", "deblur", "inpaint-box", "outpaint"])
def test_modes_without_factors_are_the_full_mixture(task):
    A, points = operators.make(task, (3, 4, 4)), torch.randn(5, 48, generator=seeded()).double()
    prior = LowRankMixture(torch.full((5,), 0.2).double(), points, points.new_zeros(5, 48, 0), 0.05)
    y = A.measure(points[:1].reshape(1, 3, 4, 4), 0.3, seeded()).y[0]
    ours, theirs = prior.posterior(y, A, 0.3), full(prior).posterior(y, A, 0.3)
    assert same(ours.weights, theirs.weights) and same(ours.means, theirs.means)
    assert same(full(ours).covariances, theirs.covariances)


def test_low_rank_fit_recovers_two_far_planes():
    g = seeded()
    plane = torch.tensor([[[2.0, 0], [0, 1], [0, 0]], [[0.0, 1], [0, 0], [3, 0]]]).double()
    means = torch.tensor([[-20.0, 0, 0], [20, 0, 0]]).double()
    truth = LowRankMixture(torch.tensor([0.3, 0.7]).double(), means, plane, 0.01)
    fitted = LowRankMixture.fit(truth.sample(5000, g), components=2, rank=2, floor=0.01)
    order = fitted.means[:, 0].argsort()
    assert (fitted.weights[order] - truth.weights).abs().max() < 0.03
    assert (fitted.means[order] - truth.means).abs().max() < 0.15
    assert (full(fitted).covariances[order] - full(truth).covariances).abs().max() < 0.4


def test_a_low_rank_posterior_is_not_measured_again():
    A = operators.make("sr4", (3, 4, 4))
    with pytest.raises(Refusal, match="^mixture: "):
        low_rank().posterior(torch.zeros(3), A, 0.1).posterior(torch.zeros(3), A, 0.1)
