"""The command ``frugal``: restore one photo, evaluate methods on a folder, train a prior."""

import argparse
import json
import sys
from pathlib import Path

from . import evaluate, images, train
from .operators import TASKS
from .pipeline import METHODS, RestorationPipeline


class Parser(argparse.ArgumentParser):
    """An ArgumentParser that answers bad input with one sentence and exit code 2."""

    def error(self, message):
        self.exit(2, f"{self.prog}: {message}\n")


def switch(text):
    """A whole number, or the word collapse."""
    return text if text == "collapse" else int(text)


def add_sampling(parser):
    """The arguments that restore and evaluate share."""
    parser.add_argument("--task", required=True, help=", ".join(TASKS[:-1]))
    parser.add_argument(
        "--steps", type=int, default=100, help="reverse steps t, num_inference_steps in Python (default 100)"
    )
    parser.add_argument(
        "--switch",
        type=switch,
        default=50,
        help="how many of the hybrid's last steps are DMPS, or 'collapse' (default 50)",
    )
    parser.add_argument("--sigma", type=float, default=0.01, help="noise in [-1, 1] units (default 0.01)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--prior", default="faces64", help="a shipped name, a folder, or a hub id (default faces64)"
    )
    parser.add_argument(
        "--crop",
        type=int,
        help="side of the centred square to cut out, 140 for aligned CelebA (default: all of the shorter side)",
    )
    parser.add_argument("--zeta", type=float, help="DPS's step (default: tuned)")
    parser.add_argument("--lam", type=float, help="DMPS's step (default: tuned)")


def sampling(args):
    """The settings of ``evaluate.restore`` among the arguments."""
    return {name: getattr(args, name) for name in ("sigma", "steps", "switch", "zeta", "lam", "seed")}


def build_parser():
    """The command line, as documented in book/reproduce.md."""
    parser = Parser(prog="frugal", description="Frugal zero-shot image restoration with diffusion models.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    one = commands.add_parser("restore", help="degrade one photo by a task and restore it")
    one.add_argument("photo", type=Path)
    one.add_argument("--method", default="hybrid", help=", ".join(METHODS))
    add_sampling(one)
    one.add_argument("--out", type=Path, required=True, help="the restored picture, a PNG")
    one.set_defaults(run=run_restore)

    many = commands.add_parser("evaluate", help="measure methods on a folder of pictures")
    many.add_argument("--images", type=Path, required=True)
    many.add_argument("--methods", nargs="+", default=list(METHODS), help=", ".join(METHODS))
    add_sampling(many)
    many.add_argument("--batch-size", type=int, default=10, help="pictures restored together (default 10)")
    many.add_argument("--limit", type=int, help="only the first so many pictures")
    many.add_argument("--out", type=Path, required=True, help="RESULTS.json")
    many.set_defaults(run=run_evaluate)

    prior = commands.add_parser("train", help="train a prior on a folder of pictures")
    train.add_arguments(prior)
    prior.set_defaults(run=train.run)
    return parser


def run_restore(args):
    """Degrade, restore, save, and say what was done."""
    evaluate.check_folder(args.out)
    pipe = RestorationPipeline.from_pretrained(args.prior).to(evaluate.default_device())
    size = pipe.unet.config.sample_size
    x0 = images.load(args.photo, size, args.crop)
    (row,), restored = evaluate.restore(pipe, x0[None], [0], args.task, args.method, **sampling(args))
    images.save(restored[0], args.out)
    print(
        f"{args.photo} centre-cropped and resized to {size} x {size}, degraded by {args.task} with sigma {args.sigma}"
    )
    quality = f"pSNR {row['psnr']:.2f} dB" + ("" if row["lpips"] is None else f", LPIPS {row['lpips']:.3f}")
    print(
        f"{args.out}: {args.method}, {args.steps} steps of which DMPS {row['switch']}, {quality}, {row['seconds']:.1f} s"
    )


def run_evaluate(args):
    """Evaluate and print the mean of each method."""
    files = {name: getattr(args, name) for name in ("limit", "prior", "crop", "batch_size")}
    out = evaluate.evaluate(args.images, args.task, args.methods, args.out, **files, **sampling(args))
    print(evaluate.table(json.loads(out.read_text())["rows"]))


def main(argv=None):
    """Run the command; bad input ends in one sentence on stderr and exit code 2."""
    args = build_parser().parse_args(argv)
    try:
        args.run(args)
    except ValueError as error:
        print(f"frugal {args.command}: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f"frugal {args.command}: interrupted; the same command does what is left", file=sys.stderr)
        return 130
    return 0
