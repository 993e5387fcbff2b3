"""Sphinx extension: an equation labelled eq-3a is shown as (3a), so the poster's numbers are the book's."""

from sphinx.domains.math import MathDomain


class LabelledMath(MathDomain):
    """The math domain, numbering by label in place of counting."""

    def note_equation(self, docname, labelid, location=None):
        super().note_equation(docname, labelid, location)
        self.equations[labelid] = docname, labelid.removeprefix("eq-")


def setup(app):
    app.add_domain(LabelledMath, override=True)
    return {"parallel_read_safe": True}
