"""The operators of the book's tasks, each by its singular value decomposition; to add one, see ``TASKS``."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch

from ..base import checks
from ..base.checks import Refusal
from ..measurement import LinearOperator, Transform
from . import patterns
from .patterns import Shape


@dataclass(frozen=True)
class Task:
    """A line of ``TASKS``:

    build    (name, image_shape) -> LinearOperator, or with one's own array as third argument
    takes    the argument of ``make`` that brings this array, "mask" or "kernel"
    default  image_shape -> the array where none is given; a task that takes one and has none needs it
    """

    build: Callable[..., LinearOperator]
    takes: str | None = None
    default: Callable[[Shape], torch.Tensor] | None = None


def make(
    task: str,
    image_shape: Shape = (3, 64, 64),
    mask: torch.Tensor | None = None,
    kernel: torch.Tensor | None = None,
) -> LinearOperator:
    """The operator of a named task.

    task         one of ``TASKS``: sr4 averages 4 x 4 blocks; inpaint-box hides the centred box of half the
                 side, outpaint shows only that box, inpaint-random 8 % of the pixels; inpaint-middle,
                 outpaint-window and outpaint-half are the masks of a public starter kit (page 13);
                 deblur is a Gaussian, deblur-motion a diagonal stroke, both circular
    image_shape  (C, H, W)
    mask         one's own for inpainting (``inpaint`` needs it), (H, W), (1, H, W) or (C, H, W), nonzero where seen
    kernel       one's own blur for a deblurring task, (h, w), no larger than the picture

    Raises Refusal for an unknown task, or a shape, mask or kernel that does not fit.
    """
    image_shape = tuple(image_shape)
    if len(image_shape) != 3 or not all(isinstance(n, int) and n > 0 for n in image_shape):
        raise Refusal(
            f"image_shape: {image_shape} is not accepted; give three positive whole numbers (C, H, W)"
        )
    kind = TASKS[checks.one_of("task", task, TASKS)]
    for name, given in (("mask", mask), ("kernel", kernel)):
        if given is not None and kind.takes != name:
            those = ", ".join(other for other, line in TASKS.items() if line.takes == name)
            raise Refusal(f"{name}: {task} takes none; the tasks that do are {those}")
    if kind.takes is None:
        return kind.build(task, image_shape)
    own = mask if kind.takes == "mask" else kernel
    if own is None:
        if kind.default is None:
            raise Refusal(f"{kind.takes}: {task} needs one; give an array of shape {image_shape[1:]}")
        own = kind.default(image_shape)
    return kind.build(task, image_shape, own)


def equal_rows(
    name: str, image_shape: Shape, measurement_shape: Shape, s: float, V: Transform, Vt: Transform
) -> LinearOperator:
    """y = s V^T x as it is: U = I, and every singular value is s."""
    return LinearOperator(
        name,
        image_shape,
        measurement_shape,
        torch.full((math.prod(measurement_shape),), s, dtype=torch.float64),
        U=lambda c: c.reshape(len(c), *measurement_shape),
        Ut=lambda y: y.flatten(1),
        V=V,
        Vt=Vt,
    )


def denoising(name: str, image_shape: Shape) -> LinearOperator:
    """y = x0 + noise: U = V = I, s = 1."""
    V, Vt = (lambda c: c.reshape(-1, *image_shape)), (lambda x: x.flatten(1))
    return equal_rows(name, image_shape, image_shape, 1.0, V, Vt)


def colorization(name: str, image_shape: Shape) -> LinearOperator:
    """Eq. 1d, y = the mean of the C channels: V^T sums them over sqrt(C), s = 1 / sqrt(C)."""
    C, H, W = image_shape
    V = lambda c: c.reshape(-1, 1, H, W).repeat(1, C, 1, 1) / C**0.5
    Vt = lambda x: (x.sum(1) / C**0.5).flatten(1)
    return equal_rows(name, image_shape, (1, H, W), C**-0.5, V, Vt)


def super_resolution(name: str, image_shape: Shape, factor: int) -> LinearOperator:
    """Eq. 1d, y = means of f x f blocks: V^T sums each block over f (f^2 equal entries of norm 1), s = 1 / f."""
    C, H, W = image_shape
    if H % factor or W % factor:
        raise Refusal(f"image_shape: {H} x {W} cannot be cut into {factor} x {factor} blocks for {name}")
    small = (C, H // factor, W // factor)
    enlarge = lambda x: x.repeat_interleave(factor, -2).repeat_interleave(factor, -1)
    V = lambda c: enlarge(c.reshape(-1, *small)) / factor
    Vt = lambda x: (torch.nn.functional.avg_pool2d(x, factor) * factor).flatten(1)
    return equal_rows(name, image_shape, small, 1 / factor, V, Vt)


def inpainting(name: str, image_shape: Shape, mask: torch.Tensor) -> LinearOperator:
    """Eq. 1d, y = the pixels that the mask shows, as a vector: V^T picks them, U = I, s = 1."""
    mask = array("mask", mask)
    if (
        mask.ndim not in (2, 3)
        or mask.shape[-2:] != image_shape[1:]
        or (mask.ndim == 3 and mask.shape[0] not in (1, image_shape[0]))
    ):
        raise Refusal(f"mask: shape {tuple(mask.shape)} does not fit a picture of shape {image_shape}")
    seen = (mask != 0).expand(image_shape).flatten().nonzero().squeeze(1)
    if not len(seen):
        raise Refusal("mask: no pixel is seen; at least one must be nonzero")
    n = math.prod(image_shape)
    V = lambda c: c.new_zeros(len(c), n).index_copy(1, seen.to(c.device), c).reshape(-1, *image_shape)
    Vt = lambda x: x.flatten(1)[:, seen.to(x.device)]
    return equal_rows(name, image_shape, (len(seen),), 1.0, V, Vt)


def deblurring(name: str, image_shape: Shape, kernel: torch.Tensor) -> LinearOperator:
    """Eqs. 1e and 1g: y = circular convolution of every channel with the kernel.

    V is the Hartley basis h_w = (cos + sin)(2 pi w . p) / sqrt(HW): real, orthonormal, symmetric. With k^ the
    kernel's Fourier transform, A h_w = |k^(w)| times the wave h_w shifted by the phase of k^(w). So s = |k^|
    for each channel, and U is V followed by those shifts.
    """
    C, H, W = image_shape
    kernel = array("kernel", kernel).double()
    if kernel.ndim != 2 or kernel.shape[0] > H or kernel.shape[1] > W:
        raise Refusal(f"kernel: shape {tuple(kernel.shape)} does not fit; give (h, w) up to {H} x {W}")
    if not kernel.any():
        raise Refusal("kernel: every entry is zero; give one that lets some light through")
    padded = torch.zeros(H, W, dtype=torch.float64)
    padded[: kernel.shape[0], : kernel.shape[1]] = kernel
    centred = padded.roll((-(kernel.shape[0] // 2), -(kernel.shape[1] // 2)), (0, 1))
    k_hat = torch.fft.fft2(centred)
    # A real kernel has k^(-w) = conj k^(w). Rounding breaks that where k^ is near zero; U needs it exactly.
    k_hat = (k_hat + k_hat.flip(0, 1).roll((1, 1), (0, 1)).conj()) / 2
    modulus = k_hat.abs()
    phase = torch.where(modulus > 0, k_hat / modulus, torch.ones_like(k_hat))

    def hartley(x: torch.Tensor) -> torch.Tensor:
        x_hat = torch.fft.fft2(x.reshape(-1, C, H, W), norm="ortho")
        return x_hat.real - x_hat.imag

    def shift(x: torch.Tensor, phase: torch.Tensor) -> torch.Tensor:
        return torch.fft.ifft2(torch.fft.fft2(x) * phase.to(x.device, torch.complex(x, x).dtype)).real

    return LinearOperator(
        name,
        image_shape,
        image_shape,
        modulus.flatten().repeat(C),
        U=lambda c: shift(hartley(c), phase),
        Ut=lambda y: hartley(shift(y, phase.conj())).flatten(1),
        V=hartley,
        Vt=lambda x: hartley(x).flatten(1),
    )


def array(name: str, values: object) -> torch.Tensor:
    """A mask or kernel as a tensor of real numbers; Refusal for what is none."""
    try:
        values = torch.as_tensor(values)
    except (TypeError, ValueError, RuntimeError):
        raise Refusal(
            f"{name}: a {type(values).__name__} is not accepted; give an array of numbers"
        ) from None
    if values.is_complex() or not values.isfinite().all():
        raise Refusal(f"{name}: holds entries that are complex or not finite; give real, finite ones")
    return values


TASKS = {  # the name: a function (name, image_shape, ...) -> LinearOperator, and what it takes
    "denoise": Task(denoising),
    "colorize": Task(colorization),
    "sr4": Task(partial(super_resolution, factor=4)),
    "sr8": Task(partial(super_resolution, factor=8)),
    "sr16": Task(partial(super_resolution, factor=16)),
    "deblur": Task(deblurring, "kernel", patterns.gaussian_kernel),
    "deblur-motion": Task(deblurring, "kernel", patterns.motion_kernel),
    "inpaint-box": Task(inpainting, "mask", lambda shape: ~patterns.box_mask(shape)),
    "inpaint-random": Task(inpainting, "mask", patterns.random_mask),
    "inpaint-middle": Task(inpainting, "mask", lambda shape: ~patterns.centred_mask(shape, 104 / 256)),
    "outpaint": Task(inpainting, "mask", patterns.box_mask),
    "outpaint-window": Task(inpainting, "mask", lambda shape: patterns.centred_mask(shape, 78 / 256)),
    "outpaint-half": Task(inpainting, "mask", patterns.left_mask),
    "inpaint": Task(inpainting, "mask"),
}
