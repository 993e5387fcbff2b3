"""The poster's collapse heuristic: the guesses x0_hat stop changing, so the picture is decided."""

from collections.abc import Sequence

import torch

from .metrics import psnr

THRESHOLD = 20.0  # dB, the poster's


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
