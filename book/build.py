"""Run every notebook with papermill and build the book from what they print.

python book/build.py                          all of it; prints the path of the first page
python book/build.py -p images 4 -p steps 20  with other parameters, in every notebook that has them
python book/build.py --print                  one page for paper; runs the notebooks only if it has to
python book/build.py --in-place               run them, keep the outputs in notebooks/, build nothing
"""

import argparse
import shutil
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import nbformat
import papermill
import yaml
from check import faults

ROOT = Path(__file__).resolve().parent.parent
SOURCE = ROOT / "_build" / "source"
DONE = SOURCE / "executed"  # written when every notebook has run
WHAT_COUNTS = ("_*.yml", "book/**/*.*", "notebooks/*.ipynb", "frugal/**/*.*")


def notebooks() -> list[Path]:
    """The committed notebooks in reading order."""
    return sorted((ROOT / "notebooks").glob("*.ipynb"))


def chosen_parameters(pairs: Iterable[tuple[str, str]]) -> dict[str, object]:
    """{name: value} of the command line; ValueError for a name that no notebook has."""
    known = {name for path in notebooks() for name in papermill.inspect_notebook(str(path))}
    for name, _ in pairs:
        if name not in known:
            raise ValueError(
                f"parameter: {name!r} is in no notebook; accepted are {', '.join(sorted(known))}"
            )
    return {name: yaml.safe_load(value) for name, value in pairs}


def run(path: Path, target: Path, parameters: dict[str, object]) -> None:
    """Execute one notebook, with those of the parameters that it has, into ``target``."""
    own = papermill.inspect_notebook(str(path))
    target.parent.mkdir(parents=True, exist_ok=True)
    papermill.execute_notebook(
        str(path),
        str(target),
        parameters={k: v for k, v in parameters.items() if k in own},
        cwd=str(target.parent),
        kernel_name="python3",
        progress_bar={"desc": path.stem},
        log_output=False,
    )


def keep(executed: Path, path: Path) -> None:
    """Write an executed notebook over the committed one, without papermill's notes of paths and times."""
    notebook = nbformat.read(executed, as_version=4)
    notebook.metadata = {key: notebook.metadata[key] for key in ("kernelspec", "language_info")}
    notebook.metadata.language_info = {"name": "python"}
    for cell in notebook.cells:
        cell.metadata.pop("papermill", None)
        cell.metadata.pop("execution", None)
        if not cell.metadata.get("tags"):
            cell.metadata.pop("tags", None)  # papermill's empty list
    nbformat.write(notebook, path)


def execute(parameters: dict[str, object]) -> None:
    """Lay out the book's sources and execute every notebook among them."""
    shutil.rmtree(SOURCE, ignore_errors=True)
    shutil.copytree(ROOT / "book", SOURCE / "book")
    for name in ("_config.yml", "_toc.yml"):
        shutil.copy(ROOT / name, SOURCE)
    for path in notebooks():
        run(path, SOURCE / "notebooks" / path.name, parameters)
    DONE.touch()


def up_to_date() -> bool:
    """Whether the notebooks have run, and nothing that the book is made of is newer."""
    used = [path for pattern in WHAT_COUNTS for path in ROOT.glob(pattern) if path.suffix != ".pyc"]
    return DONE.exists() and all(path.stat().st_mtime <= DONE.stat().st_mtime for path in used)


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
    args = parser.parse_args()
    try:
        parameters = chosen_parameters(args.parameter)
    except ValueError as error:
        print(f"build: {error}", file=sys.stderr)
        return 2
    try:
        if parameters or not (args.print and up_to_date()):
            execute(parameters)
        if args.in_place:
            for path in notebooks():
                keep(SOURCE / "notebooks" / path.name, path)
            return 0
        page = render("singlehtml" if args.print else "html")
    except papermill.PapermillExecutionError as error:
        print(f"build: a notebook failed\n{error}", file=sys.stderr)
        return 1
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
