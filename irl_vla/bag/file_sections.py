"""Stored messages of any bag format -> one stream in log-time order, a small piece at a time.

A `FileSection` is a piece of a file that is read at once (an mcap chunk, a sqlite file): it knows
from when to when its messages were logged. `merge` opens a section only when its time has come, so
memory holds the sections that overlap in time and never the whole recording.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from irl_vla.messages.records import Record, StoredTopic, TopicStats
from irl_vla.types import InputError

MAX_CHUNK_BYTES = 2**29  # [B] a chunk is held in memory; writers use 0.75 to 100 MB
MAX_HELD_BYTES = 2**30  # [B] of all chunks that are open at a time: usually one or two


@dataclass(frozen=True, slots=True)
class FileSection:
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

    warnings: what is damaged; reading the sections may add to it; name: of the file
    """

    topics: dict[str, StoredTopic] = field(default_factory=dict)
    stats: dict[str, TopicStats] = field(default_factory=dict)
    sections: list[FileSection] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    name: str = ""

    def warn(self, text: str) -> None:
        """Remember a defect once."""
        if text not in self.warnings:
            self.warnings.append(text)


def merge(sections: Sequence[FileSection], wanted: frozenset[str]) -> Iterator[Record]:
    """Records of the wanted topics out of all sections, in log-time order. Raises InputError where
    the sections that overlap in time hold more than MAX_HELD_BYTES."""
    waiting = sorted(
        (section for section in sections if section.topics is None or section.topics & wanted),
        key=lambda section: section.start_ns,
        reverse=True,
    )
    heap: list[tuple[int, int, Record, Iterator[Record], FileSection]] = []
    opened = 0
    while waiting or heap:
        while waiting and (not heap or waiting[-1].start_ns <= heap[0][0]):
            opened += 1
            section = waiting.pop()
            _refuse_too_much(section, sum(entry[-1].held for entry in heap))
            records = section.read(wanted)
            for record in records:
                heapq.heappush(heap, (record.log_ns, opened, record, records, section))
                break
        if heap:
            _, order, record, records, section = heap[0]
            yield record
            following = next(records, None)
            if following is None:
                heapq.heappop(heap)
            else:
                heapq.heapreplace(heap, (following.log_ns, order, following, records, section))


def _refuse_too_much(section: FileSection, held: int) -> None:
    if held + section.held > MAX_HELD_BYTES:
        raise InputError(
            f"{section.file}: chunks that overlap in time hold {held + section.held} bytes, at "
            f"most {MAX_HELD_BYTES} are read at once. Write the recording again in the order of "
            "time (mcap sort)"
        )
