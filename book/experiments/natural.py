"""The poster's methods on natural photographs that are no faces, and beside them the method that does best on faces.

The prior has seen faces alone, so here the measurement has to do what it can. The photographs are the colour test
sets of denoising papers, CBSD68, Kodak24 and McMaster, but for six portraits; numbers only. How far each is from
faces, and how far the faces of ``switches`` are, is the prior's own error on it, ``photo.known.error``.
"""

from collections.abc import Callable, Iterable, Iterator
from functools import partial

import torch

from frugal import images
from frugal.photo import known
from frugal.runs import chains
from frugal.samplers import BEST, METHODS

from .engine import Job, Pictures, Restored, Run, rows
from .faces import SIGMA, faces_of
from .switches import against_dps

STEPS, SWITCHES = 100, (5, 25, 50)


def runs(job: Job) -> Iterator[Run]:
    """Every task."""
    named = job.pictures()
    for task in job.args.tasks:
        yield from (Run({"task": task, "steps": t}, named, of) for t, of in both(job, task))


def both(job: Job, task: str) -> Iterator[tuple[int, Callable[[Pictures], list[dict]]]]:
    """The steps of the poster's methods, and those of the other; with each, some pictures -> their rows."""
    for steps, made in ((STEPS, by_poster), (METHODS[BEST].steps, by_best)):
        yield steps, lambda some, made=made: rows(some, made(job, some, task))


def by_poster(job: Job, some: Pictures, task: str) -> Restored:
    """DPS, DMPS, and hybrids with DPS's zeta, whose path is DPS's."""
    sizes, switches = partial(job.pipe.step_sizes.of, task, steps=STEPS), {str(k): k for k in SWITCHES}
    faces_at = partial(faces_of, job, some, task, sigma=SIGMA)
    made = against_dps(faces_at, sizes, STEPS, switches, ["same"])
    return {name.replace("same", "hybrid"): one for name, one in made.items()}


def by_best(job: Job, some: Pictures, task: str) -> Restored:
    """The method of ``samplers.BEST``, forward passes only."""
    x0 = torch.stack(list(some.values()))
    m = chains.measure(x0, task, SIGMA, job.args.seed)
    noise = chains.generators(job.args.seed, x0, "sampler")
    return {BEST: (job.pipe(m, BEST, generator=noise).images, {})}


def then(job: Job) -> dict[str, dict[str, float]]:
    """{"distance": {digest of a picture: the prior's error on it, over that on its own kind}}."""
    return distances(job, [*job.pictures().values(), *job.pictures("faces").values()])


def distances(job: Job, those: Iterable[torch.Tensor]) -> dict[str, dict[str, float]]:
    """``then`` for pictures (C, H, W)."""
    return {"distance": {images.digest(x): known.error(job.pipe, x[None].to(job.pipe.device)) for x in those}}
