"""A method is a step, and one loop walks it from pure noise to a picture.

denoise   (x_k, k) -> x0_hat, the network's guess E[x_0 | x_k]; (B, C, H, W) both
schedule  ``schedule.Schedule`` with t steps
m         ``measurement.Measurement``: y (B, *measurement_shape), A and sigma; None for the prior alone
noise     () -> standard normal (B, C, H, W); the first draw starts the walk, the others are its steps'
step      (k, x_k, noise, m) -> ``Stepped``, which has x_{k-1} and the guess made at k
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Any, NamedTuple

import torch

from ..base.checks import Refusal
from ..collapse import THRESHOLD
from ..measurement import Measurement
from ..metrics import psnr
from ..schedule import Schedule


class Stepped(NamedTuple):
    """What a step gives: x_{k-1} and the guess x0_hat made at k, both (B, C, H, W), and the passes through the
    network that it cost each picture: a call is one, its back-propagation another; a number, or (B,)."""

    x: torch.Tensor
    x0_hat: torch.Tensor
    passes: int | torch.Tensor = 1


Denoise = Callable[[torch.Tensor, int], torch.Tensor]
Noise = Callable[[], torch.Tensor]
Step = Callable[[int, torch.Tensor, Noise, Any], Stepped]
When = Callable[[int, Sequence[torch.Tensor]], bool | torch.Tensor]


@dataclass
class State:
    """Where a walk is after its step k.

    k       the step just taken; k - 1 remain
    x       x_{k-1} (B, C, H, W); who looks on may put another in its place, and the walk goes on from that
    x0_hat  the guess made at k, (B, C, H, W)
    passes  through the network so far, for each picture, (B,) whole numbers
    """

    k: int
    x: torch.Tensor
    x0_hat: torch.Tensor
    passes: torch.Tensor


@torch.no_grad()
def walk(
    step: Step,
    schedule: Schedule,
    m: Measurement | None,
    noise: Noise,
    x: torch.Tensor | None = None,
    start: int | None = None,
) -> Iterator[State]:
    """The reverse process: ``step`` at k = t, ..., 1 from pure noise, or from ``x`` at ``start`` on.

    Yields the ``State`` after each step; x of the last one is the restored picture x_0.
    Raises Refusal where that is not finite.
    """
    x = noise() if x is None else x
    passes = torch.zeros(len(x), dtype=torch.long)
    for k in range(schedule.t if start is None else start, 0, -1):
        x, x0_hat, cost = step(k, x, noise, m)
        passes = passes + cost
        if k == 1 and not (x.is_meta or x.isfinite().all()):
            raise Refusal(
                "restoration: ends in numbers that are not finite; give a smaller zeta or lam, or a larger sigma"
            )
        yield (state := State(k, x, x0_hat, passes))
        x = state.x


def last(states: Iterable[State]) -> State:
    """The state at the end of a walk. Raises ValueError for one without steps."""
    end = deque(states, 1)
    if not end:
        raise ValueError("states: a walk without steps has no end")
    return end.pop()


def handover(early: Step, late: Step, when: When) -> Step:
    """The poster's idea (page 07): the step ``early`` until ``when`` says so, from there on ``late``.

    ``when`` is ``at``, ``at_collapse``, or any (k, guesses) -> bool, or (B,) of them, that is asked before step k;
    ``guesses`` are the last two, fewer at the beginning. Each picture goes over by itself, once.
    """
    gone, guesses, before = torch.tensor(False), [], 0

    def step(k: int, x_k: torch.Tensor, noise: Noise, m: Measurement) -> Stepped:
        nonlocal gone, guesses, before
        if k >= before:  # another walk begins
            gone, guesses = torch.tensor(False), []
        gone, before = torch.as_tensor(when(k, guesses)) | gone, k
        taken = {True: late, False: early}
        if gone.all() or not gone.any():
            stepped = taken[bool(gone.any())](k, x_k, noise, m)
        else:
            x, x0_hat, passes = torch.empty_like(x_k), torch.empty_like(x_k), torch.zeros(len(x_k)).long()
            part = shared(noise)
            for those, one in ((~gone, early), (gone, late)):
                i = those.nonzero()[:, 0]
                here = i.to(x_k.device)
                x[here], x0_hat[here], passes[i] = one(k, x_k[here], part(here), m[here])
            stepped = Stepped(x, x0_hat, passes)
        guesses = [*guesses[-1:], stepped.x0_hat]
        return stepped

    return step


def shared(noise: Noise) -> Callable[[torch.Tensor], Noise]:
    """The noise of some pictures of a batch: draw by draw, every part has its pictures' share of the same."""
    drawn: list[torch.Tensor] = []

    def part(i: torch.Tensor) -> Noise:
        number = count()

        def own() -> torch.Tensor:
            if (n := next(number)) == len(drawn):
                drawn.append(noise())
            return drawn[n][i]

        return own

    return part


def at(switch: int) -> When:
    """For ``handover``: the last ``switch`` steps are late."""
    return lambda k, guesses: k <= switch


def at_collapse(threshold: float = THRESHOLD) -> When:
    """For ``handover``: a picture goes over as soon as its last two guesses agree to ``threshold`` dB (Eq. 6a)."""
    return lambda k, guesses: len(guesses) == 2 and (psnr(*guesses) >= threshold).cpu()


def below(level: float, schedule: Schedule) -> When:
    """For ``handover``: where the noise s_k of ``schedule`` is at most ``level``."""
    return lambda k, guesses: schedule.s[k] <= level
