"""From pictures to rows: measure, restore and judge, with noise that belongs to the picture."""

import hashlib
import time
from collections.abc import Sequence
from dataclasses import asdict

import torch

from . import images
from .measurement import Measurement
from .metrics import quality
from .operators import make
from .pipeline import RestorationPipeline
from .samplers import METHODS
from .settings import Settings


def generator(seed: int, picture: str, role: str) -> torch.Generator:
    """A CPU generator for the noise that a picture, named by its digest, gets in a ``role``.

    "measurement" or "sampler". Every method sees the same measurement and the same sampler noise, so
    differences are paired; and they stay the same whatever other pictures lie beside this one.
    """
    number = hashlib.sha256(f"{seed} {picture} {role}".encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(number[:7]))


def generators(seed: int, x0: torch.Tensor, role: str) -> list[torch.Generator]:
    """``generator`` for each of the pictures x0 (B, C, H, W)."""
    return [generator(seed, images.digest(x), role) for x in x0]


def measure(x0: torch.Tensor, task: str, sigma: float, seed: int = 0) -> Measurement:
    """Measurements of pictures x0 (B, C, H, W) by a task's operator, each with its own noise."""
    return make(task, tuple(x0.shape[1:])).measure(x0, sigma, generators(seed, x0, "measurement"))


def restore(
    pipe: RestorationPipeline,
    x0: torch.Tensor,
    task: str,
    method: str,
    sigma: float,
    settings: Settings = Settings(),
) -> tuple[list[dict], torch.Tensor]:
    """Measure and restore pictures x0 (B, C, H, W) together.

    Returns a row for each picture, without its name, and the restored pictures (B, C, H, W) on the CPU.
    A row holds the picture's digest and every setting that made it; the metrics of ``metrics.METRICS``, None
    where the weights of one are not available; ``seconds``, wall time of the batch over its B pictures;
    ``nfe``, network calls, and ``backprops``, those that were back-propagated; ``switch``, those that were not.
    """
    m, done = measure(x0, task, sigma, settings.seed), pipe.complete(settings, method, task)
    noise = generators(settings.seed, x0, "sampler")
    start = time.perf_counter()
    out = pipe(m, method, done.steps, done.switch, done.zeta, done.lam, generator=noise)
    restored = out.images.cpu()
    seconds = (time.perf_counter() - start) / len(x0)
    scores = quality(restored, x0)
    shared = {
        "task": task,
        "method": method,
        "sigma": sigma,
        **asdict(done),
        "seconds": seconds,
        "nfe": out.nfe,
    }
    rows = [
        {
            "picture": images.digest(x),
            **shared,
            **{name: values[i] for name, values in scores.items()},
            "backprops": out.backprops[i],
            "switch": out.switch[i],
        }
        for i, x in enumerate(x0)
    ]
    return rows, restored


def compare(
    pipe: RestorationPipeline,
    named: dict[str, torch.Tensor],
    task: str,
    sigma: float,
    settings: Settings = Settings(),
    methods: Sequence[str] = tuple(METHODS),
    batch_size: int = 10,
) -> tuple[list[dict], dict[str, torch.Tensor]]:
    """Restore every picture of ``named``, {name: (C, H, W)}, with every method.

    Returns the rows, with "image", and {"measured": previews, method: restored}, each (B, C, H, W).
    """
    names, x0 = list(named), torch.stack(list(named.values()))
    restored = {"measured": measure(x0, task, sigma, settings.seed).preview().expand_as(x0)}
    rows: list[dict] = []
    warm_up(pipe, task)
    for method in methods:
        pictures = []
        for batch in torch.arange(len(x0)).split(batch_size):
            some, out = restore(pipe, x0[batch], task, method, sigma, settings)
            rows += [{"image": names[i], **row} for i, row in zip(batch.tolist(), some)]
            pictures.append(out)
        restored[method] = torch.cat(pictures)
    return rows, restored


def warm_up(pipe: RestorationPipeline, task: str) -> None:
    """One short restoration of each kind, so that the first picture's time holds no set-up."""
    for method in METHODS:
        restore(pipe, torch.zeros(1, *pipe.image_shape), task, method, 0.0, Settings(steps=2))
