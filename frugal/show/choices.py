"""A ranking to choose from: menus pick one of several tables, with bars and pictures, that lie in the page.

One piece of HTML that fetches nothing and works from a file and by keyboard, as ``players`` does. Where no script
may run, the first table is shown.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape

import torch
from IPython.display import HTML

from ..base.checks import Refusal
from .players import figure, img

CHOOSE = (
    "const f=this.closest('figure'),at=[...f.querySelectorAll('select')].map(s=>s.value).join('|');"
    "let found=false;f.querySelectorAll('[data-at]').forEach(p=>{p.hidden=p.dataset.at!==at;"
    "found=found||!p.hidden});f.querySelector('[data-none]').hidden=found"
)
BAR = 90  # pixels of the longest


@dataclass(frozen=True)
class Line:
    """A line of a ranking: name, colour, numbers, and a picture (C, H, W) or None."""

    name: str
    colour: str
    numbers: Sequence[float]
    picture: torch.Tensor | None = None


def ranking(heads: Sequence[str], formats: Sequence[str], lines: Sequence[Line]) -> str:
    """A table of ``lines`` in their order: name, then each number with a bar that begins at zero.

    ``heads`` are the names of the numbers and ``formats`` say how they are written, such as ".2f".
    """
    most = [max(line.numbers[i] for line in lines) for i in range(len(heads))]
    pictured = any(line.picture is not None for line in lines)
    first = "<th>restored</th>" if pictured else ""
    text = f"<table><thead><tr>{first}<th>method</th>{''.join(f'<th>{escape(h)}</th>' for h in heads)}</tr></thead><tbody>"
    for line in lines:
        cells = ""
        for value, largest, form in zip(line.numbers, most, formats):
            width = round(BAR * max(value, 0) / max(largest, 1e-12))
            cells += f'<td><i style="width:{width}px"></i>{value:{form}}</td>'
        shown = "" if line.picture is None else img(line.picture[None], f"restored by {line.name}")
        text += f'<tr style="--colour:{line.colour}">'
        text += f"<td>{shown}</td>" if pictured else ""
        text += f"<td>{escape(line.name)}</td>{cells}</tr>"
    return text + "</tbody></table>"


def choices(
    menus: Mapping[str, Sequence[str]], panels: Mapping[tuple[str, ...], str], caption: str, missing: str
) -> HTML:
    """Menus {label: options}, and the panel {one option of each: HTML} of what they choose; ``missing`` where none is.

    Raises Refusal for a panel that no menu leads to, or a first choice without a panel.
    """
    reachable = all(
        len(at) == len(menus) and all(a in options for a, options in zip(at, menus.values())) for at in panels
    )
    first = tuple(options[0] for options in menus.values())
    if not reachable or first not in panels:
        raise Refusal("panels: do not fit the menus; give one for the first options, and none beside them")
    bars = "".join(
        f'<label>{escape(label)} <select onchange="{escape(CHOOSE)}">'
        + "".join(f"<option>{escape(option)}</option>" for option in options)
        + "</select></label>"
        for label, options in menus.items()
    )
    shown = "".join(
        f'<div data-at="{escape("|".join(at))}"{"" if at == first else " hidden"}>{panel}</div>'
        for at, panel in panels.items()
    )
    return HTML(figure("frugal-choices", f"{bars}{shown}<p data-none hidden>{escape(missing)}</p>", caption))
