"""Training pictures: folders and arrays in, uint8 tensors out."""

import math
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from tqdm import tqdm

from .. import images
from ..checks import Refusal

HELD_OUT = 128  # at most so many pictures make the validation loss


def read_pictures(sources, size, crop=None):
    """Pictures of several sources as one uint8 tensor (N, 3, size, size).

    A source is a folder of pictures, cut and resized as in ``images.load``, or a ``.npy`` file of
    uint8 (N, size, size, 3). A picture that cannot be read is named on stderr, left out and counted.
    Raises Refusal for a source without a readable picture and for pictures smaller than the model.
    """
    if crop and crop < size:
        raise Refusal(f"crop: {crop} is smaller than the model; give {size} or more")
    parts = [unpack(s, size) if Path(s).suffix == ".npy" else decode(s, size, crop) for s in sources]
    return torch.from_numpy(np.concatenate(parts)).movedim(-1, 1).contiguous()


def unpack(path, size):
    """The array of a ``.npy`` file, uint8 (N, size, size, 3); never unpickles."""
    wanted = f"a .npy file of uint8 (N, {size}, {size}, 3)"
    try:
        pixels = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError):
        raise Refusal(f"images: {path} cannot be read; give {wanted}") from None
    if pixels.dtype != np.uint8 or pixels.shape[1:] != (size, size, 3) or not len(pixels):
        raise Refusal(f"images: {path} holds {pixels.dtype} {pixels.shape}; give {wanted}")
    return pixels


def decode(folder, size, crop):
    """The pictures of a folder as uint8 (N, size, size, 3)."""
    pixels, paths, smallest = [], images.find(folder), crop or size
    for path in tqdm(paths, desc=f"reading {folder}", disable=None):
        try:
            with Image.open(path) as header:
                side = min(header.size)
            if side >= smallest:
                pixels.append(images.to_uint8(images.load(path, size, crop)))
        except (ValueError, OSError, SyntaxError, Image.DecompressionBombError):
            print(f"skipped: {path} cannot be read as a picture", file=sys.stderr)
            continue
        if side < smallest:
            raise Refusal(
                f"images: {path} has a side of {side} pixels; give pictures of {smallest} or more"
            )
    if not pixels:
        raise Refusal(f"images: no picture in {folder} can be read; give whole PNG or JPEG files")
    if skipped := len(paths) - len(pixels):
        print(f"{skipped} of {len(paths)} pictures of {folder} skipped", file=sys.stderr)
    return np.stack(pixels)


def split(sources, val, size, crop):
    """Pictures to train on and pictures held out, two uint8 tensors (N, 3, size, size)."""
    pixels = read_pictures(sources, size, crop)
    if val:
        held_out = read_pictures(val, size, crop)
        return pixels, held_out[:: math.ceil(len(held_out) / HELD_OUT)]
    if len(pixels) < 2:
        raise Refusal("images: one picture is too few; give two or more")
    held_out = torch.arange(len(pixels)) % max(2, math.ceil(len(pixels) / HELD_OUT)) == 0
    return pixels[~held_out], pixels[held_out]
