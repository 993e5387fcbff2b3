"""Pictures in and out: files on one side, tensors (B, C, H, W) in [-1, 1] on the other."""

import hashlib
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps
from PIL.PngImagePlugin import PngInfo

from .base import checks
from .base.checks import Refusal
from .base.files import whole

SUFFIXES = {".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif", ".tif", ".tiff"}
SHIPPED = Path(__file__).parent / "pictures"
SHIPPED_SETS = ("faces", "out_of_distribution")
LARGEST = 4096  # side of a picture that is worked on, in pixels
SMALL = 64  # pixels of a shipped set; the same pictures with 256 lie in the folder NAME_256
# The side of the centred square, or (left, top, side); None: as large as fits.
Crop = int | tuple[int, int, int] | None
UNREADABLE = (
    *(OSError, SyntaxError, ValueError, AssertionError, MemoryError, struct.error),
    Image.DecompressionBombError,
)


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


@contextmanager
def readable(path: Path) -> Iterator[None]:
    """Turn what can go wrong while a picture file is read into one sentence, a Refusal."""
    try:
        yield
    except (FileNotFoundError, TypeError, AttributeError):
        raise Refusal(f"image: {path} does not exist; give the path of a picture") from None
    except UNREADABLE:
        raise Refusal(f"image: {path} cannot be read as a picture; give a whole PNG or JPEG file") from None


def opened(path: Path) -> Image.Image:
    """A picture file as a PIL picture in RGBA, turned as its EXIF data say; 16 bits become 8.

    Raises Refusal for a file that is missing, is no whole picture, or has numbers whose range nobody knows.
    """
    with readable(path), Image.open(path) as file:
        mode, picture = file.mode, ImageOps.exif_transpose(file)
        if mode.startswith("I;16"):
            picture = Image.fromarray(np.uint8(np.asarray(picture).astype(np.uint32) * 255 // 65535))
        picture = picture if mode[0] in "IF" and mode[1:2] != ";" else picture.convert("RGBA")
    if picture.mode != "RGBA":
        raise Refusal(
            f"image: {path} has numbers of 32 bits ({mode}), whose range is not known; convert it to 8 or 16 bits"
        )
    return picture


def size(path: Path) -> tuple[int, int]:
    """(width, height) of a picture file by its header alone; Refusal as ``opened``."""
    with readable(path), Image.open(path) as header:
        return header.size


def read(path: Path) -> Image.Image:
    """A picture file as a PIL picture in RGB, see ``opened``; what is transparent lies on white."""
    picture = opened(path)
    return Image.alpha_composite(Image.new("RGBA", picture.size, "white"), picture).convert("RGB")


def load(path: Path, size: int = 64, crop: Crop = None, channels: int = 3) -> torch.Tensor:
    """Read one picture as a tensor (channels, size, size), float32 in [-1, 1]; of one channel, the mean of three.

    A square is cut out, see ``square``, and resized (Lanczos); a ``crop`` of 140 is the usual frame for aligned
    CelebA files.
    Raises Refusal as ``opened`` does, and for a picture that is smaller than ``crop``.
    """
    checks.whole("size", size, 1, LARGEST)
    if channels not in (1, 3):
        raise Refusal(f"channels: {channels!r} is not accepted; files give pictures of 1 channel or of 3")
    picture = square(read(path), path, crop)
    if picture.width != size:
        picture = picture.resize((size, size), Image.Resampling.LANCZOS)
    x = from_uint8(np.asarray(picture))
    return x.mean(0, keepdim=True) if channels == 1 else x


def square(picture: Image.Image, path: Path, crop: Crop) -> Image.Image:
    """The centred square of side ``crop``, by default the shorter side; Refusal where the picture is smaller.

    Of a ``crop`` (left, top, side), what lies outside the picture is its mirror image.
    """
    if isinstance(crop, tuple):
        left, top, side = crop
        over = [max(0, -top, top + side - picture.height), max(0, -left, left + side - picture.width)]
        wide = np.pad(
            np.asarray(picture), [(n, n) for n in over] + [(0, 0)] * (picture.mode != "L"), "symmetric"
        )
        left, top = left + over[1], top + over[0]
        return Image.fromarray(wide[top : top + side, left : left + side])
    side = min(picture.size) if crop is None else checks.whole("crop", crop)
    if side > min(picture.size):
        raise Refusal(f"crop: {side} is more than the shorter side of {path} ({min(picture.size)} pixels)")
    left, top = (picture.width - side) // 2, (picture.height - side) // 2
    return picture.crop((left, top, left + side, top + side))


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


def save(x: torch.Tensor, path: Path, about: str = "") -> None:
    """Write a tensor (3, H, W) or (1, H, W) in [-1, 1] as a PNG: whole or not at all.

    ``about`` is kept in the file as a text of its own, which ``about`` reads.

    Raises Refusal for another shape, and where the file cannot be written.
    """
    if not isinstance(x, torch.Tensor) or not x.is_floating_point():
        kind = x.dtype if isinstance(x, torch.Tensor) else type(x).__name__
        raise Refusal(f"x: {kind} is not accepted; give a floating-point tensor (3, H, W) or (1, H, W)")
    if x.ndim != 3 or x.shape[0] not in (1, 3):
        raise Refusal(f"x: shape {tuple(x.shape)} is not accepted; give one picture (3, H, W) or (1, H, W)")
    if not x.isfinite().all():
        raise Refusal("x: holds entries that are not finite numbers; all must be")
    pixels = to_uint8(x)
    write(Image.fromarray(pixels[..., 0] if x.shape[0] == 1 else pixels), path, about)


def write(picture: Image.Image, path: Path, about: str = "") -> None:
    """Write a PIL picture as a PNG, as ``save`` does."""
    with whole(checks.folder_of("out", Path(path))) as partial:
        text = PngInfo()
        text.add_text("frugal", about)
        picture.save(partial, format="PNG", pnginfo=text if about else None)


def about(path: Path) -> str:
    """What ``save`` was told about the picture in a file; "" where there is none, or no such file."""
    try:
        with Image.open(path) as file:
            return str(file.info.get("frugal", ""))
    except UNREADABLE:
        return ""


def named(name: str = "faces", size: int = 64, limit: int | None = None) -> dict[str, torch.Tensor]:
    """The pictures that ship with the package, {file name: (3, size, size) in [-1, 1]}.

    ``faces``: 20 synthetic faces in the CelebA-64 frame. ``out_of_distribution``: pictures that
    are no faces of that kind. They ship with 64 pixels and with 256, and are resized to what is asked for.
    Origins and licences stand in ``frugal/pictures/README.md``.
    Raises Refusal for another name, and for a limit below 1.
    """
    checks.one_of("name", name, SHIPPED_SETS)
    checks.whole("size", size, 1, LARGEST)
    paths = find(SHIPPED / (name if size <= SMALL else f"{name}_256"))[
        : None if limit is None else checks.whole("limit", limit)
    ]
    return {path.name: load(path, size) for path in paths}


def shipped(name: str = "faces", size: int = 64, limit: int | None = None) -> torch.Tensor:
    """``named`` without the names: a tensor (B, 3, size, size) in [-1, 1]."""
    return torch.stack(list(named(name, size, limit).values()))
