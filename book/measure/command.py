"""``python book/measure NAME [arguments]``: renew one measured file of the book.

Each NAME is a file ``book/measured/NAME.json`` and has a module here with ``add_arguments(parser)`` and
``measure(args) -> {"meta": stamp, ...}``; ``record`` stamps and writes.
"""

import argparse
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from accelerate import PartialState

from frugal.results import stored
from frugal.base.checks import Refusal
from frugal.cli import Parser

from . import (
    bench,
    conditions,
    fidelity,
    frontier,
    mutants,
    prior,
    published,
    record,
    rule,
    samples,
    search,
    seeds,
    spectrum,
    switches,
    trials,
    tuning,
)

MEASURED = {  # name of the file: its module
    "bench": bench,
    "conditions": conditions,
    "fidelity": fidelity,
    "frontier": frontier,
    "mutants": mutants,
    "prior": prior,
    "published": published,
    "rule": rule,
    "samples": samples,
    "search": search,
    "seeds": seeds,
    "spectrum": spectrum,
    "switches": switches,
    "trials": trials,
    "tuning": tuning,
}


def build_parser() -> argparse.ArgumentParser:
    """The command line; its subcommands are the names of the measured files."""
    parser = Parser(prog="python book/measure", description="Renew one measured file of the book.")
    names = parser.add_subparsers(dest="name", required=True, metavar="NAME")
    for name, module in MEASURED.items():
        first, *_ = str(module.__doc__).splitlines()
        one = names.add_parser(name, help=first, description=first)
        module.add_arguments(one)
        one.add_argument("--device", default="auto", help="auto, cpu, cuda (default auto)")
        one.add_argument(
            "--out", type=Path, default=record.FOLDER / f"{name}.json", help="(default: in the book)"
        )
        one.set_defaults(measure=module.measure, parser=one)
    return parser


def command(args: argparse.Namespace, parser: argparse.ArgumentParser) -> str:
    """The command that measures the same again; a path, which differs from place to place, is a name in capitals."""
    words = ["python", "book/measure", args.name]
    for name, value in vars(args).items():
        if name in ("name", "out", "into", "device") or value == parser.get_default(name):
            continue
        several = value if isinstance(value, list) else [value]
        words.append("--" + name.replace("_", "-"))
        words += [name.upper() if isinstance(one, Path) or "/" in str(one) else str(one) for one in several]
    return shlex.join(words)


def main(argv: Sequence[str] | None = None) -> int:
    """Measure and write; a refusal is one sentence on stderr and exit code 2."""
    args = build_parser().parse_args(argv)
    measure, parser = vars(args).pop("measure"), vars(args).pop("parser")
    args.command = command(args, parser)
    try:
        content = measure(args)
        if PartialState().is_main_process:
            record.write(args.out, content)
            for part in (record.part(args.out), *stored.parts(args.out)):
                part.unlink(missing_ok=True)
    except Refusal as error:
        print(f"measure {args.name}: {error}", file=sys.stderr)
        return 2
    return 0
