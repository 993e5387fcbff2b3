"""The hybrid against DPS at every switch k, in three comparisons: same zeta, each its own, and equal cost.

A row for each face and variant. ``dps`` and ``dmps`` have their tuned step sizes; ``same 50`` is the hybrid
with k = 50 and DPS's zeta, ``own 50`` the same with the zeta that was tuned for this k, and ``equal 50`` is
DPS with so many steps that it costs as many passes through the network, forward or backward, as ``own 50``.
"""

import argparse
from pathlib import Path

import torch
from tqdm import tqdm

from frugal import RestorationPipeline, images, metrics
from frugal.base import checks, provenance
from frugal.prior import step_sizes
from frugal.base.devices import choose
from frugal.operators import TASKS

from . import record
from .tuning import SIGMA, Walk

SWITCHES = (5, 10, 25, 50)
DEPENDS = provenance.SAMPLING
OF_A_PRIOR = True


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's arguments."""
    add = parser.add_argument
    add("--images", type=Path, required=True, help="folder of faces that the tuning did not see")
    add("--crop", type=int, help="side of the centred square to cut out, 140 for aligned CelebA")
    add("--limit", type=int, help="only the first so many faces")
    add("--tasks", nargs="+", default=["sr16", "sr4", "inpaint-box"], help="(default %(default)s)")
    add("--steps", type=int, default=step_sizes.STEPS, help="reverse steps (default %(default)s)")
    add("--seed", type=int, default=0)
    add("--prior", default="faces64", help="a shipped name or a folder (default %(default)s)")
    add("--batch", type=int, help="pictures in a call of the network (default 20, on a GPU 1024)")


def settings(name: str, prior: str = record.SHIPPED) -> dict[str, object]:
    """What the numbers depend on beside the arguments."""
    return {"sigma": SIGMA, "step_sizes": RestorationPipeline.from_pretrained(prior).step_sizes.tuned}


def measure(args: argparse.Namespace) -> dict:
    """Measure every task; what is done is written after each, and a second run goes on from there."""
    for task in args.tasks:
        checks.one_of("tasks", task, TASKS)
    pipe = RestorationPipeline.from_pretrained(args.prior).to(choose(args.device))
    size = args.batch or (1024 if pipe.device.type == "cuda" else 20)
    named = {
        path.name: images.load(path, pipe.size, args.crop) for path in images.find(args.images)[: args.limit]
    }
    meta = record.stamp(args, pipe, DEPENDS, **settings(args.name, args.prior))
    before = record.kept(args.out, meta, apart_from=["tasks"])
    content = {"meta": meta, "rows": before.get("rows", [])}
    for task in args.tasks:
        if task not in {row["task"] for row in content["rows"]}:
            content["rows"] += rows_of(pipe, named, task, args.steps, args.seed, size)
        record.write(args.out, content)
    return content


def rows_of(
    pipe: RestorationPipeline, named: dict[str, torch.Tensor], task: str, t: int, seed: int, size: int
) -> list[dict]:
    """The rows of one task, faces {name: (C, H, W)} in batches of at most ``size``."""
    x0, names = torch.stack(list(named.values())), list(named)
    rows = []
    for face in tqdm(torch.arange(len(x0)).split(size), desc=task):
        some = x0[face].to(pipe.device)
        for variant, (steps, k, zeta, lam, restored) in variants(pipe, some, task, t, seed).items():
            scores = metrics.quality(restored, some)
            settings = {"steps": steps, "switch": k, "zeta": zeta, "lam": lam}
            rows += [
                {
                    "image": names[i],
                    "picture": images.digest(x0[i]),
                    "task": task,
                    "method": variant,
                    **settings,
                    **{name: values[j] for name, values in scores.items()},
                }
                for j, i in enumerate(face.tolist())
            ]
    return rows


def variants(
    pipe: RestorationPipeline, x0: torch.Tensor, task: str, t: int, seed: int
) -> dict[str, tuple[int, int, float, float, torch.Tensor]]:
    """{variant: (steps, k, zeta, lam, restorations (F, C, H, W))} of faces x0 (F, C, H, W)."""
    walk, every = Walk.of(pipe, x0, task, t, seed), torch.arange(len(x0), device=x0.device)
    switches = sorted({round(k * t / step_sizes.STEPS) for k in SWITCHES} - {0, t})
    full = lambda value: torch.full((len(x0),), value, device=x0.device)
    own = {k: pipe.step_sizes.of(task, k, t) for k in (0, *switches, t)}
    zeta, lam = own[0]["zeta"], own[t]["lam"]
    path = walk.dps(every, full(zeta), switches)
    done = {
        "dps": (t, 0, zeta, lam, path[0]),
        "dmps": (t, t, zeta, lam, walk.dmps(walk.z[0], t, every, full(lam))),
    }
    for k in switches:
        zeta_k, lam_k = own[k]["zeta"], own[k]["lam"]
        for name, size, x_k in (
            ("same", zeta, path[k]),
            ("own", zeta_k, path[k] if zeta_k == zeta else walk.dps(every, full(zeta_k), [k], until=k)[k]),
        ):
            done[f"{name} {k}"] = (t, k, size, lam_k, walk.dmps(x_k, k, every, full(lam_k)))
        fewer = t - round(k / 2)  # a DPS step is two passes, a DMPS step is one
        short = Walk.of(pipe, x0, task, fewer, seed)
        zeta_e = pipe.step_sizes.of(task, 0, fewer)["zeta"]
        done[f"equal {k}"] = (fewer, 0, zeta_e, lam, short.dps(every, full(zeta_e), [])[0])
    return done
