"""A problem restored with every step size and switch, each chosen on other pictures than it serves."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self, TypeVar

import torch

from ..base.checks import Refusal
from ..schedule import Schedule
from .distances import sliced_wasserstein
from .problem import Problem

Setting = TypeVar("Setting")


@dataclass(frozen=True)
class Sweep:
    """A problem's pictures restored with every zeta and switch k, lam = 1, against the exact posterior.

    exact      (B, 8 draws, n) draws of each posterior, which the restorations are compared with
    control    (B, draws, n) more such draws, as many as there are restorations
    distances  {(zeta, k): (B,)}, ``sliced_wasserstein`` between restorations and ``exact``
    curves     {zeta: (t - 1, B draws)}, ``collapse.consecutive_psnr`` of DPS's guesses
    chosen     {k: B zetas}; each half of the pictures has the one that is best for the other half
    tuned      {k: (B,)}, the distances with the chosen zetas
    restored   {k: (B, draws, n)}, the restorations with the chosen zetas
    """

    problem: Problem
    exact: torch.Tensor
    control: torch.Tensor
    distances: dict[tuple[float, int], torch.Tensor]
    curves: dict[float, torch.Tensor]
    chosen: dict[int, list[float]]
    tuned: dict[int, torch.Tensor]
    restored: dict[int, torch.Tensor]

    @classmethod
    def run(
        cls,
        problem: Problem,
        schedule: Schedule,
        zetas: Sequence[float],
        switches: Sequence[int],
        draws: int,
        seed: int = 0,
    ) -> Self:
        """``draws`` restorations of each picture. Raises Refusal for fewer than 2 pictures."""
        g = torch.Generator().manual_seed(seed)
        exact, control = problem.sample(8 * draws, g), problem.sample(draws, g)
        ends, curves = problem.hybrids(schedule, zetas, (1.0,), switches, draws, g)
        distance = lambda x: sliced_wasserstein(x, exact, torch.Generator().manual_seed(seed))
        distances = {(zeta, k): distance(x) for (zeta, k, _), x in ends.items()}
        chosen = {k: best_of_other_half({zeta: distances[zeta, k] for zeta in zetas}) for k in switches}
        tuned = {k: torch.stack([distances[z, k][i] for i, z in enumerate(chosen[k])]) for k in switches}
        restored = {k: torch.stack([ends[z, k, 1.0][i] for i, z in enumerate(chosen[k])]) for k in switches}
        return cls(problem, exact, control, distances, curves, chosen, tuned, restored)


def best_of_other_half(distances: dict[Setting, torch.Tensor]) -> list[Setting]:
    """For each picture the setting that is best, on average, for the other half of the pictures.

    distances {setting: (B,)}. Returns B settings. So none is chosen on the picture it serves.
    Raises Refusal for fewer than 2 pictures.
    """
    B = len(next(iter(distances.values())))
    if B < 2:
        raise Refusal(f"distances: of {B} picture; choosing on other pictures needs at least 2")
    best = lambda pictures: min(distances, key=lambda setting: distances[setting][pictures].mean())
    return [best(slice(B // 2, B))] * (B // 2) + [best(slice(B // 2))] * (B - B // 2)
