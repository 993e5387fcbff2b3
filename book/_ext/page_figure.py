"""Sphinx extension: the directive ``page-figure`` shows the picture that a cell of another page drew.

    :::{page-figure} ../notebooks/05_geometry.ipynb fig-pushes
    Its caption on this page, which may refer to {numref}`fig-pushes`.
    :::

The picture is read from the executed notebook, so nothing is drawn or kept twice; its text for those who cannot
see it is the cell's own.
"""

import json
from pathlib import Path

from docutils import nodes
from docutils.statemachine import StringList
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective


class PageFigure(SphinxDirective):
    """An image and the paragraph below it, without a number: the number is the other page's."""

    has_content, required_arguments = True, 2

    def run(self) -> list[nodes.Node]:
        path = (Path(self.env.doc2path(self.env.docname)).parent / self.arguments[0]).resolve()
        self.env.note_dependency(str(path))
        png, alt = drawn(path, self.arguments[1])
        shown = nodes.container(classes=["page-figure"])
        shown += nodes.image(uri=f"data:image/png;base64,{png}", alt=alt)
        self.state.nested_parse(StringList(self.content), self.content_offset, shown)
        return [shown]


def drawn(path: Path, name: str) -> tuple[str, str]:
    """The PNG, in base 64, and the text of the figure ``name`` of a notebook. Raises KeyError where it is not."""
    for cell in json.loads(path.read_text())["cells"]:
        shown = cell["metadata"].get("mystnb", {})
        for output in cell.get("outputs", ()):
            if shown.get("figure", {}).get("name") == name and "image/png" in output.get("data", {}):
                return "".join(output["data"]["image/png"]).replace("\n", ""), shown["image"]["alt"]
    raise KeyError(f"{name}: {path.name} has no such figure")


def setup(app: Sphinx) -> dict[str, bool]:
    app.add_directive("page-figure", PageFigure)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
