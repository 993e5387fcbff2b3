"""Steps by a closed form of E[x_0 | x_k, y] that is centred on the guess: DMPS repaired (page 14).

``r2``        r_k^2 > 0 by k, the variance that the guess leaves open (``StepSizes.left_open``); t + 1 numbers
``spectrum``  the same along each wave by k (``StepSizes.left_open_by_wave``); t + 1 tensors (C, H, W)
"""

from collections.abc import Callable, Sequence

import torch

from ..guidance import centred_mean, spectral_mean
from ..measurement import Measurement
from ..schedule import Schedule, ddim, noise_in
from .others import pigdm
from .poster import when
from .walk import Denoise, Noise, Step, Stepped, handover

Mean = Callable[[int, torch.Tensor, Measurement], torch.Tensor]  # (k, x0_hat, m) -> E[x_0 | x_k, y]


def by_mean(denoise: Denoise, schedule: Schedule, mean: Mean, eta: float) -> Step:
    """Eq. 14d (page 14): the mean with the noise of x_k given the *guess*, not given that mean; one pass a step."""

    @torch.no_grad()
    def step(k: int, x_k: torch.Tensor, noise: Noise, m: Measurement) -> Stepped:
        x0_hat = denoise(x_k, k)
        eps = noise_in(schedule, k, x_k, x0_hat)
        return Stepped(ddim(schedule, k, mean(k, x0_hat, m), eps, noise(), eta), x0_hat)

    return step


def centred(denoise: Denoise, schedule: Schedule, r2: Sequence[float], eta: float = 1.0) -> Step:
    """Eq. 14d with ``guidance.centred_mean``."""
    return by_mean(denoise, schedule, lambda k, x0_hat, m: centred_mean(x0_hat, m, r2[k]), eta)


def spectral(
    denoise: Denoise, schedule: Schedule, spectrum: Sequence[torch.Tensor], eta: float = 1.0
) -> Step:
    """Eq. 14d with ``guidance.spectral_mean``."""
    mean = lambda k, x0_hat, m: spectral_mean(x0_hat, m, spectrum[k].to(x0_hat.device))
    return by_mean(denoise, schedule, mean, eta)


def relay(
    denoise: Denoise, schedule: Schedule, r2: Sequence[float], switch: int | str, eta: float = 1.0
) -> Step:
    """The hybrid repaired: PiGDM, which has the gradient, while k > switch, then ``centred``."""
    return handover(pigdm(denoise, schedule, eta), centred(denoise, schedule, r2, eta), when(switch))
