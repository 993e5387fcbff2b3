"""The likelihood score grad log p(y | x_k), the last term of Eq. 2, in its approximations.

Everything is per picture: x_k and x0_hat are (B, C, H, W), the measurement m = (y, A, sigma) holds
y (B, *measurement_shape), and the pictures of a batch do not influence each other.
"""

from collections.abc import Callable
from dataclasses import replace

import torch

from .covariance import Answer, Covariance, inner
from .measurement import Measurement
from .operators.two_functions import ImplicitOperator, conjugate_gradients
from .waves import Waves

STEERED = 16  # conjugate gradients where all s_i are one number
PLAIN = 8  # conjugate gradients where s_i differ; with twice as many, what rounding does is no longer small
LEAST = 1e-6  # of sigma in ``spectral_mean``, ten times the rounding of pictures with 32 bits
SMALL = 0.1  # of r: what rounding may put into a direction
ASKED = 0.03  # of the length of x_k: how far apart the two guesses of ``asked_guess`` are made
FARTHEST = 2.0  # that the covariance of ``asked_guess`` is stretched by
STRONGEST = 2.0  # factor of ``at_full_power``: a guess that is weaker knows nothing of the wave


def residual_gradient(
    x_k: torch.Tensor, x0_hat: torch.Tensor, m: Measurement
) -> tuple[torch.Tensor, torch.Tensor]:
    """Gradient of ||y - A x0_hat(x_k)|| in x_k, through the network that made x0_hat from x_k.

    The direction of Eq. 3 and, zeta times, the step of Eq. 3g (page 03). Returns (gradient, norm) with
    shapes (B, C, H, W) and (B,).
    """
    norm = torch.linalg.vector_norm((m.y - m.A(x0_hat)).flatten(1), dim=1)
    (gradient,) = torch.autograd.grad(norm.sum(), x_k)
    return gradient, norm.detach()


def dps_score(x_k: torch.Tensor, x0_hat: torch.Tensor, m: Measurement) -> torch.Tensor:
    """Eq. 3 (page 03; DPS, Chung et al. 2023): p(x_0 | x_k) is taken to be a point mass at x0_hat, so

    grad log p(y | x_k) ~ -1/(2 sigma^2) grad ||y - A x0_hat(x_k)||^2.

    Needs sigma > 0 and the autograd graph from x_k to x0_hat. Returns (B, C, H, W).
    """
    gradient, norm = residual_gradient(x_k, x0_hat, m)
    return -(norm / m.sigma**2).reshape(-1, 1, 1, 1) * gradient


def seen(s_i: torch.Tensor, sigma: float, r2: float, size: float = 1.0) -> torch.Tensor:
    """Which singular directions the filter r2 s_i / (sigma^2 + r2 s_i^2) may be used in, (r,) of bool.

    Rounding leaves an error eps s_1 size in every number of U^T (y - A x), s_1 the largest singular value and
    ``size`` that of x, and the filter enlarges it. Where it would pass ``SMALL`` of r, the standard deviation
    that is open, A sees nothing: there with sigma = 0 pictures would be made of rounding, and with s_i = 0 of
    0 / 0. For sigma well above eps all directions with s_i > 0 are seen.
    """
    rounding = torch.finfo(s_i.dtype).eps * s_i.max() * size
    return (s_i > 0) & (rounding * r2**0.5 * s_i <= SMALL * (sigma**2 + r2 * s_i**2))


def dmps_score_dense(x_k: torch.Tensor, m: Measurement, alpha_bar: float) -> torch.Tensor:
    """Eq. 5 (page 04; DMPS, Meng & Kabashima 2022) with A as a dense matrix and a linear solve:

    grad log p(y | x_k) ~ 1/sqrt(alpha_bar) A^T (sigma^2 I + s^2 A A^T)^{-1} (y - A x_k / sqrt(alpha_bar)),
    s^2 = (1 - alpha_bar) / alpha_bar. Costs O(m^3); here to be read and to check Eq. 6 against.
    Returns (B, C, H, W).
    """
    M = m.A.matrix().to(x_k)
    s2 = (1 - alpha_bar) / alpha_bar
    covariance = m.sigma**2 * torch.eye(len(M)).to(M) + s2 * M @ M.T
    residual = m.y.flatten(1).T - M @ x_k.flatten(1).T / alpha_bar**0.5
    return (M.T @ torch.linalg.solve(covariance, residual) / alpha_bar**0.5).T.reshape(x_k.shape)


def dmps_score(x_k: torch.Tensor, m: Measurement, alpha_bar: float) -> torch.Tensor:
    """Eq. 6 (page 04): Eq. 5 through A = U diag(s_i) V^T, at the price of one V^T, U^T and V:

    grad log p(y | x_k) ~ 1/sqrt(alpha_bar) V diag(s_i / (sigma^2 + s^2 s_i^2))
                          (U^T y - diag(s_i) V^T x_k / sqrt(alpha_bar)).

    Directions that A does not see (``seen``) get nothing. Without singular values Eq. 5 itself, by conjugate
    gradients. Returns (B, C, H, W).
    """
    s2 = (1 - alpha_bar) / alpha_bar
    if isinstance(m.A, ImplicitOperator):
        return m.A.pull(m.y - m.A(x_k) / alpha_bar**0.5, m.sigma, s2) / alpha_bar**0.5
    A, s_i = m.A, m.A.s(x_k)
    residual = A.Ut(m.y) - s_i * A.Vt(x_k) / alpha_bar**0.5
    those = seen(s_i, m.sigma, s2, alpha_bar**-0.5)
    gain = torch.where(those, s_i / (m.sigma**2 + s2 * s_i**2), 0)
    return A.V(gain * residual) / alpha_bar**0.5


def centred_mean(x0_hat: torch.Tensor, m: Measurement, r2: float) -> torch.Tensor:
    """Eq. 14b (page 14): E[x_0 | x_k, y], Eq. 1, where p(x_0 | x_k) is taken to be N(x0_hat, r2 I), r2 > 0:

    x0_hat + V diag(r2 s_i / (sigma^2 + r2 s_i^2)) (U^T y - diag(s_i) V^T x0_hat).

    Eq. 6 with the guess in the place of x_k / sqrt(alpha_bar), so that the prior counts once. Directions that A
    does not see (``seen``) keep the guess. Returns (B, C, H, W).
    """
    if isinstance(m.A, ImplicitOperator):
        return x0_hat + r2 * m.A.pull(m.y - m.A(x0_hat), m.sigma, r2)
    A, s_i = m.A, m.A.s(x0_hat)
    gain = torch.where(seen(s_i, m.sigma, r2), r2 * s_i / (m.sigma**2 + r2 * s_i**2), 0)
    return x0_hat + A.V(gain * (A.Ut(m.y) - s_i * A.Vt(x0_hat)))


def spectral_pull(
    x0_hat: torch.Tensor, m: Measurement, C: Covariance, iterations: int = STEERED
) -> torch.Tensor:
    """p = A^T (sigma^2 I + A C A^T)^{-1} (y - A x0_hat) of Eq. 14f (page 14); in double precision.

    The inverse has no formula, for A and the waves W of C have other directions: conjugate gradients stand for it,
    in double precision, for they enlarge what rounding does. Where A's singular values are all one s, ``iterations``
    of them are steered by A W (s^2 c + sigma^2)^{-1} W^T A^T / s^2, the inverse if A hid nothing; without it a hidden
    box is far from solved after so many. Else there are ``PLAIN``, which
    U diag(1 / (sigma^2 + s_i^2 mean(c))) U^T steers, the inverse if all waves varied alike; without it a blur is far
    from solved. Where the s_i are not known, or fewer than the numbers of y, nothing does.
    sigma counts as at least ``LEAST``, so that with sigma = 0 what A does not see is not made of the rounding of y.
    Returns (B, C, H, W).
    """
    sigma = max(m.sigma, LEAST)
    guess, y, A, waves = x0_hat.double(), m.y.double(), m.A, C.waves
    K = lambda u: sigma**2 * u + A.A(C(A.A_adjoint(u)))
    near = lambda r: r
    if s2 := A.one_singular_value**2:
        near = lambda r: A.A(waves.W(waves.Wt(A.A_adjoint(r)) / (s2 * C.c + sigma**2))) / s2
    elif len(A.singular_values) == y[0].numel():
        gain = 1 / (sigma**2 + A.s(y) ** 2 * C.c.mean())
        near = lambda r: A.U(gain * A.Ut(r))
    u = conjugate_gradients(K, y - A.A(guess), iterations if s2 else PLAIN, about=near)
    return A.A_adjoint(u)


def spectral_mean(
    x0_hat: torch.Tensor, m: Measurement, C: Covariance, iterations: int = STEERED
) -> torch.Tensor:
    """Eq. 14f (page 14): E[x_0 | x_k, y], Eq. 1, where p(x_0 | x_k) is N(x0_hat, C):

    x0_hat + C A^T (sigma^2 I + A C A^T)^{-1} (y - A x0_hat), see ``spectral_pull``. Returns (B, C, H, W).
    """
    return (x0_hat + C(spectral_pull(x0_hat, m, C, iterations))).to(x0_hat.dtype)


def asked_guess(
    denoise: Callable[[torch.Tensor, int], torch.Tensor],
    k: int,
    x_k: torch.Tensor,
    x0_hat: torch.Tensor,
    m: Measurement,
    C: Covariance,
    alpha_bar: float,
) -> tuple[torch.Tensor, Answer]:
    """Eq. 14i (page 14): the guess, moved along q = C p with the network's own C, and this as an ``Answer``.

    p is ``spectral_pull``. The network's C is (1 - alpha_bar) / sqrt(alpha_bar) J with J its Jacobian (Eq. 5a), and
    J p is a difference of two guesses, ``ASKED`` of x_k's length apart: one more pass, no back-propagation. The length
    of the move is that which leaves the least residual, between 0 and ``FARTHEST``. The guess is (B, C, H, W).
    """
    tiny, s2 = torch.finfo(x_k.dtype).tiny, (1 - alpha_bar) / alpha_bar
    p = spectral_pull(x0_hat, m, C).to(x_k.dtype)
    h = ASKED * (inner(x_k, x_k) / inner(p, p).clamp_min(tiny)).sqrt().clamp_max(tiny**-0.5)
    q = (denoise(x_k + h * p, k) - x0_hat) * (1 - alpha_bar) / (h * alpha_bar**0.5)
    residual, seen_of_it = (m.y - m.A(x0_hat)).flatten(1), m.A(q).flatten(1)
    length = (residual * seen_of_it).sum(1) / seen_of_it.square().sum(1).clamp_min(tiny)
    return x0_hat + length.clamp(0, FARTHEST).reshape(-1, 1, 1, 1) * q, Answer.of(p, q, s2)


def spectral_draw(
    x0_hat: torch.Tensor,
    m: Measurement,
    C: Covariance,
    tau: float,
    noise: Callable[[], torch.Tensor],
    iterations: int = STEERED,
    wide: torch.Tensor | None = None,
) -> torch.Tensor:
    """Eq. 14g (page 14): a draw around ``spectral_mean``, of tau^2 times the covariance of x_0 given x_k and y.

    It is the mean for a guess and a measurement that are themselves drawn: x0_hat + tau W c^{1/2} z and
    y + tau sigma n. ``noise`` () gives standard normal pictures (B, C, H, W). ``wide`` (C, H, W) stands for tau in the
    guess, along each wave its own (Eq. 14n). What was asked does not count in the width. Returns (B, C, H, W).
    """
    z, n = noise(), noise().flatten(1)
    while n.shape[1] < m.y[0].numel():
        n = torch.cat([n, noise().flatten(1)], 1)
    n = n[:, : m.y[0].numel()].reshape(m.y.shape)
    along = tau if wide is None else wide.to(C.c)
    moved = x0_hat + C.waves.W(along * C.c.sqrt() * z).to(z)
    return spectral_mean(moved, replace(m, y=m.y + tau * m.sigma * n), C, iterations)


def at_full_power(x0_hat: torch.Tensor, c: torch.Tensor, v: torch.Tensor, share: float = 1.0) -> torch.Tensor:
    """Eq. 14j (page 14): the guess with the variance that pictures have along each wave.

    A picture varies by v along a wave, and c of it is open, so the guess, a mean, varies by v - c only: it is smooth.
    W diag(sqrt(v / (v - c))) W^T gives it v again, the smallest move that does so if all is Gaussian (Freirich,
    Michaeli & Meir 2021), and ``share`` is how far it goes. c and v (C, H, W). Returns (B, C, H, W).
    """
    waves = Waves(x0_hat)
    factor = (v / (v - c).clamp_min(v / STRONGEST**2)).sqrt().to(x0_hat)
    return waves.W((1 + share * (factor - 1)) * waves.Wt(x0_hat))
