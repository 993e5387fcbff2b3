"""Execute the book's notebooks: side by side, the longest first, and only those whose making has changed.

A page is made from its own source, its parameters, the library, the measured files and the pinned packages. A
digest of all of them is kept with the executed page; where it is the same, the page is kept.
"""

import contextlib
import hashlib
import json
import logging
import os
import shutil
import sys
import time
from collections.abc import Iterable, Mapping
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from pathlib import Path

import kernels
import nbformat
import papermill
import psutil
import yaml
from jupyter_client import AsyncKernelManager
from nbclient.exceptions import DeadKernelError

from progress import Progress

ROOT = Path(__file__).resolve().parent.parent
SOURCE = ROOT / "_build" / "source"
FIRST = ("06_collapse", "07_hybrid")  # others go on from their restorations
EVERY_PAGE = ("frugal/**/*", "book/measured/*", "book/experiments/*.py", "requirements.lock")

Parameters = dict[str, object]
logging.getLogger("papermill").setLevel(logging.CRITICAL)  # what fails is told once, at the end


def notebooks() -> list[Path]:
    """The committed notebooks in reading order."""
    return sorted((ROOT / "notebooks").glob("*.ipynb"))


def chosen_parameters(pairs: Iterable[tuple[str, str]]) -> Parameters:
    """{name: value} of the command line, a folder with its whole path.

    Raises ValueError for a name that no notebook has, and Refusal for a prior or a device that is not there.
    """
    parameters: Parameters = {name: yaml.safe_load(value) for name, value in pairs}
    known = {name for path in notebooks() for name in papermill.inspect_notebook(str(path))} if pairs else ()
    for name in parameters:
        if name not in known:
            raise ValueError(
                f"parameter: {name!r} is in no notebook; accepted are {', '.join(sorted(known))}"
            )
    if "device" in parameters:
        processes(parameters)
    if "prior" in parameters:
        from frugal import RestorationPipeline

        prior = str(parameters["prior"])
        RestorationPipeline.from_pretrained(prior)
        parameters["prior"] = str(Path(prior).resolve()) if Path(prior).is_dir() else prior
    return parameters


def own_parameters(path: Path, parameters: Parameters) -> Parameters:
    """Those that a page has. Where steps are chosen and a switch is not, it stays at its share of the steps."""
    known = papermill.inspect_notebook(str(path))
    own = {name: value for name, value in parameters.items() if name in known}
    if isinstance(own.get("steps"), int) and "switch" in known.keys() - own.keys():
        steps, switch = (int(known[name]["default"]) for name in ("steps", "switch"))
        own["switch"] = round(switch / steps * own["steps"])
    return own


def processes(parameters: Parameters) -> int:
    """How many pages run side by side: one on a GPU, else as many as there are cores."""
    # Not above: torch takes seconds, and a book that has not changed needs none of it.
    from frugal.base.devices import choose

    return 1 if choose(str(parameters.get("device", "auto"))).type == "cuda" else os.cpu_count() or 1


def lay_out(source: Path) -> None:
    """Copy the book's sources, all but its notebooks, to the folder ``source``."""
    for name in ("book", "_config.yml", "_toc.yml"):
        part = source / name
        shutil.rmtree(part) if part.is_dir() else part.unlink(missing_ok=True)
        (shutil.copytree if (ROOT / name).is_dir() else shutil.copy)(ROOT / name, part)
    (source / "notebooks").mkdir(exist_ok=True)
    for old in {path.name for path in (source / "notebooks").glob("*.ipynb")} - {p.name for p in notebooks()}:
        (source / "notebooks" / old).unlink()


def committed(source: Path) -> str:
    """Lay out the book with the committed notebooks. Returns whose outputs those are, in a sentence."""
    lay_out(source)
    for path in [*notebooks(), *(ROOT / "book" / "written").iterdir()]:
        shutil.copy(path, source / "notebooks")
    library = shared()
    found = {path.stem: (kept_with(path), made(path, {}, library)) for path in notebooks()}
    silent = [page for page, (kept, _) in found.items() if kept is None]
    others = [page for page, (kept, now) in found.items() if kept not in (None, now)]
    if silent:
        return f"{len(silent)} of {len(found)} pages do not say which library their outputs belong to."
    if others:
        return f"Outputs of another state of the library, which `make book` renews: {', '.join(others)}."
    return "All outputs belong to this state of the library."


def execute(parameters: Parameters, fresh: bool = False, to_compare: bool = False) -> str | None:
    """Lay out the book's sources and execute those notebooks that changed, or all where ``fresh``.

    ``to_compare`` executes those without ``outputs_in_book``.
    Each has one thread where several run side by side. Returns what the first page that fails has to say, None
    where none does; then, and when interrupted, the pages that still run are ended.
    """
    lay_out(SOURCE)
    library, todo = shared(), []
    for path in notebooks():
        own = own_parameters(path, parameters)
        target, made_from = SOURCE / "notebooks" / path.name, made(path, own, library)
        due = outputs_in_book(path, library) is None if to_compare else made_from != kept_with(target)
        if fresh or due:
            todo.append((path, target, own, made_from))
    if not todo:
        return None
    seconds = predicted([path for path, *_ in todo])
    todo.sort(key=lambda page: (page[0].stem not in FIRST, -sum(seconds[page[0].stem])))
    if (side_by_side := processes(parameters)) > 1:
        os.environ["OMP_NUM_THREADS"] = "1"
    forks = side_by_side > 1 and sys.platform == "linux"  # a GPU and macOS want processes of their own
    bar = Progress({page[0].stem: seconds[page[0].stem] for page in todo}, side_by_side)
    with (
        contextlib.chdir(SOURCE / "notebooks"),
        kernels.imported() if forks else contextlib.nullcontext(AsyncKernelManager) as manager,
        ThreadPoolExecutor(side_by_side) as pool,
    ):
        every = running = {pool.submit(run, *page, bar, manager) for page in todo}
        try:
            while running:
                done, running = wait(running, timeout=1, return_when=FIRST_COMPLETED)
                bar.show()
                for page in done:
                    if failure := page.result():
                        return failure
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
            while not all(page.done() for page in every):  # a page ends with its kernel
                for process in psutil.Process().children(recursive=True):
                    process.kill()
                time.sleep(0.1)
            bar.close()
    from frugal.runs import kept

    kept.prune()
    return None


def run(
    path: Path, target: Path, parameters: Parameters, made_from: str, bar: Progress, manager: type
) -> str | None:
    """Execute one notebook into ``target``, in the folder of the caller. Returns its error, as text, or None."""
    target.unlink(missing_ok=True)
    seconds: list[float] = []

    def cell_ended(cell: nbformat.NotebookNode, **_: object) -> None:
        if "injected-parameters" not in cell.metadata.get("tags", []):
            seconds.append(round(bar.cell_ends(path.stem), 2))

    bar.page_begins(path.stem)
    try:
        notebook = papermill.execute_notebook(
            str(path),
            None,
            parameters=parameters,
            kernel_name="python3",
            progress_bar=False,
            log_output=False,
            on_cell_executed=cell_ended,
            kernel_manager_class=manager,
        )
    except (papermill.PapermillExecutionError, DeadKernelError) as error:
        return f"{path.name}\n{error}"
    bar.page_ends(path.stem)
    notebook.metadata |= {"made_from": made_from, "seconds": seconds}
    partial = target.with_suffix(".part")
    nbformat.write(notebook, partial)
    partial.replace(target)
    return None


def predicted(paths: Iterable[Path]) -> dict[str, list[float]]:
    """{page: seconds of its cells} by book/seconds.json, evenly where its cells are not those of the page."""
    known: dict[str, list[float]] = json.loads((ROOT / "book" / "seconds.json").read_text())
    usual = sum(map(sum, known.values())) / max(len(known), 1)
    found = {}
    for path in paths:
        cells = [c for c in nbformat.read(path, as_version=4).cells if c.cell_type == "code" and c.source]
        seconds = known.get(path.stem, [usual])
        even = [sum(seconds) / max(len(cells), 1)] * len(cells)
        found[path.stem] = seconds if len(seconds) == len(cells) else even
    return found


def grown(now: Mapping[str, float], known: Mapping[str, float], least: float = 0.02) -> list[str]:
    """The pages whose share of the seconds of all has grown by half, if it is at least ``least`` now."""
    both = [page for page in now if page in known]
    share = lambda of, page: of[page] / sum(of[p] for p in both)
    return [page for page in both if share(now, page) > max(least, 1.5 * share(known, page))]


def shared() -> str:
    """Digest of what all pages are made from."""
    return digest_of(path for pattern in EVERY_PAGE for path in ROOT.glob(pattern))


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


def outputs_in_book(path: Path, library: str) -> list[list] | None:
    """The outputs of each code cell of a page, from the book's own run of it.

    None where the book did not run the page as it is, and where the committed outputs are of that same run.
    """
    target = SOURCE / "notebooks" / path.name
    if kept_with(target) != made(path, {}, library):
        return None
    page, run = (nbformat.read(file, as_version=4) for file in (path, target))
    if page.metadata.get("seconds") == total(run):
        return None
    return [cell.outputs for cell in run.cells if cell.cell_type == "code"]


def total(executed: nbformat.NotebookNode) -> float:
    """The seconds that an executed page took."""
    return round(sum(executed.metadata["seconds"]), 1)


def digest_of(paths: Iterable[Path]) -> str:
    """Digest of files, by name and content."""
    digest = hashlib.sha256()
    for path in sorted(paths):
        if path.is_file() and "__pycache__" not in path.parts:
            digest.update(f"{path.relative_to(ROOT)}\n".encode() + path.read_bytes())
    return digest.hexdigest()


def keep() -> None:
    """Write the executed notebooks over the committed ones, without papermill's notes of paths and times.

    What pages wrote beside themselves goes to book/written, where ``committed`` finds it.
    """
    from frugal.base.files import whole  # not above, see ``processes``

    for path in notebooks():
        notebook = nbformat.read(SOURCE / "notebooks" / path.name, as_version=4)
        seconds = total(notebook)
        made_from, kernel = notebook.metadata["made_from"], notebook.metadata["kernelspec"]
        notebook.metadata = {"kernelspec": kernel, "language_info": {"name": "python"}}
        notebook.metadata |= {"made_from": made_from, "seconds": seconds}
        for cell in notebook.cells:
            cell.metadata.pop("papermill", None)
            cell.metadata.pop("execution", None)
            if not cell.metadata.get("tags"):
                cell.metadata.pop("tags", None)  # papermill's empty list
        with whole(path) as partial:
            nbformat.write(notebook, partial)
    for file in (SOURCE / "notebooks").iterdir():
        if file.is_file() and file.suffix not in (".ipynb", ".part"):
            with whole(ROOT / "book" / "written" / file.name) as partial:
                shutil.copy(file, partial)


def keep_seconds() -> None:
    """Write what the cells of every page took when it was last executed to book/seconds.json."""
    from frugal.base.files import whole

    lines = []
    for path in notebooks():
        executed = nbformat.read(SOURCE / "notebooks" / path.name, as_version=4)
        lines.append(f" {json.dumps(path.stem)}: {json.dumps(executed.metadata['seconds'])}")
    with whole(ROOT / "book" / "seconds.json") as partial:
        partial.write_text("{\n" + ",\n".join(lines) + "\n}\n")
