"""Choose the step sizes zeta and lam for each task and each switch k, by LPIPS on faces that no table uses.

The hybrid with k DMPS steps shares its DPS path with every other k, so the path is walked once and
branches where a k begins. All branches of a face get the same noise, which is the pipeline's own.
"""

import argparse
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from diffusers.utils.torch_utils import randn_tensor
from tqdm import tqdm

from frugal import RestorationPipeline, images, metrics
from frugal.base import checks, files, provenance
from frugal.runs import restore
from frugal.prior import step_sizes
from frugal.base.checks import Refusal
from frugal.base.devices import choose
from frugal.measurement import Measurement
from frugal.metrics import METRICS
from frugal.operators import TASKS
from frugal.samplers.poster import dmps_step, dps_step
from frugal.schedule import Schedule
from frugal.results.statistics import interval
from frugal.training.data import read_pictures

from . import record

SIGMA = 0.01
SWITCHES = (0, 5, 10, 25, 50, 75, 100)  # of 100 steps
CENTRES = {"sr4": 12.0, "sr16": 10.0, "inpaint-box": 3.0}  # of zeta's grid
CENTRE = 6.0  # of other tasks
ZETAS = 9  # values of zeta, each sqrt(2) times the one before
LAMS = (0.5, 1.0, 1.75)
TIE = 0.002  # of LPIPS
DEPENDS = provenance.SAMPLING
OF_A_PRIOR = True

Key = tuple[int, float | None, float | None]  # k, zeta, lam


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's arguments."""
    add = parser.add_argument
    add(
        "--images",
        type=Path,
        required=True,
        help="folder of faces, or a .npy file of uint8 (N, size, size, 3)",
    )
    add("--crop", type=int, help="side of the centred square to cut out, 140 for aligned CelebA")
    add("--limit", type=int, help="only the first so many faces")
    add("--tasks", nargs="+", default=list(CENTRES), help="(default %(default)s)")
    add(
        "--switches", nargs="+", type=int, default=list(SWITCHES), help="k of 100 steps (default %(default)s)"
    )
    add("--steps", type=int, default=step_sizes.STEPS, help="reverse steps (default %(default)s)")
    add("--seed", type=int, default=0)
    add("--prior", default="faces64", help="a shipped name or a folder (default %(default)s)")
    add("--batch", type=int, help="pictures in a call of the network (default 20, on a GPU 1024)")
    add("--into", type=Path, help=f"folder of the prior, for its {step_sizes.FILE} (default: not written)")


def settings(name: str) -> dict[str, object]:
    """What the choice depends on beside the arguments."""
    return {"sigma": SIGMA, "tie": TIE}


def measure(args: argparse.Namespace) -> dict:
    """Tune every task; what is done is written after each, and a second run goes on from there."""
    for task in args.tasks:
        checks.one_of("tasks", task, TASKS)
    for k in args.switches:
        checks.whole("switches", k, 0, step_sizes.STEPS)
    pipe = record.prior_alone(args.prior).to(choose(args.device))
    size = args.batch or (1024 if pipe.device.type == "cuda" else 20)
    x0 = read_pictures([args.images], pipe.size, args.crop)[: args.limit].float() / 127.5 - 1
    x0 = x0.to(pipe.device)
    if metrics.quality(x0[:1], x0[:1])["lpips"] == [None]:
        raise Refusal("lpips: its weights are needed and not available; run python -m frugal.lpips_weights")
    digests = [images.digest(x) for x in x0]
    meta = record.stamp(args, pipe, DEPENDS, **settings(args.name), pictures=digests)
    content = {"meta": meta, "rows": [], "chosen": {}}
    content |= record.kept(args.out, meta, apart_from=["tasks"]) | {"meta": meta}
    for task in args.tasks:
        if task not in content["chosen"]:
            walk = Walk.of(pipe, x0, task, args.steps, args.seed)
            rows = tune(walk, x0, task, sorted(args.switches), size)
            content["rows"] += rows
            content["chosen"][task] = chosen(rows)
        record.write(args.out, content)
        if args.into is not None:
            file = args.into / step_sizes.FILE
            files.write_json(file, {**record.content(file), "meta": meta, "tuned": content["chosen"]})
    return content


@dataclass(frozen=True)
class Walk:
    """Samplers over some of F measured faces at once, each picture with its own face and its own step sizes.

    pipe      the prior
    schedule  of t steps
    m         measurements of the F faces
    z         the faces' noises (t + 1, F, C, H, W): the start, then one a step, as the pipeline draws them
    """

    pipe: RestorationPipeline
    schedule: Schedule
    m: Measurement
    z: torch.Tensor

    @classmethod
    def of(
        cls,
        pipe: RestorationPipeline,
        x0: torch.Tensor,
        task: str,
        steps: int,
        seed: int,
        sigma: float = SIGMA,
    ) -> "Walk":
        """Measure faces x0 (F, C, H, W) and draw their noises."""
        schedule, own = (
            Schedule.from_scheduler(pipe.scheduler, steps),
            restore.generators(seed, x0, "sampler"),
        )
        z = torch.empty(steps + 1, *x0.shape, device=x0.device)
        for draw in z:
            draw.copy_(randn_tensor(x0.shape, own, x0.device))
        m = pipe.fitting(restore.measure(x0, task, sigma, seed))
        on_device = replace(m.A, singular_values=m.A.singular_values.to(m.y))
        return cls(pipe, schedule, replace(m, A=on_device), z)

    def dps(
        self, face: torch.Tensor, zeta: torch.Tensor, stations: Sequence[int], until: int = 0
    ) -> dict[int, torch.Tensor]:
        """x_k (B, C, H, W) of DPS at every k of ``stations`` and at ``until``, where it stops.

        For pictures of ``face`` (B,) with zeta (B,).
        """
        x, m, zeta, reached = self.z[0, face], self.m[face], zeta.reshape(-1, 1, 1, 1), {}
        denoise = self.pipe.denoiser(self.schedule)
        for k in range(self.schedule.t, until, -1):
            if k in stations:
                reached[k] = x
            z = self.noise(k, face)
            x, _ = dps_step(denoise, self.schedule, k, x, z, m, zeta)
        return {**reached, until: x}

    def dmps(self, x: torch.Tensor, switch: int, face: torch.Tensor, lam: torch.Tensor) -> torch.Tensor:
        """x_0 (B, C, H, W) of DMPS from x_k, k = switch, for pictures of ``face`` (B,) with lam (B,)."""
        m, lam, denoise = self.m[face], lam.reshape(-1, 1, 1, 1), self.pipe.denoiser(self.schedule)
        for k in range(switch, 0, -1):
            z = self.noise(k, face)
            x, _ = dmps_step(denoise, self.schedule, k, x, z, m, lam)
        return x

    def noise(self, k: int, face: torch.Tensor) -> torch.Tensor:
        """What the pictures of ``face`` (B,) get at step k, (B, C, H, W)."""
        return self.z[self.schedule.t - k + 1, face]


def grid(task: str) -> list[float]:
    """The values of zeta that are tried, at 100 steps."""
    centre = CENTRES.get(task, CENTRE)
    return [float(f"{centre * 2 ** ((i - ZETAS // 2) / 2):.4g}") for i in range(ZETAS)]


def tune(walk: Walk, x0: torch.Tensor, task: str, switches: Sequence[int], size: int) -> list[dict]:
    """A row for each setting, see ``row_of``, over the faces x0 (F, C, H, W).

    ``switches`` are k of 100 steps; zeta is that of 100 steps, None where k = 100, lam None where k = 0.
    ``size`` bounds the pictures in a call of the network.
    """
    t, device, values = walk.schedule.t, x0.device, grid(task)
    stations = {k: round(k * t / step_sizes.STEPS) for k in switches}
    zetas = torch.tensor(values, device=device) * (step_sizes.STEPS / t)
    lams = torch.tensor(LAMS, device=device)
    scores: dict[Key, torch.Tensor] = {}  # (F, 2), pSNR and LPIPS of each face

    def judge(
        k: int, x: torch.Tensor, face: torch.Tensor, zi: torch.Tensor | None, li: torch.Tensor | None
    ) -> None:
        found = torch.tensor(list(metrics.quality(x, x0[face]).values())).T
        which = [None] * len(x) if zi is None else [values[i] for i in zi.tolist()]
        whose = [None] * len(x) if li is None else [LAMS[i] for i in li.tolist()]
        for i, zeta, lam, pair in zip(face.tolist(), which, whose, found):
            scores.setdefault((k, zeta, lam), torch.full((len(x0), 2), torch.nan))[i] = pair

    with tqdm(total=work(stations.values(), t) * len(x0), desc=task, unit="calls") as bar:
        for face, zi in combinations(torch.arange(len(x0), device=device), len(zetas), size):
            reached = walk.dps(face, zetas[zi], list(stations.values()))
            bar.update(t * len(face))
            for k, station in stations.items():
                if k == 0:
                    judge(k, reached[0], face, zi, None)
                elif k < step_sizes.STEPS:
                    for b, li in combinations(torch.arange(len(face), device=device), len(lams), size):
                        x = walk.dmps(reached[station][b], station, face[b], lams[li])
                        judge(k, x, face[b], zi[b], li)
                        bar.update(station * len(b))
        if step_sizes.STEPS in stations:
            for face, li in combinations(torch.arange(len(x0), device=device), len(lams), size):
                judge(step_sizes.STEPS, walk.dmps(walk.z[0, face], t, face, lams[li]), face, None, li)
                bar.update(t * len(face))
    return [row_of(task, key, scores) for key in sorted(scores, key=lambda key: [part or 0 for part in key])]


def row_of(task: str, key: Key, scores: dict[Key, torch.Tensor]) -> dict:
    """Means over the faces, and what they differ by from DPS with the same zeta: [mean, low, high], paired."""
    k, zeta, lam = key
    means = dict(zip(METRICS, scores[key].mean(0).tolist()))
    row = {"task": task, "switch": k, "zeta": zeta, "lam": lam, **means}
    if zeta is not None and lam is not None and (0, zeta, None) in scores:
        gaps = (scores[key] - scores[0, zeta, None]).T.tolist()
        row["minus_dps"] = {name: interval(gap) for name, gap in zip(METRICS, gaps)}
    return row


def work(stations: Iterable[int], t: int) -> int:
    """Network calls for one face."""
    branches = sum(s for s in stations if 0 < s < t)
    return ZETAS * (t + len(LAMS) * branches) + len(LAMS) * t * (t in stations)


def combinations(rows: torch.Tensor, count: int, size: int) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Every row with every index below ``count``, in batches of at most ``size``: two tensors (B,) each."""
    index = torch.arange(count, device=rows.device).repeat(len(rows))
    return zip(rows.repeat_interleave(count).split(size), index.split(size))


def chosen(rows: Sequence[dict]) -> dict[str, dict[str, float]]:
    """{k: {"zeta", "lam"}} of one task: the lowest LPIPS, of those within ``TIE`` of it the highest pSNR.

    DPS gets lam, which it does not use, from the smallest k that has one, and DMPS zeta from the largest.
    """
    best = {}
    for k in sorted({row["switch"] for row in rows}):
        those = [row for row in rows if row["switch"] == k]
        lowest = min(row["lpips"] for row in those)
        best[k] = max((row for row in those if row["lpips"] <= lowest + TIE), key=lambda row: row["psnr"])
    lams = [row["lam"] for row in best.values() if row["lam"] is not None] or [step_sizes.RULE["lam"]]
    zetas = [row["zeta"] for row in best.values() if row["zeta"] is not None] or [step_sizes.RULE["zeta"]]
    return {
        str(k): {"zeta": row["zeta"] or zetas[-1], "lam": lams[0] if row["lam"] is None else row["lam"]}
        for k, row in best.items()
    }
