"""Any method of ``samplers.METHODS`` on a problem, and what an exact prior's guess leaves open to it."""

from collections.abc import Mapping
from typing import Any

import torch

from ..samplers import Method
from ..samplers.walk import last, walk
from ..schedule import Schedule
from ..waves import Waves
from .mixtures import Mixture
from .problem import Problem


def draw(
    problem: Problem,
    method: Method,
    schedule: Schedule,
    given: Mapping[str, Any],
    count: int,
    generator: torch.Generator,
) -> torch.Tensor:
    """``count`` restorations of each picture, (B, count, n); ``given`` has the method's own arguments, and may more."""
    m = problem.measurement[torch.arange(len(problem.x0)).repeat_interleave(count)]
    shape = (len(m), *problem.x0.shape[1:])
    noise = lambda: torch.randn(shape, generator=generator, dtype=problem.x0.dtype)
    step = method.step(problem.denoiser(schedule), schedule, given)
    return last(walk(step, schedule, m, noise)).x.reshape(len(problem.x0), count, -1)


def left_open(
    prior: Mixture, schedule: Schedule, x0: torch.Tensor, z: torch.Tensor
) -> dict[str, list[float] | list[torch.Tensor]]:
    """Eqs. 14c and 14e (page 14) of a prior: {"r2": r^2 by k, "spectrum": c by k}, zeros at k = 0.

    Measured on pictures x0 (B, C, H, W) of the prior under noise z of that shape.
    """
    waves, c = Waves(x0), [torch.zeros_like(x0[0])]
    for k in reversed(schedule.steps):
        alpha_bar = schedule.alpha_bar[k]
        x_k = alpha_bar**0.5 * x0 + (1 - alpha_bar) ** 0.5 * z
        x0_hat = prior.denoise(x_k.flatten(1), alpha_bar).reshape(x0.shape)
        c.append(waves.Wt(x0_hat - x0).square().mean(0))
    return {"r2": [v.mean().item() for v in c], "spectrum": c}
