"""Tables as text, in Markdown: they read well in a terminal, and a page renders them."""

from collections.abc import Iterable, Sequence

from ..metrics import METRICS
from ..samplers import METHODS
from .rows import Row, Rows
from .statistics import with_interval


def markdown(columns: Sequence[object], rows: Sequence[Sequence[object]]) -> str:
    """Names above, and under them the rows, text first and numbers after."""
    lines = [columns, ["---"] + ["--:"] * (len(columns) - 1), *rows]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines)


def summary(rows: Iterable[Row], seconds: bool = True) -> str:
    """Means of each method with 95 % intervals, then paired differences from DPS.

    A metric that was not measured for every row is left out. The last column is the time, unless ``seconds``
    is False; it has no interval, because the pictures of a batch share their time. A last line says how many
    pictures have no partner, if any.
    """
    found = Rows(list(rows))
    present = [m for m in METHODS if m in found.methods]
    lines = [["", *(METRICS[key].heading for key in found.metrics), *["seconds"] * seconds]]
    for m in present:
        time = [f"{found.mean(m, 'seconds'):.2f}"] if seconds else []
        lines.append([m, *(with_interval(found.interval(m, key)) for key in found.metrics), *time])
    pictures = {m: found.column(m, "method").keys() for m in present}
    others = [m for m in present if m != "dps" and pictures[m] & pictures.get("dps", set())]
    for m in others:
        gaps = [found.gap(m, "dps", key).interval for key in found.metrics]
        lines.append([f"{m} - dps", *(with_interval(gap, sign="+") for gap in gaps), *[""] * seconds])
    widths = [max(map(len, cells)) for cells in zip(*lines)]
    lines.insert(1, ["-" * width for width in widths])
    text = ["| " + " | ".join(c.ljust(w) for c, w in zip(line, widths)) + " |" for line in lines]
    alone = {m: len(pictures[m] ^ pictures["dps"]) for m in others}
    text += [
        f"\n{m} - dps leaves out {n} pictures that only one of the two has" for m, n in alone.items() if n
    ]
    return "\n".join(text)
