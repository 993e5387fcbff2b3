"""Sweep the step sizes of DPS and DMPS on pictures that no table uses.

python book/tune.py --images TUNING --crop 140 --out book/measured/tuning.json

Writes the mean pSNR and LPIPS of every value. Each value's rows are kept in a file beside ``--out`` until
all are there, so an interrupted sweep goes on.
"""

import argparse
import json
import sys
from pathlib import Path

from frugal import evaluate

SWEEP = {
    "zeta": {"sr4": (6, 12, 24), "sr16": (2.5, 5, 10, 20), "inpaint-box": (1.5, 3, 6)},
    "lam": {task: (0.5, 1, 1.75) for task in ("sr4", "sr16", "inpaint-box")},
}
METHOD = {"zeta": "dps", "lam": "dmps"}


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--images", type=Path, required=True)
    parser.add_argument("--crop", type=int)
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    means, files, meta = [], [], {}
    for step, tasks in SWEEP.items():
        for task, value in ((task, value) for task, values in tasks.items() for value in values):
            file = args.out.with_name(f"{args.out.stem}-{task}-{step}-{value}.json")
            evaluate.evaluate(args.images, task, [METHOD[step]], file, crop=args.crop, **{step: value})
            content = json.loads(file.read_text())
            files, meta = [*files, file], content["meta"]
            mean = {
                key: sum(row[key] for row in content["rows"]) / len(content["rows"])
                for key in ("psnr", "lpips")
            }
            means.append({"task": task, "method": METHOD[step], "name": step, "value": value, **mean})
    pictures = sorted({row["image"] for row in content["rows"]})
    own = ("task", "zeta", "lam", "images", "seconds_per_call")
    meta = {name: value for name, value in meta.items() if name not in own}
    evaluate.write_json(args.out, {"meta": {**meta, "pictures": pictures}, "means": means})
    for file in files:
        file.unlink()
    return 0


if __name__ == "__main__":
    sys.exit(main())
