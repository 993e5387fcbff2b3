"""What is refused, in one sentence that names the argument, what was wrong and what is accepted."""

import math
import reprlib
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import torch


class Refusal(ValueError):
    """Input that cannot be used. The command prints the sentence; any other error is a bug and shows its trace."""


def one_of(name: str, value: object, accepted: Iterable[str]) -> str:
    """``value``; Refusal unless it is one of the ``accepted`` words."""
    names = list(accepted)
    if not isinstance(value, str) or value not in names:
        raise Refusal(f"{name}: {reprlib.repr(value)} is unknown; accepted are {', '.join(names)}")
    return value


def whole(name: str, value: object, least: int = 1, most: float = math.inf) -> int:
    """``value``; Refusal unless it is a whole number from ``least`` to ``most``."""
    if not isinstance(value, int | np.integer) or isinstance(value, bool) or not least <= value <= most:
        upper = f"of at least {least}" if most == math.inf else f"from {least} to {most:.0f}"
        raise Refusal(f"{name}: {reprlib.repr(value)} is not accepted; give a whole number {upper}")
    return int(value)


def at_least_zero(name: str, value: object) -> float:
    """``value``; Refusal unless it is a finite number of at least 0."""
    kinds = int, float, np.integer, np.floating
    most = torch.finfo(torch.float32).max  # what is larger is no float32
    if not isinstance(value, kinds) or isinstance(value, bool) or not 0 <= value <= most:
        raise Refusal(f"{name}: {reprlib.repr(value)} is not accepted; give a finite number of at least 0")
    return float(value)


def pictures(name: str, x: object, shape: tuple[int, ...] | None = None) -> torch.Tensor:
    """``x``; Refusal unless it is a floating-point tensor (B, C, H, W), of ``shape`` (C, H, W) where one is given."""
    wanted = "B, C, H, W" if shape is None else ", ".join(["B", *map(str, shape)])
    if not isinstance(x, torch.Tensor):
        raise Refusal(f"{name}: a {type(x).__name__} is not accepted; give a tensor ({wanted})")
    if x.ndim != 4 or not len(x) or (shape is not None and tuple(x.shape[1:]) != tuple(shape)):
        raise Refusal(f"{name}: shape {tuple(x.shape)} does not fit; expected ({wanted})")
    if not x.is_floating_point():
        raise Refusal(f"{name}: {x.dtype} is not accepted; give floating-point numbers in [-1, 1]")
    return x


def folder_of(name: str, path: Path) -> Path:
    """``path``; Refusal, before hours are spent, unless a file can be put there."""
    if not path.parent.is_dir():
        raise Refusal(f"{name}: the folder {path.parent} does not exist; make it or give another")
    if path.exists() and not path.is_file():
        raise Refusal(f"{name}: {path} exists and is not a regular file; give another name")
    return path


def generators(generator: object, count: int) -> None:
    """Refusal unless ``generator`` is None, a CPU ``torch.Generator``, or a list with one for each picture."""
    several = generator if isinstance(generator, list) else [] if generator is None else [generator]
    if any(not isinstance(g, torch.Generator) or g.device.type != "cpu" for g in several):
        raise Refusal("generator: is not accepted; give a torch.Generator on the CPU, or a list of them")
    if isinstance(generator, list) and len(generator) != count:
        raise Refusal(
            f"generator: {len(generator)} were given for {count} pictures; give one, or one for each"
        )
