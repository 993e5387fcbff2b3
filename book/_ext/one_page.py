"""Sphinx extension: the builder "singlehtml" makes the whole book one page, fit for paper."""

from pathlib import Path

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.builders.singlehtml import SingleFileHTMLBuilder
from sphinx_design.dropdown import dropdown_main


class OnePage(SingleFileHTMLBuilder):
    """Sphinx's single page, as index.html at the top, and without what only a screen has a use for."""

    def init(self) -> None:
        self.config.html_sidebars = {"**": []}
        self.config.html_theme_options |= {"article_header_start": [], "article_header_end": []}
        super().init()

    def get_outfilename(self, pagename: str) -> str:
        return str(Path(self.outdir) / "index.html")

    def assemble_doctree(self) -> nodes.document:
        """All pages in one tree, with what is folded on a screen unfolded."""
        tree = super().assemble_doctree()
        for fold in tree.findall(dropdown_main):
            fold["opened"] = True
        return tree

    def fix_refuris(self, tree: nodes.Node) -> None:
        """Of #document-PAGE#ANCHOR keep #ANCHOR: all pages are this one."""
        for link in tree.findall(nodes.reference):
            if link.get("refuri", "").startswith("#"):
                link["refuri"] = "#" + link["refuri"].rpartition("#")[2]


def setup(app: Sphinx) -> dict[str, bool]:
    app.add_builder(OnePage, override=True)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
