"""One ROS 1 .bag file -> its structure, on rosbags' reader."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
from rosbags.interfaces import Connection
from rosbags.rosbag1 import Reader, ReaderError

from irl_vla.bag.file_sections import FileSection, StoredFile
from irl_vla.messages.records import Record, StoredTopic, TopicStats
from irl_vla.types import InputError

MAGIC = b"#ROSBAG V"
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
    """Structure of one ROS 1 bag. Raises InputError where it is none or has no index."""
    file, stamps = StoredFile(), dict[str, list[int]]()
    try:
        with Reader(path) as reader:
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
        raise InputError(
            f"{path}: not a readable ROS 1 bag ({error}). If recording was cut short, "
            "`rosbag reindex` repairs the index"
        ) from None
    for name, times in stamps.items():
        if times:
            file.stats[name].add(np.array(times, np.int64))
    if any(stamps.values()):
        read = partial(_read, path, file)
        file.sections.append(FileSection(start_ns, end_ns, frozenset(file.topics), read))
    return file


def _topic(connection: Connection) -> StoredTopic:
    return StoredTopic(
        connection.topic, connection.msgtype, "ros1", str(connection.msgdef.data), "ros1msg"
    )


def _read(path: Path, file: StoredFile, wanted: frozenset[str]) -> Iterator[Record]:
    try:
        with Reader(path) as reader:
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
