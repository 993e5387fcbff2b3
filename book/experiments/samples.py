"""Draw from states of a prior, the same noises for each, to see what training has taught.

A state is named by the pictures it had seen. Beside NAME.json, {"meta", "rows": {PICTURES: digest}}, lies
NAME.png: a row of drawn faces for each state. Every face is the network's own. Rows that are there already
stay, since the early states of the network are in no folder any more.
"""

import json
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from frugal import images, prior
from frugal.training import draw

from . import stamp
from .engine import Job

FACES = 8
SEED = 0


def then(job: Job) -> dict[str, object]:
    """Draw one state's row of faces, and put it in its place among the others."""
    args, pipe = job.args, job.pipe
    seen = args.pictures or seen_by(args.prior)
    file, before = args.out.with_suffix(".png"), stamp.content(args.out).get("rows", {})
    drawn = dict(zip(map(int, before), zip(rows_of(file, len(before)), before.values())))
    drawn[seen] = draw(pipe.unet, pipe.scheduler, FACES, seed=SEED).cpu(), pipe.digest()
    images.save(torch.cat([torch.cat(list(drawn[n][0]), -1) for n in sorted(drawn)], -2), file)
    rows = {str(n): drawn[n][1] for n in sorted(drawn)}
    job.content["meta"]["prior_digest"] = list(rows.values())[-1]
    return {"rows": rows}


def seen_by(name: str) -> int:
    """Pictures that a prior had seen, by the last line of the curve in its folder."""
    *_, last = (Path(prior.locate(name)) / "curve.jsonl").read_text().splitlines()
    return json.loads(last)["pictures"]


def rows_of(file: Path, count: int) -> list[torch.Tensor]:
    """The faces of a sheet of ``count`` rows, a tensor (FACES, 3, S, S) in [-1, 1] for each."""
    if not count:
        return []
    with Image.open(file) as sheet:
        pixels = images.from_uint8(np.asarray(sheet))
    return [torch.stack(row.chunk(FACES, -1)) for row in pixels.chunk(count, -2)]
