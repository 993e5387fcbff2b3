"""What a prior has learned: its error by noise level on held-out pictures, and how near its samples are to training.

Keeps numbers only.
"""

import torch

from frugal import RestorationPipeline
from frugal.training import draw
from frugal.training.data import read_pictures
from frugal.training.objective import validation_loss

from .engine import Job

SAMPLES = 256
SEED = 0  # of the noises, and of the first sheet of samples


def then(job: Job) -> dict[str, object]:
    """{"pictures": distances and errors without a prior, "priors": {NAME: {...}}}."""
    args, size = job.args, job.pipe.size
    held_out, training = (read_pictures(paths, size, args.crop) for paths in (args.val, args.images))
    job.content["meta"] |= {"training_pictures": len(training), "held_out_pictures": len(held_out)}
    pictures = {
        "held out to nearest training picture": summary(nearest(unit(held_out), training)),
        "x0 error of the mean picture": (unit(held_out) - unit(training).mean(0)).square().mean().item(),
    }
    return {
        "pictures": pictures,
        "priors": {job.content["meta"]["prior"]: of_prior(job.pipe, held_out.to(job.pipe.device), training)},
    }


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
    sheets = [draw(pipe.unet, pipe.scheduler, 16, seed=seed).cpu() for seed in range(SAMPLES // 16)]
    return torch.cat(sheets).clamp(-1, 1)


def summary(distances: torch.Tensor) -> list[float]:
    """Smallest, quartiles and largest of some distances."""
    return [round(q, 4) for q in torch.quantile(distances, torch.linspace(0, 1, 5)).tolist()]
