"""Run the notebooks and build the book from what they print.

python book/build.py                          all of it; prints the path of the first page
python book/build.py -p images 4 -p steps 20  with other parameters, in every notebook that has them
python book/build.py --print                  one page for paper
python book/build.py --in-place               run them, keep the outputs in notebooks/, build nothing

A page whose making has not changed is not run again; ``--fresh`` runs all.
"""

import argparse
import shutil
import subprocess
import sys
from pathlib import Path

from check import faults
from pages import ROOT, SOURCE, chosen_parameters, execute, keep, notebooks

from frugal.runs import kept
from frugal.base.checks import Refusal
from play.assemble import assemble


def render(builder: str, source: Path = SOURCE, target: Path = ROOT) -> Path:
    """Build "html" or "singlehtml" from executed notebooks; a warning is an error. Returns the first page."""
    program = str(Path(sys.executable).with_name("jupyter-book"))
    options = ["--path-output", str(target), "--builder", builder, "-n", "-W", "--keep-going", "--all"]
    folder = target / "_build" / builder
    shutil.rmtree(folder, ignore_errors=True)
    subprocess.run([program, "build", str(source), *options], check=True)
    return folder / "index.html"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("-p", "--parameter", nargs=2, action="append", default=[], metavar=("NAME", "VALUE"))
    parser.add_argument(
        "--in-place", action="store_true", help="keep the outputs in notebooks/, build nothing"
    )
    parser.add_argument("--print", action="store_true", help="build one page for paper")
    parser.add_argument("--fresh", action="store_true", help="run every page, changed or not")
    args = parser.parse_args()
    try:
        parameters = chosen_parameters(args.parameter)
    except (ValueError, Refusal) as error:
        print(f"build: {error}", file=sys.stderr)
        return 2
    if failure := execute(parameters, args.fresh):
        print(f"build: a notebook failed: {failure}", file=sys.stderr)
        return 1
    kept.prune()
    if args.in_place:
        for path in notebooks():
            keep(SOURCE / "notebooks" / path.name, path)
        return 0
    playground = SOURCE / "book" / "_static" / "playground"  # which paper has not
    if not args.print and (missing := assemble(playground, ROOT / "_build" / "engine")):
        print(f"build: the book has no playground: {missing}", file=sys.stderr)
    try:
        page = render("singlehtml" if args.print else "html")
    except subprocess.CalledProcessError:
        print("build: the book was not built; the warnings above say why", file=sys.stderr)
        return 1
    if found := faults(page.parent):
        print("build: the book has faults", *found, sep="\n", file=sys.stderr)
        return 1
    print(f"The book: {page}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
