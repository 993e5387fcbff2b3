"""Mixtures of Gaussians: priors whose denoiser, posterior and likelihood score are known exactly.

``Mixture`` says what all of them can do. ``GaussianMixture`` has full covariances, for up to about a hundred
entries; ``low_rank.LowRankMixture`` is for whole pictures.
"""

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import Self

import torch

from ..base.checks import Refusal
from ..measurement import LinearOperator

Triple = tuple[torch.Tensor, torch.Tensor, torch.Tensor]


class Mixture(ABC):
    """p(x) = sum_j weights[j] N(x; means[j], C_j) over vectors of n entries.

    weights (J,) and means (J, n), float64. How the covariances C_j are held is the subclass's own.
    """

    weights: torch.Tensor
    means: torch.Tensor

    def mean(self) -> torch.Tensor:
        """E[x], (n,)."""
        return self.weights @ self.means

    @abstractmethod
    def total_variance(self) -> torch.Tensor:
        """E ||x - E[x]||^2, the trace of the covariance."""

    @abstractmethod
    def sample(self, count: int, generator: torch.Generator | None = None) -> torch.Tensor:
        """Independent draws, (count, n)."""

    @abstractmethod
    def denoise(self, x_k: torch.Tensor, alpha_bar: float) -> torch.Tensor:
        """E[x_0 | x_k] for x_k = sqrt(alpha_bar) x_0 + sqrt(1 - alpha_bar) eps; (B, n) -> (B, n)."""

    @abstractmethod
    def explain(self, x_k: torch.Tensor, alpha_bar: float) -> Triple:
        """Two parts of ``denoise``, which differ between the classes, and ``log_joint``."""

    def log_joint(self, x_k: torch.Tensor, alpha_bar: float) -> torch.Tensor:
        """log p(x_k, component j), (B, n) -> (B, J): the softmax is p(j | x_k), the logsumexp log p(x_k)."""
        return self.explain(x_k, alpha_bar)[-1]

    @abstractmethod
    def posterior(self, y: torch.Tensor, A: LinearOperator | torch.Tensor, sigma: float) -> Self:
        """p(x | y) for one y = A x + sigma n, itself a mixture. Raises Refusal for what does not fit."""

    def likelihood_score(
        self,
        x_k: torch.Tensor,
        y: torch.Tensor,
        A: LinearOperator | torch.Tensor,
        sigma: float,
        alpha_bar: float,
    ) -> torch.Tensor:
        """grad log p(y | x_k), the last term of Eq. 2, exact (Eq. 12a): x_k (B, n) under one y -> (B, n).

        Arguments and errors are ``posterior``'s; Refusal, too, unless 0 < alpha_bar < 1.
        """
        return exact_score(self, self.posterior(y, A, sigma), x_k, alpha_bar)


def exact_score(prior: Mixture, posterior: Mixture, x_k: torch.Tensor, alpha_bar: float) -> torch.Tensor:
    """Eq. 12a: Eq. 2 solved for its last term, where E[x_0 | x_k, y] is the denoiser of p(x_0 | y).

    x_k (B, n) -> (B, n). Raises Refusal unless 0 < alpha_bar < 1.
    """
    if not 0 < alpha_bar < 1:
        raise Refusal(f"alpha_bar: {alpha_bar!r} is not accepted; give a number between 0 and 1")
    moved = posterior.denoise(x_k, alpha_bar) - prior.denoise(x_k, alpha_bar)
    return alpha_bar**0.5 / (1 - alpha_bar) * moved


@dataclass(frozen=True)
class GaussianMixture(Mixture):
    """p(x) = sum_j weights[j] N(x; means[j], covariances[j]) over vectors of n entries.

    weights (J,) that sum to 1, means (J, n), covariances (J, n, n), float64. A diagonal covariance is
    ``torch.diag_embed(variances)``, a low-rank one ``factors @ factors.mT + floor * torch.eye(n)``.
    Raises Refusal when there is no component, the shapes do not fit, the weights are no
    probabilities, or a covariance is not symmetric with eigenvalues >= 0.
    """

    weights: torch.Tensor
    means: torch.Tensor
    covariances: torch.Tensor
    eigenvalues: torch.Tensor = field(init=False, repr=False, compare=False)  # of the covariances, (J, n)
    eigenvectors: torch.Tensor = field(init=False, repr=False, compare=False)  # their columns, (J, n, n)

    def __post_init__(self) -> None:
        check_parts(self.weights, self.means, "covariances", self.covariances, self.means.shape[-1:])
        eigenvalues, eigenvectors = torch.linalg.eigh(self.covariances)
        symmetric = torch.allclose(self.covariances, self.covariances.mT)
        if not symmetric or (eigenvalues < -1e-9 * eigenvalues.abs().amax(1, keepdim=True)).any():
            raise Refusal("covariances: not symmetric with eigenvalues of at least 0")
        object.__setattr__(self, "eigenvalues", eigenvalues.clamp_min(0))
        object.__setattr__(self, "eigenvectors", eigenvectors)

    @classmethod
    def fit(cls, points: torch.Tensor, components: int, floor: float, seed: int = 0) -> Self:
        """Fitted to points (N, n) by scikit-learn's expectation maximisation (the extra ``book`` has it).

        ``floor`` is added to every variance; without it, pixels that never change have none.
        """
        from sklearn.mixture import GaussianMixture as Fit

        fitted = Fit(components, reg_covar=floor, random_state=seed).fit(points.numpy())
        covariances = torch.tensor(fitted.covariances_)
        return cls(
            torch.tensor(fitted.weights_), torch.tensor(fitted.means_), (covariances + covariances.mT) / 2
        )

    def covariance(self) -> torch.Tensor:
        """Cov[x], (n, n)."""
        centred = self.means - self.mean()
        return torch.einsum("j,jab->ab", self.weights, self.covariances) + centred.T @ (
            self.weights[:, None] * centred
        )

    def total_variance(self) -> torch.Tensor:
        """E ||x - E[x]||^2, the trace of the covariance."""
        return self.covariance().trace()

    def sample(self, count: int, generator: torch.Generator | None = None) -> torch.Tensor:
        """Independent draws, (count, n)."""
        component = torch.multinomial(self.weights, count, replacement=True, generator=generator)
        z = torch.randn(count, self.means.shape[1], generator=generator, dtype=self.means.dtype)
        roots = self.eigenvectors * self.eigenvalues.sqrt()[:, None, :]
        return self.means[component] + along(roots, component, z)

    def denoise(self, x_k: torch.Tensor, alpha_bar: float) -> torch.Tensor:
        """E[x_0 | x_k] for x_k = sqrt(alpha_bar) x_0 + sqrt(1 - alpha_bar) eps; (B, n) -> (B, n)."""
        variance, offset, log_joint = self.explain(x_k, alpha_bar)
        p = log_joint.softmax(1)
        shrunk = p[..., None] * (alpha_bar**0.5 * self.eigenvalues / variance) * offset
        return p @ self.means + shrunk.flatten(1) @ self.eigenvectors.mT.flatten(0, 1)

    def explain(self, x_k: torch.Tensor, alpha_bar: float) -> Triple:
        """Variances (J, n) and offsets (B, J, n) of x_k along each component's axes, and ``log_joint``."""
        variance = alpha_bar * self.eigenvalues + 1 - alpha_bar
        rows = self.eigenvectors.mT
        offset = (x_k @ rows.flatten(0, 1).T).reshape(len(x_k), *variance.shape)
        offset = offset - alpha_bar**0.5 * (rows @ self.means[..., None])[..., 0]
        log_density = -0.5 * (offset**2 / variance + (2 * math.pi * variance).log()).sum(-1)
        return variance, offset, self.weights.log() + log_density

    def given_noisy(self, x_k: torch.Tensor, alpha_bar: float) -> Self:
        """p(x_0 | x_k), a mixture: x_k (n,) is a measurement of x_0 too. Its mean is ``denoise``'s."""
        eye = torch.eye(len(x_k), dtype=self.means.dtype)
        return self.posterior(x_k, alpha_bar**0.5 * eye, (1 - alpha_bar) ** 0.5)

    def posterior(self, y: torch.Tensor, A: LinearOperator | torch.Tensor, sigma: float) -> Self:
        """p(x | y) for y = A x + sigma n, itself a mixture: one y, and A a LinearOperator or a matrix (m, n).

        Raises Refusal unless sigma > 0, and for an A or a y of another size.
        """
        n = self.means.shape[1]
        matrix = A if isinstance(A, torch.Tensor) else A.matrix()
        check_measurement(y, matrix.shape, n, sigma)
        cross = self.covariances @ matrix.T
        S = matrix @ cross + sigma**2 * torch.eye(len(matrix), dtype=cross.dtype)
        gain = torch.linalg.solve(S, cross.mT).mT
        residual = y.flatten() - self.means @ matrix.T
        evidence = torch.distributions.MultivariateNormal(torch.zeros_like(residual), S).log_prob(residual)
        # Joseph's form: the plain C - gain cross^T loses its positive eigenvalues where sigma is small.
        shrink = torch.eye(n, dtype=cross.dtype) - gain @ matrix
        covariances = shrink @ self.covariances @ shrink.mT + sigma**2 * gain @ gain.mT
        return type(self)(
            (self.weights.log() + evidence).softmax(0),
            self.means + (gain @ residual[..., None])[..., 0],
            (covariances + covariances.mT) / 2,
        )


def along(factors: torch.Tensor, component: torch.Tensor, u: torch.Tensor) -> torch.Tensor:
    """factors[component] u, (J, n, r) and (B,) and (B, r) -> (B, n), without B copies of n x r numbers."""
    blocks = u.new_zeros(len(u), len(factors), u.shape[1])
    blocks[torch.arange(len(u)), component] = u
    return torch.einsum("bjr,jnr->bn", blocks, factors)


def check_parts(
    weights: torch.Tensor, means: torch.Tensor, name: str, spread: torch.Tensor, columns: tuple[int, ...]
) -> None:
    """Raise Refusal unless weights (J,), means (J, n) and ``spread`` (J, n, *columns) make a mixture."""
    J = len(weights)
    if J == 0 or means.ndim != 2 or len(means) != J or spread.shape != (*means.shape, *columns):
        raise Refusal(
            f"mixture: weights {tuple(weights.shape)}, means {tuple(means.shape)} and {name} "
            f"{tuple(spread.shape)} do not fit; expected J >= 1 of each, of n entries"
        )
    if not (weights >= 0).all() or abs(weights.sum() - 1) > 1e-6:
        raise Refusal("weights: must be at least 0 and sum to 1")


def check_measurement(y: torch.Tensor, shape: tuple[int, ...], n: int, sigma: float) -> None:
    """Raise Refusal unless y fits an operator of ``shape`` on vectors of n entries, and sigma > 0."""
    if not sigma > 0:
        raise Refusal(f"sigma: {sigma!r} is not accepted; the exact posterior needs sigma > 0")
    if len(shape) != 2 or shape[1] != n:
        raise Refusal(f"A: shape {tuple(shape)} does not fit; expected (m, {n})")
    if y.numel() != shape[0]:
        raise Refusal(f"y: shape {tuple(y.shape)} does not fit; expected {shape[0]} entries")
