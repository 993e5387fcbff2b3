"""A prior's folder looked at before it is loaded: what would fill the memory, take hours or fail later is refused."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import torch
from diffusers import UNet2DModel
from safetensors import safe_open

from ..base import checks
from ..base.checks import Refusal

MOST_LEVELS = 100_000  # noise levels of a schedule
MOST = 10_000  # of anything that a network's config counts: channels, pixels, groups
MOST_LAYERS = 100  # of one of its blocks, and blocks
CONDITIONS = ("num_class_embeds", "class_embed_type", "encoder_hid_dim", "cross_attention_dim")


def readable(source: Path) -> None:
    """Refusal for a schedule that is too long, and for a network too large for its weights or not able to run.

    The network is built without memory for its weights, and called once without computing anything. What a folder
    lacks is said when it is loaded.
    """
    schedule = config(source, "scheduler", "scheduler_config.json")
    network = config(source, "unet", "config.json")
    checks.whole("prior: num_train_timesteps", schedule.get("num_train_timesteps", 1000), 1, MOST_LEVELS)
    if not network:
        return
    for name, value, most in counted(network):
        checks.whole(f"prior: {name}", value, -most, most)
    if any(network.get(name) is not None for name in CONDITIONS):
        return  # which ``usable`` refuses
    with torch.device("meta"):
        unet = cast(UNet2DModel, UNet2DModel.from_config(network))
        described = sum(parameter.numel() for parameter in unet.parameters())
        there = held(source)
        if there and described > there:
            raise Refusal(
                f"prior: its config describes a network of {described:,} numbers, and its weights are {there:,}; "
                "give the config that belongs to the weights"
            )
        if isinstance(side := network.get("sample_size"), int) and side > 0:
            try:
                unet(torch.zeros(1, unet.config["in_channels"], side, side), 0)
            except Exception as error:  # whatever a network does that does not fit its own pictures
                raise Refusal(
                    f"prior: its config describes a network that fails on its own pictures ({type(error).__name__}); "
                    "give the config that belongs to the weights"
                ) from error


def config(source: Path, folder: str, name: str) -> dict:
    """A config of a prior, in its folder or, in older repositories, beside all others; {} where there is none."""
    for file in (source / folder / name, source / name):
        try:
            content = json.loads(file.read_text())
        except (OSError, ValueError, RecursionError):
            continue
        return content if isinstance(content, dict) else {}
    return {}


def counted(network: dict) -> Iterator[tuple[str, int, int]]:
    """(name, number, most) of all whole numbers in a config, those in its lists too, and of the lists' lengths."""
    for name, value in network.items():
        values = value if isinstance(value, list) else [value]
        yield f"the length of {name}", len(values), MOST_LAYERS
        most = MOST_LAYERS if "layers" in name else MOST
        yield from ((name, one, most) for one in values if isinstance(one, int) and not isinstance(one, bool))


def held(source: Path) -> int:
    """How many numbers a folder's weights hold, by their headers alone."""
    total = 0
    for file in {*source.glob("*.safetensors"), *source.glob("unet/*.safetensors")}:
        with safe_open(file, "pt") as weights:
            shapes = (weights.get_slice(name).get_shape() for name in weights.keys())
            total += sum(torch.Size(shape).numel() for shape in shapes)
    return total
