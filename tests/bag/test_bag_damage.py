"""Broken recordings: everything before the break is used, the break is named, nothing crashes."""

from __future__ import annotations

import random
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from bag_maker import START, STEP, Message, scene, write_mcap, write_rosbag1, write_rosbag2
from mcap.writer import CompressionType
from rosbags.rosbag1 import Writer as Writer1
from rosbags.rosbag2 import CompressionMode, StoragePlugin

from irl_vla.bag.bag import open_bag
from irl_vla.messages.events import Notice
from irl_vla.types import CameraImage, EgoMotion, InputError

FAST, ALL = 60, 500  # mutated bags in the normal tests and in the slow ones
TIME_LIMIT_S = 20  # of one mutated bag; the slowest takes well under a second
PLAIN = CompressionType.NONE


def read_all(path: Path) -> tuple[list[object], tuple[str, ...]]:
    with open_bag(path) as bag:
        bag.info()
        with suppress(InputError):
            bag.rig()
        events: list[object] = list(bag.events())
        bag.boxes_at(START)
        return events, bag.warnings


def stamps(events: list[object]) -> list[int]:
    return [e.stamp_ns for e in events if isinstance(e, EgoMotion)]


def records(data: bytes) -> Iterator[tuple[int, int]]:
    """(offset, opcode) of the top-level records of an mcap."""
    at = 8
    while at + 9 <= len(data) - 8:
        yield at, data[at]
        at += 9 + int.from_bytes(data[at + 1 : at + 9], "little")


@pytest.mark.parametrize(
    ("compression", "chunked"), [*((kind, True) for kind in CompressionType), (PLAIN, False)]
)
def test_a_cut_mcap_gives_everything_before_the_cut_and_names_the_byte(
    compression: CompressionType, chunked: bool, tmp_path: Path
) -> None:
    whole = write_mcap(tmp_path / "a.mcap", scene(30), compression, chunked, chunk_size=6000)
    data, before = whole.read_bytes(), 0
    for part in range(1, 40):
        cut = tmp_path / f"cut{part}.mcap"
        cut.write_bytes(data[: len(data) * part // 40])
        try:
            events, warnings = read_all(cut)
        except InputError as error:
            assert "mcap" in str(error)
            continue
        assert any(f"of {cut.stat().st_size}" in w and "broken at byte" in w for w in warnings)
        got = stamps(events)
        assert got == [START + (i + 1) * STEP for i in range(len(got))]
        assert len(got) >= before
        before = len(got)
    assert before >= 20


def test_a_cut_inside_an_uncompressed_chunk_loses_only_the_messages_behind_it(
    tmp_path: Path,
) -> None:
    path = write_mcap(tmp_path / "a.mcap", scene(20), chunk_size=10**7, finish=True)
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    events, _ = read_all(path)
    assert 5 <= len(stamps(events)) <= 15


def test_a_recorder_that_was_killed_leaves_a_readable_bag(tmp_path: Path) -> None:
    path = write_mcap(tmp_path / "a.mcap", scene(30), finish=False, chunk_size=2000)
    events, warnings = read_all(path)
    assert len(stamps(events)) >= 25
    assert any("without a footer" in text for text in warnings)


def test_a_damaged_chunk_is_skipped_and_the_drive_goes_on(tmp_path: Path) -> None:
    path = write_mcap(tmp_path / "a.mcap", scene(30), CompressionType.ZSTD, chunk_size=3000)
    data = bytearray(path.read_bytes())
    data[len(data) // 2 : len(data) // 2 + 40] = bytes(40)
    path.write_bytes(data)
    events, warnings = read_all(path)
    assert 15 <= len(stamps(events)) < 30
    assert stamps(events)[-1] == START + 30 * STEP
    assert any("chunk at byte" in text or "broken" in text for text in warnings)


def test_a_length_that_claims_exabytes_allocates_nothing(tmp_path: Path) -> None:
    path = write_mcap(tmp_path / "a.mcap", scene(5), chunk_size=2000)
    data = bytearray(path.read_bytes())
    second = [at for at, kind in records(data) if kind == 0x06][1]
    data[second + 1 : second + 9] = (2**60).to_bytes(8, "little")
    path.write_bytes(data)
    _, warnings = read_all(path)
    assert any("broken at byte" in text for text in warnings)


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.mcap", b"", "empty"),
        ("a.db3", b"", "empty"),
        ("a.mcap", b"this is a text file, not a bag\n", "not a bag"),
        ("a.mcap", b"\x89MCAP0\r\n", None),
        ("a.db3", b"SQLite format 3\x00" + bytes(3000), "database"),
        ("a.bag", b"#ROSBAG V2.0\n" + b"\xff" * 100, "ROS 1"),
        ("a.mcap.zstd", b"\x28\xb5\x2f\xfd" + b"\x00\xff" * 40, "empty"),
    ],
)
def test_what_is_no_bag_is_refused_with_a_sentence(
    name: str, content: bytes, said: str | None, tmp_path: Path
) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    if said is None:  # a recording of nothing is a bag, and says so
        with open_bag(path) as bag:
            assert bag.info().missing == ("no messages at all",)
        return
    with pytest.raises(InputError, match=said) as caught:
        open_bag(path)
    assert name.split(".")[0] in str(caught.value)


def test_a_directory_without_a_bag_says_what_it_found(tmp_path: Path) -> None:
    (tmp_path / "holiday.txt").write_text("hello")
    with pytest.raises(InputError, match=r"no bag in this directory.*holiday\.txt"):
        open_bag(tmp_path)
    with pytest.raises(InputError, match="no such file"):
        open_bag(tmp_path / "nowhere")


def test_nonsense_in_metadata_does_not_hide_the_bag(tmp_path: Path) -> None:
    for index, text in enumerate(
        ["", "[1, 2]", "a: b: c", "rosbag2_bagfile_information: 3", "\x00"]
    ):
        folder = write_rosbag2(tmp_path / f"bag{index}", scene(3))
        (folder / "metadata.yaml").write_text(text)
        events, warnings = read_all(folder)
        assert len(stamps(events)) == 3 and any("metadata.yaml" in w for w in warnings)


@pytest.mark.parametrize("name", ["/etc/passwd", "../../secret.mcap", "..", "", "[3]"])
def test_a_name_in_metadata_that_leaves_the_folder_is_not_followed(
    name: str, tmp_path: Path
) -> None:
    folder = write_rosbag2(tmp_path / "a" / "bag", scene(3))
    write_mcap(tmp_path / "secret.mcap", scene(9))
    metadata = folder / "metadata.yaml"
    metadata.write_text(metadata.read_text().replace("- bag.mcap", f"- {name or repr(name)}"))
    events, warnings = read_all(folder)
    assert len(stamps(events)) == 3
    assert any("metadata.yaml cannot be used (relative_file_paths: " in w for w in warnings)


def test_a_damaged_database_gives_the_rows_before_the_damage(tmp_path: Path) -> None:
    folder = write_rosbag2(tmp_path / "bag", scene(60), StoragePlugin.SQLITE3)
    path = next(folder.glob("*.db3"))
    data = bytearray(path.read_bytes())
    for page in range(len(data) * 3 // 4 // 4096, len(data) // 4096):
        data[page * 4096 : (page + 1) * 4096] = b"\xff" * 4096
    path.write_bytes(data)
    try:
        events, warnings = read_all(path)
    except InputError as error:
        assert "database" in str(error)
        return
    assert warnings and len(stamps(events)) < 60


@contextmanager
def time_limit(seconds: int) -> Iterator[None]:
    def ring(*_: object) -> None:
        raise TimeoutError(f"reading took more than {seconds} s")

    before = signal.signal(signal.SIGALRM, ring)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def originals(folder: Path) -> list[Path]:
    """Small bags of every kind to spoil."""
    messages = scene(6)
    rows = write_rosbag2(folder / "rows", messages, StoragePlugin.SQLITE3)
    packed = write_rosbag2(folder / "m", messages, mode=CompressionMode.MESSAGE)
    return [
        write_mcap(folder / "plain.mcap", messages, chunk_size=3000),
        write_mcap(folder / "zstd.mcap", messages, CompressionType.ZSTD, chunk_size=3000),
        write_mcap(folder / "lz4.mcap", messages, CompressionType.LZ4, chunk_size=3000),
        write_mcap(folder / "loose.mcap", messages, chunked=False),
        write_mcap(folder / "swapped.mcap", swapped(messages)),
        next(packed.glob("*.mcap")),
        next(rows.glob("*.db3")),
        write_rosbag1(folder / "one.bag", messages, Writer1.CompressionFormat.LZ4),
        write_rosbag1(folder / "two.bag", messages),
    ]


def swapped(messages: list[Message]) -> list[Message]:
    """Every topic claims to be of another topic's type, with its bytes."""
    kinds = sorted({(m.topic, m.msgtype) for m in messages})
    other = {topic: kinds[(i + 1) % len(kinds)][0] for i, (topic, _) in enumerate(kinds)}
    return [Message(other[m.topic], m.msgtype, m.content, m.log_ns) for m in messages]


def spoil(data: bytes, dice: random.Random) -> bytes:
    """Flip, cut, shuffle, repeat, blank or overwrite lengths."""
    spoiled = bytearray(data)
    how = dice.choice(["flip", "flip", "cut", "shuffle", "repeat", "blank", "huge", "drop"])
    at = dice.randrange(8, len(spoiled))
    span = dice.randrange(1, 600)
    if how == "flip":
        for _ in range(dice.choice([1, 3, 30])):
            spoiled[dice.randrange(len(spoiled))] ^= 1 << dice.randrange(8)
    elif how == "cut":
        del spoiled[at:]
    elif how == "drop":
        del spoiled[at : at + span]
    elif how == "blank":
        spoiled[at : at + span] = bytes([dice.choice([0, 255])]) * span
    elif how == "repeat":
        spoiled[at:at] = spoiled[at : at + span]
    elif how == "huge":
        for _ in range(3):
            at = dice.randrange(8, len(spoiled) - 8)
            spoiled[at : at + 8] = dice.choice([2**60, 2**32 - 1, 2**63 - 1]).to_bytes(8, "little")
    else:
        size = max(16, len(spoiled) // dice.randrange(3, 12))
        pieces = [spoiled[i : i + size] for i in range(0, len(spoiled), size)]
        head, rest = pieces[0], pieces[1:]
        dice.shuffle(rest)
        spoiled = bytearray().join([head, *rest])
    return bytes(spoiled)


def read_spoiled_bags(numbers: range, folder: Path) -> None:
    good = originals(folder)
    for number in numbers:
        dice = random.Random(number)
        original = good[number % len(good)]
        path = folder / f"spoiled{original.suffix}"
        path.write_bytes(spoil(original.read_bytes(), dice))
        with time_limit(TIME_LIMIT_S):
            try:
                events, _ = read_all(path)
            except InputError as error:
                assert len(str(error)) > 20
                continue
            except Exception as error:
                raise AssertionError(f"mutation {number} of {original.name}: {error!r}") from error
        kinds = (CameraImage, EgoMotion, Notice)
        assert sum(isinstance(event, kinds) for event in events) <= 10_000


def test_spoiled_bags_never_crash_nor_hang(tmp_path: Path) -> None:
    read_spoiled_bags(range(FAST), tmp_path)


@pytest.mark.slow
def test_five_hundred_spoiled_bags_never_crash_nor_hang(tmp_path: Path) -> None:
    read_spoiled_bags(range(ALL), tmp_path)


def test_topics_with_swapped_types_give_notices(tmp_path: Path) -> None:
    kinds = {"/odom": "sensor_msgs/msg/CompressedImage", "/x": "nav_msgs/msg/Odometry"}
    messages = scene(3)
    odometry = [m for m in messages if m.topic == "/odom"]
    path = write_mcap(tmp_path / "a.mcap", [*messages, *odometry])
    data = path.read_bytes()
    # The same bytes under another, equally long type name: Odometry's bytes read as a String.
    assert kinds and b"nav_msgs/msg/Odometry" in data
    path.write_bytes(data.replace(b"std_msgs/msg/String", b"std_msgs/msg/Header"))
    events, _ = read_all(path)
    assert len(stamps(events)) == 6
