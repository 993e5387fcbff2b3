"""The hybrid against DPS under other conditions: tasks, numbers of steps, noise of the measurement.

For each condition the step zeta is chosen on ``--tuning`` faces, for DPS and for each switch on its own, by
the rule of ``tuning``; then other faces judge, with the rows of ``switches``: ``dps``, ``dmps``, ``same P``
(DPS's zeta; the last P % of the steps are DMPS), ``own P`` and, for half of the steps, ``equal P``: DPS with as
many passes through the network.
"""

import argparse
from pathlib import Path
from typing import NamedTuple

import torch
from tqdm import tqdm

from frugal import RestorationPipeline, images, metrics
from frugal.base import checks, provenance
from frugal.prior import step_sizes
from frugal.base.devices import choose
from frugal.metrics import METRICS
from frugal.show.page import rate

from . import record
from .tuning import CENTRE, CENTRES, Walk, chosen


class Condition(NamedTuple):
    """What is restored: a task, t reverse steps, and the noise sigma."""

    task: str
    steps: int
    sigma: float

    @property
    def name(self) -> str:
        """As the rows have it."""
        return f"{self.task}, t = {self.steps}, sigma = {self.sigma:g}"


CONDITIONS = (
    Condition("outpaint", 100, 0.01),
    Condition("sr4", 100, 0.05),
    Condition("sr4", 25, 0.01),
    Condition("sr4", 50, 0.01),
    Condition("inpaint-random", 100, 0.01),
    Condition("sr4", 100, 0.2),
    Condition("outpaint-half", 100, 0.01),
    Condition("sr4", 300, 0.01),
    Condition("inpaint-middle", 100, 0.01),
    Condition("outpaint-window", 100, 0.01),
    Condition("inpaint-box", 25, 0.01),
    Condition("inpaint-box", 100, 0.05),
)
FACTORS = (0.5, 1.0, 2.0)  # of the centre of zeta's grid
SHARES = (0.23, 0.5)  # of the steps that are DMPS: the poster's noise on our pictures, and its half
LAM = {"sr4": 1.75}
OTHER_LAM = 1.0  # of the other tasks; both by ``tuning``
DEPENDS = provenance.SAMPLING
OF_A_PRIOR = True


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's arguments."""
    add = parser.add_argument
    add("--tuning", type=Path, required=True, help="folder of faces that choose zeta")
    add("--images", type=Path, required=True, help="folder of faces that judge")
    add("--tuning-limit", type=int, default=6, help="(default %(default)s)")
    add("--limit", type=int, default=12, help="(default %(default)s)")
    add("--first", type=int, default=len(CONDITIONS), help="only so many of the conditions")
    add("--seed", type=int, default=0)
    add("--prior", default=record.SHIPPED, help="(default %(default)s)")


def settings(name: str) -> dict[str, object]:
    """What the numbers depend on beside the arguments."""
    return {"shares": SHARES, "factors": FACTORS, "module": record.digest(Path(__file__))}


def measure(args: argparse.Namespace) -> dict:
    """{"meta", "chosen": {condition: {k: {"zeta", "lam"}}}, "rows"}; kept condition by condition."""
    checks.whole("first", args.first, 1, len(CONDITIONS))
    pipe = RestorationPipeline.from_pretrained(args.prior).to(choose(args.device))
    tuning, judging = (
        {path.name: images.load(path, pipe.size) for path in images.find(folder)[:limit]}
        for folder, limit in ((args.tuning, args.tuning_limit), (args.images, args.limit))
    )
    digests = [images.digest(x) for x in tuning.values()]
    meta = record.stamp(args, pipe, DEPENDS, **settings(args.name), pictures=digests)
    content = {"meta": meta, "chosen": {}, "rows": []}
    content |= record.kept(args.out, meta, apart_from=["first"]) | {"meta": meta}
    for condition in tqdm(CONDITIONS[: args.first], desc="conditions"):
        if condition.name not in content["chosen"]:
            sizes = tuned(pipe, tuning, condition, args.seed)
            content["chosen"][condition.name] = sizes
            content["rows"] += judged(pipe, judging, condition, sizes, args.seed)
            record.write(record.part(args.out), content)
    return content


def walk_of(
    pipe: RestorationPipeline, named: dict[str, torch.Tensor], c: Condition, seed: int, steps: int
) -> Walk:
    """The samplers over these faces."""
    x0 = torch.stack(list(named.values())).to(pipe.device)
    return Walk.of(pipe, x0, c.task, steps, seed, c.sigma)


def switches(c: Condition) -> list[int]:
    """k of the two hybrids."""
    return [round(share * c.steps) for share in SHARES]


def tuned(
    pipe: RestorationPipeline, named: dict[str, torch.Tensor], c: Condition, seed: int
) -> dict[str, dict[str, float]]:
    """{k: {"zeta", "lam"}} for DPS, k = 0, and both hybrids, by ``tuning.chosen``."""
    walk, x0 = walk_of(pipe, named, c, seed, c.steps), torch.stack(list(named.values()))
    every, rows = torch.arange(len(x0), device=pipe.device), []
    full = lambda value: torch.full((len(x0),), value, device=pipe.device)
    lam = LAM.get(c.task, OTHER_LAM)
    for factor in FACTORS:
        zeta = factor * CENTRES.get(c.task, CENTRE) * step_sizes.STEPS / c.steps
        reached = walk.dps(every, full(zeta), switches(c))
        for k in (0, *switches(c)):
            x = walk.dmps(reached[k], k, every, full(lam))
            scores = metrics.quality(x.cpu(), x0)
            means = {name: sum(scores[name]) / len(x0) for name in METRICS}
            rows.append({"switch": k, "zeta": zeta, "lam": lam, **means})
    return chosen(rows)


def judged(
    pipe: RestorationPipeline,
    named: dict[str, torch.Tensor],
    c: Condition,
    sizes: dict[str, dict[str, float]],
    seed: int,
) -> list[dict]:
    """The rows of one condition."""
    walk, every = walk_of(pipe, named, c, seed, c.steps), torch.arange(len(named), device=pipe.device)
    full = lambda value: torch.full((len(named),), value, device=pipe.device)
    zeta, rows = sizes["0"]["zeta"], []

    def keep(method: str, x: torch.Tensor, steps: int, k: int, zeta: float, lam: float | None) -> None:
        own = {"task": c.task, "sigma": c.sigma, "steps": steps, "switch": k, "zeta": zeta, "lam": lam}
        rows.extend({**row, "condition": c.name, **own} for row in rate(named, method, x.cpu()))

    path = walk.dps(every, full(zeta), switches(c))
    keep("dps", path[0], c.steps, 0, zeta, None)
    lam = LAM.get(c.task, OTHER_LAM)
    keep("dmps", walk.dmps(walk.z[0], c.steps, every, full(lam)), c.steps, c.steps, zeta, lam)
    for k, share in zip(switches(c), SHARES):
        lam, own = sizes[str(k)]["lam"], sizes[str(k)]["zeta"]
        percent = round(100 * share)
        keep(f"same {percent}", walk.dmps(path[k], k, every, full(lam)), c.steps, k, zeta, lam)
        x_k = path[k] if own == zeta else walk.dps(every, full(own), [k], until=k)[k]
        keep(f"own {percent}", walk.dmps(x_k, k, every, full(lam)), c.steps, k, own, lam)
    fewer = c.steps - round(switches(c)[-1] / 2)  # a DPS step is two passes, a DMPS step is one
    zeta_e = zeta * c.steps / fewer
    short = walk_of(pipe, named, c, seed, fewer).dps(every, full(zeta_e), [])[0]
    keep(f"equal {round(100 * SHARES[-1])}", short, fewer, 0, zeta_e, None)
    return rows
