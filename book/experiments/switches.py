"""The hybrid against DPS, in up to three comparisons at each switch k: same zeta, each its own, and equal cost.

``dps`` and ``dmps`` have the step sizes of their k; ``same 50`` is the hybrid with k = 50 and DPS's zeta, ``own 50``
the same with the zeta of this k, and ``equal 50`` is DPS with so many steps that it costs as many passes through the
network, forward or backward, as ``own 50``.
"""

from collections.abc import Callable, Collection, Iterator, Mapping
from functools import partial

from frugal.prior.step_sizes import STEPS

from .engine import Job, Pictures, Restored, Run, rows
from .faces import SIGMA, Faces, faces_of

SWITCHES = (5, 10, 25, 50)  # of 100 steps

Sizes = Callable[[int], Mapping[str, float]]  # k -> zeta and lam


def runs(job: Job) -> Iterator[Run]:
    """Every task."""
    named, t = job.pictures(), job.args.steps
    switches = {str(k): k for k in sorted({round(k * t / STEPS) for k in SWITCHES} - {0, t})}
    for task in job.args.tasks:

        def of(some: Pictures, task: str = task) -> list[dict]:
            made = partial(faces_of, job, some, task, sigma=SIGMA)
            sizes = partial(job.pipe.step_sizes.of, task, steps=t)
            return rows(some, against_dps(made, sizes, t, switches, switches))

        yield Run({"task": task}, named, of)


def against_dps(
    faces_at: Callable[[int], Faces],
    sizes: Sizes,
    t: int,
    switches: Mapping[str, int],
    equal: Collection[str] = (),
    own_zeta: bool = True,
) -> Restored:
    """DPS, DMPS and the hybrids of some faces, whose paths are shared.

    faces_at  number of steps -> the faces
    switches  {name: k}; those in ``equal`` have a DPS of equal cost beside them
    own_zeta  whether there are hybrids with the zeta of their k
    """
    faces, own = faces_at(t), {k: sizes(k) for k in (0, *switches.values(), t)}
    zeta, lam = own[0]["zeta"], own[t]["lam"]
    path = faces.dps(zeta, (0, *switches.values()))
    told = lambda steps, k, zeta, lam: {"steps": steps, "switch": k, "zeta": zeta, "lam": lam}
    done = {"dps": (path[0], told(t, 0, zeta, lam)), "dmps": (faces.dmps(lam), told(t, t, zeta, lam))}
    for name, k in switches.items():
        zeta_k, lam_k = own[k]["zeta"], own[k]["lam"]
        done[f"same {name}"] = (faces.dmps(lam_k, path[k], k), told(t, k, zeta, lam_k))
        if own_zeta:
            x_k = path[k] if zeta_k == zeta else faces.dps(zeta_k, [k])[k]
            done[f"own {name}"] = (faces.dmps(lam_k, x_k, k), told(t, k, zeta_k, lam_k))
        if name in equal:
            fewer = t - round(k / 2)  # a DPS step is two passes, a DMPS step is one
            zeta_e = zeta * t / fewer  # as fewer steps have to be longer
            done[f"equal {name}"] = (faces_at(fewer).dps(zeta_e)[0], told(fewer, 0, zeta_e, lam))
    return done
