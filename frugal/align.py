"""A face in a photograph: find it, bring it to the prior's frame, and put what was restored back into the photograph."""

from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageFilter
from scipy.ndimage import gaussian_filter

from . import images
from .checks import Refusal

# Where the detector's box lies in the frame of aligned CelebA, as shares of the frame's side: the medians over the
# synthetic faces that ship, 18 of whose 20 it finds.
BOX_SIDE, BOX_ACROSS, BOX_DOWN = 0.75, 0.505, 0.603
VOTES = (64, 32, 16, 8, 4)
SMALLEST = 24  # pixels of a box; the detector was trained at this size
LARGE = 512  # pixels of a photo's longer side while the face is looked for
FEATHER = 1 / 16  # of the frame's side, over which the restored part goes over into the photo


def frame(path: Path, mask: Image.Image | None = None) -> tuple[int, int, int]:
    """(left, top, side) of the upright face in a photo that is surest, in the frame of aligned CelebA, in pixels.

    The detector is the cascade of local binary patterns of scikit-image; what a mask of the photo's size hides is
    filled in from around first.
    Raises Refusal where it finds none or is not installed.
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
    pixels = np.asarray(photo.resize(size, Image.Resampling.BOX))
    if mask is not None:
        shown = mask.point(lambda v: 255 * (v >= images.SEEN)).resize(size, Image.Resampling.BOX)
        pixels = filled(pixels, np.asarray(shown) == 255)
    find = Cascade(lbp_frontal_face_cascade_filename()).detect_multi_scale
    least, most = (min(n, *size) for n in (SMALLEST, LARGE))
    for votes in VOTES:  # overlapping hits of the detector that a box needs
        if boxes := find(pixels, 1.1, 1, (least, least), (most, most), min_neighbor_number=votes):
            box = max(boxes, key=lambda box: box["width"])
            across, down, width = (scale * n for n in (box["c"], box["r"], box["width"]))
            side = width / BOX_SIDE
            left, top = across + width / 2 - BOX_ACROSS * side, down + width / 2 - BOX_DOWN * side
            return round(left), round(top), round(side)
    raise Refusal(
        f"align: no upright face was found in {path}; cut the face out by hand and leave --align away"
    )


def filled(pixels: np.ndarray, shown: np.ndarray) -> np.ndarray:
    """Pixels (H, W, 3) with those that are not shown replaced by a mean over their surroundings, near ones first."""
    found, known = pixels.astype(float), shown.astype(float)
    for reach in (2, 8, 32, 128):
        weight = gaussian_filter(known, reach)
        mean = (
            gaussian_filter(found * known[..., None], (reach, reach, 0)) / np.maximum(weight, 1e-9)[..., None]
        )
        new = (known == 0) & (weight > 0.05)
        found[new], known[new] = mean[new], 1
    return found.astype(np.uint8)


def put_back(
    path: Path, x: torch.Tensor, where: tuple[int, int, int], mask: Image.Image | None = None
) -> torch.Tensor:
    """The photo (3, H, W) in [-1, 1] with the restored square x (C, h, w) in its place, brought to the photo's pixels.

    With a mask of the photo's size only what it hides is replaced; else all of the square, which fades out at its
    rim.
    """
    photo, (left, top, side) = images.read(path), where
    restored = Image.fromarray(images.to_uint8(x.expand(3, -1, -1)))
    restored = restored.resize((side, side), Image.Resampling.LANCZOS)
    soft = max(1, round(side * FEATHER))
    if mask is None:
        weight = Image.new("L", (side, side), 0)
        weight.paste(255, (soft, soft, side - soft, side - soft))
        weight = weight.filter(ImageFilter.BoxBlur(soft))
    else:
        hidden = mask.point(lambda v: 255 * (v < images.SEEN))
        weight = images.square(hidden, path, where).filter(ImageFilter.MaxFilter(3))
    photo.paste(restored, (left, top), weight)
    return images.from_uint8(np.asarray(photo))
