"""The samplers: DPS, DMPS and the poster's hybrid, one function each.

Arguments shared by all:
denoise   (x_k, k) -> x0_hat, the network's guess E[x_0 | x_k]; (B, C, H, W) both
schedule  ``schedule.Schedule`` with t steps
y, A      measurements (B, *measurement_shape) and their ``operators.LinearOperator``
noise     () -> standard normal (B, C, H, W); the first draw starts the chain, then one a step
callback  (k, x, x0_hat) -> x, called after step k with x = x_{k-1} and the guess made at k
"""

import torch

from . import metrics
from .collapse import THRESHOLD
from .guidance import dmps_score, residual_gradient


def keep(k, x, x0_hat):
    """The callback that changes nothing."""
    return x


def dps_step(denoise, schedule, k, x_k, z, y, A, zeta):
    """Eq. 3a (page 03; Algorithm 1 of Chung et al. 2023). Returns (x_{k-1}, x0_hat).

    x_{k-1} = x' - zeta grad ||y - A x0_hat(x_k)||, with x' of Eq. 0b.
    """
    with torch.enable_grad():
        x_k = x_k.detach().requires_grad_()
        x0_hat = denoise(x_k, k)
        gradient, _ = residual_gradient(x_k, x0_hat, y, A)
    x0_hat = x0_hat.detach()
    x_prime = schedule.ancestral(k, x_k.detach(), x0_hat, z)
    return x_prime - zeta * gradient, x0_hat


@torch.no_grad()
def dmps_step(denoise, schedule, k, x_k, z, y, A, sigma, lam):
    """Eq. 6a (page 04; Meng & Kabashima 2022). Returns (x_{k-1}, x0_hat).

    x_{k-1} = x' + lam beta_k / sqrt(alpha_k) times Eq. 6, with x' of Eq. 0b. lam = 1 is Eq. 2 pushed
    through the mean of the reverse step; above 2 the iteration is unstable.
    """
    x0_hat = denoise(x_k, k)
    x_prime = schedule.ancestral(k, x_k, x0_hat, z)
    score = dmps_score(x_k, y, A, sigma, schedule.alpha_bar[k])
    return x_prime + lam * schedule.beta[k] / schedule.alpha[k] ** 0.5 * score, x0_hat


def dps(denoise, schedule, y, A, zeta, noise, callback=keep):
    """Diffusion posterior sampling: Eq. 3a at every step (page 03).

    Returns x_0 (B, C, H, W); t network calls, each back-propagated.
    """
    x = noise()
    for k in schedule.steps:
        x, x0_hat = dps_step(denoise, schedule, k, x, noise(), y, A, zeta)
        x = callback(k, x, x0_hat)
    return x


def dmps(denoise, schedule, y, A, sigma, lam, noise, callback=keep):
    """Diffusion model based posterior sampling: Eq. 6a at every step (page 04).

    Returns x_0 (B, C, H, W); t network calls, forward only.
    """
    x = noise()
    for k in schedule.steps:
        x, x0_hat = dmps_step(denoise, schedule, k, x, noise(), y, A, sigma, lam)
        x = callback(k, x, x0_hat)
    return x


def hybrid(denoise, schedule, y, A, sigma, zeta, lam, switch, noise, callback=keep):
    """The poster's idea (page 07): DPS, Eq. 3a, while k > switch, then DMPS, Eq. 6a, for ``switch`` steps.

    switch  0 (DPS) to t (DMPS), or "collapse": each picture turns to DMPS as soon as the pSNR
            between its consecutive guesses reaches 20 dB
    Returns x_0 (B, C, H, W) and the switch of each picture, (B,) whole numbers.
    """
    x = noise()
    find = switch == "collapse"
    switch = torch.full((len(x),), 0 if find else switch)
    previous = None
    for k in schedule.steps:
        z, x_prev, x0_hat = noise(), torch.empty_like(x), torch.empty_like(x)
        dear, cheap = (k > switch).nonzero()[:, 0].to(x.device), (k <= switch).nonzero()[:, 0].to(x.device)
        if len(dear):
            x_prev[dear], x0_hat[dear] = dps_step(denoise, schedule, k, x[dear], z[dear], y[dear], A, zeta)
        if len(cheap):
            x_prev[cheap], x0_hat[cheap] = dmps_step(
                denoise, schedule, k, x[cheap], z[cheap], y[cheap], A, sigma, lam
            )
        if find and previous is not None:
            collapsed = (metrics.psnr(x0_hat, previous) >= THRESHOLD).cpu()
            switch = torch.where(collapsed & (switch == 0), k - 1, switch)
        previous = x0_hat
        x = callback(k, x_prev, x0_hat)
    return x, switch
