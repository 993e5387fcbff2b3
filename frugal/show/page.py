"""What pages begin with and share: a prior that is ready, the noise and the record of a run, a fill without a prior."""

from collections.abc import Hashable, Mapping
from functools import partial
from typing import Any

import torch
from myst_nb import glue

from .. import images
from ..base import devices
from ..metrics import quality
from ..operators import make
from ..pipeline import RestorationPipeline
from ..results.claims import TABLE1 as TABLE1
from ..results.rows import Rows
from ..runs import cost
from . import figures


def prepare(prior: str = "faces64", device: str | torch.device = "auto") -> RestorationPipeline:
    """Set the figures' style and load a prior, on its device and without a progress bar.

    On a GPU convolutions have all 32 bits from here on, and give the same each time, for pages compare bit for bit.

    prior   a shipped name, a folder, or a hub id, see ``RestorationPipeline.from_pretrained``
    device  "cpu", "cuda", or "auto", which is the GPU where there is one
    Raises Refusal for a prior or a device that is not there.
    """
    figures.use_style()
    torch.backends.cudnn.allow_tf32, torch.backends.cudnn.deterministic = False, True
    place = devices.choose(device)
    pipe = RestorationPipeline.from_pretrained(prior).to(place)
    pipe.set_progress_bar_config(disable=True)
    return pipe


def super_resolutions(size: int) -> dict[str, str]:
    """The two readings of the poster's super-resolution by 16, for pictures of so many pixels a side.

    "literal" has its factor, "matched" measures 16 x 16 pixels, as the poster's task probably does. At 256
    pixels they are one task.
    """
    return {"literal": "sr16", "matched": f"sr{max(4, size // 16)}"}


def glued(**texts: object) -> None:
    """Keep texts under their names for the prose of this page and others, and show nothing."""
    for name, text in texts.items():
        glue(name, str(text), display=False)


def noises(like: torch.Tensor, steps: int, seed: int) -> list[torch.Tensor]:
    """All noise of a run: the start, then one draw a step, each of the shape and on the device of ``like``.

    They come from one CPU generator, so they are the same on every device. A sampler takes them as
    ``iter(noises(...)).__next__``.
    """
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(like.shape, generator=generator).to(like.device) for _ in range(steps + 1)]


def seconds(
    pipe: RestorationPipeline, task: str, shares: Mapping[Hashable, float], steps: int
) -> dict[Hashable, float]:
    """Seconds that a restoration of one picture in ``steps`` steps takes, by how many of them are DMPS.

    shares  {name: share of the steps that are DMPS}, 0 for DPS and 1 for DMPS
    Each takes 10 steps in turn, three times after a round that warms up, and the median counts: what else the
    machine does falls on all alike.
    """
    few = min(10, steps)
    m = make(task, pipe.image_shape).measure(images.shipped("faces", pipe.size, 1), 0.01)

    def restored(share: float) -> torch.Tensor:
        return pipe(m, "hybrid", few, round(share * few), zeta=1.0, lam=1.0).images

    calls = [partial(restored, share) for share in shares.values()]
    times = cost.median_seconds(*calls, repeats=3)
    return {name: time * steps / few for name, time in zip(shares, times)}


def smooth_fill(x: torch.Tensor, seen: torch.Tensor) -> torch.Tensor:
    """Pictures without a prior: the smoothest surface (biharmonic, scikit-image) that meets the seen pixels.

    x     (B, C, H, W) in [-1, 1]
    seen  (H, W), nonzero where a pixel is known; these are left as they are
    Returns (B, C, H, W) on the CPU, in x's precision.
    """
    from skimage.restoration import inpaint_biharmonic  # slow to import, and most pages do without it

    hidden = (seen == 0).cpu().numpy()
    filled = [torch.from_numpy(inpaint_biharmonic(p, hidden, channel_axis=0)) for p in x.cpu().numpy()]
    return torch.stack(filled).to(x.dtype)


def rate(named: dict[str, torch.Tensor], method: str, restored: torch.Tensor) -> Rows:
    """Rows like those of ``restore.compare`` for pictures that something else restored, such as ``smooth_fill``.

    named     {name: (C, H, W)}, the truth
    method    what to call the restorer
    restored  (B, C, H, W), in the order of ``named``
    A row holds "image", "picture", "method" and every metric.
    """
    scores = quality(restored, torch.stack(list(named.values())))
    rows: list[Any] = []
    for i, (name, x) in enumerate(named.items()):
        own = {key: numbers[i] for key, numbers in scores.items()}
        rows.append({"image": name, "picture": images.digest(x), "method": method, **own})
    return Rows(rows)
