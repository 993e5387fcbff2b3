"""Measure what every difference between the papers, their code and this code does to a restoration.

python book/measure_fidelity.py --images 8 --steps 100 --seed 0 --out book/measured/fidelity.json

Each variant restores the shipped faces from the measurements, and with the noise, that the library's own
sampler gets, so differences are paired. The file is written after every variant; the same command goes on
where it was interrupted. ``book/fidelity.md`` explains the variants by name.
"""

import argparse
import math
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Callable

import torch
from diffusers.utils.torch_utils import randn_tensor
from torch.nn import functional as F
from tqdm import tqdm

from frugal import RestorationPipeline, evaluate, guidance, images, metrics, operators, samplers
from frugal.pipeline import HYPERPARAMETERS, default_zeta
from frugal.schedule import Schedule

SIGMA = 0.01


@dataclass(frozen=True)
class Problem:
    """What a reverse step needs: faces x0 (B, C, H, W), their measurements y of A, and the step sizes.

    guess  (x_k, k) -> x0_hat as the network gives it
    clip   x0_hat -> x0_hat as the samplers use it
    """

    x0: torch.Tensor
    A: Callable
    y: torch.Tensor
    sigma: float
    zeta: float
    lam: float
    schedule: Schedule
    guess: Callable
    clip: Callable

    def denoise(self, x_k, k):
        return self.clip(self.guess(x_k, k))

    def noise(self):
        """The measurements' own noise."""
        return self.y - self.A(self.x0)


def dps(p, k, x_k, z):
    """The library's DPS step, Eq. 3a."""
    return samplers.dps_step(p.denoise, p.schedule, k, x_k, z, p.y, p.A, p.zeta)[0]


def dmps(p, k, x_k, z):
    """The library's DMPS step, Eq. 6a."""
    return samplers.dmps_step(p.denoise, p.schedule, k, x_k, z, p.y, p.A, p.sigma, p.lam)[0]


def guided(correction):
    """A DPS step with another correction: (p, k, x_k, x0_hat before clipping) -> what is added to x'."""

    def step(p, k, x_k, z):
        with torch.enable_grad():
            x_k = x_k.detach().requires_grad_()
            x0_hat = p.guess(x_k, k)
            added = correction(p, k, x_k, x0_hat)
        return p.schedule.ancestral(k, x_k.detach(), p.clip(x0_hat.detach()), z) + added

    return step


@guided
def pooled_norm(p, k, x_k, x0_hat):
    """One norm for the whole batch."""
    norm = torch.linalg.vector_norm(p.y - p.A(p.clip(x0_hat)))
    return -p.zeta * torch.autograd.grad(norm, x_k)[0]


@guided
def constant_weight(p, k, x_k, x0_hat):
    """The squared norm with one constant, which gives zeta's length to a residual of the noise's size."""
    gradient, norm = guidance.residual_gradient(x_k, p.clip(x0_hat), p.y, p.A)
    expected = p.sigma * p.y[0].numel() ** 0.5
    return -p.zeta * (norm / expected).reshape(-1, 1, 1, 1) * gradient


@guided
def around_clip(p, k, x_k, x0_hat):
    """The gradient of the guess before it is clipped."""
    return -p.zeta * guidance.residual_gradient(x_k, x0_hat, p.y, p.A)[0]


@torch.no_grad()
def residual_at_x_prime(p, k, x_k, z):
    """Eq. 6 at the stepped picture x', with the noise level of x_k."""
    x_prime = p.schedule.ancestral(k, x_k, p.denoise(x_k, k), z)
    score = guidance.dmps_score(x_prime, p.y, p.A, p.sigma, p.schedule.alpha_bar[k])
    return x_prime + p.lam * p.schedule.beta[k] / p.schedule.alpha[k] ** 0.5 * score


def wider_noise(p, k, x_k, z):
    """Reverse noise of variance beta_k, the widest that a learned variance may take."""
    alpha_bar = p.schedule.alpha_bar
    widen = ((1 - alpha_bar[k]) / (1 - alpha_bar[k - 1])) ** 0.5 if k > 1 else 1
    return dps(p, k, x_k, widen * z)


def unclipped(p):
    return replace(p, clip=lambda x0_hat: x0_hat)


def doubled_sigma(p):
    """sigma in units of [0, 1] pictures: twice as much in those of [-1, 1]."""
    return replace(p, sigma=2 * p.sigma, y=p.A(p.x0) + 2 * p.noise())


def cubic(p):
    """Super-resolution that averages with a cubic kernel, not over blocks."""
    factor = p.y.shape[-1] / p.x0.shape[-1]
    A = lambda x: F.interpolate(x, scale_factor=factor, mode="bicubic", antialias=True)
    return replace(p, A=A, y=A(p.x0) + p.noise())


def noise_on_hidden(p):
    """Inpainting as the identity with singular values 1 and 0, and noise on every pixel."""
    seen = p.A.V(torch.ones_like(p.y[:1]))
    everywhere = torch.randn(p.x0.shape, generator=torch.Generator().manual_seed(0)).to(p.x0)
    A = operators.make("denoise", p.A.image_shape)
    A = replace(A, singular_values=seen.flatten().cpu().double())
    return replace(p, A=A, y=p.A.V(p.y) + p.sigma * (1 - seen) * everywhere)


def tiled_singular_values(p):
    """A blur whose sorted singular values are laid out as (C, HW) where its coefficients are (HW, C)."""
    C = p.A.image_shape[0]
    values, order = p.A.singular_values.reshape(C, -1)[0].sort(descending=True)
    tiled = torch.empty(C, len(values)).to(values)
    tiled[:, order] = values.repeat(C).reshape(-1, C).T
    A = replace(p.A, singular_values=tiled.flatten())
    return replace(p, A=A, y=A(p.x0) + p.noise())


def as_it_is(p):
    return p


# Name (the reference's own where the library is measured), reference, task, change of the problem, step.
RUNS = [
    ("dps", "dps", "sr4", as_it_is, dps),
    ("doubled-zeta", "dps", "sr4", lambda p: replace(p, zeta=2 * p.zeta), dps),
    ("constant-weight", "dps", "sr4", as_it_is, constant_weight),
    ("pooled-norm", "dps", "sr4", as_it_is, pooled_norm),
    ("around-clip", "dps", "sr4", as_it_is, around_clip),
    ("no-clip", "dps", "sr4", unclipped, dps),
    ("published-zeta", "dps", "sr4", lambda p: replace(p, zeta=0.3), dps),
    ("wider-noise", "dps", "sr4", as_it_is, wider_noise),
    ("cubic", "dps", "sr4", cubic, dps),
    ("dps", "dps", "inpaint-box", as_it_is, dps),
    ("noise-on-hidden", "dps", "inpaint-box", noise_on_hidden, dps),
    ("dmps", "dmps", "sr4", as_it_is, dmps),
    ("residual-at-x-prime", "dmps", "sr4", as_it_is, residual_at_x_prime),
    ("published-lambda", "dmps", "sr4", lambda p: replace(p, lam=1.75), dmps),
    ("dmps-code", "dmps", "sr4", lambda p: replace(p, lam=1.75), residual_at_x_prime),
    ("sigma-of-0-1", "dmps", "sr4", doubled_sigma, dmps),
    ("dmps", "dmps", "deblur", as_it_is, dmps),
    ("tiled-blur", "dmps", "deblur", tiled_singular_values, dmps),
]


def problem(pipe, task, x0, steps, seed):
    """The task's measurements of x0, as ``evaluate.restore`` makes them."""
    A, y = evaluate.measure(x0, range(len(x0)), task, SIGMA, seed)
    config = pipe.scheduler.config
    bound = config.clip_sample_range if config.clip_sample else math.inf
    bare = RestorationPipeline(pipe.unet, pipe.scheduler.from_config(config, clip_sample=False))
    schedule = Schedule.from_scheduler(pipe.scheduler, steps)
    return Problem(
        x0.to(pipe.device),
        A,
        y.to(pipe.device),
        SIGMA,
        default_zeta(task, steps),
        HYPERPARAMETERS["lam"],
        schedule,
        bare.denoiser(schedule),
        lambda x0_hat: x0_hat.clamp(-bound, bound),
    )


def restore(p, step, seed):
    """Run a step from k = t to 1 with ``evaluate.restore``'s noise; (B, C, H, W) on the CPU."""
    generators = [evaluate.generators(seed, i)[1] for i in range(len(p.x0))]
    noise = lambda: randn_tensor(p.x0.shape, generator=generators, device=p.x0.device)
    x = noise()
    for k in p.schedule.steps:
        x = step(p, k, x, noise())
    return x.cpu()


def run(count, steps, seed, out):
    """Measure what ``out`` does not hold yet. Raises ValueError where it holds something else."""
    pipe = RestorationPipeline.from_pretrained().to(evaluate.default_device())
    x0 = images.shipped("faces", limit=count)
    settings = {
        **{"images": count, "steps": steps, "sigma": SIGMA, "seed": seed},
        **{"hyperparameters": HYPERPARAMETERS, "prior": "faces64", "prior_digest": pipe.digest()},
        "device": evaluate.device_name(pipe.device),
    }
    rows = evaluate.read_rows(out, settings) if out.exists() else []
    done = {(r["method"], r["task"]) for r in rows}
    missing = [run for run in RUNS if (run[0], run[2]) not in done]
    for name, reference, task, change, step in tqdm(missing, desc="variants"):
        restored = restore(change(problem(pipe, task, x0, steps, seed)), step, seed)
        quality = zip(metrics.psnr(restored, x0).tolist(), evaluate.lpips_or_none(restored, x0))
        rows += [
            {"image": i, "task": task, "method": name, "reference": reference, "psnr": psnr, "lpips": lpips}
            for i, (psnr, lpips) in enumerate(quality)
        ]
        evaluate.write_json(out, {"meta": settings | evaluate.provenance(), "rows": rows})


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--images", type=int, default=8, choices=range(1, 21), metavar="1..20", help="faces")
    parser.add_argument("--steps", type=int, default=100, help="reverse steps t (default 100)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    try:
        run(args.images, args.steps, args.seed, args.out)
    except ValueError as error:
        print(f"measure_fidelity: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
