"""The same input gives the same plans, byte for byte, and every file tells the same numbers."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from shutil import copytree

import numpy as np
import pytest
from cli_bags import RULE, at, command, replay, street, without, write
from drawn_street import write_street_bag
from rosbags.highlevel import AnyReader

from irl_vla.bag.bag import open_bag, read_plans
from irl_vla.messages.messages import typestore
from irl_vla.view.replay_page import ReplayPageBuilder


def plans(out: Path) -> bytes:
    return (out / "plans.jsonl").read_bytes()


def test_twice_the_same_and_neither_the_place_of_the_bag_nor_of_the_user_matters(
    two_cameras: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert replay(two_cameras, out=tmp_path / "a").code == 0
    assert replay(two_cameras, out=tmp_path / "b").code == 0
    copytree(two_cameras, tmp_path / "elsewhere" / "other name")
    monkeypatch.chdir(tmp_path / "elsewhere")
    words = ["replay", "other name", "--bundle", RULE, "--out", "../c"]
    assert command(*words).code == 0
    assert plans(tmp_path / "a") == plans(tmp_path / "b") == plans(tmp_path / "c")
    assert plans(tmp_path / "a").count(b"\n") == 10


def test_the_page_with_all_its_pictures_changes_no_byte_of_the_plans(
    two_cameras: Path, tmp_path: Path, whole_pages: None
) -> None:
    assert replay(two_cameras, out=tmp_path / "a").code == 0
    with pytest.MonkeyPatch.context() as patch:
        builder = partial(ReplayPageBuilder, max_frames=1)
        patch.setattr("irl_vla.cli.replay_run.ReplayPageBuilder", builder)
        assert replay(two_cameras, out=tmp_path / "b").code == 0
    assert plans(tmp_path / "a") == plans(tmp_path / "b")
    pages = [(tmp_path / name / "report.html").stat().st_size for name in "ab"]
    assert pages[1] < pages[0] < 5e6


def test_for_the_rule_a_seed_changes_only_what_the_schedule_says_of_it(
    two_cameras: Path, tmp_path: Path
) -> None:
    first, second = (
        replay(two_cameras, "--seed", str(seed), out=tmp_path / str(seed)).lines for seed in (0, 7)
    )
    assert [line["schedule"].pop("seed") for line in first] == [0] * 10
    assert [line["schedule"].pop("seed") for line in second] == [7] * 10
    assert first == second


def test_the_bag_of_plans_holds_the_very_numbers_of_the_lines(
    two_cameras: Path, tmp_path: Path
) -> None:
    ran = replay(two_cameras, out=tmp_path / "out")
    told = list(read_plans(ran.out / "plans.mcap"))
    assert [plan.anchor_stamp_ns for plan in told] == [at(n) for n in range(10)]
    for plan, line in zip(told, ran.lines, strict=True):
        assert plan.trajectory.poses.tolist() == line["poses"]
        assert plan.candidates.poses.tolist() == line["candidates"]
        assert plan.candidates.confidence.tolist() == line["confidence"]
        assert (plan.bundle_id, plan.chosen) == (line["bundle_id"], line["chosen"])
        assert plan.schedule.motion_stamp_ns == line["schedule"]["motion_stamp_ns"]


def test_rosbags_and_our_reader_open_the_bag_of_plans(two_cameras: Path, tmp_path: Path) -> None:
    ran = replay(two_cameras, out=tmp_path / "out")
    with AnyReader([ran.out / "plans.mcap"], default_typestore=typestore()) as reader:
        counts = {c.topic: c.msgcount for c in reader.connections}
        paths = [c for c in reader.connections if c.topic == "/irl_vla/trajectory"]
        first = next(iter(reader.messages(connections=paths)))
        message = reader.deserialize(first[2], first[0].msgtype)
    for topic in ("/irl_vla/plan", "/irl_vla/trajectory", "/irl_vla/candidates", "/tf"):
        assert counts[topic] == 10, topic
    points = np.array([[p.pose.position.x, p.pose.position.y] for p in message.poses])
    wanted = np.array(ran.lines[0]["poses"])[:, :2]
    assert np.array_equal(points[-len(wanted) :], wanted)
    with open_bag(ran.out / "plans.mcap") as bag:
        assert bag.info().warnings == ()


@pytest.mark.parametrize("share", [0.3, 0.8])
def test_pictures_that_one_camera_loses_change_neither_sets_nor_plans_of_the_others(
    share: float, two_cameras: Path, tmp_path: Path
) -> None:
    """The `rule` looks at no pixel. Without the schedule a set that waits in vain for a picture
    would be planned up to 100 ms later, with newer motion."""
    whole = replay(two_cameras, out=tmp_path / "whole")
    rng = np.random.default_rng(0)
    kept = without(
        street(anchors=10), lambda e: e.is_picture and "left" in e.topic and rng.random() < share
    )
    follow = whole.out / "plans.mcap"
    fewer = replay(write(tmp_path / "fewer", kept), "--follow", follow, out=tmp_path / "out")
    lost = [line for line in fewer.lines if line["missing"]]
    assert len(lost) >= 2 and all(line["cameras"] == ["front"] for line in lost)
    for line, other in zip(fewer.lines, whole.lines, strict=True):
        assert line["anchor_stamp_ns"] == other["anchor_stamp_ns"]
        assert (line["poses"], line["schedule"]) == (other["poses"], other["schedule"])


@pytest.mark.parametrize("after", [2.6, 6.0])
def test_a_recording_that_ends_earlier_gives_the_same_plans_up_to_there(
    after: float, two_cameras: Path, tmp_path: Path
) -> None:
    whole = replay(two_cameras, out=tmp_path / "whole").lines
    kept = without(street(anchors=10), lambda e: e.log_ns > at(after))
    cut = replay(write(tmp_path / "cut", kept), out=tmp_path / "out").lines
    assert len(cut) == int(after) + 1
    assert cut[:-1] == whole[: len(cut) - 1]  # the last may lack motion that came after it


def test_following_a_recorded_schedule_gives_the_same_bytes(
    two_cameras: Path, tmp_path: Path
) -> None:
    first = replay(two_cameras, out=tmp_path / "a")
    again = replay(two_cameras, "--follow", first.out / "plans.mcap", out=tmp_path / "b")
    assert again.code == 0
    assert plans(tmp_path / "a") == plans(tmp_path / "b")


@pytest.mark.slow
def test_a_drawn_street_gives_the_same_bytes_with_whole_pages(
    tmp_path: Path, whole_pages: None
) -> None:
    write_street_bag(tmp_path / "bag", 4.0, 0)
    for name in ("a", "b"):
        assert replay(tmp_path / "bag", out=tmp_path / name).code == 0
    assert plans(tmp_path / "a") == plans(tmp_path / "b")
