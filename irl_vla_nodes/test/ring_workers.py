"""Processes that write and read a ring until they are killed. Light: they are started often."""

from __future__ import annotations

import multiprocessing as mp
import os
import signal
from pathlib import Path
from typing import Any

import numpy as np
from irl_vla_nodes.ring import Handle, RingReader, RingWriter

WORDS = 2**18  # a payload of 2 MiB: long enough to be killed in the middle of it
PROCESSES = mp.get_context("forkserver")
PROCESSES.set_forkserver_preload(["ring_workers", "pytest"])


def filled(number: int, words: int = WORDS) -> memoryview:
    """A payload whose every word is its number."""
    return memoryview(np.full(words, number, np.int64).view(np.uint8))


def word_of(payload: memoryview) -> int:
    """The number of a payload; fails where it is not one payload throughout."""
    words = np.frombuffer(payload, np.int64)
    assert words.min() == words.max(), "a payload made of two"
    return int(words[0])


def started(work: Any, *args: Any) -> Any:
    """A process that has begun its work."""
    ready = PROCESSES.Event()
    process = PROCESSES.Process(target=work, args=(ready, *args), daemon=True)
    process.start()
    assert ready.wait(60.0)
    return process


def kill(process: Any) -> None:
    """As `kill -9`."""
    os.kill(process.pid, signal.SIGKILL)
    process.join()


def writes_forever(ready: Any, folder: Path, queue: Any = None) -> None:
    """Payloads 0, 1, 2, ...; handle and number go into the queue."""
    ring, number = RingWriter(folder, "frames", 3, WORDS * 8), 0
    ready.set()
    while True:
        handle = ring.write([filled(number)])
        if queue is not None:
            queue.put((handle, number))
        number += 1


def reads_forever(ready: Any, folder: Path, handle: Handle) -> None:
    """The same payload again and again."""
    reader = RingReader(folder)
    ready.set()
    while True:
        word_of(reader.read(handle, within_s=10.0))
