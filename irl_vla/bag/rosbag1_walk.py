"""A ROS 1 bag without its index, as a recorder leaves it that did not come to its end
(`.bag.active`, a copy cut short) -> its structure, walked front to back up to the break.

Format 2.0 (http://wiki.ros.org/Bags/Format/2.0): records of a header (fields "name=value") and
data; op says what a record is. A chunk that was still being written states a length of zero; its
messages then follow one by one.
"""

from __future__ import annotations

import bz2
import mmap
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import Any, NamedTuple

import lz4.frame
import numpy as np

from irl_vla.bag.file_sections import MAX_CHUNK_BYTES, FileSection, StoredFile
from irl_vla.messages.records import Record, StoredTopic, TopicStats, ros2_type
from irl_vla.unpack import pieces

MESSAGE, CHUNK, CONNECTION = 0x02, 0x05, 0x07
MAX_HEADER = 2**20  # [B] of a record's header
STREAMS: dict[str, Callable[[BytesIO], Any]] = {
    "bz2": bz2.BZ2File,
    "lz4": lz4.frame.LZ4FrameFile,
}
DAMAGE = (OSError, EOFError, RuntimeError, ValueError, KeyError, struct.error)


class _Stretch(NamedTuple):
    """Bytes of the file that hold records: a chunk's data, or one loose message."""

    start: int
    length: int
    compression: str


class _RawRecord(NamedTuple):
    """op of the record, its header's fields, where its data starts and ends."""

    op: int
    fields: dict[str, bytes]
    start: int
    end: int


@dataclass
class _Walk:
    path: Path
    file: StoredFile
    names: dict[int, str] = field(default_factory=dict)  # connection -> topic


def walk_rosbag1(path: Path, magic_length: int) -> StoredFile:
    """Structure of a bag whose index is missing; what cannot be read ends the walk, with a
    warning."""
    walk = _Walk(path, StoredFile())
    with path.open("rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as data:
        end = _walk_file(walk, memoryview(data), magic_length)
        size = len(data)
    broken = "" if end >= size else f"; broken at byte {end} of {size}, everything before is used"
    what = "the bag has no index, as after a crash; it was read without"
    walk.file.warn(f"{path.name}: {what}{broken}")
    return walk.file


def _walk_file(walk: _Walk, data: memoryview, at: int) -> int:
    """All records from `at` on; where the walk ended."""
    with data:
        while at < len(data):
            record = _record(data, at)
            if record is None:
                return at
            if record.op == CHUNK and record.end > record.start:
                compression = record.fields.get("compression", b"none").decode()
                block = _Stretch(record.start, record.end - record.start, compression)
                if not _take(walk, data, block):
                    return at
            elif record.op == CONNECTION:
                _declare(walk, record, bytes(data[record.start : record.end]))
            elif record.op == MESSAGE:
                _take(walk, data, _Stretch(at, record.end - at, "none"))
            at = record.end
    return at


def _record(data: memoryview | bytes, at: int) -> _RawRecord | None:
    """The record at `at`, None where it is not whole."""
    if at + 4 > len(data):
        return None
    (length,) = struct.unpack_from("<I", data, at)
    begin = at + 4
    if length > MAX_HEADER or begin + length + 4 > len(data):
        return None
    fields: dict[str, bytes] = {}
    place = begin
    while place + 4 <= begin + length:
        (size,) = struct.unpack_from("<I", data, place)
        name, _, value = bytes(data[place + 4 : place + 4 + size]).partition(b"=")
        fields[name.decode("latin-1")] = value
        place += 4 + size
    (held,) = struct.unpack_from("<I", data, begin + length)
    start = begin + length + 4
    if len(fields.get("op", b"")) != 1 or start + held > len(data):
        return None
    return _RawRecord(fields["op"][0], fields, start, start + held)


def _declare(walk: _Walk, record: _RawRecord, content: bytes) -> None:
    """A connection: its topic, type and definition."""
    known = _record_fields(content)
    topic = record.fields.get("topic", b"").decode("utf-8", "replace")
    (key,) = struct.unpack("<I", record.fields["conn"])
    msgtype = ros2_type(known.get("type", b"").decode("utf-8", "replace"))
    text = known.get("message_definition", b"").decode("utf-8", "replace")
    declared = StoredTopic(topic, msgtype, "ros1", text, "ros1msg")
    if walk.file.topics.setdefault(topic, declared).msgtype != msgtype:
        walk.file.warn(f"topic {topic} has a second type, which is ignored")
        return
    walk.names[key] = topic
    walk.file.stats.setdefault(topic, TopicStats())


def _record_fields(content: bytes) -> dict[str, bytes]:
    fields: dict[str, bytes] = {}
    at = 0
    while at + 4 <= len(content):
        (size,) = struct.unpack_from("<I", content, at)
        name, _, value = content[at + 4 : at + 4 + size].partition(b"=")
        fields[name.decode("latin-1")] = value
        at += 4 + size
    return fields


def _unpacked(data: memoryview, block: _Stretch) -> bytes:
    """Records of a block. Raises one of DAMAGE, or InputError for one that is too large."""
    packed = bytes(data[block.start : block.start + block.length])
    if block.compression == "none":
        return packed
    with STREAMS[block.compression](BytesIO(packed)) as stream:
        return b"".join(pieces(stream, MAX_CHUNK_BYTES, f"the chunk at byte {block.start}"))


def _messages(content: bytes) -> Iterator[_RawRecord]:
    at = 0
    while (record := _record(content, at)) is not None:
        yield record
        at = record.end


def _take(walk: _Walk, data: memoryview, block: _Stretch) -> bool:
    """Look inside a block; False where it cannot be unpacked."""
    try:
        content = _unpacked(data, block)
    except DAMAGE as error:
        walk.file.warn(f"{walk.path.name}: the chunk at byte {block.start} is damaged ({error})")
        return False
    stamps: dict[str, list[int]] = {}
    for record in _messages(content):
        if record.op == CONNECTION:
            _declare(walk, record, content[record.start : record.end])
        elif record.op == MESSAGE and (key := _connection(record)) in walk.names:
            stamps.setdefault(walk.names[key], []).append(_time_ns(record))
    for topic, times in stamps.items():
        walk.file.stats[topic].add(np.array(times, np.int64))
    every = [time for times in stamps.values() for time in times]
    if every:
        read = partial(_read, walk, block)
        section = FileSection(
            min(every), max(every), frozenset(stamps), read, walk.path.name, len(content)
        )
        walk.file.sections.append(section)
    return True


def _connection(record: _RawRecord) -> int:
    return int.from_bytes(record.fields.get("conn", b"\xff" * 4), "little")


def _time_ns(record: _RawRecord) -> int:
    seconds, rest = struct.unpack("<II", record.fields.get("time", bytes(8)))
    return int(seconds) * 1_000_000_000 + int(rest)


def _read(walk: _Walk, block: _Stretch, wanted: frozenset[str]) -> Iterator[Record]:
    """Messages of one block in log-time order."""
    with walk.path.open("rb") as stream:
        stream.seek(block.start)
        packed = stream.read(block.length)
    content = _unpacked(memoryview(packed), block._replace(start=0))
    found = [
        Record(_time_ns(one), walk.names[_connection(one)], content[one.start : one.end])
        for one in _messages(content)
        if one.op == MESSAGE and walk.names.get(_connection(one)) in wanted
    ]
    yield from sorted(found, key=lambda record: record.log_ns)
