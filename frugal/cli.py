"""The command ``frugal``: restore photos, evaluate methods on a folder, train a prior."""

import argparse
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from . import prior, training
from .results import tables
from .base.checks import Refusal
from .base.devices import choose
from .runs.evaluate import evaluate
from .samplers import BEST, METHODS, POSTER
from .operators import TASKS
from .photo import Job, restore_all
from .pipeline import RestorationPipeline
from .settings import Settings
from .training.network import CHANNELS


class Parser(argparse.ArgumentParser):
    """An ArgumentParser that answers bad input with one sentence and exit code 2."""

    def error(self, message: str) -> None:
        self.exit(2, f"{self.prog}: {message}\n")


def switch(text: str) -> int | str:
    """A whole number, or the word collapse."""
    return text if text == "collapse" else int(text)


def add_sampling(parser: argparse.ArgumentParser) -> None:
    """The arguments that restore and evaluate share."""
    add, default = parser.add_argument, Settings()
    add("--task", required=True, help=", ".join(TASKS))
    own = ", ".join(f"{method.steps} for {name}" for name, method in METHODS.items() if method.steps != 100)
    add(
        "--steps", type=int, help=f"reverse steps t, num_inference_steps in Python (default: {own}, else 100)"
    )
    add("--switch", type=switch, help="how many of the last steps are DMPS, or 'collapse' (default: half)")
    add("--sigma", type=float, default=0.01, help="noise in [-1, 1] units (default %(default)s)")
    add("--seed", type=int, default=default.seed, help="of the noise (default %(default)s)")
    add("--prior", default="faces64", help="a shipped name, a folder, or a hub id (default %(default)s)")
    add(
        "--crop",
        type=int,
        help="side of the centred square to cut out, 140 for aligned CelebA (default: all of the shorter side)",
    )
    add("--zeta", type=float, help="DPS's step (default: tuned for the prior)")
    add("--lam", type=float, help="DMPS's step (default: tuned for the prior)")
    add("--fast", action="store_true", help="bfloat16 where nothing is back-propagated")


def add_restoring(parser: argparse.ArgumentParser) -> None:
    """The arguments of restore."""
    add = parser.add_argument
    add("photo", type=Path, help="a picture, or a folder of pictures")
    add("--method", default=BEST, help=f"{', '.join(METHODS)} (default %(default)s)")
    add_sampling(parser)
    damage = parser.add_mutually_exclusive_group()
    damage.add_argument(
        "--measured",
        action="store_true",
        help="the photo is what was measured; with a mask or kernel of one's own the default",
    )
    damage.add_argument(
        "--degrade",
        action="store_true",
        help="the photo is sharp, and the task degrades it first; else the default",
    )
    add(
        "--mask",
        type=Path,
        help="picture of the photo's size, white where the photo is kept, black where it is filled",
    )
    add("--kernel", type=Path, help="picture of a blur, in pixels of the prior's picture")
    add(
        "--align",
        type=int,
        nargs="*",
        metavar="LEFT TOP SIDE",
        help="find the face, or say where it is in pixels; restore it, and put it back into the photo",
    )
    add("--samples", type=int, default=1, help="how many restorations are drawn (default %(default)s)")
    add("--out", type=Path, required=True, help="the restored picture, a PNG; of a folder, a folder")


def add_training(parser: argparse.ArgumentParser) -> None:
    """The arguments of train; the defaults are those of ``training.train``."""
    add, levels = parser.add_argument, " ".join(map(str, CHANNELS))
    add("--images", nargs="+", required=True, help="folders, or .npy files of uint8 (N, size, size, 3)")
    add("--out", required=True, help="folder of the prior; the same command goes on from what is there")
    add("--val", nargs="+", help="held-out pictures (default: a part of --images)")
    add("--crop", type=int, help="side of the centred square to cut out (default: all of the shorter side)")
    add("--size", type=int, help="side of the model's pictures (default %(default)s)")
    add("--channels", type=int, nargs="+", help=f"of the levels, finest first (default {levels})")
    add("--init", help="prior to start from: a shipped name, a folder, or a hub id (default: a new network)")
    add("--steps", type=int, help="in all (default %(default)s)")
    add("--batch-size", type=int, help="pictures a step, over all processes (default %(default)s)")
    add("--lr", type=float, help="peak of the learning rate (default %(default)s)")
    add("--decay", type=float, help="last fraction of the steps, where it falls to 0 (default %(default)s)")
    add("--min-snr", type=float, help="gamma that noise levels are weighed by (default: all levels alike)")
    add("--every", type=int, help="steps between validations (default %(default)s)")
    add("--seed", type=int, help="of the weights and of every step (default %(default)s)")
    add("--compile", action="store_true", help="use torch.compile; on a CPU it needs a C++ compiler")
    parser.set_defaults(**training.train.__kwdefaults__ or {})


def settings(args: argparse.Namespace) -> Settings:
    """The ``Settings`` among the arguments."""
    return Settings(args.steps, args.switch, args.zeta, args.lam, args.seed)


def build_parser() -> Parser:
    """The command line, as documented in book/reproduce.md."""
    parser = Parser(prog="frugal", description="Frugal zero-shot image restoration with diffusion models.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    one = commands.add_parser(
        "restore", help="restore a damaged photo, or degrade a sharp one and restore it"
    )
    add_restoring(one)
    one.set_defaults(run=run_restore)

    many = commands.add_parser("evaluate", help="measure methods on a folder of pictures")
    many.add_argument("--images", type=Path, required=True)
    many.add_argument("--methods", nargs="+", default=list(POSTER), help=", ".join(METHODS))
    add_sampling(many)
    many.add_argument("--batch-size", type=int, default=10, help="pictures restored together (default 10)")
    many.add_argument("--limit", type=int, help="only the first so many pictures")
    many.add_argument("--out", type=Path, required=True, help="RESULTS.json")
    many.set_defaults(run=run_evaluate)

    what = commands.add_parser("info", help="say what a prior is")
    what.add_argument("prior", help="a shipped name, a folder, or a hub id")
    what.set_defaults(run=run_info)

    new = commands.add_parser("train", help="train a prior on a folder of pictures")
    add_training(new)
    new.set_defaults(run=run_train)
    return parser


def run_restore(args: argparse.Namespace) -> int:
    """Restore, save, and say what was done; 2 where photos of a folder had to be left out."""
    pipe = RestorationPipeline.from_pretrained(args.prior).to(choose())
    if args.fast:
        pipe.speed_up()
    own = args.mask is not None or args.kernel is not None or args.task == "inpaint"
    job = Job(
        args.task,
        args.method,
        args.sigma,
        settings(args),
        degrade=args.degrade or not (args.measured or own),
        mask=args.mask,
        kernel=args.kernel,
        crop=args.crop,
        align=None if args.align is None else tuple(args.align),
        samples=args.samples,
    )
    unusable = restore_all(pipe, args.photo, args.out, job)
    if unusable:
        print(f"frugal restore: {unusable} photos were left out, see above", file=sys.stderr)
    return 2 if unusable else 0


def run_evaluate(args: argparse.Namespace) -> int:
    """Evaluate and print the mean of each method that was asked for."""
    files = {name: getattr(args, name) for name in ("limit", "prior", "crop", "batch_size", "fast")}
    out = evaluate(
        args.images, args.task, args.methods, args.out, sigma=args.sigma, settings=settings(args), **files
    )
    rows = json.loads(out.read_text())["rows"]
    print(tables.summary([row for row in rows if row["method"] in args.methods]))
    return 0


def run_info(args: argparse.Namespace) -> int:
    """Say what a prior is."""
    pipe = RestorationPipeline.from_pretrained(args.prior)
    for what, value in prior.facts(args.prior, pipe).items():
        print(f"{what + ':':12}{value}")
    return 0


def run_train(args: argparse.Namespace) -> int:
    """Train a prior and print its folder."""
    own = training.train.__kwdefaults__ or {}
    chosen = {name: value for name, value in vars(args).items() if name in own}
    print(training.train(args.images, args.out, **chosen))
    return 0


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; a refusal ends in one sentence on stderr and exit code 2, a bug in its trace."""
    args = build_parser().parse_args(argv)
    try:
        return args.run(args)
    except Refusal as error:
        print(f"frugal {args.command}: {error}", file=sys.stderr)
        return 2
    except BrokenPipeError:  # whoever read what is printed has gone
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except KeyboardInterrupt:
        print(f"frugal {args.command}: interrupted; the same command does what is left", file=sys.stderr)
        return 130
