"""What must happen before diffusers, lpips and torchvision are imported."""

import importlib.util
import sys
import warnings
from pathlib import Path

import torch

_kept_alive: list[torch.library.Library] = []  # operators vanish with the Library object that defined them


def mend_torchvision() -> None:
    """Let a CUDA build of torchvision be imported beside a CPU-only torch; call before importing it.

    PyPI's torchvision is a CUDA build. Without the CUDA libraries its compiled operators do not
    load, and ``import torchvision`` dies on registering `nms`, taking `lpips` and `diffusers` with
    it. Declaring the two operators it registers is enough: nothing here calls them. Where the
    operators do load, nothing is changed.
    """
    spec = importlib.util.find_spec("torchvision")
    if spec is None or spec.origin is None or "torchvision" in sys.modules or _kept_alive:
        return
    for extension in Path(spec.origin).parent.glob("_C*.so"):
        try:
            torch.ops.load_library(extension)
        except OSError:
            library = torch.library.Library("torchvision", "DEF")
            for name in ("nms", "qnms"):
                library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
            _kept_alive.append(library)


def hush_tqdm() -> None:
    """Import tqdm.auto without its warning that a notebook has no ipywidgets; text bars are wanted here."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import tqdm.auto  # noqa: F401
