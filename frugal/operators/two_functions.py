"""Operators of which only two functions are known, A and its adjoint: conjugate gradients instead of an SVD."""

from dataclasses import dataclass

import torch

from ..base.checks import Refusal
from ..covariance import inner
from ..measurement import TOLERANCE, LinearOperator, Transform

ITERATIONS = 500  # of conjugate gradients, at most
AGREE = 1e-4  # relative, of linearity and adjoint with numbers of 32 bits
PRECISIONS = (torch.float32, torch.float64)


@dataclass(frozen=True)
class ImplicitOperator(LinearOperator):
    """A ``LinearOperator`` by functions ``forward`` and ``adjoint``, without singular vectors; see ``operator``.

    largest  its largest singular value
    """

    forward: Transform
    adjoint: Transform
    largest: float

    def s(self, like: torch.Tensor) -> torch.Tensor:
        """Raises Refusal: nobody knows them."""
        return missing(like)

    def A(self, x: torch.Tensor) -> torch.Tensor:
        """A x: (B, C, H, W) -> (B, *measurement_shape)."""
        return self.forward(x)

    def A_adjoint(self, y: torch.Tensor) -> torch.Tensor:
        """A^T y: (B, *measurement_shape) -> (B, C, H, W)."""
        return self.adjoint(y)

    def A_pinv(self, y: torch.Tensor) -> torch.Tensor:
        """A^+ y, with a ridge at ``measurement.TOLERANCE`` of the largest singular value in the place of a cut."""
        return self.pull(y, TOLERANCE * self.largest, 1.0)

    def pull(self, residual: torch.Tensor, sigma: float, r2: float) -> torch.Tensor:
        """A^T (sigma^2 I + r2 A A^T)^{-1} residual, as in Eqs. 5 and 14b; (B, *measurement_shape) -> (B, C, H, W).

        sigma^2 counts as at least the share eps of r2 A A^T's largest eigenvalue: below, rounding decides.
        """
        least = torch.finfo(residual.dtype).eps * r2 * self.largest**2
        K = lambda u: max(sigma**2, least) * u + r2 * self.A(self.A_adjoint(u))
        return self.A_adjoint(conjugate_gradients(K, residual, ITERATIONS, stop=True))


def operator(
    A: Transform,
    A_adjoint: Transform,
    image_shape: tuple[int, ...],
    measurement_shape: tuple[int, ...],
    name: str = "own",
) -> ImplicitOperator:
    """The operator of two functions on batches, A: (B, *image_shape) -> (B, *measurement_shape), and its adjoint.

    They are tried once with random numbers of 32 bits, and of 64; a precision that they do not take is never
    asked of them. Methods that need singular vectors refuse the operator.
    Raises Refusal for shapes that do not fit, an A that is not linear or mixes the pictures of a batch, and an
    A_adjoint that is not its adjoint.
    """
    A = in_its_precision("A", A, image_shape)
    A_adjoint = in_its_precision("A_adjoint", A_adjoint, measurement_shape)
    generator = torch.Generator().manual_seed(0)
    x, z = torch.randn(2, 2, *image_shape, generator=generator)
    y = torch.randn(2, *measurement_shape, generator=generator)
    Ax, Az, Aty = (called(*given) for given in (("A", A, x), ("A", A, z), ("A_adjoint", A_adjoint, y)))
    for function, found, expected in (("A", Ax, y), ("A_adjoint", Aty, x)):
        if found.shape != expected.shape:
            raise Refusal(
                f"{function}: gives shape {tuple(found.shape)}; expected ({', '.join(map(str, ('B', *expected.shape[1:])))})"
            )
    far = lambda a, b, size: not (a - b).abs().max() <= AGREE * size.abs().max()
    if far(A(2 * x - 3 * z), 2 * Ax - 3 * Az, Ax.abs() + Az.abs()):
        raise Refusal("A: is not linear; A(a x + b z) must be a A(x) + b A(z)")
    if far(torch.cat([A(x[:1]), A(x[1:])]), Ax, Ax):
        raise Refusal("A: mixes the pictures of a batch; each must be measured by itself")
    inner = lambda a, b: (a * b).flatten(1).sum(1)
    if far(inner(Ax, y), inner(x, Aty), Ax.flatten(1).norm(dim=1) * y.flatten(1).norm(dim=1)):
        raise Refusal("A_adjoint: is not the adjoint of A; <A x, y> must be <x, A_adjoint y> for all x and y")
    for _ in range(20):  # the power method
        x = A_adjoint(A(x))
        x = x / x.flatten(1).norm(dim=1).clamp_min(1e-30).reshape(-1, *[1] * (x.ndim - 1))
    largest = A(x).flatten(1).norm(dim=1).max().item()
    return ImplicitOperator(
        name,
        tuple(image_shape),
        tuple(measurement_shape),
        torch.empty(0, dtype=torch.float64),
        *[missing] * 4,
        forward=A,
        adjoint=A_adjoint,
        largest=largest,
    )


def called(name: str, function: Transform, x: torch.Tensor) -> torch.Tensor:
    """function(x), a tensor; Refusal where it raises or gives something else."""
    if not callable(function):
        raise Refusal(f"{name}: a {type(function).__name__} is not accepted; give a function of a batch")
    try:
        found = function(x)
    except Exception as error:  # whatever the caller's function does
        raise Refusal(f"{name}: fails on shape {tuple(x.shape)} ({error})") from error
    if not isinstance(found, torch.Tensor):
        raise Refusal(f"{name}: gives a {type(found).__name__}; it must give a tensor")
    if not found.is_floating_point():
        raise Refusal(f"{name}: gives {found.dtype}; it must give floating-point numbers")
    return found


def in_its_precision(name: str, function: Transform, shape: tuple[int, ...]) -> Transform:
    """``function`` of batches (B, *shape) in any precision: computed in one that it takes, given back as it came."""
    takes, reason = [], Refusal(f"{name}: gives nothing")
    for dtype in PRECISIONS:
        try:
            found = called(name, function, torch.zeros(2, *shape, dtype=dtype))
            if found.dtype.itemsize < dtype.itemsize:
                raise Refusal(f"{name}: gives only {found.dtype}; it must give numbers of 32 or 64 bits")
            takes.append(dtype)
        except Refusal as refusal:
            reason = refusal if dtype == PRECISIONS[0] else reason
    if not takes:
        raise reason
    return lambda x: function(x if x.dtype in takes else x.to(takes[-1])).to(x.dtype)


def missing(_: torch.Tensor) -> torch.Tensor:
    """In the place of s, U, U^T, V and V^T."""
    raise Refusal(
        "A: is known by two functions alone, and has no singular vectors; give one of operators.make"
    )


def conjugate_gradients(
    K: Transform,
    b: torch.Tensor,
    iterations: int,
    stop: bool = False,
    about: Transform = lambda r: r,
) -> torch.Tensor:
    """u with K u = b for a symmetric K without negative eigenvalues, picture by picture; shape of b.

    ``iterations`` steps; with ``stop`` fewer, where every residual is down to rounding. That has to look at the
    numbers in every step, which a GPU waits for. ``about`` is near K's inverse, itself symmetric and positive: the
    nearer, the fewer steps (preconditioning).
    """
    tiny, eps = torch.finfo(b.dtype).tiny, torch.finfo(b.dtype).eps
    u, residual, z = torch.zeros_like(b), b, about(b)
    p, now = z, inner(b, z)
    first = now
    for _ in range(iterations):
        if stop and (now <= eps**2 * first).all():
            break
        Kp = K(p)
        curvature = inner(p, Kp)
        left = (curvature > 0) & (now > eps**2 * first)  # what is solved is let be: there, rounding is all
        step = torch.where(left, now / curvature.clamp_min(tiny), 0)
        u, residual = u + step * p, residual - step * Kp
        z = about(residual)
        before, now = now, inner(residual, z)
        p = z + torch.where(left, now / before.clamp_min(tiny), 0) * p
    return u
