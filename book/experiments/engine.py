"""One engine measures every line of ``table.EXPERIMENTS``.

It finds what was measured before, does what is missing, batch by batch, and keeps it in a part beside the file, so
that the same command goes on where it stopped, also when more is asked for. Under ``torchrun`` each process takes
its share of the pictures.
"""

import argparse
import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from accelerate import PartialState
from accelerate.utils import gather_object
from tqdm import tqdm

from frugal import RestorationPipeline, images
from frugal.base import checks, files
from frugal.base.devices import choose
from frugal.metrics import quality
from frugal.operators import TASKS

from . import stamp
from .experiment import Experiment

Pictures = dict[str, torch.Tensor]  # {name: (C, H, W)}
# {method: (B, C, H, W), what its rows hold beside}
Restored = Mapping[str, tuple[torch.Tensor, Mapping[str, Any]]]


@dataclass(frozen=True)
class Run:
    """One thing that is done with some pictures.

    fields    name the run; every row of it begins with them
    pictures  {name: (C, H, W)}
    rows_of   some of the pictures -> their rows, see ``rows``
    whole     all pictures go in one call, and its rows belong to all of them
    table     the list in the file that gets the rows
    """

    fields: dict[str, Any]
    pictures: Pictures
    rows_of: Callable[[Pictures], list[dict]]
    whole: bool = False
    table: str = "rows"


class Job:
    """An experiment while it is measured: its arguments, the prior, and the content of the file so far."""

    def __init__(self, experiment: Experiment, args: argparse.Namespace) -> None:
        checks.folder_of("out", args.out)
        for task in getattr(args, "tasks", ()):
            checks.one_of("tasks", task, TASKS)
        for name in ("limit", "batch", "steps"):
            if getattr(args, name, None) is not None:
                checks.whole(name, getattr(args, name))
        device = choose(args.device)
        self.args, self.state = args, PartialState(cpu=device.type == "cpu")
        load = stamp.prior_alone if experiment.alone else RestorationPipeline.from_pretrained
        self.pipe = load(args.prior).to(device)
        self.pipe.set_progress_bar_config(disable=True)
        if experiment.fast:
            self.pipe.speed_up()
        meta = stamp.stamp(args, experiment, self.pipe)
        if experiment.chooses:
            meta["pictures"] = [images.digest(x) for x in self.pictures(experiment.chooses).values()]
        self.content: dict[str, Any] = {"meta": meta}
        for file in (args.out, *parts(args.out)):
            there = stamp.content(file)
            if there and stamp.goes_on(there["meta"], meta, experiment.grows):
                self.content = merged(self.content, {**there, "meta": meta})

    def pictures(self, folder: str = "images") -> Pictures:
        """The first pictures of a folder among the arguments; FOLDER_limit, or else limit, says how many."""
        limit = getattr(self.args, f"{folder}_limit", getattr(self.args, "limit", None))
        return self.read(getattr(self.args, folder), limit)

    def read(self, folder: Path, limit: int | None) -> Pictures:
        """The first pictures of a folder, of the prior's size."""
        crop = getattr(self.args, "crop", None)
        return {path.name: images.load(path, self.pipe.size, crop) for path in images.find(folder)[:limit]}

    def once(self, place: Sequence[str], compute: Callable[[], Any]) -> Any:
        """What the file has at a place, {"fit": ...} for ("fit",): measured before, or computed now and kept."""
        *outer, last = place
        inside = self.content
        for name in outer:
            inside = inside.setdefault(name, {})
        if last not in inside:
            inside[last] = compute()
            self.save()
        return inside[last]

    def save(self) -> None:
        """Keep what this process has, until all is measured."""
        files.write_json(part(self.args.out, self.state.process_index), self.content)

    def missing(self, run: Run) -> Pictures:
        """The pictures of a run that have no row yet."""
        own = as_key(run.fields)
        rows = [row for row in self.content[run.table] if as_key({f: row.get(f) for f in run.fields}) == own]
        if run.whole:
            return {} if rows else run.pictures
        done = {row.get("picture", row.get("image")) for row in rows}
        return {n: x for n, x in run.pictures.items() if images.digest(x) not in done and n not in done}

    def do(self, runs: Sequence[Run]) -> None:
        """All that is missing of the runs and falls to this process, batch by batch."""
        i, count, todo = self.state.process_index, self.state.num_processes, []
        for number, run in enumerate(runs):
            self.content.setdefault(run.table, [])
            some = self.missing(run)
            todo.append(list(some) * (number % count == i) if run.whole else list(some)[i::count])
        size = getattr(self.args, "batch", None) or 20
        shared = f"one of {count} processes" if count > 1 else None
        total, silent = sum(map(len, todo)), not self.state.is_main_process
        with tqdm(desc=shared, total=total, unit="pictures", disable=silent) as bar:
            for run, names in zip(runs, todo):
                left = self.missing(run) if names else {}  # a run before may have been the same for some
                own = [name for name in names if name in left]
                bar.update(len(names) - len(own))
                step = len(own) if run.whole else size
                for start in range(0, len(own), step or 1):
                    batch = {name: left[name] for name in own[start : start + step]}
                    self.content[run.table] += [{**run.fields, **row} for row in run.rows_of(batch)]
                    self.save()
                    bar.update(len(batch))


def rows(named: Pictures, restored: Restored) -> list[dict]:
    """A row for each picture and method: names, what the method's rows hold beside, and every metric.

    A list among these holds a value for each picture.
    """
    x0, found = torch.stack(list(named.values())), []
    for method, (x, own) in restored.items():
        scores = quality(x.to(x0), x0)
        for i, (name, truth) in enumerate(named.items()):
            of_picture = {key: v[i] if isinstance(v, list) else v for key, v in {**own, **scores}.items()}
            found.append({"image": name, "picture": images.digest(truth), "method": method, **of_picture})
    return found


def means(x: torch.Tensor, x0: torch.Tensor) -> dict[str, float]:
    """The mean of every metric of pictures x beside x0 (B, C, H, W); nan where its weights are not there."""
    scores = quality(x.to(x0), x0)
    return {
        name: torch.tensor(values, dtype=torch.float64).mean().item() if None not in values else math.nan
        for name, values in scores.items()
    }


def as_key(value: Any) -> str:
    """A value as text; the same for a tuple and for the list that a file gives back."""
    return json.dumps(value, sort_keys=True)


def merged(ours: dict[str, Any], theirs: dict[str, Any]) -> dict[str, Any]:
    """What two processes, or two times, have measured: tables joined, each row once."""
    both = {**ours, **theirs}
    for name in ours.keys() & theirs.keys():
        if isinstance(ours[name], list):
            both[name] = list({as_key(row): row for row in (*ours[name], *theirs[name])}.values())
        elif isinstance(ours[name], dict) and name != "meta":
            both[name] = merged(ours[name], theirs[name])
    return both


def part(out: Path, process: int = 0) -> Path:
    """Where a process keeps what it has, until all of ``out`` is measured."""
    return out.with_name(f"{out.name}.{process}.part")


def parts(out: Path) -> list[Path]:
    """What processes have left beside ``out``."""
    return sorted(out.parent.glob(f"{out.name}.*.part"))


def measure(experiment: Experiment, args: argparse.Namespace) -> None:
    """Do what is missing of an experiment, and write its file."""
    job = Job(experiment, args)
    if hasattr(experiment.module, "runs"):
        job.do(list(experiment.module.runs(job)))
    job.state.wait_for_everyone()
    for content in gather_object([job.content]):
        job.content = merged(job.content, content)
    if job.state.is_main_process:
        if hasattr(experiment.module, "then"):
            job.content |= experiment.module.then(job)
        files.write_json(args.out, job.content)
        for file in parts(args.out):
            file.unlink(missing_ok=True)
    job.state.wait_for_everyone()
