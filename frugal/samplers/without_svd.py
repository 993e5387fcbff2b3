"""Which methods restore from an operator of which only two functions are known: found by trying each."""

from functools import cache

import torch
from diffusers import DDPMScheduler

from ..base.checks import Refusal
from ..measurement import Measurement
from ..operators import two_functions
from ..schedule import Schedule
from . import METHODS
from .walk import last, walk

SHAPE = (1, 2, 2)


@cache
def without_svd() -> tuple[str, ...]:
    """The names in ``METHODS`` that need no singular vectors: two steps each, on four numbers."""
    schedule = Schedule.from_scheduler(DDPMScheduler(), 2)
    identity = two_functions.operator(lambda x: x, lambda y: y, SHAPE, SHAPE)
    m = Measurement(torch.zeros(1, *SHAPE), identity, 1.0)
    r2, spectrum = [0.1] * 3, [torch.full(SHAPE, 0.1)] * 3
    given = {"zeta": 1.0, "lam": 1.0, "switch": 1, "r2": r2, "spectrum": spectrum}
    found = []
    for name, method in METHODS.items():
        own = {setting: given[setting] for setting in method.parameters}
        step = method.make(lambda x_k, k: 0.5 * x_k, schedule, **own)
        try:
            last(walk(step, schedule, m, lambda: torch.ones(1, *SHAPE)))
        except Refusal:
            continue
        found.append(name)
    return tuple(found)
