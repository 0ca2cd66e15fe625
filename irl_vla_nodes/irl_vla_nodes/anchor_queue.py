"""Anchors that wait until what they need has come, and are worked on one at a time, in order.

In: handles of anchors   Out: calls of `step`   May import: alarm.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Generic, TypeVar

from irl_vla_nodes.alarm import Alarm

LOOK_S = 0.02  # how soon it is noticed that what an anchor needs does not come
T = TypeVar("T")


class AnchorQueue(Generic[T]):
    """drain: takes in what has arrived; is_early: whether more may come that an anchor needs; step:
    the work on an anchor; alarm: of the node; latest_only: leave out what a newer one follows that
    can be worked on now."""

    def __init__(
        self,
        drain: Callable[[], None],
        is_early: Callable[[T], bool],
        step: Callable[[T], None],
        alarm: Callable[[Callable[[], None]], Alarm],
        latest_only: bool = False,
    ) -> None:
        self.latest_only = latest_only
        self._drain, self._is_early, self._step = drain, is_early, step
        self._waiting: deque[T] = deque()
        self._busy = False
        self._patience = alarm(self.go)

    def add(self, value: T) -> None:
        """The next anchor."""
        self._waiting.append(value)
        self.go()

    def clear(self) -> None:
        """Forget who waits."""
        self._waiting.clear()

    def go(self) -> None:
        """Work on what can be worked on now. Draining calls back; one call at a time works."""
        if self._busy or not self._waiting:
            return
        self._busy = True
        try:
            self._drain()
            if self.latest_only:
                # Only for one that can be worked on now: else each would be dropped waiting.
                while len(self._waiting) > 1 and not self._is_early(self._waiting[1]):
                    self._waiting.popleft()  # the monitor sees the gap and counts it
            while self._waiting and not self._is_early(self._waiting[0]):
                self._step(self._waiting.popleft())
        finally:
            self._busy = False
        if self._waiting:
            self._patience.ring_in(LOOK_S)
