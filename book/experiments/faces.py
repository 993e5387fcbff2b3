"""Measured pictures that several chains share: their paths branch, and each has the pipeline's own noise."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace

import torch
from diffusers.utils.torch_utils import randn_tensor

from frugal import RestorationPipeline
from frugal.measurement import Measurement
from frugal.runs import chains
from frugal.samplers import poster
from frugal.samplers.walk import Denoise, State, Step, walk
from frugal.schedule import Schedule

from .engine import Job, Pictures

SIGMA = 0.01  # of a measurement's noise, where an experiment has no other

Start = torch.Tensor | None  # (B, C, H, W); pure noise for None
EVERY = slice(None)


@dataclass(frozen=True)
class Faces:
    """F measured pictures.

    pipe      the prior
    schedule  of t steps
    m         their measurements
    z         their noises (t + 1, F, C, H, W): the start, then one a step, as the pipeline draws them
    """

    pipe: RestorationPipeline
    schedule: Schedule
    m: Measurement
    z: torch.Tensor

    @classmethod
    def of(
        cls, pipe: RestorationPipeline, x0: torch.Tensor, task: str, steps: int, seed: int, sigma: float
    ) -> "Faces":
        """Measure pictures x0 (F, C, H, W) and draw their noises."""
        m, own = pipe.fitting(chains.measure(x0, task, sigma, seed)), chains.generators(seed, x0, "sampler")
        z = torch.empty(steps + 1, *x0.shape, device=m.y.device)
        for draw in z:
            draw.copy_(randn_tensor(x0.shape, own, m.y.device))
        on_device = replace(m.A, singular_values=m.A.singular_values.to(m.y))
        return cls(pipe, Schedule.from_scheduler(pipe.scheduler, steps), replace(m, A=on_device), z)

    @property
    def denoise(self) -> Denoise:
        """The prior's guess."""
        return self.pipe.denoiser(self.schedule)

    def states(
        self, step: Step, x: Start = None, start: int | None = None, face: slice = EVERY
    ) -> Iterator[State]:
        """``walk`` for the pictures ``face``, from their pure noise, or from x (B, C, H, W) at k = ``start``."""
        k = self.schedule.t if start is None else start
        draws = (z[face] for z in self.z[self.schedule.t - k + 1 :])
        x = self.z[0][face] if x is None else x
        return walk(step, self.schedule, self.m[face], draws.__next__, x, k)

    def end(self, step: Step, x: Start = None, start: int | None = None, face: slice = EVERY) -> torch.Tensor:
        """x_0 (B, C, H, W) at the end of ``states``; x itself where no step is left."""
        for state in self.states(step, x, start, face):
            x = state.x
        return x

    def dps(
        self, zeta: float, stations: Collection[int] = (0,), face: slice = EVERY
    ) -> dict[int, torch.Tensor]:
        """{k: x_k (B, C, H, W)} of DPS at the k of ``stations``; it goes no further than the least of them."""
        reached = {self.schedule.t: self.z[0][face]}
        for state in self.states(poster.dps(self.denoise, self.schedule, zeta), face=face):
            if state.k - 1 in stations:
                reached[state.k - 1] = state.x
            if state.k - 1 == min(stations):
                break
        return reached

    def dmps(
        self, lam: float, x: Start = None, start: int | None = None, face: slice = EVERY
    ) -> torch.Tensor:
        """x_0 (B, C, H, W) of DMPS from x_k, k = ``start``, or from pure noise."""
        return self.end(poster.dmps(self.denoise, self.schedule, lam), x, start, face)


def faces_of(job: Job, named: Pictures, task: str, steps: int, sigma: float) -> Faces:
    """Some pictures of a job, measured."""
    return Faces.of(job.pipe, torch.stack(list(named.values())), task, steps, job.args.seed, sigma)
