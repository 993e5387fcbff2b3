"""Trials of equal length: does a training picture count for more another way? Judged on restoration.

python book/measure_trials.py --images TRAIN... --val VAL --judge JUDGE --crop 140 --out FILE

Each trial trains on from ``--init`` by the same number of pictures, and then restores the faces of
``--judge`` with DPS. The runs stay in a folder beside ``--out``, so an interrupted script goes on.
FILE: {"meta": {...}, "trials": {NAME: {...}}}; a difference is to the first trial, over the same faces.
"""

import argparse
import json
import sys
from pathlib import Path
from unittest import mock

from frugal import RestorationPipeline, evaluate, train

PICTURES = 4800
TASKS = ("sr16", "inpaint-box")

SETTINGS = {"batch_size": 16, "lr": 4e-4, "decay": 0.3, "min_snr": None}
TRIALS = {  # name: settings of ``train`` that differ
    "as it is": {},
    "min-SNR weights": {"min_snr": 5},
    "batches of 8": {"batch_size": 8},
    "twice the rate": {"lr": 8e-4},
}


def run(name, args, out):
    """Train one trial and restore; returns what to record of its training, and each task's rows."""
    settings = SETTINGS | TRIALS[name]
    steps = PICTURES // settings["batch_size"]
    with mock.patch.object(train, "WARM_UP", steps // 10):
        train.train(
            args.images,
            out,
            val=args.val,
            crop=args.crop,
            init=args.init,
            steps=steps,
            every=steps,
            **settings,
        )
    *_, last = map(json.loads, (out / "curve.jsonl").read_text().splitlines())
    rows = {}
    for task in TASKS:
        file = out / f"{task}.json"
        evaluate.evaluate(args.judge, task, ["dps"], file, prior=out, crop=args.crop)
        rows[task] = [{**row, "method": name} for row in json.loads(file.read_text())["rows"]]
    return {**settings, "seconds": last["seconds"], "eps error": last["validation"]}, rows


def judge(name, rows, first):
    """Means of one task's pSNR and LPIPS, and of their differences to the trial ``first``, with intervals."""
    numbers = {}
    for key in ("psnr", "lpips"):
        numbers[key] = evaluate.interval(evaluate.values(rows, name, key))
        if name != first:
            numbers[f"{key} difference"] = evaluate.paired_interval(rows, name, first, key)
    return numbers


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--images", nargs="+", required=True)
    parser.add_argument("--val", nargs="+", required=True)
    parser.add_argument("--judge", type=Path, required=True, help="folder of faces that no table uses")
    parser.add_argument("--crop", type=int)
    parser.add_argument("--init", default="faces64", help="prior to train on (default faces64)")
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    first, *_ = TRIALS
    trials, all_rows = {}, {task: [] for task in TASKS}
    for name in TRIALS:
        trials[name], rows = run(name, args, args.out.with_suffix("") / name.replace(" ", "-"))
        for task in TASKS:
            all_rows[task] += rows[task]
            trials[name][task] = judge(name, all_rows[task], first)
    meta = {
        "init_digest": RestorationPipeline.from_pretrained(args.init).digest(),
        "training_pictures": PICTURES,
        "faces": sorted({row["image"] for row in all_rows[TASKS[0]]}),
        "device": evaluate.device_name(evaluate.default_device()),
        **evaluate.provenance(),
    }
    evaluate.write_json(args.out, {"meta": meta, "trials": trials})
    return 0


if __name__ == "__main__":
    sys.exit(main())
