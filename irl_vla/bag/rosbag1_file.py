"""One ROS 1 .bag file -> its structure, on rosbags' reader."""

from __future__ import annotations

import bz2
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import Any

import lz4.frame
import numpy as np
from rosbags.interfaces import Connection
from rosbags.rosbag1 import Reader, ReaderError

from irl_vla.bag.file_sections import MAX_CHUNK_BYTES, FileSection, StoredFile
from irl_vla.bag.rosbag1_walk import DAMAGE as WALK_DAMAGE
from irl_vla.bag.rosbag1_walk import walk_rosbag1
from irl_vla.messages.records import Record, StoredTopic, TopicStats
from irl_vla.types import InputError
from irl_vla.unpack import pieces

MAGIC = b"#ROSBAG V"
UNPACKERS: dict[Any, Callable[[BytesIO], Any]] = {  # what the reader would call -> a stream
    bz2.decompress: bz2.BZ2File,
    lz4.frame.decompress: lz4.frame.LZ4FrameFile,
}
DAMAGE = (  # what the reader raises on broken bytes, beside its own error
    ReaderError,
    OSError,  # a seek to nowhere, a broken bz2 stream
    EOFError,
    struct.error,
    ValueError,
    KeyError,
    IndexError,
    TypeError,
    AttributeError,
    AssertionError,
    RuntimeError,  # lz4
    OverflowError,
    MemoryError,
)


def scan_rosbag1(path: Path) -> StoredFile:
    """Structure of one ROS 1 bag; one without index is walked up to the break. Raises InputError
    where it is none."""
    file, stamps = StoredFile(), dict[str, list[int]]()
    try:
        with _opened(path) as reader:
            for connection in reader.connections:
                topic = _topic(connection)
                if file.topics.setdefault(topic.name, topic).msgtype != topic.msgtype:
                    file.warn(f"topic {topic.name} has a second type, which is ignored")
                    continue
                file.stats.setdefault(topic.name, TopicStats())
                times = stamps.setdefault(topic.name, [])
                times.extend(entry.time for entry in reader.indexes.get(connection.id, []))
            start_ns, end_ns = reader.start_time, reader.end_time
    except DAMAGE as error:
        return _without_index(path, str(error))
    for name, times in stamps.items():
        if times:
            file.stats[name].add(np.array(times, np.int64))
    if any(stamps.values()):
        read = partial(_read, path, file)
        file.sections.append(FileSection(start_ns, end_ns, frozenset(file.topics), read))
    return file


def _without_index(path: Path, why: str) -> StoredFile:
    with path.open("rb") as stream:
        line = stream.readline(32)
    file = StoredFile()
    if line == b"#ROSBAG V2.0\n":
        try:
            file = walk_rosbag1(path, len(line))
        except WALK_DAMAGE as error:
            why = f"{why}; {error}"
    if not file.sections:
        raise InputError(
            f"{path}: not a readable ROS 1 bag ({why}), and no message could be found without its "
            "index"
        )
    return file


@contextmanager
def _opened(path: Path) -> Iterator[Reader]:
    """The reader, which by itself unpacks a chunk to any size."""
    with Reader(path) as reader:
        for position, chunk in reader.chunks.items():
            if chunk.datasize > MAX_CHUNK_BYTES:
                raise ReaderError(
                    f"the chunk at byte {position} has {chunk.datasize} bytes, at most "
                    f"{MAX_CHUNK_BYTES} are read at once"
                )
            if chunk.decompressor in UNPACKERS:
                unpack = partial(_unpacked, UNPACKERS[chunk.decompressor], position)
                reader.chunks[position] = chunk._replace(decompressor=unpack)
        yield reader


def _unpacked(unpacker: Callable[[BytesIO], Any], position: int, packed: bytes) -> bytes:
    with unpacker(BytesIO(packed)) as stream:
        where = f"the chunk at byte {position}"
        return b"".join(pieces(stream, MAX_CHUNK_BYTES, where))


def _topic(connection: Connection) -> StoredTopic:
    return StoredTopic(
        connection.topic, connection.msgtype, "ros1", str(connection.msgdef.data), "ros1msg"
    )


def _read(path: Path, file: StoredFile, wanted: frozenset[str]) -> Iterator[Record]:
    try:
        with _opened(path) as reader:
            chosen = [
                connection
                for connection in reader.connections
                if connection.topic in wanted
                and connection.id in reader.indexes
                and file.topics[connection.topic].msgtype == connection.msgtype
            ]
            if not chosen:
                return
            for connection, log_ns, data in reader.messages(connections=chosen):
                yield Record(log_ns, connection.topic, data)
    except DAMAGE as error:
        file.warn(f"{path.name}: the bag is damaged ({error}); messages before it are used")
