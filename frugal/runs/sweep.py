"""The hybrid at every switch k: down to its k each is DPS, so DPS's path is walked once for all of them."""

import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
from diffusers.utils.torch_utils import randn_tensor

from ..base.checks import Refusal
from ..measurement import Measurement
from ..pipeline import RestorationPipeline
from ..results.rows import Rows
from ..samplers.walk import last, walk
from ..settings import Complete, Settings
from . import kept
from .kept import Chain
from .restore import at_once, generators, judged, measure


def sweep(
    pipe: RestorationPipeline,
    named: dict[str, torch.Tensor],
    task: str,
    sigma: float,
    settings: Settings,
    switches: Sequence[int],
    batch_size: int | None = None,
) -> tuple[Rows, dict[int, torch.Tensor]]:
    """The hybrid at every switch k in ``switches``, as ``compare`` has it; DPS's path is walked once for all.

    Returns the rows, k by k, and {k: restored (B, C, H, W)}. A row's ``seconds`` are those of its own path.
    Raises Refusal unless ``settings`` has the zeta and the lam that all of them share.
    """
    if settings.zeta is None or settings.lam is None:
        raise Refusal("settings: a sweep needs the zeta and the lam that its switches share; give both")
    names, x0 = list(named), torch.stack(list(named.values()))
    rows: dict[int, list[Any]] = {k: [] for k in switches}
    restored: dict[int, list[torch.Tensor]] = {k: [] for k in switches}
    shared = kept.common(pipe)
    done = {k: pipe.complete(replace(settings, switch=k), "hybrid", task) for k in switches}
    for batch in torch.arange(len(x0)).split(batch_size or at_once(pipe)):
        some, m = x0[batch], measure(x0[batch], task, sigma, settings.seed)
        files = {k: kept.file_of(shared, m, "hybrid", done[k], some, "end") for k in switches}
        there = {k: [kept.find(file) for file in files[k]] for k in switches}
        found = {k: [chain for chain in chains if chain] for k, chains in there.items()}
        missing = [k for k in switches if len(found[k]) < len(some)]
        for k, new in walked(pipe, m, some, done[missing[0]], missing).items() if missing else ():
            found[k] = new
            for file, chain in zip(files[k], new):
                kept.keep(file, chain)
        for k in switches:
            of, x = judged(found[k], some, task, "hybrid", sigma, done[k])
            rows[k] += [{"image": names[i], **row} for i, row in zip(batch.tolist(), of)]
            restored[k].append(x)
    return Rows(sum(rows.values(), [])), {k: torch.cat(x) for k, x in restored.items()}


def walked(
    pipe: RestorationPipeline, m: Measurement, x0: torch.Tensor, done: Complete, switches: Sequence[int]
) -> dict[int, list[Chain]]:
    """The chains of ``sweep``: {k: one for each picture}."""
    schedule, m, t = pipe.schedule("hybrid", done.steps), pipe.fitting(m), done.steps
    noise = generators(done.seed, x0, "sampler")
    z = [randn_tensor(x0.shape, noise, m.y.device, m.y.dtype) for _ in range(t + 1)]  # z[t - k + 1] at step k
    early, late = (pipe.step(method, done, schedule, tuple(x0.shape[1:])) for method in ("dps", "dmps"))
    found, seconds, start = {}, 0.0, time.perf_counter()
    path = walk(early, schedule, m, iter(z).__next__)
    x = z[0]
    for k in range(t, min(switches) - 1, -1):
        if k in switches:
            seconds += time.perf_counter() - start
            start = time.perf_counter()
            end = last(walk(late, schedule, m, iter(z[t - k + 1 :]).__next__, x, k)).x if k else x
            own = torch.tensor((seconds + time.perf_counter() - start) / len(x0), dtype=torch.float64)
            found[k] = [{"x0": one, "passes": torch.tensor(2 * t - k), "seconds": own} for one in end.cpu()]
            start = time.perf_counter()
        if k > min(switches):
            x = next(path).x
    return found
