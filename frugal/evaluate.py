"""Measure methods on a folder of pictures into a results file that can be resumed."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import torch
from accelerate import PartialState
from accelerate.utils import gather_object
from tqdm import tqdm

from . import checks, images, provenance, results
from .devices import describe
from .files import write_json
from .methods import METHODS
from .operators import make
from .pipeline import RestorationPipeline
from .restore import restore, warm_up
from .settings import Settings
from .timing import median_seconds


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
) -> Path:
    """Measure ``methods`` on the pictures of ``folder`` and write RESULTS.json at ``out``; returns its path.

    The file holds {"meta": {...}, "rows": [...]}, rows as in ``restore.restore`` plus "image", the file's
    name. Rows that are there already, or were left by an interrupted run, are kept where picture, method
    and everything that made them are the same, and not computed again. Rows of pictures that are not
    asked for any more are dropped. Under ``accelerate launch`` each process takes its share of the pictures.
    Raises Refusal for bad arguments, before anything is written.
    """
    state, folder, out = PartialState(), Path(folder), Path(out)
    pipe = RestorationPipeline.from_pretrained(prior).to(state.device)
    pipe.set_progress_bar_config(disable=True)
    checked(pipe, task, methods, sigma, settings, limit, batch_size)
    checks.folder_of("out", out)
    meta = {
        "crop": crop,
        "task": task,
        "sigma": sigma,
        **asdict(settings),
        "batch_size": batch_size,
        "prior": str(prior),
        "prior_digest": pipe.digest(),
        "device": describe(pipe.device),
        "code": provenance.code_digest(),
    }
    pictures = [(path.name, images.load(path, pipe.size, crop)) for path in images.find(folder)[:limit]]
    pictures = [(name, images.digest(x), x) for name, x in pictures]
    asked = {(digest, name) for name, digest, _ in pictures}
    there = results.rows_so_far(out, meta)
    done = {key: row for key, row in there.items() if key[:2] in asked}
    if state.is_main_process and (dropped := len(there) - len(done)):
        print(f"{out}: {dropped} rows of pictures that are not asked for are dropped")
    mine = pictures[state.process_index :: state.num_processes]
    todo = {m: [p for p in mine if (p[1], p[0], m) not in done] for m in methods}
    bar = tqdm(total=sum(map(len, todo.values())), desc=task, disable=not state.is_main_process)
    if bar.total:
        warm_up(pipe, task)
    for method, missing in todo.items():
        for batch in (missing[i : i + batch_size] for i in range(0, len(missing), batch_size)):
            new, _ = restore(pipe, torch.stack([x for _, _, x in batch]), task, method, sigma, settings)
            for (name, _, _), row in zip(batch, new):
                row = {"image": name, **row}
                done[results.key(row)] = row
            write_json(results.part(out, state.process_index), {"meta": meta, "rows": list(done.values())})
            bar.update(len(batch))
    bar.close()
    state.wait_for_everyone()
    rows = {results.key(row): row for row in gather_object(list(done.values()))}
    if state.is_main_process:
        more = {"images": folder.name, "limit": limit, "seconds_per_call": seconds_per_call(pipe)}
        content = {"meta": {**meta, **more, **provenance.versions()}, "rows": results.in_order(rows)}
        write_json(out, content)
        for file in results.parts(out):
            file.unlink()
    return out


def checked(
    pipe: RestorationPipeline,
    task: str,
    methods: Sequence[str],
    sigma: float,
    settings: Settings,
    limit: int | None,
    batch_size: int,
) -> None:
    """Raise Refusal for what a restoration would refuse, before hours are spent and files written."""
    make(task, pipe.image_shape)
    checks.at_least_zero("sigma", sigma)
    for method in methods:
        checks.one_of("methods", method, METHODS)
        pipe.complete(settings, method, task)
    checks.whole("batch_size", batch_size)
    if limit is not None:
        checks.whole("limit", limit)


@torch.no_grad()
def seconds_per_call(pipe: RestorationPipeline, calls: int = 10) -> float:
    """Median wall seconds of one bare network call at batch 1, the unit other times are compared with."""
    x = torch.zeros(1, *pipe.image_shape, device=pipe.device)
    return median_seconds(lambda: pipe.unet(x, 0).sample, repeats=calls)[0]
