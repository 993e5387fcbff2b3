"""A stamp says what was measured with what; and whether that is what is in use.

It promises: with another prior, another behaviour of the library's formulas that the experiment names (``behaviour``),
or other settings than those in use, the file is called stale, and the sentence names the command that renews it. It
does not promise that a file can be had again digit by digit, for processors and libraries round differently; nor
that the few lines of an experiment itself, beside the settings and behaviours that it names, are as they were. The
commit says where these stood.
"""

import argparse
import json
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import torch
from diffusers import DDPMScheduler, UNet2DModel

from frugal import RestorationPipeline, prior
from frugal.base import provenance
from frugal.base.devices import choose, describe
from frugal.operators import TASKS

from .behaviour import Numbers, differing
from .experiment import Experiment

FOLDER = Path(__file__).resolve().parents[1] / "measured"
SHIPPED = "faces64"
STAMP = (
    *("name", "command", "arguments", "seed", "device", "prior", "prior_digest", "behaviour"),
    *("commit", "frugal", "python", "torch", "diffusers"),
)
# Arguments that the stamp has by themselves, or that change no number.
ELSEWHERE = ("name", "command", "seed", "device", "prior", "out", "into", "batch")


def stamp(args: argparse.Namespace, experiment: Experiment, pipe: RestorationPipeline) -> dict[str, Any]:
    """What a measured file says of its making, with the experiment's settings."""
    return {
        "name": args.name,
        "command": args.command,
        "arguments": {key: plain(value) for key, value in vars(args).items() if key not in ELSEWHERE},
        "seed": getattr(args, "seed", None),
        "device": describe(choose(args.device)),
        "prior": Path(args.prior).name,
        "prior_digest": pipe.digest(),
        "behaviour": behaviours(experiment),
        **settings(experiment, pipe),
        **provenance.versions(),
    }


def settings(experiment: Experiment, pipe: RestorationPipeline) -> dict[str, Any]:
    """What an experiment's numbers depend on beside its arguments."""
    own = {name.lower(): getattr(experiment.module, name) for name in experiment.settings.split()}
    sizes = {name: getattr(pipe.step_sizes, name) for name in experiment.sizes}
    return own | ({"step_sizes": sizes} if sizes else {})


def behaviours(experiment: Experiment) -> dict[str, Numbers]:
    """{what is tried: its numbers}, of all that an experiment depends on."""
    return {trial.__name__: trial() for trial in experiment.depends}


def plain(value: object) -> object:
    """An argument as JSON holds it; of a path only its last part, since folders differ from place to place."""
    if isinstance(value, list | tuple):
        return [plain(one) for one in value]
    return value.name if isinstance(value, Path) else value


def as_json(value: Any) -> Any:
    """What JSON gives back of a value: lists for tuples, texts for the keys of a table."""
    return json.loads(json.dumps(value))


def content(file: Path) -> dict[str, Any]:
    """What a measured file holds; {} where it is not there, or is no measured file."""
    try:
        found = json.loads(file.read_text())
        return found if isinstance(found["meta"], dict) else {}
    except (OSError, ValueError, KeyError, TypeError):
        return {}


def goes_on(then: Mapping[str, Any], now: Mapping[str, Any], grows: Collection[str]) -> bool:
    """Whether rows that have the stamp ``then`` may stay beside new ones.

    That is where all that changes a number is the same: the stamp but for its command, commit and versions, and
    for what ``grows``, arguments and settings that only say how much is measured.
    """
    free = {"command", "behaviour", *provenance.versions(), *grows}
    bare = lambda m: {key: value for key, value in m.items() if key not in (*free, "arguments")}
    asked = lambda m: {key: value for key, value in m.get("arguments", {}).items() if key not in free}
    now = as_json(now)
    return (
        bare(then) == bare(now)
        and asked(then) == asked(now)
        and not changes(then.get("behaviour"), now["behaviour"])
    )


def changes(
    then: Mapping[str, Numbers] | None, now: Mapping[str, Numbers], tasks: Collection[str] = ()
) -> list[str]:
    """What does not behave as it did, or was not tried; of the restorations those of ``tasks``, where some are named."""
    ignored = TASKS.keys() - tasks if tasks else ()
    differ = []
    for kind, numbers in now.items():
        before = (then or {}).get(kind)
        counted = {name: n for name, n in (before or {}).items() if name.split()[0] not in ignored}
        differ += [kind] if before is None else differing(counted, numbers)
    return differ


def stale(name: str, experiment: Experiment, folder: Path = FOLDER) -> list[str]:
    """Why a measured file does not belong to what is in use; each reason names the command that renews it.

    [] for a file that belongs, and for a record of history.
    """
    there = content(folder / f"{name}.json")
    meta, reasons = there.get("meta", {}), []
    missing = [key for key in STAMP if key not in meta]
    if not meta:
        reasons.append("is not there, or has no stamp")
    elif missing:
        reasons.append(f"has a stamp without {', '.join(missing)}")
    elif not experiment.history:
        pipe = RestorationPipeline.from_pretrained(SHIPPED)
        if meta["prior_digest"] != pipe.digest():
            reasons.append("was measured with another prior than the one that ships")
        if names := changes(meta["behaviour"], behaviours(experiment), tasks_of(there)):
            reasons.append(f"was measured with code that behaves otherwise ({', '.join(names)})")
        in_use = as_json(settings(experiment, pipe))
        if others := [key for key, value in in_use.items() if meta.get(key) != value]:
            reasons.append(f"was measured with other settings than those in use ({', '.join(others)})")
    command = meta.get("command", f"python book/experiments {name}")
    return [f"{name}.json {reason}; renew it: {command}" for reason in reasons]


def tasks_of(content: Mapping[str, Any]) -> set[str]:
    """The tasks in the rows of a measured file; none where not every row names its own."""
    rows = content.get("rows") or [{}]
    named = {str(row.get("task")) for row in rows if isinstance(row, dict)}
    return named if named <= set(TASKS) else set()


def prior_alone(name: str) -> RestorationPipeline:
    """A prior without its step sizes, which may belong to weights that it had before.

    Raises Refusal where there is no such prior.
    """
    source = prior.locate(name)
    with prior.explained(name):
        unet = UNet2DModel.from_pretrained(
            source, subfolder="unet", use_safetensors=True, dtype=torch.float32
        )
        scheduler = DDPMScheduler.from_pretrained(source, subfolder="scheduler")
    return RestorationPipeline(unet, scheduler)
