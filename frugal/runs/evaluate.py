"""Measure methods on a folder of pictures into a results file that can be resumed."""

from collections.abc import Sequence
from dataclasses import asdict
from functools import cache
from pathlib import Path

import torch
from accelerate import PartialState
from accelerate.utils import find_executable_batch_size, gather_object
from tqdm import tqdm

from .. import images
from ..base import checks, provenance
from ..base.checks import Refusal
from ..base.devices import describe
from ..base.files import alone, write_json
from ..operators import make
from ..pipeline import RestorationPipeline
from ..results import stored
from ..samplers import METHODS
from ..settings import Settings
from .cost import ROUGH, median_seconds, prices
from .origin import digest, made_from, origin
from .restore import restore, warm_up

WORTH_TIMING = 2000  # network calls, from which the prices of a run are measured before it


def evaluate(
    folder: Path,
    task: str,
    methods: Sequence[str],
    out: Path,
    *,
    sigma: float = 0.01,
    settings: Settings = Settings(),
    limit: int | None = None,
    prior: str = "faces64",
    crop: int | None = None,
    batch_size: int = 10,
    fast: bool = False,
) -> Path:
    """Measure ``methods`` on the pictures of ``folder`` and write RESULTS.json at ``out``; returns its path.

    The file holds {"meta": {...}, "rows": [...]}, rows as in ``restore.restore`` plus "image", the file's
    name, and "made_from", a digest of all that made it (``origin.made_from``) and of the row itself; a number that is
    not finite, such as the pSNR of a picture that came back bit for bit, is null. Rows that are there already, or were
    left by an interrupted run, are kept where picture, method and all that made them are the same, and not computed
    again. Rows of pictures that are not asked for any more are dropped, and so are those that were made from
    something else, such as other step sizes of the prior. Under ``accelerate launch`` each process takes its share of the pictures.
    ``fast`` is ``pipeline.RestorationPipeline.speed_up``. A batch that memory does not hold is
    made smaller; what that changes is said in ``origin``.
    Raises Refusal for bad arguments, before anything is written.
    """
    state, folder, out = PartialState(), Path(folder), Path(out)
    pipe = RestorationPipeline.from_pretrained(prior).to(state.device)
    pipe.set_progress_bar_config(disable=True)
    if fast:
        pipe.speed_up()
    A = make(task, pipe.image_shape)
    checks.at_least_zero("sigma", sigma)
    for method in methods:
        checks.one_of("methods", method, METHODS)
        pipe.complete(settings, method, task)
    checks.whole("batch_size", batch_size)
    if limit is not None:
        checks.whole("limit", limit)
    checks.folder_of("out", out)
    common = origin(pipe)

    @cache
    def made(method: str) -> str | None:
        """What a row of the method has to be made from; None where no row can be."""
        try:
            done = pipe.complete(settings, method, task)
        except Refusal:
            return None
        return digest(made_from(common, A, sigma, method, done))

    def mark(row: dict) -> str:
        """The "made_from" of a row: a digest of what made it, and of what it holds, for an edited number is none of ours."""
        return digest(
            [made(row["method"]), {name: value for name, value in row.items() if name != "made_from"}]
        )

    meta = {
        "crop": crop,
        "task": task,
        "sigma": sigma,
        **asdict(settings),
        "batch_size": batch_size,
        "fast": fast,
        "prior": str(prior),
        "prior_digest": common["prior_digest"],
        "device": describe(pipe.device),
        "code": common["code"],
    }
    pictures = [
        (path.name, images.digest(x := images.load(path, pipe.size, crop, pipe.image_shape[0])), x)
        for path in images.find(folder)[:limit]
    ]
    asked = {(digest, name) for name, digest, _ in pictures}
    before, there = stored.parts(out), stored.rows_so_far(out, meta)
    wanted = {key: row for key, row in there.items() if key[:2] in asked}
    done = {key: row for key, row in wanted.items() if row.get("made_from") == mark(row)}
    if state.is_main_process and (dropped := len(there) - len(wanted)):
        print(f"{out}: {dropped} rows of pictures that are not asked for are dropped")
    if state.is_main_process and (other := len(wanted) - len(done)):
        print(f"{out}: {other} rows that were made from something else, or edited, are dropped")
    mine = pictures[state.process_index :: state.num_processes]
    todo = {m: [p for p in mine if (p[1], p[0], m) not in done] for m in methods}
    cost, bar = forecast(pipe, task, todo, settings, batch_size, state.is_main_process)

    @find_executable_batch_size(starting_batch_size=batch_size)
    def restore_all(size: int) -> None:
        for method, asked in todo.items():
            missing = [p for p in asked if (p[1], p[0], method) not in done]
            for batch in (missing[i : i + size] for i in range(0, len(missing), size)):
                new, _ = restore(pipe, torch.stack([x for _, _, x in batch]), task, method, sigma, settings)
                for (name, _, _), row in zip(batch, new):
                    row = {"image": name, **{key: stored.finite(value) for key, value in row.items()}}
                    done[stored.key(row)] = {**row, "made_from": mark(row)}
                content = {"meta": meta, "rows": list(done.values())}
                write_json(stored.part(out, state.process_index), content)
                bar.update(cost[method] * len(batch))

    restore_all()  # pyright: ignore[reportCallIssue]: the decorator gives it its size
    bar.close()
    state.wait_for_everyone()
    rows = {stored.key(row): row for row in gather_object(list(done.values()))}
    if state.is_main_process:
        more = {"images": folder.name, "limit": limit, "seconds_per_call": seconds_per_call(pipe)}
        with alone(out.parent):
            meanwhile = stored.rows_so_far(out, meta)  # of another run into the same file
            fresh = {key: row for key, row in meanwhile.items() if row.get("made_from") == mark(row)}
            rows = {key: row for key, row in fresh.items() if key[:2] in asked} | rows
            content = {"meta": {**meta, **more, **provenance.versions()}, "rows": stored.in_order(rows)}
            write_json(out, content)
    state.wait_for_everyone()  # what the first process reads is removed after it was read
    for file in (*before, stored.part(out, state.process_index)):
        file.unlink(missing_ok=True)
    return out


def forecast(
    pipe: RestorationPipeline,
    task: str,
    todo: dict[str, list],
    settings: Settings,
    batch_size: int,
    shown: bool,
) -> tuple[dict[str, float], tqdm]:
    """{method: seconds for a picture} by Eq. 7b, and a progress bar that counts them.

    Where there is little to do the prices are not measured, and what is counted is passes.
    """
    pictures = sum(map(len, todo.values()))
    if pictures:
        warm_up(pipe, task, list(todo))
    completed = {method: pipe.complete(settings, method, task) for method in todo}
    timed = sum(len(todo[m]) * (done.steps or 0) for m, done in completed.items()) > WORTH_TIMING
    found = prices(pipe, batch_size) if timed else ROUGH
    cost = {}
    for method, done in completed.items():
        calls = METHODS[method].calls(pipe.schedule(method, done.steps))
        backprops = METHODS[method].backprops(done.steps, done.switch)
        cost[method] = found.seconds(batch_size, calls, backprops, batch_size) / batch_size
    total = sum(cost[method] * len(missing) for method, missing in todo.items())
    about = f", about {tqdm.format_interval(total)} in all" if timed else ""
    bar = "{desc} {percentage:3.0f}% |{bar}| {elapsed} passed, {remaining} left"
    return cost, tqdm(total=total, desc=f"{task}{about}", bar_format=bar, disable=not shown)


@torch.no_grad()
def seconds_per_call(pipe: RestorationPipeline, calls: int = 10) -> float:
    """Median wall seconds of one bare network call at batch 1, the unit other times are compared with."""
    x = torch.zeros(1, *pipe.image_shape, device=pipe.device)
    return median_seconds(lambda: pipe.unet(x, 0).sample, repeats=calls)[0]
