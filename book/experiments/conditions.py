"""The hybrid against DPS under other conditions: tasks, numbers of steps, noise of the measurement.

For each condition the step zeta is chosen on faces of their own, for DPS and for each switch, by the rule of
``tuning``; then other faces judge, with rows as in ``switches``. The last 23 or 50 % of the steps are DMPS.
"""

from collections.abc import Iterator, Mapping
from typing import NamedTuple

import torch

from frugal.base import checks
from frugal.prior.step_sizes import STEPS

from .engine import Job, Pictures, Run, means, rows
from .faces import faces_of
from .switches import against_dps
from .tuning import CENTRE, CENTRES, chosen


class Condition(NamedTuple):
    """What is restored: a task, t reverse steps, and the noise sigma."""

    task: str
    steps: int
    sigma: float

    @property
    def name(self) -> str:
        """As the rows have it."""
        return f"{self.task}, t = {self.steps}, sigma = {self.sigma:g}"

    @property
    def switches(self) -> dict[str, int]:
        """{per cent: k} of the two hybrids."""
        return {f"{round(100 * share)}": round(share * self.steps) for share in SHARES}

    @property
    def lam(self) -> float:
        """DMPS's step, by ``tuning``."""
        return LAMS.get(self.task, LAM)


CONDITIONS = (
    Condition("outpaint", 100, 0.01),
    Condition("sr4", 100, 0.05),
    Condition("sr4", 25, 0.01),
    Condition("sr4", 50, 0.01),
)
FACTORS = (0.5, 1.0, 2.0)  # of the centre of zeta's grid
SHARES = (0.23, 0.5)  # of the steps that are DMPS: the poster's noise on our pictures, and its half
LAMS = {"sr4": 1.75}
LAM = 1.0  # of other tasks


def runs(job: Job) -> Iterator[Run]:
    """Every condition; its zeta is chosen when it is met."""
    checks.whole("first", job.args.first, 1, len(CONDITIONS))
    tuning, judging = job.pictures("tuning"), job.pictures()
    for c in CONDITIONS[: job.args.first]:

        def of(some: Pictures, c: Condition = c) -> list[dict]:
            return judged(job, some, c, job.once(("chosen", c.name), lambda: tuned(job, tuning, c)))

        yield Run({"condition": c.name}, judging, of)


def tuned(job: Job, named: Pictures, c: Condition) -> dict[str, dict[str, float]]:
    """{k: {"zeta", "lam"}} for DPS, k = 0, and both hybrids, by ``tuning.chosen``."""
    faces, x0 = faces_of(job, named, c.task, c.steps, c.sigma), torch.stack(list(named.values()))
    found = []
    for factor in FACTORS:
        zeta, stations = (factor * CENTRES.get(c.task, CENTRE) * STEPS / c.steps, (0, *c.switches.values()))
        for k, x_k in faces.dps(zeta, stations).items():
            if k in stations:
                scores = means(faces.dmps(c.lam, x_k, k), x0)
                found.append({"switch": k, "zeta": zeta, "lam": c.lam, **scores})
    return chosen(found)


def judged(job: Job, some: Pictures, c: Condition, own: Mapping[str, Mapping[str, float]]) -> list[dict]:
    """The rows of one condition; lam is None where no step is DMPS."""

    sizes = lambda k: {"zeta": own[str(0 if k == c.steps else k)]["zeta"], "lam": c.lam}
    faces_at = lambda steps: faces_of(job, some, c.task, steps, c.sigma)
    restored = against_dps(faces_at, sizes, c.steps, c.switches, ["own"])
    found = rows(
        some, {m: (x, {"task": c.task, "sigma": c.sigma, **told}) for m, (x, told) in restored.items()}
    )
    return [row | ({} if row["switch"] else {"lam": None}) for row in found]
