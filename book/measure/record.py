"""The one writer of measured files, and the one checker: a stamp says what was measured with what.

A module of a measured file has ``DEPENDS``, the library's modules whose code its numbers depend on;
``RESTORES``, whether they come from restorations, see ``behaviour``; ``OF_A_PRIOR``, whether they belong to the
prior that ships; and ``settings``, what else they depend on. A module with a ``HISTORY`` keeps a record that
nothing can make stale, and says why.
"""

import argparse
import hashlib
import json
from collections.abc import Collection, Iterable, Sequence
from functools import cache
from pathlib import Path
from types import ModuleType

import torch
from diffusers import DDPMScheduler, UNet2DModel

from frugal import RestorationPipeline, prior
from frugal.base import files, provenance
from frugal.base.devices import choose, describe
from frugal.operators import TASKS

from .behaviour import behaviour, differing

FOLDER = Path(__file__).resolve().parents[1] / "measured"
SHIPPED = "faces64"
STAMP = (
    *("name", "command", "arguments", "seed", "device", "prior", "prior_digest", "code", "behaviour"),
    *("commit", "frugal", "python", "torch", "diffusers"),
)
WHERE = (
    "name",
    "command",
    "seed",
    "device",
    "prior",
    "out",
    "into",
    "batch",
)  # in the stamp, or of no effect


def stamp(
    args: argparse.Namespace,
    pipe: RestorationPipeline | None = None,
    depends: Sequence[str] = provenance.SAMPLING,
    **own: object,
) -> dict[str, object]:
    """What a measured file says of its making.

    ``name`` and ``command`` of the file, ``arguments`` of the measurement (of a path, its last part),
    ``seed``, ``device``, the ``prior`` and its digest, None where there is none; ``code`` and ``behaviour``, see
    ``making``; versions and commit; and what the measurement adds of its ``own``.
    """
    named = getattr(args, "prior", None)
    return {
        "name": args.name,
        "command": args.command,
        "arguments": {key: plain(value) for key, value in vars(args).items() if key not in WHERE},
        "seed": getattr(args, "seed", None),
        "device": describe(choose(args.device)),
        "prior": None if named is None else Path(named).name,
        "prior_digest": None if pipe is None else pipe.digest(),
        **making(depends),
        **own,
        **provenance.versions(),
    }


def making(depends: Sequence[str]) -> dict[str, dict]:
    """{"code": a digest of every definition in the modules of ``depends``, "behaviour": what the samplers do}.

    The second, for numbers that come from restorations, stands for the code of ``provenance.SAMPLING``, but for
    ``collapse`` and ``metrics``, which a few steps of a network that is not trained hardly try.
    """
    restores = set(provenance.SAMPLING) <= set(depends)
    covered = set(provenance.SAMPLING) - {"collapse", "metrics"} if restores else set()
    others = [name for name in depends if name not in covered]
    return {
        "code": provenance.definitions(*others) if others else {},
        "behaviour": behaviour() if restores else {},
    }


def plain(value: object) -> object:
    """An argument as JSON holds it; of a path only its last part, since folders differ from place to place."""
    if isinstance(value, list | tuple):
        return [plain(one) for one in value]
    return value.name if isinstance(value, Path) else value


def digest(*paths: Path) -> str:
    """Digest of what some Python files do, like ``provenance.code_digest`` of the library's modules."""
    meanings = "\n".join(provenance.meaning(path.read_text()) for path in paths)
    return hashlib.sha256(meanings.encode()).hexdigest()[:16]


def part(out: Path) -> Path:
    """Where a measurement keeps what it has, until all of ``out`` is measured."""
    return out.with_name(f"{out.name}.part")


def kept(
    out: Path, meta: dict[str, object], apart_from: Iterable[str] = (), measured: Iterable[str] = ()
) -> dict:
    """Content to go on from, of ``out`` or its ``part``: {} unless all that changes a number was the same.

    That is the whole stamp without its command, commit and versions. ``apart_from`` names arguments that may
    differ, because they only say how much is measured; ``measured`` names parts of the stamp that are numbers
    themselves.
    """
    may = {"command", "code", "behaviour", *provenance.versions(), *measured}
    for file in (part(out), out):
        there = content(file)
        if changes(there.get("meta", {}), meta):
            continue
        ours, theirs = (
            json.loads(json.dumps({key: value for key, value in m.items() if key not in may}))
            for m in (meta, there.get("meta", {}))
        )
        for arguments in (ours.get("arguments", {}), theirs.get("arguments", {})):
            arguments |= dict.fromkeys(apart_from)
        if ours == theirs:
            return there
    return {}


def changes(then: dict, now: dict, tasks: Collection[str] = ()) -> list[str]:
    """What of a stamp's ``code`` and ``behaviour`` is not as it is now: names of definitions, modules and runs.

    Only the behaviour in ``tasks`` counts where these are named.
    """
    code, in_use = then.get("code"), now["code"]
    if not isinstance(code, dict):
        return ["all"]
    modules = lambda names: {name.split(".")[0] for name in names}
    differ = [name for name, digest in code.items() if in_use.get(name) != digest]
    differ += sorted(modules(in_use) - modules(code))
    before = then.get("behaviour") or {}
    before = {run: numbers for run, numbers in before.items() if not tasks or run.split()[0] in tasks}
    return differ + (
        differing(before, now["behaviour"]) if before else ["behaviour"] * bool(now["behaviour"])
    )


def content(file: Path) -> dict:
    """What a measured file holds; {} where it is not there, or is no measured file."""
    try:
        found = json.loads(file.read_text())
        return found if isinstance(found["meta"], dict) else {}
    except (OSError, ValueError, KeyError, TypeError):
        return {}


def write(file: Path, content: dict) -> None:
    """Write a measured file, {"meta": stamp, ...}, whole or not at all."""
    files.write_json(file, content)


def stale(name: str, module: ModuleType, folder: Path = FOLDER) -> list[str]:
    """Why a measured file does not belong to what is in use; each reason names the command that renews it.

    Compared are the digest of the prior that ships, the digest of the code, and the module's ``settings``.
    [] for a file that belongs, and for a record of history.
    """
    there = content(folder / f"{name}.json")
    meta, reasons = there.get("meta", {}), []
    missing = [key for key in STAMP if key not in meta]
    if not meta:
        reasons.append("is not there, or has no stamp")
    elif missing:
        reasons.append(f"has a stamp without {', '.join(missing)}")
    elif not hasattr(module, "HISTORY"):
        if module.OF_A_PRIOR and meta["prior_digest"] != shipped_digest():
            reasons.append("was measured with another prior than the one that ships")
        if names := changes(meta, making(module.DEPENDS), tasks_of(there)):
            reasons.append(f"was measured with other code ({', '.join(names)})")
        in_use = json.loads(json.dumps(module.settings(name)))
        if differing := [key for key, value in in_use.items() if meta.get(key) != value]:
            reasons.append(f"was measured with other settings than those in use ({', '.join(differing)})")
    command = meta.get("command", f"python book/measure {name}")
    return [f"{name}.json {reason}; renew it: {command}" for reason in reasons]


def tasks_of(content: dict) -> set[str]:
    """The tasks in the rows of a measured file; none where not every row names its own."""
    rows = content.get("rows") or [{}]
    named = {row.get("task") for row in rows if isinstance(row, dict)}
    return named if named <= set(TASKS) else set()


@cache
def shipped_digest() -> str:
    """Digest of the prior that ships."""
    return prior_alone(SHIPPED).digest()


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
