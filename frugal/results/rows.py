"""Rows of results: chosen by their columns, paired by picture, and compared.

``measured("switches").of(task="sr4").gap("own 50", "dps", "psnr")`` is a difference with its interval and verdict.
"""

import json
import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from ..base.checks import Refusal
from ..metrics import METRICS
from . import statistics
from .statistics import MARGINS, Interval

FOLDERS = (Path("../book/measured"), Path("book/measured"))  # as seen from a page, and from the repository
UNMEASURED = "not measured"
Picture = tuple[str, str | None]  # its name, and the digest of its content


# What one method made of one picture. Every row has "image", the picture's name, and "method"; most have "picture", the
# digest of its content, "task", "steps" (t), "switch" (k), "passes", "seconds", "nfe" and "backprops"; some "residual"
# (Eq. 8a), or "spread", the distance of two draws over that of one from the truth. Each metric's number stands under its
# name in ``METRICS``.
Row = Mapping[str, Any]


@dataclass(frozen=True)
class Gap:
    """``ours`` minus ``theirs`` in one metric, picture by picture: a mean, its 95 % interval and what they say."""

    ours: str
    theirs: str
    key: str
    differences: tuple[float, ...]

    @property
    def n(self) -> int:
        """How many pictures both have."""
        return len(self.differences)

    @cached_property
    def interval(self) -> Interval:
        """Mean, low and high, see ``statistics.interval``."""
        return statistics.interval(self.differences)

    @property
    def mean(self) -> float:
        """The mean difference."""
        return self.interval[0]

    @property
    def margin(self) -> float:
        """A difference that nobody would see; 0 for a metric without one."""
        return MARGINS.get(self.key, 0.0)

    @property
    def verdict(self) -> str:
        """``statistics.verdict`` with the metric's margin; "not measured" where no picture has both numbers."""
        if not self.n:
            return UNMEASURED
        return statistics.verdict(self.interval, METRICS[self.key].better, self.margin)

    @property
    def not_inferior(self) -> bool:
        """Whether the interval leaves out every loss that is larger than the margin; equal numbers lose nothing."""
        if self.n and not any(self.differences):
            return True
        return min(METRICS[self.key].better * bound for bound in self.interval[1:]) > -self.margin

    @property
    def text(self) -> str:
        """Mean and interval with their signs, to a hundredth of a dB and a thousandth of LPIPS."""
        if not self.n:
            return UNMEASURED
        return statistics.with_interval(self.interval, "+", 2 if self.key == "psnr" else 3)

    def __str__(self) -> str:
        """``+0.35 [+0.16, +0.53], better``."""
        return ", ".join(dict.fromkeys((self.text, self.verdict)))


@dataclass(frozen=True)
class Rows:
    """Rows in their order. A number is found by picture and method, so each may have it once."""

    rows: Sequence[Row]

    def __iter__(self) -> Iterator[Row]:
        return iter(self.rows)

    def __len__(self) -> int:
        return len(self.rows)

    def __add__(self, other: "Rows") -> "Rows":
        return Rows([*self.rows, *other.rows])

    def of(self, **columns: object) -> "Rows":
        """The rows that hold these values."""
        return Rows([row for row in self.rows if all(row.get(k) == v for k, v in columns.items())])

    def on(self, pictures: Collection[Picture]) -> "Rows":
        """The rows of these pictures, see ``pictures``."""
        wanted = set(pictures)
        return Rows([row for row in self.rows if picture(row) in wanted])

    def called(self, method: str) -> "Rows":
        """The same rows under the name of another method, such as "dps" of another length."""
        return Rows([{**row, "method": method} for row in self.rows])

    def distinct(self, column: str) -> list[Any]:
        """The values of a column, each once, in the order in which they come; None where a row lacks it."""
        return list(dict.fromkeys(row.get(column) for row in self.rows))

    @property
    def methods(self) -> list[str]:
        """The methods, in the order in which they come."""
        return self.distinct("method")

    @property
    def pictures(self) -> list[Picture]:
        """The pictures, in the order of their names."""
        return list(dict.fromkeys(picture(row) for row in sorted(self.rows, key=lambda row: row["image"])))

    @property
    def metrics(self) -> list[str]:
        """The metrics that every row holds a number of, in the order of ``METRICS``."""
        return [key for key in METRICS if all(row.get(key) is not None for row in self.rows)]

    def column(self, method: str, key: str) -> dict[Picture, Any]:
        """{picture: ``key``} of one method.

        Raises Refusal where a picture has more than one row of that method: choose among them with ``of``.
        """
        mine = self.of(method=method)
        found = {picture(row): row.get(key) for row in mine}
        if len(found) < len(mine):
            raise Refusal(f"rows: {method} has several rows of one picture; choose among them with of(...)")
        return found

    def values(self, method: str, key: str) -> list[Any]:
        """The column ``key`` of one method, in the order of the pictures' names."""
        found = self.column(method, key)
        return [found[one] for one in self.of(method=method).pictures]

    def mean(self, method: str, key: str) -> float:
        """The mean of a column of one method; nan where there is no row."""
        return self.interval(method, key)[0]

    def interval(self, method: str, key: str) -> Interval:
        """The mean of a column of one method with its 95 % interval; nan where a number is missing."""
        numbers = self.values(method, key)
        return (math.nan, math.nan, math.nan) if None in numbers else statistics.interval(numbers)

    def gap(self, ours: str, theirs: str, key: str) -> Gap:
        """``ours`` minus ``theirs`` in a metric, over the pictures that both have; of none where a number is missing.

        Raises Refusal for a key that is no metric, and for a method without rows.
        """
        if key not in METRICS:
            raise Refusal(f"key: {key!r} is no metric; accepted are {', '.join(METRICS)}")
        for method in (ours, theirs):
            if method not in self.methods:
                raise Refusal(f"rows: none is of {method!r}; there are {', '.join(self.methods) or 'none'}")
        mine, other = self.column(ours, key), self.column(theirs, key)
        pairs = [(mine[one], other[one]) for one in self.pictures if one in mine and one in other]
        measured = not any(None in pair for pair in pairs)
        return Gap(ours, theirs, key, tuple(a - b for a, b in pairs) if measured else ())

    def gaps(self, ours: str, theirs: str) -> dict[str, Gap]:
        """{metric: gap} for every metric that the rows hold."""
        return {key: self.gap(ours, theirs, key) for key in self.metrics}


@dataclass(frozen=True)
class Measured(Rows):
    """A file of ``book/measured``: its rows, its stamp, and whatever else it holds under names of its own."""

    meta: Mapping[str, Any] = field(default_factory=dict)
    content: Mapping[str, Any] = field(default_factory=dict)


def picture(row: Row) -> Picture:
    """What tells a row's picture from others: its name and, where the row has one, the digest of its content."""
    return row["image"], row.get("picture")


def measured(name: str, folder: Path | None = None) -> Measured:
    """The measured file of that name.

    folder  where it lies; ``book/measured`` of the repository that a page or a command runs in
    Raises Refusal where there is no such file.
    """
    folder = folder or next((there for there in FOLDERS if there.is_dir()), FOLDERS[0])
    there = sorted(path.stem for path in folder.glob("*.json"))
    if name not in there:
        raise Refusal(f"name: {name!r} is not measured; accepted are {', '.join(there) or 'none here'}")
    content = json.loads((folder / f"{name}.json").read_text())
    rows = content.get("rows", [])
    return Measured(rows if isinstance(rows, list) else [], content["meta"], content)
