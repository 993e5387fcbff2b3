"""What a prior's guess leaves open, wave by wave: its mean squared error by noise level, colour and frequency.

The rings of ``step_sizes.RINGS`` share a number. ``--into`` writes them into a prior's folder.
"""

import argparse
import json
from pathlib import Path

import torch
from tqdm import tqdm

from frugal import RestorationPipeline, images
from frugal.base import files
from frugal.prior import step_sizes
from frugal.base.devices import choose
from frugal.schedule import Schedule
from frugal.waves import Waves

from . import record

LEVELS, DRAWS = 20, 4  # noise levels, evenly over the schedule, and noises for each face
DEPENDS = ("schedule", "waves")
OF_A_PRIOR = True


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's arguments."""
    add = parser.add_argument
    add("--images", type=Path, required=True, help="folder of faces that no table uses")
    add("--into", type=Path, help="the prior's folder, whose step sizes file gets the numbers")
    add("--seed", type=int, default=0)
    add("--prior", default=record.SHIPPED, help="a shipped name or a folder (default %(default)s)")


def settings(name: str) -> dict[str, object]:
    """What the numbers depend on beside the arguments."""
    return {"levels": LEVELS, "draws": DRAWS, "rings": step_sizes.rings(64, 64).flatten().bincount().tolist()}


@torch.no_grad()
def measure(args: argparse.Namespace) -> dict:
    """{"meta", "spectrum": {s^2: for each of the three colours, a number for each ring}}."""
    pipe = RestorationPipeline.from_pretrained(args.prior).to(choose(args.device))
    paths = images.find(args.images)
    x0 = torch.stack([images.load(path, pipe.size) for path in paths]).to(pipe.device)
    meta = record.stamp(args, pipe, DEPENDS, **settings(args.name))
    meta["pictures"] = [images.digest(x) for x in x0]
    schedule = Schedule.from_scheduler(pipe.scheduler, LEVELS)
    generator = torch.Generator().manual_seed(args.seed)
    denoise, waves, rings = pipe.denoiser(schedule), Waves(x0), step_sizes.rings(*x0.shape[2:]).flatten()
    spectrum = {}
    for k in tqdm(schedule.steps, desc="noise levels"):
        alpha_bar, error = schedule.alpha_bar[k], torch.zeros(x0.shape[1:])
        for _ in range(DRAWS):
            for some in x0.split(20):
                z = torch.randn(some.shape, generator=generator).to(some)
                wrong = denoise(alpha_bar**0.5 * some + (1 - alpha_bar) ** 0.5 * z, k) - some
                error += waves.Wt(wrong).square().sum(0).cpu() / (DRAWS * len(x0))
        by_ring = [[c.flatten()[rings == r].mean().item() for r in range(step_sizes.RINGS)] for c in error]
        spectrum[f"{schedule.s[k] ** 2:.6g}"] = [[float(f"{v:.4g}") for v in line] for line in by_ring]
    if args.into:
        file = args.into / step_sizes.FILE
        files.write_json(file, json.loads(file.read_text()) | {"spectrum": spectrum})
    return {"meta": meta, "spectrum": spectrum}
