"""One bar over all pages: it counts the seconds they are predicted to take, and learns how fast this machine is."""

import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TextIO

from tqdm import tqdm

TRUST = 4  # seconds of ended cells move the forecast half of the way to the speed of this machine
EVERY = 30  # seconds between two lines where there is no terminal


class Progress:
    """What is left of every page, by ``{page: seconds of its cells}`` in the order in which pages begin."""

    def __init__(
        self,
        predicted: Mapping[str, Sequence[float]],
        processes: int,
        out: TextIO = sys.stderr,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.left = {page: list(seconds) for page, seconds in predicted.items()}
        self.count, self.total = len(predicted), sum(map(sum, predicted.values()))
        self.processes, self.out, self.clock = processes, out, clock
        self.since: dict[str, float] = {}  # when the cell began that a page is at
        self.known = self.took = float(TRUST)  # predicted and measured seconds of the cells that ended
        self.lock, self.said = threading.Lock(), clock()
        form = "{percentage:3.0f}%|{bar:20}| {desc}"
        self.bar = tqdm(total=100, file=out, bar_format=form, disable=None, leave=False)

    def page_begins(self, page: str) -> None:
        with self.lock:
            self.since[page] = self.clock()

    def cell_ends(self, page: str) -> float:
        """The seconds that the cell has taken, the first with its kernel's start."""
        with self.lock:
            now = self.clock()
            seconds, self.since[page] = now - self.since[page], now
            if self.left[page]:
                self.known += self.left[page].pop(0)
                self.took += seconds
            return seconds

    def page_ends(self, page: str) -> None:
        with self.lock:
            del self.since[page], self.left[page]

    def state(self) -> tuple[float, float]:
        """(share of the whole that is done, seconds until the last page ends)."""
        pace = self.took / self.known
        rest = {page: sum(cells) for page, cells in self.left.items()}
        for page, since in self.since.items():
            rest[page] -= min((self.clock() - since) / pace, *self.left[page][:1], rest[page])
        cores = [0.0] * self.processes
        for page in sorted(rest, key=lambda page: page not in self.since):  # those that run, then the next
            cores[cores.index(min(cores))] += rest[page]
        return 1 - sum(rest.values()) / max(self.total, 1e-9), max(cores) * pace

    def show(self) -> None:
        """Move the bar; where there is no terminal, write a line now and then."""
        with self.lock:
            share, seconds = self.state()
            ended, running = self.count - len(self.left), ", ".join(self.since)
        left = f"{seconds / 60:.0f} min" if seconds >= 90 else f"{seconds:.0f} s"
        text = f"{ended} of {self.count} pages, {left} left: {running}"
        self.bar.n = 100 * share
        self.bar.set_description_str(text)
        if self.bar.disable and self.clock() - self.said >= EVERY:
            self.said = self.clock()
            print(f"{share:4.0%}, {text}", file=self.out, flush=True)

    def close(self) -> None:
        self.bar.close()
