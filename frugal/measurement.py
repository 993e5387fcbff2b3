"""What is measured: y = A x_0 + sigma n, with a linear operator given by its singular value decomposition.

Pictures x are (B, C, H, W) in [-1, 1]; measurements y are (B, *measurement_shape); spectral
coefficients c are (B, r), r the number of singular values kept (all that can differ from zero).
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from diffusers.utils.torch_utils import randn_tensor

from .base import checks
from .base.checks import Refusal

Generators = torch.Generator | list[torch.Generator] | None
Transform = Callable[[torch.Tensor], torch.Tensor]
# Of the largest singular value: what is smaller lets float32's rounding through a hundredfold.
TOLERANCE = 1e-2


@dataclass(frozen=True)
class LinearOperator:
    """Eq. 1b: A = U diag(s) V^T with orthonormal columns in U (m x r) and V (n x r).

    ``U(c)``, ``Ut(y)``, ``V(c)`` and ``Vt(x)`` apply the factors and their transposes, on the device and in
    the dtype of what they are given. ``singular_values`` is (r,), float64. They depend on neither y nor k.
    """

    name: str
    image_shape: tuple[int, ...]
    measurement_shape: tuple[int, ...]
    singular_values: torch.Tensor
    U: Transform
    Ut: Transform
    V: Transform
    Vt: Transform

    @property
    def one_singular_value(self) -> float:
        """The singular value that all are, as for masks, block means and grey, so that A A^T is its square times I.

        0 where they differ, are not known, or are fewer than the numbers of y.
        """
        s = self.singular_values
        return s[0].item() if len(s) == math.prod(self.measurement_shape) and (s == s[0]).all() else 0.0

    def s(self, like: torch.Tensor) -> torch.Tensor:
        """Singular values on the device and in the dtype of ``like``."""
        return self.singular_values.to(like)

    def A(self, x: torch.Tensor) -> torch.Tensor:
        """A x: (B, C, H, W) -> (B, *measurement_shape)."""
        return self.U(self.s(x) * self.Vt(x))

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        """A x, as ``A``."""
        return self.A(x)

    def A_adjoint(self, y: torch.Tensor) -> torch.Tensor:
        """A^T y: (B, *measurement_shape) -> (B, C, H, W)."""
        return self.V(self.s(y) * self.Ut(y))

    def A_pinv(self, y: torch.Tensor) -> torch.Tensor:
        """Eq. 1c: A^+ y, the smallest x that explains y.

        Directions with s = 0 stay empty, and so do those with s below ``TOLERANCE`` times the largest: dividing
        by them would make noise of y, its rounding included, the largest part of the picture.
        """
        s = self.s(y)
        kept = s > TOLERANCE * s.max()
        return self.V(torch.where(kept, self.Ut(y) / torch.where(kept, s, 1), 0))

    def measure(self, x0: torch.Tensor, sigma: float, generator: Generators = None) -> "Measurement":
        """Eq. 1a: y = A x0 + sigma n with n ~ N(0, I); ``sigma`` is in the units of [-1, 1] pictures.

        ``generator``: a CPU ``torch.Generator``, or a list with one for each picture.
        Raises Refusal for pictures of another shape, a sigma that is negative or not finite, or another generator.
        """
        y = self.A(checks.pictures("x0", x0, self.image_shape))
        checks.generators(generator, len(y))
        n = randn_tensor(y.shape, generator=generator, device=y.device, dtype=y.dtype)
        return Measurement(y + checks.at_least_zero("sigma", sigma) * n, self, sigma)

    def preview(self, y: torch.Tensor) -> torch.Tensor:
        """The measurement drawn at the size of the picture: y itself where it is one, else A^+ y."""
        return y if self.measurement_shape == self.image_shape else self.A_pinv(y)

    def matrix(self) -> torch.Tensor:
        """A as a dense (m, n) float64 matrix, column by column. For small pictures only."""
        n = math.prod(self.image_shape)
        return self.A(torch.eye(n, dtype=torch.float64).reshape(n, *self.image_shape)).flatten(1).T


@dataclass(frozen=True)
class Measurement:
    """Eq. 1a: what a sampler restores from, y = A x_0 + sigma n.

    y      (B, *A.measurement_shape), floating-point numbers
    A      the ``LinearOperator``
    sigma  standard deviation of the noise in [-1, 1] units, >= 0
    Raises Refusal where these do not fit together.
    """

    y: torch.Tensor
    A: LinearOperator
    sigma: float

    def __post_init__(self) -> None:
        checks.at_least_zero("sigma", self.sigma)
        y, expected = self.y, ", ".join(["B", *map(str, self.A.measurement_shape)])
        if not isinstance(y, torch.Tensor):
            raise Refusal(f"y: a {type(y).__name__} is not accepted; give a tensor ({expected})")
        if y.ndim == 0 or tuple(y.shape[1:]) != tuple(self.A.measurement_shape) or not len(y):
            raise Refusal(f"y: shape {tuple(y.shape)} does not fit {self.A.name}; expected ({expected})")
        if not y.is_floating_point() or y.layout != torch.strided:
            raise Refusal(f"y: {y.dtype}, {y.layout} is not accepted; give dense floating-point numbers")

    def __len__(self) -> int:
        return len(self.y)

    def __getitem__(self, pictures: torch.Tensor | slice) -> "Measurement":
        """The measurements of some of the pictures."""
        return Measurement(self.y[pictures], self.A, self.sigma)

    def to(self, like: torch.device | torch.Tensor) -> "Measurement":
        """The same on another device (and, given a tensor, in its dtype)."""
        return Measurement(self.y.to(like), self.A, self.sigma)

    def preview(self) -> torch.Tensor:
        """``A.preview`` of y, (B, C or 1, H, W)."""
        return self.A.preview(self.y)
