"""Frugal zero-shot restoration of images with diffusion priors: DPS, DMPS and the hybrid of both."""

from frugal.compat import hush_tqdm, mend_torchvision

mend_torchvision()  # both before anything imports torchvision, lpips or diffusers
hush_tqdm()

from frugal import images, metrics, operators  # noqa: E402
from frugal.measurement import Measurement  # noqa: E402
from frugal.pipeline import RestorationPipeline  # noqa: E402
from frugal.settings import Settings  # noqa: E402

__all__ = ["Measurement", "RestorationPipeline", "Settings", "images", "metrics", "operators"]
