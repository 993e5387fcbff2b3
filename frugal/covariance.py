"""What p(x_0 | x_k) leaves open: the covariance of the prior's errors, corrected by what the network was asked."""

from collections.abc import Iterable
from typing import NamedTuple

import torch

from .waves import Waves

LEAST = 1e-3  # of what p and q could have in common by their lengths, and of what was expected


def inner(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """The inner product of each of B pictures, or measurements, (B, ...); (B, 1, ...), to multiply them with."""
    return (a * b).flatten(1).sum(1).reshape(-1, *[1] * (a.ndim - 1))


class Answer(NamedTuple):
    """Eq. 14k (page 14): what the network said of its covariance C at a level of noise, as it holds at every level.

    If C p = q and pictures are Gaussian with the precision P, then P q = p - q / s_k^2, in which no level is left.
    Both (B, C, H, W), in double precision.
    """

    q: torch.Tensor
    Pq: torch.Tensor

    @classmethod
    def of(cls, p: torch.Tensor, q: torch.Tensor, s2: float) -> "Answer":
        """C p = q, said where the noise has the variance s2 = s_k^2."""
        return cls(q.double(), p.double() - q.double() / s2)


class Covariance:
    """C of p(x_0 | x_k): W diag(c) W^T (Eq. 14e, page 14), by Eq. 14l corrected by what the network was asked.

    like     any of the pictures (B, C, H, W)
    c        (C, H, W), the variances along the waves
    s2       s_k^2
    answers  what was said before, the oldest first; the last one holds. One with hardly anything along its p, or
             against it, says nothing of a covariance: it may be rounding.
    """

    def __init__(
        self, like: torch.Tensor, c: torch.Tensor, s2: float = 1.0, answers: Iterable[Answer] = ()
    ) -> None:
        self.waves, self.c = Waves(like.double()), c.double().to(like.device)
        self.terms: list[tuple[torch.Tensor, ...]] = []
        for q, Pq in answers:
            p = Pq + q / s2
            Cp, pq = self(p), inner(p, q)
            pCp, most = inner(p, Cp), (inner(p, p) * inner(q, q)).sqrt()
            rho = torch.where(pq > LEAST * torch.maximum(pCp, most), 1 / pq, 0)
            self.terms.append((q, Cp, rho, rho + rho**2 * pCp))

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        """C x, (B, C, H, W) both."""
        Cx = self.waves.W(self.c * self.waves.Wt(x))
        for q, Cp, rho, weight in self.terms:
            qx = inner(q, x)
            Cx = Cx - rho * (q * inner(Cp, x) + Cp * qx) + weight * q * qx
        return Cx
