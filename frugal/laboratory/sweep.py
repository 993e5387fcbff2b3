"""A problem restored with every step size and switch, each chosen on other pictures than it serves."""

from dataclasses import dataclass

import torch

from ..checks import Refusal
from .distances import sliced_wasserstein
from .problem import Problem


@dataclass(frozen=True)
class Sweep:
    """A problem's pictures restored with every zeta and switch k, lam = 1, against the exact posterior.

    exact     (B, 8 draws, n) draws of each posterior; floor (B, draws, n), as many as of the restorations
    far       {(zeta, k): (B,)}, ``sliced_wasserstein`` between restorations and ``exact``
    curves    {zeta: (t - 1, B draws)}, ``collapse.consecutive_psnr`` of DPS's guesses
    zeta      {k: B settings}; each half of the pictures has the one that is best for the other half
    tuned     {k: (B,)}, ``far`` with these zetas; restored {k: (B, draws, n)}, the restorations
    """

    problem: Problem
    exact: torch.Tensor
    floor: torch.Tensor
    far: dict
    curves: dict
    zeta: dict
    tuned: dict
    restored: dict

    @classmethod
    def run(cls, problem, schedule, zetas, switches, draws, seed=0):
        """``draws`` restorations of each picture. Raises Refusal for fewer than 2 pictures."""
        g = torch.Generator().manual_seed(seed)
        exact, floor = problem.sample(8 * draws, g), problem.sample(draws, g)
        ends, curves = problem.hybrids(schedule, zetas, (1.0,), switches, draws, g)
        distance = lambda x: sliced_wasserstein(x, exact, torch.Generator().manual_seed(seed))
        far = {(zeta, k): distance(x) for (zeta, k, _), x in ends.items()}
        zeta = {k: best_of_other_half({z: far[z, k] for z in zetas}) for k in switches}
        tuned = {k: torch.stack([far[z, k][i] for i, z in enumerate(zeta[k])]) for k in switches}
        restored = {k: torch.stack([ends[z, k, 1.0][i] for i, z in enumerate(zeta[k])]) for k in switches}
        return cls(problem, exact, floor, far, curves, zeta, tuned, restored)


def best_of_other_half(distances):
    """For each picture the setting that is best, on average, for the other half of the pictures.

    distances {setting: (B,)}. Returns B settings. So none is chosen on the picture it serves.
    Raises Refusal for fewer than 2 pictures.
    """
    B = len(next(iter(distances.values())))
    if B < 2:
        raise Refusal(f"distances: of {B} picture; choosing on other pictures needs at least 2")
    best = lambda pictures: min(distances, key=lambda setting: distances[setting][pictures].mean())
    return [best(slice(B // 2, B))] * (B // 2) + [best(slice(B // 2))] * (B - B // 2)
