"""Sphinx extension: show the library's docstrings as they are written; an equation's number is a link to it."""

import re
from typing import Any

from sphinx.application import Sphinx

NUMBER = r"(?:\d+[a-z]?|a\d)"
NUMBERS = rf"\bEqs?\. ({NUMBER}(?:(?:, | and ){NUMBER})*)"


def as_written(line: str) -> str:
    """One line in reStructuredText: columns keep apart, and only literals and equations are marked up."""

    def link(found: re.Match[str]) -> str:
        return re.sub(NUMBER, r":eq:`eq-\g<0>`", found[1])

    literals = re.split(r"(``.+?``)", line)
    for i, text in enumerate(literals[::2]):
        text = re.sub(r"[\\*|_`]", r"\\\g<0>", text)
        text = re.sub(r" {2,}", lambda found: "\u00a0" * len(found[0]), text)
        literals[2 * i] = re.sub(NUMBERS, link, text)
    return "".join(literals)


def as_lines(app: Sphinx, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    """Put every docstring line but blank ones behind '| ', reStructuredText's line block."""
    lines[:] = [f"| {as_written(line)}" if line else "" for line in lines]


def setup(app: Sphinx) -> dict[str, bool]:
    app.connect("autodoc-process-docstring", as_lines)
    return {"parallel_read_safe": True}
