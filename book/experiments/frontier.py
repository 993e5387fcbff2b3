"""Quality against passes through the network: every method, at the same budgets, on the same pictures.

A pass is a call of the network or a product with its Jacobian, so a step that back-propagates costs two. Every
method has one setting for all tasks and budgets, the one that ``search`` has chosen on other faces; DPS, DMPS and
the hybrid have step sizes by task too. Passes that are not back-propagated are in bfloat16. What stands in
``MANY`` restores many faces, every method the first ``--limit`` pictures of each of ``CONDITIONS``, and with the
passes of ``FURTHER`` a few. The best method and DPS at full length restore those of ``UNSEEN``. The table ``unturned``
has the best method on ``MANY``'s first faces without turned noise.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from statistics import fmean
from typing import Any

import torch

from frugal import images
from frugal.metrics import METRICS
from frugal.photo import damage
from frugal.runs import chains
from frugal.samplers import BEST, METHODS

from . import stamp
from .engine import Job, Pictures, Run, rows
from .faces import SIGMA
from .search import SETTINGS, Setting, restored

LONG = 200  # passes of DPS with its hundred steps
MANY = ((BEST, 20, 200), (BEST, 40, 200), (BEST, 10, 200))  # (method, passes, faces), ...
CONDITIONS = (  # pictures, sigma, budgets in passes
    ("faces", SIGMA, (20, 10, 40, 5)),
    ("faces", 0.05, (20,)),
    ("out_of_distribution", SIGMA, (20,)),
)
UNSEEN = 100, ("inpaint-random", "deblur"), 0.05  # faces; the tasks and the sigma that no search saw
COMPARED = [name for name in METHODS if name != "daps"]  # which takes several passes a step
FURTHER = 8, (80,)  # faces, the first of them, and more passes for every method
DRAWN_TWICE = ("faces", SIGMA, 20)  # where every picture is drawn a second time, from the same measurement
UNTURNED = 1e3  # above every level: as ``turned``, noise is never turned
CHOSEN: dict[str, str] = stamp.content(stamp.FOLDER / "search.json").get("chosen", {})  # method: setting


def setting(method: str, passes: int) -> Setting:
    """The chosen one, or without a search the method's own; at full length, where step sizes were tuned, too."""
    name = CHOSEN.get(method, "") if passes != LONG else ""
    return next((s for s in SETTINGS if (s.method, s.name) == (method, name)), Setting(method))


def runs(job: Job) -> Iterator[Run]:
    """The few methods on many faces first, then all of them, budget by budget, then the best with no noise turned."""
    strange = images.named("out_of_distribution", job.pipe.size)
    of = {"faces": job.read(job.args.images, None), "out_of_distribution": strange}

    def run(
        pictures: str, sigma: float, own: Setting, passes: int, count: int, task: str, table: str = "rows"
    ) -> Run:
        fields = {"pictures": pictures, "sigma": sigma, "task": task, "method": own.method, "passes": passes}
        some = dict(list(of[pictures].items())[:count])
        return Run(fields, some, partial(rows_of, job, own, fields), table=table)

    for pictures, sigma, method, passes, count, tasks in asked(job.args.limit, job.args.tasks):
        yield from (run(pictures, sigma, setting(method, passes), passes, count, task) for task in tasks)
    (method, passes, count), *_ = MANY
    unturned = Setting(method, {"turned": UNTURNED})
    yield from (run("faces", SIGMA, unturned, passes, count, task, "unturned") for task in job.args.tasks)


def asked(limit: int, tasks: Sequence[str]) -> Iterator[tuple[str, float, str, int, int, Sequence[str]]]:
    """Pictures, sigma, method, passes, how many of the pictures, and tasks."""
    yield from (("faces", SIGMA, method, passes, faces, tasks) for method, passes, faces in MANY)
    for pictures, sigma, budgets in CONDITIONS:
        yield pictures, sigma, "dps", LONG, limit, tasks
        yield from ((pictures, sigma, m, passes, limit, tasks) for passes in budgets for m in COMPARED)
    few, budgets = FURTHER
    yield from (("faces", SIGMA, method, passes, few, tasks) for passes in budgets for method in COMPARED)
    count, others, noisier = UNSEEN
    for method, passes in (("dps", LONG), (BEST, 20)):
        yield "faces", SIGMA, method, passes, count, others
        yield "faces", noisier, method, passes, count, tasks


def rows_of(job: Job, own: Setting, fields: Mapping[str, Any], some: Pictures) -> list[dict]:
    """The rows of a method with a setting on some pictures; numbers are means over its ``draws``.

    residual  ||y - A x|| / (sigma sqrt(m)), 1 for the truth
    spread    ||x - x'|| / ||x - x0|| of a second draw x', 1 for draws of the posterior; under one condition, else None
    """
    x0 = torch.stack(list(some.values()))
    pictures, sigma, task, passes = (fields[name] for name in ("pictures", "sigma", "task", "passes"))
    m = chains.measure(x0, task, sigma, job.args.seed)
    count = 2 if (pictures, sigma, passes) == DRAWN_TWICE else 1
    draws = [restored(job.pipe, x0, task, own, passes, sigma, job.args.seed, i) for i in range(count)]
    spread = None
    if count == 2:
        (x, _), (other, _) = draws
        spread = ((x - other).flatten(1).norm(dim=1) / (x - x0).flatten(1).norm(dim=1)).tolist()

    def rows_of_one(x: torch.Tensor, taken: list[int]) -> list[dict]:
        beside = {"setting": own.name, "taken": taken, "residual": damage.residual(m, x), "spread": spread}
        return rows(some, {own.method: (x, {**beside, "draws": count})})

    means = map(averaged, zip(*(rows_of_one(*draw) for draw in draws)))
    short = lambda value: json.loads(f"{value:.6g}") if isinstance(value, float) else value
    return [{name: short(value) for name, value in row.items()} for row in means]


def averaged(same: Sequence[dict]) -> dict:
    """One row for several of a picture, which differ in what was measured."""
    numbers = [name for name in ("residual", *METRICS) if same[0][name] is not None]
    return {**same[0], **{name: fmean(row[name] for row in same) for name in numbers}}
