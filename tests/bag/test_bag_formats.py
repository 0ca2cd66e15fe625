"""The same drive, stored in every way that ROS knows, reads the same."""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from bag_maker import (
    START,
    STEP,
    Message,
    compressed,
    scene,
    write_mcap,
    write_rosbag1,
    write_rosbag2,
)
from mcap.writer import CompressionType
from rosbags.rosbag1 import Writer as Writer1
from rosbags.rosbag2 import CompressionMode, StoragePlugin

from irl_vla.bag.bag import open_bag
from irl_vla.bag.mcap_file import scan_mcap
from irl_vla.messages.events import Event
from irl_vla.types import CameraImage, EgoMotion, Intent, IntentDirection

COUNT = 5
SQLITE, MCAP = StoragePlugin.SQLITE3, StoragePlugin.MCAP
Make = Callable[[Path, list[Message]], Path]


def only_file(folder: Path, name: str) -> Path:
    """The storage file alone, without metadata.yaml."""
    moved = folder.with_name(name)
    shutil.move(next(p for p in folder.iterdir() if p.suffix != ".yaml"), moved)
    return moved


def without_metadata(folder: Path) -> Path:
    (folder / "metadata.yaml").unlink()
    return folder


WAYS: dict[str, Make] = {
    "mcap": lambda p, m: write_rosbag2(p / "bag", m),
    "mcap, older metadata": lambda p, m: write_rosbag2(p / "bag", m, version=8),
    "mcap without metadata": lambda p, m: without_metadata(write_rosbag2(p / "bag", m)),
    "mcap file": lambda p, m: only_file(write_rosbag2(p / "bag", m), "one.mcap"),
    "mcap, zstd chunks": lambda p, m: write_rosbag2(p / "bag", m, mode=CompressionMode.STORAGE),
    "mcap, zstd messages": lambda p, m: write_rosbag2(p / "bag", m, mode=CompressionMode.MESSAGE),
    "mcap, zstd file": lambda p, m: write_rosbag2(p / "bag", m, mode=CompressionMode.FILE),
    "mcap, zstd file alone": lambda p, m: only_file(
        write_rosbag2(p / "bag", m, mode=CompressionMode.FILE), "one.mcap.zstd"
    ),
    "sqlite": lambda p, m: write_rosbag2(p / "bag", m, SQLITE),
    "sqlite file": lambda p, m: only_file(write_rosbag2(p / "bag", m, SQLITE), "one.db3"),
    "sqlite, zstd messages": lambda p, m: write_rosbag2(
        p / "bag", m, SQLITE, CompressionMode.MESSAGE
    ),
    "sqlite, zstd file": lambda p, m: write_rosbag2(p / "bag", m, SQLITE, CompressionMode.FILE),
    "reference mcap": lambda p, m: write_mcap(p / "one.mcap", m),
    "reference mcap, lz4": lambda p, m: write_mcap(p / "one.mcap", m, CompressionType.LZ4),
    "reference mcap, zstd": lambda p, m: write_mcap(p / "one.mcap", m, CompressionType.ZSTD),
    "reference mcap, no chunks": lambda p, m: write_mcap(p / "one.mcap", m, chunked=False),
    "reference mcap, no index": lambda p, m: write_mcap(p / "one.mcap", m, indexed=False),
    "rosbag1": lambda p, m: write_rosbag1(p / "one.bag", m),
    "rosbag1, bz2": lambda p, m: write_rosbag1(
        p / "one.bag", m, Writer1.CompressionFormat.BZ2
    ),
    "rosbag1, lz4": lambda p, m: write_rosbag1(
        p / "one.bag", m, Writer1.CompressionFormat.LZ4
    ),
}  # fmt: skip


def outline(event: Event) -> tuple[object, ...]:
    if isinstance(event, CameraImage):
        return event.camera, event.stamp_ns, event.encoded
    assert isinstance(event, (EgoMotion, Intent)), event
    if isinstance(event, Intent):
        return event.direction, event.stamp_ns
    return event.stamp_ns, event.world_from_ego.tobytes(), event.twist.tobytes()


@pytest.mark.parametrize("way", WAYS)
def test_every_format_tells_the_same_drive(way: str, tmp_path: Path) -> None:
    path = WAYS[way](tmp_path, scene(COUNT))
    with open_bag(path) as bag:
        events = [outline(event) for event in bag.events()]
        info, rig = bag.info(), bag.rig()
    with open_bag(write_rosbag2(tmp_path / "reference", scene(COUNT))) as bag:
        assert events == [outline(event) for event in bag.events()]
    assert len(events) == 3 * COUNT + 1
    assert events[0] == (IntentDirection.LEFT, START)
    assert info.warnings == () and info.missing == ()
    assert info.messages == 5 * COUNT + 2
    assert info.storage == {"m": "mcap", "r": "mcap", "s": "sqlite3"}[way[0]] or "rosbag1" in way
    assert set(rig.names) == {"front", "back"}
    rows = {row.name: row for row in info.topics}
    assert rows["/odom"].count == COUNT
    assert rows["/odom"].rate_hz == pytest.approx(10.0)
    assert rows["/odom"].first_ns == START + STEP + 2000


def test_events_come_in_the_order_of_recording_however_they_lie_in_the_file(
    tmp_path: Path,
) -> None:
    messages = scene(40)
    random.Random(1).shuffle(messages)
    for name, path in {
        "chunks": write_mcap(tmp_path / "a.mcap", messages, chunk_size=3000),
        "loose": write_mcap(tmp_path / "b.mcap", messages, chunked=False),
        "rows": write_rosbag2(tmp_path / "c", messages, SQLITE),
    }.items():
        with open_bag(path) as bag:
            stamps = [e.stamp_ns for e in bag.events() if isinstance(e, EgoMotion)]
        assert stamps == sorted(stamps) and len(stamps) == 40, name


@pytest.mark.parametrize(("megabytes", "runs"), [(0.1, 1), (3, 2), (5, 4)])
def test_messages_outside_chunks_are_read_in_runs_of_about_four_megabytes(
    megabytes: float, runs: int, tmp_path: Path
) -> None:
    """A run that is not full yet takes the next message whole, so four of 3 MB are two runs."""
    images = [
        Message("/image", "sensor_msgs/msg/CompressedImage",
                compressed(START + k * STEP, data=bytes(int(megabytes * 1e6))), START + k * STEP)
        for k in range(4)
    ]  # fmt: skip
    file = scan_mcap(write_mcap(tmp_path / "loose.mcap", images, chunked=False))
    assert len(file.sections) == runs
    records = [
        record for section in file.sections for record in section.read(frozenset({"/image"}))
    ]
    assert [record.log_ns for record in records] == [START + k * STEP for k in range(4)]
    assert file.sections[-1].end_ns == START + 3 * STEP


@pytest.mark.parametrize("storage", [SQLITE, MCAP])
@pytest.mark.parametrize("metadata", [True, False])
def test_a_split_bag_is_one_drive(storage: StoragePlugin, metadata: bool, tmp_path: Path) -> None:
    messages, folder = scene(12), tmp_path / "split"
    folder.mkdir()
    suffix = ".db3" if storage == SQLITE else ".mcap"
    names = []
    for index, part in enumerate(np.array_split(np.arange(len(messages)), 11)):
        piece = write_rosbag2(tmp_path / f"part{index}", [messages[i] for i in part], storage)
        names.append(f"split_{index}{suffix}")
        shutil.move(next(piece.glob(f"*{suffix}")), folder / names[-1])
    if metadata:
        listed = "\n".join(f"  - {name}" for name in names)
        (folder / "metadata.yaml").write_text(
            f"rosbag2_bagfile_information:\n  version: 5\n  relative_file_paths:\n{listed}\n"
        )
    with open_bag(folder) as bag:
        stamps = [e.stamp_ns for e in bag.events() if isinstance(e, EgoMotion)]
        info = bag.info()
    assert stamps == [START + (i + 1) * STEP for i in range(12)]
    row = next(row for row in info.topics if row.name == "/odom")
    assert (row.count, row.largest_gap_s) == (12, pytest.approx(0.1))


def test_a_missing_piece_of_a_split_bag_is_named_and_the_rest_is_used(tmp_path: Path) -> None:
    folder = write_rosbag2(tmp_path / "bag", scene(3))
    text = (folder / "metadata.yaml").read_text()
    (folder / "metadata.yaml").write_text(text.replace("  - bag.mcap", "  - bag.mcap\n  - b.mcap"))
    with open_bag(folder) as bag:
        assert sum(isinstance(event, EgoMotion) for event in bag.events()) == 3
        assert any("b.mcap" in text and "not there" in text for text in bag.warnings)


def test_closing_leaves_nothing_unpacked_behind(tmp_path: Path) -> None:
    folder = write_rosbag2(tmp_path / "bag", scene(2), mode=CompressionMode.FILE)
    with open_bag(folder) as bag:
        unpacked = bag._stored.unpacked
        assert unpacked is not None and unpacked.path.is_dir()
    assert not unpacked.path.exists()
