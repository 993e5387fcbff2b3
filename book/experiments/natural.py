"""The poster's methods on natural photographs that are no faces, and beside them the method that does best on faces.

The prior has seen faces alone, so here the measurement has to do what it can. The photographs are the colour test
sets of denoising papers, CBSD68, Kodak24 and McMaster, but for six portraits; numbers only.
"""

from collections.abc import Iterator

import torch

from frugal.runs import restore
from frugal.samplers import BEST, METHODS

from .engine import Job, Pictures, Restored, Run, rows
from .faces import SIGMA, Faces

STEPS, SWITCHES = 100, (5, 25, 50)


def runs(job: Job) -> Iterator[Run]:
    """The poster's methods and the other, for every task."""
    named = job.pictures()
    for task in job.args.tasks:
        for steps, of in ((STEPS, by_poster), (METHODS[BEST].steps, by_best)):
            run = lambda some, task=task, of=of: rows(some, of(job, some, task))
            yield Run({"task": task, "steps": steps}, named, run)


def by_poster(job: Job, some: Pictures, task: str) -> Restored:
    """DPS, DMPS, and hybrids with DPS's zeta, whose path is DPS's."""
    faces = Faces.of(job.pipe, torch.stack(list(some.values())), task, STEPS, job.args.seed, SIGMA)
    own = {k: job.pipe.step_sizes.of(task, k, STEPS) for k in (0, *SWITCHES, STEPS)}
    zeta, path = own[0]["zeta"], faces.dps(own[0]["zeta"], (0, *SWITCHES))
    told = lambda k, of: {"switch": k, "zeta": zeta, "lam": own[of]["lam"]}
    done = {
        "dps": (path[0], told(0, STEPS)),
        "dmps": (faces.dmps(own[STEPS]["lam"]), told(STEPS, STEPS)),
    }
    hybrids = {f"hybrid {k}": (faces.dmps(own[k]["lam"], path[k], k), told(k, k)) for k in SWITCHES}
    return done | hybrids


def by_best(job: Job, some: Pictures, task: str) -> Restored:
    """The method of ``samplers.BEST``, forward passes only."""
    x0 = torch.stack(list(some.values()))
    m = restore.measure(x0, task, SIGMA, job.args.seed)
    noise = restore.generators(job.args.seed, x0, "sampler")
    return {BEST: (job.pipe(m, BEST, generator=noise).images, {})}
