"""The list of planted mistakes must not rot, and what it measured must be about this list."""

import json

import plant
import pytest


@pytest.mark.parametrize("name, file, old, new", plant.MISTAKES, ids=[m[0] for m in plant.MISTAKES])
def test_a_mistake_still_fits_the_library(name, file, old, new):
    mutant = plant.planted(file, old, new)
    compile(mutant, file, "exec")
    assert mutant != (plant.ROOT / "frugal" / file).read_text()


def test_every_mistake_was_planted_and_caught():
    measured = json.loads((plant.ROOT / "book" / "measured" / "mutants.json").read_text())["mutants"]
    assert [(m["name"], m["file"], m["old"], m["new"]) for m in measured] == plant.MISTAKES
    assert all(m["failed"] for m in measured)


def test_a_text_that_is_not_there_once_is_one_sentence():
    with pytest.raises(ValueError, match="samplers.py: .* is there 0 times"):
        plant.planted("samplers.py", "no such text", "")
