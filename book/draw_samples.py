"""Draw from states of a prior, the same noises for each, to see what training has taught.

python book/draw_samples.py --prior 0=FIRST 46400=SECOND ... --out book/measured/samples.json

A state is named by the pictures it had seen. Beside FILE, {"meta": {...}, "rows": {PICTURES: digest}}, lies
FILE with the ending .png: a row of drawn faces for each state. Every face is the network's own.
"""

import argparse
import sys
from pathlib import Path

import torch

from frugal import RestorationPipeline, evaluate, images, train

FACES = 8
SEED = 0


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--prior", nargs="+", required=True, metavar="PICTURES=PRIOR")
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    device = evaluate.default_device()
    rows, drawn = {}, []
    for seen, prior in (pair.split("=", 1) for pair in args.prior):
        pipe = RestorationPipeline.from_pretrained(prior).to(device)
        rows[seen] = pipe.digest()
        drawn.append(train.draw(pipe.unet, pipe.scheduler, FACES, seed=SEED).cpu())
    images.save(train.sheet(torch.cat(drawn), FACES), args.out.with_suffix(".png"))
    meta = {"faces": FACES, "seed": SEED, "device": evaluate.device_name(device), **evaluate.provenance()}
    evaluate.write_json(args.out, {"meta": meta, "rows": rows})
    return 0


if __name__ == "__main__":
    sys.exit(main())
