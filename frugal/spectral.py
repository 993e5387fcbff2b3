"""The closed form with a covariance by frequency: a guess is wrong in its coarse waves first (page 14).

``variances``  c >= 0, (C, H, W): the variance of x_0 given x_k along each wave
``spectrum``   such variances by k (``pipeline.spectrum``); t + 1 tensors
"""

from collections.abc import Sequence

import torch

from .measurement import Measurement
from .rivals import none_back_propagated
from .samplers import Callback, Denoise, Noise, Pair, keep
from .schedule import Schedule, ddim, noise_in
from .waves import Waves

ITERATIONS = 8  # of conjugate gradients; with many more, what rounding does is no longer small


def spectral_mean(x0_hat: torch.Tensor, m: Measurement, variances: torch.Tensor) -> torch.Tensor:
    """Eq. 14e (page 14): E[x_0 | x_k, y], Eq. 1, where p(x_0 | x_k) is N(x0_hat, C) with C = W diag(c) W^T:

    x0_hat + C A^T (sigma^2 I + A C A^T)^{-1} (y - A x0_hat).

    The inverse has no formula, for A and W have other directions: ``ITERATIONS`` steps of conjugate gradients
    stand for it, which find the coarse waves first. All is in double precision. Returns (B, C, H, W).
    """
    guess, y, A, waves = x0_hat.double(), m.y.double(), m.A, Waves(x0_hat.double())
    spread = lambda x: waves.W(variances * waves.Wt(x))
    inner = lambda a, b: (a * b).flatten(1).sum(1).reshape(-1, *[1] * (a.ndim - 1))
    tiny = torch.finfo(torch.float64).tiny
    residual = y - A.A(guess)
    u, p, now = torch.zeros_like(residual), residual, inner(residual, residual)
    for _ in range(ITERATIONS):
        Kp = m.sigma**2 * p + A.A(spread(A.A_adjoint(p)))
        step = now / inner(p, Kp).clamp_min(tiny)
        u, residual = u + step * p, residual - step * Kp
        before, now = now, inner(residual, residual)
        p = residual + now / before.clamp_min(tiny) * p
    return (guess + spread(A.A_adjoint(u))).to(x0_hat.dtype)


@torch.no_grad()
def spectral_step(
    denoise: Denoise,
    schedule: Schedule,
    k: int,
    x_k: torch.Tensor,
    z: torch.Tensor,
    m: Measurement,
    variances: torch.Tensor,
    eta: float,
) -> Pair:
    """Eq. 14c with ``spectral_mean`` in the place of the mean. Returns (x_{k-1}, x0_hat)."""
    x0_hat = denoise(x_k, k)
    x0 = spectral_mean(x0_hat, m, variances.to(x_k.device))
    return ddim(schedule, k, x0, noise_in(schedule, k, x_k, x0_hat), z, eta), x0_hat


def spectral(
    denoise: Denoise,
    schedule: Schedule,
    m: Measurement,
    noise: Noise,
    spectrum: Sequence[torch.Tensor],
    eta: float = 1.0,
    callback: Callback = keep,
) -> Pair:
    """``spectral_step`` at every step; t network calls, forward only."""
    x = noise()
    for k in schedule.steps:
        x, x0_hat = spectral_step(denoise, schedule, k, x, noise(), m, spectrum[k], eta)
        x = callback(k, x, x0_hat)
    return x, none_back_propagated(x)
