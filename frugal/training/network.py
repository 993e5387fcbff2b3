"""The network and noise schedule that a run starts from."""

from collections.abc import Sequence

import torch
from diffusers import DDPMScheduler, UNet2DModel

from ..checks import Refusal
from ..pipeline import RestorationPipeline

CHANNELS = (32, 64, 128, 192)


def new_prior(size, channels, seed):
    """An untrained network with attention on its two coarsest levels, and its noise schedule.

    The linear schedule of Ho et al. (2020). The network predicts v (Salimans and Ho, 2022): the
    error of v is that of epsilon divided by alpha_bar, so the layout of a picture, which is settled
    where alpha_bar is small, weighs as much in the loss as its texture.
    """
    if size % 2 ** (len(channels) - 1) or len(channels) < 2 or any(c < 1 or c % 32 for c in channels):
        raise Refusal(
            f"channels: {list(channels)} do not suit size {size}; give multiples of 32, "
            "two or more levels, each of which halves the size"
        )
    torch.manual_seed(seed)
    coarse = [level >= len(channels) - 2 for level in range(len(channels))]
    unet = UNet2DModel(
        sample_size=size,
        block_out_channels=tuple(channels),
        layers_per_block=1,
        down_block_types=["AttnDownBlock2D" if c else "DownBlock2D" for c in coarse],
        up_block_types=["AttnUpBlock2D" if c else "UpBlock2D" for c in reversed(coarse)],
        norm_num_groups=8,
        attention_head_dim=32,
    )
    return unet, DDPMScheduler(1000, prediction_type="v_prediction")


def load_prior(name, size):
    """Network and schedule of a prior that ``RestorationPipeline.from_pretrained`` takes."""
    pipe = RestorationPipeline.from_pretrained(name)
    if pipe.unet.config.sample_size != size:
        raise Refusal(
            f"init: {name} is a prior for {pipe.unet.config.sample_size} pixels, not size {size}"
        )
    return pipe.unet.to(memory_format=torch.contiguous_format), pipe.scheduler  # as safetensors wants it
