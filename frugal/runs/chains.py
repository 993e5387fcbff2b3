"""The chains that lead from measurements to restorations, with noise that belongs to the picture."""

import hashlib
import time
from collections.abc import Mapping
from dataclasses import replace
from itertools import product
from typing import TypeVar

import torch

from .. import images
from ..measurement import Measurement
from ..operators import make
from ..pipeline import RestorationPipeline
from ..samplers.walk import last
from ..settings import Complete
from . import kept
from .kept import Chain

Name = TypeVar("Name")
Asked = tuple[str, Complete]  # a method and its completed settings


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


def chains_of(
    pipe: RestorationPipeline,
    x0: torch.Tensor,
    task: str,
    sigma: float,
    asked: Mapping[Name, Asked],
    with_guesses: bool = False,
) -> dict[Name, list[Chain]]:
    """The chain of each picture for everything ``asked``, {name: (method, completed settings)}, of one seed.

    Chains that are kept are read, see ``kept``, the others computed together, and so are those that share a path.
    A chain has "x0" (C, H, W), "passes" and "seconds", and "guesses" (t, C, H, W) where these are wanted.
    """
    (seed,) = {done.seed for _, done in asked.values()}
    m, shared = measure(x0, task, sigma, seed), kept.common(pipe)
    file_of = lambda method, done, what: kept.file_of(shared, m, method, done, x0, what)
    ends = {name: file_of(*alone(*one), "end") for name, one in asked.items()}
    # A path is laid beside another step by step, and may not come from another batch, see ``origin``.
    paths = {name: file_of(*one, "guesses") for name, one in asked.items()}
    found = {n: [kept.find(file) for file in (paths if with_guesses else ends)[n]] for n in asked}
    path = {n: n if leaves(*one) is None else ("dps", one[1].steps, one[1].zeta) for n, one in asked.items()}
    todo: dict[tuple[Name, ...], list[int]] = {}  # the pictures by what they lack of one path
    for one, i in product(dict.fromkeys(path.values()), range(len(x0))):
        if names := tuple(n for n in asked if path[n] == one and found[n][i] is None):
            todo.setdefault(names, []).append(i)
    for names, those in todo.items():
        some, ways = torch.tensor(those), {name: asked[name] for name in names}
        for name, new in walked(pipe, m[some], x0[some], ways, with_guesses).items():
            for i, chain in zip(those, new):
                kept.keep(ends[name][i], {key: value for key, value in chain.items() if key != "guesses"})
                if with_guesses:
                    kept.keep(paths[name][i], chain)
                found[name][i] = chain
    return {name: [chain for chain in those if chain] for name, those in found.items()}


def leaves(method: str, done: Complete) -> int | None:
    """The k < t, where it is known, at which a method leaves DPS's path: 0 for DPS; None for one that is not on it."""
    k = {"dps": 0, "hybrid": done.switch}.get(method)
    return k if isinstance(k, int) and k < done.steps else None


def alone(method: str, done: Complete) -> Asked:
    """DPS or DMPS for a hybrid that has no step of the other, else the method itself."""
    if method == "hybrid" and done.switch == 0:
        return "dps", replace(done, switch=None, lam=None)
    if method == "hybrid" and done.switch == done.steps:
        return "dmps", replace(done, switch=None, zeta=None)
    return method, done


def walked(
    pipe: RestorationPipeline,
    m: Measurement,
    x0: torch.Tensor,
    group: Mapping[Name, Asked],
    with_guesses: bool = False,
) -> dict[Name, list[Chain]]:
    """The chains of ``chains_of`` for one method, or for several that share DPS's path.

    The path is walked once, by the one that stays longest; where another leaves it, that goes on with the noise as
    it is there. The seconds of each are those of its own path. Guesses are those of one alone.
    """
    first, *others = sorted(group, key=lambda name: leaves(*group[name]) or 0)
    noise, found, guesses = generators(group[first][1].seed, x0, "sampler"), {}, []
    seconds, start = 0.0, time.perf_counter()
    for state in pipe.walk(m, *group[first], noise):
        if with_guesses:
            guesses.append(state.x0_hat.cpu())
        k, seconds = state.k - 1, seconds + time.perf_counter() - start
        for name in others:
            if leaves(*group[name]) == k:
                start, same = time.perf_counter(), [g.clone_state() for g in noise]
                end = last(pipe.walk(m, *group[name], same, state.x, k)) if k else state
                passes = state.passes + end.passes if k else state.passes
                found[name] = chains(end.x, passes, seconds + time.perf_counter() - start)
        start = time.perf_counter()
    found[first] = chains(state.x, state.passes, seconds)
    for i, chain in enumerate(found[first] if with_guesses else ()):
        chain["guesses"] = torch.stack([x0_hat[i] for x0_hat in guesses])
    return found


def chains(x: torch.Tensor, passes: torch.Tensor, seconds: float) -> list[Chain]:
    """A chain for each picture of a batch."""
    each = torch.tensor(seconds / len(x), dtype=torch.float64)
    return [{"x0": one, "passes": number, "seconds": each} for one, number in zip(x.cpu(), passes)]
