"""Frugal zero-shot restoration of images with diffusion priors: DPS, DMPS and the hybrid of both."""

from .base.imports import hush_tqdm, mend_torchvision

mend_torchvision()  # both before anything imports torchvision, lpips or diffusers
hush_tqdm()

from . import images, metrics, operators  # noqa: E402
from .measurement import Measurement  # noqa: E402
from .pipeline import RestorationPipeline  # noqa: E402
from .settings import Settings  # noqa: E402

__all__ = ["Measurement", "RestorationPipeline", "Settings", "images", "metrics", "operators"]
