"""The command ``frugal``: restore photos, evaluate methods on a folder, train a prior.

What a command needs is imported when it is asked for, so that ``frugal --help`` answers at once.
"""

import argparse
import errno
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .settings import Settings


class Parser(argparse.ArgumentParser):
    """An ArgumentParser that answers bad input with one sentence and exit code 2."""

    def error(self, message: str) -> None:
        self.exit(2, f"{self.prog}: {message}\n")


def switch(text: str) -> int | str:
    """A whole number, or the word collapse."""
    return text if text == "collapse" else int(text)


def add_sampling(parser: argparse.ArgumentParser) -> None:
    """The arguments that restore and evaluate share."""
    from .operators import TASKS
    from .samplers import METHODS

    add = parser.add_argument
    add("--task", required=True, help=", ".join(TASKS))
    own = ", ".join(f"{method.steps} for {name}" for name, method in METHODS.items() if method.steps != 100)
    add(
        "--steps", type=int, help=f"reverse steps t, num_inference_steps in Python (default: {own}, else 100)"
    )
    add("--switch", type=switch, help="how many of the last steps are DMPS, or 'collapse' (default: half)")
    add("--sigma", type=float, default=0.01, help="noise in [-1, 1] units (default %(default)s)")
    add("--seed", type=int, default=0, help="of the noise (default %(default)s)")
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
    from .samplers import BEST, METHODS

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
    add("--rest", action="store_true", help="with --align: fill what is hidden outside the face, smoothly")
    add("--samples", type=int, default=1, help="how many restorations are drawn (default %(default)s)")
    add("--out", type=Path, required=True, help="the restored picture, a PNG; of a folder, a folder")


def add_training(parser: argparse.ArgumentParser) -> None:
    """The arguments of train; the defaults are those of ``training.train``."""
    from .training import train
    from .training.network import CHANNELS

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
    parser.set_defaults(**train.__kwdefaults__ or {})


def add_evaluating(parser: argparse.ArgumentParser) -> None:
    """The arguments of evaluate."""
    from .samplers import METHODS, POSTER

    add = parser.add_argument
    add("--images", type=Path, required=True)
    add("--methods", nargs="+", default=list(POSTER), help=", ".join(METHODS))
    add_sampling(parser)
    add("--batch-size", type=int, default=10, help="pictures restored together (default 10)")
    add("--limit", type=int, help="only the first so many pictures")
    add("--out", type=Path, required=True, help="RESULTS.json")


def add_prior(parser: argparse.ArgumentParser) -> None:
    """The argument of info."""
    parser.add_argument("prior", help="a shipped name, a folder, or a hub id")


def settings(args: argparse.Namespace) -> "Settings":
    """The ``Settings`` among the arguments."""
    from .settings import Settings

    return Settings(args.steps, args.switch, args.zeta, args.lam, args.seed)


def run_restore(args: argparse.Namespace) -> int:
    """Restore, save, and say what was done; 2 where photos of a folder had to be left out."""
    from .base.devices import choose
    from .photo import Job, restore_all
    from .pipeline import RestorationPipeline

    pipe = RestorationPipeline.from_pretrained(args.prior).to(choose())
    if args.fast:
        pipe.speed_up()
    own = args.mask is not None or args.kernel is not None or args.task == "inpaint"
    as_given = ("task", "method", "sigma", "mask", "kernel", "crop", "samples", "rest")
    job = Job(
        **{name: getattr(args, name) for name in as_given},
        settings=settings(args),
        degrade=args.degrade or not (args.measured or own),
        align=None if args.align is None else tuple(args.align),
    )
    unusable = restore_all(pipe, args.photo, args.out, job)
    if unusable:
        print(f"frugal restore: {unusable} photos were left out, see above", file=sys.stderr)
    return 2 if unusable else 0


def run_evaluate(args: argparse.Namespace) -> int:
    """Evaluate and print the mean of each method that was asked for."""
    from .results import tables
    from .runs.evaluate import evaluate

    given = {name: getattr(args, name) for name in ("sigma", "limit", "prior", "crop", "batch_size", "fast")}
    out = evaluate(args.images, args.task, args.methods, args.out, settings=settings(args), **given)
    rows = json.loads(out.read_text())["rows"]
    print(tables.summary([row for row in rows if row["method"] in args.methods]))
    return 0


def run_info(args: argparse.Namespace) -> int:
    """Say what a prior is."""
    from . import prior
    from .pipeline import RestorationPipeline

    pipe = RestorationPipeline.from_pretrained(args.prior)
    for what, value in prior.facts(args.prior, pipe).items():
        print(f"{what + ':':12}{value}")
    return 0


def run_train(args: argparse.Namespace) -> int:
    """Train a prior and print its folder."""
    from .training import train

    own = train.__kwdefaults__ or {}
    chosen = {name: value for name, value in vars(args).items() if name in own}
    print(train(args.images, args.out, **chosen))
    return 0


COMMANDS = {  # name: what it does, its arguments, what runs
    "restore": ("restore a damaged photo, or degrade a sharp one and restore it", add_restoring, run_restore),
    "evaluate": ("measure methods on a folder of pictures", add_evaluating, run_evaluate),
    "info": ("say what a prior is", add_prior, run_info),
    "train": ("train a prior on a folder of pictures", add_training, run_train),
}


def build_parser(asked: str | None) -> Parser:
    """The command line; of the commands, only the one ``asked`` for has its arguments."""
    parser = Parser(prog="frugal", description="Frugal zero-shot image restoration with diffusion models.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, (what, add_arguments, run) in COMMANDS.items():
        one = commands.add_parser(name, help=what)
        if name == asked:
            add_arguments(one)
            one.set_defaults(run=run)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; a refusal ends in one sentence on stderr and exit code 2, a bug in its trace."""
    words = sys.argv[1:] if argv is None else list(argv)
    args = build_parser(next(iter(words), None)).parse_args(words)
    from .base.checks import Refusal

    try:
        status = args.run(args)
        sys.stdout.flush()
        return status
    except Refusal as error:
        print(f"frugal {args.command}: {error}", file=sys.stderr)
        return 2
    except OSError as error:  # whoever read what is printed has gone, or there is no room for it
        if error.errno not in (errno.EPIPE, errno.ENOSPC):
            raise
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if error.errno == errno.EPIPE:
            return 141
        print(f"frugal {args.command}: what is printed cannot be written; free space", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f"frugal {args.command}: interrupted; the same command does what is left", file=sys.stderr)
        return 130
