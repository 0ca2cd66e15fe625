"""Small recordings that would unpack to gigabytes: refused or cut with a sentence, in bounded
memory, and what lies beside them is read."""

from __future__ import annotations

import bz2
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import lz4.frame
import pytest
import zstandard
from bag_maker import START, scene, write_mcap, write_rosbag1, write_rosbag2
from memory_peak import SLACK, peak_bytes
from rosbags.rosbag1 import Writer as Writer1
from rosbags.rosbag2 import CompressionMode

from irl_vla.bag import bag_files, rosbag1_file
from irl_vla.bag.bag import open_bag
from irl_vla.bag.file_sections import MAX_CHUNK_BYTES, MAX_HELD_BYTES
from irl_vla.messages.messages import MAX_MESSAGE_BYTES, Decoder
from irl_vla.messages.records import StoredTopic
from irl_vla.types import EgoMotion, InputError

GIB = 2**30
PACK: dict[str, Callable[[bytes], bytes]] = {
    "zstd": lambda data: zstandard.ZstdCompressor(level=1).compress(data),
    "lz4": lambda data: bytes(lz4.frame.compress(data)),
}
READ_ALL = """
from irl_vla.bag.bag import open_bag
from irl_vla.types import InputError
with open_bag(sys.argv[1]) as bag:
    try:
        count = sum(1 for event in bag.events())
        print(count, *bag.warnings, sep="\\n", file=sys.stderr)
    except InputError as error:
        print(error, file=sys.stderr)
"""
MAGIC = b"\x89MCAP0\r\n"


def record(opcode: int, content: bytes) -> bytes:
    return struct.pack("<BQ", opcode, len(content)) + content


def text(value: str) -> bytes:
    return struct.pack("<I", len(value)) + value.encode()


def message(log_ns: int, size: int, channel: int = 1) -> bytes:
    return record(5, struct.pack("<HIQQ", channel, 0, log_ns, log_ns) + bytes(size))


def chunk(content: bytes, kind: str, declared: int | None = None, log_ns: int = START) -> bytes:
    """declared: the size that it says it unpacks to; None: the truth."""
    packed = PACK[kind](content)
    size = len(content) if declared is None else declared
    head = struct.pack("<QQQI", log_ns, log_ns, size, 0) + text(kind)
    return record(6, head + struct.pack("<Q", len(packed)) + packed)


def mcap_of(path: Path, *chunks: bytes) -> Path:
    """Chunks with messages of the topic /odom."""
    schema = record(3, struct.pack("<H", 1) + text("nav_msgs/msg/Odometry") + text("") + text(""))
    channel = record(4, struct.pack("<HH", 1, 1) + text("/odom") + text("cdr") + text(""))
    path.write_bytes(MAGIC + record(1, text("ros2") + text("")) + schema + channel
                     + b"".join(chunks) + record(2, bytes(20)) + MAGIC)  # fmt: skip
    return path


def read_all(path: Path) -> tuple[list[object], tuple[str, ...]]:
    with open_bag(path) as bag:
        return list(bag.events()), bag.warnings


@pytest.mark.parametrize("kind", PACK)
def test_a_chunk_that_says_it_is_too_large_is_skipped_by_name(kind: str, tmp_path: Path) -> None:
    path = mcap_of(tmp_path / "a.mcap", chunk(message(START, 9), kind, MAX_CHUNK_BYTES + 1))
    _, warnings = read_all(path)
    assert any(f"says it holds {MAX_CHUNK_BYTES + 1} bytes" in warning for warning in warnings)


@pytest.mark.parametrize("kind", PACK)
def test_a_chunk_that_holds_more_than_it_says_costs_what_it_says(kind: str, tmp_path: Path) -> None:
    """A gigabyte in a chunk that says a megabyte."""
    path = mcap_of(tmp_path / "a.mcap", chunk(message(START, GIB), kind, 2**20))
    assert path.stat().st_size < 8_000_000
    assert peak_bytes(READ_ALL, path) < SLACK


def test_chunks_that_overlap_in_time_are_not_all_held_at_once(tmp_path: Path) -> None:
    """Twenty chunks of 200 MB each, all of the same moment."""
    big = chunk(message(START, 200_000_000), "zstd")
    path = mcap_of(tmp_path / "a.mcap", *(big for _ in range(20)))
    assert path.stat().st_size < 1_000_000
    with pytest.raises(InputError, match=rf"a\.mcap: .*overlap in time.*{MAX_HELD_BYTES}"):
        read_all(path)
    # a chunk is whole once more where its message is decoded
    assert peak_bytes(READ_ALL, path) < MAX_HELD_BYTES + 200_000_000 + SLACK


def test_any_number_of_empty_messages_take_no_more_than_their_bytes(tmp_path: Path) -> None:
    tiny = message(START, 0)
    many, one = (
        mcap_of(tmp_path / f"{count}.mcap", chunk(tiny * count, "zstd")) for count in (300_000, 1)
    )
    assert many.stat().st_size < 100_000
    assert peak_bytes(READ_ALL, many) - peak_bytes(READ_ALL, one) < 4 * 300_000 * len(tiny)


def test_a_declaration_of_hundreds_of_megabytes_is_not_read(tmp_path: Path) -> None:
    """The file is sparse: it takes no room on the disk."""
    path = mcap_of(tmp_path / "a.mcap", chunk(message(START, 9), "zstd"))
    head = path.read_bytes()[: -len(record(2, bytes(20)) + MAGIC)]
    with path.open("wb") as file:
        file.write(head + struct.pack("<BQ", 3, GIB))
        file.truncate(len(head) + 9 + GIB)
    assert any("the declaration at byte" in warning for warning in read_all(path)[1])
    assert peak_bytes(READ_ALL, path) < SLACK


def test_a_compressed_message_has_a_limit() -> None:
    decode = Decoder(StoredTopic("/odom", "nav_msgs/msg/Odometry"))
    bomb = PACK["zstd"](bytes(MAX_MESSAGE_BYTES + 1))
    with pytest.raises(InputError, match=f"unpacks to more than {MAX_MESSAGE_BYTES} bytes"):
        decode(bomb)


def compressed_file(folder: Path, monkeypatch: pytest.MonkeyPatch, content: bytes) -> Path:
    """bag.mcap.zstd that holds other bytes; the limits are those of a small bag."""
    path = write_rosbag2(folder / "bag", scene(3), mode=CompressionMode.FILE)
    (packed,) = path.glob("*.zstd")
    packed.write_bytes(content)
    monkeypatch.setattr(bag_files, "UNPACKED_ALWAYS", 2**20)
    return path


@pytest.mark.parametrize("declared", [True, False])
def test_a_compressed_file_is_not_unpacked_beyond_a_hundredfold(
    declared: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    packer = zstandard.ZstdCompressor(level=1, write_content_size=declared)
    bomb = packer.compress(bytes(2**27))
    path = compressed_file(tmp_path, monkeypatch, bomb)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "unpacked"))
    (tmp_path / "unpacked").mkdir()
    with pytest.raises(InputError, match=r"bag\.mcap\.zstd: unpacks to more than \d+ bytes"):
        open_bag(path)
    assert not list((tmp_path / "unpacked").iterdir()), "nothing stays on the disk"


def test_of_a_split_bag_a_bomb_does_not_spoil_the_other_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "bag"
    folder.mkdir()
    write_mcap(folder / "a.mcap", scene(3))
    (folder / "b.mcap.zstd").write_bytes(PACK["zstd"](bytes(2**27)))
    monkeypatch.setattr(bag_files, "UNPACKED_ALWAYS", 2**20)
    events, warnings = read_all(folder)
    assert sum(isinstance(event, EgoMotion) for event in events) == 3
    assert any("b.mcap.zstd: unpacks to more than" in warning for warning in warnings)


ROS1_PACK: dict[Any, Callable[[bytes], bytes]] = {
    Writer1.CompressionFormat.BZ2: bz2.compress,
    Writer1.CompressionFormat.LZ4: PACK["lz4"],
}


@pytest.mark.parametrize("kind", ROS1_PACK)
def test_a_chunk_of_a_ros_1_bag_has_a_limit(
    kind: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    messages = [m for m in scene(30) if m.topic == "/odom"]
    path = write_rosbag1(tmp_path / "a.bag", messages, kind)
    assert len(read_all(path)[0]) == 30
    monkeypatch.setattr(rosbag1_file, "MAX_CHUNK_BYTES", 5000)
    events, warnings = read_all(path)
    assert not events and any("unpacks to more than 5000 bytes" in text for text in warnings)


def test_a_bzip2_bomb_in_a_ros_1_bag_costs_no_gigabytes(tmp_path: Path) -> None:
    """The chunk begins with a gigabyte of zeros instead of its own bytes."""
    path = write_rosbag1(tmp_path / "a.bag", scene(9), Writer1.CompressionFormat.BZ2)
    data, bomb = bytearray(path.read_bytes()), bz2.compress(bytes(GIB // 16)) * 16
    at = data.index(b"BZh9")
    assert len(bomb) < len(data) - at
    data[at : at + len(bomb)] = bomb
    path.write_bytes(data)
    limit = f"import irl_vla.bag.rosbag1_file as reader; reader.MAX_CHUNK_BYTES = {2**26}\n"
    assert peak_bytes(limit + READ_ALL, path) < 2**26 + SLACK
