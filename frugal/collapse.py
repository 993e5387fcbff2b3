"""The poster's collapse heuristic: the guesses x0_hat stop changing, so the picture is decided."""

from collections.abc import Sequence

import torch

from .metrics import psnr

THRESHOLD = 20.0  # dB, the poster's


class Watch:
    """The rule while a sampler runs: each picture's switch k is found as soon as its guesses agree to 20 dB.

    k  (B,) whole numbers, 0 until found; with a switch that is given they are that number from the start
    """

    def __init__(self, count: int, switch: int | str) -> None:
        self.finding = isinstance(switch, str)
        self.k = torch.full((count,), 0 if isinstance(switch, str) else switch)
        self.previous = None

    def see(self, k: int, x0_hat: torch.Tensor) -> None:
        """Take note of the guesses (B, C, H, W) made at k; the steps that remain after it are k - 1."""
        if self.finding and self.previous is not None:
            collapsed = (psnr(x0_hat, self.previous) >= THRESHOLD).cpu()
            self.k = torch.where(collapsed & (self.k == 0), k - 1, self.k)
        self.previous = x0_hat if self.finding else None


def consecutive_psnr(x0_hats: Sequence[torch.Tensor]) -> torch.Tensor:
    """Eq. 6a (page 06): c_k, the pSNR in dB between each guess and the one before it.

    x0_hats: the guesses at k = t, ..., 1, a sequence of (B, C, H, W) in [-1, 1].
    Returns (t - 1, B); entry i compares the guesses at k = t - i and k = t - i - 1.
    """
    return torch.stack([psnr(a, b) for a, b in zip(x0_hats, x0_hats[1:])])


def switch_from_curve(curve: torch.Tensor, threshold: float = THRESHOLD) -> torch.Tensor:
    """k* of Eq. 6a (page 06): the steps that remain when the curve first reaches ``threshold``.

    curve: (t - 1, B) from ``consecutive_psnr``. Returns (B,) whole numbers; 0 where it never does.
    """
    reached = curve >= threshold
    first = reached.int().argmax(0)
    return torch.where(reached.any(0), len(curve) - 1 - first, 0)


def settled_from_curve(curve: torch.Tensor, threshold: float = THRESHOLD) -> torch.Tensor:
    """k at which the curve begins to stay at ``threshold`` or above; it can only be read afterwards.

    curve: (t - 1, B) from ``consecutive_psnr``. Returns (B,) whole numbers; 0 where it never does.
    """
    kept = (curve >= threshold).flip(0).int().cumprod(0).sum(0)
    return (kept - 1).clamp_min(0)
