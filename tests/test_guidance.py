"""Eq. 5 against Eq. 6 and a Gaussian conditional, Eq. 3 against finite differences."""

import pytest
import torch

from frugal import Measurement, guidance, operators

SHAPE = (3, 16, 16)


def drawn(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize("task", [t for t in operators.TASKS if t != "inpaint"])
@pytest.mark.parametrize("sigma, alpha_bar", [(0.01, 0.99), (0.01, 0.3), (0.5, 0.02)])
def test_eq5_dense_equals_eq6_by_svd(task, sigma, alpha_bar):
    A = operators.make(task, SHAPE)
    x_k, y = drawn(2, *SHAPE), drawn(2, *A.measurement_shape, seed=1)
    m = Measurement(y, A, sigma)
    difference = guidance.dmps_score(x_k, m, alpha_bar) - guidance.dmps_score_dense(x_k, m, alpha_bar)
    assert difference.abs().max() < 1e-10


@pytest.mark.parametrize("task", ["sr4", "colorize", "deblur-motion"])
def test_eq5_is_the_score_of_the_gaussian_it_stands_for(task):
    """p(y | x_k) = N(A x_k / sqrt(abar), sigma^2 I + s^2 A A^T), differentiated automatically."""
    A, sigma, alpha_bar = operators.make(task, (3, 16, 16)), 0.3, 0.4
    x_k, y = drawn(1, *SHAPE).requires_grad_(), drawn(1, *A.measurement_shape, seed=1)
    M = A.matrix()
    covariance = sigma**2 * torch.eye(len(M), dtype=M.dtype) + (1 - alpha_bar) / alpha_bar * M @ M.T
    density = torch.distributions.MultivariateNormal(M @ x_k.flatten() / alpha_bar**0.5, covariance)
    (score,) = torch.autograd.grad(density.log_prob(y.flatten()), x_k)
    assert (guidance.dmps_score(x_k.detach(), Measurement(y, A, sigma), alpha_bar) - score).abs().max() < 1e-9


def test_eq6_without_noise_is_finite_where_the_operator_is_blind():
    A = operators.make("deblur", SHAPE, kernel=torch.ones(1, 2))
    x_k = drawn(1, *SHAPE)
    assert guidance.dmps_score(x_k, A.measure(x_k, 0.0), 0.5).isfinite().all()


def test_eq3_against_finite_differences():
    A, sigma = operators.make("sr4", SHAPE), 0.1
    guess = lambda x: torch.tanh(x.roll(1, -1)) + 0.3 * x**2
    x_k, y, d = drawn(1, *SHAPE), drawn(1, *A.measurement_shape, seed=1), drawn(1, *SHAPE, seed=2)
    variable = x_k.clone().requires_grad_()
    score = guidance.dps_score(variable, guess(variable), Measurement(y, A, sigma))
    log_likelihood = lambda x: -(y - A(guess(x))).square().sum() / (2 * sigma**2)
    h = 1e-5
    slope = (log_likelihood(x_k + h * d) - log_likelihood(x_k - h * d)) / (2 * h)
    assert abs(slope - (score * d).sum()) < 1e-6 * abs(slope)


def test_the_norm_of_eq3_is_taken_picture_by_picture():
    A = operators.make("sr4", SHAPE)
    x_k, y = drawn(3, *SHAPE), drawn(3, *A.measurement_shape, seed=1)
    m, variable = Measurement(y, A, 0.1), x_k.clone().requires_grad_()
    together, _ = guidance.residual_gradient(variable, variable.sin(), m)
    for b in range(3):
        alone = x_k[b : b + 1].clone().requires_grad_()
        gradient, _ = guidance.residual_gradient(alone, alone.sin(), m[b : b + 1])
        assert (together[b : b + 1] - gradient).abs().max() < 1e-12
