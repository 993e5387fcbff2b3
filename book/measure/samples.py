"""Draw from states of a prior, the same noises for each, to see what training has taught.

A state is named by the pictures it had seen. Beside NAME.json, {"meta", "rows": {PICTURES: digest}}, lies
NAME.png: a row of drawn faces for each state. Every face is the network's own. Rows that are there already
stay, since the early states of the network are in no folder any more.
"""

import argparse
import json
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from frugal import images, prior
from frugal.base.devices import choose
from frugal.training import draw

from . import record

FACES = 8
SEED = 0
DEPENDS = ("training/samples",)
OF_A_PRIOR = True


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's arguments."""
    parser.add_argument(
        "--pictures", type=int, help="that the state had seen (default: by the prior's curve)"
    )
    parser.add_argument(
        "--prior", default=record.SHIPPED, help="a shipped name or a folder (default %(default)s)"
    )


def settings(name: str) -> dict[str, object]:
    """What the faces depend on beside the prior."""
    return {"faces": FACES, "seed": SEED}


def measure(args: argparse.Namespace) -> dict:
    """Draw one state's row of faces, and put it in its place among the others."""
    pipe = record.prior_alone(args.prior).to(choose(args.device))
    seen = seen_by(args.prior) if args.pictures is None else args.pictures
    file, before = args.out.with_suffix(".png"), record.content(args.out).get("rows", {})
    drawn = dict(zip(map(int, before), rows_of(file, len(before))))
    drawn[seen] = draw(pipe.unet, pipe.scheduler, FACES, seed=SEED).cpu()
    digests = {int(pictures): digest for pictures, digest in before.items()} | {seen: pipe.digest()}
    lines = [torch.cat(list(drawn[pictures]), -1) for pictures in sorted(drawn)]
    images.save(torch.cat(lines, -2), file)
    rows = {str(pictures): digests[pictures] for pictures in sorted(digests)}
    meta = record.stamp(args, pipe, DEPENDS, **settings(args.name))
    return {"meta": meta | {"prior_digest": list(rows.values())[-1]}, "rows": rows}


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
