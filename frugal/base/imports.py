"""What diffusers and lpips need before they are imported; ``prepare`` sees to it, and itself imports nothing slow."""

import importlib.util
import sys
import warnings
from importlib.machinery import ModuleSpec
from pathlib import Path
from typing import Any

_kept_alive: list[Any] = []  # operators vanish with the torch.library.Library that defined them


def prepare() -> None:
    """Mend torchvision when somebody imports it, and let tqdm draw its bars as text without a warning."""
    warnings.filterwarnings("ignore", message="IProgress not found")
    if "torchvision" not in sys.modules and not any(isinstance(f, BeforeTorchvision) for f in sys.meta_path):
        sys.meta_path.insert(0, BeforeTorchvision())


class BeforeTorchvision:
    """Finds no module, but mends torchvision when it is looked for first."""

    mended = False

    def find_spec(self, name: str, path: object = None, target: object = None) -> ModuleSpec | None:
        """None for every module."""
        if name == "torchvision" and not self.mended:
            self.mended = True
            mend_torchvision()
        return None


def mend_torchvision() -> None:
    """Let a CUDA build of torchvision be imported beside a CPU-only torch.

    PyPI's torchvision is a CUDA build. Without the CUDA libraries its compiled operators do not
    load, and ``import torchvision`` dies on registering `nms`, taking `lpips` and `diffusers` with
    it. Declaring the two operators it registers is enough: nothing here calls them. Where the
    operators do load, nothing is changed.
    """
    import torch

    spec = importlib.util.find_spec("torchvision")
    if spec is None or spec.origin is None or _kept_alive:
        return
    for extension in Path(spec.origin).parent.glob("_C*.so"):
        try:
            torch.ops.load_library(extension)
        except OSError:
            library = torch.library.Library("torchvision", "DEF")
            for name in ("nms", "qnms"):
                library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
            _kept_alive.append(library)
