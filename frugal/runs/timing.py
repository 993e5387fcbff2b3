"""Wall time of short calls, such as one pass through the network."""

import time
from collections.abc import Callable

import torch


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
