"""Restorations kept on disk: a page that runs again, or another page, need not compute them again.

They are kept where the variable FRUGAL_CHAINS names a folder, as it does in ``make book`` and ``make test``;
elsewhere nothing is kept. The name of a file is a digest of all that made the chain (``origin``), so that what was
made from anything else is never found; and the file holds its name and a digest of its content, so that one that
was damaged, or put in another's place, is computed again.
"""

import hashlib
import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import torch
from diffusers import ModelMixin
from safetensors import safe_open
from safetensors.torch import save

from .. import images
from ..base import files
from ..measurement import Measurement
from ..pipeline import RestorationPipeline
from ..settings import Complete
from .origin import digest, made_from, origin

VARIABLE = "FRUGAL_CHAINS"
LIMIT = 2 * 2**30  # bytes
Chain = dict[str, torch.Tensor]


def folder() -> Path | None:
    """Where chains are kept; None where they are not."""
    return Path(os.environ[VARIABLE]) if os.environ.get(VARIABLE) else None


def common(pipe: RestorationPipeline) -> dict[str, object] | None:
    """``origin`` of a pipeline; None where chains are not kept.

    A network that is not diffusers' own has no digest that would tell it from others, and its chains are not kept.
    """
    return origin(pipe) if folder() is not None and isinstance(pipe.unet, ModelMixin) else None


def file_of(
    shared: Mapping[str, object] | None,
    m: Measurement,
    method: str,
    done: Complete,
    x0: torch.Tensor,
    what: str,
) -> list[Path | None]:
    """The files of the chains that restore the pictures x0 (B, C, H, W) from m; None where chains are not kept.

    ``shared`` is of ``common``, and ``what`` a chain holds. The noise belongs to the picture.
    """
    if shared is None:
        return [None] * len(x0)
    made = made_from(shared, m.A, m.sigma, method, done)
    names = (digest([made, what, images.digest(x), sha256(y)], 64) for x, y in zip(x0, m.y))
    return [Path(os.environ[VARIABLE], f"{name}.safetensors") for name in names]


def sha256(tensor: torch.Tensor) -> str:
    """Of what a tensor holds, its kind and shape included."""
    array = tensor.cpu().contiguous().numpy()
    return hashlib.sha256(f"{array.dtype} {array.shape}".encode() + array.tobytes()).hexdigest()


def find(file: Path | None) -> Chain | None:
    """The chain that was kept in ``file``; None where there is none, a damaged one, or that of another name."""
    if file is None:
        return None
    with suppress(OSError):  # of a file of somebody else
        os.utime(file)  # what is read stays longest, see ``prune``
    try:
        if not file.is_file():  # a pipe would be waited for
            return None
        with safe_open(file, "pt") as content:
            chain = {name: content.get_tensor(name) for name in content.keys()}
            return chain if content.metadata() == marks(file, chain) else None
    except files.DAMAGE:
        return None


def marks(file: Path, chain: Chain) -> dict[str, str]:
    """What a file says of itself: its own name, and a digest of what it holds."""
    content = sorted(chain.items())
    return {"name": file.stem, "holds": digest([(name, sha256(tensor)) for name, tensor in content], 64)}


def keep(file: Path | None, chain: Chain) -> None:
    """Write a chain, whole or not at all. Raises Refusal where it cannot be written."""
    if file is not None:
        with files.explained(file):
            file.parent.mkdir(parents=True, exist_ok=True)
        with files.whole(file) as partial:
            content = {name: value.contiguous() for name, value in chain.items()}
            partial.write_bytes(save(content, marks(file, chain)))


def prune(limit: int = LIMIT) -> None:
    """Delete the chains that were not read for longest, until the others take at most ``limit`` bytes.

    What a process that was killed left of one counts, and goes, like a chain; what cannot be deleted stays.
    """
    size, found, where = 0, [], folder()
    for file in where.glob("*.safetensors*") if where else ():
        with suppress(OSError):  # another process was faster
            found.append((file.lstat(), file))
    for about, file in sorted(found, key=lambda pair: pair[0].st_mtime, reverse=True):
        size += about.st_size
        if size > limit:
            with suppress(OSError):
                file.unlink()
