"""Choose the step sizes zeta and lam for each task and each switch k, by LPIPS on faces that no table uses.

The hybrid with k DMPS steps shares its DPS path with every other k, so the path is walked once and
branches where a k begins. All branches of a face get the same noise, which is the pipeline's own.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence

import torch

from frugal import metrics
from frugal.base import checks, files
from frugal.base.checks import Refusal
from frugal.metrics import METRICS
from frugal.prior.step_sizes import FILE, RULE, STEPS
from frugal.results.statistics import interval

from . import stamp
from .engine import Job, Run
from .faces import SIGMA, Faces

SWITCHES = (0, 5, 10, 25, 50, 75, 100)  # of 100 steps
CENTRES = {"sr4": 12.0, "sr16": 10.0, "inpaint-box": 3.0}  # of zeta's grid
CENTRE = 6.0  # of other tasks
ZETAS = 9  # values of zeta, each sqrt(2) times the one before
LAMS = (0.5, 1.0, 1.75)
TIE = 0.002  # of LPIPS

Key = tuple[int, float | None, float | None]  # k, zeta, lam


def runs(job: Job) -> Iterator[Run]:
    """Every task."""
    args, named = job.args, job.pictures()
    for k in args.switches:
        checks.whole("switches", k, 0, STEPS)
    x0 = torch.stack(list(named.values()))
    if metrics.quality(x0[:1], x0[:1])["lpips"] == [None]:
        raise Refusal("lpips: its weights are needed and not available; run python -m frugal.lpips_weights")
    for task in args.tasks:
        faces = lambda task=task: Faces.of(job.pipe, x0, task, args.steps, args.seed, SIGMA)
        tuned = lambda _, faces=faces, task=task: tune(faces(), x0, task, sorted(args.switches), args.batch)
        yield Run({"task": task}, named, tuned, whole=True)


def then(job: Job) -> dict[str, object]:
    """{"chosen": by task}, which become the prior's step sizes where ``--into`` names its folder."""
    tasks = dict.fromkeys(row["task"] for row in job.content["rows"])
    best = {task: chosen([row for row in job.content["rows"] if row["task"] == task]) for task in tasks}
    if job.args.into is not None:
        file = job.args.into / FILE
        files.write_json(file, {**stamp.content(file), "meta": job.content["meta"], "tuned": best})
    return {"chosen": best}


def grid(task: str) -> list[float]:
    """The values of zeta that are tried, at 100 steps."""
    centre = CENTRES.get(task, CENTRE)
    return [float(f"{centre * 2 ** ((i - ZETAS // 2) / 2):.4g}") for i in range(ZETAS)]


def tune(faces: Faces, x0: torch.Tensor, task: str, switches: Sequence[int], size: int) -> list[dict]:
    """A row for each setting, see ``row_of``, over the faces x0 (F, C, H, W).

    ``switches`` are k of 100 steps; zeta is that of 100 steps, None where k = 100, lam None where k = 0.
    ``size`` bounds the pictures in a call of the network.
    """
    t, stations = faces.schedule.t, {k: round(k * faces.schedule.t / STEPS) for k in switches}
    scores: dict[Key, list] = defaultdict(list)  # of each face a number for each metric

    for some in (slice(start, start + size) for start in range(0, len(x0), size)):

        def judge(k: int, zeta: float | None, lam: float | None, x: torch.Tensor) -> None:
            scores[k, zeta, lam] += zip(*metrics.quality(x.cpu(), x0[some]).values())

        for zeta in grid(task):
            reached = faces.dps(zeta * STEPS / t, {0, *stations.values()}, some)
            for k, station in stations.items():
                if k == 0:
                    judge(k, zeta, None, reached[0])
                elif k < STEPS:
                    for lam in LAMS:
                        judge(k, zeta, lam, faces.dmps(lam, reached[station], station, some))
        for lam in LAMS if STEPS in stations else ():
            judge(STEPS, None, lam, faces.dmps(lam, face=some))
    found = {key: torch.tensor(numbers) for key, numbers in scores.items()}
    return [row_of(task, key, found) for key in sorted(found, key=lambda key: [part or 0 for part in key])]


def row_of(task: str, key: Key, scores: dict[Key, torch.Tensor]) -> dict:
    """Means over the faces of scores (F, metrics), and what they differ by from DPS with the same zeta.

    A difference is [mean, low, high], paired.
    """
    k, zeta, lam = key
    means = dict(zip(METRICS, scores[key].mean(0).tolist()))
    row = {"task": task, "switch": k, "zeta": zeta, "lam": lam, **means}
    if zeta is not None and lam is not None and (0, zeta, None) in scores:
        gaps = (scores[key] - scores[0, zeta, None]).T.tolist()
        row["minus_dps"] = {name: interval(gap) for name, gap in zip(METRICS, gaps)}
    return row


def chosen(rows: Sequence[Mapping]) -> dict[str, dict[str, float]]:
    """{k: {"zeta", "lam"}} of one task: the lowest LPIPS, of those within ``TIE`` of it the highest pSNR.

    DPS gets lam, which it does not use, from the smallest k that has one, and DMPS zeta from the largest.
    """
    best = {}
    for k in sorted({row["switch"] for row in rows}):
        those = [row for row in rows if row["switch"] == k]
        lowest = min(row["lpips"] for row in those)
        best[k] = max((row for row in those if row["lpips"] <= lowest + TIE), key=lambda row: row["psnr"])
    lams = [row["lam"] for row in best.values() if row["lam"] is not None] or [RULE["lam"]]
    zetas = [row["zeta"] for row in best.values() if row["zeta"] is not None] or [RULE["zeta"]]
    return {
        str(k): {"zeta": row["zeta"] or zetas[-1], "lam": lams[0] if row["lam"] is None else row["lam"]}
        for k, row in best.items()
    }
