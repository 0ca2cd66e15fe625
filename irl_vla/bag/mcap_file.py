"""One mcap file -> its structure, read front to back, so that a file cut anywhere is still of use.

The scan reads record headers and message indexes and skips chunk contents; it needs neither footer
nor chunk index. Lengths are checked against the file before anything is allocated. Format:
https://mcap.dev/spec (opcodes and layouts below).
"""

from __future__ import annotations

import struct
import zlib
from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import BinaryIO

import lz4.frame
import numpy as np
import zstandard

from irl_vla.bag.file_sections import MAX_CHUNK_BYTES, FileSection, StoredFile
from irl_vla.messages.records import Record, StoredTopic, TopicStats, ros2_type
from irl_vla.types import InputError

MAGIC = b"\x89MCAP0\r\n"
FOOTER, SCHEMA, CHANNEL, MESSAGE, CHUNK, MESSAGE_INDEX = range(2, 8)
LAST_OPCODE = 0x0F  # known records are 0x01..0x0f, private ones 0x80..0xff
PRIVATE_OPCODE = 0x80
HEAD = struct.Struct("<BQ")  # opcode, length of the content
MESSAGE_HEAD = struct.Struct("<HIQQ")  # channel, sequence, log time, publish time
CHUNK_HEAD = struct.Struct("<QQQII")  # start, end, uncompressed size, its CRC-32, name length
MAX_DECLARATION_BYTES = 2**24  # [B] of a schema with all that it includes
RUN_BYTES = 2**22  # [B] messages outside chunks are read in runs of about this size
MAX_STAMP_NS = 2**63 - 1
DAMAGE = (
    struct.error,  # a field beyond the end of its record
    ValueError,  # a name that is no text
    zstandard.ZstdError,
    RuntimeError,  # lz4: broken frame
    EOFError,
    MemoryError,  # a length that survived the checks
)


@dataclass(slots=True)
class _Block:
    """Bytes of the file that hold records: a chunk, or a run of messages outside chunks."""

    offset: int  # of the (compressed) records in the file
    length: int
    start_ns: int
    end_ns: int
    compression: str = ""
    unpacked: int = 0
    crc: int = 0
    cut: bool = False
    channels: set[int] | None = None


@dataclass(frozen=True)
class _Channel:
    topic: str
    encoding: str
    schema_id: int


class _Scan:
    """State of one walk over the file."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.size = path.stat().st_size
        self.file = StoredFile()
        self.blocks: list[_Block] = []
        self.schemas: dict[int, tuple[str, str, str]] = {}  # id -> name, encoding, text
        self.channels: dict[int, _Channel] = {}
        self.stats: dict[int, TopicStats] = {}


def scan_mcap(path: Path) -> StoredFile:
    """Structure of one mcap file. Raises InputError where it is no mcap at all; damage further on
    becomes a warning and everything before it is used."""
    scan = _Scan(path)
    with path.open("rb") as stream:
        start = stream.read(len(MAGIC))
        if start != MAGIC:
            raise InputError(
                f"{path}: not an mcap file: expected it to start with {MAGIC!r}, got {start!r}"
            )
        _walk(scan, stream)
        for block in scan.blocks:
            known = block.channels is not None and block.channels <= scan.channels.keys()
            if not known:
                _look_inside(scan, stream, block)
    return _stored(scan)


def _walk(scan: _Scan, stream: BinaryIO) -> None:
    """All top-level records in file order, until the footer, the end or the first damage."""
    position = len(MAGIC)
    while position < scan.size:
        stream.seek(position)
        head = stream.read(HEAD.size)
        if len(head) < HEAD.size:
            return _broken(scan, position, "the file ends inside a record")
        opcode, length = HEAD.unpack(head)
        if opcode == 0 or LAST_OPCODE < opcode < PRIVATE_OPCODE:
            return _broken(scan, position, f"there is no record of kind 0x{opcode:02x}")
        body = position + HEAD.size
        if opcode == FOOTER:
            return None
        cut = body + length > scan.size
        try:
            _take(scan, stream, opcode, body, min(length, scan.size - body), cut)
        except DAMAGE as error:
            return _broken(scan, position, f"unreadable record ({error})")
        if cut:
            return _broken(scan, position, "the file ends inside a record")
        position = body + length
    return _broken(scan, position, "the file ends without a footer")


def _broken(scan: _Scan, position: int, why: str) -> None:
    scan.file.warn(
        f"{scan.path.name}: broken at byte {position} of {scan.size}: {why}; "
        "everything before it is used"
    )


def _take(scan: _Scan, stream: BinaryIO, opcode: int, body: int, length: int, cut: bool) -> None:
    """One top-level record. Only chunks are of use when cut."""
    if opcode == CHUNK:
        _take_chunk(scan, stream, body, length, cut)
    elif cut:
        return
    elif opcode in (SCHEMA, CHANNEL):
        if _small_enough(scan, "declaration", body, length, MAX_DECLARATION_BYTES):
            _take_declaration(scan, opcode, memoryview(stream.read(length)))
    elif opcode == MESSAGE and _small_enough(scan, "message", body, length, MAX_CHUNK_BYTES):
        _take_loose_message(scan, stream.read(MESSAGE_HEAD.size), body, length)
    elif opcode == MESSAGE_INDEX and _small_enough(scan, "index", body, length, MAX_CHUNK_BYTES):
        _take_index(scan, stream, length)


def _take_chunk(scan: _Scan, stream: BinaryIO, body: int, length: int, cut: bool) -> None:
    start, end, unpacked, crc, name_length = CHUNK_HEAD.unpack(stream.read(CHUNK_HEAD.size))
    name = stream.read(min(name_length, 64)).decode()
    packed_at = CHUNK_HEAD.size + name_length + 8
    if length > packed_at and _small_enough(
        scan, "chunk", body, max(unpacked, length), MAX_CHUNK_BYTES
    ):
        times = (min(start, MAX_STAMP_NS), min(end, MAX_STAMP_NS))
        scan.blocks.append(
            _Block(body + packed_at, length - packed_at, *times, name, unpacked, crc, cut)
        )


def _take_index(scan: _Scan, stream: BinaryIO, length: int) -> None:
    """Channel, then (log time, offset) of each of its messages in the chunk before."""
    if not scan.blocks:
        return
    channel, size = struct.unpack("<HI", stream.read(6))
    pairs = np.frombuffer(stream.read(max(0, min(size, length - 6)) // 16 * 16), "<u8")
    _count(scan, channel, pairs[::2])
    block = scan.blocks[-1]
    block.channels = (block.channels or set()) | {channel}


def _small_enough(scan: _Scan, what: str, body: int, size: int, limit: int) -> bool:
    """Whether a record may be held in memory; if not, that is said."""
    if size > limit:
        scan.file.warn(
            f"{scan.path.name}: the {what} at byte {body - HEAD.size} says it holds {size} bytes, "
            f"more than the {limit} that are read at once; it is skipped"
        )
    return size <= limit


def _take_loose_message(scan: _Scan, head: bytes, body: int, length: int) -> None:
    """A message outside chunks joins the run before it, or starts a new one."""
    channel, _, log_ns, _ = MESSAGE_HEAD.unpack(head)
    log_ns = min(log_ns, MAX_STAMP_NS)
    _count(scan, channel, np.array([log_ns]))
    begin = body - HEAD.size
    last = scan.blocks[-1] if scan.blocks else None
    joins = last and last.unpacked == 0 and last.offset + last.length == begin
    if last and joins and last.length < RUN_BYTES:
        last.length = body + length - last.offset
        last.start_ns, last.end_ns = min(last.start_ns, log_ns), max(last.end_ns, log_ns)
        last.channels = (last.channels or set()) | {channel}
        return
    scan.blocks.append(_Block(begin, length + HEAD.size, log_ns, log_ns, channels={channel}))


def _take_declaration(scan: _Scan, opcode: int, content: memoryview) -> None:
    """A schema or a channel; the first of an id counts."""
    (key,) = struct.unpack_from("<H", content)
    if opcode == SCHEMA:
        name, at = _string(content, 2)
        encoding, at = _string(content, at)
        text, _ = _string(content, at)
        scan.schemas.setdefault(key, (name, encoding, text))
    else:
        (schema_id,) = struct.unpack_from("<H", content, 2)
        topic, at = _string(content, 4)
        encoding, _ = _string(content, at)
        scan.channels.setdefault(key, _Channel(topic, encoding, schema_id))


def _string(content: memoryview, at: int) -> tuple[str, int]:
    """Length-prefixed text at `at`, and where the next field starts."""
    (length,) = struct.unpack_from("<I", content, at)
    end = at + 4 + length
    if end > len(content):
        raise struct.error(f"a text of {length} bytes in a record of {len(content)}")
    # A protobuf schema is no text: bytes that are none stay as they are.
    return bytes(content[at + 4 : end]).decode("utf-8", "surrogateescape"), end


def _count(scan: _Scan, channel: int, log_ns: np.ndarray) -> None:
    if len(log_ns):
        times = np.minimum(log_ns, MAX_STAMP_NS).astype(np.int64)
        scan.stats.setdefault(channel, TopicStats()).add(times)


def _look_inside(scan: _Scan, stream: BinaryIO, block: _Block) -> None:
    """Find declarations, and the counts where no message index told them, in the block itself."""
    times: dict[int, array[int]] = {}
    view = _unpacked(scan.path, scan.file, stream, block)
    for opcode, start, end in _records(scan.path, scan.file, view, block):
        if opcode in (SCHEMA, CHANNEL):
            try:
                _take_declaration(scan, opcode, view[start:end])
            except DAMAGE as error:
                scan.file.warn(f"{scan.path.name}: an unreadable declaration ({error})")
        elif opcode == MESSAGE:
            channel, _, log_ns, _ = MESSAGE_HEAD.unpack_from(view, start)
            times.setdefault(channel, array("q")).append(min(log_ns, MAX_STAMP_NS))
    if block.channels is None:
        block.channels = set(times)
        for channel, stamps in times.items():
            _count(scan, channel, np.array(stamps))
        if times:
            block.start_ns = min(min(stamps) for stamps in times.values())
            block.end_ns = max(max(stamps) for stamps in times.values())


def _unpack(stream: BinaryIO, block: _Block) -> bytes:
    """Uncompressed records of a block; of a cut one, as much as there is."""
    stream.seek(block.offset)
    packed = stream.read(block.length)
    if block.compression == "":
        return packed
    if block.compression == "zstd":
        unpacker = zstandard.ZstdDecompressor().stream_reader(packed, read_across_frames=True)
        return bytes(unpacker.read(block.unpacked))
    if block.compression == "lz4":
        return bytes(lz4.frame.LZ4FrameDecompressor().decompress(packed, block.unpacked))
    raise RuntimeError(f"compression '{block.compression}' is not supported (lz4 and zstd are)")


def _unpacked(path: Path, file: StoredFile, stream: BinaryIO, block: _Block) -> memoryview:
    """Records of a block; none where it cannot be unpacked or is not what was written."""
    try:
        raw = _unpack(stream, block)
    except DAMAGE as error:
        file.warn(f"{path.name}: the chunk at byte {block.offset} cannot be unpacked: {error}")
        return memoryview(b"")
    if block.crc and not block.cut and zlib.crc32(raw) != block.crc:
        file.warn(f"{path.name}: the chunk at byte {block.offset} fails its checksum, skipped")
        return memoryview(b"")
    return memoryview(raw)


def _records(
    path: Path, file: StoredFile, view: memoryview, block: _Block
) -> Iterator[tuple[int, int, int]]:
    """(opcode, start, end of the content) of each record of a block, up to the first damage."""
    at = 0
    while at + HEAD.size <= len(view):
        opcode, length = HEAD.unpack_from(view, at)
        end = at + HEAD.size + length
        if end > len(view) or (opcode == MESSAGE and length < MESSAGE_HEAD.size):
            break
        yield opcode, at + HEAD.size, end
        at = end
    if at < len(view) and not block.cut:
        file.warn(f"{path.name}: the chunk at byte {block.offset} is damaged after {at} bytes")


def _stored(scan: _Scan) -> StoredFile:
    """Channel ids become topic names; the first type of a name counts."""
    file, names = scan.file, dict[int, str]()
    for key, channel in scan.channels.items():
        msgtype, form, text = scan.schemas.get(channel.schema_id, ("", "", ""))
        declared, msgtype = msgtype, ros2_type(msgtype)
        spelt = "" if declared == msgtype or form == "ros1msg" else declared
        topic = StoredTopic(channel.topic, msgtype, channel.encoding, text, form, spelt)
        known = file.topics.setdefault(channel.topic, topic)
        if known.msgtype != msgtype:
            file.warn(
                f"{scan.path.name}: topic {channel.topic} has two types, {known.msgtype} and "
                f"{msgtype}; the second is ignored"
            )
            continue
        names[key] = channel.topic
        file.stats.setdefault(channel.topic, TopicStats()).join(scan.stats.get(key, TopicStats()))
    sets: dict[frozenset[str], frozenset[str]] = {}  # a long bag has few different ones
    for block in scan.blocks:
        inside = frozenset(names[key] for key in block.channels or () if key in names)
        inside, block.channels = sets.setdefault(inside, inside), None
        read = partial(_read, scan.path, file, names, block)
        held = block.unpacked or block.length
        section = FileSection(block.start_ns, block.end_ns, inside, read, scan.path.name, held)
        file.sections.append(section)
    return file


def _read(
    path: Path, file: StoredFile, names: dict[int, str], block: _Block, wanted: frozenset[str]
) -> Iterator[Record]:
    """Messages of one block in log-time order. Only where they lie is noted: there may be millions
    of them."""
    keys = {key: name for key, name in names.items() if name in wanted}
    stamps, starts, ends, channels = array("q"), array("Q"), array("Q"), array("H")
    with path.open("rb") as stream:
        view = _unpacked(path, file, stream, block)
    for opcode, start, end in _records(path, file, view, block):
        if opcode == MESSAGE:
            channel, _, log_ns, _ = MESSAGE_HEAD.unpack_from(view, start)
            if channel in keys:
                stamps.append(min(log_ns, MAX_STAMP_NS))
                starts.append(start + MESSAGE_HEAD.size)
                ends.append(end)
                channels.append(channel)
    for index in np.argsort(stamps, kind="stable"):
        data = view[starts[index] : ends[index]]
        yield Record(stamps[index], keys[channels[index]], data)
