"""Clocks and odometry that lie: refusals are named while it lasts, then plans come again."""

from __future__ import annotations

from pathlib import Path

import pytest
from cli_bags import (
    MOTION_NS,
    ODOM,
    START,
    STREET,
    CommandResult,
    Entry,
    at,
    info,
    jpeg,
    odometry,
    picture,
    placed,
    replay,
    rig_of,
    shifted,
    show,
    street,
    without,
    write,
)

from irl_vla.types import SECOND_NS


def drive(entries: list[Entry], tmp_path: Path) -> CommandResult:
    bag = write(tmp_path / "bag", entries)
    assert show(bag, out=tmp_path / "seen").code == 0
    return replay(bag, out=tmp_path / "out")


def broken(entry: Entry) -> Entry:
    message = odometry(STREET.motion(entry.stamp_ns, START)).message
    message.pose.pose.position.x = message.twist.twist.linear.x = float("nan")
    return Entry(entry.log_ns, entry.topic, ODOM, message, entry.stamp_ns)


def test_nan_odometry_is_refused_by_name_while_it_lasts_and_then_plans_come_again(
    tmp_path: Path,
) -> None:
    entries = [
        broken(e) if e.msgtype == ODOM and at(3) <= e.stamp_ns <= at(10) else e
        for e in street(anchors=14)
    ]
    ran = drive(entries, tmp_path)
    assert ran.code == 0
    reasons = ran.reasons()
    # the last good measurement, at 2.75, is good for a quarter of a second
    assert set(reasons[:6]) == {"best_candidate"}
    assert set(reasons[6:9]) == {"bad_ego_motion"}
    assert set(reasons[10:]) == {"best_candidate"}
    assert "not a number" in ran.lines[7]["detail"]


def test_odometry_that_stops_is_refused_as_stale(tmp_path: Path) -> None:
    ran = drive(without(street(), lambda e: e.msgtype == ODOM and e.stamp_ns > at(3)), tmp_path)
    assert ran.reasons() == ["best_candidate"] * 6 + ["stale_ego_motion"] * 2
    assert "300 ms old, at most 250" in ran.lines[6]["detail"]


def test_a_recording_without_ego_motion_says_so_and_refuses_every_frame(tmp_path: Path) -> None:
    ran = drive(without(street(), lambda e: e.msgtype == ODOM), tmp_path)
    assert (ran.code, ran.reasons()) == (0, ["no_ego_motion"] * 8)
    assert ran.summary["warnings"][0].startswith("no ego motion: expected nav_msgs/Odometry")
    assert "no ego motion: expected nav_msgs/Odometry" in ran.page


@pytest.mark.parametrize("leap_s", [-30, 60])
def test_after_a_jump_of_all_clocks_everything_starts_anew(leap_s: int, tmp_path: Path) -> None:
    first = street()
    log_by = max(leap_s, 2) * SECOND_NS
    ran = drive([*first, *shifted(first, leap_s * SECOND_NS, log_by)], tmp_path)
    assert (ran.code, ran.reasons()) == (0, ["best_candidate"] * 16)
    stamps = [line["anchor_stamp_ns"] for line in ran.lines]
    assert stamps == [at(n) for n in range(8)] + [at(n + 10 * leap_s) for n in range(8)]
    assert any("time jump" in text for text in ran.summary["warnings"])
    poses = [line["poses"] for line in ran.lines]
    assert poses[8:] == poses[:8]  # nothing of the first time is remembered in the second


def test_a_short_recording_that_is_looped_drives_once_and_counts_what_ran_back(
    tmp_path: Path,
) -> None:
    first = street()
    ran = drive([*first, *shifted(first, 0, 2 * SECOND_NS)], tmp_path)
    assert (ran.code, ran.reasons()) == (0, ["best_candidate"] * 8)
    text = "synchroniser: camera 'front': its stamp ran back; the image is not used (7 times)"
    assert text in ran.summary["warnings"]


def test_duplicate_messages_change_no_plan(two_cameras: Path, tmp_path: Path) -> None:
    once = replay(two_cameras, out=tmp_path / "once")
    twice = drive([again for e in street(anchors=10) for again in (e, e)], tmp_path)
    assert twice.lines == once.lines
    text = "camera 'left': its stamp came twice; the image is not used (10 times)"
    assert f"synchroniser: {text}" in twice.summary["warnings"]


def test_frames_ten_seconds_apart_are_planned_one_by_one(tmp_path: Path) -> None:
    rig, entries = rig_of(["front", "left"]), list[Entry]()
    stamps = [START + k * 10 * SECOND_NS for k in range(1, 5)]
    for stamp in stamps:
        entries += [picture(name, stamp, jpeg()) for name in rig.names]
        for tick in range(-10, 20):
            entries.append(odometry(STREET.motion(stamp + tick * MOTION_NS, START)))
    head = [placed(rig), *(info(camera, START) for camera in rig.cameras)]
    ran = drive([*head, *sorted(entries, key=lambda e: e.log_ns)], tmp_path)
    assert (ran.code, ran.reasons()) == (0, ["best_candidate"] * 4)
    assert [line["anchor_stamp_ns"] for line in ran.lines] == stamps
