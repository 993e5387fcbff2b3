"""The closed form with a covariance by frequency: a guess is wrong in its coarse waves first (page 14).

``variances``  c >= 0, (C, H, W): the variance of x_0 given x_k along each wave
``spectrum``   such variances by k (``pipeline.spectrum``); t + 1 tensors
"""

import math
from collections.abc import Sequence

import torch

from .measurement import Measurement
from .rivals import none_back_propagated
from .samplers import Callback, Denoise, Noise, Pair, keep
from .schedule import Schedule, ddim, noise_in

ITERATIONS = 8  # of conjugate gradients; with many more, what rounding does is no longer small
OPPONENT = (
    (1.0, 1.0, 1.0),
    (1.0, 0.0, -1.0),
    (1.0, -2.0, 1.0),
)  # light, red against blue, green against both


def cosines(n: int, like: torch.Tensor) -> torch.Tensor:
    """The orthonormal cosine transform of n numbers (DCT-II), (n, n)."""
    i = torch.arange(n, device=like.device, dtype=like.dtype)
    D = (2 / n) ** 0.5 * torch.cos(math.pi * i[:, None] * (2 * i + 1) / (2 * n))
    D[0] /= 2**0.5
    return D


def colours(channels: int, like: torch.Tensor) -> torch.Tensor:
    """An orthonormal basis of light and two colours; for other than three channels each by itself."""
    P = torch.tensor(OPPONENT).to(like) if channels == 3 else torch.eye(channels).to(like)
    return P / P.norm(dim=1, keepdim=True)


class Waves:
    """Eq. 14d (page 14): W, orthonormal, whose columns are cosine waves of light and of colour."""

    def __init__(self, like: torch.Tensor) -> None:
        self.P = colours(like.shape[1], like)
        self.rows, self.columns = (cosines(n, like) for n in like.shape[2:])

    def Wt(self, x: torch.Tensor) -> torch.Tensor:
        """W^T x, (B, C, H, W) both: colours first, then waves from coarse to fine."""
        return torch.einsum("pc,bchw->bphw", self.P, self.rows @ x @ self.columns.T)

    def W(self, c: torch.Tensor) -> torch.Tensor:
        """W c."""
        return torch.einsum("pc,bphw->bchw", self.P, self.rows.T @ c @ self.columns)


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
def spectral(
    denoise: Denoise,
    schedule: Schedule,
    m: Measurement,
    noise: Noise,
    spectrum: Sequence[torch.Tensor],
    eta: float = 1.0,
    callback: Callback = keep,
) -> Pair:
    """Eq. 14c with ``spectral_mean`` in the place of the mean, at every step; t network calls, forward only."""
    x = noise()
    for k in schedule.steps:
        z, x0_hat = noise(), denoise(x, k)
        x0 = spectral_mean(x0_hat, m, spectrum[k].to(x.device))
        x = ddim(schedule, k, x0, noise_in(schedule, k, x, x0_hat), z, eta)
        x = callback(k, x, x0_hat)
    return x, none_back_propagated(x)
