"""The 20 dB rule as a method: the hybrid that switches where its guesses agree, read in two ways.

``first``: each picture turns to DMPS as soon as the pSNR of consecutive guesses reaches 20 dB, which the
sampler finds while it runs, ``switch="collapse"``. ``settled``: at the k from which it stays there, which only a
whole run of DPS tells. Both have the step sizes of half of the steps, as ``switches`` has ``own 50``; ``dps`` is
DPS with that zeta, whose path ``settled`` shares.
"""

import argparse
from pathlib import Path

import torch
from tqdm import tqdm

from frugal import RestorationPipeline, images
from frugal.base import checks, provenance
from frugal.runs import restore
from frugal.prior import step_sizes
from frugal.collapse import consecutive_psnr, settled_from_curve
from frugal.base.devices import choose
from frugal.operators import TASKS
from frugal.show.page import Record, rate

from . import record
from .tuning import SIGMA, Walk

STEPS = step_sizes.STEPS
DEPENDS = provenance.SAMPLING
OF_A_PRIOR = True


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's arguments."""
    add = parser.add_argument
    add("--images", type=Path, required=True, help="folder of faces that the tuning did not see")
    add("--limit", type=int, default=20, help="only the first so many faces (default %(default)s)")
    add("--tasks", nargs="+", default=["sr4", "sr16", "inpaint-box"], help="(default %(default)s)")
    add("--seed", type=int, default=0)
    add("--prior", default=record.SHIPPED, help="(default %(default)s)")
    add("--batch", type=int, default=20, help="pictures in a call of the network (default %(default)s)")


def settings(name: str) -> dict[str, object]:
    """What the numbers depend on beside the arguments."""
    return {
        "sigma": SIGMA,
        "module": record.digest(Path(__file__)),
        "step_sizes": RestorationPipeline.from_pretrained().step_sizes.tuned,
    }


def measure(args: argparse.Namespace) -> dict:
    """{"meta", "rows": a row for each task, face and reading}; kept batch by batch."""
    for task in args.tasks:
        checks.one_of("tasks", task, TASKS)
    pipe = RestorationPipeline.from_pretrained(args.prior).to(choose(args.device))
    pipe.set_progress_bar_config(disable=True)
    named = {path.name: images.load(path, pipe.size) for path in images.find(args.images)[: args.limit]}
    meta = record.stamp(args, pipe, DEPENDS, **settings(args.name))
    content = {"meta": meta, "rows": record.kept(args.out, meta, ["tasks", "limit"]).get("rows", [])}
    for task in args.tasks:
        done = {row["picture"] for row in content["rows"] if row["task"] == task}
        todo = [name for name, x in named.items() if images.digest(x) not in done]
        for batch in tqdm(list(torch.arange(len(todo)).split(args.batch)), desc=task):
            content["rows"] += rows_of(pipe, {todo[i]: named[todo[i]] for i in batch}, task, args.seed)
            record.write(record.part(args.out), content)
    return content


def rows_of(pipe: RestorationPipeline, named: dict[str, torch.Tensor], task: str, seed: int) -> list[dict]:
    """The rows of one task for faces {name: (C, H, W)}."""
    x0, full = torch.stack(list(named.values())), len(named)
    m, seen = restore.measure(x0, task, SIGMA, seed), Record(STEPS)
    run = lambda method, **own: pipe(
        m, method, STEPS, generator=restore.generators(seed, x0, "sampler"), **own
    )
    half = pipe.step_sizes.of(task, STEPS // 2, STEPS)
    first = run("hybrid", switch="collapse")
    dps = run("dps", zeta=half["zeta"], callback_on_step_end=seen.on_step_end)
    guesses = [seen.guesses[k] for k in range(STEPS, 0, -1)]
    ks = settled_from_curve(consecutive_psnr(guesses)).tolist()
    walk = Walk.of(pipe, x0.to(pipe.device), task, STEPS, seed)
    settled = [
        walk.dmps(
            seen.path[k][i : i + 1],
            k,
            torch.tensor([i], device=pipe.device),
            torch.tensor([half["lam"]], device=pipe.device),
        )
        for i, k in enumerate(ks)
    ]
    rows = []
    for method, x, switch in (
        ("dps", dps.images, [0] * full),
        ("first", first.images, first.switch),
        ("settled", torch.cat(settled), ks),
    ):
        own = {"task": task, "steps": STEPS, "zeta": half["zeta"], "lam": half["lam"]}
        rows += [{**row, **own, "switch": int(k)} for row, k in zip(rate(named, method, x.cpu()), switch)]
    return rows
