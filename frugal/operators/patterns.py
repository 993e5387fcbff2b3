"""The masks and kernels of the book's tasks, for pictures of any size."""

import math

import torch

Shape = tuple[int, ...]  # of a picture, (C, H, W)


def box_mask(image_shape: Shape) -> torch.Tensor:
    """True inside the centred box of half the height and half the width; (H, W)."""
    _, H, W = image_shape
    mask = torch.zeros(H, W, dtype=torch.bool)
    mask[H // 4 : H // 4 + H // 2, W // 4 : W // 4 + W // 2] = True
    return mask


def centred_mask(image_shape: Shape, share: float) -> torch.Tensor:
    """True inside the centred box of a ``share`` of the height and the width, rounded to pixels; (H, W)."""
    _, H, W = image_shape
    h, w = round(share * H), round(share * W)
    mask = torch.zeros(H, W, dtype=torch.bool)
    mask[(H - h) // 2 : (H - h) // 2 + h, (W - w) // 2 : (W - w) // 2 + w] = True
    return mask


def left_mask(image_shape: Shape) -> torch.Tensor:
    """True in the left half; (H, W)."""
    _, H, W = image_shape
    return (torch.arange(W) < W // 2).expand(H, W)


def random_mask(image_shape: Shape, share: float = 0.08) -> torch.Tensor:
    """True on a fixed random ``share`` of the pixels (8 %, as in Chung et al. 2023); (H, W)."""
    _, H, W = image_shape
    order = torch.randperm(H * W, generator=torch.Generator().manual_seed(0))
    return (order < max(1, round(share * H * W))).reshape(H, W)


def gaussian_kernel(image_shape: Shape) -> torch.Tensor:
    """Gaussian of standard deviation W / 32 pixels (2 at 64 x 64), cut at three of them."""
    std = image_shape[-1] / 32
    p = torch.arange(-math.ceil(3 * std), math.ceil(3 * std) + 1, dtype=torch.float64)
    g = torch.exp(-(p**2) / (2 * std**2))
    return torch.outer(g, g) / g.sum() ** 2


def motion_kernel(image_shape: Shape) -> torch.Tensor:
    """A diagonal stroke over W / 8 pixels, at least 3 (8 at 64 x 64)."""
    length = max(3, image_shape[-1] // 8)
    return torch.eye(length, dtype=torch.float64) / length
