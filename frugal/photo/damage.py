"""Pictures that are damaged already: the measurement is read from files, and nobody knows the sharp picture."""

import contextlib
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from .. import images
from ..base.checks import Refusal
from ..measurement import LinearOperator, Measurement
from ..operators import TASKS, make, two_functions
from ..operators.two_functions import ImplicitOperator

SEEN = 128  # of 255: from this grey on a mask shows a pixel, and below it hides it
DETAIL = 0.05  # root mean square, in [-1, 1]: what may be left out of a photo without a word


def measured(path: Path, A: LinearOperator, sigma: float, crop: images.Crop = None) -> Measurement:
    """The picture of a file as a measurement by A, without a sharp picture.

    Its centred square is brought to the size that A makes, 16 x 16 for sr4 of 64 x 64; where A picks pixels, to
    the size of its pictures, and the pixels that A hides are not looked at. Of a blur from ``operator`` the rim is
    not looked at.
    Raises Refusal as ``images.load`` does.
    """
    if isinstance(A, ImplicitOperator):
        x = images.load(path, A.image_shape[1], crop, A.image_shape[0])[None]
        return Measurement(inside(x, A.measurement_shape), A, sigma)
    as_picture = len(A.measurement_shape) == 3
    channels, height, _ = A.measurement_shape if as_picture else A.image_shape
    x = images.load(path, height, crop, channels)[None]
    return Measurement(x if as_picture else A(x), A, sigma)


def residual(m: Measurement, x: torch.Tensor) -> list[float]:
    """Eq. 8a (page 08): ||y - A x|| / (sigma sqrt(m)) of pictures x (B, C, H, W); 1 is what noise alone leaves.

    Infinite where sigma = 0 and x does not explain y.
    """
    left = (m.y - m.A(x.to(m.y))).flatten(1)
    return (left.square().mean(1).sqrt() / m.sigma).tolist()


def misfit(photo: Path, m: Measurement, crop: images.Crop = None) -> str:
    """A warning where a photo, of which a square is cut out, is no measurement of this kind.

    It throws away what the photo shows, such as a sharp face that is shrunk to 16 x 16, or the photo has fewer
    pixels than are taken as measured. "" where it fits.
    """
    (C, H, W), small = m.A.image_shape, m.A.measurement_shape
    if len(small) != 3 or small == m.A.image_shape or isinstance(m.A, ImplicitOperator):
        return ""
    shown = images.load(photo, H, crop, C)[None]
    enlarged = torch.nn.functional.interpolate(m.y, (H, W), mode="bicubic", antialias=True)
    lost = (shown - enlarged.expand_as(shown)).square().mean().sqrt().item()
    side = crop[2] if isinstance(crop, tuple) else crop or min(images.size(photo))
    fits = fitting((C, H, W), side)
    if side < small[1]:
        said = f"the square has {side} x {side} pixels, fewer than {m.A.name} takes as measured"
    elif lost > max(DETAIL, 3 * m.sigma):
        said = f"{m.A.name} leaves out what the photo shows ({lost:.2f} of its range from -1 to 1)"
    else:
        return ""
    return "" if fits == m.A.name else f"warning: {said}; a square of {side} pixels fits {fits}"


def fitting(shape: tuple[int, ...], side: int) -> str:
    """The task whose measurement of pictures (C, H, W) is the largest that a square of ``side`` pixels can be."""
    measured: dict[int, str] = {}
    for task in (name for name, line in TASKS.items() if line.takes is None):
        with contextlib.suppress(Refusal):  # for pictures that cannot be cut into such blocks
            measured.setdefault(make(task, shape).measurement_shape[1], task)
    return measured[max([n for n in measured if n <= side] or [min(measured)])]


def bright(grey: Image.Image) -> Image.Image:
    """A grey picture in white, from ``SEEN`` on, and black."""
    return grey.point([255 * (v >= SEEN) for v in range(256)])


def mask_of(task: str, photo: Path, mask: Path | None) -> Image.Image | None:
    """What a mask file shows, white where the photo is seen and black elsewhere, of the photo's size; for the task
    "inpaint" without one, the photo's own opacity; else None.

    Raises Refusal for a mask of another size than the photo, and where the photo is opaque.
    """
    if mask is not None:
        picture, photographed = images.read(mask).convert("L"), images.read(photo)
        if picture.size != photographed.size:
            raise Refusal(
                f"mask: {mask} has {picture.width} x {picture.height} pixels, and the photo "
                f"{photographed.width} x {photographed.height}; give a mask of the photo's size"
            )
        return bright(picture)
    if task not in TASKS or TASKS[task].takes != "mask" or TASKS[task].default is not None:
        return None
    opacity = bright(images.opened(photo).getchannel("A"))
    if np.asarray(opacity).all():
        raise Refusal(
            f"mask: {task} needs one; give a picture that is white where the photo is kept and black where it is "
            "filled, or make that part of the photo transparent"
        )
    return opacity


def operator(
    task: str,
    shape: tuple[int, ...],
    mask: Image.Image | None = None,
    kernel: Path | None = None,
    crop: images.Crop = None,
) -> LinearOperator:
    """The operator of a task on pictures (C, H, W), with a mask of the photo's size, or a kernel from a file.

    A blur with a kernel is seen only as far from the rim as the kernel reaches: the library's blur is circular,
    and what a real one brings in over the rim is not known.
    Raises Refusal as ``operators.make`` does.
    """
    if mask is not None:
        return make(task, tuple(shape), mask=seen(mask, shape[-1], crop))
    if kernel is None:
        return make(task, tuple(shape))
    blur = read_kernel(kernel, shape)
    A, (C, H, W) = make(task, tuple(shape), kernel=blur), shape
    h, w = (n // 2 for n in blur.shape)
    if H <= 2 * h or W <= 2 * w:
        raise Refusal(
            f"kernel: {tuple(blur.shape)} is too large for pictures of {H} x {W}; nothing would be left"
        )
    small = (C, H - 2 * h, W - 2 * w)
    around = lambda y: torch.nn.functional.pad(y, (w, w, h, h))
    return two_functions.operator(
        lambda x: inside(A(x), small), lambda y: A.A_adjoint(around(y)), shape, small, task
    )


def inside(x: torch.Tensor, shape: tuple[int, ...]) -> torch.Tensor:
    """The middle of pictures x (B, C, H, W), of ``shape`` (C, h, w)."""
    (H, W), (_, h, w) = x.shape[2:], shape
    top, left = (H - h) // 2, (W - w) // 2
    return x[..., top : top + h, left : left + w]


def seen(mask: Image.Image, size: int, crop: images.Crop) -> torch.Tensor:
    """A picture of ``mask_of``, cut as ``images.load`` cuts, as a mask (size, size): True where it is seen.

    Where it has to be resized, a pixel counts as seen only if all of it and of its neighbours is, since resizing
    the photo mixes them.
    """
    cut = images.square(mask, Path("mask"), crop)
    if cut.width == size:
        return torch.from_numpy(np.array(cut)) > 0
    share = torch.from_numpy(np.array(cut.resize((size, size), Image.Resampling.BOX)))
    hidden = (share < 255).float()[None]
    return torch.nn.functional.max_pool2d(hidden, 3, 1, 1)[0] == 0


def read_kernel(path: Path, shape: tuple[int, ...]) -> torch.Tensor:
    """A blur kernel (h, w) from a grey picture, in pixels of the prior's picture (C, H, W); its entries sum to 1.

    Raises Refusal for a picture that is black all over, and for one larger than the prior's, by its header alone.
    """
    (width, height), (_, H, W) = images.size(path), shape
    if height > H or width > W:
        raise Refusal(f"kernel: shape {height, width} does not fit; give (h, w) up to {H} x {W}")
    kernel = torch.from_numpy(np.array(images.read(path).convert("L"))).double()
    if not kernel.any():
        raise Refusal(f"kernel: {path} is black all over; give one that lets some light through")
    return kernel / kernel.sum()
