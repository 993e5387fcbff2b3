"""A prior: a network with its noise schedule, found by name, with a digest and step sizes of its own."""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from diffusers.utils import logging

from . import step_sizes as sizes
from .checks import Refusal
from .step_sizes import StepSizes

SHIPPED = Path(__file__).parent / "priors"


def locate(name: str | Path) -> str | Path:
    """The folder of a shipped prior or one's own folder as a Path, or a hub id "owner/name" as it is.

    Raises Refusal for a name that is none of them.
    """
    if name and (SHIPPED / str(name)).is_dir():
        return SHIPPED / str(name)
    if name and Path(name).is_dir():
        return Path(name)
    if str(name).count("/") != 1:
        names = ", ".join(sorted(p.name for p in SHIPPED.iterdir()))
        raise Refusal(
            f"prior: {str(name)!r} is not a shipped prior ({names}), a folder or a hub id of the form owner/name"
        )
    return str(name)


@contextmanager
def explained(name: str | Path) -> Iterator[None]:
    """Turn what can go wrong while diffusers loads a prior into one sentence, and spare its progress bars."""
    source = locate(name)
    logging.disable_progress_bar()  # two small files need none
    try:
        yield
    except Exception as error:  # diffusers, safetensors and the hub raise a dozen unrelated kinds
        if isinstance(source, Path):
            reason = f"{source} holds no complete UNet2DModel and DDPMScheduler in diffusers' format with safetensors weights"
        else:
            reason = (
                f"{name} is not in the local Hugging Face cache and could not be fetched from the hub; download it "
                "where there is a network and pass the folder that holds its model_index.json"
            )
        raise Refusal(f"prior: {reason} ({type(error).__name__})") from error
    finally:
        logging.enable_progress_bar()


def digest(unet: torch.nn.Module) -> str:
    """SHA-256 of a network's tensors, names included, as hexadecimal."""
    state = hashlib.sha256()
    for name, tensor in sorted(unet.state_dict().items()):
        state.update(name.encode() + tensor.detach().cpu().contiguous().numpy().tobytes())
    return state.hexdigest()


def step_sizes(source: str | Path, unet: torch.nn.Module) -> StepSizes:
    """The step sizes that belong to a prior, empty where its folder has none; those of a hub id are not known."""
    if not isinstance(source, Path) or not (source / sizes.FILE).is_file():
        return StepSizes()  # without the digest, which takes a second for a large network
    return sizes.read(source, digest(unet))
