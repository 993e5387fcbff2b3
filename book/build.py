"""Run the notebooks and build the book from what they print.

python book/build.py                          all of it; prints the path of the first page
python book/build.py -p images 4 -p steps 20  with other parameters, in every notebook that has them
python book/build.py --print                  one page for paper
python book/build.py --read                   the committed outputs, no notebook runs
python book/build.py --in-place               run them, keep the outputs in notebooks/, build nothing
python book/build.py --to-compare             run those whose committed outputs have no other run to be compared with
python book/build.py --seconds                keep what the cells took when they ran last, in book/seconds.json

A page whose making has not changed is not run again, and a book whose pages have not is not built again;
``--fresh`` does all.
"""

import argparse
import shutil
import subprocess
import sys
from pathlib import Path

import pages
from alone import hold
from check import faults
from pages import ROOT, SOURCE

BUILDERS = "html", "singlehtml"


def render(builder: str, source: Path = SOURCE, target: Path = ROOT, anew: bool = True) -> Path:
    """Build "html" or "singlehtml" from executed notebooks; a warning is an error. Returns the first page.

    Where nothing is read ``anew``, what was read for the other of the two serves again.
    """
    program = str(Path(sys.executable).with_name("jupyter-book"))
    options = ["--path-output", str(target), "--builder", builder, "-n", "-W", "--keep-going"]
    options += ["--all"] if anew else []
    folder = target / "_build" / builder
    shutil.rmtree(folder, ignore_errors=True)
    # Of a session of its own, for it has more than a sentence to say on Ctrl-C.
    subprocess.run([program, "build", str(source), *options], check=True, start_new_session=True)
    return folder / "index.html"


def made_from(source: Path = SOURCE) -> str:
    """Digest of what a book is built from."""
    return pages.digest_of([*source.rglob("*"), *ROOT.glob("frugal/**/*"), ROOT / "requirements.lock"])


def note(builder: str) -> Path:
    """The file that holds the digest of what the book was built from."""
    return ROOT / "_build" / f"{builder}.made_from"


def built(digest: str) -> list[str]:
    """By which builders the book was built from files of this digest."""
    return [name for name in BUILDERS if note(name).exists() and note(name).read_text() == digest]


def build(source: Path, builder: str, fresh: bool) -> int:
    """Render the laid-out book, unless that was done, and tell where it is. Returns the exit status."""
    page, digest = ROOT / "_build" / builder / "index.html", made_from(source)
    done = [] if fresh else built(digest)
    if builder not in done or not page.exists():
        from play.assemble import assemble  # not above: it takes seconds that an unchanged book needs not

        for name in [builder] if done else BUILDERS:  # what is read anew is not what the other was built from
            note(name).unlink(missing_ok=True)
        playground = source / "book" / "_static" / "playground"  # which paper has not
        missing = None if builder == "singlehtml" else assemble(playground, ROOT / "_build" / "engine")
        if missing:
            print(f"build: the book has no playground: {missing}", file=sys.stderr)
        try:
            render(builder, source, anew=not done)
        except subprocess.CalledProcessError:
            print("build: the book was not built; the warnings above say why", file=sys.stderr)
            return 1
        if found := faults(page.parent):
            print("build: the book has faults", *found, sep="\n", file=sys.stderr)
            return 1
        if not missing:
            note(builder).write_text(digest)
    print(f"The book: {page}")
    return 0


def run(args: argparse.Namespace) -> int:
    """What the command asks for. Returns the exit status."""
    try:
        parameters = pages.chosen_parameters(args.parameter)
    except ValueError as error:  # a Refusal is one
        print(f"build: {error}", file=sys.stderr)
        return 2
    hold()
    if args.seconds:
        pages.keep_seconds()
        return 0
    if args.read:
        whose = pages.committed(ROOT / "_build" / "committed")
        status = build(ROOT / "_build" / "committed", "html", args.fresh)
        print(whose)
        return status
    if failure := pages.execute(parameters, args.fresh, args.to_compare):
        print(f"build: a notebook failed: {failure}", file=sys.stderr)
        return 1
    if args.in_place:
        pages.keep()
    if args.in_place or args.to_compare:
        return 0
    return build(SOURCE, "singlehtml" if args.print else "html", args.fresh)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("-p", "--parameter", nargs=2, action="append", default=[], metavar=("NAME", "VALUE"))
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--print", action="store_true", help="build one page for paper")
    what.add_argument("--read", action="store_true", help="build the committed outputs, run nothing")
    what.add_argument("--in-place", action="store_true", help="keep the outputs in notebooks/, build nothing")
    what.add_argument("--to-compare", action="store_true", help="run what has nothing to be compared with")
    what.add_argument("--seconds", action="store_true", help="keep what the cells took in book/seconds.json")
    parser.add_argument("--fresh", action="store_true", help="run and build all, changed or not")
    try:
        return run(parser.parse_args())
    except KeyboardInterrupt:
        print("\nbuild: interrupted; pages that had ended are kept", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
