"""Restore held-out photographs of faces with every method, and keep the numbers.

The pictures may not be redistributed; a row names one by its place in the source and by its digest.
"""

import argparse
from dataclasses import asdict
from pathlib import Path

import torch
from tqdm import tqdm

from frugal import RestorationPipeline, Settings, provenance, restore
from frugal.devices import choose
from frugal.evaluate import seconds_per_call
from frugal.samplers import METHODS
from frugal.training.data import read_pictures

from . import record

SIGMA = 0.01
DEPENDS = provenance.SAMPLING
OF_A_PRIOR = True


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's arguments."""
    add = parser.add_argument
    add(
        "--images",
        type=Path,
        required=True,
        help="folder of faces, or a .npy file of uint8 (N, size, size, 3)",
    )
    add("--crop", type=int, help="side of the centred square to cut out, 140 for aligned CelebA")
    add("--limit", type=int, help="only the first so many faces")
    add("--seed", type=int, default=0)
    add("--prior", default=record.SHIPPED, help="(default %(default)s)")
    add("--batch", type=int, default=10, help="pictures restored together (default %(default)s)")


def settings(name: str, prior: str = record.SHIPPED) -> dict[str, object]:
    """What the numbers depend on beside the arguments: every method's settings, completed for the prior."""
    pipe, task = RestorationPipeline.from_pretrained(prior), task_of(name)
    methods = {method: asdict(pipe.complete(Settings(), method, task)) for method in METHODS}
    for method in methods.values():
        del method["seed"]  # an argument
    shared = {key: methods["hybrid"][key] for key in ("steps", "switch")}
    return {"task": task, "sigma": SIGMA, **shared, "methods": methods}


def task_of(name: str) -> str:
    """The task of a file celeba_val_TASK."""
    return name.removeprefix("celeba_val_")


def measure(args: argparse.Namespace) -> dict:
    """Rows as of ``restore.restore``, with "image"; an interrupted run goes on where it stopped."""
    pipe, task = RestorationPipeline.from_pretrained(args.prior).to(choose(args.device)), task_of(args.name)
    pipe.set_progress_bar_config(disable=True)
    x0 = read_pictures([args.images], pipe.size, args.crop)[: args.limit].float() / 127.5 - 1
    meta = record.stamp(args, pipe, DEPENDS, **settings(args.name, args.prior))
    meta |= {"pictures": len(x0), "seconds_per_call": seconds_per_call(pipe)}
    rows = record.kept(args.out, meta, measured=["seconds_per_call"]).get("rows", [])
    done = {(row["image"], row["method"]) for row in rows}
    restore.warm_up(pipe, task)
    with tqdm(total=len(METHODS) * len(x0), desc=args.name) as bar:
        for method in METHODS:
            for batch in torch.arange(len(x0)).split(args.batch):
                names = [f"{i:04d}" for i in batch.tolist()]
                bar.update(len(names))
                if all((name, method) in done for name in names):
                    continue
                new, _ = restore.restore(pipe, x0[batch], task, method, SIGMA, Settings(seed=args.seed))
                rows += [{"image": name, **row} for name, row in zip(names, new)]
                record.write(record.part(args.out), {"meta": meta, "rows": rows})
    return {"meta": meta, "rows": rows}
