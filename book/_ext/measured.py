"""Sphinx extension: ```{measured} FILE NAME ...``` is a table of a results file in book/measured.

A line for each name: that variant's paired difference from the library's own runs, with its 95 % interval.
Without names, how the rows were made. A file or a name that is not there stops the build.
"""

import json
from pathlib import Path

from docutils import nodes
from docutils.statemachine import StringList
from sphinx.util.docutils import SphinxDirective

from frugal import evaluate

MADE = "{images} faces, t = {steps}, sigma = {sigma}, seed {seed}, prior `{prior_digest:.12}`, {device}."
HEAD = ["| variant | of, on | pSNR minus ours (dB) | LPIPS minus ours |", "|---|---|---|---|"]


def line(rows, name):
    """One variant as a row of Markdown; the last word says what the variant is in that measure."""
    reference, task = next((row["reference"], row["task"]) for row in rows if row["method"] == name)
    cells = [f"`{name}`", f"{reference}, {task}"]
    for key, better in (("psnr", 1), ("lpips", -1)):
        same = [row for row in rows if row["task"] == task]
        triple = evaluate.paired_interval(same, name, reference, key)
        cells.append(f"{evaluate.with_interval(triple, sign='+')}, {evaluate.verdict(triple, better)}")
    return f"| {' | '.join(cells)} |"


class Measured(SphinxDirective):
    required_arguments, optional_arguments, final_argument_whitespace = 1, 1, True

    def run(self):
        file, *names = " ".join(self.arguments).split()
        path = Path(self.env.relfn2path(f"measured/{file}")[1])
        self.env.note_dependency(str(path))
        try:
            meta, rows = json.loads(path.read_text()).values()
            lines = [*HEAD, *(line(rows, name) for name in names)] if names else [MADE.format(**meta)]
        except Exception as error:  # whatever is wrong with the file, the build says so and stops
            raise self.error(f"measured: {' '.join(self.arguments)}: {error!r}") from error
        found = nodes.Element()
        self.state.nested_parse(StringList(lines, source=str(path)), self.content_offset, found)
        return found.children


def setup(app):
    app.add_directive("measured", Measured)
    return {"parallel_read_safe": True}
