"""Sphinx extension: ```{measured} FILE NAME ...``` is a table of a results file in book/measured.

A line for each name: that variant's paired difference from the library's own runs, with its 95 % interval.
Without names, how the rows were made. A file or a name that is not there stops the build.
"""

import json
from pathlib import Path
from typing import Any

from docutils import nodes
from docutils.statemachine import StringList
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from frugal.metrics import METRICS
from frugal.results.rows import Rows

MADE = "{faces} faces, t = {steps}, sigma = {sigma}, seed {seed}, prior `{prior_digest:.12}`, {device}."


def line(rows: Rows, name: str) -> list[str]:
    """The cells of one variant's row; the last word of a measure says what the variant is in it."""
    reference, task = next((row["reference"], row["task"]) for row in rows.of(method=name))
    same = rows.of(task=task)
    return [
        f"`{name}`",
        f"{reference}, {task}",
        *(difference(same, name, reference, key) for key in rows.metrics),
    ]


def difference(rows: Rows, name: str, reference: str, key: str) -> str:
    """A paired difference and its verdict; "the same" for a variant that is what the library does anyway."""
    gap = rows.gap(name, reference, key)
    return str(gap) if any(gap.differences) or not gap.n else "the same"


class Measured(SphinxDirective):
    """The directive ``measured``."""

    required_arguments, optional_arguments, final_argument_whitespace = 1, 1, True

    def run(self) -> list[nodes.Node]:
        """The table, or the sentence on how it was made."""
        file, *names = " ".join(self.arguments).split()
        path = Path(self.env.relfn2path(f"measured/{file}")[1])
        self.env.note_dependency(str(path))
        try:
            meta, found = json.loads(path.read_text()).values()
            rows = Rows(found)
            minus = [f"{METRICS[key].heading} minus ours" for key in rows.metrics]
            head = ["variant", "of, on", *minus]
            cells = [head, ["---"] * len(head), *(line(rows, name) for name in names)]
            lines = [f"| {' | '.join(row)} |" for row in cells]
            lines = lines if names else [MADE.format(**{**meta, **meta["arguments"]})]
        except Exception as error:  # whatever is wrong with the file, the build says so and stops
            raise self.error(f"measured: {' '.join(self.arguments)}: {error!r}") from error
        table = nodes.Element()
        self.state.nested_parse(StringList(lines, source=str(path)), self.content_offset, table)
        return table.children


def setup(app: Sphinx) -> dict[str, Any]:
    """Tell Sphinx of the directive."""
    app.add_directive("measured", Measured)
    return {"parallel_read_safe": True}
