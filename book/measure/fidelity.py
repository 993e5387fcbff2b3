"""Measure what every difference between the papers, their code and this code does to a restoration.

Each variant restores the shipped faces from the measurements, and with the noise, that the library's own
sampler gets, so differences are paired. What is measured is kept variant by variant; the same command goes
on where it was interrupted.
"""

import argparse
from pathlib import Path

from tqdm import tqdm

from frugal import RestorationPipeline, images
from frugal.base import checks, provenance
from frugal.base.devices import choose
from frugal.metrics import quality

from . import record
from .variants import SIGMA, VARIANTS, problem, run, step_sizes

STEPS = 100
DEPENDS = provenance.SAMPLING
OF_A_PRIOR = True


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's arguments."""
    parser.add_argument(
        "--faces", type=int, default=8, help="1 to 20 of those that ship (default %(default)s)"
    )
    parser.add_argument("--steps", type=int, default=STEPS, help="reverse steps t (default %(default)s)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--prior", default=record.SHIPPED, help="(default %(default)s)")


def settings(name: str, prior: str = record.SHIPPED, steps: int = STEPS) -> dict[str, object]:
    """What the numbers depend on beside the arguments."""
    sizes = RestorationPipeline.from_pretrained(prior).step_sizes
    return {
        "sigma": SIGMA,
        "step_sizes": {v.task: step_sizes(sizes, v.task, steps) for v in VARIANTS},
        "variants": record.digest(Path(__file__).with_name("variants.py")),
    }


def measure(args: argparse.Namespace) -> dict:
    """Rows {"image", "task", "method", "reference", "psnr", "lpips"}, the variant being the method."""
    checks.whole("faces", args.faces, 1, 20)
    pipe = RestorationPipeline.from_pretrained(args.prior).to(choose(args.device))
    x0 = images.shipped("faces", pipe.size, args.faces)
    meta = record.stamp(args, pipe, DEPENDS, **settings(args.name, args.prior, args.steps))
    rows = record.kept(args.out, meta).get("rows", [])
    done = {(row["method"], row["task"]) for row in rows}
    for v in tqdm([v for v in VARIANTS if (v.name, v.task) not in done], desc="variants"):
        restored = run(v.change(problem(pipe, v.task, x0, args.steps, args.seed)), v.step, args.seed)
        scores = quality(restored, x0)
        rows += [
            {
                "image": i,
                "task": v.task,
                "method": v.name,
                "reference": v.reference,
                "psnr": psnr,
                "lpips": lpips,
            }
            for i, (psnr, lpips) in enumerate(zip(scores["psnr"], scores["lpips"]))
        ]
        record.write(record.part(args.out), {"meta": meta, "rows": rows})
    return {"meta": meta, "rows": rows}
