"""The closed form centred on the guess, alone and after a phase with the gradient: DMPS repaired.

``mean``    (k, x0_hat) -> E[x_0 | x_k, y], (B, C, H, W) both
``spread``  r_k^2 > 0 by k, the variance that the guess leaves open (``pipeline.spread``); t + 1 numbers
"""

from collections.abc import Callable, Sequence

import torch

from ..guidance import centred_mean
from ..measurement import Measurement
from .others import none_back_propagated, pigdm_step
from .poster import Callback, Denoise, Noise, Pair, in_two_phases, keep
from ..schedule import Schedule, ddim, noise_in

Mean = Callable[[int, torch.Tensor], torch.Tensor]


@torch.no_grad()
def centred_step(
    denoise: Denoise,
    schedule: Schedule,
    k: int,
    x_k: torch.Tensor,
    z: torch.Tensor,
    mean: Mean,
    eta: float,
) -> Pair:
    """Eq. 14d (page 14): the mean with the noise of x_k given the *guess*, not given that mean.

    Returns (x_{k-1}, x0_hat).
    """
    x0_hat = denoise(x_k, k)
    return ddim(schedule, k, mean(k, x0_hat), noise_in(schedule, k, x_k, x0_hat), z, eta), x0_hat


def by_mean(
    denoise: Denoise, schedule: Schedule, mean: Mean, noise: Noise, eta: float, callback: Callback
) -> Pair:
    """``centred_step`` at every step; t network calls, forward only."""
    x = noise()
    for k in schedule.steps:
        x, x0_hat = centred_step(denoise, schedule, k, x, noise(), mean, eta)
        x = callback(k, x, x0_hat)
    return x, none_back_propagated(x)


def centred(
    denoise: Denoise,
    schedule: Schedule,
    m: Measurement,
    noise: Noise,
    spread: Sequence[float],
    eta: float = 1.0,
    callback: Callback = keep,
) -> Pair:
    """Eq. 14d with ``centred_mean`` at every step; t network calls, forward only."""
    mean = lambda k, x0_hat: centred_mean(x0_hat, m, spread[k])
    return by_mean(denoise, schedule, mean, noise, eta, callback)


def relay(
    denoise: Denoise,
    schedule: Schedule,
    m: Measurement,
    noise: Noise,
    spread: Sequence[float],
    switch: int | str,
    eta: float = 1.0,
    callback: Callback = keep,
) -> Pair:
    """The hybrid repaired: PiGDM, which has the gradient, while k > switch, then ``centred_step``."""
    early = lambda k, x_k, z, m: pigdm_step(denoise, schedule, k, x_k, z, m, eta)

    def late(k: int, x_k: torch.Tensor, z: torch.Tensor, m: Measurement) -> Pair:
        mean = lambda k, x0_hat: centred_mean(x0_hat, m, spread[k])
        return centred_step(denoise, schedule, k, x_k, z, mean, eta)

    return in_two_phases(early, late, schedule, m, noise, switch, callback)
