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
            return rows(some, against_dps(made, sizes, t, switches))

        yield Run({"task": task}, named, of)


def against_dps(
    faces_at: Callable[[int], Faces],
    sizes: Sizes,
    t: int,
    switches: Mapping[str, int],
    kinds: Collection[str] = ("same", "own", "equal"),
) -> Restored:
    """DPS, DMPS and the hybrids of some faces, whose paths are shared.

    faces_at  number of steps -> the faces
    switches  {name: k}
    kinds     which of the comparisons
    """
    faces, own = faces_at(t), {k: sizes(k) for k in (0, *switches.values(), t)}
    zeta, lam = own[0]["zeta"], own[t]["lam"]
    zeta_of = {"same": lambda k: zeta, "own": lambda k: own[k]["zeta"]}
    hybrids = [(kind, name, k) for name, k in switches.items() for kind in zeta_of if kind in kinds]
    leave: dict[float, set[int]] = {zeta: {0}}
    for kind, _, k in hybrids:
        leave.setdefault(zeta_of[kind](k), set()).add(k)
    paths = {z: faces.dps(z, ks) for z, ks in leave.items()}
    told = lambda steps, k, zeta, lam: {"steps": steps, "switch": k, "zeta": zeta, "lam": lam}
    done = {"dps": (paths[zeta][0], told(t, 0, zeta, lam)), "dmps": (faces.dmps(lam), told(t, t, zeta, lam))}
    for kind, name, k in hybrids:
        zeta_k, lam_k = zeta_of[kind](k), own[k]["lam"]
        done[f"{kind} {name}"] = (faces.dmps(lam_k, paths[zeta_k][k], k), told(t, k, zeta_k, lam_k))
    for name, k in switches.items() if "equal" in kinds else ():
        fewer = t - round(k / 2)  # a DPS step is two passes, a DMPS step is one
        zeta_e = zeta * t / fewer  # as fewer steps have to be longer
        done[f"equal {name}"] = (faces_at(fewer).dps(zeta_e)[0], told(fewer, 0, zeta_e, lam))
    return done
