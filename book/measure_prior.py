"""Measure priors on held-out pictures: error by noise level, time of a call, nearness of samples to training.

python book/measure_prior.py --prior seed=FOLDER faces64=faces64 --images TRAIN... --val VAL --crop 140 --out FILE

Writes numbers only. FILE: {"meta": {...}, "pictures": {...}, "priors": {NAME: {...}}}.
"""

import argparse
import sys
import time
from pathlib import Path

import torch
from tqdm import tqdm

from frugal import RestorationPipeline, evaluate, train

BATCHES = (1, 20)  # batch sizes that are timed
SAMPLES = 256


def seconds(call, repeats=7):
    """Median wall seconds of ``call()``, after one that is not counted."""
    times = []
    for _ in range(repeats + 1):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return sorted(times[1:])[repeats // 2]


def call_times(unet, size):
    """Seconds of a forward call, and of a forward and backward call, by batch size."""
    times = {}
    for batch in BATCHES:
        x = torch.zeros(batch, 3, size, size, device=unet.device, requires_grad=True)

        def forward(x=x):
            with torch.no_grad():
                unet(x, 500).sample.sum().item()

        def forward_backward(x=x):
            torch.autograd.grad(unet(x, 500).sample.sum(), x)[0].sum().item()

        times[batch] = {"forward": seconds(forward), "forward and backward": seconds(forward_backward)}
    return times


def unit(pixels):
    """uint8 pixels as numbers in [-1, 1]."""
    return pixels.float() / 127.5 - 1


def nearest(pictures, training):
    """Root mean square distance of each picture (N, 3, S, S) in [-1, 1] to the nearest of ``training``, (N,)."""
    points = unit(training).flatten(1)
    distances = [torch.cdist(x.flatten(1), points).min(1).values for x in pictures.split(32)]
    return torch.cat(distances) / points.shape[1] ** 0.5


def sample(unet, scheduler):
    """``SAMPLES`` pictures drawn by the model, (SAMPLES, 3, S, S) in [-1, 1], from fixed noises."""
    sheets = [
        train.draw(unet, scheduler, 16, seed=seed) for seed in tqdm(range(SAMPLES // 16), desc="samples")
    ]
    return torch.cat(sheets).clamp(-1, 1)


def summary(distances):
    """Smallest, quartiles and largest of some distances."""
    return [round(q, 4) for q in torch.quantile(distances, torch.linspace(0, 1, 5)).tolist()]


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--prior", nargs="+", required=True, metavar="NAME=PRIOR")
    parser.add_argument("--images", nargs="+", required=True, help="what the priors were trained on")
    parser.add_argument("--val", nargs="+", required=True, help="pictures of others")
    parser.add_argument("--crop", type=int)
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    held_out = train.read_pictures(args.val, 64, args.crop)
    training = train.read_pictures(args.images, 64, args.crop)
    device = evaluate.default_device()
    content = {
        "meta": {
            "training_pictures": len(training),
            "held_out_pictures": len(held_out),
            "noises": train.NOISES,
            "samples": SAMPLES,
            "device": evaluate.device_name(device),
            **evaluate.provenance(),
        },
        "pictures": {
            "held out to nearest training picture": summary(nearest(unit(held_out), training)),
            "x0 error of the mean picture": (unit(held_out) - unit(training).mean(0)).square().mean().item(),
        },
        "priors": {},
    }
    for name, prior in (pair.split("=", 1) for pair in args.prior):
        pipe = RestorationPipeline.from_pretrained(prior).to(device)
        alpha_bar = pipe.scheduler.alphas_cumprod
        errors = train.validation_loss(pipe.unet, pipe.scheduler, held_out.to(device))
        content["priors"][name] = {
            "digest": pipe.digest(),
            "parameters": sum(p.numel() for p in pipe.unet.parameters()),
            "eps error": errors,
            "x0 error": {t: e * (1 / alpha_bar[t] - 1).item() for t, e in errors.items()},
            "seconds": call_times(pipe.unet, 64),
            "samples to nearest training picture": summary(
                nearest(sample(pipe.unet, pipe.scheduler).cpu(), training)
            ),
        }
        evaluate.write_json(args.out, content)
    return 0


if __name__ == "__main__":
    sys.exit(main())
