"""Speciation and collapse: when a diffusion of N points chooses a class, and when it chooses one point.

The theory of Biroli et al. 2024 (arXiv 2402.18491), read on page 06. Its forward process is
dx = -x dt + sqrt(2) dW. Shared by the functions:
t       the paper's time, > 0; alpha_bar = exp(-2 t), and Delta_t = 1 - exp(-2 t)
points  (N, d), the training pictures, flattened
x_t     (B, d), exp(-t) points[own] + sqrt(Delta_t) z
own     (B,) whole numbers, the points that x_t were made from
log_w   (B, N), ln p(point | x_t) from ``log_weights``, ln w for short
"""

import math

import numpy as np
import torch

from ..base.checks import Refusal
from ..measurement import Measurement
from ..samplers.walk import Noise, Stepped, walk
from ..schedule import Schedule


def times(schedule: Schedule) -> torch.Tensor:
    """t of Eq. 6b, -1/2 ln alpha_bar, at k = 0, 1, ..., (schedule.t + 1,) float64."""
    return -0.5 * torch.tensor(schedule.alpha_bar, dtype=torch.float64).log()


def steps_left(t: float, schedule: Schedule) -> float:
    """The k at which the schedule is at time t, in fractions of a step; schedule.t for all later times."""
    return float(np.interp(t, times(schedule), range(schedule.t + 1)))


def speciation(points: torch.Tensor) -> float:
    """Eq. 6d: t_S = 1/2 ln(Lambda), Lambda the largest eigenvalue of the points' covariance."""
    centred = points - points.mean(0)
    return 0.5 * math.log(torch.linalg.matrix_norm(centred, 2) ** 2 / len(points))


def cloud_information(
    t: torch.Tensor, d: int, v: float, measured: float = 0, sigma: float = math.inf
) -> torch.Tensor:
    """Eq. 6l: I(x_0; x_t, y) in nats for x_0 ~ N(0, v I_d), y ``measured`` of its entries with noise sigma.

    t is a tensor; the answer has its shape.
    """
    snr = 1 / torch.expm1(2 * t)
    return (d - measured) / 2 * torch.log1p(v * snr) + measured / 2 * torch.log1p(v * (snr + sigma**-2))


def cloud_collapse(N: float, d: int, v: float) -> float:
    """Eq. 6f: t_C = 1/2 ln(1 + v / (N^(2/d) - 1)) of N points drawn from N(0, v I_d).

    Raises Refusal unless N > 1, d >= 1 and v > 0.
    """
    if not (N > 1 and d >= 1 and v > 0):
        raise Refusal(f"N, d, v: {N}, {d}, {v} are not accepted; give N > 1, d >= 1 and v > 0")
    return 0.5 * math.log1p(v / math.expm1(2 * math.log(N) / d))


def log_weights(x_t: torch.Tensor, points: torch.Tensor, t: float) -> torch.Tensor:
    """Eq. 6c: ln p(point | x_t), a softmax over -||x_t - exp(-t) point||^2 / (2 Delta_t); (B, N)."""
    a, Delta = math.exp(-t), -math.expm1(-2 * t)
    return ((a * x_t @ points.T - a**2 / 2 * points.square().sum(1)) / Delta).log_softmax(1)


def observe(
    points: torch.Tensor, levels: torch.Tensor, draws: int, generator: torch.Generator | None = None
) -> tuple[torch.Tensor, list[torch.Tensor]]:
    """Draws of x_t at every level t, all from the same points and noise: own (draws,), and ln w, a list."""
    own = torch.randint(len(points), (draws,), generator=generator)
    z = torch.randn(draws, points.shape[1], generator=generator)
    x = lambda t: math.exp(-t) * points[own] + (-math.expm1(-2 * t)) ** 0.5 * z
    return own, [log_weights(x(t), points, t) for t in levels.tolist()]


def excess_entropy(log_w: torch.Tensor, own: torch.Tensor, d: int) -> torch.Tensor:
    """Eqs. 6e and 6h: f(t) = ln(N) / d + 1/2 ln(2 pi e Delta_t) - s(t); collapsed where it is negative.

    s(t), the entropy of x_t over d, is estimated with the density that the points other than its own
    give to each x_t: with its own among them f would never be negative.
    """
    N, index = log_w.shape[1], own[:, None]
    others = log_w.scatter(1, index, -math.inf).logsumexp(1, keepdim=True)
    return ((others - log_w.gather(1, index)).mean() + math.log(N / (N - 1))) / d


def clones_agree(log_w: torch.Tensor) -> torch.Tensor:
    """Eq. 6i: phi_C(t), the probability that two ways back from the same x_t end at the same point."""
    return log_w.exp().square().sum(1).mean()


def information(snr: torch.Tensor, mmse: torch.Tensor) -> torch.Tensor:
    """Eq. 6j: I(x_0; x_t) in nats, half the integral of the error over snr (Guo, Shamai & Verdu 2005).

    snr   (M,) increasing, exp(-2 t) / Delta_t; below the first the error is taken to be constant
    mmse  (M,) E ||x_0 - E[x_0 | x_t]||^2, summed over the d entries; a larger error gives a bound
    """
    grown = torch.cumulative_trapezoid(snr * mmse / 2, snr.log())
    return torch.cat([torch.zeros_like(grown[:1]), grown]) + snr[0] * mmse[0] / 2


def crossing(t: torch.Tensor, curve: torch.Tensor) -> float:
    """The first t, by straight lines between the points, at which a curve rises above 0; inf if none.

    Raises Refusal for a curve that is above 0 from the start.
    """
    above = (curve > 0).nonzero()
    if not len(above):
        return math.inf
    i = int(above[0])
    if i == 0:
        raise Refusal(f"curve: is above 0 already at t = {t[0]:g}; begin at a smaller t")
    fraction = curve[i - 1] / (curve[i - 1] - curve[i])
    return (t[i - 1] + fraction * (t[i] - t[i - 1])).item()


def reverse(
    points: torch.Tensor,
    schedule: Schedule,
    k: int,
    x: torch.Tensor,
    generator: torch.Generator | None = None,
) -> tuple[torch.Tensor, list[torch.Tensor]]:
    """The reverse process from x (B, d) at k to k = 0 under the empirical score, with the guess of Eq. 6c.

    Returns the nearest to x_t of the exp(-t) points, the likeliest, as whole numbers (k, B) at
    k, k - 1, ..., 1, and the guesses x0_hat, a list of k tensors (B, d).
    """
    t, nearest = times(schedule), []

    def step(k: int, x_k: torch.Tensor, noise: Noise, m: Measurement | None) -> Stepped:
        log_w = log_weights(x_k, points, t[k].item())
        nearest.append(log_w.argmax(1))
        x0_hat = log_w.exp() @ points
        return Stepped(schedule.ancestral(k, x_k, x0_hat, noise()), x0_hat)

    noise = lambda: torch.randn(x.shape, generator=generator)
    guesses = [state.x0_hat for state in walk(step, schedule, None, noise, x, k)]
    return torch.stack(nearest), guesses


def last_change(nearest: torch.Tensor) -> torch.Tensor:
    """The k at which the nearest point, (k, B) from ``reverse``, has become the final one; (B,)."""
    return 1 + (nearest[1:] == nearest[:-1]).flip(0).int().cumprod(0).sum(0)
