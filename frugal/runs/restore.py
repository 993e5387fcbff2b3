"""From pictures to rows: measure, restore and judge."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, replace

import torch

from .. import images
from ..metrics import quality
from ..pipeline import RestorationPipeline
from ..results.rows import Rows
from ..samplers import METHODS, POSTER
from ..settings import Complete, Settings
from .chains import Chain, Name, chains_of, measure


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
    chains = chains_of(pipe, x0, task, sigma, {method: (method, done)})[method]
    return judged(chains, x0, task, method, sigma, done)


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
    chains = chains_of(pipe, x0, task, sigma, {method: (method, done)}, with_guesses=True)[method]
    return torch.stack([c["guesses"] for c in chains], 1), torch.stack([c["x0"] for c in chains])


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
    x0 = torch.stack(list(named.values()))
    measured = {"measured": measure(x0, task, sigma, settings.seed).preview().expand_as(x0)}
    asked = {method: (method, settings) for method in methods}
    rows, restored = together(pipe, named, task, sigma, asked, batch_size)
    return rows, measured | restored


def sweep(
    pipe: RestorationPipeline,
    named: dict[str, torch.Tensor],
    task: str,
    sigma: float,
    settings: Settings,
    switches: Sequence[int],
    batch_size: int | None = None,
) -> tuple[Rows, dict[int, torch.Tensor]]:
    """The hybrid at every switch k in ``switches``, as ``compare`` has it.

    Returns the rows, k by k, and {k: restored (B, C, H, W)}. Where ``settings`` have a zeta, all k share DPS's path.
    """
    asked = {k: ("hybrid", replace(settings, switch=k)) for k in switches}
    return together(pipe, named, task, sigma, asked, batch_size)


def together(
    pipe: RestorationPipeline,
    named: dict[str, torch.Tensor],
    task: str,
    sigma: float,
    asked: Mapping[Name, tuple[str, Settings]],
    batch_size: int | None = None,
) -> tuple[Rows, dict[Name, torch.Tensor]]:
    """Restore every picture of ``named`` in every way ``asked``, {name: (method, settings)}, batch by batch.

    Returns the rows, way by way, and {name: restored (B, C, H, W)}.
    """
    names, x0 = list(named), torch.stack(list(named.values()))
    done = {name: (method, pipe.complete(own, method, task)) for name, (method, own) in asked.items()}
    rows: dict[Name, list[dict]] = {name: [] for name in asked}
    restored: dict[Name, list[torch.Tensor]] = {name: [] for name in asked}
    warm_up(pipe, task, {method for method, _ in asked.values()})
    for batch in torch.arange(len(x0)).split(batch_size or at_once(pipe)):
        for name, found in chains_of(pipe, x0[batch], task, sigma, done).items():
            some, out = judged(found, x0[batch], task, done[name][0], sigma, done[name][1])
            rows[name] += [{"image": names[i], **row} for i, row in zip(batch.tolist(), some)]
            restored[name].append(out)
    return Rows(sum(rows.values(), [])), {name: torch.cat(x) for name, x in restored.items()}


def at_once(pipe: RestorationPipeline) -> int:
    """How many pictures are restored together: 10 of 64 x 64, fewer in proportion where they are larger."""
    return max(1, 10 * 64**2 // pipe.size**2)


def warm_up(pipe: RestorationPipeline, task: str, methods: Collection[str]) -> None:
    """One short restoration by each method, so that the first picture's time holds no set-up."""
    for method in methods:
        restore(pipe, torch.zeros(1, *pipe.image_shape), task, method, 0.0, Settings(steps=2))
