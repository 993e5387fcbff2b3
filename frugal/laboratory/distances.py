"""How far restorations are from draws of the exact posterior, and a denoiser's guesses from their pictures."""

import torch

from ..schedule import Schedule
from .mixtures import Mixture


def denoising_errors(
    prior: Mixture, schedule: Schedule, count: int, generator: torch.Generator | None = None
) -> torch.Tensor:
    """||x_0 - E[x_0 | x_k]||^2 at k = 1, ..., t for ``count`` draws x_0 of a prior; (t, count).

    Their mean at k is the trace of Cov[x_0 | x_k], on average over x_k.
    """
    x0 = prior.sample(count, generator)
    z = torch.randn(x0.shape, generator=generator, dtype=x0.dtype)
    guesses = (prior.denoise(a**0.5 * x0 + (1 - a) ** 0.5 * z, a) for a in schedule.alpha_bar[1:])
    return torch.stack([(guess - x0).square().sum(1) for guess in guesses])


def sliced_wasserstein(
    x: torch.Tensor, exact: torch.Tensor, generator: torch.Generator | None = None, projections: int = 128
) -> torch.Tensor:
    """Distance of the law of x from that of ``exact``, in the units of one entry; (B,).

    x (B, count, n), exact (B, a multiple of count, n): draws of both. They are projected on random unit
    vectors; the root of the mean squared distance between the sorted projections is 0 for equal laws.
    """
    d = torch.randn(x.shape[-1], projections, generator=generator, dtype=x.dtype)
    d = d / d.norm(dim=0)
    ours = (x @ d).sort(1).values[:, :, None]
    theirs = (exact @ d).sort(1).values.reshape(len(x), x.shape[1], -1, projections)
    return (ours - theirs).square().mean((1, 2, 3)).sqrt()


def energy_distance(x: torch.Tensor, exact: torch.Tensor) -> torch.Tensor:
    """2 E||X - Y|| - E||X - X'|| - E||Y - Y'||, over sqrt(n): 0 for equal laws, else positive; (B,).

    x (B, count, n) and exact (B, more, n): draws of X and of Y, 2 or more (Szekely and Rizzo 2013). On
    average over draws it is right for any number of them, so it does not favour draws that vary too little.
    """
    mean_distance = lambda a, b, pairs: torch.cdist(a, b).sum((1, 2)) / pairs
    p, q, n = x.shape[1], exact.shape[1], x.shape[2]
    within = mean_distance(x, x, p * (p - 1)) + mean_distance(exact, exact, q * (q - 1))
    return (2 * mean_distance(x, exact, p * q) - within) / n**0.5
