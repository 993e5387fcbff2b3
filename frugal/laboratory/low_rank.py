"""Mixtures of Gaussians whose covariances are a few axes and a floor: exact denoisers for whole pictures."""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Self

import torch

from ..base import checks
from ..base.checks import Refusal
from ..measurement import LinearOperator
from .mixtures import Mixture, Triple, along, check_measurement, check_parts


@dataclass(frozen=True)
class LowRankMixture(Mixture):
    """p(x) = sum_j weights[j] N(x; means[j], factors[j] factors[j]^T + D) over vectors of n entries.

    weights (J,) that sum to 1, means (J, n), factors (J, n, r) with r well below n, float64. D = floor I;
    in a posterior, where A has measured, D has the variances ``seen`` along the right singular vectors
    of A. Nothing of n x n numbers is ever made. A is a LinearOperator everywhere.
    Raises Refusal when there is no component, the shapes do not fit, the weights are no
    probabilities, or the floor is negative.
    """

    weights: torch.Tensor
    means: torch.Tensor
    factors: torch.Tensor
    floor: float
    A: LinearOperator | None = None
    seen: torch.Tensor | None = None
    # The eigenvalues of D: the first belongs to all directions that no measurement has seen.
    spectrum: torch.Tensor = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        check_parts(self.weights, self.means, "factors", self.factors, self.factors.shape[-1:])
        checks.at_least_zero("floor", self.floor)
        seen = self.means.new_zeros(0) if self.seen is None else self.seen
        object.__setattr__(self, "spectrum", torch.cat([seen.new_tensor([self.floor]), seen]))

    @classmethod
    def empirical(cls, points: torch.Tensor) -> Self:
        """The measure of N given points (N, n): equal weights, no factors and no floor."""
        N, n = points.shape
        return cls(torch.full((N,), 1 / N, dtype=points.dtype), points, points.new_zeros(N, n, 0), 0.0)

    @classmethod
    def fit(cls, points: torch.Tensor, components: int, rank: int, floor: float, seed: int = 0) -> Self:
        """Points (N, n) in clusters by scikit-learn's k-means, in each a probabilistic PCA (extra ``book``).

        Tipping and Bishop (1999): ``rank`` principal axes, their variances less the ``floor`` that every
        direction has. Raises Refusal for a cluster of no more than ``rank`` points.
        """
        from sklearn.cluster import KMeans
        from sklearn.decomposition import PCA

        kmeans = KMeans(components, n_init=10, random_state=seed)  # pyright: ignore[reportArgumentType]
        labels = kmeans.fit_predict(points.numpy())
        clusters = [points[labels == j].numpy() for j in range(components)]
        smallest = min(map(len, clusters))
        if smallest <= rank:
            raise Refusal(f"rank: {rank} is too much for a cluster of {smallest} points")
        fitted = [PCA(rank, svd_solver="full").fit(cluster) for cluster in clusters]

        def stack(arrays: Iterable[Any]) -> torch.Tensor:
            return torch.stack([torch.from_numpy(array).to(points) for array in arrays])

        axes, variances = stack(f.components_ for f in fitted), stack(f.explained_variance_ for f in fitted)
        return cls(
            torch.tensor([len(cluster) / len(points) for cluster in clusters], dtype=points.dtype),
            stack(f.mean_ for f in fitted),
            axes.mT * (variances - floor).clamp_min(0).sqrt()[:, None],
            floor,
        )

    def total_variance(self) -> torch.Tensor:
        """E ||x - E[x]||^2, the trace of the covariance."""
        between = (self.means - self.mean()).square().sum(1)
        return self.weights @ (between + self.factors.square().sum((1, 2))) + self.trace(self.spectrum)

    def apply(self, eigenvalues: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
        """The matrix with D's eigenvectors and other ``eigenvalues``, in the order of ``spectrum``, times x (B, n)."""
        if self.A is None:
            return eigenvalues * x
        c = self.A.Vt(x.reshape(-1, *self.A.image_shape))
        return eigenvalues[0] * x + self.A.V((eigenvalues[1:] - eigenvalues[0]) * c).flatten(1)

    def trace(self, eigenvalues: torch.Tensor) -> torch.Tensor:
        """Trace of that matrix."""
        return eigenvalues[1:].sum() + (self.means.shape[1] - len(eigenvalues) + 1) * eigenvalues[0]

    def sample(self, count: int, generator: torch.Generator | None = None) -> torch.Tensor:
        """Independent draws, (count, n)."""
        component = torch.multinomial(self.weights, count, replacement=True, generator=generator)
        _, n, r = self.factors.shape
        u, z = (torch.randn(count, m, generator=generator, dtype=self.means.dtype) for m in (r, n))
        rest = self.apply(self.spectrum.sqrt(), z)
        return self.means[component] + along(self.factors, component, u) + rest

    def denoise(self, x_k: torch.Tensor, alpha_bar: float) -> torch.Tensor:
        """E[x_0 | x_k] for x_k = sqrt(alpha_bar) x_0 + sqrt(1 - alpha_bar) eps; (B, n) -> (B, n)."""
        u, _, log_joint = self.explain(x_k, alpha_bar)
        p = log_joint.softmax(1)
        low = p @ self.means + torch.einsum("bjr,jnr->bn", p[..., None] * u, self.factors)
        gain = alpha_bar**0.5 * self.spectrum / (alpha_bar * self.spectrum + 1 - alpha_bar)
        return low + self.apply(gain, x_k - alpha_bar**0.5 * low)

    def explain(self, x_k: torch.Tensor, alpha_bar: float) -> Triple:
        """``latent`` of x_k, of which D and the noise make the variance around each component's plane."""
        variances = alpha_bar * self.spectrum + 1 - alpha_bar
        whiten = lambda x: self.apply(variances**-0.5, x)
        F = alpha_bar**0.5 * columns(whiten, self.factors)
        u, L, log_joint = latent(whiten(x_k), alpha_bar**0.5 * whiten(self.means), F, self.weights)
        return u, L, log_joint - 0.5 * self.trace(variances.log())

    def posterior(self, y: torch.Tensor, A: LinearOperator | torch.Tensor, sigma: float) -> Self:
        """p(x | y) for y = A x + sigma n, itself such a mixture: one y, and A a LinearOperator.

        x = means[j] + factors[j] u + D^(1/2) z. First u given y, with D's noise added to y's (Woodbury's
        identity); then the rest of x given y and u. Raises Refusal unless sigma > 0, for an A or a y of
        another size, for a matrix, and for a mixture that is a posterior already.
        """
        if self.A is not None:
            raise Refusal("mixture: is a posterior already; measure the prior")
        if isinstance(A, torch.Tensor):
            raise Refusal("A: a matrix is not accepted; give a LinearOperator")
        n = self.means.shape[1]
        check_measurement(y, (math.prod(A.measurement_shape), math.prod(A.image_shape)), n, sigma)
        s, y = A.singular_values, A.Ut(y.reshape(1, *A.measurement_shape).to(self.means))
        variance = self.floor * s**2 + sigma**2
        A_x = lambda x: s * A.Vt(x.reshape(-1, *A.image_shape))
        rest = lambda c: A.V(self.floor * s / variance * c).flatten(1)
        whiten = lambda x: A_x(x) / variance**0.5
        F = columns(whiten, self.factors)
        u, L, log_joint = latent(y / variance**0.5, whiten(self.means), F, self.weights)
        low = self.means + torch.einsum("jnr,jr->jn", self.factors, u[0])
        left = columns(lambda x: x - rest(A_x(x)), self.factors)
        return type(self)(
            log_joint[0].softmax(0),
            low + rest(y - A_x(low)),
            torch.linalg.solve_triangular(L.mT, left, upper=True, left=False),
            self.floor,
            A,
            self.floor * sigma**2 / variance,
        )


def columns(function: Callable[[torch.Tensor], torch.Tensor], matrices: torch.Tensor) -> torch.Tensor:
    """``function`` of (B, n) on every column of matrices (J, n, r); (J, m, r)."""
    J, n, r = matrices.shape
    if r == 0:  # not every operator takes an empty batch
        return function(matrices.new_zeros(J, n))[..., None][..., :0]
    image = function(matrices.mT.reshape(J * r, n))
    return image.reshape(J, r, image.shape[1]).mT


def latent(z: torch.Tensor, M: torch.Tensor, F: torch.Tensor, weights: torch.Tensor) -> Triple:
    """z ~ N(M[j] + F[j] u, I) with u ~ N(0, I) and probability weights[j]: what z says about j and u.

    z (B, m), M (J, m), F (J, m, r). Returns E[u | z, j] (B, J, r), the lower Cholesky factors (J, r, r)
    of the precisions of u given z and j, and log p(z, j) (B, J).
    """
    L = torch.linalg.cholesky(F.mT @ F + torch.eye(F.shape[2], dtype=F.dtype))
    b = torch.einsum("bm,jmr->bjr", z, F) - torch.einsum("jm,jmr->jr", M, F)
    u = torch.cholesky_solve(b.permute(1, 2, 0), L).permute(2, 0, 1)
    # Without matrix products: |z|^2 - 2 z M + |M|^2 would lose the digits that count.
    squares = torch.cdist(z, M, compute_mode="donot_use_mm_for_euclid_dist") ** 2 - (b * u).sum(-1)
    log_volume = L.diagonal(dim1=1, dim2=2).log().sum(1) + 0.5 * z.shape[1] * math.log(2 * math.pi)
    return u, L, weights.log() - 0.5 * squares - log_volume
