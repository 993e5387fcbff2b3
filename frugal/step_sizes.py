"""The samplers' step sizes belong to the prior that they were tuned on, and stand in its folder."""

import json
from dataclasses import dataclass, field
from pathlib import Path

from .checks import Refusal

FILE = "step_sizes.json"
STEPS = 100  # of the tuning; DPS's step grows in proportion where the steps are fewer
RULE = {"zeta": 6.0, "lam": 1.0}  # for a prior or a task without a tuning


@dataclass(frozen=True)
class StepSizes:
    """zeta of DPS and lam of DMPS by task and by the share of the steps that are DMPS.

    tuned  {task: {k of 100 steps: {"zeta": ..., "lam": ...}}}; k = 0 is DPS, k = 100 is DMPS
    """

    tuned: dict[str, dict[int, dict[str, float]]] = field(default_factory=dict)

    def of(self, task: str, switch: int, steps: int) -> dict[str, float]:
        """{"zeta", "lam"} for ``switch`` DMPS steps of ``steps``.

        The sizes of the tuned k whose share of the steps is nearest; zeta times 100 / steps, because fewer
        steps have to be longer. Where the task or the prior has no tuning, ``RULE``: lam = 1, which is the
        theory's value, and zeta = 6 at 100 steps.
        """
        rows = self.tuned.get(task) or {0: RULE}
        sizes = rows[min(rows, key=lambda k: abs(k / STEPS - switch / steps))]
        return {"zeta": sizes["zeta"] * STEPS / steps, "lam": sizes["lam"]}


def read(folder: Path, digest: str) -> StepSizes:
    """The step sizes in the ``FILE`` of a prior's folder.

    Raises Refusal for a file that is damaged or was tuned on weights of another ``digest``.
    """
    file = folder / FILE
    try:
        content = json.loads(file.read_text())
        owner = content["meta"]["prior_digest"]
        tuned = {
            str(task): {int(k): {name: float(row[name]) for name in RULE} for k, row in rows.items()}
            for task, rows in content["tuned"].items()
        }
    except (ValueError, KeyError, TypeError, AttributeError, OSError):
        raise Refusal(f"prior: {file} holds no step sizes; write it anew or delete it") from None
    if owner != digest:
        raise Refusal(f"prior: {file} was tuned on other weights; tune again or delete it")
    return StepSizes(tuned)
