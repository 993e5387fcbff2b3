"""Quality against passes through the network: every method, at the same few budgets, on the same faces.

A pass is a call of the network or a product with its Jacobian, so a step that back-propagates costs two. Every
method has one setting for all tasks and budgets, its authors' where it is not the poster's; DPS, DMPS and the hybrid
alone have step sizes tuned by task. All methods restore the first ``--limit`` faces, those of ``MANY`` the first
``--many``. Under ``accelerate launch`` each process takes its share of the faces.
"""

import argparse
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import torch
from accelerate import PartialState
from accelerate.utils import gather_object
from tqdm import tqdm

from frugal import RestorationPipeline, checks, images, provenance, restore, results
from frugal.devices import choose
from frugal.methods import METHODS
from frugal.operators import TASKS
from frugal.settings import Settings

from . import record
from .tuning import SIGMA

BUDGETS = (10, 20, 40)  # passes
PASSES = {
    "dps": 2.0,
    "pigdm": 2.0,
    "hybrid": 1.5,
    "relay": 1.5,
}  # a step, on average over a run; 1 in all others
MANY = (
    *((method, passes) for method in ("centred", "spectral") for passes in (10, 20, 40)),
    ("relay", 40),
)  # what more faces judge
DEPENDS = provenance.SAMPLING
OF_A_PRIOR = True


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's arguments."""
    add = parser.add_argument
    add("--images", type=Path, required=True, help="folder of faces that the tuning did not see")
    add("--limit", type=int, default=12, help="faces for every method (default %(default)s)")
    add("--many", type=int, default=100, help="faces for the methods of MANY (default %(default)s)")
    add("--tasks", nargs="+", default=["sr4", "sr16", "inpaint-box"], help="(default %(default)s)")
    add("--seed", type=int, default=0)
    add("--prior", default=record.SHIPPED, help="(default %(default)s)")
    add("--batch", type=int, default=20, help="pictures in a call of the network (default %(default)s)")


def settings(name: str) -> dict[str, object]:
    """What the numbers depend on beside the arguments."""
    sizes = RestorationPipeline.from_pretrained().step_sizes
    return {"sigma": SIGMA, "module": record.digest(Path(__file__)), "step_sizes": asdict(sizes)}


def measure(args: argparse.Namespace) -> dict:
    """{"meta", "rows": those of ``restore.restore``, with "image", "passes" asked for, and "residual"}."""
    for task in args.tasks:
        checks.one_of("tasks", task, TASKS)
    state = PartialState(cpu=choose(args.device).type == "cpu")
    pipe = RestorationPipeline.from_pretrained(args.prior).to(choose(args.device))
    pipe.set_progress_bar_config(disable=True)
    named = {path.name: images.load(path, pipe.size) for path in images.find(args.images)}
    meta = record.stamp(args, pipe, DEPENDS, **settings(args.name))
    own = results.part(args.out, state.process_index)
    before = [record.kept(file, meta, ["limit", "many"]) for file in (args.out, *results.parts(args.out))]
    done = {key(row): row for content in before for row in content.get("rows", [])}
    for task, method, passes, faces in tqdm(list(runs(args)), disable=not state.is_main_process):
        mine = list(named)[:faces][state.process_index :: state.num_processes]
        todo = [name for name in mine if (task, method, passes, images.digest(named[name])) not in done]
        for batch in (todo[i : i + args.batch] for i in range(0, len(todo), args.batch)):
            some = {name: named[name] for name in batch}
            done |= {key(row): row for row in rows_of(pipe, some, task, method, passes, args.seed)}
            record.write(own, {"meta": meta, "rows": list(done.values())})
    state.wait_for_everyone()
    rows = {key(row): row for row in gather_object(list(done.values()))}
    return {"meta": meta, "rows": [rows[name] for name in sorted(rows)]}


def key(row: dict) -> tuple[str, str, int, str]:
    """What names a row; the picture by its digest, for another may have taken its file's name."""
    return row["task"], row["method"], row["passes"], row["picture"]


def runs(args: argparse.Namespace) -> Iterator[tuple[str, str, int, int]]:
    """(task, method, passes, number of faces), the few methods on many faces first."""
    for task in args.tasks:
        yield from ((task, method, passes, args.many) for method, passes in MANY)
    for passes in BUDGETS:
        for task in args.tasks:
            yield from ((task, method, passes, args.limit) for method in METHODS)


def rows_of(
    pipe: RestorationPipeline,
    named: dict[str, torch.Tensor],
    task: str,
    method: str,
    passes: int,
    seed: int,
) -> list[dict]:
    """The rows of one method on faces {name: (C, H, W)}; "residual" is ||y - A x|| / (sigma sqrt(m)), 1 for the truth."""
    steps = round(passes / PASSES.get(method, 1.0))
    x0 = torch.stack(list(named.values()))
    rows, x = restore.restore(pipe, x0, task, method, SIGMA, Settings(steps, seed=seed))
    m = restore.measure(x0, task, SIGMA, seed)
    residual = (m.y - m.A(x)).flatten(1).square().mean(1).sqrt() / SIGMA
    return [
        {"image": name, **row, "passes": passes, "residual": float(r)}
        for name, row, r in zip(named, rows, residual)
    ]
