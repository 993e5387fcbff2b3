"""Train a prior: a diffusers UNet2DModel with a DDPMScheduler, on folders of pictures."""

from .loop import train
from .samples import draw
