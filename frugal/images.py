"""Pictures in and out: files on one side, tensors (B, C, H, W) in [-1, 1] on the other."""

import os
from pathlib import Path

import numpy as np
import torch
from PIL import Image, UnidentifiedImageError

SUFFIXES = {".png", ".jpg", ".jpeg", ".webp", ".bmp"}
SHIPPED = Path(__file__).parent / "pictures"
SHIPPED_SETS = ("faces", "out_of_distribution")


def find(folder):
    """Paths of the pictures in ``folder``, sorted by name.

    Raises ValueError when the folder does not exist or holds no picture.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise ValueError(f"images: {folder} is not a folder; give a folder of pictures")
    paths = sorted(p for p in folder.iterdir() if p.suffix.lower() in SUFFIXES)
    if not paths:
        raise ValueError(f"images: {folder} holds no picture; accepted are {', '.join(sorted(SUFFIXES))}")
    return paths


def load(path, size=64, crop=None):
    """Read one picture as a tensor (3, size, size), float32 in [-1, 1].

    The centred square is cut out and resized (Lanczos). ``crop`` is the side of that square in
    pixels, by default the picture's shorter side; 140 is the usual frame for aligned CelebA files.
    Raises ValueError for a file that is missing, is no picture, or is smaller than ``crop``.
    """
    try:
        with Image.open(path) as file:
            picture = file.convert("RGB")
    except FileNotFoundError:
        raise ValueError(f"image: {path} does not exist; give the path of a picture") from None
    except (UnidentifiedImageError, OSError, SyntaxError, Image.DecompressionBombError):
        raise ValueError(
            f"image: {path} cannot be read as a picture; give a whole PNG or JPEG file"
        ) from None
    side = crop or min(picture.size)
    if side > min(picture.size):
        raise ValueError(f"crop: {side} is more than the shorter side of {path} ({min(picture.size)} pixels)")
    left, top = (picture.width - side) // 2, (picture.height - side) // 2
    picture = picture.crop((left, top, left + side, top + side))
    if side != size:
        picture = picture.resize((size, size), Image.Resampling.LANCZOS)
    return from_uint8(np.asarray(picture))


def from_uint8(pixels):
    """Array (..., H, W, 3) of 0..255 to a float32 tensor (..., 3, H, W) in [-1, 1]."""
    return torch.from_numpy(np.array(pixels)).movedim(-1, -3).float() / 127.5 - 1


def to_uint8(x):
    """Tensor (..., C, H, W) in [-1, 1] to an array (..., H, W, C) of 0..255; values outside are clipped."""
    return ((x.detach().float().cpu().clamp(-1, 1) + 1) * 127.5).round().byte().movedim(-3, -1).numpy()


def save(x, path):
    """Write a tensor (3, H, W) in [-1, 1] as a PNG: whole or not at all."""
    path = Path(path)
    partial = path.with_name(path.name + ".part")
    try:
        Image.fromarray(to_uint8(x)).save(partial, format="PNG")
        os.replace(partial, path)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise ValueError(f"out: {path} cannot be written ({error.strerror})") from None


def shipped(name="faces", limit=None):
    """The pictures that ship with the package, a tensor (B, 3, 64, 64) in [-1, 1].

    ``faces``: 20 synthetic faces in the CelebA-64 frame. ``out_of_distribution``: pictures that
    are no faces of that kind. Origins and licences stand in ``frugal/pictures/README.md``.
    """
    if name not in SHIPPED_SETS:
        raise ValueError(f"name: {name!r} is not a shipped set; accepted are {', '.join(SHIPPED_SETS)}")
    return torch.stack([load(path) for path in find(SHIPPED / name)[:limit]])
