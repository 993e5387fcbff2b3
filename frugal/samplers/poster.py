"""The poster's steps: DPS, DMPS, and the hybrid that hands over from one to the other.

Each function makes a step of ``walk`` from the prior's ``denoise``, a ``schedule`` and its own settings. To add a
method: a function of this kind, and its line in ``samplers.METHODS``.
"""

import torch

from ..guidance import dmps_score, residual_gradient
from ..measurement import Measurement
from ..schedule import Schedule
from .walk import Denoise, Noise, Step, Stepped, When, at, at_collapse, handover


def dps(denoise: Denoise, schedule: Schedule, zeta: float | torch.Tensor) -> Step:
    """Eq. 3g (page 03; Algorithm 1 of Chung et al. 2023): x_{k-1} = x' - zeta grad ||y - A x0_hat(x_k)||.

    x' is Eq. 0b. Each call of the network is back-propagated: two passes a step.
    """

    def step(k: int, x_k: torch.Tensor, noise: Noise, m: Measurement) -> Stepped:
        with torch.enable_grad():
            x_k = x_k.detach().requires_grad_()
            x0_hat = denoise(x_k, k)
            gradient, _ = residual_gradient(x_k, x0_hat, m)
        x_k, x0_hat = x_k.detach(), x0_hat.detach()
        x_prime = schedule.ancestral(k, x_k, x0_hat, noise())
        return Stepped(x_prime - zeta * gradient, x0_hat, 2)

    return step


def dmps(denoise: Denoise, schedule: Schedule, lam: float | torch.Tensor) -> Step:
    """Eq. 4h (page 04; Meng & Kabashima 2022): x_{k-1} = x' + lam beta_k / sqrt(alpha_k) times Eq. 6; one pass a step.

    x' is Eq. 0b. lam = 1 is Eq. 2 pushed through the mean of the reverse step. Where the guess is
    x_k / sqrt(alpha_bar), the residual shrinks for every lam below 2 (page 04); a guess that follows the prior
    narrows this.
    """

    @torch.no_grad()
    def step(k: int, x_k: torch.Tensor, noise: Noise, m: Measurement) -> Stepped:
        x0_hat = denoise(x_k, k)
        x_prime = schedule.ancestral(k, x_k, x0_hat, noise())
        score = dmps_score(x_k, m, schedule.alpha_bar[k])
        return Stepped(x_prime + lam * schedule.beta[k] / schedule.alpha[k] ** 0.5 * score, x0_hat)

    return step


def hybrid(
    denoise: Denoise,
    schedule: Schedule,
    zeta: float | torch.Tensor,
    lam: float | torch.Tensor,
    switch: int | str,
) -> Step:
    """The poster's idea (page 07): DPS, Eq. 3g, while k > switch, then DMPS, Eq. 4h.

    switch  how many steps are DMPS, 0 (DPS) to t (DMPS); or "collapse", see ``walk.at_collapse``
    """
    return handover(dps(denoise, schedule, zeta), dmps(denoise, schedule, lam), when(switch))


def when(switch: int | str) -> When:
    """The ``switch`` of a setting, a number of steps or "collapse", as ``handover`` takes it."""
    return at_collapse() if isinstance(switch, str) else at(switch)
