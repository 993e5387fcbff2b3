"""The page of wrong inputs is true: each gets the sentence that stands beside it, and nothing is written."""

import re

import pytest
from wrong_inputs import SENTENCES, by_command, in_python, namespace, place, rows

ROWS = rows()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return place(tmp_path_factory.mktemp("wrong") / "here")


@pytest.fixture(scope="module")
def names(folder):
    return namespace(folder)


def written(folder):
    """The files of a folder, and when each was written."""
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*")}


def test_the_page_says_how_many_there_are_and_each_is_there_once():
    assert f"said to {len(ROWS)} such inputs" in SENTENCES.read_text()
    assert len({given for given, _ in ROWS}) == len(ROWS)


@pytest.mark.parametrize("given, said", ROWS, ids=[given[:60] for given, _ in ROWS])
def test_the_sentence_is_the_one_on_the_page(given, said, folder, names, monkeypatch):
    monkeypatch.chdir(folder)
    before = written(folder)
    found = by_command(given) if given.split()[0] == "frugal" else in_python(given, names)
    assert re.fullmatch(re.escape(said).replace("…", ".+"), found.replace(f"{folder}/", ""), re.S), found
    assert written(folder) == before
