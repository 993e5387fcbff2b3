"""Pictures drawn from an exact prior, restored, and judged against the exact posterior."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from typing import Self

import torch

from ..collapse import consecutive_psnr
from ..measurement import LinearOperator, Measurement
from ..samplers.poster import dmps, dps
from ..samplers.walk import Denoise, last, walk
from ..schedule import Schedule
from .mixtures import Mixture, exact_score


@dataclass(frozen=True)
class Problem:
    """Pictures drawn from a prior, their measurements, and the exact posterior of each.

    x0 (B, C, H, W), measurement of these B, posteriors a list of B mixtures.
    """

    prior: Mixture
    x0: torch.Tensor
    measurement: Measurement
    posteriors: list[Mixture]

    @classmethod
    def draw(
        cls,
        prior: Mixture,
        A: LinearOperator,
        sigma: float,
        count: int,
        generator: torch.Generator | None = None,
    ) -> Self:
        """``count`` pictures and their measurements."""
        x0 = prior.sample(count, generator).reshape(-1, *A.image_shape)
        m = A.measure(x0, sigma, generator)
        return cls(prior, x0, m, [prior.posterior(y, A, sigma) for y in m.y])

    def denoiser(self, schedule: Schedule) -> Denoise:
        """The samplers' (x_k, k) -> E[x_0 | x_k]."""
        return lambda x_k, k: self.prior.denoise(x_k.flatten(1), schedule.alpha_bar[k]).reshape(x_k.shape)

    def score(self, x_k: torch.Tensor, alpha_bar: float) -> torch.Tensor:
        """``exact_score`` at one noisy point for each picture, (B, C, H, W) -> (B, n)."""
        points = x_k.flatten(1).split(1)
        return torch.cat([exact_score(self.prior, p, x, alpha_bar) for p, x in zip(self.posteriors, points)])

    def sample(self, count: int, generator: torch.Generator | None = None) -> torch.Tensor:
        """Exact restorations of each picture, (B, count, n)."""
        return torch.stack([p.sample(count, generator) for p in self.posteriors])

    def hybrids(
        self,
        schedule: Schedule,
        zetas: Sequence[float],
        lams: Sequence[float],
        switches: Sequence[int],
        draws: int,
        generator: torch.Generator | None = None,
    ) -> tuple[dict[tuple[float, int, float], torch.Tensor], dict[float, torch.Tensor]]:
        """``poster.hybrid`` for every zeta, switch k and lam, all from the same noise.

        DPS's steps are taken once for each zeta; every k branches off. Returns the restorations
        {(zeta, k, lam): (B, draws, n)}, and of DPS's guesses {zeta: ``collapse.consecutive_psnr``}.
        """
        m = self.measurement[torch.arange(len(self.x0)).repeat_interleave(draws)]
        shape, denoise = (len(m), *m.A.image_shape), self.denoiser(schedule)
        noise = lambda: torch.randn(shape, generator=generator, dtype=m.y.dtype)
        z = [noise() for _ in range(schedule.t + 1)]  # z[t - k + 1] at step k
        ends, curves = {}, {}
        for zeta in zetas:
            path = list(walk(dps(denoise, schedule, zeta), schedule, m, iter(z).__next__))
            reached = {schedule.t: z[0]} | {state.k - 1: state.x for state in path}
            for k, lam in product(switches, lams):
                after = iter(z[schedule.t - k + 1 :]).__next__
                late = walk(dmps(denoise, schedule, lam), schedule, m, after, reached[k], k)
                end = last(late) if k else path[-1]
                ends[zeta, k, lam] = end.x.reshape(len(self.x0), draws, -1)
            curves[zeta] = consecutive_psnr([state.x0_hat for state in path])
        return ends, curves

    def judge(self, x: torch.Tensor) -> dict[str, torch.Tensor]:
        """Restorations x (B, count, n) against the posterior, a number for each picture: {name: (B,)}.

        mean      root-mean-square error of their mean, in the units of one entry
        spread    their standard deviation over the posterior's, both pooled over the entries; 1 is exact
        coverage  share of x0's entries in the central 90 % of theirs; 0.9 is exact for many restorations
        modes     total variation, 0 to 1, between their shares of the prior's components and the
                  posterior's weights; each counts for component j with its p(j | x)
        """
        truth = self.x0.flatten(1)
        mean = torch.stack([p.mean() for p in self.posteriors])
        weights = torch.stack([p.weights for p in self.posteriors])
        variance = torch.stack([p.total_variance() for p in self.posteriors])
        low, high = x.quantile(torch.tensor([0.05, 0.95]).to(x), 1)
        shares = torch.stack([self.prior.log_joint(restored, 1.0).softmax(1).mean(0) for restored in x])
        return {
            "mean": (x.mean(1) - mean).square().mean(1).sqrt(),
            "spread": (x.var(1).sum(1) / variance).sqrt(),
            "coverage": ((low <= truth) & (truth <= high)).double().mean(1),
            "modes": (shares - weights).abs().sum(1) / 2,
        }
