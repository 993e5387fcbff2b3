"""Pictures to play with on a page: a boundary between two, and a replay of stored frames.

Each player is one piece of HTML with its pictures inside: it fetches nothing, and moves in the book,
from a file and in Jupyter alike. Where no script may run it shows both halves, or the last frame.
"""

import base64
import io
import json
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path

import numpy as np
import torch
from IPython.display import HTML
from PIL import Image

from ..base.checks import Refusal
from ..images import to_uint8

STYLE = Path(__file__).with_name("figures.css").read_text()
MOVE = "const f=this.closest('figure');f.style.setProperty('--at',this.value)"
SPEAK = (
    ";const now=JSON.parse(this.dataset.labels)[this.value];this.setAttribute('aria-valuetext',now)"
    ";f.querySelector('.frugal-now').textContent=now"
)
SHARE = ";this.setAttribute('aria-valuetext','boundary at '+this.value+' per cent of the width')"
PLAY = (  # pressed again it pauses, and so does a hand on the slider
    "const b=this,r=b.nextElementSibling,stop=()=>{clearInterval(b.clock);b.clock=0;b.textContent='Play'}"
    ";if(b.clock)return stop();if(r.value==r.max){r.value=0;r.oninput()}"
    "b.textContent='Pause';r.onpointerdown=r.onkeydown=stop"
    ";b.clock=setInterval(()=>{r.value++;r.oninput();if(r.value==r.max)stop()},250)"
)
DRAG = (  # on a picture itself
    "const p=event.target.closest('.frugal-pair'),r=this.closest('figure').querySelector('input')"
    ";if(p&&event.buttons&1){const b=p.getBoundingClientRect()"
    ";r.value=100*(event.clientX-b.left)/b.width;r.oninput()}"
)


def before_after(
    before: torch.Tensor, after: torch.Tensor, labels: tuple[str, str], names: Sequence[str], caption: str
) -> HTML:
    """Pictures one over the other, and a slider that moves the boundary in all of them.

    before, after  (B, C, H, W) in [-1, 1], C = 1 or 3; values outside the range are clipped
    labels         what they are: (left of the boundary, right of it)
    names          what each of the B pictures shows, for those who cannot see it
    caption        the text below

    Returns ``IPython.display.HTML``. Raises Refusal for shapes or counts that do not fit.
    """
    check("before, after", [tuple(before.shape), tuple(after.shape)])
    if len(names) != len(before):
        raise Refusal(f"names: {len(before)} pictures need as many names, got {len(names)}")
    left, right = labels
    pairs = [
        f'<div class="frugal-pair">{img(a[None], f"{name}, {left}")}{img(b[None], f"{name}, {right}")}</div>'
        for a, b, name in zip(before, after, names)
    ]
    bar = (
        f"<span>← {escape(left)}</span>"
        + slider(100, 50, f"boundary: {left} on its left, {right} on its right", MOVE + SHARE)
        + f"<span>{escape(right)} →</span>"
    )
    drag = f' onpointerdown="{escape(DRAG)}" onpointermove="{escape(DRAG)}" ondragstart="return false"'
    return player(before.shape, {"--at": 50}, pairs, bar, caption, drag)


def replay(frames: Mapping[str, torch.Tensor], labels: Sequence[str], alt: str, caption: str) -> HTML:
    """Frames of one or several films side by side, a slider that runs through them, and a play button.

    frames   {name: (T, C, H, W) in [-1, 1]}, T >= 2 and C = 1 or 3; values outside are clipped
    labels   T texts, one for each moment, such as "k = 37"
    alt      what the films show, for those who cannot see it
    caption  the text below

    Returns ``IPython.display.HTML``. Raises Refusal for films of different shapes, or too few
    frames or labels.
    """
    check("frames", [tuple(film.shape) for film in frames.values()])
    shape = next(iter(frames.values())).shape
    if len(labels) != shape[0] or shape[0] < 2:
        raise Refusal(
            f"labels: one for each frame and at least two are needed, got {len(labels)} for {shape[0]} frames"
        )
    films = [
        f'<div class="frugal-film">{img(film, f"{alt}, {name}")}<span>{escape(name)}</span></div>'
        for name, film in frames.items()
    ]
    last = len(labels) - 1
    spoken = f' aria-valuetext="{escape(labels[-1])}" data-labels="{escape(json.dumps(labels))}"'
    bar = (
        f'<button type="button" onclick="{escape(PLAY)}">Play</button>'
        + slider(last, last, "frame", MOVE + SPEAK, spoken)
        + f'<span class="frugal-now">{escape(labels[-1])}</span>'
    )
    return player(shape, {"--at": last, "--last": last}, films, bar, caption)


def check(name: str, shapes: Sequence[Sequence[int]]) -> None:
    """Raise Refusal unless the shapes are one and the same (number, 1 or 3, H, W)."""
    if len(set(shapes)) != 1 or len(shapes[0]) != 4 or shapes[0][1] not in (1, 3):
        got = ", ".join(map(str, shapes)) or "none"
        raise Refusal(f"{name}: pictures of one shape (number, 1 or 3, H, W) are needed, got {got}")


def img(x: torch.Tensor, alt: str) -> str:
    """Pictures (T, C, H, W), one below the other, as one PNG inside an <img>."""
    file = io.BytesIO()
    Image.fromarray(np.concatenate(to_uint8(x.expand(-1, 3, -1, -1)))).save(file, "PNG", optimize=True)
    return (
        f'<img alt="{escape(alt)}" src="data:image/png;base64,{base64.b64encode(file.getvalue()).decode()}">'
    )


def slider(last: int, value: int, label: str, script: str, more: str = "") -> str:
    """A native range input from 0 to ``last``, so that arrow keys and screen readers work.

    ``script`` runs when it moves; ``more`` are further attributes.
    """
    return (
        f'<input type="range" min="0" max="{last}" value="{value}" aria-label="{escape(label)}"{more} '
        f'oninput="{escape(script)}">'
    )


def player(
    shape: Sequence[int],
    variables: Mapping[str, float],
    pictures: Sequence[str],
    bar: str,
    caption: str,
    attributes: str = "",
) -> HTML:
    """The whole figure; pictures are enlarged by a whole number, to at most 192 pixels and four in a row.

    ``attributes`` are those of the row of pictures.
    """
    height, width = shape[-2:]
    room = min(192, 660 // min(4, len(pictures)) - 8)  # of the 660 pixels of a page's column
    on_a_phone = 3 if len(pictures) % 3 == 0 else 2  # in a row
    fixed = {
        "--width": f"{width * max(1, room // width)}px",
        "--ratio": width / height,
        "--row": on_a_phone,
    }
    style = ";".join(f"{name}:{value}" for name, value in {**fixed, **variables}.items())
    inside = (
        f'<div class="frugal-row"{attributes}>{"".join(pictures)}</div><div class="frugal-bar">{bar}</div>'
    )
    return HTML(figure("frugal-player", inside, caption, f' style="{style}"'))


def figure(kind: str, inside: str, caption: str, attributes: str = "") -> str:
    """A figure of a class of ``figures.css``, which comes with it, and the caption below."""
    return (
        f'<style>{STYLE}</style><figure class="{kind}"{attributes}>{inside}'
        f"<figcaption>{escape(caption)}</figcaption></figure>"
    )
