"""The poster's methods on pictures that are no photographs: handwriting, text and textures, inpainted.

*Handwriting* is a folder of characters. *Text* is lines of this repository's licence. *Textures* are photographs
with phases drawn at random: their colours and their spectrum, and no shapes (Galerne, Gousseau & Morel 2011).
"""

import math
from collections.abc import Iterator
from pathlib import Path

import matplotlib
import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont

from frugal import images

from .engine import Job, Pictures, Run
from .faces import SIGMA as SIGMA  # for the stamp, as SWITCHES
from .natural import SWITCHES as SWITCHES
from .natural import both, distances

TASK = "inpaint-box"
FONT = Path(matplotlib.get_data_path(), "fonts/ttf/DejaVuSans.ttf")
LICENCE = Path(__file__).parents[2] / "LICENSE"
HEIGHTS = (8, 11, 15)  # of a line, pixels


def runs(job: Job) -> Iterator[Run]:
    """Every domain."""
    for domain, named in domains(job).items():
        fields = {"domain": domain, "task": TASK}
        yield from (Run({**fields, "steps": t}, named, of) for t, of in both(job, TASK))


def domains(job: Job) -> dict[str, Pictures]:
    """{domain: its pictures, as many of each}."""
    return {
        "handwriting": job.pictures("handwriting"),
        "text": text(job.args.limit, job.pipe.size),
        "textures": {name: texture(x) for name, x in job.pictures().items()},
    }


def text(count: int, side: int) -> Pictures:
    """Pictures (3, side, side) of consecutive lines, black on white, in one of ``HEIGHTS``."""
    words, found = iter(LICENCE.read_text().split() * 99), {}
    for number in range(count):
        height = HEIGHTS[number % len(HEIGHTS)]
        page, font = Image.new("RGB", (side, side), "white"), ImageFont.truetype(str(FONT), height - 2)
        for top in range(0, side, height):
            line = " ".join(next(words) for _ in range(math.ceil(side / height / 2)))
            ImageDraw.Draw(page).text((1, top), line, "black", font)
        found[f"text-{number}"] = images.from_uint8(np.array(page))
    return found


def texture(x: torch.Tensor) -> torch.Tensor:
    """A picture (C, H, W) with the phases of noise, the same for all channels; clipped to [-1, 1]."""
    noise = torch.randn(x.shape[1:], generator=torch.Generator().manual_seed(0))
    phases = torch.fft.rfft2(noise).angle()
    phases[0, 0] = 0  # the mean stays
    return torch.fft.irfft2(torch.fft.rfft2(x) * torch.exp(1j * phases), s=x.shape[1:]).clamp(-1, 1)


def then(job: Job) -> dict[str, dict[str, float]]:
    """ "distance", as ``natural`` has it."""
    return distances(job, [x for named in domains(job).values() for x in named.values()])
