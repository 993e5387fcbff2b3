"""Samplers of others, in this book's symbols and over the same operators.

So methods differ in their rule and in nothing else. ``eta`` is the share of a step's noise that is drawn anew: 0
keeps the guess's own, 1 is the reverse step of Ho et al. Only ``pigdm`` back-propagates. Defaults are those of the
authors' code, or of InverseBench or deepinv where they were read there.
"""

import torch

from ..guidance import centred_mean
from ..measurement import Measurement
from .poster import Callback, Denoise, Noise, Pair, keep
from ..schedule import Schedule, ddim, noise_in


def none_back_propagated(x: torch.Tensor) -> torch.Tensor:
    """The count of back-propagated calls of pictures x (B, ...) where there are none: (B,) zeros."""
    return torch.zeros(len(x), dtype=torch.long)


def pigdm_step(
    denoise: Denoise,
    schedule: Schedule,
    k: int,
    x_k: torch.Tensor,
    z: torch.Tensor,
    m: Measurement,
    eta: float,
) -> Pair:
    """Pseudo-inverse guidance (Song, Vahdat, Mardani & Kautz 2023). Returns (x_{k-1}, x0_hat).

    The Gaussian N(x0_hat, r^2 I) with r^2 = 1 - alpha_bar for p(x_0 | x_k), and the gradient through the guess.
    """
    alpha_bar = schedule.alpha_bar[k]
    with torch.enable_grad():
        x_k = x_k.detach().requires_grad_()
        x0_hat = denoise(x_k, k)
        guess = x0_hat.detach()
        pull = centred_mean(guess, m, 1 - alpha_bar) - guess
        (gradient,) = torch.autograd.grad((pull * x0_hat).sum(), x_k)
    x_k, x0_hat = x_k.detach(), x0_hat.detach()
    x_prime = ddim(schedule, k, x0_hat, noise_in(schedule, k, x_k, x0_hat), z, eta)
    return x_prime + alpha_bar**0.5 * gradient, x0_hat


def pigdm(
    denoise: Denoise,
    schedule: Schedule,
    m: Measurement,
    noise: Noise,
    eta: float = 0.2,
    callback: Callback = keep,
) -> Pair:
    """PiGDM at every step (``pigdm_step``); t network calls, each back-propagated."""
    x = noise()
    for k in schedule.steps:
        x, x0_hat = pigdm_step(denoise, schedule, k, x, noise(), m, eta)
        x = callback(k, x, x0_hat)
    return x, torch.full((len(x),), schedule.t)


@torch.no_grad()
def ddrm(
    denoise: Denoise,
    schedule: Schedule,
    m: Measurement,
    noise: Noise,
    eta: float = 0.85,
    callback: Callback = keep,
) -> Pair:
    """Denoising diffusion restoration (Kawar et al. 2022) with eta_b = 1; t network calls.

    In x / sqrt(alpha_bar) every singular direction is a measurement ybar = (U^T y)_i / s_i of noise sigma / s_i:
    where this is less noise than the step leaves, it replaces the guess, else it pulls at it.
    """
    A, x = m.A, noise()
    seen = (s_i := A.s(x)) > 0
    level = m.sigma / s_i.clamp_min(1e-12)
    y_bar = A.Ut(m.y) / s_i.clamp_min(1e-12)
    keep = (1 - eta**2) ** 0.5
    for k in schedule.steps:
        s, s_next, z = schedule.s[k], schedule.s[k - 1], noise()
        x0_hat, x_bar = denoise(x, k), x / schedule.alpha_bar[k] ** 0.5
        free = x0_hat + keep * s_next / s * (x_bar - x0_hat) + eta * s_next * z
        guess, z_i = A.Vt(x0_hat), A.Vt(z)
        noisy = guess + keep * s_next / level.clamp_min(1e-12) * (y_bar - guess) + eta * s_next * z_i
        clear = y_bar + (s_next**2 - level**2).clamp_min(0) ** 0.5 * z_i
        known = torch.where(level > s_next, noisy, clear)
        x = schedule.alpha_bar[k - 1] ** 0.5 * (free + A.V(torch.where(seen, known - A.Vt(free), 0)))
        x = callback(k, x, x0_hat)
    return x, none_back_propagated(x)


@torch.no_grad()
def ddnm(
    denoise: Denoise,
    schedule: Schedule,
    m: Measurement,
    noise: Noise,
    eta: float = 0.85,
    callback: Callback = keep,
) -> Pair:
    """Null-space restoration in its noisy form, DDNM+ (Wang, Yu & Zhang 2023); t network calls.

    What A sees of the guess is replaced by A^+ y, or drawn towards it where that is noisier than the step.
    """
    A, x = m.A, noise()
    seen = (s_i := A.s(x)) > 0
    level = m.sigma / s_i.clamp_min(1e-12)
    y_bar = A.Ut(m.y) / s_i.clamp_min(1e-12)
    keep = (1 - eta**2) ** 0.5
    for k in schedule.steps:
        x0_hat, z = denoise(x, k), noise()
        a, b = schedule.alpha_bar[k - 1] ** 0.5, (1 - schedule.alpha_bar[k - 1]) ** 0.5
        noisy = level * a > b
        weight = torch.where(noisy, keep * b / (a * level).clamp_min(1e-12), 1)
        pulled = x0_hat + A.V(torch.where(seen, weight * (y_bar - A.Vt(x0_hat)), 0))
        free = b * (eta * z + keep * noise_in(schedule, k, x, x0_hat))
        left = torch.where(noisy, b * eta, (b**2 - (a * level) ** 2).clamp_min(0) ** 0.5)
        fresh = free + A.V(torch.where(seen, left * A.Vt(z) - A.Vt(free), 0))
        x = callback(k, a * pulled + fresh, x0_hat)
    return x, none_back_propagated(x)


@torch.no_grad()
def diffpir(
    denoise: Denoise,
    schedule: Schedule,
    m: Measurement,
    noise: Noise,
    rho: float = 7.0,
    eta: float = 0.1,
    callback: Callback = keep,
) -> Pair:
    """DiffPIR (Zhu et al. 2023, Algorithm 1); t network calls.

    ``centred_mean`` with r^2 = s_k^2 / rho, then the noise that x_k has *given that mean*, a share ``eta`` of its
    variance drawn anew.
    """
    x = noise()
    for k in schedule.steps:
        x0_hat = denoise(x, k)
        x0 = centred_mean(x0_hat, m, schedule.s[k] ** 2 / rho)
        eps = (1 - eta) ** 0.5 * noise_in(schedule, k, x, x0) + eta**0.5 * noise()
        alpha_bar = schedule.alpha_bar[k - 1]
        x = callback(k, alpha_bar**0.5 * x0 + (1 - alpha_bar) ** 0.5 * eps, x0_hat)
    return x, none_back_propagated(x)


@torch.no_grad()
def reddiff(
    denoise: Denoise,
    schedule: Schedule,
    m: Measurement,
    noise: Noise,
    weight: float = 0.25,
    rate: float = 0.1,
    callback: Callback = keep,
) -> Pair:
    """RED-diff (Mardani et al. 2024, Algorithm 1): one picture mu, moved by Adam; t network calls.

    Minimises mean ||y - A mu||^2 / 2 + weight s_k (eps_hat - eps) . mu, whose second gradient is
    weight (mu - x0_hat) at x_k = sqrt(alpha_bar) mu + sqrt(1 - alpha_bar) eps.
    """
    A, eps = m.A, noise()
    mu = A.A_pinv(m.y)
    adam = torch.optim.Adam([mu], rate)
    numbers, measured = mu[0].numel(), m.y[0].numel()
    for k in schedule.steps:
        alpha_bar, eps = schedule.alpha_bar[k], noise()
        x0_hat = denoise(alpha_bar**0.5 * mu + (1 - alpha_bar) ** 0.5 * eps, k)
        mu.grad = A.A_adjoint(A(mu) - m.y) / measured + weight * (mu - x0_hat) / numbers
        adam.step()
        mu.copy_(callback(k, mu, x0_hat))
    return mu, none_back_propagated(mu)


@torch.no_grad()
def daps(
    denoise: Denoise,
    schedule: Schedule,
    m: Measurement,
    noise: Noise,
    ode: int = 1,
    callback: Callback = keep,
) -> Pair:
    """DAPS (Zhang et al. 2025, Algorithm 1); at most ``ode`` network calls a step.

    A guess by ``ode`` DDIM steps from x_k to 0, then x_0 drawn from N(guess, s_k^2 I) given y, then fresh noise of
    the next level. The draw has a closed form for a linear A. Directions that A does not see keep the guess: the
    authors' hundred short Langevin steps hardly move them either.
    """
    A, x = m.A, noise()
    s_i = A.s(x)
    for k in schedule.steps:
        x0_hat, at = x, k
        for below in torch.linspace(k, 0, min(ode, k) + 1).round().long().tolist()[1:]:
            guess = denoise(x0_hat, at)
            x0_hat = ddim(schedule, at, guess, noise_in(schedule, at, x0_hat, guess), 0, 0, below)
            at = below
        r2 = schedule.s[k] ** 2
        width = torch.where(s_i > 0, m.sigma * (r2 / (m.sigma**2 + r2 * s_i**2)) ** 0.5, 0)
        x0 = centred_mean(x0_hat, m, r2) + A.V(width * A.Vt(noise()))
        alpha_bar = schedule.alpha_bar[k - 1]
        x = callback(k, alpha_bar**0.5 * x0 + (1 - alpha_bar) ** 0.5 * noise(), x0_hat)
    return x, none_back_propagated(x)


@torch.no_grad()
def mpgd(
    denoise: Denoise,
    schedule: Schedule,
    m: Measurement,
    noise: Noise,
    scale: float = 10.0,
    eta: float = 0.5,
    callback: Callback = keep,
) -> Pair:
    """Manifold-preserving guidance without its projection (He et al. 2024, Algorithm 1); t network calls.

    DPS's gradient taken in the guess itself, not in x_k: x0_hat + scale / sqrt(alpha_bar) A^T r / ||r||.
    """
    x = noise()
    for k in schedule.steps:
        x0_hat = denoise(x, k)
        residual = m.y - m.A(x0_hat)
        norm = torch.linalg.vector_norm(residual.flatten(1), dim=1).reshape(-1, 1, 1, 1)
        pull = scale / schedule.alpha_bar[k] ** 0.5 * m.A.A_adjoint(residual) / norm.clamp_min(1e-12)
        x = ddim(schedule, k, x0_hat + pull, noise_in(schedule, k, x, x0_hat), noise(), eta)
        x = callback(k, x, x0_hat)
    return x, none_back_propagated(x)
