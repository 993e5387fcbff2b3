"""What a restoration costs: Eqs. 7b and 7c (page 07), with three prices that a few seconds of timing find."""

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from diffusers import UNet2DModel
from scipy.optimize import nnls
from torch.utils.flop_counter import FlopCounterMode

from ..operators import make
from ..pipeline import RestorationPipeline


@dataclass(frozen=True)
class Prices:
    """Seconds on one machine, for one network and size of picture.

    forward  of one picture's pass through the network
    product  of the back-propagation of one picture
    call     of one network call, however many pictures are in it
    """

    forward: float
    product: float
    call: float

    def seconds(self, pictures: int, calls: int, backprops: int, batch: int, processes: int = 1) -> float:
        """Eq. 7b: of so many pictures in batches, with ``calls`` network calls each, some back-propagated.

        Shared by processes, each of which has these prices for itself: the time of the largest share.
        """
        share, times = math.ceil(pictures / processes), calls * self.forward + backprops * self.product
        return share * times + math.ceil(share / batch) * calls * self.call

    def of_work(self, ratio: float) -> "Prices":
        """Eq. 7c: of a network, or a size of picture, whose pass is so many times the ``work``."""
        return Prices(self.forward * ratio, self.product * ratio, self.call)


STEPS = 4  # of the restorations that are timed
ROUGH = Prices(1.0, 1.0, 0.0)  # in passes, where no machine is timed


def prices(pipe: RestorationPipeline, batch: int = 10) -> Prices:
    """Fit the prices to a few steps of DPS and of DMPS, for one picture and for ``batch`` of them, in turn.

    The squares of the relative errors are least, and no price is negative (scipy's ``nnls``).
    """
    A, sizes = make("sr4", pipe.image_shape), (1, max(2, batch))
    like = torch.zeros(1, *pipe.image_shape, device=pipe.device)

    def restored(pictures: int, switch: int) -> torch.Tensor:
        m = A.measure(like.expand(pictures, *A.image_shape), 0.01, torch.Generator().manual_seed(0))
        return pipe(m, "hybrid", STEPS, switch, 1.0, 1.0, torch.Generator().manual_seed(1)).images

    runs = [(pictures, switch) for pictures in sizes for switch in (0, STEPS)]
    times = median_seconds(*(partial(restored, *run) for run in runs), repeats=3)
    terms = [[n * STEPS / s, n * (STEPS - k) / s, STEPS / s] for (n, k), s in zip(runs, times)]
    return Prices(*nnls(torch.tensor(terms, dtype=torch.float64).numpy(), [1.0] * len(runs))[0].tolist())


def work(config: Mapping[str, Any], size: int) -> float:
    """Floating-point operations of a pass of one picture of ``size`` pixels a side, counted without computing any.

    config: of a ``UNet2DModel``. Matrix products and convolutions count, which are nearly all of it.
    """
    with torch.device("meta"), FlopCounterMode(display=False) as counter:
        unet: Any = UNet2DModel.from_config(dict(config))
        unet(torch.empty(1, unet.config["in_channels"], size, size), torch.zeros(1))
    return counter.get_total_flops()


def median_seconds(*calls: Callable[[], torch.Tensor], repeats: int = 7) -> list[float]:
    """Median wall seconds of each call, taken in turn, after a round that warms up and is not counted.

    One number of each answer is read, which makes a GPU finish first.
    """
    rounds = []
    for _ in range(repeats + 1):
        rounds.append([])
        for call in calls:
            start = time.perf_counter()
            call().sum().item()
            rounds[-1].append(time.perf_counter() - start)
    return torch.tensor(rounds[1:], dtype=torch.float64).median(0).values.tolist()
