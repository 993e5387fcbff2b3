"""Wrong input to Python and to the command: what is tried for ``wrong_input.md``, and how."""

import contextlib
import io
import json
import shlex
import shutil
import warnings
from dataclasses import replace  # noqa: F401  here and below, for the expressions
from pathlib import Path

import numpy as np
import torch
from diffusers import DDPMScheduler, EulerDiscreteScheduler, PNDMScheduler  # noqa: F401
from examples import gaussian, low_rank, small_pipe  # noqa: F401
from PIL import Image

from frugal import Measurement, RestorationPipeline, images, metrics, operators, prior, training  # noqa: F401
from frugal.base.checks import Refusal
from frugal.cli import main
from frugal.laboratory import (  # noqa: F401
    GaussianMixture,
    LowRankMixture,
    best_of_other_half,
    transitions,
)
from frugal.operators import two_functions  # noqa: F401
from frugal.results import statistics  # noqa: F401
from frugal.show import page, players  # noqa: F401
from frugal.show.choices import choices  # noqa: F401

SENTENCES = Path(__file__).with_name("wrong_input.md")


def namespace(folder: Path) -> dict:
    """What the expressions of the page may name beside what is imported here: a small pipeline, pictures and files."""
    x0 = torch.zeros(2, 3, 32, 32)
    A = operators.make("sr4", (3, 32, 32))
    own = {"x0": x0, "A": A, "m": A.measure(x0, 0.01), "pipe": small_pipe(), "nan": float("nan")}
    return globals() | own | {"here": folder, "photo": folder / "photo.png"}


def place(folder: Path) -> Path:
    """A folder with the files that expressions and commands name."""
    folder.mkdir(exist_ok=True)
    images.save(images.shipped("faces", limit=1)[0], folder / "photo.png")
    pixels = np.zeros((64, 64), np.uint8)
    Image.fromarray(pixels).save(folder / "black.png")
    Image.fromarray(pixels[:9, :9] + 255).save(folder / "small.png")
    Image.fromarray(np.zeros((64, 64), np.float32)).save(folder / "float.tiff")
    (folder / "text.png").write_text("no picture")
    (folder / "cut.png").write_bytes(b"\x89PNG\r\n\x1a\n\x00\x00")
    (folder / "diary.json").write_text("my diary")
    (folder / "empty").mkdir(exist_ok=True)
    (folder / "pictures").mkdir(exist_ok=True)
    shutil.copy(folder / "photo.png", folder / "pictures")
    for name in ("twins/a.png", "twins/a.jpg", "numbered/a.png", "numbered/a-2.png"):
        (folder / name).parent.mkdir(exist_ok=True)
        shutil.copy(folder / "photo.png", folder / name)
    np.save(folder / "short.npy", np.zeros((2, 8, 8, 3), np.uint8))
    np.save(folder / "pickled.npy", np.array([{}]), allow_pickle=True)
    for name, change in PRIORS.items():
        spoilt(folder / name, change)
    return folder


PRIORS = {  # a copy of the shipped prior: file, key, value
    "sizeless": ("unet/config.json", "sample_size", None),
    "classes": ("unet/config.json", "num_class_embeds", 10),
    "endless": ("scheduler/scheduler_config.json", "num_train_timesteps", 10**9),
    "unclipped": ("scheduler/scheduler_config.json", "clip_sample_range", None),
    "flow": ("scheduler/scheduler_config.json", "prediction_type", "flow"),
    "headless": ("unet/config.json", "block_out_channels", []),
}


def spoilt(folder: Path, change: tuple[str, str, object]) -> None:
    """A copy of the shipped prior with one entry of a config changed; its weights are a link."""
    name, key, value = change
    if folder.exists():
        return
    for source in (prior.SHIPPED / "faces64").rglob("*"):
        if source.is_file() and source.name != "step_sizes.json":
            copy = folder / source.relative_to(prior.SHIPPED / "faces64")
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.symlink_to(source) if source.suffix == ".safetensors" else shutil.copy(source, copy)
    config = json.loads((folder / name).read_text())
    (folder / name).write_text(json.dumps({**config, key: value}))


def in_python(expression: str, names: dict) -> str:
    """The sentence of the Refusal that an expression ends in; anything else is passed on, or is a "nothing"."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            eval(expression, names)
    except Refusal as refusal:
        return str(refusal)
    return "nothing is said"


def by_command(line: str) -> str:
    """What ``frugal`` says on stderr last, having ended with exit code 2, in the current folder."""
    error = io.StringIO()
    with contextlib.redirect_stderr(error), contextlib.redirect_stdout(io.StringIO()):
        try:
            code = main(shlex.split(line)[1:])
        except SystemExit as stop:
            code = stop.code
    said = error.getvalue().strip().splitlines()
    return said[-1] if code == 2 and said else f"exit code {code}"


def rows() -> list[tuple[str, str]]:
    """(input, sentence) of every line of the page's tables."""
    lines = [line for line in SENTENCES.read_text().splitlines() if line.startswith("| `")]
    cells = ([cell.strip() for cell in line.strip("| ").split(" | ", 1)] for line in lines)
    return [(given.strip("`").replace("\\|", "|"), said.replace("\\|", "|")) for given, said in cells]
