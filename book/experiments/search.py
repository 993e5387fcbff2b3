"""Which settings suit the methods of page 14: one for all tasks, chosen on tuning faces at 20 passes.

For the methods of others the settings of their authors stand in the grid; for DPS, DMPS and the hybrid factors of
the step sizes that were tuned at 100 steps; for ``centred`` also a gradient in the first part of the steps. ``spectral``
is the library's own. Passes that are not back-propagated are in bfloat16. ``chosen`` names the
setting of each method that did best over all tasks.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import product
from typing import Any

import torch
from diffusers.utils.torch_utils import randn_tensor

from frugal import RestorationPipeline
from frugal.measurement import Measurement
from frugal.prior.step_sizes import STEPS
from frugal.runs import chains
from frugal.samplers import METHODS
from frugal.samplers.poster import when
from frugal.samplers.walk import Step, handover, last, walk
from frugal.schedule import Schedule
from frugal.settings import Settings

from .engine import Job, Pictures, Run, means
from .faces import SIGMA

PASSES = 20
FACTORS = (0.25, 0.5, 1.0, 2.0)
TIE = 0.01  # of the mean of log LPIPS over the tasks: settings this near to the lowest are judged by pSNR


@dataclass(frozen=True)
class Setting:
    """A method with some of its arguments changed.

    factors  of the step sizes that were tuned at 100 steps: of "lam", and of "zeta" times 100 / steps
    first    a method with a gradient, and the share of the steps, from pure noise on, that are its; or "collapse"
    """

    method: str
    changes: dict[str, float] = field(default_factory=dict)
    factors: dict[str, float] = field(default_factory=dict)
    first: tuple[str, float | str] | None = None

    @property
    def name(self) -> str:
        """As the rows have it: what is changed, "" for nothing."""
        own = {f"{self.first[0]} first": self.first[1]} if self.first else {}
        times = {f"{name} times": value for name, value in self.factors.items() if value != 1}
        return ", ".join(f"{name} {value}" for name, value in {**self.changes, **times, **own}.items())

    def steps(self, passes: int, scheduler: Any) -> int:
        """How many reverse steps cost so many passes, at least one; half of the steps for "collapse"."""
        if not self.first:
            return METHODS[self.method].within(passes, scheduler)
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
    *(
        Setting("centred", first=(early, share))
        for early in ("dps", "pigdm")
        for share in (0.25, 0.5, "collapse")
    ),
    *grid("relay", eta=(0.5, 0.7, 0.85, 1.0)),
    *grid("pigdm", eta=(0.2, 0.5, 0.85, 1.0)),
    *grid("ddrm", eta=(0.5, 0.7, 0.85, 1.0)),
    *grid("ddnm", eta=(0.5, 0.7, 0.85, 1.0)),
    *grid("diffpir", rho=(1.0, 2.5, 7.0, 20.0), eta=(0.1, 0.5, 1.0)),
    *grid("reddiff", weight=(0.1, 0.25, 0.5), rate=(0.1, 0.25, 0.5)),
    Setting("daps", {"ode": 1}),
    *grid("mpgd", scale=(3.0, 10.0, 30.0), eta=(0.5, 0.85, 1.0)),
)


GRID = [f"{s.method}: {s.name}" for s in SETTINGS]


def runs(job: Job) -> Iterator[Run]:
    """Every setting for every task; the numbers of its row are means over the faces."""

    def of(some: Pictures, setting: Setting, task: str) -> list[dict]:
        x0 = torch.stack(list(some.values()))
        x, passes = restored(job.pipe, x0, task, setting, PASSES, SIGMA, job.args.seed)
        scores = {"passes": sum(passes) / len(passes), **means(x, x0)}
        return [{name: round(value, 5) for name, value in scores.items()}]

    named = job.pictures()
    for setting in SETTINGS:
        for task in job.args.tasks:
            fields = {"method": setting.method, "setting": setting.name, "task": task}
            yield Run(fields, named, partial(of, setting=setting, task=task), whole=True)


def then(job: Job) -> dict[str, object]:
    """{"chosen"}."""
    return {"chosen": chosen(job.content["rows"])}


def chosen(rows: Sequence[Mapping]) -> dict[str, str]:
    """{method: setting} with the lowest mean over the tasks of log LPIPS, within ``TIE`` of it the highest pSNR.

    Settings with a gradient first are not among them: they are no arguments of a method.
    """
    names = {s.name for s in SETTINGS if not s.first}
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
    m, t = pipe.fitting(chains.measure(x0, task, sigma, seed)), setting.steps(passes, pipe.scheduler)
    schedule = pipe.schedule(setting.method, t)
    return walked(step_of(pipe, setting, schedule, m), schedule, m, x0, seed + draw)


def walked(
    step: Step, schedule: Schedule, m: Measurement, x0: torch.Tensor, seed: int
) -> tuple[torch.Tensor, list[int]]:
    """What a step makes of a measurement of faces x0 (B, C, H, W), and the passes; as ``restored``."""
    generators = chains.generators(seed, x0, "sampler")
    noise = lambda: randn_tensor(x0.shape, generators, m.y.device)
    end = last(walk(step, schedule, m, noise))
    return end.x.cpu(), end.passes.tolist()


def step_of(pipe: RestorationPipeline, setting: Setting, schedule: Schedule, m: Measurement) -> Step:
    """The step of a setting; after that of its ``first``, which has eta = 1, a closed form."""

    def made(method: str, factors: Mapping[str, float], **told: float) -> Step:
        tuned = pipe.complete(Settings(STEPS), method, m.A.name)
        sizes = {"zeta": (tuned.zeta or 0) * STEPS / schedule.t, "lam": tuned.lam or 0}
        own = {n: size * factors.get(n, 1) for n, size in sizes.items() if n in METHODS[method].parameters}
        done = pipe.complete(Settings(schedule.t), method, m.A.name)
        return pipe.step(method, done, schedule, m.A.image_shape, **own, **told)

    late = made(setting.method, setting.factors, **setting.changes)
    if not setting.first:
        return late
    name, share = setting.first
    early = made(name, {}, **({} if "zeta" in METHODS[name].parameters else {"eta": 1.0}))
    switch = share if isinstance(share, str) else schedule.t - round(schedule.t * share)
    return handover(early, late, when(switch))
