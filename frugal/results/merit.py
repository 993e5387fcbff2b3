"""Figures of merit that set a method's quality against its passes.

A method's *curve* is {passes, or another setting: its rows}, one row for each picture; the *reference* is DPS at full
length on the same pictures, one row for each.
"""

from collections.abc import Mapping, Sequence
from itertools import pairwise

from .rows import Gap, Rows

REFERENCE = "reference"


def gaps(ours: Rows, reference: Rows) -> dict[str, Gap]:
    """{metric: gap} of one method's rows minus the reference's, over the pictures that both have."""
    return (ours + reference.called(REFERENCE)).gaps(ours.methods[0], REFERENCE)


def points(
    rows: Rows, methods: Sequence[str], passes: Sequence[int]
) -> dict[str, dict[str, dict[int, tuple[float, float]]]]:
    """{task: {method: {passes: (LPIPS, pSNR)}}}: means over the pictures of a task that all of these have.

    A method without rows for so many passes has no point there.
    """
    found: dict = {}
    for task in rows.distinct("task"):
        of = {(m, p): rows.of(task=task, method=m, passes=p) for m in methods for p in passes}
        of = {at: some for at, some in of.items() if len(some)}
        shared = set.intersection(*(set(some.pictures) for some in of.values())) if of else set()
        for (method, budget), some in of.items():
            both = (some.on(shared).mean(method, key) for key in ("lpips", "psnr"))
            found.setdefault(task, {}).setdefault(method, {})[budget] = tuple(round(n, 4) for n in both)
    return found


def at_equal(
    curve: Mapping[float, Rows], reference: Rows, along: str = "lpips", key: str = "psnr"
) -> Gap | None:
    """``key`` at the reference's level of ``along``, minus the reference's: pSNR at equal LPIPS.

    The level is met between two neighbours on the method's own curve, by their means over the pictures that both
    have; each picture's number is interpolated with the same weight, and paired with the reference's. Of several
    places with this level, the one with the fewest passes counts. None where the curve does not reach the level.
    The weight is taken as known: the interval does not count its chance.
    """
    for less, more in pairwise(sorted(curve)):
        shared = set(curve[less].pictures) & set(curve[more].pictures) & set(reference.pictures)
        a, b, level = (rows.on(shared) for rows in (curve[less], curve[more], reference))
        (name,) = set(a.methods)
        at = [rows.mean(rows.methods[0], along) for rows in (a, b, level)]
        if at[0] != at[1] and min(at[:2]) <= at[2] <= max(at[:2]):
            w = (at[2] - at[0]) / (at[1] - at[0])
            numbers = [rows.column(rows.methods[0], key) for rows in (a, b, level)]
            differences = [
                (1 - w) * numbers[0][one] + w * numbers[1][one] - numbers[2][one] for one in a.pictures
            ]
            return Gap(name, REFERENCE, key, tuple(differences))
    return None


def to_match(curve: Mapping[int, Rows], reference: Rows) -> int | None:
    """The fewest passes with which a method matches the reference in every metric; None where none of them does.

    Non-inferior, by margins that are fixed beforehand: the 95 % interval of the paired difference leaves out every
    loss of more than 0.1 dB of pSNR, or .002 of LPIPS (``statistics.MARGINS``).
    """
    reached = [
        passes
        for passes, rows in curve.items()
        if all(gap.not_inferior for gap in gaps(rows, reference).values())
    ]
    return min(reached, default=None)
