"""The bridge to deepinv, both ways; an optional extra (``pip install deepinv``).

deepinv's pictures are in [0, 1] and ours in [-1, 1]. Only this module converts: u = (x + 1) / 2 for pictures, and
because an operator A is linear, y_u = (y + A 1) / 2 for measurements, 1 being the white picture. Noise of standard
deviation sigma in our units is sigma / 2 in deepinv's.
"""

from typing import Any

import deepinv
import torch
from deepinv.sampling.noisy_datafidelity import NoisyDataFidelity

from . import guidance
from .measurement import LinearOperator, Measurement
from .operators import two_functions


def unit(x: torch.Tensor) -> torch.Tensor:
    """Pictures in [-1, 1] as deepinv has them, in [0, 1]."""
    return (x + 1) / 2


def signed(u: torch.Tensor) -> torch.Tensor:
    """deepinv's pictures in [0, 1] as ours, in [-1, 1]."""
    return 2 * u - 1


class Physics(deepinv.physics.LinearPhysics):
    """One of our operators as deepinv's ``LinearPhysics`` on pictures in [0, 1], with the closed form as its prox."""

    def __init__(self, A: LinearOperator, sigma: float = 0.0) -> None:
        noise: Any = deepinv.physics.GaussianNoise(sigma / 2)
        super().__init__(A=A.A, A_adjoint=A.A_adjoint, img_size=A.image_shape, noise_model=noise)
        self.operator = A

    def prox_l2(self, z: Any, y: torch.Tensor, gamma: float, **kwargs: Any) -> torch.Tensor:
        """argmin_x gamma / 2 ||A x - y||^2 + ||x - z||^2 / 2: Eq. 14b with r^2 / sigma^2 = gamma."""
        z = z if isinstance(z, torch.Tensor) else torch.full_like(self.A_adjoint(y), float(z or 0))
        return guidance.centred_mean(z, Measurement(y, self.operator, 1.0), float(gamma))


def operator(
    physics: deepinv.physics.LinearPhysics, image_shape: tuple[int, ...], name: str = "own"
) -> LinearOperator:
    """deepinv's linear physics as an operator of ours, by ``two_functions.operator``; raises Refusal as that does."""
    with torch.no_grad():
        shape = two_functions.called("physics", physics.A, torch.zeros(1, *image_shape)).shape[1:]
    return two_functions.operator(physics.A, physics.A_adjoint, image_shape, tuple(shape), name)


def measurement(y: torch.Tensor, A: LinearOperator, sigma: float) -> Measurement:
    """What deepinv measured of pictures in [0, 1], ``sigma`` in deepinv's units, as a ``Measurement`` of ours."""
    white = A(torch.ones(1, *A.image_shape).to(y))
    return Measurement(2 * y - white, A, 2 * sigma)


class DMPS(NoisyDataFidelity):
    """Eq. 5 as a data fidelity for deepinv's samplers: minus the gradient of log p(y | u + sigma_k n) in u.

    weight * A^T (sigma^2 I + sigma_k^2 A A^T)^{-1} (A u - y), in deepinv's units; ``physics`` is a ``Physics``.
    """

    def grad(
        self, x: torch.Tensor, y: torch.Tensor, physics: Physics, sigma: torch.Tensor | float, **kwargs: Any
    ) -> torch.Tensor:
        """The gradient at x (B, C, H, W) of noise level ``sigma``, a number or one for each of equal ones."""
        s2 = float(torch.as_tensor(sigma).flatten()[0]) ** 2
        m = Measurement(y, physics.operator, float(torch.as_tensor(physics.noise_model.sigma)))
        alpha_bar = 1 / (1 + s2)  # x_k = sqrt(alpha_bar) u; the score in u is sqrt(alpha_bar) that in x_k
        return -self.weight * alpha_bar**0.5 * guidance.dmps_score(alpha_bar**0.5 * x, m, alpha_bar)
