"""Stored messages of any bag format -> one stream in log-time order, a small piece at a time.

A `Lane` is a piece of a file that is read at once (an mcap chunk, a sqlite file): it knows from
when to when its messages were logged. `merge` opens a lane only when its time has come, so memory
holds the lanes that overlap in time and never the whole recording.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from irl_vla.types import SECOND_NS, InputError

MAX_CHUNK_BYTES = 2**29  # [B] a chunk is held in memory; writers use 0.75 to 100 MB
MAX_HELD_BYTES = 2**30  # [B] of all chunks that are open at a time: usually one or two


class Record(NamedTuple):
    """One stored message, not yet deserialised. log_ns: when it was recorded."""

    log_ns: int
    topic: str
    data: bytes | memoryview


@dataclass(frozen=True)
class StoredTopic:
    """A topic as the file declares it.

    msgtype: ROS 2 spelling, "sensor_msgs/msg/Image"; encoding: "cdr", "ros1", or one that we
    cannot read; definition: the embedded .msg or .idl text with its format, "" where none is
    """

    name: str
    msgtype: str
    encoding: str = "cdr"
    definition: str = ""
    definition_format: str = ""


@dataclass
class TopicStats:
    """Counts and stamps [ns] of one topic, in log time."""

    count: int = 0
    first_ns: int = 0
    last_ns: int = 0
    largest_gap_ns: int = 0

    def add(self, log_ns: NDArray[np.int64]) -> None:
        """Take in some more stamps, at least one; later pieces follow earlier ones."""
        times = np.sort(log_ns)
        if self.count == 0:
            self.first_ns = self.last_ns = int(times[0])
        gaps = np.diff(times, prepend=times.dtype.type(self.last_ns))
        self.largest_gap_ns = max(self.largest_gap_ns, int(gaps.max()))
        self.count += len(times)
        self.first_ns = min(self.first_ns, int(times[0]))
        self.last_ns = max(self.last_ns, int(times[-1]))

    def join(self, later: TopicStats) -> None:
        """Take in the same topic of the next file of a split bag."""
        if later.count == 0:
            return
        if self.count == 0:
            self.first_ns = later.first_ns
            self.last_ns = later.first_ns
        self.largest_gap_ns = max(
            self.largest_gap_ns, later.largest_gap_ns, later.first_ns - self.last_ns
        )
        self.count += later.count
        self.first_ns = min(self.first_ns, later.first_ns)
        self.last_ns = max(self.last_ns, later.last_ns)

    @property
    def rate_hz(self) -> float:
        """Mean rate between the first and the last message, 0 where there is only one."""
        span = self.last_ns - self.first_ns
        return (self.count - 1) * SECOND_NS / span if span > 0 else 0.0


@dataclass(frozen=True, slots=True)
class Lane:
    """A piece of a file. read(wanted topics) yields its records in log-time order.

    topics: names that occur in it, or None where unknown
    file, held: name of its file, and the bytes that are in memory while it is read
    """

    start_ns: int
    end_ns: int
    topics: frozenset[str] | None
    read: Callable[[frozenset[str]], Iterator[Record]]
    file: str = ""
    held: int = 0


@dataclass
class StoredFile:
    """What a look at one file's structure tells, without reading its messages.

    warnings: what is damaged; reading the lanes may add to it
    """

    topics: dict[str, StoredTopic] = field(default_factory=dict)
    stats: dict[str, TopicStats] = field(default_factory=dict)
    lanes: list[Lane] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    def warn(self, text: str) -> None:
        """Remember a defect once."""
        if text not in self.warnings:
            self.warnings.append(text)


def merge(lanes: Sequence[Lane], wanted: frozenset[str]) -> Iterator[Record]:
    """Records of the wanted topics out of all lanes, in log-time order. Raises InputError where the
    lanes that overlap in time hold more than MAX_HELD_BYTES."""
    waiting = sorted(
        (lane for lane in lanes if lane.topics is None or lane.topics & wanted),
        key=lambda lane: lane.start_ns,
        reverse=True,
    )
    heap: list[tuple[int, int, Record, Iterator[Record], Lane]] = []
    opened = 0
    while waiting or heap:
        while waiting and (not heap or waiting[-1].start_ns <= heap[0][0]):
            opened += 1
            lane = waiting.pop()
            _refuse_too_much(lane, sum(entry[-1].held for entry in heap))
            records = lane.read(wanted)
            for record in records:
                heapq.heappush(heap, (record.log_ns, opened, record, records, lane))
                break
        if heap:
            _, order, record, records, lane = heap[0]
            yield record
            following = next(records, None)
            if following is None:
                heapq.heappop(heap)
            else:
                heapq.heapreplace(heap, (following.log_ns, order, following, records, lane))


def _refuse_too_much(lane: Lane, held: int) -> None:
    if held + lane.held > MAX_HELD_BYTES:
        raise InputError(
            f"{lane.file}: chunks that overlap in time hold {held + lane.held} bytes together, at "
            f"most {MAX_HELD_BYTES} are read at once. Write the recording again in the order of "
            "time (mcap sort)"
        )
