"""What the network learns, on which pictures and noise levels, and how well it does."""

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from diffusers import DDPMScheduler

from ..schedule import predicted_x0

NOISE_LEVELS = (50, 200, 400, 600, 800)  # where the validation loss is taken
NOISES = 64  # fixed noises that the held-out pictures share in turn


def target(scheduler: DDPMScheduler, x0: torch.Tensor, eps: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
    """What the network learns to predict: epsilon, v (Eq. a1 of page A) or x_0, as the schedule says.

    x0, eps: pictures and their noise (B, C, H, W). t: noise levels (B,) in 0..T-1. Returns (B, C, H, W).
    """
    kind = scheduler.config["prediction_type"]
    if kind == "v_prediction":
        return scheduler.get_velocity(x0, eps, t)  # pyright: ignore[reportArgumentType]
    return eps if kind == "epsilon" else x0


def level_shares(scheduler: DDPMScheduler, min_snr: float | None = None) -> torch.Tensor:
    """Share of the training pictures that get noise level t or less, (T,), increasing to 1.

    All levels alike, or as often as min-SNR-gamma weighs them (Hang et al., 2023): the squared error of
    x_0 by min(SNR, gamma), with SNR = alpha_bar / (1 - alpha_bar) and gamma = ``min_snr``, above 0.
    """
    snr = scheduler.alphas_cumprod / (1 - scheduler.alphas_cumprod)
    weight = torch.ones_like(snr)
    if min_snr is not None:
        # squared error of what the network predicts where that of x_0 is 1: Eq. a3 of page A
        error = {"epsilon": snr, "sample": 1, "v_prediction": snr + 1}[scheduler.config["prediction_type"]]
        weight = snr.clamp(max=min_snr) / error
    return weight.cumsum(0) / weight.sum()


def draw_batch(
    pixels: torch.Tensor, batch_size: int, generator: torch.Generator, shares: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Pictures x_0 (B, 3, S, S) in [-1, 1], half of them flipped, noise of that shape, and t (B,) in 0..T-1.

    pixels: uint8 (N, 3, S, S), on the generator's device. shares: how often each t comes, (T,), see
    ``level_shares``. The values of t are spread evenly from one random start, which makes the loss vary less
    than independent ones do (Kingma et al., 2021).
    """
    device = generator.device
    x0 = pixels[torch.randint(len(pixels), (batch_size,), generator=generator, device=device)]
    x0 = x0.float() / 127.5 - 1
    flipped = torch.rand(batch_size, 1, 1, 1, generator=generator, device=device) < 0.5
    x0 = torch.where(flipped, x0.flip(-1), x0)
    spread = torch.arange(batch_size, device=device) / batch_size
    start = torch.rand(1, generator=generator, device=device)
    t = torch.searchsorted(shares, (start + spread) % 1).clamp(max=len(shares) - 1)
    return x0, torch.randn(x0.shape, generator=generator, device=device), t


@torch.no_grad()
def validation_loss(
    unet: Callable[..., Any], scheduler: DDPMScheduler, pixels: torch.Tensor, batch_size: int = 32
) -> dict[int, float]:
    """E||eps - eps_theta(x_t, t)||^2 a pixel over all pictures, {t: loss} for ``NOISE_LEVELS``.

    unet: called as ``unet(x_t, t).sample``. pixels: uint8 (N, 3, S, S), on the network's device. The error of
    epsilon whatever the network predicts, so that priors compare; that of x_0 is (1 - alpha_bar) / alpha_bar
    times it. The noises are the same each time.
    """
    noises = torch.randn(NOISES, *pixels.shape[1:], generator=torch.Generator().manual_seed(0))
    losses: dict[int, float] = dict.fromkeys(NOISE_LEVELS, 0.0)
    for level in NOISE_LEVELS:
        alpha_bar = scheduler.alphas_cumprod[level].item()
        for start in range(0, len(pixels), batch_size):
            x0 = pixels[start : start + batch_size].float() / 127.5 - 1
            eps = noises[torch.arange(start, start + len(x0)) % NOISES].to(x0.device)
            t = torch.full((len(x0),), level, device=x0.device)
            x_t = scheduler.add_noise(x0, eps, t)  # pyright: ignore[reportArgumentType]
            output = unet(x_t, t).sample.float()
            x0_hat = predicted_x0(output, x_t, alpha_bar, scheduler.config["prediction_type"])
            losses[level] += F.mse_loss(x0_hat, x0).item() * len(x0) / len(pixels)
        losses[level] *= alpha_bar / (1 - alpha_bar)
    return losses
