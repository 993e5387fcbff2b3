"""The closed form centred on the guess, alone and after a phase with the gradient: DMPS repaired.

``spread``  r_k^2 > 0 by k, the variance that the guess leaves open (``pipeline.spread``); t + 1 numbers
"""

from collections.abc import Sequence

import torch

from .guidance import centred_mean
from .measurement import Measurement
from .rivals import none_back_propagated, pigdm_step
from .samplers import Callback, Denoise, Noise, Pair, in_two_phases, keep
from .schedule import Schedule, ddim, noise_in


@torch.no_grad()
def centred_step(
    denoise: Denoise,
    schedule: Schedule,
    k: int,
    x_k: torch.Tensor,
    z: torch.Tensor,
    m: Measurement,
    r2: float,
    eta: float,
) -> Pair:
    """Eq. 14c (page 14): ``centred_mean`` with the noise of x_k given the *guess*, not given that mean.

    Returns (x_{k-1}, x0_hat).
    """
    x0_hat = denoise(x_k, k)
    x0 = centred_mean(x0_hat, m, r2)
    return ddim(schedule, k, x0, noise_in(schedule, k, x_k, x0_hat), z, eta), x0_hat


def centred(
    denoise: Denoise,
    schedule: Schedule,
    m: Measurement,
    noise: Noise,
    spread: Sequence[float],
    eta: float = 1.0,
    callback: Callback = keep,
) -> Pair:
    """``centred_step`` at every step; t network calls, forward only."""
    x = noise()
    for k in schedule.steps:
        x, x0_hat = centred_step(denoise, schedule, k, x, noise(), m, spread[k], eta)
        x = callback(k, x, x0_hat)
    return x, none_back_propagated(x)


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
    late = lambda k, x_k, z, m: centred_step(denoise, schedule, k, x_k, z, m, spread[k], eta)
    return in_two_phases(early, late, schedule, m, noise, switch, callback)
