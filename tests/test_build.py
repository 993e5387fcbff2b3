"""The book's program: what it builds has no fault, and a fault is found."""

import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


def loaded(path):
    """A module of the book's own, which no package holds."""
    specification = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


@pytest.fixture
def book(monkeypatch):
    """The module book/build.py."""
    monkeypatch.syspath_prepend(ROOT / "book")
    return loaded(ROOT / "book" / "build.py")


@pytest.mark.parametrize("builder", ["html", "singlehtml"])
def test_the_committed_pages_are_built_without_a_warning_and_without_a_fault(book, builder, tmp_path):
    for name in ("book", "notebooks"):
        shutil.copytree(ROOT / name, tmp_path / "source" / name)
    for path in ROOT.glob("_*.yml"):
        shutil.copy(path, tmp_path / "source")
    (tmp_path / "source" / "notebooks" / "table1.json").touch()  # page 10 writes it and links to it
    page = book.render(builder, tmp_path / "source", tmp_path)
    assert page.exists() and book.faults(page.parent) == []


def test_notebooks_run_again_for_paper_only_when_something_changed(book, monkeypatch, tmp_path):
    monkeypatch.setattr(book, "ROOT", tmp_path)
    monkeypatch.setattr(book, "DONE", tmp_path / "executed")
    page, cache = tmp_path / "book" / "page.md", tmp_path / "frugal" / "__pycache__" / "module.pyc"
    for path in (page, cache):
        path.parent.mkdir(parents=True)
        path.touch()
    assert not book.up_to_date()
    book.DONE.touch()
    later = book.DONE.stat().st_mtime + 60
    os.utime(cache, (later, later))
    assert book.up_to_date()
    os.utime(page, (later, later))
    assert not book.up_to_date()


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


def test_an_unknown_notebook_parameter_is_one_sentence_and_exit_code_2():
    command = [sys.executable, str(ROOT / "book" / "build.py"), "-p", "pictures", "3"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 2
    assert (
        done.stderr.startswith("build: parameter: 'pictures'") and len(done.stderr.strip().splitlines()) == 1
    )
