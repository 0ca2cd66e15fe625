"""What the language model advised, and which advice counts at an anchor.

The model is slower than the planner, which never waits for it: a command counts from the moment at
which the car has it until it says itself that it is void. May import: types.
"""

from __future__ import annotations

from dataclasses import dataclass

from irl_vla.types import SECOND_NS, Command

KEEP_NS = 10 * SECOND_NS  # an older command says nothing about now


@dataclass(frozen=True)
class _Heard:
    """A command, and the time from which the planner may use it."""

    command: Command
    visible_ns: int


class CommandMemory:
    """Commands of the last seconds, by the stamp of the pictures that they were made from."""

    def __init__(self) -> None:
        self._kept: list[_Heard] = []

    def clear(self) -> None:
        """Forget everything: another time, or another model."""
        self._kept.clear()

    def put(self, command: Command, visible_ns: int) -> None:
        """A command that may be used from `visible_ns` on; stamps that run back start anew."""
        stamp = command.stamp_ns
        if self._kept and stamp < self._kept[-1].command.stamp_ns:
            self.clear()
        kept = [heard for heard in self._kept if heard.command.stamp_ns >= stamp - KEEP_NS]
        self._kept = [*kept, _Heard(command, visible_ns)]

    @property
    def newest_ns(self) -> int | None:
        """Stamp of the newest command, used already or not; None where there is none."""
        return self._kept[-1].command.stamp_ns if self._kept else None

    def at(self, anchor_ns: int, now_ns: int) -> Command:
        """The newest command that is there and valid for an anchor; UNKNOWN without one."""
        for heard in reversed(self._kept):
            command = heard.command
            counts = command.stamp_ns <= anchor_ns <= command.valid_until_ns
            if counts and heard.visible_ns <= now_ns:
                return command
        return unknown(anchor_ns)

    def of(self, stamp_ns: int | None, anchor_ns: int) -> Command:
        """The very command of a recorded schedule; UNKNOWN for None, and where it is not kept."""
        for heard in reversed(self._kept):
            if heard.command.stamp_ns == stamp_ns:
                return heard.command
        return unknown(anchor_ns)


def unknown(anchor_ns: int) -> Command:
    """No advice."""
    return Command(anchor_ns, anchor_ns)


def stamp_of(command: Command) -> int | None:
    """The stamp by which a schedule names a command; None for one that advises nothing."""
    speaks = command.speed is not None or command.path is not None or command.meta is not None
    return command.stamp_ns if speaks else None
