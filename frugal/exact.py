"""Mixture-of-Gaussians priors, for which the denoiser and the posterior are known exactly."""

from dataclasses import dataclass

import torch
from diffusers.models.unets.unet_2d import UNet2DOutput


@dataclass(frozen=True)
class GaussianMixture:
    """p(x) = sum_j weights[j] N(x; means[j], covariances[j]) over vectors of n entries.

    weights (J,) that sum to 1, means (J, n), covariances (J, n, n), float64. A diagonal covariance is
    ``torch.diag_embed(variances)``, a low-rank one ``factors @ factors.mT + floor * torch.eye(n)``.
    Raises ValueError when there is no component, the shapes do not fit, the weights are no
    probabilities, or a covariance is not symmetric with eigenvalues >= 0.
    """

    weights: torch.Tensor
    means: torch.Tensor
    covariances: torch.Tensor

    def __post_init__(self):
        J, n = self.means.shape if self.means.ndim == 2 else (0, 0)
        if J == 0 or self.weights.shape != (J,) or self.covariances.shape != (J, n, n):
            raise ValueError(
                f"mixture: weights {tuple(self.weights.shape)}, means {tuple(self.means.shape)} and covariances "
                f"{tuple(self.covariances.shape)} do not fit; expected (J,), (J, n) and (J, n, n) with J >= 1"
            )
        if not (self.weights >= 0).all() or abs(self.weights.sum() - 1) > 1e-6:
            raise ValueError("weights: must be at least 0 and sum to 1")
        eigenvalues, eigenvectors = torch.linalg.eigh(self.covariances)
        symmetric = torch.allclose(self.covariances, self.covariances.mT)
        if not symmetric or (eigenvalues < -1e-9 * eigenvalues.abs().amax(1, keepdim=True)).any():
            raise ValueError("covariances: not symmetric with eigenvalues of at least 0")
        object.__setattr__(self, "eigenvalues", eigenvalues.clamp_min(0))
        object.__setattr__(self, "eigenvectors", eigenvectors)

    @classmethod
    def empirical(cls, points):
        """The measure of N given points (N, n): equal weights, and covariances of zero."""
        N, n = points.shape
        return cls(torch.full((N,), 1 / N, dtype=points.dtype), points, points.new_zeros(N, n, n))

    @classmethod
    def fit(cls, points, components, floor, seed=0):
        """Fitted to points (N, n) by scikit-learn's expectation maximisation (the extra ``book`` has it).

        ``floor`` is added to every variance; without it, pixels that never change have none.
        """
        from sklearn.mixture import GaussianMixture as Fit

        fitted = Fit(components, reg_covar=floor, random_state=seed).fit(points.numpy())
        covariances = torch.tensor(fitted.covariances_)
        return cls(
            torch.tensor(fitted.weights_), torch.tensor(fitted.means_), (covariances + covariances.mT) / 2
        )

    def mean(self):
        """E[x], (n,)."""
        return self.weights @ self.means

    def covariance(self):
        """Cov[x], (n, n)."""
        centred = self.means - self.mean()
        return torch.einsum("j,jab->ab", self.weights, self.covariances) + centred.T @ (
            self.weights[:, None] * centred
        )

    def sample(self, count, generator=None):
        """Independent draws, (count, n)."""
        component = torch.multinomial(self.weights, count, replacement=True, generator=generator)
        z = torch.randn(count, self.means.shape[1], generator=generator, dtype=self.means.dtype)
        roots = self.eigenvectors * self.eigenvalues.sqrt()[:, None, :]
        return self.means[component] + torch.einsum("bij,bj->bi", roots[component], z)

    def denoise(self, x_k, alpha_bar):
        """E[x_0 | x_k] for x_k = sqrt(alpha_bar) x_0 + sqrt(1 - alpha_bar) eps; (B, n) -> (B, n)."""
        variance = alpha_bar * self.eigenvalues + 1 - alpha_bar
        offset = torch.einsum("jni,bjn->bji", self.eigenvectors, x_k[:, None] - alpha_bar**0.5 * self.means)
        log_evidence = -0.5 * (offset**2 / variance + variance.log()).sum(-1)
        responsibility = (self.weights.log() + log_evidence).softmax(1)
        shrunk = torch.einsum(
            "jni,bji->bjn", self.eigenvectors, alpha_bar**0.5 * self.eigenvalues / variance * offset
        )
        return torch.einsum("bj,bjn->bn", responsibility, self.means + shrunk)

    def given_noisy(self, x_k, alpha_bar):
        """p(x_0 | x_k), a mixture: x_k (n,) is a measurement of x_0 too. Its mean is ``denoise``'s."""
        eye = torch.eye(len(x_k), dtype=self.means.dtype)
        return self.posterior(x_k, alpha_bar**0.5 * eye, (1 - alpha_bar) ** 0.5)

    def posterior(self, y, matrix, sigma):
        """p(x | y) for y = matrix x + sigma n, itself a mixture. y is (m,), matrix (m, n), sigma > 0.

        Raises ValueError unless sigma > 0, and for a matrix or a y of another size.
        """
        n = self.means.shape[1]
        if not sigma > 0:
            raise ValueError(f"sigma: {sigma!r} is not accepted; the exact posterior needs sigma > 0")
        if matrix.ndim != 2 or matrix.shape[1] != n:
            raise ValueError(f"matrix: shape {tuple(matrix.shape)} does not fit; expected (m, {n})")
        if y.shape != matrix.shape[:1]:
            raise ValueError(f"y: shape {tuple(y.shape)} does not fit; expected ({len(matrix)},)")
        cross = self.covariances @ matrix.T
        S = matrix @ cross + sigma**2 * torch.eye(len(matrix), dtype=cross.dtype)
        gain = torch.linalg.solve(S, cross.mT).mT
        residual = y - self.means @ matrix.T
        evidence = torch.distributions.MultivariateNormal(torch.zeros_like(residual), S).log_prob(residual)
        # Joseph's form: the plain C - gain cross^T loses its positive eigenvalues where sigma is small.
        shrink = torch.eye(n, dtype=cross.dtype) - gain @ matrix
        covariances = shrink @ self.covariances @ shrink.mT + sigma**2 * gain @ gain.mT
        return GaussianMixture(
            (self.weights.log() + evidence).softmax(0),
            self.means + (gain @ residual[..., None])[..., 0],
            (covariances + covariances.mT) / 2,
        )

    def likelihood_score(self, x_k, y, matrix, sigma, alpha_bar):
        """grad log p(y | x_k), the last term of Eq. 2, exact: x_k (B, n) under one y (m,) -> (B, n).

        Eq. 2 is solved for it; E[x_0 | x_k, y] is the denoiser of the prior p(x_0 | y). Arguments and
        errors are ``posterior``'s; ValueError, too, unless 0 < alpha_bar < 1.
        """
        if not 0 < alpha_bar < 1:
            raise ValueError(f"alpha_bar: {alpha_bar!r} is not accepted; give a number between 0 and 1")
        moved = self.posterior(y, matrix, sigma).denoise(x_k, alpha_bar) - self.denoise(x_k, alpha_bar)
        return alpha_bar**0.5 / (1 - alpha_bar) * moved


class ExactDenoiser(torch.nn.Module):
    """A mixture's denoiser with ``UNet2DModel``'s call signature, for a scheduler that predicts "sample"."""

    def __init__(self, mixture, scheduler):
        super().__init__()
        if scheduler.config.prediction_type != "sample":
            raise ValueError(
                f"scheduler: predicts {scheduler.config.prediction_type!r}; an exact denoiser needs 'sample'"
            )
        self.mixture = mixture
        self.alphas_cumprod = scheduler.alphas_cumprod.double()

    def forward(self, sample, timestep):
        """sample (B, C, H, W), timestep one whole number -> E[x_0 | x_k] of the same shape."""
        alpha_bar = self.alphas_cumprod[int(timestep)].item()
        x0 = self.mixture.denoise(sample.flatten(1).to(self.mixture.means.dtype), alpha_bar)
        return UNet2DOutput(sample=x0.reshape(sample.shape).to(sample.dtype))
