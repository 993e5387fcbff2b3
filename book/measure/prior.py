"""Measure priors on held-out pictures: error by noise level, nearness of samples to training.

Keeps numbers only.
"""

import argparse
from pathlib import Path

import torch
from tqdm import tqdm

from frugal import RestorationPipeline
from frugal.base.devices import choose
from frugal.training import draw
from frugal.training.data import read_pictures
from frugal.training.objective import NOISES, validation_loss

from . import record

SAMPLES = 256
DEPENDS = ("schedule", "training/objective", "training/samples")
OF_A_PRIOR = True


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's arguments."""
    add = parser.add_argument
    add(
        "--images",
        nargs="+",
        type=Path,
        required=True,
        help="folders or .npy files that the prior learned from",
    )
    add("--val", nargs="+", type=Path, required=True, help="pictures of others")
    add("--crop", type=int, help="side of the centred square to cut out, 140 for aligned CelebA")
    shipped = [Path(record.SHIPPED)]
    add("--priors", nargs="+", type=Path, default=shipped, help="shipped names or folders (default faces64)")


def settings(name: str) -> dict[str, object]:
    """What the numbers depend on beside the arguments."""
    return {"noises": NOISES, "samples": SAMPLES}


def measure(args: argparse.Namespace) -> dict:
    """{"meta", "pictures": distances and errors without a prior, "priors": {NAME: {...}}}."""
    device, priors = choose(args.device), {}
    held_out, training = (read_pictures(paths, 64, args.crop) for paths in (args.val, args.images))
    for path in args.priors:
        pipe = record.prior_alone(str(path)).to(device)
        priors[path.name] = of_prior(pipe, held_out.to(device), training)
    meta = record.stamp(
        args,
        None,
        DEPENDS,
        **settings(args.name),
        seed=0,  # of the noises, and of the first sheet of samples
        prior=args.priors[-1].name,
        prior_digest=list(priors.values())[-1]["digest"],
        training_pictures=len(training),
        held_out_pictures=len(held_out),
    )
    pictures = {
        "held out to nearest training picture": summary(nearest(unit(held_out), training)),
        "x0 error of the mean picture": (unit(held_out) - unit(training).mean(0)).square().mean().item(),
    }
    return {"meta": meta, "pictures": pictures, "priors": priors}


def of_prior(pipe: RestorationPipeline, held_out: torch.Tensor, training: torch.Tensor) -> dict[str, object]:
    """What is measured of one prior; both kinds of pictures are uint8 (N, 3, S, S)."""
    alpha_bar = pipe.scheduler.alphas_cumprod
    errors = validation_loss(pipe.unet, pipe.scheduler, held_out)
    return {
        "digest": pipe.digest(),
        "parameters": sum(p.numel() for p in pipe.unet.parameters()),
        "eps error": errors,
        "x0 error": {t: e * (1 / alpha_bar[t] - 1).item() for t, e in errors.items()},
        "samples to nearest training picture": summary(nearest(samples(pipe), training)),
    }


def unit(pixels: torch.Tensor) -> torch.Tensor:
    """uint8 pixels as numbers in [-1, 1]."""
    return pixels.float() / 127.5 - 1


def nearest(pictures: torch.Tensor, training: torch.Tensor) -> torch.Tensor:
    """Root mean square distance of each picture (N, 3, S, S) in [-1, 1] to the nearest of ``training``, (N,)."""
    points = unit(training).flatten(1)
    distances = [torch.cdist(x.flatten(1), points).min(1).values for x in pictures.split(32)]
    return torch.cat(distances) / points.shape[1] ** 0.5


def samples(pipe: RestorationPipeline) -> torch.Tensor:
    """``SAMPLES`` pictures drawn by the model, (SAMPLES, 3, S, S) in [-1, 1] on the CPU, from fixed noises."""
    seeds = tqdm(range(SAMPLES // 16), desc="samples")
    sheets = [draw(pipe.unet, pipe.scheduler, 16, seed=seed).cpu() for seed in seeds]
    return torch.cat(sheets).clamp(-1, 1)


def summary(distances: torch.Tensor) -> list[float]:
    """Smallest, quartiles and largest of some distances."""
    return [round(q, 4) for q in torch.quantile(distances, torch.linspace(0, 1, 5)).tolist()]
