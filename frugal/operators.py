"""Linear operators given by their singular value decomposition, A = U diag(s) V^T.

Pictures x are (B, C, H, W) in [-1, 1]; measurements y are (B, *measurement_shape); spectral
coefficients c are (B, r), r the number of singular values kept (all that can differ from zero).
Every transform runs on the device and in the dtype of what it is given.
"""

import math
from dataclasses import dataclass
from typing import Callable

import torch
from diffusers.utils.torch_utils import randn_tensor

TASKS = (
    "denoise",
    "colorize",
    "sr4",
    "sr8",
    "sr16",
    "deblur",
    "deblur-motion",
    "inpaint-box",
    "inpaint-random",
    "outpaint",
    "inpaint",
)


@dataclass(frozen=True)
class LinearOperator:
    """Eq. 0f: A = U diag(s) V^T with orthonormal columns in U (m x r) and V (n x r).

    ``U(c)``, ``Ut(y)``, ``V(c)`` and ``Vt(x)`` apply the factors and their transposes.
    ``singular_values`` is (r,), float64.
    """

    name: str
    image_shape: tuple
    measurement_shape: tuple
    singular_values: torch.Tensor
    U: Callable
    Ut: Callable
    V: Callable
    Vt: Callable

    def s(self, like):
        """Singular values on the device and in the dtype of ``like``."""
        return self.singular_values.to(like)

    def A(self, x):
        """A x: (B, C, H, W) -> (B, *measurement_shape)."""
        return self.U(self.s(x) * self.Vt(x))

    __call__ = A

    def A_adjoint(self, y):
        """A^T y: (B, *measurement_shape) -> (B, C, H, W)."""
        return self.V(self.s(y) * self.Ut(y))

    def A_pinv(self, y):
        """Eq. 0g: A^+ y, the smallest x that explains y; directions with s = 0 stay empty."""
        s = self.s(y)
        return self.V(torch.where(s > 0, self.Ut(y) / s.clamp_min(torch.finfo(s.dtype).tiny), 0))

    def measure(self, x0, sigma, generator=None):
        """Eq. 0e: y = A x0 + sigma n with n ~ N(0, I); ``sigma`` is in the units of [-1, 1] pictures.

        ``generator``: a CPU ``torch.Generator``, or a list with one for each picture.
        Raises ValueError for pictures of another shape or a sigma that is negative or not finite.
        """
        if x0.ndim != 4 or tuple(x0.shape[1:]) != self.image_shape:
            raise ValueError(
                f"x0: shape {tuple(x0.shape)} does not fit; expected (B, {', '.join(map(str, self.image_shape))})"
            )
        check_at_least_zero("sigma", sigma)
        y = self.A(x0)
        return y + sigma * randn_tensor(y.shape, generator=generator, device=y.device, dtype=y.dtype)

    def preview(self, y):
        """The measurement drawn at the size of the picture: y itself where it is one, else A^+ y."""
        return y if self.measurement_shape == self.image_shape else self.A_pinv(y)

    def matrix(self):
        """A as a dense (m, n) float64 matrix, column by column. For small pictures only."""
        n = math.prod(self.image_shape)
        return self.A(torch.eye(n, dtype=torch.float64).reshape(n, *self.image_shape)).flatten(1).T


def check_at_least_zero(name, value):
    """``value``; ValueError, naming the argument, unless it is a finite number of at least 0."""
    if not (isinstance(value, (int, float)) and math.isfinite(value) and value >= 0):
        raise ValueError(f"{name}: {value!r} is not accepted; give a finite number of at least 0")
    return value


def make(task, image_shape=(3, 64, 64), mask=None, kernel=None):
    """The operator of a named task.

    task         one of ``TASKS``: sr4 averages 4 x 4 blocks; inpaint-box hides the centred box of
                 half the side, outpaint shows only that box, inpaint-random shows 8 % of the
                 pixels; deblur is a Gaussian, deblur-motion a diagonal stroke, both circular
    image_shape  (C, H, W)
    mask         one's own mask for an inpainting task, (H, W), (1, H, W) or (C, H, W), nonzero
                 where the pixel is seen; ``inpaint`` needs it
    kernel       one's own blur for a deblurring task, (h, w), no larger than the picture

    Raises ValueError for an unknown task, or a shape, mask or kernel that does not fit.
    """
    image_shape = tuple(image_shape)
    if len(image_shape) != 3 or not all(isinstance(n, int) and n > 0 for n in image_shape):
        raise ValueError(
            f"image_shape: {image_shape} is not accepted; give three positive whole numbers (C, H, W)"
        )
    if task not in TASKS:
        raise ValueError(f"task: {task!r} is unknown; accepted are {', '.join(TASKS)}")
    paints = task.startswith("inpaint") or task == "outpaint"
    if mask is not None and not paints:
        raise ValueError(f"mask: {task} takes none; give it to an inpainting task")
    if kernel is not None and not task.startswith("deblur"):
        raise ValueError(f"kernel: {task} takes none; give it to a deblurring task")
    if paints:
        return inpainting(task, image_shape, MASKS[task](image_shape) if mask is None else mask)
    if task.startswith("deblur"):
        return deblurring(task, image_shape, KERNELS[task](image_shape) if kernel is None else kernel)
    if task.startswith("sr"):
        return super_resolution(task, image_shape, factor=int(task[2:]))
    return {"denoise": denoising, "colorize": colorization}[task](task, image_shape)


def denoising(name, image_shape):
    """y = x0 + noise: U = V = I, s = 1."""
    unflatten = lambda c: c.reshape(-1, *image_shape)
    flatten = lambda x: x.flatten(1)
    s = torch.ones(math.prod(image_shape), dtype=torch.float64)
    return LinearOperator(name, image_shape, image_shape, s, unflatten, flatten, unflatten, flatten)


def colorization(name, image_shape):
    """Eq. 0h, y = the mean of the C channels: V^T sums them over sqrt(C), s = 1 / sqrt(C)."""
    C, H, W = image_shape
    return LinearOperator(
        name,
        image_shape,
        (1, H, W),
        torch.full((H * W,), C**-0.5, dtype=torch.float64),
        U=lambda c: c.reshape(-1, 1, H, W),
        Ut=lambda y: y.flatten(1),
        V=lambda c: c.reshape(-1, 1, H, W).repeat(1, C, 1, 1) / C**0.5,
        Vt=lambda x: (x.sum(1) / C**0.5).flatten(1),
    )


def super_resolution(name, image_shape, factor):
    """Eq. 0h, y = means of f x f blocks: V^T sums each block over f (f^2 equal entries of norm 1), s = 1 / f."""
    C, H, W = image_shape
    if H % factor or W % factor:
        raise ValueError(f"image_shape: {H} x {W} cannot be cut into {factor} x {factor} blocks for {name}")
    small = (C, H // factor, W // factor)
    enlarge = lambda x: x.repeat_interleave(factor, -2).repeat_interleave(factor, -1)
    return LinearOperator(
        name,
        image_shape,
        small,
        torch.full((math.prod(small),), 1 / factor, dtype=torch.float64),
        U=lambda c: c.reshape(-1, *small),
        Ut=lambda y: y.flatten(1),
        V=lambda c: enlarge(c.reshape(-1, *small)) / factor,
        Vt=lambda x: (torch.nn.functional.avg_pool2d(x, factor) * factor).flatten(1),
    )


def inpainting(name, image_shape, mask):
    """Eq. 0h, y = the pixels that the mask shows, as a vector: V^T picks them, U = I, s = 1."""
    if mask is None:
        raise ValueError(
            "mask: inpaint needs one; give an array (H, W) that is nonzero where the pixel is seen"
        )
    mask = torch.as_tensor(mask)
    if (
        mask.ndim not in (2, 3)
        or mask.shape[-2:] != image_shape[1:]
        or (mask.ndim == 3 and mask.shape[0] not in (1, image_shape[0]))
    ):
        raise ValueError(f"mask: shape {tuple(mask.shape)} does not fit a picture of shape {image_shape}")
    seen = (mask != 0).expand(image_shape).flatten().nonzero().squeeze(1)
    if not len(seen):
        raise ValueError("mask: no pixel is seen; at least one must be nonzero")
    n = math.prod(image_shape)
    return LinearOperator(
        name,
        image_shape,
        (len(seen),),
        torch.ones(len(seen), dtype=torch.float64),
        U=lambda c: c,
        Ut=lambda y: y,
        V=lambda c: c.new_zeros(len(c), n).index_copy(1, seen.to(c.device), c).reshape(-1, *image_shape),
        Vt=lambda x: x.flatten(1)[:, seen.to(x.device)],
    )


def deblurring(name, image_shape, kernel):
    """Eqs. 0i and 0j: y = circular convolution of every channel with the kernel.

    V is the Hartley basis h_w = (cos + sin)(2 pi w . p) / sqrt(HW): real, orthonormal, symmetric.
    With k^ the kernel's Fourier transform, A h_w = |k^(w)| times the wave h_w shifted by the phase
    of k^(w). So s = |k^| for each channel, and U is V followed by those shifts.
    """
    C, H, W = image_shape
    kernel = torch.as_tensor(kernel, dtype=torch.float64)
    if kernel.ndim != 2 or kernel.shape[0] > H or kernel.shape[1] > W or not kernel.isfinite().all():
        raise ValueError(
            f"kernel: shape {tuple(kernel.shape)} is not accepted; give finite (h, w) no larger than {H} x {W}"
        )
    padded = torch.zeros(H, W, dtype=torch.float64)
    padded[: kernel.shape[0], : kernel.shape[1]] = kernel
    centred = padded.roll((-(kernel.shape[0] // 2), -(kernel.shape[1] // 2)), (0, 1))
    k_hat = torch.fft.fft2(centred)
    # A real kernel has k^(-w) = conj k^(w). Rounding breaks that where k^ is near zero; U needs it exactly.
    k_hat = (k_hat + k_hat.flip(0, 1).roll((1, 1), (0, 1)).conj()) / 2
    modulus = k_hat.abs()
    phase = torch.where(modulus > 0, k_hat / modulus, torch.ones_like(k_hat))

    def hartley(x):
        x_hat = torch.fft.fft2(x.reshape(-1, C, H, W), norm="ortho")
        return x_hat.real - x_hat.imag

    def shift(x, phase):
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


def box_mask(image_shape):
    """True inside the centred box of half the height and half the width; (H, W)."""
    _, H, W = image_shape
    mask = torch.zeros(H, W, dtype=torch.bool)
    mask[H // 4 : H // 4 + H // 2, W // 4 : W // 4 + W // 2] = True
    return mask


def random_mask(image_shape, share=0.08):
    """True on a fixed random ``share`` of the pixels (8 %, as in Chung et al. 2023); (H, W)."""
    _, H, W = image_shape
    order = torch.randperm(H * W, generator=torch.Generator().manual_seed(0))
    return (order < max(1, round(share * H * W))).reshape(H, W)


def gaussian_kernel(image_shape):
    """Gaussian of standard deviation W / 32 pixels (2 at 64 x 64), cut at three of them."""
    std = image_shape[-1] / 32
    p = torch.arange(-math.ceil(3 * std), math.ceil(3 * std) + 1, dtype=torch.float64)
    g = torch.exp(-(p**2) / (2 * std**2))
    return torch.outer(g, g) / g.sum() ** 2


def motion_kernel(image_shape):
    """A diagonal stroke over W / 8 pixels, at least 3 (8 at 64 x 64)."""
    length = max(3, image_shape[-1] // 8)
    return torch.eye(length, dtype=torch.float64) / length


MASKS = {
    "inpaint": lambda image_shape: None,
    "inpaint-box": lambda image_shape: ~box_mask(image_shape),
    "inpaint-random": random_mask,
    "outpaint": box_mask,
}
KERNELS = {"deblur": gaussian_kernel, "deblur-motion": motion_kernel}
