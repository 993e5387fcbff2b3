"""The list of planted mistakes must not rot, and what it measured must be about this list."""

import ast
import sys
from pathlib import Path

import pytest

from frugal.base.checks import Refusal

ROOT = Path(__file__).resolve().parent.parent
sys.path.append(str(ROOT / "book"))

from measure import mutants, record  # noqa: E402
from measure.mistakes import MISTAKES  # noqa: E402


@pytest.mark.parametrize("mistake", MISTAKES, ids=[m.name for m in MISTAKES])
def test_a_mistake_still_fits_the_library(mistake):
    good = (ROOT / "frugal" / mistake.file).read_text()
    mutant = mutants.planted(good, mistake.old, mistake.new)
    compile(mutant, mistake.file, "exec")
    assert mutant != ast.unparse(ast.parse(good)) + "\n"


def test_every_mistake_was_planted_and_caught():
    measured = record.content(record.FOLDER / "mutants.json")["mutants"]
    assert [(m["name"], m["file"], m["old"], m["new"]) for m in measured] == list(MISTAKES)
    assert all(m["failed"] for m in measured)


def test_layout_and_comments_do_not_matter():
    source = 'def f(a, b):\n    """Prose."""\n    return (\n        a  # a comment\n        - b\n    )\n'
    assert mutants.planted(source, "a-b", "a + b").endswith("return a + b\n")
    assert "x = 2" in mutants.planted("x=1", "x = 1", "x = 2")


@pytest.mark.parametrize(
    "old, new, times", [("a * b", "a", 0), ("b", "c", 2), ("a - b", "(a - b)", 1), ("x = a", "a", 0)]
)
def test_a_mistake_that_cannot_be_planted_is_one_sentence(old, new, times):
    with pytest.raises(Refusal, match=f"is there {times} times; a mistake needs it once"):
        mutants.planted("f = lambda a, b: (a - b) / b", old, new)
