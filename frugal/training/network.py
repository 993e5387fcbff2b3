"""The network and the noise schedule that a run starts from."""

from collections.abc import Sequence
from pathlib import Path

import torch
from diffusers import DDPMScheduler, UNet2DModel

from ..base.checks import Refusal
from ..pipeline import RestorationPipeline

CHANNELS = (32, 64, 128, 192)


def new_prior(size: int, channels: Sequence[int], seed: int) -> tuple[UNet2DModel, DDPMScheduler]:
    """An untrained network with attention on its two coarsest levels, and its noise schedule.

    size: side of the pictures. channels: of each level, the finest first; a level has half the side of the
    one before it. The schedule has the 1,000 linear levels of Ho et al. (2020). The network predicts v
    (Salimans and Ho, 2022): the error of v is that of epsilon divided by alpha_bar, so the layout of a
    picture, which is settled where alpha_bar is small, weighs as much in the loss as its texture.
    Raises Refusal for channels that do not suit the size.
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
        down_block_types=tuple("AttnDownBlock2D" if c else "DownBlock2D" for c in coarse),
        up_block_types=tuple("AttnUpBlock2D" if c else "UpBlock2D" for c in reversed(coarse)),
        norm_num_groups=8,
        attention_head_dim=32,
    )
    return unet, DDPMScheduler(1000, prediction_type="v_prediction")


def load_prior(name: str | Path, size: int) -> tuple[UNet2DModel, DDPMScheduler]:
    """Network and schedule, to be trained on, of a prior that ``RestorationPipeline.from_pretrained`` takes.

    Raises Refusal where there is no such prior, and for one whose pictures have another size.
    """
    pipe = RestorationPipeline.from_pretrained(str(name))
    if pipe.size != size:
        raise Refusal(f"init: {name} is a prior for {pipe.size} pixels, not size {size}; change one of them")
    unet = pipe.unet.requires_grad_().to(memory_format=torch.contiguous_format)  # as safetensors wants it
    return unet, pipe.scheduler
