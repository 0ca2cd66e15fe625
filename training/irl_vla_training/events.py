"""What a run logs, as TensorBoard reads it. May import: tensorboard (through torch)."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch.utils.tensorboard import SummaryWriter

STEP = "step"


class EventFile:
    """Scalars of one run. after: the step that the run goes on from; what was written for later
    steps no longer shows."""

    def __init__(self, folder: Path, after: int = 0) -> None:
        self._writer = SummaryWriter(str(folder), purge_step=after + 1)

    def add(self, entry: Mapping[str, Any]) -> None:
        """The numbers of one entry of the log, at its step; nested ones by their path."""
        step = int(entry.get(STEP, 0))
        for name, value in _numbers(entry, ""):
            self._writer.add_scalar(name, value, step)

    def close(self) -> None:
        """All is on disk then."""
        self._writer.close()


def _numbers(entry: Mapping[str, Any], prefix: str) -> list[tuple[str, float]]:
    found: list[tuple[str, float]] = []
    for name, value in entry.items():
        if isinstance(value, Mapping):
            found += _numbers(value, f"{prefix}{name}/")
        elif isinstance(value, (int, float)) and not isinstance(value, bool) and name != STEP:
            found.append((f"{prefix}{name}", float(value)))
    return found
