"""Real recordings through show and replay: what they hold is found, what they lack is said."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from cli_bags import CommandResult, command, replay, show

from irl_vla.bag.source import open_source
from irl_vla.frames import inverse, pose_of
from irl_vla.types import F64, SECOND_NS, EgoMotion

SHARED = Path(__file__).parents[3] / "shared" / "recordings"
AHEAD_S, OFF_M = 2, 2.0  # so far ahead, a plan may be so far from where the car really went


def recording(name: str) -> Path:
    path = SHARED / name
    if not path.exists():
        pytest.skip(f"the recording '{name}' is not beside this checkout, in ../shared/recordings")
    return path


def shown(name: str, tmp_path: Path) -> CommandResult:
    ran = show(recording(name), out=tmp_path / "seen")
    assert ran.code == 0, ran.stderr
    assert (tmp_path / "seen/contact_sheet.png").stat().st_size > 1000
    return ran


def test_six_cameras_and_three_frames_give_two_plans_and_a_named_refusal(tmp_path: Path) -> None:
    shown("dgp_scene02_6cam", tmp_path)
    ran = replay(recording("dgp_scene02_6cam"), out=tmp_path / "out")
    assert ran.code == 0
    assert ran.reasons() == ["no_ego_motion", "best_candidate", "best_candidate"]
    assert all(len(line["cameras"]) == 6 for line in ran.lines)


def driven(name: str) -> list[EgoMotion]:
    with open_source(recording(name)) as source:
        return [event for event in source.events() if isinstance(event, EgoMotion)]


def went_to(motion: list[EgoMotion], stamp_ns: int) -> F64 | None:
    """Where the car was AHEAD_S later, seen from where it was at `stamp_ns`."""
    stamps = np.array([m.stamp_ns for m in motion])
    later = stamp_ns + AHEAD_S * SECOND_NS
    if later > stamps[-1]:
        return None
    now, then = (int(np.argmin(np.abs(stamps - t))) for t in (stamp_ns, later))
    return pose_of(inverse(motion[now].world_from_ego) @ motion[then].world_from_ego)


def test_plans_from_one_camera_lie_where_the_car_really_went(tmp_path: Path) -> None:
    shown("kitti_clip1", tmp_path)
    ran = replay(recording("kitti_clip1"), out=tmp_path / "out")
    assert (ran.code, len(ran.lines)) == (0, 51)
    assert set(ran.reasons()) == {"best_candidate"}
    motion, off = driven("kitti_clip1"), []
    for line in ran.lines:
        went = went_to(motion, line["anchor_stamp_ns"])
        if went is not None:
            planned = np.array(line["poses"][round(AHEAD_S / line["step_s"]) - 1])
            off.append(float(np.hypot(*(planned - went)[:2])))
    assert len(off) >= 30
    assert max(off) < OFF_M


def test_one_frame_with_boxes_is_shown_with_all_of_them(tmp_path: Path) -> None:
    shown("nuscenes_scene0061", tmp_path)
    with open_source(recording("nuscenes_scene0061")) as source:
        ran = replay(recording("nuscenes_scene0061"), out=tmp_path / "out")
        boxes = source.boxes_at(ran.lines[0]["anchor_stamp_ns"])
    assert boxes is not None and len(boxes) == 69
    assert ran.reasons() == ["no_ego_motion"]
    assert "69 boxes" in (tmp_path / "seen/show.html").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("autoware_ego", "no camera topics: expected sensor_msgs/Image"),
        ("comma2k19_ego", "read for its ego motion only"),
    ],
)
def test_without_cameras_the_motion_is_shown_and_a_replay_says_what_is_missing(
    name: str, words: str, tmp_path: Path
) -> None:
    seen = shown(name, tmp_path)
    assert words in seen.stdout
    ran = replay(recording(name), out=tmp_path / "out")
    assert ran.code == 3
    assert words in ran.stderr
    assert not (tmp_path / "out").exists()
    assert command("bag", "info", recording(name)).code == 0
