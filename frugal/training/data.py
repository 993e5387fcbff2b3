"""Training pictures: folders and arrays in, uint8 tensors out."""

import hashlib
import math
import sys
import tokenize
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

from .. import images
from ..base import checks
from ..base.checks import Refusal

HELD_OUT = 128  # at most so many pictures make the validation loss


def read_pictures(sources: Sequence[str | Path], size: int, crop: int | None = None) -> torch.Tensor:
    """Pictures of several sources as one tensor (N, 3, size, size) of uint8.

    A source is a folder of pictures, cut and resized as in ``images.load``, or a ``.npy`` file of
    uint8 (N, size, size, 3). A picture that cannot be read is named on stderr, left out and counted.
    Raises Refusal for a source without a readable picture, for pictures smaller than the model or the crop,
    and for more pictures than fit into memory.
    """
    if crop is not None:
        checks.whole("crop", crop, least=size)
    try:
        arrays = [
            unpack(Path(source), size) if Path(source).suffix == ".npy" else decode(Path(source), size, crop)
            for source in sources
        ]
        return torch.from_numpy(np.concatenate(arrays)).movedim(-1, 1).contiguous()
    except MemoryError:
        raise Refusal(
            "images: the pictures do not fit into memory; give fewer pictures or a smaller size"
        ) from None


def unpack(path: Path, size: int) -> np.ndarray:
    """The array of a ``.npy`` file, uint8 (N, size, size, 3), left on the disk until it is used.

    Mapped, not read: nothing is unpickled, and a header that claims more than the file holds takes no memory.
    Raises Refusal for such a file, for a damaged one, and for an array of another kind.
    """
    wanted = f"a .npy file of uint8 (N, {size}, {size}, 3)"
    try:
        pixels = np.lib.format.open_memmap(path, mode="r")
    except (*images.UNREADABLE, TypeError, EOFError, OverflowError, RecursionError, tokenize.TokenError):
        raise Refusal(f"images: {path} cannot be read; give {wanted}") from None
    if pixels.dtype != np.uint8 or pixels.shape[1:] != (size, size, 3) or not len(pixels):
        raise Refusal(f"images: {path} holds {pixels.dtype} {pixels.shape}; give {wanted}")
    return pixels


def decode(folder: Path, size: int, crop: int | None) -> np.ndarray:
    """The pictures of a folder as uint8 (N, size, size, 3). Raises Refusal as ``read_pictures`` does."""
    pixels, paths, least = [], images.find(folder), crop or size
    for path in tqdm(paths, desc=f"reading {folder}", disable=None):
        try:
            side = min(images.size(path))
            picture = images.load(path, size, crop) if side >= least else None
        except Refusal:
            print(f"skipped: {path} cannot be read as a picture", file=sys.stderr)
            continue
        if picture is None:
            raise Refusal(f"images: {path} has a side of {side} pixels; give pictures of {least} or more")
        pixels.append(images.to_uint8(picture))
    if not pixels:
        raise Refusal(f"images: no picture in {folder} can be read; give whole PNG or JPEG files")
    if skipped := len(paths) - len(pixels):
        print(f"{skipped} of {len(paths)} pictures of {folder} skipped", file=sys.stderr)
    return np.stack(pixels)


def split(
    sources: Sequence[str | Path], val: Sequence[str | Path] | None, size: int, crop: int | None
) -> tuple[torch.Tensor, torch.Tensor]:
    """Pictures to train on and pictures held out, two tensors (N, 3, size, size) of uint8.

    Held out are at most ``HELD_OUT`` pictures of ``val``, counted through, or of the sources themselves.
    Raises Refusal as ``read_pictures`` does, and for a single picture, which cannot be split.
    """
    pixels = read_pictures(sources, size, crop)
    if val:
        held_out = read_pictures(val, size, crop)
        return pixels, held_out[:: math.ceil(len(held_out) / HELD_OUT)]
    if len(pixels) < 2:
        raise Refusal("images: one picture is too few; give two or more")
    chosen = torch.arange(len(pixels)) % max(2, math.ceil(len(pixels) / HELD_OUT)) == 0
    return pixels[~chosen], pixels[chosen]


def digest(pixels: torch.Tensor) -> str:
    """SHA-256 of pictures (N, 3, S, S) of uint8 in their order, as hexadecimal."""
    state = hashlib.sha256(str(tuple(pixels.shape)).encode())
    state.update(pixels.contiguous().numpy().data)
    return state.hexdigest()
