"""Pictures drawn by a prior."""

from typing import Any

import torch
from diffusers import DDIMScheduler, DDPMScheduler, UNet2DModel


@torch.no_grad()
def draw(
    unet: UNet2DModel, scheduler: DDPMScheduler, count: int, steps: int = 25, seed: int = 0
) -> torch.Tensor:
    """Pictures drawn by the model from noise alone, (count, 3, S, S), about [-1, 1], on the model's device.

    DDIM (Song et al., 2021) in so many steps, from the noises that belong to ``seed``. diffusers'
    ``DDIMPipeline`` takes the same steps, but clamps its pictures to [-1, 1] and returns them as [0, 1].
    """
    sampler: Any = DDIMScheduler.from_config(scheduler.config, timestep_spacing="trailing")
    sampler.set_timesteps(steps)
    size = unet.config["sample_size"]
    x = torch.randn(count, 3, size, size, generator=torch.Generator().manual_seed(seed)).to(unet.device)
    for t in sampler.timesteps:
        x = sampler.step(unet(x, t).sample, t, x).prev_sample
    return x
