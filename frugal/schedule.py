"""The variance-preserving noise schedule, respaced to t reverse steps."""

import math
from dataclasses import dataclass
from typing import Any

import torch

from .base import checks
from .base.checks import Refusal

ALL_NEW = math.inf  # as eta: all of a step's noise is drawn anew
TURNED = -math.inf  # as eta: all of it is kept, with the opposite sign
PREDICTION_TYPES = ("epsilon", "sample", "v_prediction")


@dataclass(frozen=True)
class Schedule:
    """Eq. 0a (page notation): x_k = sqrt(alpha_bar[k]) x_0 + sqrt(1 - alpha_bar[k]) eps, eps ~ N(0, I).

    k counts reverse steps that remain: k = t is pure noise, k = 0 the clean picture, so
    ``alpha_bar[0] = 1``. All sequences have t + 1 entries and are indexed by k.

    alpha_bar  share of signal variance left, decreasing in k
    alpha      alpha_bar[k] / alpha_bar[k-1], recomputed after respacing
    beta       1 - alpha[k]
    s          sqrt((1 - alpha_bar[k]) / alpha_bar[k]), the noise level of x_k / sqrt(alpha_bar[k])
    timestep   what the network is told at k (None at k = 0)
    """

    timestep: tuple[int | None, ...]
    alpha_bar: tuple[float, ...]
    alpha: tuple[float, ...]
    beta: tuple[float, ...]
    s: tuple[float, ...]

    @classmethod
    def from_scheduler(
        cls, scheduler: Any, num_inference_steps: int, spacing: float = 1.0, lowest: int = 0
    ) -> "Schedule":
        """Respace a diffusers scheduler's ``alphas_cumprod`` to ``num_inference_steps`` steps.

        They go from the noisiest of its T levels to the level ``lowest``, at u^spacing of the way, u even in [0, 1]:
        1 spreads them evenly, as in the code of DPS, and more puts more of them near the clean picture, no level twice.
        Where so many levels are not left above it, ``lowest`` is lower.
        Raises Refusal unless 1 <= num_inference_steps <= T and spacing > 0.
        """
        T = len(scheduler.alphas_cumprod)
        checks.whole("steps, num_inference_steps", num_inference_steps, 1, T)
        if not checks.at_least_zero("spacing", spacing):
            raise Refusal("spacing: 0 is not accepted; give a positive number")
        lowest = min(lowest, T - num_inference_steps)
        kept = torch.linspace(T - 1, lowest, num_inference_steps).flip(0)
        if spacing != 1:
            kept = lowest + (T - 1 - lowest) * ((kept.double() - lowest) / (T - 1 - lowest)) ** spacing
        kept = torch.maximum(kept.round().long(), lowest + torch.arange(num_inference_steps))
        alpha_bar = torch.cat([torch.ones(1).double(), scheduler.alphas_cumprod.double().cpu()[kept]])
        alpha = torch.cat([torch.ones(1).double(), alpha_bar[1:] / alpha_bar[:-1]])
        return cls(
            timestep=(None, *kept.tolist()),
            alpha_bar=tuple(alpha_bar.tolist()),
            alpha=tuple(alpha.tolist()),
            beta=tuple((1 - alpha).tolist()),
            s=tuple(((1 - alpha_bar) / alpha_bar).sqrt().tolist()),
        )

    @property
    def t(self) -> int:
        """Number of reverse steps."""
        return len(self.alpha_bar) - 1

    @property
    def steps(self) -> range:
        """k = t, t - 1, ..., 1."""
        return range(self.t, 0, -1)

    def ancestral(self, k: int, x_k: torch.Tensor, x0_hat: torch.Tensor, z: torch.Tensor) -> torch.Tensor:
        """Eq. 0b (page notation; Ho et al. 2020): x' ~ p(x_{k-1} | x_k, x_0 = x0_hat), one reverse step.

        x_k, x0_hat and the standard normal z are (B, C, H, W). At k = 1 the variance is zero.
        """
        alpha_bar, alpha_bar_prev = self.alpha_bar[k], self.alpha_bar[k - 1]
        mean = (
            alpha_bar_prev**0.5 * self.beta[k] / (1 - alpha_bar) * x0_hat
            + self.alpha[k] ** 0.5 * (1 - alpha_bar_prev) / (1 - alpha_bar) * x_k
        )
        variance = self.beta[k] * (1 - alpha_bar_prev) / (1 - alpha_bar)
        return mean + variance**0.5 * z


def predicted_x0(
    output: torch.Tensor, x_k: torch.Tensor, alpha_bar: float, prediction_type: str
) -> torch.Tensor:
    """Eqs. 2q, 2r and a2 (page 02): E[x_0 | x_k] from the network's output, for the three usual targets.

    ``epsilon``: the noise (Ho et al. 2020); ``sample``: x_0 itself; ``v_prediction``:
    v = sqrt(alpha_bar) eps - sqrt(1 - alpha_bar) x_0 (Salimans & Ho 2022). Shapes (B, C, H, W).
    """
    if prediction_type == "epsilon":
        return (x_k - (1 - alpha_bar) ** 0.5 * output) / alpha_bar**0.5
    if prediction_type == "sample":
        return output
    if prediction_type == "v_prediction":
        return alpha_bar**0.5 * x_k - (1 - alpha_bar) ** 0.5 * output
    raise Refusal(
        f"prediction_type: {prediction_type!r} is unknown; accepted are {', '.join(PREDICTION_TYPES)}"
    )


def noise_in(schedule: Schedule, k: int, x_k: torch.Tensor, x0: torch.Tensor) -> torch.Tensor:
    """The eps of Eq. 0a that x_k holds if its picture is x0: (x_k - sqrt(alpha_bar) x0) / sqrt(1 - alpha_bar)."""
    alpha_bar = schedule.alpha_bar[k]
    return (x_k - alpha_bar**0.5 * x0) / (1 - alpha_bar) ** 0.5


def ddim(
    schedule: Schedule,
    k: int,
    x0: torch.Tensor,
    eps: torch.Tensor,
    z: torch.Tensor | float,
    eta: float,
    to: int | None = None,
) -> torch.Tensor:
    """From k to k - 1, or to ``to``, by a picture x0 and its noise eps (Song, Meng & Ermon 2021).

    eta^2 times the variance of Eq. 0b is drawn anew as z, the rest is kept from eps; eta = 1 is Eq. 0b.
    ``ALL_NEW`` keeps nothing, ``TURNED`` draws nothing and takes -eps (Eq. 14m, page 14).
    """
    to = k - 1 if to is None else to
    kept, new = shares(schedule, k, eta, to)
    return schedule.alpha_bar[to] ** 0.5 * x0 + kept * eps + new * z


def shares(schedule: Schedule, k: int, eta: float, to: int) -> tuple[float, float]:
    """The factors of kept and of new noise in ``ddim``."""
    alpha_bar, alpha_bar_to = schedule.alpha_bar[k], schedule.alpha_bar[to]
    if eta in (ALL_NEW, TURNED):
        whole = (1 - alpha_bar_to) ** 0.5
        return (0.0, whole) if eta == ALL_NEW else (-whole, 0.0)
    variance = eta**2 * (1 - alpha_bar_to) / (1 - alpha_bar) * (1 - alpha_bar / alpha_bar_to)
    return max(0.0, 1 - alpha_bar_to - variance) ** 0.5, variance**0.5


def width(schedule: Schedule, k: int, eta: float) -> float:
    """tau_k of Eq. 14h (page 14): how wide a draw of x_0 is right for a Gaussian prior, when ``ddim`` goes to k - 1.

    1 - (s_{k-1} / s_k)^2 where eta = 1, 1 - s_{k-1} / s_k where it is 0, and 1 for ``ALL_NEW``.
    """
    kept, _ = shares(schedule, k, eta, k - 1)
    return 1 - kept / (schedule.s[k] * schedule.alpha_bar[k - 1] ** 0.5)
