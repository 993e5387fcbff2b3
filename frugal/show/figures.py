"""Figures in one style: fixed size, colour-blind-safe, pictures always on the same range."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ..images import to_uint8
from ..results.statistics import Interval
from ..samplers import METHODS, POSTER

# A method keeps its colour through the whole book.
COLOURS = {name: method.colour for name, method in METHODS.items()} | {"truth": "#000000", "other": "#CC79A7"}
LABELS = {name: method.label for name, method in METHODS.items()}


def use_style() -> None:
    """Set the book's matplotlib defaults."""
    plt.rcParams.update(
        {
            "figure.figsize": (7, 3.5),
            "figure.dpi": 110,
            "savefig.dpi": 110,
            "figure.constrained_layout.use": True,
            "font.size": 10,
            "axes.spines.top": False,
            "axes.spines.right": False,
            "axes.grid": True,
            "grid.alpha": 0.25,
            "lines.linewidth": 1.8,
            "axes.prop_cycle": plt.cycler(color=[COLOURS[name] for name in (*POSTER, "truth", "other")]),
        }
    )


def labelled(pictures: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The same pictures, with a method's label where the key is its name: the rows of a ``gallery``."""
    return {LABELS.get(name, name): x for name, x in pictures.items()}


def gallery(
    rows: Mapping[str, torch.Tensor], titles: Iterable[str] | None = None, scale: float = 1.1
) -> Figure:
    """Pictures in a grid: one row for each entry of ``rows``, {label: (B, C, H, W) in [-1, 1]}.

    Every picture is drawn on the same range, [-1, 1], and values outside are clipped.
    ``titles`` stand above the B columns; ``scale`` is the side of a picture in inches. The figure is closed
    for pyplot, so a page shows it once, as the value of its cell.
    """
    columns = max(len(x) for x in rows.values())
    figure, axes = plt.subplots(
        len(rows), columns, figsize=(scale * columns + 0.9, scale * len(rows) + 0.2), squeeze=False
    )
    for line, (label, pictures) in zip(axes, rows.items()):
        for axis in line:
            axis.axis("off")
        for axis, picture in zip(line, to_uint8(pictures)):
            axis.imshow(
                np.repeat(picture, 3, -1) if picture.shape[-1] == 1 else picture, interpolation="nearest"
            )
        line[0].text(-0.08, 0.5, label, transform=line[0].transAxes, ha="right", va="center", fontsize=9)
    for axis, title in zip(axes[0], titles or []):
        axis.set_title(title, fontsize=9)
    plt.close(figure)
    return figure


def stages(panels: Mapping[str, torch.Tensor], label: str = "", scale: float = 1.7) -> Figure:
    """One row, {title: (B, C, H, W) in [-1, 1]}: the first picture of each, with ``label`` before them."""
    row = torch.cat([pictures.detach()[:1].cpu() for pictures in panels.values()])
    return gallery({label: row}, panels, scale)


def legend_above(axis: Axes, columns: int) -> None:
    """The legend of one panel, above all panels of its figure."""
    handles, labels = axis.get_legend_handles_labels()
    axis.figure.legend(handles, labels, loc="outside upper center", ncols=columns)


def stretched(x: torch.Tensor) -> torch.Tensor:
    """Scaled until the largest entry is 1 or -1, so that small things show; zero stays grey."""
    return x / x.abs().max()


def arrows(
    axis: Axes, tails: torch.Tensor, moves: torch.Tensor, scale: float = 1, width: float = 0.004, **style: Any
) -> None:
    """Arrows in the plane from ``tails`` along ``moves``, both (B, 2), ``scale`` times shorter than these."""
    units = {"angles": "xy", "scale_units": "xy", "scale": scale, "width": width}
    axis.quiver(*tails.T, *moves.T, **units, **style)


def bars(axis: Axes, positions: Sequence[float], triples: Sequence[Interval], **style: Any) -> None:
    """Points at ``positions`` with 95 % intervals; ``triples`` are (mean, low, high)."""
    mean, low, high = np.transpose(triples)
    axis.errorbar(positions, mean, [mean - low, high - mean], capsize=3, **style)


def intervals(
    axis: Axes,
    names: Iterable[str],
    triples: Iterable[Interval],
    reference: float | None = None,
    strokes: Iterable[Sequence[float]] = (),
) -> None:
    """Horizontal points with 95 % intervals, the first name on top; a method has its colour and label.

    triples    (mean, low, high), one for each name
    reference  where a dashed line stands
    strokes    numbers for each name, drawn below its point, such as the differences that it is the mean of
    """
    names = list(names)
    colours = [COLOURS.get(name, COLOURS["truth"]) for name in names]
    for i, ((mean, low, high), colour) in enumerate(zip(triples, colours)):
        axis.errorbar(mean, i, xerr=[[mean - low], [high - mean]], fmt="o", capsize=3, color=colour)
    for i, (numbers, colour) in enumerate(zip(strokes, colours)):
        axis.plot(numbers, [i + 0.25] * len(numbers), "|", color=colour)
    axis.set_yticks(range(len(names)), [LABELS.get(name, name) for name in names])
    axis.set_ylim(len(names) - 0.5, -0.5)
    axis.locator_params(axis="x", nbins=5)
    if reference is not None:
        axis.axvline(reference, color="0.4", linewidth=1, linestyle="--")


def forest(
    axis: Axes,
    names: Sequence[str],
    series: Mapping[str, Sequence[Interval]],
    colours: Mapping[str, str] = COLOURS,
) -> None:
    """Lines named ``names``, the first on top, with a point and 95 % interval of each series on every line.

    series   {label: (mean, low, high) for each name}; nan where a series has none there
    colours  {label: colour}; a method has its own, and its label
    """
    for i, (label, triples) in enumerate(series.items()):
        shift = 0.22 * (i - (len(series) - 1) / 2)
        mean, low, high = np.transpose(triples)
        places, reach = np.arange(len(names)) + shift, [mean - low, high - mean]
        style = {"fmt": "o", "capsize": 2, "markersize": 4, "color": colours[label]}
        axis.errorbar(mean, places, xerr=reach, label=LABELS.get(label, label), **style)
    axis.set_yticks(range(len(names)), names)
    axis.set_ylim(len(names) - 0.5, -0.5)
    axis.locator_params(axis="x", nbins=5)
