"""The book's program: what it builds has no fault, and a fault is found."""

import subprocess
import sys
from concurrent.futures import Future
from pathlib import Path

import nbformat
import pytest
from examples import loaded

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture
def book(monkeypatch):
    """The module book/build.py."""
    monkeypatch.syspath_prepend(ROOT / "book")
    return loaded(ROOT / "book" / "build.py")


@pytest.fixture
def small_book(book, monkeypatch, tmp_path):
    """A book of two pages, one of which has parameters; returns the module book/pages.py."""
    pages = sys.modules["pages"]
    monkeypatch.setattr(pages, "ROOT", tmp_path)
    monkeypatch.setattr(pages, "SOURCE", tmp_path / "_build" / "source")
    for name in ("book/measured", "notebooks", "frugal"):
        (tmp_path / name).mkdir(parents=True)
    for name in ("_config.yml", "_toc.yml", "requirements.lock", "frugal/a.py", "book/measured/m.json"):
        (tmp_path / name).write_text("a: 1")
    for name, source in (("10_a", "images = 2"), ("results", "print(7)")):
        cell = nbformat.v4.new_code_cell(source, metadata={"tags": ["parameters"]})
        notebook = nbformat.v4.new_notebook(cells=[cell])
        notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3"}
        notebook.metadata["language_info"] = {"name": "python"}
        nbformat.write(notebook, tmp_path / "notebooks" / f"{name}.ipynb")
    return pages


def ran(pages, monkeypatch, parameters=None, **more):
    """Names of the pages that ``execute`` runs; they are not executed."""
    names = []

    def run(path, target, own, made_from):
        notebook = nbformat.read(path, as_version=4)
        notebook.metadata["made_from"] = made_from
        nbformat.write(notebook, target)
        names.append(path.stem)

    class Pool:
        """A pool that works at once."""

        def __init__(self, processes):
            self.shutdown = lambda cancel_futures: None

        __enter__, __exit__ = (lambda self: self), (lambda self, *error: None)

        def submit(self, function, *arguments):
            future = Future()
            future.set_result(function(*arguments))
            return future

    monkeypatch.setattr(pages, "run", run)
    monkeypatch.setattr(pages, "ProcessPoolExecutor", Pool)
    assert pages.execute(parameters or {}, **more) is None
    return sorted(names)


def test_a_page_runs_again_only_when_what_it_is_made_from_changed(small_book, monkeypatch, tmp_path):
    again = lambda parameters=None, **more: ran(small_book, monkeypatch, parameters, **more)
    both = ["10_a", "results"]
    assert again() == both and again() == [] and again(fresh=True) == both
    assert again({"images": 3}) == ["10_a"] and again() == ["10_a"]
    (tmp_path / "book" / "page.md").write_text("prose")
    (tmp_path / "frugal" / "__pycache__").mkdir()
    (tmp_path / "frugal" / "__pycache__" / "a.pyc").touch()
    assert again() == []
    for name in ("frugal/a.py", "book/measured/m.json", "requirements.lock"):
        (tmp_path / name).write_text("a: 2")
        assert again() == both, name
    path = tmp_path / "notebooks" / "results.ipynb"
    path.write_text(path.read_text().replace("print(7)", "print(8)"))
    assert again() == ["results"]


def test_pages_are_executed_and_a_failure_is_shown_whole(small_book, tmp_path):
    assert small_book.execute({"images": 5}) is None
    executed = nbformat.read(tmp_path / "_build" / "source" / "notebooks" / "results.ipynb", as_version=4)
    assert executed.cells[-1].outputs[0].text == "7\n"
    path = tmp_path / "notebooks" / "results.ipynb"
    path.write_text(path.read_text().replace("print(7)", "print(1 / 0)"))
    failure = small_book.execute({})
    assert failure.startswith("results.ipynb") and "ZeroDivisionError" in failure
    assert small_book.kept_with(small_book.SOURCE / "notebooks" / "results.ipynb") is None


SOUND = '<a id="there" href="#there"></a><a href="b.html#two">b</a><img src="x.png" alt="a cross">'


@pytest.mark.parametrize(
    "html, fault",
    [
        (SOUND, None),
        ('<a href="https://example.org/elsewhere">a link is no request</a>', None),
        ('<script src="https://example.org/x.js"></script>', "another host"),
        ('<link rel="stylesheet" href="//example.org/x.css">', "another host"),
        ("<style>@import 'https://example.org/x.css'</style>", "another host"),
        ('<p style="background: url(https://example.org/x.png)">', "another host"),
        ('<a href="#nowhere">', "#nowhere leads nowhere"),
        ('<a href="b.html#one">', "b.html#one leads nowhere"),
        ('<a href="c.html">', "c.html leads nowhere"),
        ('<img src="y.png" alt="a picture">', "y.png leads nowhere"),
        ('<img src="x.png">', "without a text"),
        ('<img src="x.png" alt="x.png">', "without a text"),
    ],
)
def test_faults_of_a_page_are_found(book, html, fault, tmp_path):
    (tmp_path / "a.html").write_text(html)
    (tmp_path / "b.html").write_text('<p id="two">')
    (tmp_path / "x.png").touch()
    found = book.faults(tmp_path)
    assert len(found) == (fault is not None) and (not found or fault in found[0])


def test_a_folder_without_pages_and_a_style_sheet_from_elsewhere_are_faults(book, tmp_path):
    assert "no page" in book.faults(tmp_path)[0]
    (tmp_path / "a.html").touch()
    (tmp_path / "a.css").write_text("@font-face{src:url(https://example.org/font.woff2)}")
    assert "another host" in book.faults(tmp_path)[0]


@pytest.mark.parametrize(
    "name, value, said",
    [
        ("pictures", "3", "parameter: 'pictures'"),
        ("prior", "nowhere", "prior: 'nowhere'"),
        ("device", "tpu", "device"),
    ],
)
def test_a_wrong_parameter_is_one_sentence_and_exit_code_2(name, value, said):
    command = [sys.executable, str(ROOT / "book" / "build.py"), "-p", name, value]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr.startswith(f"build: {said}") and len(done.stderr.strip().splitlines()) == 1
