"""Intervals, verdicts, pairs of pictures, and the table that the command prints."""

import math

import numpy as np
import pytest
from scipy import stats

from frugal.metrics import METRICS, Metric
from frugal.results import statistics, tables


@pytest.mark.parametrize(
    "bounds, better, word",
    [
        ((0.1, 0.3), 1, "better"),
        ((0.1, 0.3), -1, "worse"),
        ((-0.3, -0.1), 1, "worse"),
        ((-0.3, -0.1), -1, "better"),
        ((-0.1, 0.1), 1, "undecided"),
        ((float("nan"), float("nan")), 1, "undecided"),
    ],
)
def test_a_verdict_needs_an_interval_without_zero(bounds, better, word):
    assert statistics.verdict((sum(bounds) / 2, *bounds), better) == word


@pytest.mark.parametrize(
    "bounds, word",
    [
        ((0.01, 0.05), "level"),
        ((-0.05, 0.05), "level"),
        ((0.05, 0.2), "better"),
        ((-0.2, -0.05), "worse"),
        ((-0.2, 0.2), "not enough faces"),
        ((float("nan"), float("nan")), "not enough faces"),
        ((0.02, 0.14), "level"),  # surely there, too small to see, and known to the margin
        ((0.005, 0.195), "level"),
        ((0.005, 0.205), "better"),
        ((-0.01, 0.2), "not enough faces"),
        ((-0.09, 0.1), "level"),
    ],
)
def test_with_a_margin_a_tie_is_told_from_too_few_faces(bounds, word):
    assert statistics.verdict((sum(bounds) / 2, *bounds), 1, margin=0.1) == word


@pytest.mark.parametrize(
    "words, word",
    [
        (("better", "better"), "better"),
        (("better", "level"), "better"),
        (("worse", "not enough faces"), "worse"),
        (("better", "worse", "level"), "mixed"),
        (("level", "level"), "level"),
        (("level", "not enough faces"), "not enough faces"),
        ((), "not enough faces"),
    ],
)
def test_several_verdicts_make_one(words, word):
    assert statistics.together(words) == word


def test_so_many_pictures_show_a_difference_of_the_margins_size_as_often_as_was_asked():
    """By simulation: of 4,000 trials with a true difference of the margin, 80 % leave out zero, and no fewer pictures do."""
    some = np.random.default_rng(0).normal(0, 0.5, 40)
    n = statistics.enough(list(some), margin=0.1, power=0.8)
    spread = some.std(ddof=1)
    shown = []
    for count in (n, n // 2):
        trials = np.random.default_rng(1).normal(0.1, spread, (4000, count))
        half = stats.t.ppf(0.975, count - 1) * trials.std(1, ddof=1) / count**0.5
        shown.append(np.mean(abs(trials.mean(1)) > half))
    assert shown[0] == pytest.approx(0.8, abs=0.02) and shown[1] < 0.6
    assert statistics.enough(list(some), 0.1, 0.95) > n > statistics.enough(list(some), 0.2, 0.8)
    assert n == pytest.approx((1.96 + 0.84) ** 2 * spread**2 / 0.1**2, abs=3)  # the normal distribution's


def test_with_enough_pictures_no_verdict_is_left_open():
    some = list(np.random.default_rng(0).normal(0, 0.5, 30))
    n = statistics.enough(some, 0.1)
    assert statistics.enough([1.0, 1.0], 0.1) == 2
    half = stats.t.ppf(0.975, n - 1) * np.std(some, ddof=1) / n**0.5
    assert half < 0.1 and statistics.verdict((0.0, -half, half), 1, 0.1) == "level"


def test_holm_multiplies_the_smallest_p_values_most_and_keeps_their_order():
    assert statistics.holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert statistics.holm([0.5, 0.9]) == [1.0, 1.0] and statistics.holm([]) == []
    assert statistics.p_value([1.0, 1.0]) == 1.0 and statistics.p_value([1.0, 1.1, 0.9]) < 0.01


def rows_of(values, method="dps", **more):
    return [
        {"image": str(i), "method": method, "psnr": v, "lpips": None, "seconds": 2.0, **more}
        for i, v in enumerate(values)
    ]


def test_the_table_pairs_pictures():
    """DPS varies by 10 dB between pictures, the hybrid is 1 dB better on each: the difference has no spread."""
    rows = rows_of([0.0, 10.0, 20.0]) + rows_of([1.0, 11.0, 21.0], "hybrid")
    head, line, dps, hybrid, difference = tables.summary(rows).splitlines()
    assert "LPIPS" not in head and set(line) <= set("|- ")
    assert dps.split("|")[1:3] == [" dps          ", " 10.000 [-14.841, 34.841] "]
    assert "11.000" in hybrid and difference.split("|")[2].strip() == "+1.000 [+nan, +nan]"


def test_pairs_are_made_by_picture_and_the_others_are_counted():
    rows = rows_of([0.0, 10.0, 20.0, 30.0]) + list(reversed(rows_of([1.0, 12.0], "dmps")))
    assert tables.summary(rows).splitlines()[-1].startswith("dmps - dps leaves out 2 pictures")


def test_a_share_has_wilsons_interval():
    mean, low, high = statistics.share(9, 10)
    assert mean == 0.9 and abs(low - 0.5958) < 1e-3 and abs(high - 0.9821) < 1e-3
    assert all(map(math.isnan, statistics.share(0, 0)))


def test_a_metric_that_a_file_is_older_than_is_left_out(monkeypatch):
    monkeypatch.setitem(METRICS, "sharpness", Metric(lambda x, y: x, "sharpness", 1))
    head, *_ = tables.summary(rows_of([0.0, 1.0]) + rows_of([1.0, 2.5], "dmps")).splitlines()
    assert "pSNR" in head and "sharpness" not in head
