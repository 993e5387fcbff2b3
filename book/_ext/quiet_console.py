"""Sphinx extension: pages without the theme's preloads, which a browser refuses for a file, two errors each."""

import re
from pathlib import Path

from sphinx.application import Sphinx

PRELOAD = re.compile(r"\s*<link rel=\"preload\"[^>]*>")


def without_preloads(app: Sphinx, failure: Exception | None) -> None:
    """Take them out of every page that was written; what they name is loaded when it is needed."""
    for path in Path(app.outdir).rglob("*.html") if failure is None else ():
        path.write_text(PRELOAD.sub("", path.read_text()))


def setup(app: Sphinx) -> dict[str, bool]:
    app.connect("build-finished", without_preloads)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
