"""Ctrl-C between two steps rather than in the middle of one, and other ends that clean up."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event
from types import FrameType

ANSWER = b"\nstopping; what is done is kept. Press Ctrl-C again to stop at once\n"


@contextmanager
def interruptible(between: bool = True) -> Iterator[Event]:
    """Inside, Ctrl-C is answered at once and sets the flag; whoever loops looks at it; a second one
    stops at once. between: False where nothing is lost in the middle of a step: KeyboardInterrupt
    is raised as well."""
    pressed = Event()

    def note(_number: int, _frame: FrameType | None) -> None:
        pressed.set()
        signal.signal(signal.SIGINT, before)
        if not between:
            raise KeyboardInterrupt
        os.write(2, ANSWER)

    before = signal.signal(signal.SIGINT, note)
    try:
        yield pressed
    finally:
        signal.signal(signal.SIGINT, before)


def leave_tidily() -> None:
    """From now on, being told to end (SIGTERM) and a terminal that closes (SIGHUP) end the command
    like an error does: what is not whole is removed, and processes of its own with it."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:  # nohup
            signal.signal(number, _leave)


def _leave(number: int, _frame: FrameType | None) -> None:
    signal.signal(number, signal.SIG_DFL)  # a second one ends it as it is
    sys.exit(128 + number)
