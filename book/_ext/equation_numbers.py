"""Sphinx extension: numbers of equations and figures name their page.

An equation labelled eq-3g is shown as (3g), so the poster's numbers are the book's. A figure of a page without a
number has the letter that its file begins with: Fig. A.1. The equations of all pages are written into one script,
from which ``previews.js`` shows the one that a reference points at.
"""

import json
import re
from html import unescape
from pathlib import Path
from typing import Any

from sphinx.application import Sphinx
from sphinx.domains.math import MathDomain
from sphinx.environment import BuildEnvironment


class LabelledMath(MathDomain):
    """The math domain, numbering by label in place of counting."""

    def note_equation(self, docname: str, labelid: str, location: Any = None) -> None:
        super().note_equation(docname, labelid, location)
        self.equations[labelid] = docname, labelid.removeprefix("eq-")


def by_letter(app: Sphinx, env: BuildEnvironment) -> list[str]:
    """Give the figures of pages without a number their page's letter, counted from one; no page is read again."""
    for page, kinds in env.toc_fignumbers.items():
        figures = kinds.get("figure", {})
        if any(len(number) == 1 for number in figures.values()):
            letter = page.rpartition("/")[2][0].upper()
            kinds["figure"] = {name: (letter, i) for i, name in enumerate(figures, 1)}
    return []


def write_equations(app: Sphinx, failure: Exception | None) -> None:
    """Keep {id: TeX} of every displayed equation of the built pages beside them."""
    shown = re.compile(r'<div class="math[^>]*id="(equation-[^"]+)">.*?\\\[(.*?)\\\]</div>', re.S)
    pages = Path(app.outdir).rglob("*.html") if not failure else ()
    found = {name: unescape(tex) for page in pages for name, tex in shown.findall(page.read_text())}
    if found:
        path = Path(app.outdir, "_static", "equations.js")
        path.write_text(f"window.frugalEquations = {json.dumps(found)};\n")


def setup(app: Sphinx) -> dict[str, bool]:
    app.add_domain(LabelledMath, override=True)
    app.connect("env-get-updated", by_letter, priority=900)  # after Sphinx has numbered them
    app.connect("build-finished", write_equations)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
