"""Which settings suit the methods of page 14: one for all tasks, chosen on tuning faces at 20 passes.

For the methods of others the settings of their authors stand in the grid; for DPS, DMPS and the hybrid factors of
the step sizes that were tuned at 100 steps; for the book's own closed forms also the spacing of the steps, and a
gradient in the first part of them. Passes that are not back-propagated are in bfloat16. ``chosen`` names the
setting of each method that did best over all tasks.
"""

import argparse
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise, product
from pathlib import Path

import torch
from diffusers.utils.torch_utils import randn_tensor
from tqdm import tqdm

from frugal import RestorationPipeline, images
from frugal.base import checks, provenance
from frugal.runs import restore
from frugal.samplers.closed_form import centred_step
from frugal.base.devices import choose
from frugal.guidance import centred_mean
from frugal.measurement import Measurement
from frugal.samplers import METHODS
from frugal.metrics import quality
from frugal.operators import TASKS
from frugal.samplers.others import pigdm_step
from frugal.samplers.poster import Denoise, Noise, Pair, dps_step, in_two_phases, keep
from frugal.schedule import Schedule
from frugal.settings import Settings
from frugal.samplers.spectral import spectral_mean

from . import record
from .tuning import SIGMA

PASSES = 20
FACTORS = (0.25, 0.5, 1.0, 2.0)
TIE = 0.01  # of the mean of log LPIPS over the tasks: settings this near to the lowest are judged by pSNR
DEPENDS = provenance.SAMPLING
OF_A_PRIOR = True


@dataclass(frozen=True)
class Setting:
    """A method with some of its arguments changed.

    factors  of the step sizes "zeta" and "lam" that were tuned at 100 steps
    spacing  1 spreads the steps evenly over the schedule, more puts more of them near the clean picture
    first    a method with a gradient, and the share of the steps, from pure noise on, that are its; or "collapse"
    """

    method: str
    changes: dict[str, float] = field(default_factory=dict)
    factors: dict[str, float] = field(default_factory=dict)
    spacing: float = 1.0
    first: tuple[str, float | str] | None = None

    @property
    def name(self) -> str:
        """As the rows have it: what is changed, "" for nothing."""
        own = {"spacing": self.spacing} if self.spacing != 1 else {}
        own |= {f"{self.first[0]} first": self.first[1]} if self.first else {}
        times = {f"{name} times": value for name, value in self.factors.items() if value != 1}
        return ", ".join(f"{name} {value}" for name, value in {**self.changes, **times, **own}.items())

    def steps(self, passes: int) -> int:
        """How many reverse steps cost so many passes, at least one; half of the steps for "collapse"."""
        share = METHODS[self.method].backprops(100, 50) / 100
        if self.first:
            share = self.first[1] if isinstance(self.first[1], float) else 0.5
        return max(1, round(passes / (1 + share)))


def grid(method: str, **values: Sequence[float]) -> list[Setting]:
    """Every combination of values of a method's arguments."""
    return [Setting(method, dict(zip(values, some))) for some in product(*values.values())]


def factors(method: str, **values: Sequence[float]) -> list[Setting]:
    """Every combination of factors of the step sizes that were tuned at 100 steps."""
    return [Setting(method, factors=dict(zip(values, some))) for some in product(*values.values())]


SETTINGS = (
    *factors("dps", zeta=FACTORS),
    *factors("dmps", lam=FACTORS),
    *factors("hybrid", zeta=FACTORS, lam=(0.25, 0.5, 1.0)),
    *grid("centred", eta=(0.5, 0.7, 0.85, 1.0)),
    *grid("spectral", eta=(0.5, 0.7, 0.85, 1.0)),
    *(Setting("spectral", spacing=spacing) for spacing in (1.25, 1.5)),
    *(
        Setting(late, first=(early, share))
        for late in ("centred", "spectral")
        for early in ("dps", "pigdm")
        for share in (0.25, 0.5, "collapse")
    ),
    *grid("relay", eta=(0.5, 0.7, 0.85, 1.0)),
    *grid("pigdm", eta=(0.2, 0.5, 0.85, 1.0)),
    *grid("ddrm", eta=(0.5, 0.7, 0.85, 1.0)),
    *grid("ddnm", eta=(0.5, 0.7, 0.85, 1.0)),
    *grid("diffpir", rho=(1.0, 2.5, 7.0, 20.0), eta=(0.1, 0.5, 1.0)),
    *grid("reddiff", weight=(0.1, 0.25, 0.5), rate=(0.1, 0.25, 0.5)),
    *grid("daps", ode=(1, 2, 5)),
    *grid("mpgd", scale=(3.0, 10.0, 30.0), eta=(0.5, 0.85, 1.0)),
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's arguments."""
    add = parser.add_argument
    add("--images", type=Path, required=True, help="folder of faces that no table uses")
    add("--limit", type=int, default=10, help="(default %(default)s)")
    add("--tasks", nargs="+", default=["sr4", "sr16", "inpaint-box"], help="(default %(default)s)")
    add("--seed", type=int, default=0)
    add("--prior", default=record.SHIPPED, help="(default %(default)s)")


def settings(name: str) -> dict[str, object]:
    """What the numbers depend on beside the arguments."""
    return {"sigma": SIGMA, "passes": PASSES, "grid": [f"{s.method}: {s.name}" for s in SETTINGS]}


def measure(args: argparse.Namespace) -> dict:
    """{"meta", "chosen": {method: name}, "rows": [{"method", "setting", "task", "passes", "psnr", "lpips"}]}.

    The numbers of a row are means over the faces.
    """
    for task in args.tasks:
        checks.one_of("tasks", task, TASKS)
    pipe = RestorationPipeline.from_pretrained(args.prior).to(choose(args.device)).speed_up()
    paths = images.find(args.images)[: args.limit]
    x0 = torch.stack([images.load(path, pipe.size) for path in paths])
    digests = [images.digest(x) for x in x0]
    meta = record.stamp(args, pipe, DEPENDS, **settings(args.name), pictures=digests)
    rows = record.kept(args.out, meta).get("rows", [])
    done = {(row["method"], row["setting"], row["task"]) for row in rows}
    for setting, task in tqdm(list(product(SETTINGS, args.tasks)), desc="settings"):
        if (setting.method, setting.name, task) not in done:
            x, passes = restored(pipe, x0, task, setting, PASSES, SIGMA, args.seed)
            scores = quality(x, x0) | {"passes": passes}
            means = {name: round(sum(scores[name]) / len(x0), 5) for name in ("passes", "psnr", "lpips")}
            rows.append({"method": setting.method, "setting": setting.name, "task": task, **means})
            record.write(record.part(args.out), {"meta": meta, "rows": rows})
    return {"meta": meta, "chosen": chosen(rows), "rows": rows}


def chosen(rows: Sequence[dict]) -> dict[str, str]:
    """{method: setting} with the lowest mean over the tasks of log LPIPS, within ``TIE`` of it the highest pSNR.

    Settings with another spacing or a gradient first are not among them: they are no arguments of a method.
    """
    names = {s.name for s in SETTINGS if s.spacing == 1 and not s.first}
    total: dict[str, dict[str, list[float]]] = {}
    for row in rows:
        if row["setting"] in names:
            both = total.setdefault(row["method"], {}).setdefault(row["setting"], [0.0, 0.0])
            both[0] += math.log(row["lpips"])
            both[1] += row["psnr"]
    tasks = len({row["task"] for row in rows})
    best = {}
    for method, found in total.items():
        lowest = min(lpips for lpips, _ in found.values())
        those = [name for name, (lpips, _) in found.items() if lpips <= lowest + TIE * tasks]
        best[method] = max(those, key=lambda name: found[name][1])
    return best


def restored(
    pipe: RestorationPipeline,
    x0: torch.Tensor,
    task: str,
    setting: Setting,
    passes: int,
    sigma: float,
    seed: int,
    draw: int = 0,
) -> tuple[torch.Tensor, list[int]]:
    """What a method with a setting makes of faces x0 (B, C, H, W), with ``restore.restore``'s noise; on the CPU.

    Another ``draw`` has other noise for the sampler, from the same measurement. With it the passes that each
    picture took, all steps and those that were back-propagated.
    """
    m, kind = pipe.fitting(restore.measure(x0, task, sigma, seed)), METHODS[setting.method]
    schedule = spaced(pipe, setting.steps(passes), setting.spacing)
    done = pipe.complete(Settings(schedule.t), setting.method, task)
    own = pipe.arguments(setting.method, done, schedule, m.A.image_shape) | setting.changes
    own |= {name: own[name] * factor for name, factor in setting.factors.items()}
    generators = restore.generators(seed + draw, x0, "sampler")
    noise = lambda: randn_tensor(x0.shape, generators, m.y.device)
    denoise = pipe.denoiser(schedule)
    if setting.first:
        x, backprops = first(pipe, denoise, schedule, m, noise, setting, own)
    else:
        x, backprops = kind.sample(denoise, schedule, m, noise, **own)
    return x.cpu(), [schedule.t + b for b in backprops.tolist()]


def first(
    pipe: RestorationPipeline,
    denoise: Denoise,
    schedule: Schedule,
    m: Measurement,
    noise: Noise,
    setting: Setting,
    own: dict,
) -> Pair:
    """The method of ``setting.first`` and then a closed form, each with eta = 1."""
    name, share = setting.first
    zeta = pipe.step_sizes.of(m.A.name, 0, schedule.t)["zeta"]
    early = {
        "dps": lambda k, x, z, m: dps_step(denoise, schedule, k, x, z, m, zeta),
        "pigdm": lambda k, x, z, m: pigdm_step(denoise, schedule, k, x, z, m, 1.0),
    }[name]
    mean_of = {
        "centred": lambda k, x0_hat, m: centred_mean(x0_hat, m, own["spread"][k]),
        "spectral": lambda k, x0_hat, m: spectral_mean(x0_hat, m, own["spectrum"][k].to(x0_hat.device)),
    }[setting.method]

    def late(k: int, x: torch.Tensor, z: torch.Tensor, m: Measurement) -> Pair:
        return centred_step(denoise, schedule, k, x, z, lambda k, x0_hat: mean_of(k, x0_hat, m), 1.0)

    switch = share if isinstance(share, str) else schedule.t - round(schedule.t * share)
    return in_two_phases(early, late, schedule, m, noise, switch, keep)


def spaced(pipe: RestorationPipeline, steps: int, power: float) -> Schedule:
    """``Schedule.from_scheduler`` with the steps at T (i / t)^power; 1 is the library's own."""
    if power == 1 or steps == 1:
        return Schedule.from_scheduler(pipe.scheduler, steps)
    T = len(pipe.scheduler.alphas_cumprod)
    every = Schedule.from_scheduler(pipe.scheduler, T)
    kept = [1 + round((T - 1) * (i / (steps - 1)) ** power) for i in range(steps)]
    alpha_bar = [1.0, *(every.alpha_bar[k] for k in kept)]
    alpha = [1.0, *(b / a for a, b in pairwise(alpha_bar))]
    return Schedule(
        timestep=(None, *(every.timestep[k] for k in kept)),
        alpha_bar=tuple(alpha_bar),
        alpha=tuple(alpha),
        beta=tuple(1 - a for a in alpha),
        s=tuple(((1 - a) / a) ** 0.5 for a in alpha_bar),
    )
