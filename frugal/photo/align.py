"""A face in a photograph: find it, bring it to the prior's frame, and put what was restored back into the photograph."""

from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageFilter, ImageOps

from .. import images
from ..base.checks import Refusal

# Where the detector's box lies in the frame of aligned CelebA, as shares of the frame's side: the medians over the
# synthetic faces that ship, 18 of whose 20 it finds.
BOX_SIDE, BOX_ACROSS, BOX_DOWN = 0.75, 0.505, 0.603
VOTES = (16, 8, 4)  # overlapping hits of the detector that make a box: as many as can be had
SMALLEST = 24  # pixels of a box; the detector was trained at this size
LARGE = 512  # pixels of a photo's longer side while the face is looked for
FEATHER = 1 / 16  # of the frame's side, over which the restored part goes over into the photo


def frame(path: Path, mask: Image.Image | None = None) -> tuple[int, int, int]:
    """(left, top, side) of the largest upright face in a photo, in the frame of aligned CelebA, in pixels.

    The detector is the cascade of local binary patterns of scikit-image. Of a mask (``damage.mask_of``), what it
    hides is filled in first, and only a face that it touches is meant.
    Raises Refusal where none is found or scikit-image is not installed.
    """
    try:
        from skimage.data import lbp_frontal_face_cascade_filename  # slow to import, and needed here alone
        from skimage.feature import Cascade
    except ImportError:
        raise Refusal(
            "align: needs scikit-image; install it (pip install scikit-image), or cut the face out and leave --align away"
        ) from None
    photo = images.read(path)
    scale = max(1.0, max(photo.size) / LARGE)
    size = [max(1, round(n / scale)) for n in photo.size]
    pixels, hidden = np.asarray(photo.resize(size, Image.Resampling.BOX)), np.zeros(size[::-1], bool)
    if mask is not None:
        hidden = np.asarray(mask.resize(size, Image.Resampling.BOX)) < 255
        pixels = biharmonic(pixels, hidden)
    find = Cascade(lbp_frontal_face_cascade_filename()).detect_multi_scale
    least, most = (min(n, *size) for n in (SMALLEST, LARGE))
    inside = lambda box: hidden[box["r"] :, box["c"] :][: box["height"], : box["width"]].any()
    for votes in VOTES:
        boxes = find(pixels, 1.05, 1, (least, least), (most, most), min_neighbor_number=votes)
        if boxes := [box for box in boxes if mask is None or inside(box)]:
            box = max(boxes, key=lambda box: box["width"])
            across, down, width = (scale * n for n in (box["c"], box["r"], box["width"]))
            side = width / BOX_SIDE
            left, top = across + width / 2 - BOX_ACROSS * side, down + width / 2 - BOX_DOWN * side
            return round(left), round(top), round(side)
    touched = "" if mask is None else " that the mask touches"
    raise Refusal(
        f"align: no upright face{touched} was found in {path}; say where it is: --align LEFT TOP SIDE"
    )


def biharmonic(pixels: np.ndarray, hidden: np.ndarray) -> np.ndarray:
    """Pixels (H, W, 3) of 0..255 with those that are ``hidden``, (H, W), filled smoothly from around them."""
    from skimage.restoration import inpaint_biharmonic

    return (255 * inpaint_biharmonic(pixels, hidden, channel_axis=-1).clip(0, 1)).round().astype(np.uint8)


def put_back(
    path: Path,
    x: torch.Tensor,
    where: tuple[int, int, int],
    mask: Image.Image | None = None,
    rest: bool = False,
) -> tuple[Image.Image, int]:
    """The photo with the restored square x (C, h, w) in its place, brought to the photo's pixels.

    With a mask (``damage.mask_of``) only what it hides is replaced, and is opaque then; else all of the square, which
    fades out at its rim. Every other pixel is as it was, its opacity too. What the mask hides outside the square is
    left as it was, or with ``rest`` filled by ``biharmonic``; also returns how many pixels that are.
    Raises Refusal where ``rest`` needs scikit-image and it is not installed.
    """
    photo, (left, top, side) = images.opened(path), where
    restored = Image.fromarray(images.to_uint8(x.expand(3, -1, -1)))
    restored = restored.resize((side, side), Image.Resampling.LANCZOS)
    soft = max(1, round(side * FEATHER))
    if mask is None:
        hidden = Image.new("L", photo.size, 0)
        weight = Image.new("L", (side, side), 0)
        weight.paste(255, (soft, soft, side - soft, side - soft))
        weight = weight.filter(ImageFilter.BoxBlur(soft))
    else:
        hidden = ImageOps.invert(mask).filter(ImageFilter.MaxFilter(3))
        weight = images.square(hidden, path, where)
    pixels, opacity = photo.convert("RGB"), np.array(photo.getchannel("A"))
    pixels.paste(restored, (left, top), weight)
    replaced = Image.new("L", photo.size, 0)
    replaced.paste(weight, (left, top))
    outside = (np.asarray(hidden) > 0) & (np.asarray(replaced) == 0)
    filled = np.asarray(pixels)
    if rest and outside.any():
        filled = biharmonic(filled, outside)
    opacity[(np.asarray(hidden) > 0) & (rest | ~outside)] = 255
    if opacity.min() == 255:
        return Image.fromarray(filled), int(outside.sum())
    return Image.fromarray(np.dstack([filled, opacity])), int(outside.sum())
