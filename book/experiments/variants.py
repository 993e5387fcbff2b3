"""The samplers as the papers and their code have them: each the library's own with one thing changed.

``book/fidelity.md`` explains the variants by name.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from diffusers.utils.torch_utils import randn_tensor
from torch.nn import functional as F

from frugal import RestorationPipeline, guidance, operators
from frugal.measurement import Measurement
from frugal.runs import chains
from frugal.samplers import poster
from frugal.samplers.walk import Denoise, Noise, Step, Stepped, last, walk
from frugal.schedule import Schedule

from . import behaviour
from .faces import SIGMA


@dataclass(frozen=True)
class Problem:
    """What a reverse step needs: faces x0 (B, C, H, W), their measurement m, and the step sizes.

    guess  (x_k, k) -> x0_hat as the network gives it
    clip   x0_hat -> x0_hat as the samplers use it
    """

    x0: torch.Tensor
    m: Measurement
    zeta: float
    lam: float
    schedule: Schedule
    guess: Denoise
    clip: Callable[[torch.Tensor], torch.Tensor]

    def denoise(self, x_k: torch.Tensor, k: int) -> torch.Tensor:
        """The guess as the samplers use it."""
        return self.clip(self.guess(x_k, k))

    def noise(self) -> torch.Tensor:
        """The measurement's own noise, of y's shape."""
        return self.m.y - self.m.A(self.x0)


Change = Callable[[Problem], Problem]
Maker = Callable[[Problem], Step]
Correction = Callable[[Problem, torch.Tensor, torch.Tensor], torch.Tensor]


def dps(p: Problem) -> Step:
    """The library's DPS step, Eq. 3g."""
    return poster.dps(p.denoise, p.schedule, p.zeta)


def dmps(p: Problem) -> Step:
    """The library's DMPS step, Eq. 4h."""
    return poster.dmps(p.denoise, p.schedule, p.lam)


def guided(correction: Correction) -> Maker:
    """DPS with another correction: (p, x_k, x0_hat before clipping) -> what is added to x'."""

    def maker(p: Problem) -> Step:
        def step(k: int, x_k: torch.Tensor, noise: Noise, m: Measurement) -> Stepped:
            with torch.enable_grad():
                x_k = x_k.detach().requires_grad_()
                x0_hat = p.guess(x_k, k)
                added = correction(p, x_k, x0_hat)
            x0_hat = p.clip(x0_hat.detach())
            return Stepped(p.schedule.ancestral(k, x_k.detach(), x0_hat, noise()) + added, x0_hat, 2)

        return step

    return maker


@guided
def pooled_norm(p: Problem, x_k: torch.Tensor, x0_hat: torch.Tensor) -> torch.Tensor:
    """One norm for the whole batch."""
    norm = torch.linalg.vector_norm(p.m.y - p.m.A(p.clip(x0_hat)))
    return -p.zeta * torch.autograd.grad(norm, x_k)[0]


@guided
def constant_weight(p: Problem, x_k: torch.Tensor, x0_hat: torch.Tensor) -> torch.Tensor:
    """The squared norm with one constant, which gives zeta's length to a residual of the noise's size."""
    gradient, norm = guidance.residual_gradient(x_k, p.clip(x0_hat), p.m)
    expected = p.m.sigma * p.m.y[0].numel() ** 0.5
    return -p.zeta * (norm / expected).reshape(-1, 1, 1, 1) * gradient


@guided
def around_clip(p: Problem, x_k: torch.Tensor, x0_hat: torch.Tensor) -> torch.Tensor:
    """The gradient of the guess before it is clipped."""
    return -p.zeta * guidance.residual_gradient(x_k, x0_hat, p.m)[0]


def residual_at_x_prime(p: Problem) -> Step:
    """Eq. 6 at the stepped picture x', with the noise level of x_k."""
    S = p.schedule

    def step(k: int, x_k: torch.Tensor, noise: Noise, m: Measurement) -> Stepped:
        x0_hat = p.denoise(x_k, k)
        x_prime = S.ancestral(k, x_k, x0_hat, noise())
        score = guidance.dmps_score(x_prime, m, S.alpha_bar[k])
        return Stepped(x_prime + p.lam * S.beta[k] / S.alpha[k] ** 0.5 * score, x0_hat)

    return step


def wider_noise(p: Problem) -> Step:
    """Reverse noise of variance beta_k, the widest that a learned variance may take."""
    alpha_bar, as_it_is = p.schedule.alpha_bar, dps(p)

    def step(k: int, x_k: torch.Tensor, noise: Noise, m: Measurement) -> Stepped:
        widen = ((1 - alpha_bar[k]) / (1 - alpha_bar[k - 1])) ** 0.5 if k > 1 else 1
        return as_it_is(k, x_k, lambda: widen * noise(), m)

    return step


def unclipped(p: Problem) -> Problem:
    """No clip of the guess."""
    return replace(p, clip=lambda x0_hat: x0_hat)


def doubled_sigma(p: Problem) -> Problem:
    """sigma in units of [0, 1] pictures: twice as much in those of [-1, 1]."""
    return replace(p, m=Measurement(p.m.A(p.x0) + 2 * p.noise(), p.m.A, 2 * p.m.sigma))


def cubic(p: Problem) -> Problem:
    """Super-resolution that averages with a cubic kernel, not over blocks.

    Only A itself is cubic and used: its U and V are not those of a singular value decomposition.
    """
    factor = p.m.y.shape[-1] / p.x0.shape[-1]
    ones = torch.ones_like(p.m.A.singular_values)
    shrink = lambda x: F.interpolate(x, scale_factor=factor, mode="bicubic", antialias=True).flatten(1)
    A = replace(p.m.A, singular_values=ones, Vt=shrink)
    return replace(p, m=replace(p.m, y=A(p.x0) + p.noise(), A=A))


def noise_on_hidden(p: Problem) -> Problem:
    """Inpainting as the identity with singular values 1 and 0, and noise on every pixel."""
    V = p.m.A.V
    seen = V(torch.ones_like(p.m.y[:1]))
    everywhere = torch.randn(p.x0.shape, generator=torch.Generator().manual_seed(0)).to(p.x0)
    A = operators.make("denoise", p.m.A.image_shape)
    A = replace(A, singular_values=seen.flatten().cpu().double())
    return replace(p, m=Measurement(V(p.m.y) + p.m.sigma * (1 - seen) * everywhere, A, p.m.sigma))


def tiled_singular_values(p: Problem) -> Problem:
    """A blur whose sorted singular values are laid out as (C, HW) where its coefficients are (HW, C)."""
    C = p.m.A.image_shape[0]
    values = p.m.A.singular_values.reshape(C, -1)[0].round(decimals=9)
    # Stable, so that equal ones stay in their order on every processor.
    values, order = values.sort(descending=True, stable=True)
    tiled = torch.empty(C, len(values)).to(values)
    tiled[:, order] = values.repeat(C).reshape(-1, C).T
    A = replace(p.m.A, singular_values=tiled.flatten())
    return replace(p, m=replace(p.m, y=A(p.x0) + p.noise(), A=A))


@dataclass(frozen=True)
class Variant:
    """A run: its name (the reference's own where the library is measured), the method it is a variant of,
    its task, what makes its step, and what it changes in the problem."""

    name: str
    reference: str
    task: str
    maker: Maker
    change: Change = lambda p: p


VARIANTS = (
    Variant("dps", "dps", "sr4", dps),
    Variant("doubled-zeta", "dps", "sr4", dps, lambda p: replace(p, zeta=2 * p.zeta)),
    Variant("constant-weight", "dps", "sr4", constant_weight),
    Variant("pooled-norm", "dps", "sr4", pooled_norm),
    Variant("around-clip", "dps", "sr4", around_clip),
    Variant("no-clip", "dps", "sr4", dps, unclipped),
    Variant("published-zeta", "dps", "sr4", dps, lambda p: replace(p, zeta=0.3)),
    Variant("wider-noise", "dps", "sr4", wider_noise),
    Variant("cubic", "dps", "sr4", dps, cubic),
    Variant("dps", "dps", "inpaint-box", dps),
    Variant("noise-on-hidden", "dps", "inpaint-box", dps, noise_on_hidden),
    Variant("dmps", "dmps", "sr4", dmps),
    Variant("residual-at-x-prime", "dmps", "sr4", residual_at_x_prime),
    Variant("theory-lambda", "dmps", "sr4", dmps, lambda p: replace(p, lam=1.0)),
    Variant("sigma-of-0-1", "dmps", "sr4", dmps, doubled_sigma),
    Variant("dmps", "dmps", "deblur", dmps),
    Variant("tiled-blur", "dmps", "deblur", dmps, tiled_singular_values),
)


def problem(
    pipe: RestorationPipeline, task: str, x0: torch.Tensor, steps: int, seed: int, sigma: float
) -> Problem:
    """The task's measurements of faces x0 (B, C, H, W), as ``restore.restore`` makes them."""
    config = pipe.scheduler.config
    bound = config.clip_sample_range if config.clip_sample else math.inf
    bare = RestorationPipeline(pipe.unet, pipe.scheduler.from_config(config, clip_sample=False))
    schedule = Schedule.from_scheduler(pipe.scheduler, steps)
    return Problem(
        x0=x0.to(pipe.device),
        m=pipe.fitting(chains.measure(x0, task, sigma, seed)),
        zeta=pipe.step_sizes.of(task, 0, steps)["zeta"],
        lam=pipe.step_sizes.of(task, steps, steps)["lam"],
        schedule=schedule,
        guess=bare.denoiser(schedule),
        clip=lambda x0_hat: x0_hat.clamp(-bound, bound),
    )


def run(v: Variant, p: Problem, seed: int) -> torch.Tensor:
    """A variant with ``restore.restore``'s noise; restorations (B, C, H, W) on the CPU."""
    p, own = v.change(p), chains.generators(seed, p.x0, "sampler")
    noise = lambda: randn_tensor(p.x0.shape, own, p.x0.device)
    return last(walk(v.maker(p), p.schedule, p.m, noise)).x.cpu()


def every_variant() -> behaviour.Numbers:
    """What each variant does, see ``behaviour``."""
    (pipe, x0), found = behaviour.problem(), {}
    for v in VARIANTS:
        p = replace(problem(pipe, v.task, x0, 3, 0, SIGMA), zeta=200.0, lam=1.0)
        found[f"{v.task} {v.name}"] = behaviour.of(run(v, p, 0))
    return found
