"""Every method that the pipeline, the command and the tables know: its step, and what the step is told."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ..schedule import Schedule
from .closed_form import NEVER, asked, centred, relay, spectral
from .others import daps, ddnm, ddrm, diffpir, mpgd, pigdm, reddiff
from .poster import dmps, dps, hybrid
from .walk import Denoise, Step


@dataclass(frozen=True)
class Method:
    """A line of ``METHODS``.

    make        (denoise, schedule, **settings) -> the step, see ``walk``
    label       its name on the pages, and ``colour`` its colour, which the colour-blind can tell from the others
    parameters  the settings that are its own: "zeta", "lam", "switch"; "r2" and "spectrum" of the prior
    gradient    whether it back-propagates through the network, down to its switch where it has one
    steps       how many it takes where none are asked for; ``spacing`` and ``lowest`` say how they lie
    numbers     what its step is told beside, for every task and number of steps
    svd         whether it needs the singular vectors of A, which an operator of two functions lacks
    """

    make: Callable[..., Step]
    label: str
    colour: str
    parameters: tuple[str, ...] = ()
    gradient: bool = False
    steps: int = 100
    spacing: float = 1.0
    lowest: int = 0
    numbers: Mapping[str, Any] = field(default_factory=dict)
    svd: bool = False

    def schedule(self, scheduler: Any, steps: int) -> Schedule:
        """Its ``Schedule`` of so many steps of a diffusers scheduler."""
        return Schedule.from_scheduler(scheduler, steps, self.spacing, self.lowest)

    def backprops(self, steps: int, switch: int | str | None) -> int:
        """How many of its network calls are back-propagated; half of them where "collapse" finds the switch."""
        late = switch if isinstance(switch, int) else steps // 2
        return self.gradient * (steps - late * ("switch" in self.parameters))

    def calls(self, schedule: Schedule) -> int:
        """How many network calls a ``schedule`` costs."""
        asks = self.numbers.get("asks", NEVER)
        return schedule.t + sum(asked(schedule, k, asks) for k in schedule.steps)

    def passes(self, scheduler: Any, steps: int) -> int:
        """What so many steps cost, calls and back-propagations; with a switch half of them are late."""
        return self.calls(self.schedule(scheduler, steps)) + self.backprops(steps, steps // 2)

    def within(self, passes: int, scheduler: Any) -> int:
        """How many steps cost nearest to so many passes; of two numbers the lower."""
        return min(range(1, passes + 1), key=lambda t: abs(self.passes(scheduler, t) - passes))

    def step(self, denoise: Denoise, schedule: Schedule, given: Mapping[str, Any], **told: Any) -> Step:
        """The step, by its own among the arguments ``given``; ``told`` are others."""
        own = {name: given[name] for name in self.parameters}
        return self.make(denoise, schedule, **{**own, **self.numbers, **told})

    def divided(self, passes: int, steps: int) -> tuple[int, int]:
        """Passes of so many steps as network calls, and how many of these were back-propagated."""
        backprops = self.gradient * (passes - steps)
        return passes - backprops, backprops


# The numbers of ``spectral`` that a search found (``book/experiments/offered.py``), with its spacing and lowest level;
# ``turned`` and ``wider`` were chosen after it, on tuning faces too.
SEARCHED = {"turned": 1.5, "undecided": 0.74, "asks": (0.45, 3.5), "wider": 1.5}

# Okabe & Ito's colours for the poster's three, mostly Tol's for the others.
METHODS = {
    "dps": Method(dps, "DPS", "#0072B2", ("zeta",), gradient=True),
    "dmps": Method(dmps, "DMPS", "#D55E00", ("lam",)),
    "hybrid": Method(hybrid, "hybrid", "#009E73", ("zeta", "lam", "switch"), gradient=True),
    "centred": Method(centred, "centred", "#E69F00", ("r2",)),
    "spectral": Method(spectral, "spectral", "#CC6677", ("spectrum",), False, 14, 1.24, 43, SEARCHED),
    "relay": Method(relay, "relay", "#AA4499", ("r2", "switch"), gradient=True),
    "pigdm": Method(pigdm, "ΠGDM", "#56B4E9", gradient=True),
    "ddrm": Method(ddrm, "DDRM", "#882255", svd=True),
    "ddnm": Method(ddnm, "DDNM", "#999933", svd=True),
    "diffpir": Method(diffpir, "DiffPIR", "#332288"),
    "reddiff": Method(reddiff, "RED-diff", "#88CCEE"),
    "daps": Method(daps, "DAPS", "#661100", svd=True),
    "mpgd": Method(mpgd, "MPGD", "#999999"),
}
WITHOUT_SVD = tuple(name for name, method in METHODS.items() if not method.svd)
POSTER = ("dps", "dmps", "hybrid")
BEST = "spectral"  # where nothing is asked for: page 14 says what it gives away, and for what
