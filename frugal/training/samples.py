"""Pictures drawn by a prior, and sheets of them."""

import torch
from diffusers import DDIMScheduler, DDPMScheduler


@torch.no_grad()
def draw(unet, scheduler, count, steps=25, seed=0):
    """``count`` pictures drawn by the model with DDIM (Song et al., 2021) from fixed noises, (count, 3, S, S)."""
    sampler = DDIMScheduler.from_config(scheduler.config, timestep_spacing="trailing")
    sampler.set_timesteps(steps)
    size = unet.config.sample_size
    x = torch.randn(count, 3, size, size, generator=torch.Generator().manual_seed(seed)).to(unet.device)
    for t in sampler.timesteps:
        x = sampler.step(unet(x, t).sample, t, x).prev_sample
    return x


def sheet(pictures, columns):
    """Pictures (rows * columns, 3, S, S) in reading order next to each other, (3, rows S, columns S)."""
    return torch.cat([torch.cat(list(line), -1) for line in pictures.unflatten(0, (-1, columns))], -2)
