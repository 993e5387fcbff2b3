"""Figures, tables and the set-up of the pages."""

import matplotlib.pyplot as plt
import pytest
import torch
from matplotlib.colors import to_hex

from frugal import images, metrics
from frugal.metrics import METRICS
from frugal.results import statistics
from frugal.results.rows import Gap, Rows
from frugal.samplers import METHODS
from frugal.show import figures, page, tables


@pytest.fixture
def axis():
    figure, axis = plt.subplots()
    yield axis
    plt.close(figure)


def rows():
    """Results of every method on three pictures."""
    return [
        {"image": f"{i}.png", "method": m, "psnr": 20.0 + i * j, "lpips": 0.1 * i, "seconds": 1.0}
        for j, m in enumerate(METHODS, 1)
        for i in range(3)
    ]


def test_a_method_has_the_colour_and_the_label_of_the_table(axis):
    triples = [(0.0, -1.0, 1.0)] * len(METHODS)
    figures.intervals(axis, METHODS, triples, reference=0, strokes=[[0.5, -0.5]] * len(METHODS))
    expected = [method.colour for method in METHODS.values()]
    points = [line for line in axis.lines if line.get_marker() == "o"]
    strokes = [line for line in axis.lines if list(line.get_xdata()) == [0.5, -0.5]]
    for drawn in (points, strokes):
        assert [to_hex(line.get_color()).upper() for line in drawn] == expected
    assert [text.get_text() for text in axis.get_yticklabels()] == [m.label for m in METHODS.values()]
    assert len(set(figures.COLOURS.values())) == len(METHODS) + 2


def test_an_interval_reaches_from_low_to_high(axis):
    figures.intervals(axis, ["anything"], [(1.0, 0.5, 3.0)])
    (bar,) = axis.collections
    assert bar.get_segments()[0].tolist() == [[0.5, 0], [3.0, 0]]
    figures.bars(axis, [7], [(1.0, 0.5, 3.0)])
    assert axis.collections[1].get_segments()[0].tolist() == [[7, 0.5], [7, 3.0]]


def test_series_stand_beside_each_other_on_named_lines(axis):
    nothing = (float("nan"),) * 3
    series = {"one": [(1.0, 0.5, 3.0), nothing], "two": [nothing, (2.0, 1.0, 4.0)]}
    figures.forest(axis, ["a", "b"], series, {"one": "#112233", "two": "#445566"})
    assert [text.get_text() for text in axis.get_yticklabels()] == ["a", "b"]
    first, second = axis.containers
    assert first.lines[0].get_ydata().tolist() == pytest.approx([-0.11, 0.89])
    assert second.lines[0].get_xdata()[1] == 2.0 and to_hex(second.lines[0].get_color()) == "#445566"
    assert axis.get_ylim() == (1.5, -0.5)


def test_a_legend_stands_above_with_the_labels_of_one_panel(axis):
    axis.plot([0], [0], label="a point")
    figures.legend_above(axis, 1)
    (legend,) = axis.get_figure().legends
    assert [text.get_text() for text in legend.get_texts()] == ["a point"]


def test_a_gallery_has_a_row_for_each_entry_and_its_pictures_clipped():
    x = torch.tensor([-9.0, 0.0, 9.0]).reshape(3, 1, 1, 1).expand(3, 3, 4, 4)
    figure = figures.gallery(figures.labelled({"dps": x, "face": x[:1]}), ["a", "b", "c"])
    first, second = figure.axes[:3], figure.axes[3:]
    assert [axis.get_title() for axis in first] == ["a", "b", "c"]
    assert (first[0].texts[0].get_text(), second[0].texts[0].get_text()) == ("DPS", "face")
    assert [int(axis.images[0].get_array()[0, 0, 0]) for axis in first] == [0, 128, 255]
    assert [len(axis.images) for axis in second] == [1, 0, 0]
    assert figure.number not in plt.get_fignums()


def test_small_things_are_stretched_to_the_range():
    x = torch.tensor([0.0, 0.01, -0.02])
    assert torch.equal(figures.stretched(x), torch.tensor([0.0, 0.5, -1.0]))


def test_an_interval_is_never_broken_over_two_lines():
    text = tables.table(["", "mean"], [["a", "1.0 [0.9, 1.1]"]]).data
    assert text.splitlines() == ["|  | mean |", "| --- | --: |", "| a | 1.0 [0.9,&nbsp;1.1] |"]
    assert ", " not in tables.summary(rows()).data


def test_a_summary_has_its_caption_above_and_the_seconds_where_wanted():
    caption, blank, head, *_ = tables.summary(rows(), "t = 100, k = 50").data.splitlines()
    assert (caption, blank) == ("t = 100, k = 50", "")
    assert [cell.strip() for cell in head.split("|")] == ["", "", "pSNR (dB)", "LPIPS", ""]
    assert "seconds" in tables.summary(rows(), seconds=True).data.splitlines()[0]


def test_a_comparison_in_short_is_its_word_and_its_means():
    gaps = {
        "psnr": Gap("hybrid", "dps", "psnr", (-0.5, -0.6, -0.7)),
        "lpips": Gap("hybrid", "dps", "lpips", (0.001, 0.001, 0.001)),
    }
    assert tables.in_short(gaps) == "worse: -0.60, +0.001"


def test_texts_are_kept_under_their_names_and_not_shown(monkeypatch):
    kept = []
    monkeypatch.setattr(page, "glue", lambda *given, display: kept.append((*given, display)))
    page.glued(faces=20, verdict="worse")
    assert kept == [("faces", "20", False), ("verdict", "worse", False)]


def test_a_file_of_another_prior_is_named(monkeypatch):
    shown, pipe = [], page.prepare("faces64", "cpu")
    monkeypatch.setattr(tables, "display", lambda text: shown.append(text.data))
    tables.of_another_prior(pipe, "switches", "seeds")
    assert shown == []
    monkeypatch.setattr(pipe, "digest", lambda: "another")
    tables.of_another_prior(pipe, "switches", "seeds")
    assert shown == ["Measured with another prior: switches, seeds."]


def test_a_mean_is_stated_with_its_interval_and_never_guessed():
    some = Rows(rows())
    assert tables.stated(some, "dps", "psnr") == statistics.with_interval(statistics.interval([20, 21, 22]))
    some.rows[0]["psnr"] = None
    assert tables.stated(some, "dps", "psnr") == "not measured"


def test_a_prior_is_prepared_on_its_device():
    pipe = page.prepare("faces64", "cpu")
    assert pipe.device == torch.device("cpu") and pipe.image_shape == (3, 64, 64)
    assert pipe.progress_bar(total=3).disable
    assert plt.rcParams["figure.dpi"] == 110


def test_noise_is_one_start_and_one_draw_a_step_from_the_seed():
    noises = page.noises(torch.zeros(2, 3, 4, 4), 5, seed=3)
    assert [x.shape for x in noises] == [(2, 3, 4, 4)] * 6
    assert all(map(torch.equal, noises, page.noises(torch.zeros(2, 3, 4, 4), 5, seed=3)))
    generator = torch.Generator().manual_seed(3)
    assert torch.equal(noises[0], torch.randn(2, 3, 4, 4, generator=generator))
    assert torch.equal(noises[1], torch.randn(2, 3, 4, 4, generator=generator))


def test_a_smooth_fill_changes_hidden_pixels_only():
    x = images.shipped("faces", size=16, limit=2)
    seen = torch.ones(16, 16)
    seen[4:12, 4:12] = 0
    gone = torch.where(seen == 0, 0.0, x)
    filled = page.smooth_fill(gone, seen)
    assert filled.shape == x.shape and filled.dtype == x.dtype and filled.isfinite().all()
    assert torch.equal(filled[..., seen != 0], x[..., seen != 0])
    assert not torch.equal(filled[..., seen == 0], gone[..., seen == 0])


def test_a_plane_is_filled_without_a_trace():
    plane = torch.linspace(-0.5, 0.5, 16).expand(1, 3, 16, 16).double()
    seen = torch.ones(16, 16, dtype=torch.bool)
    seen[6:10, 6:10] = False
    assert torch.allclose(page.smooth_fill(torch.where(seen, plane, 0), seen), plane, atol=1e-6)


def test_what_is_restored_by_other_means_is_compared_with_the_methods():
    named = images.named("faces", limit=2)
    truth = torch.stack(list(named.values()))
    rows = page.rate(named, "perfect", truth) + page.rate(named, "grey", torch.zeros_like(truth))
    assert [row["image"] for row in rows] == [*named] * 2
    assert rows.rows[0]["picture"] == images.digest(truth[0]) and {*METRICS} < {*rows.rows[0]}
    assert rows.values("grey", "psnr") == metrics.psnr(torch.zeros_like(truth), truth).tolist()
    assert rows.gap("perfect", "grey", "psnr").differences == (float("inf"),) * 2
