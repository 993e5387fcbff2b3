"""What the library's formulas do, as numbers: small problems, computed again.

A measured file keeps those that its experiment depends on. They stay the same where code is only moved or renamed,
and where a task or a method is added; they change where a formula does, in whatever module it stands, because every
task and every method is tried. So they say whether a file's numbers belong to the code in use.
"""

import math
from collections.abc import Collection, Iterable
from functools import cache

import torch
from diffusers import DDPMScheduler, UNet2DModel

from frugal import RestorationPipeline, collapse
from frugal.lpips_weights import LPIPSUnavailable
from frugal.metrics import METRICS, psnr
from frugal.operators import TASKS
from frugal.prior.step_sizes import RINGS, StepSizes
from frugal.runs import chains
from frugal.samplers import BEST, METHODS, POSTER
from frugal.schedule import PREDICTION_TYPES, Schedule, ddim, predicted_x0
from frugal.training import draw
from frugal.training.objective import level_shares, target, validation_loss

STEPS, SIGMA, ZETA, LAM = 3, 0.05, 10.0, 1.0
ENOUGH = {"spectral": 8}  # steps, to do at least once all that it does
# Of a number, or of 1 where it is smaller: what another processor or library rounds otherwise.
TOLERANCE = 1e-3
OWN = {"hybrid": {"a k": {"switch": 1}, "collapse": {"switch": "collapse"}}}  # runs of a method with a switch

Numbers = dict[str, list[float]]


def rounded(numbers: Iterable[float | torch.Tensor]) -> list[float]:
    """Five significant digits of each."""
    return [float(f"{float(n):.5g}") for n in numbers]


def of(x: torch.Tensor) -> list[float]:
    """Mean, root mean square, and one number from the middle, which tells where things are."""
    x = x.double().flatten()
    return rounded((x.mean(), x.square().mean().sqrt(), x[len(x) // 2]))


@cache
def problem() -> tuple[RestorationPipeline, torch.Tensor]:
    """A network that is not trained, and a picture (1, 3, 32, 32)."""
    generator = torch.Generator().manual_seed(0)
    down, up = ("DownBlock2D",), ("UpBlock2D",)
    unet = UNet2DModel(
        32,
        down_block_types=down,
        up_block_types=up,
        block_out_channels=(8,),
        norm_num_groups=4,
        layers_per_block=1,
    )
    for weight in unet.parameters():
        weight.data.normal_(0, 0.1, generator=generator)
    pipe = RestorationPipeline(unet.eval(), DDPMScheduler())
    pipe.set_progress_bar_config(disable=True)
    return pipe, torch.rand(1, 3, 32, 32, generator=generator) * 2 - 1


@cache
def tried(method: str) -> Numbers:
    """{"sr4 dps": [mean, root mean square and pSNR of the restoration], ...} of a method, for every task."""
    (pipe, x0), found, steps = problem(), {}, ENOUGH.get(method, STEPS)
    for task in TASKS:
        if task != "inpaint":  # which has no mask of its own
            m = chains.measure(x0, task, SIGMA)
            for name, own in OWN.get(method, {"": {}}).items():
                noise = chains.generators(0, x0, "sampler")
                x = pipe(m, method, steps, zeta=ZETA, lam=LAM, generator=noise, **own).images
                numbers = (x.mean(), x.square().mean().sqrt(), psnr(x, x0)[0] / 10)
                found[f"{task} {method} {name}".strip()] = rounded(numbers)
    return found


def restorations(methods: Collection[str]) -> Numbers:
    """``tried`` of several methods."""
    return {name: numbers for method in methods for name, numbers in tried(method).items()}


def poster() -> Numbers:
    """Restorations by the poster's methods."""
    return restorations(POSTER)


def best() -> Numbers:
    """Restorations by the method for whoever asks for none."""
    return restorations((BEST,))


def every_method() -> Numbers:
    """Restorations by all methods."""
    return restorations(METHODS)


def rivals() -> Numbers:
    """Restorations by all methods but the one of ``best``."""
    return restorations([method for method in METHODS if method != BEST])


@cache
def schedule() -> Numbers:
    """The noise levels of a few steps, evenly spaced and not, and what is computed with them."""
    (pipe, x0), found = problem(), {}
    for spacing in (1.0, 1.5):
        S = Schedule.from_scheduler(pipe.scheduler, 5, spacing)
        for name in ("alpha_bar", "alpha", "beta", "s"):
            found[f"{name}, spacing {spacing}"] = rounded(getattr(S, name))
        found[f"timestep, spacing {spacing}"] = rounded(t for t in S.timestep if t is not None)
        found[f"ancestral, spacing {spacing}"] = of(S.ancestral(3, x0, x0.flip(2), x0.flip(3)))
        found[f"ddim, spacing {spacing}"] = of(ddim(S, 3, x0, x0.flip(2), x0.flip(3), 0.5, 1))
    for kind in PREDICTION_TYPES:
        found[kind] = of(predicted_x0(x0, x0.flip(2), 0.3, kind))
    return found


def sizes() -> StepSizes:
    """Step sizes that are no prior's."""
    rows = {k: {"zeta": 6.0 + k, "lam": 1.0 + k / 100} for k in (0, 50, 100)}
    line = lambda factor: [[factor * (c + r + 1) for r in range(RINGS)] for c in range(3)]
    return StepSizes({"sr4": rows}, {0.01: 0.001, 1.0: 0.02}, {0.01: line(1e-4), 1.0: line(1e-2)})


def step_sizes() -> Numbers:
    """Step sizes for as many steps as they were tuned at, of a task that was tuned and of another."""
    return {task: rounded(sizes().of(task, 40, 100).values()) for task in ("sr4", "sr16")}


def left_open() -> Numbers:
    """Logarithms of the variances that a guess leaves open."""
    by_wave = sizes().left_open_by_wave(0.1, (3, 32, 32))
    levels = (0.001, 0.1, 9.0)
    return {"all": rounded(math.log(sizes().left_open(s2)) for s2 in levels), "by wave": of(by_wave.log())}


@cache
def collapses() -> Numbers:
    """The curve of Eq. 6a of guesses that come together, part and come together; and the two k of each picture."""
    moves = torch.tensor([[1.0, 1.0], [0.1, 1.0], [1.0, 0.1], [0.1, 0.1], [0.1, 0.1]])
    guesses = torch.cat([torch.zeros(1, 2), moves.cumsum(0)]).reshape(6, 2, 1, 1, 1).expand(6, 2, 3, 4, 4)
    curve = collapse.consecutive_psnr(list(guesses))
    return {
        "curve": rounded(curve.flatten()),
        "first": rounded(collapse.switch_from_curve(curve)),
        "settled": rounded(collapse.settled_from_curve(curve)),
    }


@cache
def metrics() -> Numbers:
    """Every metric of a picture against another; none where its weights are not on this machine."""
    (_, x0), found = problem(), {}
    for name, metric in METRICS.items():
        try:
            found[name] = rounded(metric.measure(x0, x0.unfold(2, 8, 8).mean(-1).repeat_interleave(8, 2)))
        except LPIPSUnavailable:
            found[name] = []
    return found


@cache
def training() -> Numbers:
    """The validation loss, what the network learns to predict, and how often each noise level comes."""
    (pipe, x0), t = problem(), torch.tensor([400])
    pixels = ((x0 + 1) * 127.5).byte()
    found = {"validation": rounded(validation_loss(pipe.unet, pipe.scheduler, pixels).values())}
    for kind in PREDICTION_TYPES:
        scheduler = DDPMScheduler(prediction_type=kind)
        found[f"target {kind}"] = of(target(scheduler, x0, x0.flip(2), t))
        found[f"shares {kind}"] = of(level_shares(scheduler, 5.0))
    return found


@cache
def drawing() -> Numbers:
    """Pictures that are drawn from noise alone."""
    pipe, _ = problem()
    return {"drawn": of(draw(pipe.unet, pipe.scheduler, 2, steps=4).clamp(-1, 1))}


def differing(then: Numbers, now: Numbers) -> list[str]:
    """Names of what does not behave as it did, or is no longer there; what could not be tried is not among them."""
    off = lambda a, b: abs(a - b) > TOLERANCE * max(1.0, abs(a))
    return [
        name
        for name, numbers in then.items()
        if name not in now
        or (numbers and now[name] and (len(numbers) != len(now[name]) or any(map(off, numbers, now[name]))))
    ]
