"""Pictures in and out: files on one side, tensors (B, C, H, W) in [-1, 1] on the other."""

import hashlib
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps

from . import checks
from .checks import Refusal
from .files import whole

SUFFIXES = {".png", ".jpg", ".jpeg", ".webp", ".bmp"}
SHIPPED = Path(__file__).parent / "pictures"
SHIPPED_SETS = ("faces", "out_of_distribution")
SMALL = 64  # pixels of a shipped set; the same pictures with 256 lie in the folder NAME_256
UNREADABLE = (OSError, SyntaxError, ValueError, AssertionError, MemoryError, Image.DecompressionBombError)


def find(folder: Path) -> list[Path]:
    """Paths of the pictures in ``folder``, sorted by name.

    Raises Refusal when the folder does not exist or holds no picture.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise Refusal(f"images: {folder} is not a folder; give a folder of pictures")
    paths = sorted(p for p in folder.iterdir() if p.suffix.lower() in SUFFIXES)
    if not paths:
        raise Refusal(f"images: {folder} holds no picture; accepted are {', '.join(sorted(SUFFIXES))}")
    return paths


def read(path: Path) -> Image.Image:
    """A picture file as a PIL picture in RGB, turned as its EXIF data say.

    Raises Refusal for a file that is missing or is not a whole picture of 8 bits a channel.
    """
    try:
        with Image.open(path) as file:
            mode, picture = file.mode, ImageOps.exif_transpose(file).convert("RGB")
    except FileNotFoundError:
        raise Refusal(f"image: {path} does not exist; give the path of a picture") from None
    except UNREADABLE:
        raise Refusal(f"image: {path} cannot be read as a picture; give a whole PNG or JPEG file") from None
    if mode.startswith(("I", "F")):
        raise Refusal(f"image: {path} has more than 8 bits a channel ({mode}); convert it to 8 bits first")
    return picture


def load(path: Path, size: int = 64, crop: int | None = None) -> torch.Tensor:
    """Read one picture as a tensor (3, size, size), float32 in [-1, 1].

    The centred square is cut out and resized (Lanczos). ``crop`` is the side of that square in
    pixels, by default the picture's shorter side; 140 is the usual frame for aligned CelebA files.
    Raises Refusal as ``read`` does, and for a picture that is smaller than ``crop``.
    """
    checks.whole("size", size, 1, 4096)
    picture = read(path)
    side = min(picture.size) if crop is None else checks.whole("crop", crop)
    if side > min(picture.size):
        raise Refusal(f"crop: {side} is more than the shorter side of {path} ({min(picture.size)} pixels)")
    left, top = (picture.width - side) // 2, (picture.height - side) // 2
    picture = picture.crop((left, top, left + side, top + side))
    if side != size:
        picture = picture.resize((size, size), Image.Resampling.LANCZOS)
    return from_uint8(np.asarray(picture))


def from_uint8(pixels: np.ndarray) -> torch.Tensor:
    """Array (..., H, W, 3) of 0..255 to a float32 tensor (..., 3, H, W) in [-1, 1]."""
    return torch.from_numpy(np.array(pixels)).movedim(-1, -3).float() / 127.5 - 1


def to_uint8(x: torch.Tensor) -> np.ndarray:
    """Tensor (..., C, H, W) in [-1, 1] to an array (..., H, W, C) of 0..255; values outside are clipped."""
    return ((x.detach().float().cpu().clamp(-1, 1) + 1) * 127.5).round().byte().movedim(-3, -1).numpy()


def digest(x: torch.Tensor) -> str:
    """SHA-256 of a picture (C, H, W) in [-1, 1] as stored with 8 bits, as 16 hexadecimal digits: its identity."""
    pixels = to_uint8(x)
    return hashlib.sha256(str(pixels.shape).encode() + pixels.tobytes()).hexdigest()[:16]


def save(x: torch.Tensor, path: Path) -> None:
    """Write a tensor (3, H, W) or (1, H, W) in [-1, 1] as a PNG: whole or not at all.

    Raises Refusal for another shape, and where the file cannot be written.
    """
    if x.ndim != 3 or x.shape[0] not in (1, 3):
        raise Refusal(f"x: shape {tuple(x.shape)} is not accepted; give one picture (3, H, W) or (1, H, W)")
    path, pixels = Path(path), to_uint8(x)
    with whole(checks.folder_of("out", path)) as partial:
        Image.fromarray(pixels[..., 0] if x.shape[0] == 1 else pixels).save(partial, format="PNG")


def named(name: str = "faces", size: int = 64, limit: int | None = None) -> dict[str, torch.Tensor]:
    """The pictures that ship with the package, {file name: (3, size, size) in [-1, 1]}.

    ``faces``: 20 synthetic faces in the CelebA-64 frame. ``out_of_distribution``: pictures that
    are no faces of that kind. They ship with 64 pixels and with 256, and are resized to what is asked for.
    Origins and licences stand in ``frugal/pictures/README.md``.
    Raises Refusal for another name, and for a limit below 1.
    """
    checks.one_of("name", name, SHIPPED_SETS)
    paths = find(SHIPPED / (name if size <= SMALL else f"{name}_256"))[
        : None if limit is None else checks.whole("limit", limit)
    ]
    return {path.name: load(path, size) for path in paths}


def shipped(name: str = "faces", size: int = 64, limit: int | None = None) -> torch.Tensor:
    """``named`` without the names: a tensor (B, 3, size, size) in [-1, 1]."""
    return torch.stack(list(named(name, size, limit).values()))
