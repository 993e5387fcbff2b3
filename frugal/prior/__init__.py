"""A prior: a network with its noise schedule, found by name, with a digest and step sizes of its own."""

import hashlib
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from diffusers.utils import logging

from ..base import checks
from ..base.checks import Refusal
from ..schedule import PREDICTION_TYPES
from . import step_sizes
from .readable import CONDITIONS, readable
from .step_sizes import StepSizes

SHIPPED = Path(__file__).parents[1] / "priors"


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
        if isinstance(source, Path):
            readable(source)
        yield
    except Refusal:
        raise
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


def usable(unet: torch.nn.Module, scheduler: Any) -> None:
    """Refusal for a network or a scheduler that the samplers would misunderstand."""
    alpha_bar, config = getattr(scheduler, "alphas_cumprod", None), getattr(scheduler, "config", None)
    needed = ("prediction_type", "clip_sample", "clip_sample_range")
    if alpha_bar is None or config is None or any(not hasattr(config, name) for name in needed):
        raise Refusal(
            f"scheduler: a {type(scheduler).__name__} is not accepted; give a DDPMScheduler or a DDIMScheduler, "
            "for instance DDPMScheduler.from_config(scheduler.config)"
        )
    if not ((alpha_bar > 0) & (alpha_bar <= 1)).all() or (alpha_bar.diff() > 0).any():
        raise Refusal(
            "scheduler: its alphas_cumprod are not accepted; they must fall, and lie above 0 and not above 1"
        )
    checks.one_of("scheduler: prediction_type", config.prediction_type, PREDICTION_TYPES)
    if config.clip_sample and not checks.at_least_zero(
        "scheduler: clip_sample_range", config.clip_sample_range
    ):
        raise Refusal("scheduler: clip_sample_range: 0 is not accepted; give a positive number")
    if getattr(config, "thresholding", False):
        raise Refusal("scheduler: thresholding is not supported; give one with clip_sample or with neither")
    of_unet = getattr(unet, "config", {})
    if conditional := [name for name in CONDITIONS if of_unet.get(name) is not None]:
        raise Refusal(f"unet: has {', '.join(conditional)}; give an unconditional network")
    if of_unet.get("in_channels") != of_unet.get("out_channels"):
        raise Refusal(
            "unet: in_channels and out_channels differ; give one that predicts pictures like its input"
        )
    if "sample_size" in of_unet:
        checks.whole("unet: sample_size", of_unet["sample_size"])


def complete(unet: torch.nn.Module) -> None:
    """Refusal for a loaded network whose weights are not all there or not finite."""
    for name, weight in unet.state_dict().items():
        if weight.is_meta:
            raise Refusal(f"prior: its weights lack {name}; give a complete network")
        if not weight.isfinite().all():
            raise Refusal(f"prior: {name} holds entries that are not finite numbers; all must be")


def facts(name: str, pipe: Any) -> dict[str, str]:
    """What ``frugal info`` prints of a prior, loaded as a ``RestorationPipeline``: {what: value}."""
    source, config, scheduler = locate(name), pipe.unet.config, pipe.scheduler
    schedule, size = scheduler.config, config.sample_size
    readme = source / "README.md" if isinstance(source, Path) else Path("none")
    text = readme.read_text(errors="replace") if readme.is_file() else ""
    terms = re.search(r"^(?:\| Terms \| (.*) \||license: *(.*))$", text, re.M)
    unknown = "not stated in its folder" if isinstance(source, Path) else f"see the page of {name} on the hub"
    last = scheduler.alphas_cumprod[-1].item()
    return {
        "pictures": f"{config.in_channels} x {size} x {size}, in [-1, 1]",
        "schedule": f"{len(scheduler.alphas_cumprod)} noise levels, {schedule.beta_schedule}, alpha_bar down to {last:.2g}",
        "predicts": schedule.prediction_type,
        "clips": f"its guess to [-{schedule.clip_sample_range:g}, {schedule.clip_sample_range:g}]"
        if schedule.clip_sample
        else "nothing",
        "parameters": f"{sum(p.numel() for p in pipe.unet.parameters()):,}",
        "digest": pipe.digest(),
        "tuned for": ", ".join(pipe.step_sizes.tuned) or "no task; the rule of page 03 is used",
        "terms": next(filter(None, terms.groups())) if terms else unknown,
    }


def digest(unet: torch.nn.Module) -> str:
    """SHA-256 of a network's tensors, names included, as hexadecimal."""
    state = hashlib.sha256()
    for name, tensor in sorted(unet.state_dict().items()):
        state.update(name.encode() + tensor.detach().cpu().contiguous().numpy().tobytes())
    return state.hexdigest()


def sizes_of(source: str | Path, unet: torch.nn.Module) -> StepSizes:
    """The step sizes that belong to a prior, empty where its folder has none; those of a hub id are not known."""
    if not isinstance(source, Path) or not (source / step_sizes.FILE).is_file():
        return StepSizes()  # without the digest, which takes a second for a large network
    return step_sizes.read(source, digest(unet))
