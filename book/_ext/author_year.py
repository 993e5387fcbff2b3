"""Sphinx extension: the references are labelled as the text cites them, "Chung et al., 2023"."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from pybtex.plugin import register_plugin
from pybtex.style.formatting.unsrt import Style as Plain
from pybtex.style.labels import BaseLabelStyle
from sphinx.application import Sphinx
from sphinxcontrib.bibtex.plugin import register_plugin as register_style
from sphinxcontrib.bibtex.style.referencing import BracketStyle
from sphinxcontrib.bibtex.style.referencing.label import LabelReferenceStyle


class AuthorYear(BaseLabelStyle):
    """The first author, the second or "et al.", and the year; a letter where two works share them."""

    def format_labels(self, sorted_entries: Sequence[Any]) -> Iterator[str]:
        labels = [label(entry) for entry in sorted_entries]
        for i, own in enumerate(labels):
            yield own + ("abcdefgh"[labels[:i].count(own)] if labels.count(own) > 1 else "")


def label(entry: Any) -> str:
    """Author and year of one entry."""
    names = [" ".join((*author.prelast_names, *author.last_names)) for author in entry.persons["author"]]
    shown = " and ".join(names) if len(names) < 3 else f"{names[0]} et al."
    return f"{shown}, {entry.fields.get('year', 'no date')}"


class Style(Plain):
    """Entries in full, sorted by author."""

    default_label_style, default_sorting_style = AuthorYear, "author_year_title"


@dataclass
class ByLabel(LabelReferenceStyle):
    """A citation in the text is the label in the list, so that its letter tells works of one year apart."""

    bracket_parenthetical: BracketStyle = field(default_factory=lambda: BracketStyle(sep="; "))


def setup(app: Sphinx) -> dict[str, bool]:
    register_plugin("pybtex.style.formatting", "author_year", Style)
    register_style("sphinxcontrib.bibtex.style.referencing", "by_label", ByLabel)
    return {"parallel_read_safe": True}
