"""Restorations kept on disk: a page that runs again, or another page, need not compute them again.

They are kept where the variable FRUGAL_CHAINS names a folder, as it does in ``make book`` and ``make test``;
elsewhere nothing is kept. The name of a file is a digest of all that made the chain, so that what was made from
anything else is never found.
"""

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path

import torch
from diffusers import ModelMixin
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from ..base import files, provenance
from ..measurement import Measurement
from ..pipeline import RestorationPipeline

VARIABLE = "FRUGAL_CHAINS"
LIMIT = 2 * 2**30  # bytes
Chain = dict[str, torch.Tensor]


def folder() -> Path | None:
    """Where chains are kept; None where they are not."""
    return Path(os.environ[VARIABLE]) if os.environ.get(VARIABLE) else None


def in_common(pipe: RestorationPipeline) -> dict[str, object] | None:
    """What all chains of a pipeline are made from: prior, code and versions; None where chains are not kept.

    A network that is not diffusers' own has no digest that would tell it from others, and its chains are not kept.
    """
    if folder() is None or not isinstance(pipe.unet, ModelMixin):
        return None
    return {
        "prior": pipe.digest(),
        "network": [type(pipe.unet).__name__, str(pipe.unet.dtype), dict(pipe.unet.config)],
        "scheduler": dict(pipe.scheduler.config),
        "left open": [sorted(pipe.step_sizes.errors.items()), sorted(pipe.step_sizes.spectrum.items())],
        "device": [pipe.device.type, pipe.fast],
        "code": provenance.code_digest(),
        "versions": {k: v for k, v in provenance.versions().items() if k in ("torch", "diffusers", "python")},
    }


def file_of(
    common: Mapping[str, object] | None, m: Measurement, i: int, settings: Mapping[str, object]
) -> Path | None:
    """The file of the chain that restores picture ``i`` of ``m``; None where chains are not kept.

    ``common`` is of ``in_common``; ``settings`` says what else decides the numbers, the origin of the noise
    above all.
    """
    where = folder()
    if where is None or common is None:
        return None
    made_from = {
        **common,
        **settings,
        "operator": [m.A.name, m.A.image_shape, m.sigma],
        "y": hashlib.sha256(m.y[i].cpu().contiguous().numpy().tobytes()).hexdigest(),
    }
    text = json.dumps(made_from, sort_keys=True, default=str)
    return where / f"{hashlib.sha256(text.encode()).hexdigest()}.safetensors"


def find(file: Path | None) -> Chain | None:
    """The chain that was kept in ``file``; None where there is none, or a damaged one."""
    try:
        if file is None:
            return None
        os.utime(file)  # what is read stays longest, see ``prune``
        with safe_open(file, "pt") as content:
            return {name: content.get_tensor(name) for name in content.keys()}
    except (OSError, SafetensorError):
        return None


def keep(file: Path | None, chain: Chain) -> None:
    """Write a chain, whole or not at all. Raises Refusal where it cannot be written."""
    if file is not None:
        with files.explained(file):
            file.parent.mkdir(parents=True, exist_ok=True)
        with files.whole(file) as partial:
            save_file({name: tensor.contiguous() for name, tensor in chain.items()}, partial)


def prune(limit: int = LIMIT) -> None:
    """Delete the chains that were not read for longest, until the others take at most ``limit`` bytes."""
    where = folder()
    if where is not None and where.is_dir():
        size = 0
        for file in sorted(where.glob("*.safetensors"), key=lambda f: f.stat().st_mtime, reverse=True):
            size += file.stat().st_size
            if size > limit:
                file.unlink(missing_ok=True)
