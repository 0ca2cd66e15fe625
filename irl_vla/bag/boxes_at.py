"""Known things at a stamp, by a second reader over the same recording that follows the stamps."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from irl_vla.messages.events import StampedBoxes
from irl_vla.types import Boxes3D

BOXES_WITHIN_NS = 60_000_000  # boxes belong to a picture that is at most so far away
BOXES_AHEAD_NS = 200_000_000  # how far boxes are read past the stamp that is asked for
BOXES_KEPT = 100  # sets of boxes that are remembered


@dataclass
class BoxesAt:
    """A second reader over the same bag that follows the stamps it is asked for."""

    restart: Callable[[], Iterator[StampedBoxes]]
    events: Iterator[StampedBoxes] | None = None
    recent: list[StampedBoxes] | None = None

    def at(self, stamp_ns: int) -> Boxes3D | None:
        """Boxes nearest to a stamp, within 60 ms."""
        recent = self.recent
        if self.events is None or recent is None or (recent and stamp_ns < recent[0].stamp_ns):
            self.events, recent = self.restart(), []
        while not recent or recent[-1].stamp_ns < stamp_ns + BOXES_AHEAD_NS:
            following = next(self.events, None)
            if following is None:
                break
            recent = [*recent[-BOXES_KEPT:], following]
        self.recent = recent
        near = min(recent, key=lambda b: abs(b.stamp_ns - stamp_ns), default=None)
        if near is None or abs(near.stamp_ns - stamp_ns) > BOXES_WITHIN_NS:
            return None
        return near.boxes
