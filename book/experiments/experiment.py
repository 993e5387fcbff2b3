"""What the book knows of an experiment before it is measured."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from .behaviour import Numbers


@dataclass(frozen=True)
class Experiment:
    """A line of ``table.EXPERIMENTS``.

    module    whose first line says what it is about; ``runs(job)`` are what is done, see ``engine.Run``, and ``then(job)``
              what the file holds beside the rows, made at the end; it has one of them, or both
    settings  the module's constants that its numbers depend on, a text of names
    depends   the behaviours that they depend on
    folders   {argument: what it is for}, of paths; "name+" takes several, "name?" may be left out
    options   {argument: default}, of texts, whole numbers (or None) and lists of them
    grows     arguments and settings that only say how much is measured
    chooses   the folder whose pictures choose something; their digests are in the stamp
    sizes     the parts of the prior's ``StepSizes`` that count; ``alone``: the prior comes without any
    fast      passes that are not back-propagated are in bfloat16
    history   why a file is never stale, where it is a record
    """

    module: Any
    settings: str
    depends: tuple[Callable[[], Numbers], ...] = ()
    folders: Mapping[str, str] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)
    grows: tuple[str, ...] = ("tasks", "limit")
    chooses: str = ""
    sizes: tuple[str, ...] = ()
    alone: bool = False
    fast: bool = False
    history: str = ""

    @property
    def about(self) -> str:
        """One sentence."""
        return self.module.__doc__.partition("\n")[0]
