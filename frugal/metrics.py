"""Quality of a restoration, picture by picture: pSNR and LPIPS, and the table of measures."""

import functools
import warnings
from collections.abc import Callable
from dataclasses import dataclass

import torch

from . import lpips_weights
from .base.checks import Refusal
from .lpips_weights import LPIPSUnavailable

SMALLEST = 31  # pixels on a side; below, AlexNet's pooling has nothing left to pool


def psnr(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """Peak signal-to-noise ratio, 10 log10(peak^2 / mean squared error), in dB.

    x, y: floating-point images (B, C, H, W) in [-1, 1], so the peak is 2; values outside the range
    are taken as they are. Returns (B,), one number per image, infinite where the two are identical.
    Raises Refusal when the shapes differ or are not (B, C, H, W), or for integer images.
    """
    check(x, y)
    mean_squared_error = (x.float() - y.float()).square().flatten(1).mean(1)
    return 10 * torch.log10(4 / mean_squared_error)


def lpips(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """LPIPS v0.1 with trained AlexNet features; 0 for identical images, larger is further apart.

    x, y: floating-point images (B, 3, H, W) in [-1, 1], sides of at least 31 pixels. Returns (B,),
    one number per image, on x's device; no gradient. Zhang et al., "The Unreasonable Effectiveness
    of Deep Features as a Perceptual Metric", CVPR 2018, by the authors' package `lpips`.
    Raises Refusal for images of another kind, LPIPSUnavailable when the trained weights are not on this
    machine (random ones never stand in).
    """
    check(x, y)
    if x.shape[1] != 3 or min(x.shape[2:]) < SMALLEST:
        raise Refusal(
            f"x: LPIPS takes images (B, 3, H, W) with sides of at least {SMALLEST} "
            f"pixels, got {tuple(x.shape)}"
        )
    with torch.no_grad():
        return network(x.device)(x.float(), y.float()).flatten()


def check(x: torch.Tensor, y: torch.Tensor) -> None:
    """Raise Refusal unless x and y are floating-point pictures of one shape."""
    if not (isinstance(x, torch.Tensor) and isinstance(y, torch.Tensor)):
        raise Refusal(
            f"x, y: two tensors (B, C, H, W) are needed, got {type(x).__name__} and {type(y).__name__}"
        )
    if x.ndim != 4 or x.shape != y.shape:
        raise Refusal(
            "x, y: two batches of images of the same shape (B, C, H, W) are needed, "
            f"got {tuple(x.shape)} and {tuple(y.shape)}"
        )
    if not (x.is_floating_point() and y.is_floating_point()):
        raise Refusal(f"x, y: floating-point images in [-1, 1] are needed, got {x.dtype} and {y.dtype}")


@functools.cache
def network(device: torch.device) -> torch.nn.Module:
    """The LPIPS network of the package ``lpips`` with the trained features of ``lpips_weights``."""
    from lpips import LPIPS  # slow to import, and psnr does without it

    weights = lpips_weights.load()
    with warnings.catch_warnings(), torch.random.fork_rng(devices=[]):
        warnings.simplefilter("ignore")  # the package calls torchvision in a deprecated way
        network = LPIPS(net="alex", version="0.1", pnet_rand=True, verbose=False)
    with torch.no_grad():  # every feature is overwritten: slice1.0.weight takes features.0.weight
        for name, parameter in network.net.named_parameters():
            parameter.copy_(weights["features" + name[name.index(".") :]])
    return network.to(device)


@dataclass(frozen=True)
class Metric:
    """A line of ``METRICS``: (restored, truth) -> (B,), a heading with its unit, and the sign of an improvement."""

    measure: Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
    heading: str
    better: int


METRICS = {
    "psnr": Metric(psnr, "pSNR (dB)", 1),
    "lpips": Metric(lpips, "LPIPS", -1),
}


def quality(restored: torch.Tensor, truth: torch.Tensor) -> dict[str, list[float] | list[None]]:
    """{metric: a number for each picture} of restorations, clipped to [-1, 1] as they would be stored.

    A metric whose weights are not on this machine has None for each.
    """
    clipped, scores = restored.clamp(-1, 1), {}
    for name, metric in METRICS.items():
        try:
            scores[name] = metric.measure(clipped, truth).tolist()
        except LPIPSUnavailable:
            scores[name] = [None] * len(truth)
    return scores
