"""From numbers to verdicts: means, their 95 % intervals, and what they say of a paired difference."""

import math
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from statistics import stdev

from scipy import stats

from ..base.checks import Refusal

Interval = tuple[float, float, float]  # mean, low, high
MARGINS = {"psnr": 0.1, "lpips": 0.002}  # differences that nobody would see: dB, and LPIPS


def interval(numbers: Sequence[float]) -> Interval:
    """Mean and its 95 % Student interval, Eq. 10a: (mean, low, high); nan for bounds where there is no spread."""
    mean = sum(numbers) / len(numbers) if numbers else math.nan
    if len(set(numbers)) < 2:
        return mean, math.nan, math.nan
    result = stats.ttest_1samp(numbers, 0).confidence_interval(0.95)
    return mean, float(result.low), float(result.high)


def share(count: int, total: int) -> Interval:
    """A share and its 95 % interval (Wilson 1927), each between 0 and 1; nan for a total of 0."""
    if not total:
        return math.nan, math.nan, math.nan
    bounds = stats.binomtest(count, total).proportion_ci(0.95, "wilson")
    return count / total, float(bounds.low), float(bounds.high)


def verdict(triple: Interval, better: int, margin: float = 0.0) -> str:
    """What (mean, low, high) of a paired difference says.

    better  the sign of an improvement, as in ``metrics.METRICS``: 1 for pSNR, -1 for LPIPS
    margin  a difference that does not matter, such as ``MARGINS``

    "better" or "worse" where the interval leaves out zero and the mean is more than the margin. "level" where the
    mean is within the margin and known to the margin: half of the interval is no longer than it. So a difference
    that is surely there and too small to see is level. What is left holds zero and is too wide: "not enough
    faces". Without a margin nothing can be level, and what is left is "undecided".
    """
    mean, low, high = triple
    if (low > 0 or high < 0) and abs(mean) > margin:
        return "better" if better * mean > 0 else "worse"
    if margin and high - low <= 2 * margin:
        return "level"
    return "not enough faces" if margin else "undecided"


def together(words: Iterable[str]) -> str:
    """One verdict from several, such as those on pSNR and on LPIPS, or on every task.

    "mixed" where one is better and one is worse; "better" or "worse" where one is and none says the opposite;
    "level" where all are; else "not enough faces".
    """
    said = set(words)
    if {"better", "worse"} <= said:
        return "mixed"
    for word in ("better", "worse"):
        if word in said:
            return word
    return "level" if said == {"level"} else "not enough faces"


def enough(differences: Sequence[float], margin: float, power: float = 0.8) -> int:
    """How many pictures would show a difference of the margin's size, with a chance of ``power``.

    The differences say how much pictures differ; their mean does not count. With so many pictures, a true
    difference of ``margin`` has a 95 % interval that leaves out zero with that chance (Student's test, whose
    power is a noncentral t); from a chance of a half on, the interval is so narrow that the rest is "level".
    Returns 2 where the differences have no spread. Raises Refusal for fewer than two differences, a margin that
    is not above 0, or a power outside (0.05, 1).
    """
    if len(differences) < 2 or not margin > 0 or not 0.05 < power < 1:
        raise Refusal(
            "differences, margin, power: two or more, above 0, and between 0.05 and 1 are needed, "
            f"got {len(differences)}, {margin} and {power}"
        )
    spread, most = stdev(differences), 2

    def seen(n: int) -> bool:
        shift = margin / spread * n**0.5
        return bool(stats.nct.sf(stats.t.ppf(0.975, n - 1), n - 1, shift) >= power)

    while spread and not seen(most):
        most *= 2
    return bisect_left(range(most + 1), True, lo=most // 2, key=seen) if most > 2 else 2


def p_value(numbers: Sequence[float]) -> float:
    """Student's two-sided p-value of the mean of ``numbers`` against zero; 1 where there is no spread."""
    return 1.0 if len(set(numbers)) < 2 else float(stats.ttest_1samp(numbers, 0).pvalue)  # pyright: ignore


def holm(p_values: Sequence[float]) -> list[float]:
    """The p-values of a family of tests, adjusted so that all of them together err with the stated chance.

    Holm (1979): the i-th smallest of n is multiplied by n - i + 1, and none may fall below the one before it.
    """
    order = sorted(range(len(p_values)), key=p_values.__getitem__)
    adjusted, before = [1.0] * len(p_values), 0.0
    for rank, i in enumerate(order):
        before = adjusted[i] = min(1.0, max(before, (len(p_values) - rank) * p_values[i]))
    return adjusted


def with_interval(triple: Interval, sign: str = "", digits: int = 3) -> str:
    """A mean and its interval as text, ``1.234 [1.200, 1.268]``; ``sign="+"`` shows the sign of each."""
    mean, low, high = (f"{number:{sign}.{digits}f}" for number in triple)
    return f"{mean} [{low}, {high}]"
