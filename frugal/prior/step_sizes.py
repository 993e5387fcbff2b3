"""The samplers' step sizes belong to the prior that they were tuned on, and stand in its folder."""

import json
import math
from bisect import bisect
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import torch

from ..base.checks import Refusal
from ..base.files import understood

FILE = "step_sizes.json"
STEPS = 100  # of the tuning
RINGS = 12  # of frequency: the mean alone, and eleven to the picture's finest wave, or that of 64 x 64 pixels
RULE = {"zeta": 6.0, "lam": 1.0}  # for a prior or a task without a tuning


@dataclass(frozen=True)
class StepSizes:
    """zeta of DPS and lam of DMPS by task and by the share of the steps that are DMPS.

    tuned   {task: {k of 100 steps: {"zeta": ..., "lam": ...}}}; k = 0 is DPS, k = 100 is DMPS
    errors  {s^2: mean squared error of the guess on held-out pictures, per number}, by noise variance s^2
    spectrum  {s^2: for each of light and two colours, that error by ring of frequency (``rings``)}
    """

    tuned: dict[str, dict[int, dict[str, float]]] = field(default_factory=dict)
    errors: dict[float, float] = field(default_factory=dict)
    spectrum: dict[float, list[list[float]]] = field(default_factory=dict)

    def left_open(self, s2: float) -> float:
        """Eq. 14c (page 14): r^2, the variance that the guess leaves open.

        ``s2`` > 0 is the noise variance of x_k / sqrt(alpha_bar).
        The measured error, between and beyond the levels that were measured a line in the logarithms, and never
        above s2. Without measurements s2 / (1 + s2), the posterior variance of numbers of variance 1.
        """
        if len(self.errors) < 2:
            return s2 / (1 + s2)
        return float(between(self.errors, s2))

    def left_open_by_wave(self, s2: float, shape: tuple[int, ...]) -> torch.Tensor:
        """Eq. 14e (page 14): c, the variance that the guess leaves open along each wave of pictures (C, H, W).

        As ``left_open`` by ring of frequency; ``left_open`` along all of them where nothing was measured for C colours.
        """
        if len(self.spectrum) < 2 or len(next(iter(self.spectrum.values()))) != shape[0]:
            return torch.full(shape, self.left_open(s2))
        return between(self.spectrum, s2)[:, rings(*shape[1:])]

    def of(self, task: str, switch: int, steps: int) -> dict[str, float]:
        """{"zeta", "lam"} for ``switch`` DMPS steps of ``steps``.

        The sizes of the tuned k whose share of the steps is nearest. Fewer steps have to be longer, and overshoot
        if they are much longer: below 100, zeta grows as (100 / steps)^(2/3), and lam is at most steps / 20 (found on
        the synthetic faces that ship, at 10, 20 and 50 steps); above, zeta falls in proportion. Where the task or
        the prior has no tuning, ``RULE``: lam = 1, which is the theory's value, and zeta = 6 at 100 steps.
        """
        rows = self.tuned.get(task) or {0: RULE}
        sizes = rows[min(rows, key=lambda k: abs(k / STEPS - switch / steps))]
        longer = (STEPS / steps) ** (2 / 3 if steps < STEPS else 1)
        return {"zeta": sizes["zeta"] * longer, "lam": min(sizes["lam"], steps / 20)}


def between(measured: Mapping[float, float | list[list[float]]], s2: float) -> torch.Tensor:
    """Numbers measured at some levels s^2, at another: a line in the logarithms, and never above s2."""
    levels = sorted(measured)
    above = min(max(bisect(levels, s2), 1), len(levels) - 1)
    x0, x1 = math.log(levels[above - 1]), math.log(levels[above])
    y0, y1 = (torch.tensor(measured[levels[i]], dtype=torch.float64).log() for i in (above - 1, above))
    return (y0 + (y1 - y0) * (math.log(s2) - x0) / (x1 - x0)).exp().clamp_max(s2)


def rings(height: int, width: int) -> torch.Tensor:
    """The ring of each wave, (height, width) whole numbers from 0 to ``RINGS`` - 1, by sqrt(i^2 + j^2).

    A wave (i, j) has i half periods down the picture and j across. The mean is ring 0, single half periods are
    ring 1, and the others are even in the logarithm.
    """
    f = (torch.arange(height)[:, None] ** 2 + torch.arange(width) ** 2).sqrt()
    finest = math.hypot(max(64, height), max(64, width))
    edges = torch.logspace(math.log10(1.5), math.log10(finest), RINGS - 1)[:-1]
    return torch.bucketize(f, torch.cat([torch.tensor([0.5]), edges]))


def read(folder: Path, digest: str) -> StepSizes:
    """The step sizes in the ``FILE`` of a prior's folder.

    Raises Refusal for a file that is damaged or was tuned on weights of another ``digest``.
    """
    file = folder / FILE
    with understood(f"prior: {file} holds no step sizes; write it anew or delete it"):
        content = json.loads(file.read_text())
        owner = content["meta"]["prior_digest"]
        tuned = {
            str(task): {int(k): {name: float(row[name]) for name in RULE} for k, row in rows.items()}
            for task, rows in content["tuned"].items()
        }
        errors = {float(s2): float(error) for s2, error in content.get("errors", {}).items()}
        spectrum = {
            float(s2): [[float(v) for v in line] for line in lines]
            for s2, lines in content.get("spectrum", {}).items()
        }
        sound(tuned, errors, spectrum)
    if owner != digest:
        raise Refusal(f"prior: {file} was tuned on other weights; tune again or delete it")
    return StepSizes(tuned, errors, spectrum)


def sound(
    tuned: dict[str, dict[int, dict[str, float]]],
    errors: dict[float, float],
    spectrum: dict[float, list[list[float]]],
) -> None:
    """ValueError unless all are finite, steps not negative, levels and errors positive, and lines of ``RINGS``."""
    steps = [size for rows in tuned.values() for row in rows.values() for size in row.values()]
    lines = [line for lines in spectrum.values() for line in lines]
    positive = [*errors, *errors.values(), *spectrum, *(value for line in lines for value in line)]
    if not all(0 <= size < math.inf for size in steps) or not all(0 < value < math.inf for value in positive):
        raise ValueError
    if any(len(line) != RINGS for line in lines) or len({len(lines) for lines in spectrum.values()}) > 1:
        raise ValueError
