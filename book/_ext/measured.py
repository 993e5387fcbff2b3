"""Sphinx extension: ```{measured} FILE NAME ...``` is a table of a results file in book/measured.

A line for each name: that variant's paired difference from the library's own runs, with its 95 % interval.
Without names, how the rows were made. ```{predicted} FILE``` is a table of what was predicted and what was measured.
A file or a name that is not there stops the build.
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
CONSTANTS = (
    "{device}, `{prior}`: $c_f$ = {forward:.4f} s, $c_b$ = {product:.4f} s, $c_0$ = {call:.4f} s; a pass takes {:.3g} "
    "thousand million operations, and one of the large network {:.3g}."
)
UNITS = ((86400, "days"), (3600, "h"), (60, "min"))


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
            lines = self.lines(json.loads(path.read_text()), names)
        except Exception as error:  # whatever is wrong with the file, the build says so and stops
            raise self.error(f"{self.name}: {' '.join(self.arguments)}: {error!r}") from error
        table = nodes.Element()
        self.state.nested_parse(StringList(lines, source=str(path)), self.content_offset, table)
        return table.children

    def lines(self, content: dict[str, Any], names: list[str]) -> list[str]:
        """The Markdown of it."""
        meta, rows = content["meta"], Rows(content["rows"])
        if not names:
            return [MADE.format(**{**meta, **meta["arguments"]})]
        minus = [f"{METRICS[key].heading} minus ours" for key in rows.metrics]
        return markdown(["variant", "of, on", *minus], [line(rows, name) for name in names])


class Predicted(Measured):
    """The directive ``predicted``."""

    def lines(self, content: dict[str, Any], names: list[str]) -> list[str]:
        """A line for every row, {"what", "predicted", "seconds" or "bytes"}, empty where there is no prediction."""
        cells = [[row["what"], said(row.get("predicted"), ""), had(row)] for row in content["rows"]]
        constants = CONSTANTS.format(
            *(n / 1e9 for n in content["operations"]), **content["prices"], **content["meta"]
        )
        return [constants, "", *markdown(["what", "predicted", "measured"], cells)]


def had(row: dict[str, Any]) -> str:
    """What was measured of a row."""
    return f"{row['bytes'] / 1e9:.2f} GB" if "bytes" in row else said(row["seconds"], "not measured")


def said(seconds: float | None, nothing: str) -> str:
    """A time with a unit that suits it."""
    if seconds is None:
        return nothing
    size, unit = next((one for one in UNITS if seconds >= 2 * one[0]), (1, "s"))
    return f"{seconds / size:.3g} {unit}"


def markdown(heads: list[str], rows: list[list[str]]) -> list[str]:
    """The lines of a table."""
    return [f"| {' | '.join(row)} |" for row in (heads, ["---"] * len(heads), *rows)]


def setup(app: Sphinx) -> dict[str, Any]:
    """Tell Sphinx of the directives."""
    app.add_directive("measured", Measured)
    app.add_directive("predicted", Predicted)
    return {"parallel_read_safe": True}
