"""Sphinx extension: an equation labelled eq-3g is shown as (3g), so the poster's numbers are the book's."""

from typing import Any

from sphinx.application import Sphinx
from sphinx.domains.math import MathDomain


class LabelledMath(MathDomain):
    """The math domain, numbering by label in place of counting."""

    def note_equation(self, docname: str, labelid: str, location: Any = None) -> None:
        super().note_equation(docname, labelid, location)
        self.equations[labelid] = docname, labelid.removeprefix("eq-")


def setup(app: Sphinx) -> dict[str, bool]:
    app.add_domain(LabelledMath, override=True)
    return {"parallel_read_safe": True}
