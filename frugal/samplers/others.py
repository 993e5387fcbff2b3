"""Steps of other authors' samplers, in this book's symbols and over the same operators.

So methods differ in their rule and in nothing else. ``eta`` is the share of a step's noise that is drawn anew: 0
keeps the guess's own, 1 is the reverse step of Ho et al. Only ``pigdm`` back-propagates. Defaults are those of the
authors' code, or of InverseBench or deepinv where they were read there.
"""

import torch

from ..guidance import centred_mean, seen
from ..measurement import Measurement
from ..schedule import Schedule, ddim, noise_in
from .walk import Denoise, Noise, Step, Stepped


def pigdm(denoise: Denoise, schedule: Schedule, eta: float = 0.2) -> Step:
    """Pseudo-inverse guidance (Song, Vahdat, Mardani & Kautz 2023); two passes a step.

    The Gaussian N(x0_hat, r^2 I) with r^2 = 1 - alpha_bar for p(x_0 | x_k), and the gradient through the guess.
    """

    def step(k: int, x_k: torch.Tensor, noise: Noise, m: Measurement) -> Stepped:
        alpha_bar = schedule.alpha_bar[k]
        with torch.enable_grad():
            x_k = x_k.detach().requires_grad_()
            x0_hat = denoise(x_k, k)
            guess = x0_hat.detach()
            pull = centred_mean(guess, m, 1 - alpha_bar) - guess
            (gradient,) = torch.autograd.grad((pull * x0_hat).sum(), x_k)
        x_k, x0_hat = x_k.detach(), x0_hat.detach()
        x_prime = ddim(schedule, k, x0_hat, noise_in(schedule, k, x_k, x0_hat), noise(), eta)
        return Stepped(x_prime + alpha_bar**0.5 * gradient, x0_hat, 2)

    return step


def ddrm(denoise: Denoise, schedule: Schedule, eta: float = 0.85) -> Step:
    """Denoising diffusion restoration (Kawar et al. 2022) with eta_b = 1.

    In x / sqrt(alpha_bar) every singular direction is a measurement ybar = (U^T y)_i / s_i of noise sigma / s_i:
    where this is less noise than the step leaves, it replaces the guess, else it pulls at it.
    """
    kept = (1 - eta**2) ** 0.5

    def step(k: int, x_k: torch.Tensor, noise: Noise, m: Measurement) -> Stepped:
        A, known_at, level, y_bar = by_direction(x_k, m, schedule.s[k])
        s, s_next, z = schedule.s[k], schedule.s[k - 1], noise()
        x0_hat, x_bar = denoise(x_k, k), x_k / schedule.alpha_bar[k] ** 0.5
        free = x0_hat + kept * s_next / s * (x_bar - x0_hat) + eta * s_next * z
        guess, z_i = A.Vt(x0_hat), A.Vt(z)
        noisy = guess + kept * s_next / level.clamp_min(1e-12) * (y_bar - guess) + eta * s_next * z_i
        clear = y_bar + (s_next**2 - level**2).clamp_min(0) ** 0.5 * z_i
        known = torch.where(level > s_next, noisy, clear)
        x_bar = free + A.V(torch.where(known_at, known - A.Vt(free), 0))
        return Stepped(schedule.alpha_bar[k - 1] ** 0.5 * x_bar, x0_hat)

    return step


def ddnm(denoise: Denoise, schedule: Schedule, eta: float = 0.85) -> Step:
    """Null-space restoration in its noisy form, DDNM+ (Wang, Yu & Zhang 2023).

    What A sees of the guess is replaced by A^+ y, or drawn towards it where that is noisier than the step.
    """
    kept = (1 - eta**2) ** 0.5

    def step(k: int, x_k: torch.Tensor, noise: Noise, m: Measurement) -> Stepped:
        A, known_at, level, y_bar = by_direction(x_k, m, schedule.s[k])
        x0_hat, z = denoise(x_k, k), noise()
        a, b = schedule.alpha_bar[k - 1] ** 0.5, (1 - schedule.alpha_bar[k - 1]) ** 0.5
        noisy = level * a > b
        weight = torch.where(noisy, kept * b / (a * level).clamp_min(1e-12), 1)
        pulled = x0_hat + A.V(torch.where(known_at, weight * (y_bar - A.Vt(x0_hat)), 0))
        free = b * (eta * z + kept * noise_in(schedule, k, x_k, x0_hat))
        left = torch.where(noisy, b * eta, (b**2 - (a * level) ** 2).clamp_min(0) ** 0.5)
        fresh = free + A.V(torch.where(known_at, left * A.Vt(z) - A.Vt(free), 0))
        return Stepped(a * pulled + fresh, x0_hat)

    return step


def by_direction(x: torch.Tensor, m: Measurement, s: float) -> tuple:
    """For ``ddrm`` and ``ddnm`` at noise s: A, the directions it sees, and there noise sigma / s_i and value of y."""
    s_i = m.A.s(x)
    those = seen(s_i, m.sigma, s**2)
    return m.A, those, m.sigma / s_i.clamp_min(1e-12), m.A.Ut(m.y) / s_i.clamp_min(1e-12)


def diffpir(denoise: Denoise, schedule: Schedule, rho: float = 7.0, eta: float = 0.1) -> Step:
    """DiffPIR (Zhu et al. 2023, Algorithm 1).

    ``centred_mean`` with r^2 = s_k^2 / rho, then the noise that x_k has *given that mean*, a share ``eta`` of its
    variance drawn anew.
    """

    def step(k: int, x_k: torch.Tensor, noise: Noise, m: Measurement) -> Stepped:
        x0_hat = denoise(x_k, k)
        x0 = centred_mean(x0_hat, m, schedule.s[k] ** 2 / rho)
        eps = (1 - eta) ** 0.5 * noise_in(schedule, k, x_k, x0) + eta**0.5 * noise()
        alpha_bar = schedule.alpha_bar[k - 1]
        return Stepped(alpha_bar**0.5 * x0 + (1 - alpha_bar) ** 0.5 * eps, x0_hat)

    return step


def reddiff(denoise: Denoise, schedule: Schedule, weight: float = 0.25, rate: float = 0.1) -> Step:
    """RED-diff (Mardani et al. 2024, Algorithm 1): one picture mu, moved by Adam, in the place of x_k.

    Minimises mean ||y - A mu||^2 / 2 + weight s_k (eps_hat - eps) . mu, whose second gradient is
    weight (mu - x0_hat) at sqrt(alpha_bar) mu + sqrt(1 - alpha_bar) eps. It begins with A^+ y at k = t.
    """
    mu, adam, before = torch.empty(0), None, 0

    def step(k: int, x_k: torch.Tensor, noise: Noise, m: Measurement) -> Stepped:
        nonlocal mu, adam, before
        if adam is None or k >= before:  # another walk begins
            mu = m.A.A_pinv(m.y)
            adam = torch.optim.Adam([mu], rate)
        else:
            mu.copy_(x_k)
        before = k
        alpha_bar, eps = schedule.alpha_bar[k], noise()
        x0_hat = denoise(alpha_bar**0.5 * mu + (1 - alpha_bar) ** 0.5 * eps, k)
        mu.grad = m.A.A_adjoint(m.A(mu) - m.y) / m.y[0].numel() + weight * (mu - x0_hat) / mu[0].numel()
        adam.step()
        return Stepped(mu.clone(), x0_hat)

    return step


def daps(denoise: Denoise, schedule: Schedule, ode: int = 1) -> Step:
    """DAPS (Zhang et al. 2025, Algorithm 1); at most ``ode`` passes a step.

    A guess by ``ode`` DDIM steps from x_k to 0, then x_0 drawn from N(guess, s_k^2 I) given y, then fresh noise of
    the next level. The draw has a closed form for a linear A. Directions that A does not see keep the guess: the
    authors' hundred short Langevin steps hardly move them either.
    """

    def step(k: int, x_k: torch.Tensor, noise: Noise, m: Measurement) -> Stepped:
        levels = torch.linspace(k, 0, min(ode, k) + 1).round().long().tolist()
        x0_hat, s_i = x_k, m.A.s(x_k)
        for at, to in zip(levels, levels[1:]):
            guess = denoise(x0_hat, at)
            x0_hat = ddim(schedule, at, guess, noise_in(schedule, at, x0_hat, guess), 0, 0, to)
        r2 = schedule.s[k] ** 2
        width = m.sigma * (r2 / (m.sigma**2 + r2 * s_i**2)) ** 0.5
        width = torch.where(seen(s_i, m.sigma, r2), width, 0)
        x0 = centred_mean(x0_hat, m, r2) + m.A.V(width * m.A.Vt(noise()))
        alpha_bar = schedule.alpha_bar[k - 1]
        x = alpha_bar**0.5 * x0 + (1 - alpha_bar) ** 0.5 * noise()
        return Stepped(x, x0_hat, len(levels) - 1)

    return step


def mpgd(denoise: Denoise, schedule: Schedule, scale: float = 10.0, eta: float = 0.5) -> Step:
    """Manifold-preserving guidance without its projection (He et al. 2024, Algorithm 1).

    DPS's gradient taken in the guess itself, not in x_k: x0_hat + scale / sqrt(alpha_bar) A^T r / ||r||.
    """

    def step(k: int, x_k: torch.Tensor, noise: Noise, m: Measurement) -> Stepped:
        x0_hat = denoise(x_k, k)
        residual = m.y - m.A(x0_hat)
        norm = torch.linalg.vector_norm(residual.flatten(1), dim=1).reshape(-1, 1, 1, 1)
        pull = scale / schedule.alpha_bar[k] ** 0.5 * m.A.A_adjoint(residual) / norm.clamp_min(1e-12)
        x = ddim(schedule, k, x0_hat + pull, noise_in(schedule, k, x_k, x0_hat), noise(), eta)
        return Stepped(x, x0_hat)

    return step
