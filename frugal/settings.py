"""The settings of a restoration, with one set of defaults and one place that completes and checks them."""

from dataclasses import dataclass

from .base import checks
from .base.checks import Refusal
from .prior.step_sizes import StepSizes
from .samplers import METHODS


@dataclass(frozen=True)
class Settings:
    """What a sampler is told beside the measurement.

    steps   t, the reverse steps, 1 to the prior's number of noise levels; by default the method's own
    switch  k, how many of the hybrid's last steps are DMPS, 0 to t; "collapse" finds it picture by picture;
            by default half of the steps
    zeta    step of DPS, >= 0; by default the one tuned for the prior, the task and the switch
    lam     step of DMPS, likewise
    seed    of the noise, where no generator is given
    """

    steps: int | None = None
    switch: int | str | None = None
    zeta: float | None = None
    lam: float | None = None
    seed: int = 0

    def complete(self, method: str, task: str, sizes: StepSizes, levels: int = 1000) -> "Complete":
        """The same with every default filled in, for one method and task, and a prior of so many noise levels.

        A setting that the method does not use is checked all the same, and left None where none was given.
        Raises Refusal for an unknown method and for values outside the ranges above.
        """
        kind = METHODS[checks.one_of("method", method, METHODS)]
        used, steps = kind.parameters, min(kind.steps, levels) if self.steps is None else self.steps
        checks.whole("steps, num_inference_steps", steps, 1, levels)
        switch = self.switch
        if switch is not None and switch != "collapse":
            if isinstance(switch, str):
                raise Refusal(
                    f"switch: {switch!r} is not accepted; give a whole number from 0 to {steps}, or 'collapse'"
                )
            checks.whole("switch", switch, 0, steps)
        if switch is None and "switch" in used:
            switch = steps // 2
        tuned = sizes.of(task, self.tuned_at(used, switch, steps), steps)
        given: dict[str, float | None] = {"zeta": self.zeta, "lam": self.lam}
        for name, value in given.items():
            if value is not None:
                given[name] = checks.at_least_zero(name, value)
            elif name in used:
                given[name] = tuned[name]
        return Complete(steps, switch, given["zeta"], given["lam"], self.seed)

    @staticmethod
    def tuned_at(parameters: tuple[str, ...], switch: int | str | None, steps: int) -> int:
        """The k whose step sizes a method with these parameters takes; half of the steps for "collapse"."""
        if "switch" in parameters:
            return switch if isinstance(switch, int) else steps // 2
        return 0 if "zeta" in parameters else steps


@dataclass(frozen=True)
class Complete(Settings):
    """``Settings`` with every default filled in, for one method and task; None for what the method does not use."""

    steps: int = 100
