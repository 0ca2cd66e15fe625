"""Reading ahead: a thread reads the recording and decodes pictures while the networks run.

The order of events and every number stay the same; only the waiting goes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from queue import Empty, Full, Queue
from threading import Event as Flag
from threading import Thread
from typing import Generic, TypeVar

T = TypeVar("T")

DEPTH = 32  # events: a few frame sets; bounds the memory
POLL_S = 0.1  # how soon the thread notices that nobody reads any more


class _End(Generic[T]):
    """The last thing in the queue; with the error that ended the reading, if any."""

    def __init__(self, error: BaseException | None) -> None:
        self.error = error


def read_ahead(events: Iterator[T], develop: Callable[[T], T]) -> Iterator[T]:
    """The events in their order, each already through `develop`, which runs in the thread.

    An error of the recording or of `develop` is raised here, after the events before it.
    """
    queue: Queue[T | _End[T]] = Queue(DEPTH)
    stopped = Flag()
    thread = Thread(target=_read, args=(events, develop, queue, stopped), daemon=True)
    thread.start()
    try:
        while True:
            item = queue.get()
            if isinstance(item, _End):
                if item.error is not None:
                    raise item.error
                return
            yield item
    finally:
        stopped.set()
        while thread.is_alive():
            _drain(queue)
            thread.join(POLL_S)


def _read(
    events: Iterator[T], develop: Callable[[T], T], queue: Queue[T | _End[T]], stopped: Flag
) -> None:
    error: BaseException | None = None
    try:
        for event in events:
            if not _put(queue, develop(event), stopped):
                return
    except BaseException as caught:  # handed to the reader, who raises it
        error = caught
    _put(queue, _End(error), stopped)


def _put(queue: Queue[T | _End[T]], item: T | _End[T], stopped: Flag) -> bool:
    while not stopped.is_set():
        try:
            queue.put(item, timeout=POLL_S)
            return True
        except Full:
            continue
    return False


def _drain(queue: Queue[T | _End[T]]) -> None:
    try:
        while True:
            queue.get_nowait()
    except Empty:
        return
