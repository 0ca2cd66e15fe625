"""Ctrl-C asks a training to end after the step it is in; a second one ends it at once."""

from __future__ import annotations

import signal
from types import FrameType, TracebackType
from typing import Any


class Interruptible:
    """`with Interruptible() as asked:` ... `if asked.to_end: break`."""

    def __init__(self) -> None:
        self.to_end = False
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Interruptible:
        for number in (signal.SIGINT, signal.SIGTERM):
            self._before[number] = signal.signal(number, self._take)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:  # fmt: skip
        self._restore()

    def _take(self, number: int, frame: FrameType | None) -> None:
        self.to_end = True
        self._restore()

    def _restore(self) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._before = {}
