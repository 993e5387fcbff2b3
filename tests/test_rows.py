"""Rows are chosen by their columns, paired by picture and compared; figures of merit; what a file holds is read from it."""

import json
import math
from pathlib import Path

import pytest

from frugal.base.checks import Refusal
from frugal.metrics import METRICS, Metric
from frugal.results import merit, stored
from frugal.results.rows import Rows, measured

FOLDER = Path(__file__).parent.parent / "book" / "measured"


def rows(method, psnr, lpips=None, **more):
    """A row for each number."""
    lpips = lpips or [0.05] * len(psnr)
    return Rows(
        [
            {"image": f"{i}.png", "picture": f"digest {i}", "method": method, "psnr": p, "lpips": q, **more}
            for i, (p, q) in enumerate(zip(psnr, lpips))
        ]
    )


def test_a_difference_is_paired_by_picture_whatever_the_order():
    both = rows("dps", [20.0, 25.0, 30.0]) + Rows(list(reversed(rows("hybrid", [21.0, 26.5, 32.0]).rows)))
    gap = both.gap("hybrid", "dps", "psnr")
    assert gap.differences == (1.0, 1.5, 2.0) and (gap.n, gap.mean) == (3, 1.5)
    assert gap.verdict == "better" and str(gap) == "+1.50 [+0.26, +2.74], better"
    assert both.gap("dps", "hybrid", "psnr").verdict == "worse"
    assert both.methods == ["dps", "hybrid"] and both.metrics == ["psnr", "lpips"]
    assert both.mean("dps", "psnr") == 25 and both.values("hybrid", "psnr") == [21.0, 26.5, 32.0]


def test_pictures_of_one_method_only_have_no_part_in_a_difference():
    both = rows("dps", [20.0, 25.0, 30.0]) + rows("hybrid", [21.0, 26.0])
    assert both.gap("hybrid", "dps", "psnr").differences == (1.0, 1.0)
    assert both.on({("1.png", "digest 1")}).gap("hybrid", "dps", "psnr").differences == (1.0,)


def test_one_picture_under_two_names_is_two_pictures_and_a_name_with_two_contents_too():
    copied = rows("dps", [20.0]) + Rows([{**rows("dps", [20.0]).rows[0], "image": "copy.png"}])
    assert copied.values("dps", "psnr") == [20.0, 20.0]
    other = Rows([{**rows("hybrid", [21.0]).rows[0], "picture": "another"}])
    assert (copied + other).gap("hybrid", "dps", "psnr").n == 0


def test_points_of_the_plane_are_means_over_the_pictures_that_all_have():
    some = rows("dps", [20.0, 30.0], [0.1, 0.3], task="sr4", passes=200) + rows(
        "spectral", [22.0], task="sr4", passes=20
    )
    assert merit.points(some, ("dps", "spectral", "dmps"), (20, 200)) == {
        "sr4": {"dps": {200: (0.1, 20.0)}, "spectral": {20: (0.05, 22.0)}}
    }


def test_rows_are_chosen_by_any_column():
    some = rows("dps", [20.0], task="sr4", steps=100) + rows("dps", [10.0], task="sr4", steps=20)
    assert some.of(task="sr4", steps=20).values("dps", "psnr") == [10.0]
    assert len(some.of(task="sr16")) == 0 and some.distinct("steps") == [100, 20]
    assert some.of(steps=100).called("full").methods == ["full"]


def test_what_cannot_be_compared_is_refused_in_one_sentence():
    some = rows("dps", [20.0, 21.0]) + rows("hybrid", [20.0, 21.0])
    unmeasured = Rows([row | {"lpips": None} for row in some])
    for those, arguments, start in (
        (some, ("hybrid", "dps", "seconds"), "key: 'seconds' is no metric"),
        (some, ("dmps", "dps", "psnr"), "rows: none is of 'dmps'; there are dps, hybrid"),
        (some + some, ("hybrid", "dps", "psnr"), "rows: hybrid has several rows of one picture"),
    ):
        with pytest.raises(Refusal, match=f"^{start}"):
            those.gap(*arguments)
    assert unmeasured.metrics == ["psnr"] and [*unmeasured.gaps("hybrid", "dps")] == ["psnr"]
    assert str(unmeasured.gap("hybrid", "dps", "lpips")) == "not measured"
    assert all(map(math.isnan, unmeasured.interval("dps", "lpips")))


def test_a_measured_file_is_read_by_its_name():
    file = measured("switches", FOLDER)
    gap = file.of(task="sr4").gap("own 5", "dps", "lpips")
    assert gap.n == 200 and gap.verdict == "level" and abs(gap.mean) < 0.002
    assert file.meta["prior"] == "faces64" and {"meta", "rows"} <= file.content.keys()
    with pytest.raises(Refusal, match="^name: 'switch' is not measured; accepted are .*bench, "):
        measured("switch", FOLDER)
    assert measured("spectrum", FOLDER).rows == []


def test_a_new_metric_leaves_what_was_measured_before_as_it_is(monkeypatch, tmp_path):
    """A line of METRICS says what can be measured; what a file holds is read from the file."""
    monkeypatch.setitem(METRICS, "sharpness", Metric(lambda x, y: x, "sharpness", 1))
    some = measured("switches", FOLDER).of(task="sr4")
    assert some.metrics == ["psnr", "lpips"] and [*some.gaps("dmps", "dps")] == ["psnr", "lpips"]
    row = {"image": "a", "picture": "b", "task": "sr4", "method": "dps", "psnr": 20.0, "lpips": None}
    row |= {"seconds": 1.0, "nfe": 1, "backprops": 1, "switch": 0}
    (tmp_path / "old.json").write_text(json.dumps({"meta": {}, "rows": [row]}))
    assert stored.read(tmp_path / "old.json", {}) == [row]
    new = rows("dps", [1.0, 2.0], sharpness=1.0) + rows("hybrid", [1.0, 2.0], sharpness=2.0)
    gap = new.gap("hybrid", "dps", "sharpness")
    assert (
        gap.margin == 0 and gap.mean == 1 and gap.verdict == "undecided"
    )  # two equal numbers have no interval


def test_not_inferior_leaves_out_every_loss_beyond_the_margin():
    dps = rows("dps", [20.0] * 4)
    for loss, said in ((0.0, True), (0.05, True), (0.2, False), (-1.0, True)):
        ours = rows("hybrid", [20.0 - loss + e for e in (-0.02, 0.02, -0.01, 0.01)])
        assert (dps + ours).gap("hybrid", "dps", "psnr").not_inferior == said
    wide = rows("hybrid", [19.0, 21.0, 19.5, 20.5])
    assert not (dps + wide).gap("hybrid", "dps", "psnr").not_inferior


def test_psnr_at_equal_lpips_lies_on_the_methods_own_curve():
    """pSNR falls by 1 dB for each .01 of LPIPS on every face: where LPIPS is met, the difference is known."""
    reference = rows("dps", [24.0, 25.0, 26.5], [0.05, 0.06, 0.07])
    curve = {
        10: rows("spectral", [25.0, 26.0, 27.0], [0.08, 0.09, 0.10]),
        20: rows("spectral", [23.0, 24.0, 25.0], [0.06, 0.07, 0.08]),
        40: rows("spectral", [21.0, 22.0, 23.0], [0.04, 0.05, 0.06]),
    }
    gap = merit.at_equal(curve, reference)
    assert gap.differences == pytest.approx((-2.0, -2.0, -2.5)) and gap.ours == "spectral"
    assert merit.at_equal({10: curve[10], 20: curve[20]}, reference) is None
    assert merit.at_equal({10: curve[10]}, reference) is None


def test_a_method_matches_when_it_is_not_inferior_in_every_metric():
    noise = (-0.01, 0.0, 0.01)
    reference = rows("dps", [24.0, 25.0, 26.0], [0.05, 0.06, 0.07])
    of = lambda psnr, lpips: rows(
        "spectral",
        [p + psnr + e for p, e in zip((24.0, 25.0, 26.0), noise)],
        [q + lpips + e / 100 for q, e in zip((0.05, 0.06, 0.07), noise)],
    )
    assert merit.to_match({10: of(1.0, 0.01), 20: of(0.0, 0.001), 40: of(0.5, 0.0)}, reference) == 20
    assert merit.to_match({10: of(1.0, 0.01), 40: of(-0.5, 0.0)}, reference) is None


def test_the_frontiers_rows_make_curves():
    faces = measured("frontier", FOLDER).of(pictures="faces", sigma=0.01, task="sr4")
    reference = faces.of(method="dps", passes=200)
    for method in faces.methods:
        mine = faces.of(method=method)
        curve = {p: mine.of(passes=p) for p in mine.distinct("passes")}
        assert all(gap.n >= 8 for one in curve.values() for gap in merit.gaps(one, reference).values())
        passes = merit.to_match(curve, reference)
        assert passes is None or passes in curve
        if method == "dps":
            assert passes == 200  # it matches itself at full length
