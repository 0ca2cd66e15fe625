"""One rosbag2 sqlite3 file (.db3) -> its structure; rows are read one by one in time order.

Layout: tables topics (id, name, type, serialization_format, ...), messages (topic_id, timestamp,
data) and, from schema 4 on, message_definitions (rosbag2_storage_sqlite3).
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from functools import partial
from pathlib import Path
from urllib.parse import quote

import numpy as np

from irl_vla.bag.file_sections import FileSection, StoredFile
from irl_vla.messages.records import Record, StoredTopic, TopicStats, ros2_type
from irl_vla.types import InputError

MAGIC = b"SQLite format 3\x00"
STATS_BATCH = 65536  # stamps that are taken in at once
ROW_DAMAGE = (sqlite3.Error, OverflowError, TypeError, ValueError)


def scan_sqlite(path: Path) -> StoredFile:
    """Structure of one .db3 file. Raises InputError where it is no rosbag2 database."""
    with path.open("rb") as stream:
        start = stream.read(len(MAGIC))
    if start != MAGIC:
        raise InputError(
            f"{path}: not a sqlite3 bag: expected it to start with {MAGIC!r}, got {start!r}"
        )
    file = StoredFile()
    try:
        with closing(_connect(path)) as database:
            names = _topics(database, file)
    except ROW_DAMAGE as error:
        raise InputError(
            f"{path}: not a readable rosbag2 database ({error}). Expected tables 'topics' and "
            "'messages'; try `ros2 bag reindex` or record again"
        ) from None
    try:
        with closing(_connect(path)) as database:
            _count(database, names, file)
    except ROW_DAMAGE as error:
        file.warn(f"{path.name}: the database is damaged ({error}); rows before it are used")
    firsts = [stats.first_ns for stats in file.stats.values() if stats.count]
    lasts = [stats.last_ns for stats in file.stats.values() if stats.count]
    if firsts:
        read = partial(_read, path, file, names)
        file.sections.append(FileSection(min(firsts), max(lasts), frozenset(names.values()), read))
    return file


def _connect(path: Path) -> sqlite3.Connection:
    """Read-only; immutable, so that no journal is looked for on a read-only medium. A database
    with a write-ahead log beside it is opened with its log."""
    log = path.with_name(path.name + "-wal")
    mode = "mode=ro" if log.exists() and log.stat().st_size else "mode=ro&immutable=1"
    database = sqlite3.connect(f"file:{quote(str(path.resolve()))}?{mode}", uri=True)
    database.text_factory = lambda raw: raw.decode("utf-8", "replace")
    return database


def _topics(database: sqlite3.Connection, file: StoredFile) -> dict[int, str]:
    """Declared topics; returns row id -> name."""
    definitions: dict[str, tuple[str, str]] = {}
    tables = {row[0] for row in database.execute("SELECT name FROM sqlite_master")}
    if "message_definitions" in tables:
        for kind, encoding, text in database.execute(
            "SELECT topic_type, encoding, encoded_message_definition FROM message_definitions"
        ):
            definitions[str(kind)] = (str(text), str(encoding))
    names: dict[int, str] = {}
    rows = database.execute("SELECT id, name, type, serialization_format FROM topics ORDER BY id")
    for key, name, msgtype, encoding in rows:
        name, declared = str(name), str(msgtype)
        msgtype = ros2_type(declared)
        text, form = definitions.get(declared, ("", ""))
        spelt = "" if declared == msgtype else declared
        topic = StoredTopic(name, msgtype, str(encoding), text, form, spelt)
        if file.topics.setdefault(name, topic).msgtype != msgtype:
            file.warn(f"topic {name} has a second type, {msgtype}, which is ignored")
            continue
        names[int(key)] = name
        file.stats.setdefault(name, TopicStats())
    database.execute("SELECT topic_id, timestamp, data FROM messages LIMIT 0")
    return names


def _count(database: sqlite3.Connection, names: dict[int, str], file: StoredFile) -> None:
    rows = database.execute("SELECT topic_id, timestamp FROM messages ORDER BY timestamp")
    while batch := rows.fetchmany(STATS_BATCH):
        stamps: dict[int, list[int]] = {}
        for key, log_ns in batch:
            stamps.setdefault(key, []).append(int(log_ns))
        for key, times in stamps.items():
            if key in names:
                file.stats[names[key]].add(np.array(times, np.int64))


def _read(
    path: Path, file: StoredFile, names: dict[int, str], wanted: frozenset[str]
) -> Iterator[Record]:
    keys = [key for key, name in names.items() if name in wanted]
    marks = ",".join("?" * len(keys))
    try:
        with closing(_connect(path)) as database:
            for key, log_ns, data in database.execute(
                "SELECT topic_id, timestamp, data FROM messages "
                f"WHERE topic_id IN ({marks}) ORDER BY timestamp, id",
                keys,
            ):
                yield Record(int(log_ns), names[key], bytes(data))
    except ROW_DAMAGE as error:
        file.warn(f"{path.name}: the database is damaged ({error}); rows before it are used")
