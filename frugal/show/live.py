"""Experiments that run in a page, for readers without Python: page 05's, and what those of ``book/_static/live`` are told."""

import json
from html import escape
from pathlib import Path

import torch
from IPython.display import HTML

from ..laboratory.mixtures import GaussianMixture
from ..schedule import Schedule
from .players import figure

FORMULAS, PAGE = (Path(__file__).with_name(name).read_text() for name in ("moons.js", "moons_page.js"))
SLIDERS = (  # name in the script, what is shown, least, largest, step
    ("y", "measured, y", -1.0, 1.0, 0.05),
    ("sigma", "noise, σ", 0.02, 0.3, 0.01),
    ("last", "DMPS steps, k", 0, None, 1),
    ("zeta", "step of DPS, ζ", 0.0, 1.0, 0.05),
)


def moons(
    mixture: GaussianMixture, schedule: Schedule, start: dict[str, float], outline: torch.Tensor, caption: str
) -> HTML:
    """Sliders, the plane with the points where the samplers land, and how many land where.

    mixture   the prior, components of the upper moon first
    start     the sliders' values at the beginning: y, sigma, last (the k), zeta
    outline   (n, 2), points of the upper moon's line; the lower moon is minus the upper
    caption   the text below

    Returns ``IPython.display.HTML``. Where no script may run it says so.
    """
    a, b, d = (mixture.covariances[:, i, j].tolist() for i, j in ((0, 0), (0, 1), (1, 1)))
    given = {
        "mixture": {
            "weights": mixture.weights.tolist(),
            "means": mixture.means.tolist(),
            "covariances": list(zip(a, b, d)),
        },
        "schedule": {"alpha_bar": schedule.alpha_bar},
        "outline": [[round(v, 4) for v in point] for point in outline.tolist()],
    }
    bars = "".join(
        f"<label><span>{escape(shown)}</span>"
        f'<input type="range" name="{name}" min="{least}" max="{schedule.t if most is None else most}" '
        f'step="{step}" value="{start[name]}"><output>{start[name]}</output></label>'
        for name, shown, least, most, step in SLIDERS
    )
    plane = '<div class="frugal-plane"><p>Where scripts run, the experiment stands here.</p></div>'
    inside = f'{plane}{bars}<p class="frugal-told" role="status"></p>'
    return HTML(
        figure("frugal-live frugal-player", inside, caption)
        + f"<script>{{{FORMULAS}\n{PAGE}\nfrugalMoonsPage(document.currentScript.previousElementSibling, "
        f"frugalMoons, {json.dumps(given)});}}</script>"
    )


def told(experiment: str, data: object) -> HTML:
    """What an experiment of ``book/_static/live/experiments.js`` is told by the page, as JSON; shows nothing."""
    text = json.dumps(data).replace("<", "\\u003c")
    return HTML(f'<script type="application/json" data-for="{escape(experiment)}">{text}</script>')
