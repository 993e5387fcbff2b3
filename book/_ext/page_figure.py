"""Sphinx extension: the directive ``page-figure`` shows, with a caption of its own, what a cell of a page drew.

    :::{page-figure} ../notebooks/05_geometry.ipynb fig-pushes
    Its caption on this page, which may refer to {numref}`fig-pushes`.
    :::

The cell is named by its figure, or by its id where it shows HTML. What it drew is read from the executed notebook,
so nothing is drawn or kept twice; the text for those who cannot see it is the cell's own.
"""

import json
from pathlib import Path

from docutils import nodes
from docutils.statemachine import StringList
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective


class PageFigure(SphinxDirective):
    """The picture and the paragraph below it, without a number: the number is the other page's."""

    has_content, required_arguments = True, 2

    def run(self) -> list[nodes.Node]:
        path = (Path(self.env.doc2path(self.env.docname)).parent / self.arguments[0]).resolve()
        self.env.note_dependency(str(path))
        shown = nodes.container("", drawn(path, self.arguments[1]), classes=["page-figure"])
        self.state.nested_parse(StringList(self.content), self.content_offset, shown)
        return [shown]


def drawn(path: Path, name: str) -> nodes.Node:
    """What the cell ``name`` of a notebook shows. Raises KeyError where there is no such cell, or it shows nothing."""
    for cell in json.loads(path.read_text())["cells"]:
        shown = cell["metadata"].get("mystnb", {})
        if name in (cell["id"], shown.get("figure", {}).get("name")):
            for data in (output.get("data", {}) for output in cell["outputs"]):
                if "image/png" in data:
                    png = "".join(data["image/png"]).replace("\n", "")
                    return nodes.image(uri=f"data:image/png;base64,{png}", alt=shown["image"]["alt"])
                if "text/html" in data:
                    return nodes.raw("", "".join(data["text/html"]), format="html")
    raise KeyError(f"{name}: {path.name} has no such cell, or it shows nothing")


def setup(app: Sphinx) -> dict[str, bool]:
    app.add_directive("page-figure", PageFigure)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
