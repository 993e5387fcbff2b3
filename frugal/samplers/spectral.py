"""The closed form with a covariance by frequency: a guess is wrong in its coarse waves first (page 14).

``variances``  c >= 0, (C, H, W): the variance of x_0 given x_k along each wave
``spectrum``   such variances by k (``pipeline.spectrum``); t + 1 tensors
"""

from collections.abc import Sequence

import torch

from .closed_form import by_mean
from ..operators.two_functions import conjugate_gradients
from ..measurement import Measurement
from .poster import Callback, Denoise, Noise, Pair, keep
from ..schedule import Schedule
from ..waves import Waves

ITERATIONS = 8  # of conjugate gradients; with many more, what rounding does is no longer small


def spectral_mean(x0_hat: torch.Tensor, m: Measurement, variances: torch.Tensor) -> torch.Tensor:
    """Eq. 14f (page 14): E[x_0 | x_k, y], Eq. 1, where p(x_0 | x_k) is N(x0_hat, C) with C = W diag(c) W^T:

    x0_hat + C A^T (sigma^2 I + A C A^T)^{-1} (y - A x0_hat).

    The inverse has no formula, for A and W have other directions: ``ITERATIONS`` steps of conjugate gradients
    stand for it, which find the coarse waves first. All is in double precision. Returns (B, C, H, W).
    """
    guess, y, A, waves = x0_hat.double(), m.y.double(), m.A, Waves(x0_hat.double())
    spread = lambda x: waves.W(variances * waves.Wt(x))
    K = lambda u: m.sigma**2 * u + A.A(spread(A.A_adjoint(u)))
    u = conjugate_gradients(K, y - A.A(guess), ITERATIONS)
    return (guess + spread(A.A_adjoint(u))).to(x0_hat.dtype)


def spectral(
    denoise: Denoise,
    schedule: Schedule,
    m: Measurement,
    noise: Noise,
    spectrum: Sequence[torch.Tensor],
    eta: float = 1.0,
    callback: Callback = keep,
) -> Pair:
    """Eq. 14d with ``spectral_mean`` at every step; t network calls, forward only."""
    mean = lambda k, x0_hat: spectral_mean(x0_hat, m, spectrum[k].to(x0_hat.device))
    return by_mean(denoise, schedule, mean, noise, eta, callback)
