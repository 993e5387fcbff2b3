"""Execute the book's notebooks: side by side, and only those whose making has changed.

A page is made from its own source, its parameters, the library, the measured files and the pinned packages. A
digest of all of them is kept with the executed page; where it is the same, the page is kept.
"""

import hashlib
import json
import os
import shutil
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path

import nbformat
import papermill
import yaml
from tqdm import tqdm

from frugal import RestorationPipeline
from frugal.base.devices import choose

ROOT = Path(__file__).resolve().parent.parent
SOURCE = ROOT / "_build" / "source"
EVERY_PAGE = ("frugal/**/*", "book/measured/*", "book/experiments/*.py", "requirements.lock")
# The pages that take longest begin first; 10 finds what 06 has restored, and 08 and 09 what others have.
FIRST, LAST = ("06", "07", "10", "11", "12"), ("08", "09")

Parameters = dict[str, object]


def notebooks() -> list[Path]:
    """The committed notebooks in reading order."""
    return sorted((ROOT / "notebooks").glob("*.ipynb"))


def chosen_parameters(pairs: Iterable[tuple[str, str]]) -> Parameters:
    """{name: value} of the command line, a folder with its whole path.

    Raises ValueError for a name that no notebook has, and Refusal for a prior or a device that is not there.
    """
    known = {name for path in notebooks() for name in papermill.inspect_notebook(str(path))}
    for name, _ in pairs:
        if name not in known:
            raise ValueError(
                f"parameter: {name!r} is in no notebook; accepted are {', '.join(sorted(known))}"
            )
    parameters = {name: yaml.safe_load(value) for name, value in pairs}
    choose(str(parameters.get("device", "auto")))
    if "prior" in parameters:
        prior = str(parameters["prior"])
        RestorationPipeline.from_pretrained(prior)
        parameters["prior"] = str(Path(prior).resolve()) if Path(prior).is_dir() else prior
    return parameters


def execute(parameters: Parameters, fresh: bool = False) -> str | None:
    """Lay out the book's sources and execute those notebooks that changed, or all where ``fresh``.

    One at a time on a GPU, else as many as there are cores, each with one thread. Returns what the first page
    that fails has to say, None where none does.
    """
    for name in ("book", "_config.yml", "_toc.yml"):
        part = SOURCE / name
        shutil.rmtree(part) if part.is_dir() else part.unlink(missing_ok=True)
        (shutil.copytree if (ROOT / name).is_dir() else shutil.copy)(ROOT / name, part)
    shared, todo = digest_of(path for pattern in EVERY_PAGE for path in ROOT.glob(pattern)), []
    (SOURCE / "notebooks").mkdir(exist_ok=True)
    for old in {path.name for path in (SOURCE / "notebooks").glob("*.ipynb")} - {p.name for p in notebooks()}:
        (SOURCE / "notebooks" / old).unlink()
    for path in notebooks():
        own = {k: v for k, v in parameters.items() if k in papermill.inspect_notebook(str(path))}
        made_from = made(path, own, shared)
        if fresh or made_from != kept_with(SOURCE / "notebooks" / path.name):
            todo.append((path, SOURCE / "notebooks" / path.name, own, made_from))
    number = lambda page: page[0].stem[:2]
    todo.sort(key=lambda page: ([number(page) == n for n in LAST], [number(page) != n for n in FIRST]))
    processes = 1 if choose(str(parameters.get("device", "auto"))).type == "cuda" else os.cpu_count() or 1
    if processes > 1:
        os.environ["OMP_NUM_THREADS"] = "1"
    with ProcessPoolExecutor(processes) as pool, tqdm(total=len(todo), desc="pages", unit="page") as bar:
        running = [pool.submit(run, *page) for page in todo]
        for done in as_completed(running):
            if failure := done.result():
                pool.shutdown(cancel_futures=True)
                return failure
            bar.update()
    return None


def run(path: Path, target: Path, parameters: Parameters, made_from: str) -> str | None:
    """Execute one notebook into ``target``. Returns its error, as text, or None."""
    target.unlink(missing_ok=True)
    partial = target.with_suffix(".part.ipynb")
    try:
        papermill.execute_notebook(
            str(path),
            str(partial),
            parameters=parameters,
            cwd=str(target.parent),
            kernel_name="python3",
            progress_bar=False,
            log_output=False,
        )
    except papermill.PapermillExecutionError as error:
        return f"{path.name}\n{error}"
    notebook = nbformat.read(partial, as_version=4)
    notebook.metadata["made_from"] = made_from
    nbformat.write(notebook, target)
    partial.unlink()
    return None


def made(path: Path, parameters: Parameters, shared: str) -> str:
    """Digest of all that a page is made from; its outputs and the look of its text do not count."""
    cells = [(cell.cell_type, cell.source) for cell in nbformat.read(path, as_version=4).cells]
    text = json.dumps([cells, parameters, shared], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def kept_with(target: Path) -> str | None:
    """The digest that an executed page was written with; None where there is no such page."""
    if not target.exists():
        return None
    return nbformat.read(target, as_version=4).metadata.get("made_from")


def digest_of(paths: Iterable[Path]) -> str:
    """Digest of files, by name and content."""
    digest = hashlib.sha256()
    for path in sorted(paths):
        if path.is_file() and "__pycache__" not in path.parts:
            digest.update(f"{path.relative_to(ROOT)}\n".encode() + path.read_bytes())
    return digest.hexdigest()


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
