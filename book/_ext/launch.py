"""Sphinx extension: buttons to the repository, Binder and Colab, where ``_config.yml`` names a repository.

``repository: {url, branch}`` there is the one place; while the url is empty no page has a button, and the directive
``repository`` shows what stands in it instead of the address. Binder opens the notebook in the repository. Colab opens a copy from the published site, which begins with a cell that fetches the book.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from docutils import nodes
from docutils.statemachine import StringList
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

PUBLISHED = "gh-pages"  # the branch with the built book
INSTALL = """# In Colab: fetch the book and what its pages need. Elsewhere this cell does nothing.
import sys

if "google.colab" in sys.modules:
    !git clone --depth 1 {url}.git /content/book
    !pip install --quiet -e "/content/book[book]" && python -m frugal.lpips_weights
    %cd /content/book/notebooks
    sys.path.insert(0, "/content/book")"""


class Repository(SphinxDirective):
    """Where the repository is, or the directive's own words while there is no address."""

    has_content = True

    def run(self) -> list[nodes.Node]:
        url, _ = repository(self.env.app)
        shown = nodes.container()
        self.state.nested_parse(StringList(told(url, self.content)), self.content_offset, shown)
        return shown.children


def told(url: str, otherwise: Sequence[str]) -> list[str]:
    """The lines that say where the repository is."""
    return [f"The repository is at <{url}>."] if url else list(otherwise)


def buttons(url: str, branch: str, page: str) -> list[dict[str, str]]:
    """The header's buttons of a page; none without a url."""
    if not url:
        return []
    found = [link("Repository", "fab fa-github", url, "repository")]
    if page.startswith("notebooks/"):
        name = urlsplit(url).path.strip("/")
        binder = f"https://mybinder.org/v2/gh/{name}/{branch}?labpath={page}.ipynb"
        colab = f"https://colab.research.google.com/github/{name}/blob/{PUBLISHED}/_sources/{page}.ipynb"
        found.append(link("Binder", "fas fa-play", binder, "launch-binder"))
        found.append(link("Colab", "fas fa-rocket", colab, "launch-colab"))
    return found


def link(text: str, icon: str, url: str, label: str) -> dict[str, str]:
    """A button as the theme wants it."""
    return {"type": "link", "url": url, "text": text, "icon": icon, "tooltip": text, "label": label}


def repository(app: Sphinx) -> tuple[str, str]:
    """(url, branch) of ``_config.yml``."""
    options = app.config.html_theme_options
    return options.get("repository_url") or "", options.get("repository_branch") or "main"


def add_buttons(app: Sphinx, page: str, template: str, context: dict[str, Any], tree: nodes.document) -> None:
    """Put them before the theme's own."""
    if "header_buttons" in context:
        context["header_buttons"][:0] = buttons(*repository(app), page)


def add_cell(app: Sphinx, failure: Exception | None) -> None:
    """Begin the built book's copies of the notebooks with the cell that Colab needs."""
    url, _ = repository(app)
    for path in Path(app.outdir, "_sources", "notebooks").glob("*.ipynb") if url and not failure else ():
        notebook = json.loads(path.read_text())
        source = INSTALL.format(url=url).splitlines(keepends=True)
        cell = {"cell_type": "code", "id": "colab", "metadata": {}, "source": source}
        notebook["cells"].insert(0, {**cell, "outputs": [], "execution_count": None})
        path.write_text(json.dumps(notebook, indent=1, ensure_ascii=False) + "\n")


def setup(app: Sphinx) -> dict[str, bool]:
    app.connect("html-page-context", add_buttons, priority=502)
    app.connect("build-finished", add_cell)
    app.add_directive("repository", Repository)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
