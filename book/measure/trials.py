"""Trials of equal length: does a training picture count for more another way? Judged on restoration.

Each trial trains on from a prior by the same number of pictures, and then restores faces with DPS. The runs
stay in a folder beside the file, so an interrupted measurement goes on.
"""

import argparse
import json
from pathlib import Path
from unittest import mock

from frugal import RestorationPipeline, Settings
from frugal.results import statistics as stats
from frugal.runs.evaluate import evaluate
from frugal.training import loop, train

from . import record

PICTURES = 4800
TASKS = ("sr16", "inpaint-box")
SETTINGS = {"batch_size": 16, "lr": 4e-4, "decay": 0.3, "min_snr": None}
TRIALS = {  # name: settings of ``train`` that differ
    "as it is": {},
    "min-SNR weights": {"min_snr": 5},
    "batches of 8": {"batch_size": 8},
    "twice the rate": {"lr": 8e-4},
}
DEPENDS = ("training/loop", "training/objective")
HISTORY = (
    "a decision made at one stage of the training, whose weights are no longer those that ship; "
    "the stamp says which weights the trials began from"
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's arguments."""
    add = parser.add_argument
    add("--images", nargs="+", type=Path, required=True, help="folders or .npy files to train on")
    add("--val", nargs="+", type=Path, required=True, help="held-out pictures")
    add("--judge", type=Path, required=True, help="folder of faces that no table uses")
    add("--crop", type=int, help="side of the centred square to cut out, 140 for aligned CelebA")
    add("--prior", default=record.SHIPPED, help="to train on from (default %(default)s)")


def measure(args: argparse.Namespace) -> dict:
    """{"meta", "trials": {NAME: {...}}}; a difference is to the first trial, over the same faces."""
    (first, *_), trials, rows = TRIALS, {}, {task: [] for task in TASKS}
    start = RestorationPipeline.from_pretrained(args.prior)
    for name in TRIALS:
        trials[name], new = trial(name, args, start, args.out.with_suffix("") / name.replace(" ", "-"))
        for task in TASKS:
            rows[task] += new[task]
            trials[name][task] = judge(name, rows[task], first)
    faces = sorted({row["image"] for row in rows[TASKS[0]]})
    meta = record.stamp(args, start, DEPENDS, training_pictures=PICTURES, faces=faces)
    return {"meta": meta, "trials": trials}


def trial(
    name: str, args: argparse.Namespace, start: RestorationPipeline, out: Path
) -> tuple[dict, dict[str, list[dict]]]:
    """Train one trial from ``start`` and restore; what to record of its training, and each task's rows."""
    own = SETTINGS | TRIALS[name]
    steps = PICTURES // own["batch_size"]
    with mock.patch.object(loop, "WARM_UP", steps // 10):
        train(
            args.images, out, val=args.val, crop=args.crop, init=args.prior, steps=steps, every=steps, **own
        )
    *_, last = map(json.loads, (out / "curve.jsonl").read_text().splitlines())
    rows = {}
    for task in TASKS:
        file, zeta = out / f"{task}.json", start.complete(Settings(), "dps", task).zeta
        evaluate(
            args.judge, task, ["dps"], file, settings=Settings(zeta=zeta), prior=str(out), crop=args.crop
        )
        rows[task] = [{**row, "method": name} for row in json.loads(file.read_text())["rows"]]
    return {**own, "seconds": last["seconds"], "eps error": last["validation"]}, rows


def judge(name: str, rows: list[dict], first: str) -> dict[str, stats.Interval]:
    """Means of one task's pSNR and LPIPS, and of their differences to the trial ``first``, with intervals."""
    numbers = {}
    for key in ("psnr", "lpips"):
        numbers[key] = stats.interval(stats.values(rows, name, key))
        if name != first:
            numbers[f"{key} difference"] = stats.paired_interval(rows, name, first, key)
    return numbers
