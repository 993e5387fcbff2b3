"""Fidelity: each variant is the library's sampler with one thing changed, and the page shows them all."""

import json
import re
from pathlib import Path

import pytest
import torch
from examples import small_pipe
from experiments import variants
from experiments.variants import VARIANTS
from sphinx.application import Sphinx
from sphinx.errors import SphinxWarning
from sphinx.util.docutils import docutils_namespace

from frugal import Settings, images
from frugal.prior.step_sizes import StepSizes
from frugal.runs import restore

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture
def pipe():
    return small_pipe()


def test_the_page_shows_every_variant():
    page = (ROOT / "book" / "fidelity.md").read_text()
    shown = re.findall(r"^```\{measured\} fidelity.json (.+)$", page, re.M)
    assert sorted(" ".join(shown).split()) == sorted(v.name for v in VARIANTS if v.name != v.reference)


def test_each_variant_changes_what_the_library_gives(pipe, monkeypatch):
    """With enough noise that its place in the picture matters."""
    sizes = {0: {"zeta": 6.0, "lam": 1.75}}  # another lam than the theory's, which is a variant
    monkeypatch.setattr(pipe, "step_sizes", StepSizes({v.task: sizes for v in VARIANTS}))
    x0, given = torch.nn.functional.avg_pool2d(images.shipped("faces", limit=2), 2), {}
    for v in VARIANTS:
        restored = variants.run(v, variants.problem(pipe, v.task, x0, 3, 0, 0.3), seed=0)
        assert restored.isfinite().all()
        if v.name == v.reference:
            given[v.task, v.name] = restore.restore(pipe, x0, v.task, v.name, 0.3, Settings(steps=3))[1]
        difference = (restored - given[v.task, v.reference]).abs().max()
        assert difference < 1e-5 if v.name == v.reference else difference > 1e-3, v.name


def measured_rows():
    """Two pictures: a variant 1 dB above the library, and one that differs in LPIPS by chance."""
    values = {"ours": (20, 21, 0.1, 0.2), "up": (21, 22.2, 0.1, 0.2), "noisy": (20, 21, 0.2, 0.1)}
    return [
        {"image": i, "task": "sr4", "method": name, "reference": "ours", "psnr": v[i], "lpips": v[2 + i]}
        for name, v in values.items()
        for i in (0, 1)
    ]


@pytest.fixture
def build(tmp_path, monkeypatch):
    """Build one page that shows a measured file; a warning is an error. Returns its HTML."""
    monkeypatch.syspath_prepend(ROOT / "book" / "_ext")

    def build(arguments, content):
        (tmp_path / "measured").mkdir()
        (tmp_path / "measured" / "file.json").write_text(content)
        (tmp_path / "index.md").write_text(f"# Title\n\n```{{measured}} {arguments}\n```\n")
        out, options = tmp_path / "out", {"extensions": ["myst_parser", "measured"], "html_theme": "basic"}
        quiet = {"status": None, "warning": None, "warningiserror": True}
        with docutils_namespace():
            Sphinx(tmp_path, None, out, out / "tree", "html", options, **quiet).build()
        return (out / "index.html").read_text()

    return build


def test_measured_rows_become_a_table(build):
    html = build("file.json up noisy", json.dumps({"meta": {}, "rows": measured_rows()}))
    assert "+1.10 [-0.17, +2.37], not enough faces" in html and html.count("<tr") == 3


def test_a_metric_that_was_not_measured_has_no_column(build):
    rows = [{**row, "lpips": None} for row in measured_rows()]
    html = build("file.json up", json.dumps({"meta": {}, "rows": rows}))
    assert "pSNR (dB) minus ours" in html and "LPIPS" not in html


def test_a_variant_that_is_what_the_library_does_is_called_so(build):
    html = build("file.json ours", json.dumps({"meta": {}, "rows": measured_rows()}))
    assert html.count("the same") == 2


def test_how_the_rows_were_made_is_a_sentence(build):
    arguments = {"faces": 2, "steps": 3}
    meta = {
        "arguments": arguments,
        "sigma": 0.3,
        "seed": 0,
        "prior_digest": "abcdefghijklm",
        "device": "a CPU",
    }
    html = build("file.json", json.dumps({"meta": meta, "rows": []}))
    assert "2 faces, t = 3, sigma = 0.3, seed 0, prior" in html and "abcdefghijkl<" in html


@pytest.mark.parametrize(
    "arguments, content",
    [
        ("none.json up", "{}"),
        ("file.json up", "{"),
        ("file.json up", "{}"),
        ("file.json", '{"meta": {}, "rows": []}'),
        ("file.json else", json.dumps({"meta": {}, "rows": measured_rows()})),
    ],
    ids=["no file", "cut short", "no rows", "no meta", "no such variant"],
)
def test_a_bad_measured_file_stops_the_build(build, arguments, content):
    with pytest.raises(SphinxWarning, match="measured"):
        build(arguments, content)
