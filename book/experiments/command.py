"""``python book/experiments NAME [arguments]``: measure a line of ``table.EXPERIMENTS`` into its file."""

import argparse
import os
import shlex
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from alone import hold
from frugal.base.checks import Refusal
from frugal.cli import Parser

from . import stamp
from .engine import measure
from .experiment import Experiment
from .table import EXPERIMENTS

HELP = {
    "limit": "only the first so many pictures",
    "crop": "side of the centred square to cut out, 140 for aligned CelebA",
    "steps": "reverse steps",
    "seed": "of the noise",
    "batch": "pictures in a call of the network",
    "prior": "a shipped name or a folder",
    "device": "auto, cpu, cuda",
}


def build_parser(experiments: Mapping[str, Experiment] = EXPERIMENTS) -> argparse.ArgumentParser:
    """The command line; its subcommands are the names of the experiments."""
    parser = Parser(prog="python book/experiments", description="Measure one file of the book.")
    names = parser.add_subparsers(dest="name", required=True, metavar="NAME")
    for name, experiment in experiments.items():
        one = names.add_parser(name, help=experiment.about, description=experiment.about)
        for word, about in experiment.folders.items():
            several = "+" if word[-1] == "+" else None
            one.add_argument(
                f"--{word.rstrip('+?')}", type=Path, required=word[-1] != "?", nargs=several, help=about
            )
        for word, value in {**experiment.options, "prior": stamp.SHIPPED, "device": "auto"}.items():
            several = "+" if isinstance(value, list) else None
            kind = type(value[0] if several else value or 0)
            help = f"{HELP.get(word, '')} (default: {value})".strip()
            one.add_argument(
                f"--{word.replace('_', '-')}", type=kind, nargs=several, default=value, help=help
            )
        out = stamp.FOLDER / f"{name}.json"
        one.add_argument("--out", type=Path, default=out, help="(default: in the book)")
        one.set_defaults(parser=one)
    return parser


def command(args: argparse.Namespace, parser: argparse.ArgumentParser) -> str:
    """The command that measures the same again; a path, which differs from place to place, is a name in capitals."""
    words = ["python", "book/experiments", args.name]
    for name, value in vars(args).items():
        if name in ("name", "out", "into", "device") or value == parser.get_default(name):
            continue
        several = value if isinstance(value, list) else [value]
        words.append("--" + name.replace("_", "-"))
        words += [name.upper() if isinstance(one, Path) or "/" in str(one) else str(one) for one in several]
    return shlex.join(words)


def main(argv: Sequence[str] | None = None) -> int:
    """Measure and write; a refusal is one sentence on stderr and exit code 2.

    Of two runs of one experiment the second waits, and then finds what the first has measured.
    """
    args = build_parser().parse_args(argv)
    args.command = command(args, vars(args).pop("parser"))
    experiment, lock = EXPERIMENTS[args.name], None
    try:
        if os.environ.get("RANK", "0") == "0":  # of several processes the first speaks for all
            lock = hold(experiment.module.__file__, f"run measures {args.name}")
        measure(experiment, args)
    except Refusal as error:
        print(f"{args.name}: {error}", file=sys.stderr)
        return 2
    finally:
        if lock is not None:
            os.close(lock)
    return 0
