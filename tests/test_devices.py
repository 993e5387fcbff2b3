"""All that a sampler makes is on the device of what it is given: tried on one that every machine has.

Tensors on the "meta" device have a shape and no numbers, and torch refuses an elementwise operation of one of them
with one on the CPU, as it does for a GPU.
"""

import pytest
import torch
from examples import small_pipe

from frugal import Measurement, operators
from frugal.operators import TASKS
from frugal.samplers import METHODS
from frugal.samplers.walk import last, walk
from frugal.schedule import Schedule

STEPS, SHAPE = 3, (3, 16, 16)
OWN = {"zeta": 1.0, "lam": 1.0, "r2": (0.0, 0.1, 0.2, 0.3), "switch": 1}
OWN["spectrum"] = [torch.full(SHAPE, s, device="meta") for s in OWN["r2"]]


@pytest.mark.parametrize("task", sorted(set(TASKS) - {"inpaint"}))  # which takes a mask of one's own
@pytest.mark.parametrize("method", METHODS)
def test_a_sampler_stays_on_the_device_of_its_measurement(method, task):
    kind, A = METHODS[method], operators.make(task, SHAPE)
    schedule = Schedule.from_scheduler(small_pipe().scheduler, STEPS)
    m = Measurement(torch.zeros(2, *A.measurement_shape, device="meta"), A, 0.01)
    noise = lambda: torch.zeros(2, *SHAPE, device="meta")
    x = last(walk(kind.step(lambda x, k: 0.5 * x, schedule, OWN), schedule, m, noise)).x
    assert x.device.type == "meta" and x.shape == (2, *SHAPE)
