"""Frugal zero-shot restoration of images with diffusion priors: DPS, DMPS and the hybrid of both."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from .base.imports import prepare

if TYPE_CHECKING:
    from . import images, metrics, operators
    from .measurement import Measurement
    from .pipeline import RestorationPipeline
    from .settings import Settings

prepare()  # before anything imports torchvision, lpips or diffusers

# The name: the module that has it, or that it is. Loaded when first used, so that the command answers at once.
LAZY = {
    "Measurement": "measurement",
    "RestorationPipeline": "pipeline",
    "Settings": "settings",
    "images": "images",
    "metrics": "metrics",
    "operators": "operators",
}
__all__ = ["Measurement", "RestorationPipeline", "Settings", "images", "metrics", "operators"]


def __getattr__(name: str) -> Any:
    if name not in LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module = import_module(f".{LAZY[name]}", __name__)
    return module if name == LAZY[name] else getattr(module, name)
