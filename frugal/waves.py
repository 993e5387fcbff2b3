"""An orthonormal basis of waves over a picture: cosines of light and of two colours, from coarse to fine."""

import math

import torch

# Light, red against blue, green against both.
OPPONENT = ((1.0, 1.0, 1.0), (1.0, 0.0, -1.0), (1.0, -2.0, 1.0))


def cosines(n: int, like: torch.Tensor) -> torch.Tensor:
    """The orthonormal cosine transform of n numbers (DCT-II), (n, n)."""
    i = torch.arange(n, device=like.device, dtype=like.dtype)
    D = (2 / n) ** 0.5 * torch.cos(math.pi * i[:, None] * (2 * i + 1) / (2 * n))
    D[0] /= 2**0.5
    return D


def colours(channels: int, like: torch.Tensor) -> torch.Tensor:
    """An orthonormal basis of light and two colours; for other than three channels each by itself."""
    P = torch.tensor(OPPONENT).to(like) if channels == 3 else torch.eye(channels).to(like)
    return P / P.norm(dim=1, keepdim=True)


class Waves:
    """Eq. 14e (page 14): W, orthonormal, whose columns are cosine waves of light and of colour."""

    def __init__(self, like: torch.Tensor) -> None:
        self.P = colours(like.shape[1], like)
        self.rows, self.columns = (cosines(n, like) for n in like.shape[2:])

    def Wt(self, x: torch.Tensor) -> torch.Tensor:
        """W^T x, (B, C, H, W) both: colours first, then waves from coarse to fine."""
        return torch.einsum("pc,bchw->bphw", self.P, self.rows @ x @ self.columns.T)

    def W(self, c: torch.Tensor) -> torch.Tensor:
        """W c."""
        return torch.einsum("pc,bphw->bchw", self.P, self.rows.T @ c @ self.columns)
