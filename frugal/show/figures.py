"""Figures in one style: fixed size, colour-blind-safe, pictures always on the same range."""

import matplotlib.pyplot as plt
import numpy as np
import torch
from IPython.display import Markdown

from ..images import to_uint8

# Okabe & Ito's palette; a method keeps its colour through the whole book.
COLOURS = {"dps": "#0072B2", "dmps": "#D55E00", "hybrid": "#009E73", "truth": "#000000", "other": "#CC79A7"}
LABELS = {"dps": "DPS", "dmps": "DMPS", "hybrid": "hybrid"}


def use_style():
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
            "axes.prop_cycle": plt.cycler(color=list(COLOURS.values())),
        }
    )


def gallery(rows, titles=None, scale=1.1):
    """Pictures in a grid: one row for each entry of ``rows``, {label: (B, C, H, W) in [-1, 1]}.

    Every picture is drawn on the same range, [-1, 1], and values outside are clipped.
    ``titles`` stand above the B columns. Returns the figure.
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
    return figure


def stages(panels, label="", scale=1.7):
    """One row, {title: (B, C, H, W)}: the first picture of each, with ``label`` before them."""
    row = torch.cat([pictures.detach()[:1].cpu() for pictures in panels.values()])
    return gallery({label: row}, panels, scale)


def stretched(x):
    """Scaled until the largest entry is 1 or -1, so that small things show; zero stays grey."""
    return x / x.abs().max()


def arrows(axis, tails, moves, scale=1, width=0.004, **style):
    """Arrows in the plane from ``tails`` along ``moves``, both (B, 2), ``scale`` times shorter than these."""
    units = {"angles": "xy", "scale_units": "xy", "scale": scale, "width": width}
    axis.quiver(*tails.T, *moves.T, **units, **style)


def bars(axis, positions, triples, **style):
    """Points at ``positions`` with 95 % intervals; ``triples`` are (mean, low, high)."""
    mean, low, high = np.transpose(triples)
    axis.errorbar(positions, mean, [mean - low, high - mean], capsize=3, **style)


def intervals(axis, names, triples, reference=None):
    """Horizontal points with 95 % intervals: ``triples`` are (mean, low, high), one for each name."""
    for i, (name, (mean, low, high)) in enumerate(zip(names, triples)):
        axis.errorbar(
            mean,
            i,
            xerr=[[mean - low], [high - mean]],
            fmt="o",
            capsize=3,
            color=COLOURS.get(name, COLOURS["truth"]),
        )
    axis.set_yticks(range(len(names)), [LABELS.get(n, n) for n in names])
    axis.set_ylim(len(names) - 0.5, -0.5)  # the first name on top
    axis.locator_params(axis="x", nbins=5)
    if reference is not None:
        axis.axvline(reference, color="0.4", linewidth=1, linestyle="--")


def table(columns, rows):
    """A Markdown table for the page: names above, and under them the rows, text first and numbers after."""
    lines = [columns, ["---"] + ["--:"] * (len(columns) - 1), *rows]
    text = "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines)
    return Markdown(text.replace(", ", ",&nbsp;"))  # an interval stays on one line
