"""Quality of a restoration, image by image: pSNR and LPIPS."""

import functools
import warnings

import torch

SMALLEST = 31  # pixels on a side; below, AlexNet's pooling has nothing left to pool


class LPIPSUnavailable(RuntimeError):
    """LPIPS cannot be computed: AlexNet's trained weights are not on this machine."""


def psnr(x, y):
    """Peak signal-to-noise ratio, 10 log10(peak^2 / mean squared error), in dB.

    x, y: floating-point images (B, C, H, W) in [-1, 1], so the peak is 2; values outside the range
    are taken as they are. Returns (B,), one number per image, infinite where the two are identical.
    Raises ValueError when the shapes differ or are not (B, C, H, W), or for integer images.
    """
    _check(x, y)
    mean_squared_error = (x.float() - y.float()).square().flatten(1).mean(1)
    return 10 * torch.log10(4 / mean_squared_error)


def lpips(x, y):
    """LPIPS v0.1 with trained AlexNet features; 0 for identical images, larger is further apart.

    x, y: floating-point images (B, 3, H, W) in [-1, 1], sides of at least 31 pixels. Returns (B,),
    one number per image, on x's device; no gradient. Zhang et al., "The Unreasonable Effectiveness
    of Deep Features as a Perceptual Metric", CVPR 2018, by the authors' package `lpips`.
    Raises ValueError for images of another kind, LPIPSUnavailable when the trained weights cannot be
    had (random ones never stand in).
    """
    _check(x, y)
    if x.shape[1] != 3 or min(x.shape[2:]) < SMALLEST:
        raise ValueError(
            f"x: LPIPS takes images (B, 3, H, W) with sides of at least {SMALLEST} "
            f"pixels, got {tuple(x.shape)}"
        )
    with torch.no_grad():
        return _lpips_network(x.device)(x.float(), y.float()).flatten()


def _check(x, y):
    if x.ndim != 4 or x.shape != y.shape:
        raise ValueError(
            "x, y: two batches of images of the same shape (B, C, H, W) are needed, "
            f"got {tuple(x.shape)} and {tuple(y.shape)}"
        )
    if not (x.is_floating_point() and y.is_floating_point()):
        raise ValueError(f"x, y: floating-point images in [-1, 1] are needed, got {x.dtype} and {y.dtype}")


@functools.cache
def _lpips_network(device):
    from lpips import LPIPS  # slow to import, and psnr does without it

    from frugal import backbone

    weights = backbone.load()
    with warnings.catch_warnings(), torch.random.fork_rng(devices=[]):
        warnings.simplefilter("ignore")  # the package calls torchvision in a deprecated way
        network = LPIPS(net="alex", version="0.1", pnet_rand=True, verbose=False)
    with torch.no_grad():  # every feature is overwritten: slice1.0.weight takes features.0.weight
        for name, parameter in network.net.named_parameters():
            parameter.copy_(weights["features" + name[name.index(".") :]])
    return network.to(device)
