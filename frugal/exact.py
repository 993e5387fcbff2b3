"""Mixture-of-Gaussians priors, for which the denoiser and the posterior are known exactly.

``GaussianMixture`` has full covariances, for up to about a hundred entries. ``LowRankMixture`` is for
whole pictures. ``Problem`` and ``ExactDenoiser`` take both.
"""

import math
from dataclasses import dataclass

import torch
from diffusers.models.unets.unet_2d import UNet2DOutput

from . import collapse, operators, samplers


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
        check_parts(self.weights, self.means, "covariances", self.covariances, self.means.shape[-1:])
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

    def total_variance(self):
        """E ||x - E[x]||^2, the trace of the covariance."""
        return self.covariance().trace()

    def sample(self, count, generator=None):
        """Independent draws, (count, n)."""
        component = torch.multinomial(self.weights, count, replacement=True, generator=generator)
        z = torch.randn(count, self.means.shape[1], generator=generator, dtype=self.means.dtype)
        roots = self.eigenvectors * self.eigenvalues.sqrt()[:, None, :]
        return self.means[component] + along(roots, component, z)

    def denoise(self, x_k, alpha_bar):
        """E[x_0 | x_k] for x_k = sqrt(alpha_bar) x_0 + sqrt(1 - alpha_bar) eps; (B, n) -> (B, n)."""
        variance, offset, log_joint = self.explain(x_k, alpha_bar)
        p = log_joint.softmax(1)
        shrunk = p[..., None] * (alpha_bar**0.5 * self.eigenvalues / variance) * offset
        return p @ self.means + shrunk.flatten(1) @ self.eigenvectors.mT.flatten(0, 1)

    def log_joint(self, x_k, alpha_bar):
        """log p(x_k, component j), (B, n) -> (B, J): the softmax is p(j | x_k), the logsumexp log p(x_k)."""
        return self.explain(x_k, alpha_bar)[-1]

    def explain(self, x_k, alpha_bar):
        """Variances (J, n) and offsets (B, J, n) of x_k along each component's axes, and ``log_joint``."""
        variance = alpha_bar * self.eigenvalues + 1 - alpha_bar
        rows = self.eigenvectors.mT
        offset = (x_k @ rows.flatten(0, 1).T).reshape(len(x_k), *variance.shape)
        offset = offset - alpha_bar**0.5 * (rows @ self.means[..., None])[..., 0]
        log_density = -0.5 * (offset**2 / variance + (2 * math.pi * variance).log()).sum(-1)
        return variance, offset, self.weights.log() + log_density

    def given_noisy(self, x_k, alpha_bar):
        """p(x_0 | x_k), a mixture: x_k (n,) is a measurement of x_0 too. Its mean is ``denoise``'s."""
        eye = torch.eye(len(x_k), dtype=self.means.dtype)
        return self.posterior(x_k, alpha_bar**0.5 * eye, (1 - alpha_bar) ** 0.5)

    def posterior(self, y, A, sigma):
        """p(x | y) for y = A x + sigma n, itself a mixture: one y, and A a LinearOperator or a matrix (m, n).

        Raises ValueError unless sigma > 0, and for an A or a y of another size.
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
        return GaussianMixture(
            (self.weights.log() + evidence).softmax(0),
            self.means + (gain @ residual[..., None])[..., 0],
            (covariances + covariances.mT) / 2,
        )

    def likelihood_score(self, x_k, y, A, sigma, alpha_bar):
        """grad log p(y | x_k), the last term of Eq. 2, exact (Eq. 12a): x_k (B, n) under one y -> (B, n).

        Arguments and errors are ``posterior``'s; ValueError, too, unless 0 < alpha_bar < 1.
        """
        return exact_score(self, self.posterior(y, A, sigma), x_k, alpha_bar)


@dataclass(frozen=True)
class LowRankMixture:
    """p(x) = sum_j weights[j] N(x; means[j], factors[j] factors[j]^T + D) over vectors of n entries.

    weights (J,) that sum to 1, means (J, n), factors (J, n, r) with r well below n, float64. D = floor I;
    in a posterior, where A has measured, D has the variances ``seen`` along the right singular vectors
    of A. Nothing of n x n numbers is ever made. The methods are ``GaussianMixture``'s, without
    ``covariance``, and A is a LinearOperator everywhere.
    Raises ValueError when there is no component, the shapes do not fit, the weights are no
    probabilities, or the floor is negative.
    """

    weights: torch.Tensor
    means: torch.Tensor
    factors: torch.Tensor
    floor: float
    A: operators.LinearOperator | None = None
    seen: torch.Tensor | None = None

    def __post_init__(self):
        check_parts(self.weights, self.means, "factors", self.factors, self.factors.shape[-1:])
        operators.check_at_least_zero("floor", self.floor)
        seen = self.means.new_zeros(0) if self.A is None else self.seen
        # The eigenvalues of D: the first belongs to all directions that no measurement has seen.
        object.__setattr__(self, "spectrum", torch.cat([seen.new_tensor([self.floor]), seen]))

    @classmethod
    def empirical(cls, points):
        """The measure of N given points (N, n): equal weights, no factors and no floor."""
        N, n = points.shape
        return cls(torch.full((N,), 1 / N, dtype=points.dtype), points, points.new_zeros(N, n, 0), 0.0)

    @classmethod
    def fit(cls, points, components, rank, floor, seed=0):
        """Points (N, n) in clusters by scikit-learn's k-means, in each a probabilistic PCA (extra ``book``).

        Tipping and Bishop (1999): ``rank`` principal axes, their variances less the ``floor`` that every
        direction has. Raises ValueError for a cluster of no more than ``rank`` points.
        """
        from sklearn.cluster import KMeans
        from sklearn.decomposition import PCA

        labels = KMeans(components, n_init=10, random_state=seed).fit_predict(points.numpy())
        clusters = [points[labels == j].numpy() for j in range(components)]
        if min(map(len, clusters)) <= rank:
            raise ValueError(f"rank: {rank} is too much for a cluster of {min(map(len, clusters))} points")
        fitted = [PCA(rank, svd_solver="full").fit(cluster) for cluster in clusters]
        stack = lambda arrays: torch.stack([torch.from_numpy(a).to(points) for a in arrays])
        axes, variances = stack(f.components_ for f in fitted), stack(f.explained_variance_ for f in fitted)
        return cls(
            torch.tensor([len(cluster) / len(points) for cluster in clusters], dtype=points.dtype),
            stack(f.mean_ for f in fitted),
            axes.mT * (variances - floor).clamp_min(0).sqrt()[:, None],
            floor,
        )

    mean = GaussianMixture.mean
    log_joint = GaussianMixture.log_joint
    likelihood_score = GaussianMixture.likelihood_score

    def total_variance(self):
        """E ||x - E[x]||^2, the trace of the covariance."""
        between = (self.means - self.mean()).square().sum(1)
        return self.weights @ (between + self.factors.square().sum((1, 2))) + self.trace(self.spectrum)

    def apply(self, values, x):
        """The matrix with D's eigenvectors and the eigenvalues ``values``, times x (B, n)."""
        if self.A is None:
            return values * x
        c = self.A.Vt(x.reshape(-1, *self.A.image_shape))
        return values[0] * x + self.A.V((values[1:] - values[0]) * c).flatten(1)

    def trace(self, values):
        """Trace of that matrix."""
        return values[1:].sum() + (self.means.shape[1] - len(values) + 1) * values[0]

    def sample(self, count, generator=None):
        """Independent draws, (count, n)."""
        component = torch.multinomial(self.weights, count, replacement=True, generator=generator)
        J, n, r = self.factors.shape
        u, z = (torch.randn(count, m, generator=generator, dtype=self.means.dtype) for m in (r, n))
        rest = self.apply(self.spectrum.sqrt(), z)
        return self.means[component] + along(self.factors, component, u) + rest

    def denoise(self, x_k, alpha_bar):
        """E[x_0 | x_k] for x_k = sqrt(alpha_bar) x_0 + sqrt(1 - alpha_bar) eps; (B, n) -> (B, n)."""
        u, _, log_joint = self.explain(x_k, alpha_bar)
        p = log_joint.softmax(1)
        low = p @ self.means + torch.einsum("bjr,jnr->bn", p[..., None] * u, self.factors)
        gain = alpha_bar**0.5 * self.spectrum / (alpha_bar * self.spectrum + 1 - alpha_bar)
        return low + self.apply(gain, x_k - alpha_bar**0.5 * low)

    def explain(self, x_k, alpha_bar):
        """``latent`` of x_k, of which D and the noise make the variance around each component's plane."""
        values = alpha_bar * self.spectrum + 1 - alpha_bar
        whiten = lambda x: self.apply(values**-0.5, x)
        F = alpha_bar**0.5 * columns(whiten, self.factors)
        u, L, log_joint = latent(whiten(x_k), alpha_bar**0.5 * whiten(self.means), F, self.weights)
        return u, L, log_joint - 0.5 * self.trace(values.log())

    def given_noisy(self, x_k, alpha_bar):
        """p(x_0 | x_k), a mixture: x_k (n,) is a measurement of x_0 too. Its mean is ``denoise``'s."""
        identity = operators.make("denoise", (1, 1, len(x_k)))
        return self.posterior(x_k / alpha_bar**0.5, identity, ((1 - alpha_bar) / alpha_bar) ** 0.5)

    def posterior(self, y, A, sigma):
        """p(x | y) for y = A x + sigma n, itself such a mixture: one y, and A a LinearOperator.

        x = means[j] + factors[j] u + D^(1/2) z. First u given y, with D's noise counted to y's (Woodbury's
        identity); then the rest of x given y and u. Raises ValueError unless sigma > 0, for an A or a y of
        another size, and for a mixture that is a posterior already.
        """
        if self.A is not None:
            raise ValueError("mixture: is a posterior already; measure the prior")
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
        return LowRankMixture(
            log_joint[0].softmax(0),
            low + rest(y - A_x(low)),
            torch.linalg.solve_triangular(L.mT, left, upper=True, left=False),
            self.floor,
            A,
            self.floor * sigma**2 / variance,
        )


def along(factors, component, u):
    """factors[component] u, (J, n, r) and (B,) and (B, r) -> (B, n), without B copies of n x r numbers."""
    blocks = u.new_zeros(len(u), len(factors), u.shape[1])
    blocks[torch.arange(len(u)), component] = u
    return torch.einsum("bjr,jnr->bn", blocks, factors)


def columns(function, matrices):
    """``function`` of (B, n) on every column of matrices (J, n, r); (J, m, r)."""
    J, n, r = matrices.shape
    if r == 0:  # not every operator takes an empty batch
        return function(matrices.new_zeros(J, n))[..., None][..., :0]
    image = function(matrices.mT.reshape(J * r, n))
    return image.reshape(J, r, image.shape[1]).mT


def latent(z, M, F, weights):
    """z ~ N(M[j] + F[j] u, I) with u ~ N(0, I) and probability weights[j]: what z tells of j and u.

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


def check_parts(weights, means, name, spread, columns):
    """Raise ValueError unless weights (J,), means (J, n) and ``spread`` (J, n, *columns) make a mixture."""
    J = len(weights)
    if J == 0 or means.ndim != 2 or len(means) != J or spread.shape != (*means.shape, *columns):
        raise ValueError(
            f"mixture: weights {tuple(weights.shape)}, means {tuple(means.shape)} and {name} "
            f"{tuple(spread.shape)} do not fit; expected J >= 1 of each, of n entries"
        )
    if not (weights >= 0).all() or abs(weights.sum() - 1) > 1e-6:
        raise ValueError("weights: must be at least 0 and sum to 1")


def check_measurement(y, shape, n, sigma):
    """Raise ValueError unless y fits an operator of ``shape`` on vectors of n entries, and sigma > 0."""
    if not sigma > 0:
        raise ValueError(f"sigma: {sigma!r} is not accepted; the exact posterior needs sigma > 0")
    if len(shape) != 2 or shape[1] != n:
        raise ValueError(f"A: shape {tuple(shape)} does not fit; expected (m, {n})")
    if y.numel() != shape[0]:
        raise ValueError(f"y: shape {tuple(y.shape)} does not fit; expected {shape[0]} entries")


def exact_score(prior, posterior, x_k, alpha_bar):
    """Eq. 12a: Eq. 2 solved for its last term, where E[x_0 | x_k, y] is the denoiser of p(x_0 | y).

    x_k (B, n) -> (B, n). Raises ValueError unless 0 < alpha_bar < 1.
    """
    if not 0 < alpha_bar < 1:
        raise ValueError(f"alpha_bar: {alpha_bar!r} is not accepted; give a number between 0 and 1")
    moved = posterior.denoise(x_k, alpha_bar) - prior.denoise(x_k, alpha_bar)
    return alpha_bar**0.5 / (1 - alpha_bar) * moved


@dataclass(frozen=True)
class Problem:
    """Pictures drawn from a prior, their measurements, and the exact posterior of each.

    x0 (B, C, H, W), y (B, *A.measurement_shape), posteriors a list of B mixtures.
    """

    prior: GaussianMixture | LowRankMixture
    A: operators.LinearOperator
    sigma: float
    x0: torch.Tensor
    y: torch.Tensor
    posteriors: list

    @classmethod
    def draw(cls, prior, A, sigma, count, generator=None):
        """``count`` pictures and their measurements."""
        x0 = prior.sample(count, generator).reshape(-1, *A.image_shape)
        y = A.measure(x0, sigma, generator)
        return cls(prior, A, sigma, x0, y, [prior.posterior(one, A, sigma) for one in y])

    def denoiser(self, schedule):
        """The samplers' (x_k, k) -> E[x_0 | x_k]."""
        return lambda x_k, k: self.prior.denoise(x_k.flatten(1), schedule.alpha_bar[k]).reshape(x_k.shape)

    def score(self, x_k, alpha_bar):
        """``exact_score`` at one noisy point for each picture, (B, C, H, W) -> (B, n)."""
        points = x_k.flatten(1).split(1)
        return torch.cat([exact_score(self.prior, p, x, alpha_bar) for p, x in zip(self.posteriors, points)])

    def sample(self, count, generator=None):
        """Exact restorations of each picture, (B, count, n)."""
        return torch.stack([p.sample(count, generator) for p in self.posteriors])

    def hybrids(self, schedule, zetas, lams, switches, draws, generator=None):
        """``samplers.hybrid`` for every zeta, switch k and lam, all from the same noise.

        DPS's steps are taken once for each zeta; every k branches off. Returns the restorations
        {(zeta, k, lam): (B, draws, n)}, and of DPS's guesses {zeta: ``collapse.consecutive_psnr``}.
        """
        denoise, y = self.denoiser(schedule), self.y.repeat_interleave(draws, 0)
        shape = (len(y), *self.A.image_shape)
        start, *z = (torch.randn(shape, generator=generator, dtype=y.dtype) for _ in range(schedule.t + 1))
        z, ends, curves = [None, *reversed(z)], {}, {}
        given = y, self.A
        for zeta in zetas:
            x, guesses = start, []
            for k in range(schedule.t, -1, -1):
                for lam in lams if k in switches else ():
                    end = x
                    for j in range(k, 0, -1):
                        end, _ = samplers.dmps_step(denoise, schedule, j, end, z[j], *given, self.sigma, lam)
                    ends[zeta, k, lam] = end.reshape(len(self.y), draws, -1)
                if k > 0:
                    x, x0_hat = samplers.dps_step(denoise, schedule, k, x, z[k], *given, zeta)
                    guesses.append(x0_hat)
            curves[zeta] = collapse.consecutive_psnr(guesses)
        return ends, curves

    def judge(self, x):
        """Restorations x (B, count, n) against the posterior, a number for each picture: {name: (B,)}.

        mean      root-mean-square error of their mean, in the units of one entry
        spread    their standard deviation over the posterior's, both pooled over the entries; 1 is exact
        coverage  share of x0's entries in the central 90 % of theirs; 0.9 is exact for many restorations
        modes     total variation, 0 to 1, between their shares of the prior's components and the
                  posterior's weights; each counts for component j with its p(j | x)
        """
        truth, low_high = self.x0.flatten(1), torch.tensor([0.05, 0.95]).to(x)
        mean, weights = (
            torch.stack(parts) for parts in zip(*((p.mean(), p.weights) for p in self.posteriors))
        )
        variance = torch.stack([p.total_variance() for p in self.posteriors])
        low, high = x.quantile(low_high, 1)
        shares = torch.stack([self.prior.log_joint(some, 1.0).softmax(1).mean(0) for some in x])
        return {
            "mean": (x.mean(1) - mean).square().mean(1).sqrt(),
            "spread": (x.var(1).sum(1) / variance).sqrt(),
            "coverage": ((low <= truth) & (truth <= high)).double().mean(1),
            "modes": (shares - weights).abs().sum(1) / 2,
        }


def denoising_errors(prior, schedule, count, generator=None):
    """||x_0 - E[x_0 | x_k]||^2 at k = 1, ..., t for ``count`` draws x_0 of a prior; (t, count).

    Their mean at k is the trace of Cov[x_0 | x_k], on average over x_k.
    """
    x0 = prior.sample(count, generator)
    z = torch.randn(x0.shape, generator=generator, dtype=x0.dtype)
    guesses = (prior.denoise(a**0.5 * x0 + (1 - a) ** 0.5 * z, a) for a in schedule.alpha_bar[1:])
    return torch.stack([(guess - x0).square().sum(1) for guess in guesses])


def sliced_wasserstein(x, exact, generator=None, projections=128):
    """Distance of the law of x from that of ``exact``, in the units of one entry; (B,).

    x (B, count, n), exact (B, a multiple of count, n): draws of both. They are projected on random unit
    vectors; the root of the mean squared distance between the sorted projections is 0 for equal laws.
    """
    d = torch.randn(x.shape[-1], projections, generator=generator, dtype=x.dtype)
    d = d / d.norm(dim=0)
    ours = (x @ d).sort(1).values[:, :, None]
    theirs = (exact @ d).sort(1).values.reshape(len(x), x.shape[1], -1, projections)
    return (ours - theirs).square().mean((1, 2, 3)).sqrt()


def energy_distance(x, exact):
    """2 E||X - Y|| - E||X - X'|| - E||Y - Y'||, over sqrt(n): 0 for equal laws, else positive; (B,).

    x (B, count, n) and exact (B, more, n): draws of X and of Y, 2 or more (Szekely and Rizzo 2013). On
    average over draws it is right for any number of them, so it does not favour draws that vary too little.
    """
    apart = lambda a, b, pairs: torch.cdist(a, b).sum((1, 2)) / pairs
    p, q, n = x.shape[1], exact.shape[1], x.shape[2]
    within = apart(x, x, p * (p - 1)) + apart(exact, exact, q * (q - 1))
    return (2 * apart(x, exact, p * q) - within) / n**0.5


@dataclass(frozen=True)
class Sweep:
    """A problem's pictures restored with every zeta and switch k, lam = 1, against the exact posterior.

    exact     (B, 8 draws, n) draws of each posterior; floor (B, draws, n), as many as of the restorations
    far       {(zeta, k): (B,)}, ``sliced_wasserstein`` between restorations and ``exact``
    curves    {zeta: (t - 1, B draws)}, ``collapse.consecutive_psnr`` of DPS's guesses
    zeta      {k: B settings}; each half of the pictures has the one that is best for the other half
    tuned     {k: (B,)}, ``far`` with these zetas; restored {k: (B, draws, n)}, the restorations
    """

    problem: Problem
    exact: torch.Tensor
    floor: torch.Tensor
    far: dict
    curves: dict
    zeta: dict
    tuned: dict
    restored: dict

    @classmethod
    def run(cls, problem, schedule, zetas, switches, draws, seed=0):
        """``draws`` restorations of each picture. Raises ValueError for fewer than 2 pictures."""
        g = torch.Generator().manual_seed(seed)
        exact, floor = problem.sample(8 * draws, g), problem.sample(draws, g)
        ends, curves = problem.hybrids(schedule, zetas, (1.0,), switches, draws, g)
        distance = lambda x: sliced_wasserstein(x, exact, torch.Generator().manual_seed(seed))
        far = {(zeta, k): distance(x) for (zeta, k, _), x in ends.items()}
        zeta = {k: best_of_other_half({z: far[z, k] for z in zetas}) for k in switches}
        tuned = {k: torch.stack([far[z, k][i] for i, z in enumerate(zeta[k])]) for k in switches}
        restored = {k: torch.stack([ends[z, k, 1.0][i] for i, z in enumerate(zeta[k])]) for k in switches}
        return cls(problem, exact, floor, far, curves, zeta, tuned, restored)


def best_of_other_half(distances):
    """For each picture the setting that is best, on average, for the other half of the pictures.

    distances {setting: (B,)}. Returns B settings. So none is chosen on the picture it serves.
    Raises ValueError for fewer than 2 pictures.
    """
    B = len(next(iter(distances.values())))
    if B < 2:
        raise ValueError(f"distances: of {B} picture; choosing on other pictures needs at least 2")
    best = lambda pictures: min(distances, key=lambda setting: distances[setting][pictures].mean())
    return [best(slice(B // 2, B))] * (B // 2) + [best(slice(B // 2))] * (B - B // 2)


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
