"""Spoilt recordings through `irl-vla replay`: exit code 0 or 3, one sentence, never a traceback."""

from __future__ import annotations

import random
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import FrameType

import pytest
from cli_bags import ODOM, CommandResult, Entry, picture, replay, shifted, street, write

from irl_vla.types import SECOND_NS

FAST, ALL = 40, 500
TIME_LIMIT_S = 20  # of one replay; the slowest takes about one second

Spoil = Callable[[list[Entry], random.Random], list[Entry]]


def drop(entries: list[Entry], rng: random.Random) -> list[Entry]:
    share = rng.random()
    return [e for e in entries if rng.random() > share]


def drop_topic(entries: list[Entry], rng: random.Random) -> list[Entry]:
    topic = rng.choice(sorted({e.topic for e in entries}))
    return [e for e in entries if e.topic != topic]


def shuffle(entries: list[Entry], rng: random.Random) -> list[Entry]:
    times = [e.log_ns for e in entries]
    mixed = rng.sample(entries, len(entries))
    return [replace(e, log_ns=t) for e, t in zip(mixed, times, strict=True)]


def leap(entries: list[Entry], rng: random.Random) -> list[Entry]:
    at = rng.randrange(len(entries))
    by = round(rng.choice([-1, 1]) * 10 ** rng.uniform(-3, 7) * SECOND_NS)
    return entries[:at] + shifted(entries[at:], by, 0)


def garbage(entries: list[Entry], rng: random.Random) -> list[Entry]:
    def spoilt(e: Entry) -> Entry:
        data = bytearray(bytes(e.message.data))
        for _ in range(rng.randrange(1, 30)):
            data[rng.randrange(len(data))] = rng.randrange(256)
        return picture(e.message.header.frame_id, e.stamp_ns, bytes(data[: rng.randrange(9999)]))

    return [spoilt(e) if e.is_picture and rng.random() < 0.7 else e for e in entries]


def wild_motion(entries: list[Entry], rng: random.Random) -> list[Entry]:
    numbers = [float("nan"), float("inf"), -1e300, 1e-300, 0.0, 1e9]
    for e in entries:
        if e.msgtype == ODOM and rng.random() < 0.5:
            pose, twist = e.message.pose.pose, e.message.twist.twist
            target = rng.choice([pose.position, pose.orientation, twist.linear, twist.angular])
            setattr(target, rng.choice("xyz"), rng.choice(numbers))
    return entries


def wild_calibration(entries: list[Entry], rng: random.Random) -> list[Entry]:
    numbers = [float("nan"), float("inf"), -1.0, 0.0, 1e12]
    for e in entries:
        if e.topic.endswith("camera_info"):
            values = rng.choice([e.message.k, e.message.d, e.message.p])
            values[rng.randrange(len(values))] = rng.choice(numbers)
            e.message.width = rng.choice([e.message.width, 0, 2**31])
            e.message.distortion_model = rng.choice(["plumb_bob", "", "fisheye", "x" * 100])
        if e.topic == "/tf_static" and rng.random() < 0.5:
            edge = rng.choice(e.message.transforms)
            edge.transform.rotation.w = edge.transform.translation.x = rng.choice(numbers)
    return entries


MESSAGES: list[Spoil] = [
    drop, drop_topic, shuffle, leap, garbage, wild_motion, wild_calibration,
]  # fmt: skip


def flip(data: bytearray, rng: random.Random) -> bytearray:
    for _ in range(rng.choice([1, 3, 30, 300])):
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    return data


def cut(data: bytearray, rng: random.Random) -> bytearray:
    return data[: rng.randrange(len(data))]


def hole(data: bytearray, rng: random.Random) -> bytearray:
    at = rng.randrange(len(data))
    del data[at : at + rng.randrange(1, 5000)]
    return data


BYTES = [flip, cut, hole]


def out_of_time(_number: int, _frame: FrameType | None) -> None:
    raise TimeoutError(f"a replay took longer than {TIME_LIMIT_S} s")


def survives(seed: int, folder: Path) -> CommandResult:
    """One or two wounds of the messages or of the file."""
    rng = random.Random(seed)
    entries = street(("front", "left")[: rng.choice([1, 2])], anchors=5)
    for spoil in rng.sample(MESSAGES, rng.choice([0, 1, 2])):
        entries = spoil(entries, rng) or entries
    bag = write(folder / "bag.mcap", entries)
    if rng.random() < 0.5:
        bag.write_bytes(rng.choice(BYTES)(bytearray(bag.read_bytes()), rng))
    before = signal.signal(signal.SIGALRM, out_of_time)
    signal.alarm(TIME_LIMIT_S)
    try:
        ran = replay(bag, out=folder / "out")
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)
    assert ran.code in (0, 3, 4), ran.stderr
    assert "Traceback" not in ran.stderr
    if ran.code != 3:
        assert len(ran.lines) == ran.summary["frames"] > 0
        assert (ran.code == 4) == ("lost      " in ran.stdout)
    else:
        assert ran.stderr.strip().startswith("error: ")
    return ran


def test_no_spoilt_recording_crashes_a_replay(tmp_path: Path) -> None:
    codes = [survives(seed, tmp_path).code for seed in range(FAST)]
    assert {0, 3} <= set(codes)


@pytest.mark.slow
@pytest.mark.parametrize("part", range(10))
def test_no_spoilt_recording_of_many_crashes_a_replay(
    part: int, tmp_path: Path, whole_pages: None
) -> None:
    for seed in range(1000 + part * ALL // 10, 1000 + (part + 1) * ALL // 10):
        survives(seed, tmp_path)
