"""The book's sources: notebooks executed and parametrised, equations labelled once, nothing that cannot build."""

import re
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
import yaml

from frugal import guidance

ROOT = Path(__file__).resolve().parent.parent
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
PARAMETERS = {"images", "steps", "switch", "sigma", "seed", "prior", "device"}


@pytest.fixture(params=NOTEBOOKS, ids=[p.stem for p in NOTEBOOKS])
def notebook(request):
    return nbformat.read(request.param, as_version=4)


def code(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def test_executed_from_top_to_bottom_without_an_error(notebook):
    """nbval passes a cell that was never executed, so this one does not."""
    assert [cell.execution_count for cell in code(notebook)] == list(range(1, len(code(notebook)) + 1))
    outputs = [output for cell in code(notebook) for output in cell.outputs]
    assert not [o for o in outputs if o.output_type == "error" or o.get("name") == "stderr"]


def test_has_the_parameters_of_every_notebook(notebook):
    (cell,) = [c for c in code(notebook) if "parameters" in c.metadata.get("tags", [])]
    assert set(re.findall(r"^(\w+) = ", cell.source, re.M)) == PARAMETERS


def test_every_figure_has_a_caption_and_a_text_for_those_who_cannot_see_it(notebook):
    drawing = [c for c in code(notebook) if any("image/png" in o.get("data", {}) for o in c.outputs)]
    for cell in drawing:
        shown = cell.metadata["mystnb"]
        assert len(shown["figure"]["caption"]) > 30 and len(shown["image"]["alt"]) > 30


def test_some_cells_are_compared_and_some_hold_an_assertion(notebook):
    compared = [
        c for c in code(notebook) if c.outputs and "nbval-ignore-output" not in c.metadata.get("tags", [])
    ]
    assert compared and any("assert " in c.source for c in code(notebook))


def text_of_all_pages():
    markdown = [p.read_text() for p in sorted((ROOT / "book").glob("*.md"))]
    cells = [
        c.source for p in NOTEBOOKS for c in nbformat.read(p, as_version=4).cells if c.cell_type == "markdown"
    ]
    return "\n".join(markdown + cells)


def test_equations_are_labelled_once_and_every_reference_has_one():
    text = text_of_all_pages()
    labels = re.findall(r"^:label: (\S+)$", text, re.M)
    assert len(labels) == len(set(labels))
    assert {f"eq-{n}" for n in range(1, 7)} <= set(labels)
    cited = set(re.findall(r"\{eq\}`([^`]+)`", text))
    assert cited <= set(labels)
    assert {f"eq-{n}" for n in range(1, 7)} <= cited


@pytest.mark.parametrize(
    "number, function",
    [
        (3, guidance.dps_score),
        (5, guidance.dmps_score_dense),
        (6, guidance.dmps_score),
    ],
)
def test_equation_and_function_name_each_other(number, function):
    assert f"Eq. {number}" in function.__doc__
    assert f"{{py:func}}`frugal.guidance.{function.__name__}`" in text_of_all_pages()


def test_the_contents_list_every_page():
    toc = yaml.safe_load((ROOT / "_toc.yml").read_text())
    listed = [toc["root"]] + [c["file"] for part in toc["parts"] for c in part["chapters"]]
    there = [f"book/{p.stem}" for p in (ROOT / "book").glob("*.md")] + [
        f"notebooks/{p.stem}" for p in NOTEBOOKS
    ]
    assert sorted(listed) == sorted(there)


def test_an_unknown_notebook_parameter_is_one_sentence_and_exit_code_2():
    command = [sys.executable, str(ROOT / "book" / "build.py"), "-p", "pictures", "3"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 2
    assert (
        done.stderr.startswith("build: parameter: 'pictures'") and len(done.stderr.strip().splitlines()) == 1
    )
