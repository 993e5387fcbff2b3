"""What every difference between the papers, their code and this code does to a restoration.

Each variant restores the shipped faces from the measurements, and with the noise, that the library's own
sampler gets, so differences are paired.
"""

from collections.abc import Iterator

import torch

from frugal import images
from frugal.base import checks

from .engine import Job, Pictures, Run, rows
from .faces import SIGMA
from .variants import VARIANTS, Variant, problem, run


def runs(job: Job) -> Iterator[Run]:
    """Every variant; its name is the method of its rows."""
    args = job.args
    checks.whole("faces", args.faces, 1, 20)
    named = images.named("faces", job.pipe.size, args.faces)

    def of(some: Pictures, v: Variant) -> list[dict]:
        p = problem(job.pipe, v.task, torch.stack(list(some.values())), args.steps, args.seed, SIGMA)
        return rows(some, {v.name: (run(v, p, args.seed), {"reference": v.reference})})

    for v in VARIANTS:
        yield Run({"task": v.task, "method": v.name}, named, lambda some, v=v: of(some, v))
