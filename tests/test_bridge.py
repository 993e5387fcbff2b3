"""The bridge to deepinv, against the package itself."""

import pytest
import torch
from diffusers import DDPMScheduler
from examples import seeded, small_pipe

from frugal import RestorationPipeline, guidance, operators, prior
from frugal.base import imports
from frugal.samplers import WITHOUT_SVD, others
from frugal.samplers.walk import last, walk
from frugal.schedule import Schedule

imports.mend_torchvision()
deepinv = pytest.importorskip("deepinv", reason="deepinv is not installed: pip install 'frugal[deepinv]'")

from frugal import deepinv_bridge  # noqa: E402

SHAPE, SIGMA = (3, 16, 16), 0.04
TASKS = ("denoise", "colorize", "sr4", "deblur", "inpaint-box")


def picture(seed=0, count=2):
    return torch.rand(count, *SHAPE, generator=seeded(seed), dtype=torch.float64) * 2 - 1


@pytest.mark.parametrize("task", TASKS)
def test_our_operators_are_linear_physics(task):
    A = operators.make(task, SHAPE)
    physics, x = deepinv_bridge.Physics(A, SIGMA), picture()
    assert abs(physics.adjointness_test(x)) < 1e-8
    assert torch.equal(physics.A(x), A(x))
    y, z = A(x), picture(1)
    by_solver = deepinv.physics.LinearPhysics.prox_l2(physics, z, y, 3.0, max_iter=500, tol=1e-12)
    assert (physics.prox_l2(z, y, 3.0) - by_solver).abs().max() < 1e-5


def test_ranges_are_converted_both_ways():
    A, x = operators.make("sr4", SHAPE), picture()
    physics = deepinv_bridge.Physics(A, SIGMA)
    y = physics.A(deepinv_bridge.unit(x))
    m = deepinv_bridge.measurement(y, A, SIGMA / 2)
    assert torch.allclose(m.y, A(x)) and m.sigma == SIGMA
    assert torch.allclose(deepinv_bridge.signed(deepinv_bridge.unit(x)), x)
    torch.manual_seed(0)  # deepinv's noise is the global generator's
    noisy = physics(deepinv_bridge.unit(torch.zeros(2000, *SHAPE)))
    assert (noisy - 0.5).std().item() == pytest.approx(SIGMA / 2, rel=0.02)


@pytest.mark.parametrize("kind", ["blur", "sampling", "hidden"])
def test_deepinvs_physics_are_our_operators(kind):
    physics = {
        "blur": lambda: deepinv.physics.BlurFFT(img_size=SHAPE, filter=torch.ones(1, 1, 3, 3) / 9),
        "sampling": lambda: deepinv.physics.Downsampling(img_size=SHAPE, factor=2, filter="gaussian"),
        "hidden": lambda: deepinv.physics.Inpainting(img_size=SHAPE, mask=0.5),
    }[kind]()
    A = deepinv_bridge.operator(physics, SHAPE)
    pipe = small_pipe(16)
    for sigma in (0.0, 0.05):
        m = A.measure(picture().float(), sigma)
        for method in WITHOUT_SVD:
            out = pipe(m, method, 4, zeta=1.0, lam=1.0, generator=seeded())
            assert out.images.isfinite().all() and out.images.dtype == torch.float32, method


def test_dmps_is_a_data_fidelity():
    """The gradient in u of [0, 1] pictures against Eq. 6 in x_k of [-1, 1] pictures: x_k = sqrt(alpha_bar) (2 u - 1)."""
    A, x = operators.make("deblur", SHAPE), picture()
    alpha_bar = 0.3
    s = ((1 - alpha_bar) / alpha_bar) ** 0.5
    y = A(picture(1))
    m = deepinv_bridge.Measurement(y, A, SIGMA)
    ours = guidance.dmps_score(alpha_bar**0.5 * x, m, alpha_bar)
    physics = deepinv_bridge.Physics(A, SIGMA)
    theirs = deepinv_bridge.DMPS().grad(
        deepinv_bridge.unit(x),
        physics.A(deepinv_bridge.unit(x)) * 0 + (y + A(torch.ones_like(x))) / 2,
        physics,
        s / 2,
    )
    assert torch.allclose(theirs, -2 * alpha_bar**0.5 * ours, atol=1e-9)


def test_dmps_runs_in_deepinvs_sampler():
    A = operators.make("sr4", SHAPE)
    physics, x = deepinv_bridge.Physics(A, SIGMA), deepinv_bridge.unit(picture().float())
    sampler = deepinv.sampling.PosteriorDiffusion(
        data_fidelity=deepinv_bridge.DMPS(),
        sde=deepinv.sampling.VarianceExplodingDiffusion(sigma_max=10.0),
        solver=deepinv.sampling.EulerSolver(timesteps=torch.linspace(1, 0.01, 30)),
        denoiser=deepinv.models.TVDenoiser(),
    )
    found = sampler(physics(x), physics)
    assert found.shape == x.shape and found.isfinite().all()


def test_faces64_is_a_denoiser_of_deepinv():
    """deepinv's wrapper around the shipped folder, against the guess of the pipeline."""
    theirs = deepinv.models.DiffusersDenoiserWrapper(mode_id=str(prior.SHIPPED / "faces64"))
    pipe = RestorationPipeline.from_pretrained()
    schedule = Schedule.from_scheduler(pipe.scheduler, 1000)
    x = torch.rand(1, 3, 64, 64, generator=seeded()) * 2 - 1
    with torch.no_grad():
        for k in (50, 400, 900):
            noisy = x + schedule.s[k] * torch.randn(x.shape, generator=seeded(k))
            ours = pipe.denoiser(schedule)(schedule.alpha_bar[k] ** 0.5 * noisy, k)
            found = theirs(deepinv_bridge.unit(noisy), schedule.s[k] / 2)
            assert (deepinv_bridge.signed(found) - ours).abs().max() < 1e-5


def linear_guess(schedule):
    """The guess of the prior N(0, 1/4 I), from x_k: any denoiser serves to compare samplers."""
    return lambda x, k: 0.25 / (0.25 + schedule.s[k] ** 2) * x / schedule.alpha_bar[k] ** 0.5


def test_diffpir_is_deepinvs():
    """Its chain on our levels, from its first state and its noise; its lambda is twice our rho, by the units."""
    A = operators.make("deblur", SHAPE)
    physics, y = deepinv_bridge.Physics(A, SIGMA), None
    y = physics.A(deepinv_bridge.unit(picture().float()))
    full = Schedule.from_scheduler(DDPMScheduler(beta_start=1e-4, beta_end=0.02), 1000)
    of_level = {}

    def denoiser(u, sigma):
        k = min(range(1, 1001), key=lambda k: abs(full.s[k] - 2 * float(sigma)))
        of_level[len(of_level)] = k
        return deepinv_bridge.unit(
            linear_guess(full)(full.alpha_bar[k] ** 0.5 * deepinv_bridge.signed(u), k).clamp(-1, 1)
        )

    theirs = deepinv.sampling.DiffPIR(
        denoiser, deepinv.optim.data_fidelity.L2(), max_iter=12, zeta=0.3, lambda_=7.0
    )
    torch.manual_seed(5)
    found = theirs(y, physics)
    levels = list(of_level.values())[::-1]  # k = 1 is the last level that is guessed at; nothing follows it
    alpha_bar = tuple(full.alpha_bar[k] for k in levels)
    own = Schedule(
        (None, *levels[1:]),
        alpha_bar,
        (1.0,) * len(levels),
        (0.0,) * len(levels),
        tuple(full.s[k] for k in levels),
    )
    torch.manual_seed(5)
    first = deepinv_bridge.signed(A.A_adjoint(y))
    s_t = own.s[-1]
    start = (first + (s_t**2 - SIGMA**2) ** 0.5 * torch.randn_like(first)) * full.alpha_bar[1000] ** 0.5
    noise = iter([start, *(torch.randn_like(first) for _ in range(len(levels) - 1))])
    guess = lambda x, k: linear_guess(full)(x, levels[k]).clamp(-1, 1)
    step, m = others.diffpir(guess, own, rho=3.5, eta=0.3), deepinv_bridge.measurement(y, A, SIGMA / 2)
    end = last(walk(step, own, m, noise.__next__))
    assert (end.x - deepinv_bridge.signed(found)).abs().max() < 1e-5


def test_ddrm_is_deepinvs():
    """On a mask, whose factors deepinv has square; it divides its noise by the square root of 2, and so do we here."""
    mask = (torch.arange(16) % 3 > 0).expand(16, 16)
    A = operators.make("inpaint", SHAPE, mask=mask)
    physics = deepinv.physics.Inpainting(img_size=SHAPE, mask=mask.float().expand(SHAPE))
    physics.noise_model = deepinv.physics.GaussianNoise(SIGMA)
    schedule = Schedule.from_scheduler(DDPMScheduler(), 8)
    x0 = picture(count=1).float()
    y = A(x0) + SIGMA * torch.randn(1, A.measurement_shape[0], generator=seeded(1))
    guess = linear_guess(schedule)

    def denoiser(x_bar, sigma):
        k = min(schedule.steps, key=lambda k: abs(schedule.s[k] - float(sigma)))
        return guess(schedule.alpha_bar[k] ** 0.5 * x_bar, k)

    sigmas = [schedule.s[k] for k in schedule.steps]
    torch.manual_seed(3)
    found = deepinv.sampling.DDRM(denoiser, sigmas=sigmas, eps=0.0)(A.V(y), physics)
    torch.manual_seed(3)
    z = [torch.randn_like(x0) / 2**0.5 for _ in schedule.steps]
    level = torch.where(mask.expand(SHAPE), (sigmas[0] ** 2 - SIGMA**2) ** 0.5, sigmas[0])
    start = schedule.alpha_bar[schedule.t] ** 0.5 * (A.V(y) + level * z[0])
    noise = iter([start, *z[1:], torch.zeros_like(x0)])
    end = last(
        walk(others.ddrm(guess, schedule), schedule, deepinv_bridge.Measurement(y, A, SIGMA), noise.__next__)
    )
    assert (end.x0_hat - found).abs().max() < 1e-5
