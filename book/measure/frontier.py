"""Quality against passes through the network: every method, at the same budgets, on the same pictures.

A pass is a call of the network or a product with its Jacobian, so a step that back-propagates costs two. Every
method has one setting for all tasks and budgets, the one that ``search`` has chosen on other faces; DPS, DMPS and
the hybrid have step sizes by task too. Passes that are not back-propagated are in bfloat16. What stands in
``MANY`` restores many faces, every method the first ``--limit`` pictures of each of ``CONDITIONS``, and with the
passes of ``FURTHER`` a few. What is asked for may grow: rows that are there stay. Under ``torchrun`` each process
takes its share of the pictures.
"""

import argparse
import json
from collections.abc import Iterator
from dataclasses import asdict
from functools import cache
from pathlib import Path
from typing import NamedTuple

import torch
from accelerate import PartialState
from accelerate.utils import gather_object
from tqdm import tqdm

from frugal import RestorationPipeline, images
from frugal.base import checks, provenance
from frugal.photo import damage
from frugal.runs import restore
from frugal.results import stored
from frugal.base.devices import choose
from frugal.samplers import METHODS
from frugal.metrics import quality
from frugal.operators import TASKS

from . import record
from .search import SETTINGS, Setting, restored
from .tuning import SIGMA

LONG = 200  # passes of DPS with its hundred steps
MANY = (("spectral", 20, 200), ("spectral", 10, 100), ("spectral", 40, 100))  # method, passes, faces
CONDITIONS = (  # pictures, sigma, budgets in passes
    ("faces", SIGMA, (20, 10, 40, 5)),
    ("faces", 0.05, (20,)),
    ("out_of_distribution", SIGMA, (20,)),
)
FURTHER = 8, (80,)  # faces, the first of them, and more passes for every method
DRAWN_TWICE = ("faces", SIGMA, 20)  # where every picture is drawn a second time, from the same measurement
DEPENDS = provenance.SAMPLING
OF_A_PRIOR = True


class Run(NamedTuple):
    """One method at one budget on the first ``count`` of some pictures."""

    pictures: str
    sigma: float
    task: str
    method: str
    passes: int
    count: int


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's arguments."""
    add = parser.add_argument
    add("--images", type=Path, required=True, help="folder of faces that the tuning did not see")
    add("--limit", type=int, default=8, help="pictures for every method (default %(default)s)")
    add("--tasks", nargs="+", default=["sr4", "sr16", "inpaint-box"], help="(default %(default)s)")
    add("--seed", type=int, default=0)
    add("--prior", default=record.SHIPPED, help="(default %(default)s)")
    add("--batch", type=int, default=20, help="pictures in a call of the network (default %(default)s)")


def settings(name: str) -> dict[str, object]:
    """What the numbers depend on beside the arguments."""
    sizes = RestorationPipeline.from_pretrained().step_sizes
    asked = {"many": MANY, "conditions": CONDITIONS, "further": FURTHER}
    return {**asked, "step_sizes": asdict(sizes), "chosen": chosen()}


@cache
def chosen() -> dict[str, str]:
    """{method: the name of its setting}, by ``search``."""
    return record.content(record.FOLDER / "search.json").get("chosen", {})


def setting(method: str, passes: int) -> Setting:
    """The chosen one; at full length the library's own, whose step sizes were tuned there."""
    if passes == LONG:
        return Setting(method)
    (found,) = (s for s in SETTINGS if (s.method, s.name) == (method, chosen()[method]))
    return found


def measure(args: argparse.Namespace) -> dict:
    """{"meta", "rows"}, see ``rows_of``."""
    for task in args.tasks:
        checks.one_of("tasks", task, TASKS)
    state = PartialState(cpu=choose(args.device).type == "cpu")
    pipe = RestorationPipeline.from_pretrained(args.prior).to(choose(args.device)).speed_up()
    named = {
        "faces": {path.name: images.load(path, pipe.size) for path in images.find(args.images)},
        "out_of_distribution": images.named("out_of_distribution", pipe.size),
    }
    meta = record.stamp(args, pipe, DEPENDS, **settings(args.name))
    own = stored.part(args.out, state.process_index)
    how_much = ["many", "conditions", "further"]
    files = (args.out, *stored.parts(args.out))
    before = [record.kept(file, meta, ["limit"], how_much) for file in files]
    done = {key(row): row for content in before for row in content.get("rows", [])}
    for run in tqdm(list(runs(args)), disable=not state.is_main_process):
        mine = list(named[run.pictures].items())[: run.count][state.process_index :: state.num_processes]
        todo = [(name, x) for name, x in mine if (*run[:5], images.digest(x)) not in done]
        for some in (dict(todo[i : i + args.batch]) for i in range(0, len(todo), args.batch)):
            done |= {key(row): row for row in rows_of(pipe, some, run, args.seed)}
            record.write(own, {"meta": meta, "rows": list(done.values())})
    state.wait_for_everyone()
    rows = {key(row): row for row in gather_object(list(done.values()))}
    return {"meta": meta, "rows": [rows[name] for name in sorted(rows)]}


def key(row: dict) -> tuple[str, float, str, str, int, str]:
    """What names a row; the picture by its digest, for another may have taken its file's name."""
    return row["pictures"], row["sigma"], row["task"], row["method"], row["passes"], row["picture"]


def runs(args: argparse.Namespace) -> Iterator[Run]:
    """The few methods on many faces first, then all of them, budget by budget."""
    for method, passes, faces in MANY:
        for task in args.tasks:
            yield Run("faces", SIGMA, task, method, passes, faces)
    for pictures, sigma, budgets in CONDITIONS:
        for task in args.tasks:
            yield Run(pictures, sigma, task, "dps", LONG, args.limit)
        for passes in budgets:
            for task in args.tasks:
                yield from (Run(pictures, sigma, task, method, passes, args.limit) for method in METHODS)
    few, budgets = FURTHER
    for passes in budgets:
        for task in args.tasks:
            yield from (Run("faces", SIGMA, task, method, passes, few) for method in METHODS)


def rows_of(pipe: RestorationPipeline, named: dict[str, torch.Tensor], run: Run, seed: int) -> list[dict]:
    """The rows of a run on pictures {name: (C, H, W)}.

    residual  ||y - A x|| / (sigma sqrt(m)), 1 for the truth
    spread    ||x - x'|| / ||x - x0|| of a second draw x', 1 for draws of the posterior; under one condition, else None
    """
    x0 = torch.stack(list(named.values()))
    own, noise = setting(run.method, run.passes), {"sigma": run.sigma, "seed": seed}
    x, taken = restored(pipe, x0, run.task, own, run.passes, **noise)
    m = restore.measure(x0, run.task, run.sigma, seed)
    columns = quality(x, x0) | {
        "picture": [images.digest(one) for one in x0],
        "residual": damage.residual(m, x),
        "spread": [None] * len(x0),
    }
    if (run.pictures, run.sigma, run.passes) == DRAWN_TWICE:
        again, _ = restored(pipe, x0, run.task, own, run.passes, **noise, draw=1)
        columns["spread"] = ((x - again).flatten(1).norm(dim=1) / (x - x0).flatten(1).norm(dim=1)).tolist()
    asked = {name: value for name, value in run._asdict().items() if name != "count"}
    return [
        {"image": name, **asked, "setting": own.name, "taken": taken[i]}
        | {column: plain(values[i]) for column, values in columns.items()}
        for i, name in enumerate(named)
    ]


def plain(value: object) -> object:
    """A number with six significant digits, anything else as it is."""
    return json.loads(f"{value:.6g}") if isinstance(value, float) else value
