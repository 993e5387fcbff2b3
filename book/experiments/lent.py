"""What the method on offer has beside its closed form, lent to the others: how levels lie, what noise does at first.

Every method of ``frontier.COMPARED`` has 20 passes and its setting of ``search``, ``alone`` and with a loan: levels
that lie as u^spacing and end where ``spectral``'s do; with these also new noise alone while the picture is undecided,
where a method has a share of new noise, and before that the noise turned, where its step is ``schedule.ddim``; and for
DPS, whose steps are few, Adam in place of zeta. Nothing is chosen here. All passes are in float32.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial

import torch

from frugal import RestorationPipeline
from frugal.guidance import residual_gradient
from frugal.runs import chains
from frugal.samplers import BEST, METHODS
from frugal.samplers.walk import below, handover
from frugal.schedule import ALL_NEW, TURNED

from .engine import Job, Pictures, Run, rows
from .faces import SIGMA
from .frontier import COMPARED, setting
from .search import PASSES, step_of, walked
from .variants import Maker, Problem, guided

OFFERED = METHODS[BEST]
# The eta with which a method keeps nothing of the old noise; ``ALL_NEW`` where its step is ``schedule.ddim``.
ALL_OF_ETA = {"centred": ALL_NEW, "pigdm": ALL_NEW, "mpgd": ALL_NEW, "ddrm": 1.0, "ddnm": 1.0}
SPACINGS = (OFFERED.spacing, 1.8)
RATES = (0.03, 0.1, 0.3)
BETAS = 0.9, 0.99  # Adam's; of the square not the usual .999, for there are ten steps


@dataclass(frozen=True)
class Loan:
    """What a method gets: ``noise``, its eta above a level of ``spectral``'s, the lower first; ``rate`` is Adam's."""

    name: str
    spacing: float | None = None
    noise: tuple[tuple[str, float], ...] = ()
    rate: float | None = None


def loans(method: str) -> Iterator[Loan]:
    """Those of a method, the first is none."""
    yield Loan("alone")
    if method == BEST:
        return
    for spacing in SPACINGS:
        yield Loan(f"spacing {spacing}", spacing)
    if method in ALL_OF_ETA:
        new = "undecided", ALL_OF_ETA[method]
        yield Loan(f"spacing {SPACINGS[0]}, all noise new at first", SPACINGS[0], (new,))
        if ALL_OF_ETA[method] == ALL_NEW:
            turned = new, ("turned", TURNED)
            yield Loan(f"spacing {SPACINGS[0]}, noise turned, then new", SPACINGS[0], turned)
    if method == "dps":
        yield from (Loan(f"Adam {rate}", rate=rate) for rate in RATES)


def runs(job: Job) -> Iterator[Run]:
    """Every method with every loan, task by task."""
    named = job.pictures()
    for task in job.args.tasks:
        for method in COMPARED:
            for loan in loans(method):
                rows_of = partial(restored, job.pipe, task, method, loan, job.args.seed)
                yield Run({"task": task, "method": method, "loan": loan.name}, named, rows_of)


def restored(
    pipe: RestorationPipeline, task: str, method: str, loan: Loan, seed: int, named: Pictures
) -> list[dict]:
    """The rows of a method with a loan."""
    x0, line, own = torch.stack(list(named.values())), METHODS[method], setting(method, PASSES)
    if loan.spacing:
        line = replace(line, spacing=loan.spacing, lowest=OFFERED.lowest)
    m = pipe.fitting(chains.measure(x0, task, SIGMA, seed))
    schedule = line.schedule(pipe.scheduler, line.within(PASSES, pipe.scheduler))
    step = step_of(pipe, own, schedule, m)
    if loan.rate:
        problem = Problem(x0, m, 0.0, 0.0, schedule, pipe.denoiser(schedule), lambda x0_hat: x0_hat)
        step = with_adam(x0, loan.rate)(problem)
    for level, eta in loan.noise:
        early = step_of(pipe, replace(own, changes={**own.changes, "eta": eta}), schedule, m)
        step = handover(early, step, below(OFFERED.numbers[level], schedule))
    x, passes = walked(step, schedule, m, x0, seed)
    return rows(named, {method: (x, {"passes": passes})})


def with_adam(x0: torch.Tensor, rate: float) -> Maker:
    """DPS whose gradient goes through Adam (Kingma & Ba 2015): moves of one size, however few the steps; one walk."""
    added = torch.zeros_like(x0)
    adam = torch.optim.Adam([added], rate, BETAS)

    def correction(p: Problem, x_k: torch.Tensor, x0_hat: torch.Tensor) -> torch.Tensor:
        added.grad, _ = residual_gradient(x_k, x0_hat, p.m)
        with torch.no_grad():
            added.zero_()
        adam.step()
        return added.clone()

    return guided(correction)
