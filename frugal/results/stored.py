"""Results files: {"meta": {...}, "rows": [...]}, whose rows belong to a picture's content and to every setting."""

import json
import math
import os
from pathlib import Path
from typing import Any

from ..base.checks import Refusal
from ..base.files import understood
from ..metrics import METRICS
from ..samplers import METHODS

TEXTS = ("image", "picture", "task", "method")
NUMBERS = ("seconds", "nfe", "backprops", "switch")


def key(row: dict) -> tuple[str, str, str]:
    """What a row is of: the picture's content, its name, and the method."""
    return row["picture"], row["image"], row["method"]


def parts(out: Path) -> list[Path]:
    """The files in which the processes of a run keep their rows until all are done."""
    return sorted(out.parent.glob(f"{out.name}.*.rows"))


def part(out: Path, process: int) -> Path:
    """The file in which one process of this run keeps its rows; another run into the same file has its own."""
    return out.with_name(f"{out.name}.{process}-{os.getpid()}.rows")


def rows_so_far(out: Path, meta: dict) -> dict[tuple, dict]:
    """{key: row} of ``out`` and of the parts beside it, see ``read``."""
    return {key(row): row for file in (out, *parts(out)) for row in read(file, meta)}


def read(file: Path, meta: dict) -> list[dict]:
    """Rows of a results file made with the same ``meta``; none of one that is not there, or not there any more.

    Raises Refusal for a file that is no results file, and for one that was made with something else.
    """
    with understood(f"out: {file} exists but is not a results file; give another name"):
        try:
            content = json.loads(file.read_text())
        except FileNotFoundError:
            return []
        there, rows = content["meta"], content["rows"]
        if not (isinstance(there, dict) and isinstance(rows, list) and all(map(sound, rows))):
            raise ValueError
    differing = [name for name, value in meta.items() if there.get(name) != value]
    if differing:
        raise Refusal(
            f"out: {file} was made with another {', '.join(differing)}; give another name or delete it"
        )
    return rows


def sound(row: object) -> bool:
    """Whether a row has a text or number wherever one is needed."""
    if not isinstance(row, dict) or not all(isinstance(row.get(name), str) for name in TEXTS):
        return False
    number = lambda value: type(value) in (int, float) and math.isfinite(value)
    scores = [row[name] for name in METRICS if name in row]  # a file may be older than a metric
    return all(number(row.get(name)) for name in NUMBERS) and all(s is None or number(s) for s in scores)


def finite(value: Any) -> Any:
    """The value; None for a number that JSON cannot write."""
    return None if isinstance(value, float) and not math.isfinite(value) else value


def in_order(rows: dict[tuple, dict]) -> list[dict]:
    """Rows by the picture's name, and for each picture in the order of the table of methods."""
    order = list(METHODS)
    rank = lambda row: order.index(row["method"]) if row["method"] in order else len(order)
    return sorted(rows.values(), key=lambda row: (row["image"], row["picture"], rank(row)))
