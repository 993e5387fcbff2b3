"""The 20 dB rule as a method: the hybrid that switches where its guesses agree, read in two ways.

``first``: each picture turns to DMPS as soon as the pSNR of consecutive guesses reaches 20 dB, which the
sampler finds while it runs, ``switch="collapse"``. ``settled``: at the k from which it stays there, which only a
whole run of DPS tells. Both have the step sizes of half of the steps, as ``switches`` has ``own 50``; ``dps`` is
DPS with that zeta, whose path ``settled`` shares.
"""

from collections.abc import Iterator

import torch

from frugal import RestorationPipeline
from frugal.collapse import consecutive_psnr, settled_from_curve
from frugal.prior.step_sizes import STEPS
from frugal.samplers import poster
from frugal.samplers.walk import last

from .engine import Job, Pictures, Run, rows
from .faces import SIGMA, Faces


def runs(job: Job) -> Iterator[Run]:
    """Every task, on the first ``limit`` faces."""
    named = job.pictures()
    for task in job.args.tasks:
        yield Run({"task": task}, named, lambda some, task=task: rows_of(job.pipe, some, task, job.args.seed))


def rows_of(pipe: RestorationPipeline, named: Pictures, task: str, seed: int) -> list[dict]:
    """The rows of one task."""
    faces = Faces.of(pipe, torch.stack(list(named.values())), task, STEPS, seed, SIGMA)
    own = pipe.step_sizes.of(task, STEPS // 2, STEPS)
    zeta, lam, denoise, S = own["zeta"], own["lam"], faces.denoise, faces.schedule
    first = last(faces.states(poster.hybrid(denoise, S, zeta, lam, "collapse")))
    path, guesses = {STEPS: faces.z[0]}, []
    for state in faces.states(poster.dps(denoise, S, zeta)):
        path[state.k - 1] = state.x
        guesses.append(state.x0_hat)
    ks = settled_from_curve(consecutive_psnr(guesses)).tolist()
    settled = [faces.dmps(lam, path[k][i : i + 1], k, slice(i, i + 1)) for i, k in enumerate(ks)]
    found = {  # a step that back-propagates is two passes
        "dps": (path[0], [0] * len(ks)),
        "first": (first.x, (2 * STEPS - first.passes).tolist()),
        "settled": (torch.cat(settled), ks),
    }
    return rows(named, {m: (x, {"steps": STEPS, **own, "switch": k}) for m, (x, k) in found.items()})
