"""Which numbers suit the method on offer, by budget: found by optuna on tuning faces, the same for all tasks.

A trial restores the first ``FEW`` faces for every task, and is judged beside DPS with 200 passes on the same faces: by
the mean over the tasks of log LPIPS / DPS's, and a decibel of pSNR that is lost beyond ``SPARED`` counts as 1. The
``AGAIN`` best trials for all tasks, and for each, restore all faces, and the best of these are ``chosen``. The noise is
not turned here, and no wave drawn wider: ``turned`` and ``wider`` were chosen after the others, and with them.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch

from frugal import RestorationPipeline
from frugal.base.checks import Refusal
from frugal.metrics import quality
from frugal.results.statistics import interval
from frugal.runs import chains
from frugal.samplers import BEST, METHODS
from frugal.settings import Settings

from . import search
from .behaviour import of, problem
from .engine import Job
from .faces import SIGMA
from .frontier import LONG, UNTURNED

TRIALS = 16
FEW, AGAIN = 24, 2
SPARED = 0.1  # dB
SPACE = {  # name: (least, most), and whether values are drawn by their ratio
    "spacing": (1.2, 2.6, False),
    "lowest": (15.0, 85.0, False),
    "undecided": (0.5, 4.0, True),
    "least": (0.3, 2.0, True),
    "most": (2.0, 8.0, True),
    "eta": (0.7, 1.0, False),
    "power": (0.0, 2.0, False),
}
START = {name: float(value) for name, value in zip(SPACE, (1.24, 43, 0.74, 0.45, 3.5, 1, 1))}
Numbers = Mapping[str, float]
Scores = Mapping[str, Sequence[float]]  # {metric: one for each face}


def then(job: Job) -> dict[str, object]:
    """{"chosen": {passes: {"start", "all", or a task: {"numbers", and by task what they give minus DPS}}}}."""
    try:
        import optuna
    except ImportError:
        raise Refusal("optuna: is not installed; pip install optuna") from None
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    x0 = torch.stack(list(job.pictures().values()))
    full = {t: job.once(("full", t), lambda t=t: at_full_length(job, x0, t)) for t in job.args.tasks}
    return {"chosen": {passes: found_for(optuna, job, x0, full, passes) for passes in job.args.passes}}


def found_for(optuna: Any, job: Job, x0: torch.Tensor, full: Mapping[str, Scores], passes: int) -> dict:
    """{"start", "all", or a task: {"numbers": that did best, task: {metric: [mean, low, high] minus DPS, all faces}}}."""

    def judged(numbers: Numbers, task: str, x0: torch.Tensor) -> Scores:
        return quality(restored(job.pipe, x0, task, passes, numbers, job.args.seed), x0)

    def scored(numbers: Numbers, task: str, count: int) -> Scores:
        place = (f"{passes} passes", f"{task}, {count} faces, {as_text(numbers)}")
        return job.once(place, lambda: judged(numbers, task, x0[:count]))

    kinds = {"all": tuple(full), **{task: (task,) for task in full}}

    def loss(numbers: Numbers, kind: str, count: int) -> float:
        those = [beside(scored(numbers, task, count), full[task], count) for task in kinds[kind]]
        return sum(those) / len(those)

    study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=job.args.seed, multivariate=True))
    study.enqueue_trial(START)
    within = {
        name: optuna.distributions.FloatDistribution(least, most, log=by_ratio)
        for name, (least, most, by_ratio) in SPACE.items()
    }
    tried = []
    for _ in range(TRIALS):
        trial = study.ask(within)
        tried.append({name: float(f"{value:.3g}") for name, value in trial.params.items()})
        study.tell(trial, loss(tried[-1], "all", FEW))
    best = {"start": START}
    for kind in kinds:
        again = sorted(tried, key=lambda numbers: loss(numbers, kind, FEW))[:AGAIN]
        best[kind] = min(again, key=lambda numbers: loss(numbers, kind, len(x0)))
    beside_dps = lambda numbers, task: minus(scored(numbers, task, len(x0)), full[task])
    return {
        kind: {"numbers": numbers, **{t: beside_dps(numbers, t) for t in kinds.get(kind, kinds["all"])}}
        for kind, numbers in best.items()
    }


def minus(scores: Scores, full: Scores) -> dict[str, Sequence[float]]:
    """{metric: [mean, low, high]} of paired differences."""
    return {name: interval([a - b for a, b in zip(scores[name], full[name])]) for name in full}


def beside(scores: Scores, full: Scores, count: int) -> float:
    """What a task adds to the loss, over the first faces."""
    mean = lambda some, metric: sum(some[metric][:count]) / count
    lost = mean(full, "psnr") - SPARED - mean(scores, "psnr")
    return math.log(mean(scores, "lpips") / mean(full, "lpips")) + max(0.0, lost)


def as_text(numbers: Numbers) -> str:
    """ "spacing 1.6, lowest 50, ..."."""
    return ", ".join(f"{name} {value:g}" for name, value in numbers.items())


def at_full_length(job: Job, x0: torch.Tensor, task: str) -> Scores:
    """DPS with 100 steps on faces x0 (B, C, H, W)."""
    x, _ = search.restored(job.pipe, x0, task, search.Setting("dps"), LONG, SIGMA, job.args.seed)
    return quality(x, x0)


def restored(
    pipe: RestorationPipeline, x0: torch.Tensor, task: str, passes: int, numbers: Numbers, seed: int
) -> torch.Tensor:
    """What the method on offer makes of faces x0 (B, C, H, W) with other numbers; on the CPU."""
    m = pipe.fitting(chains.measure(x0, task, SIGMA, seed))
    told = {"asks": (numbers["least"], numbers["most"]), "turned": UNTURNED, "wider": 0.0}
    told |= {name: numbers[name] for name in ("undecided", "eta", "power")}
    spaced = {"spacing": numbers["spacing"], "lowest": round(numbers["lowest"])}
    method = replace(METHODS[BEST], **spaced, numbers=told)
    away = lambda t: abs(method.passes(pipe.scheduler, t) - passes)
    schedule = method.schedule(pipe.scheduler, min(range(passes, 0, -1), key=away))  # as many as come nearest
    done = pipe.complete(Settings(schedule.t), BEST, task)
    step = pipe.step(BEST, done, schedule, m.A.image_shape, **told)
    return search.walked(step, schedule, m, x0, seed)[0]


def from_the_start() -> dict[str, list[float]]:
    """What the search begins with, see ``behaviour``."""
    pipe, x0 = problem()
    return {task: of(restored(pipe, x0, task, 8, START, 0)) for task in ("sr4", "inpaint-box")}
