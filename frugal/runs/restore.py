"""From pictures to rows: measure, restore and judge, with noise that belongs to the picture."""

import hashlib
import time
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import torch

from .. import images
from ..measurement import Measurement
from ..metrics import quality
from ..operators import make
from ..pipeline import RestorationPipeline
from ..results.rows import Rows
from ..samplers import METHODS, POSTER
from ..settings import Complete, Settings
from . import kept
from .kept import Chain


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
    where the weights of one are not available; ``seconds``, wall time of the batch over its B pictures, when it
    was computed; ``nfe``, network calls, and ``backprops``, those that were back-propagated; ``switch``, those
    that were not.
    """
    done = pipe.complete(settings, method, task)
    return judged(chains_of(pipe, x0, task, method, sigma, done), x0, task, method, sigma, done)


def judged(
    chains: list[Chain], x0: torch.Tensor, task: str, method: str, sigma: float, done: Complete
) -> tuple[list[dict], torch.Tensor]:
    """The rows and the restored pictures of ``restore``, from the chain of each picture."""
    restored = torch.stack([chain["x0"] for chain in chains])
    scores = scored(restored, x0)
    cost = [METHODS[method].divided(int(chain["passes"]), done.steps) for chain in chains]
    rows = [
        {
            "picture": images.digest(x),
            "task": task,
            "method": method,
            "sigma": sigma,
            **asdict(done),
            "seconds": chain["seconds"].item(),
            "nfe": cost[i][0],
            **{name: values[i] for name, values in scores.items()},
            "backprops": cost[i][1],
            "switch": done.steps - cost[i][1],
        }
        for i, (x, chain) in enumerate(zip(x0, chains))
    ]
    return rows, restored


def scored(restored: torch.Tensor, x0: torch.Tensor) -> dict[str, list[float] | list[None]]:
    """``metrics.quality`` of pictures (B, C, H, W) with C = 1 or 3; LPIPS knows no grey ones."""
    return quality(restored.expand(-1, 3, -1, -1), x0.expand(-1, 3, -1, -1))


def guesses(
    pipe: RestorationPipeline,
    x0: torch.Tensor,
    task: str,
    method: str,
    sigma: float,
    settings: Settings = Settings(),
) -> tuple[torch.Tensor, torch.Tensor]:
    """What ``restore`` goes through: the guesses at k = t, ..., 1, (t, B, C, H, W), and the restored pictures."""
    done = pipe.complete(settings, method, task)
    chains = chains_of(pipe, x0, task, method, sigma, done, with_guesses=True)
    return torch.stack([c["guesses"] for c in chains], 1), torch.stack([c["x0"] for c in chains])


def chains_of(
    pipe: RestorationPipeline,
    x0: torch.Tensor,
    task: str,
    method: str,
    sigma: float,
    done: Complete,
    with_guesses: bool = False,
) -> list[Chain]:
    """The chain of each picture: those that are kept are read, see ``kept``, the others computed together.

    A chain has "x0" (C, H, W), "passes" and "seconds", and "guesses" (t, C, H, W) where these are wanted.
    """
    m, shared = measure(x0, task, sigma, done.seed), kept.common(pipe)
    ends, paths = (kept.file_of(shared, m, method, done, x0, what) for what in ("end", "guesses"))
    files = paths if with_guesses else ends
    chains = [kept.find(file) for file in files]
    if missing := [i for i, chain in enumerate(chains) if chain is None]:
        guesses, noise = [], generators(done.seed, x0[missing], "sampler")
        start = time.perf_counter()
        for end in pipe.walk(m[torch.tensor(missing)], method, done, noise):
            if with_guesses:
                guesses.append(end.x0_hat.cpu())
        restored = end.x.cpu()
        seconds = torch.tensor((time.perf_counter() - start) / len(missing), dtype=torch.float64)
        for at, i in enumerate(missing):
            chain = {"x0": restored[at], "passes": end.passes[at], "seconds": seconds}
            kept.keep(ends[i], chain)
            if with_guesses:
                chain = {**chain, "guesses": torch.stack([x0_hat[at] for x0_hat in guesses])}
                kept.keep(paths[i], chain)
            chains[i] = chain
    return [chain for chain in chains if chain is not None]


def compare(
    pipe: RestorationPipeline,
    named: dict[str, torch.Tensor],
    task: str,
    sigma: float,
    settings: Settings = Settings(),
    methods: Sequence[str] = POSTER,
    batch_size: int | None = None,
) -> tuple[Rows, dict[str, torch.Tensor]]:
    """Restore every picture of ``named``, {name: (C, H, W)}, with every method, ``at_once`` together by default.

    Returns the rows, with "image", and {"measured": previews, method: restored}, each (B, C, H, W).
    """
    names, x0 = list(named), torch.stack(list(named.values()))
    restored = {"measured": measure(x0, task, sigma, settings.seed).preview().expand_as(x0)}
    rows: list[Any] = []
    warm_up(pipe, task, methods)
    for method in methods:
        pictures = []
        for batch in torch.arange(len(x0)).split(batch_size or at_once(pipe)):
            some, out = restore(pipe, x0[batch], task, method, sigma, settings)
            rows += [{"image": names[i], **row} for i, row in zip(batch.tolist(), some)]
            pictures.append(out)
        restored[method] = torch.cat(pictures)
    return Rows(rows), restored


def at_once(pipe: RestorationPipeline) -> int:
    """How many pictures are restored together: 10 of 64 x 64, fewer in proportion where they are larger."""
    return max(1, 10 * 64**2 // pipe.size**2)


def warm_up(pipe: RestorationPipeline, task: str, methods: Sequence[str]) -> None:
    """One short restoration by each method, so that the first picture's time holds no set-up."""
    for method in methods:
        restore(pipe, torch.zeros(1, *pipe.image_shape), task, method, 0.0, Settings(steps=2))
