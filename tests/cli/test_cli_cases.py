"""Small recordings that were read wrong, each with what a user should get: ../shared/cases/desk."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import pytest
from cli_bags import CommandResult, command, replay, show

from irl_vla.bag.source import open_source
from irl_vla.messages.video import can_decode_video
from irl_vla.types import CameraImage

CASES = Path(__file__).parents[2] / ".." / "shared" / "cases" / "desk"

pytestmark = pytest.mark.skipif(not CASES.exists(), reason="no cases at ../shared/cases/desk")


@cache
def info(name: str) -> CommandResult:
    return command("bag", "info", CASES / name)


@cache
def shown(name: str) -> CommandResult:
    return show(CASES / name, out=Path(mkdtemp(prefix="irl-vla-case-")))


@cache
def replayed(name: str, *more: str) -> CommandResult:
    return replay(CASES / name, *more, out=Path(mkdtemp(prefix="irl-vla-case-")))


def checks(name: str) -> dict[str, Any]:
    return dict(json.loads((shown(name).out / "checks.json").read_text(encoding="utf-8")))


def check(name: str, which: str) -> dict[str, Any]:
    return next(one for one in checks(name)["checks"] if one["name"] == which)


def topic(name: str, which: str) -> dict[str, Any]:
    return next(one for one in checks(name)["topics"] if one["name"] == which)


def said(name: str) -> str:
    """Everything that info, show and replay print, with line breaks of tables undone."""
    runs = (info(name), shown(name), replayed(name))
    return " ".join(" ".join((run.stdout + run.stderr).split()) for run in runs)


def test_a_twist_that_contradicts_its_poses_is_said_and_not_driven_by() -> None:
    name = "twist_world"
    for run in (info(name), shown(name), replayed(name)):
        assert "its twist says 8.0 m/s, its poses move at 8.0 m/s" in run.stdout
    assert check(name, "Twist against poses")["verdict"] == "not enough"
    assert checks(name)["verdict"] != "yes"
    egos = [line["ego"] for line in replayed(name).lines]
    assert all("its twist contradicts them" in ego["source"] for ego in egos)
    assert all(ego["speed_m_s"] == pytest.approx(8.0, abs=0.1) for ego in egos)


def test_undistorted_pictures_are_seen_through_p() -> None:
    name = "undistorted_name"
    with open_source(CASES / name) as source:
        camera = source.rig().cameras[0]
    assert camera.intrinsics[0, 0] == 220.0 and not camera.distortion.any()
    assert "undistorted" in topic(name, "/front/image_undistorted/compressed")["why"]
    scale = check(name, "Height and scale, from the ground")
    assert (checks(name)["verdict"], scale["verdict"]) == ("yes", "yes")


def test_twelve_bits_in_sixteen_are_as_bright_as_they_were() -> None:
    with open_source(CASES / "mono16_12bit") as source:
        first = next(e for e in source.events() if isinstance(e, CameraImage))
    assert first.pixels is not None
    assert first.pixels.max() > 150
    assert "values have 12 bits of 16" in shown("mono16_12bit").stdout


def test_a_mosaic_in_a_jpeg_gets_its_colours_back() -> None:
    with open_source(CASES / "bayer_jpeg") as source:
        first = next(e for e in source.events() if isinstance(e, CameraImage))
    assert first.pixels is not None
    assert (first.pixels[..., 0] != first.pixels[..., 2]).mean() > 0.5
    assert "colours are restored" in shown("bayer_jpeg").stdout


def test_a_frozen_camera_is_named_and_proves_nothing() -> None:
    assert (shown("frozen").code, replayed("frozen").code) == (4, 4)
    assert checks("frozen")["verdict"] == "not enough"
    assert check("frozen", "New pictures")["value"] == "17 equal in a row"
    assert any(
        "frozen: the same picture" in text for text in replayed("frozen").summary["warnings"]
    )


def test_two_cars_in_one_recording_are_kept_apart() -> None:
    name = "two_robots"
    with open_source(CASES / name) as source:
        rig = source.rig()
    assert [c.ego_from_cam[2, 3] for c in rig.cameras] == [1.5]
    assert "of another car, 'car2'" in info(name).stdout
    assert topic(name, "/car2/front/image_raw/compressed")["role"] == "ignored"


def test_old_bytes_behind_the_end_of_a_jpeg_do_not_tear_it() -> None:
    run = replayed("jpeg_stale_tail")
    assert run.code == 0 and set(run.reasons()) == {"best_candidate"}
    assert shown("jpeg_stale_tail").code == 0


@pytest.mark.parametrize(
    ("name", "unused", "why"),
    [
        ("zstd_topic", "/front/image_raw/zstd", "packed with zstd"),
        ("debug_overlay", "/front/detections/compressed", "drawn in"),
    ],
)
def test_what_no_camera_took_is_no_camera_and_the_rule_is_said(
    name: str, unused: str, why: str
) -> None:
    found = topic(name, unused)
    assert found["role"] == "ignored" and why in found["why"]
    assert "cameras     front\n" in info(name).stdout
    assert shown(name).code == replayed(name).code == 0


def test_nine_cameras_are_shown_and_info_says_how_to_choose(tmp_path: Path) -> None:
    name = "nine_cameras"
    assert "a replay takes at most 8" in info(name).stdout
    assert "--write-topics" in info(name).stdout
    assert shown(name).code == 0 and "no calibration" not in shown(name).stdout
    file = tmp_path / "T.yaml"
    assert command("bag", "info", CASES / name, "--write-topics", file).code == 0
    eight = "".join(
        line for line in file.read_text().splitlines(keepends=True) if "cam8" not in line
    )
    file.write_text(eight)
    run = replayed(name, "--topics", str(file))
    assert run.code == 0 and len(run.summary["cameras"]) == 8


def test_a_fast_camera_is_judged_by_pairs_that_are_far_enough_apart() -> None:
    assert checks("hz30")["verdict"] == "yes"
    assert check("hz30", "Yaw and pitch, from the images")["pairs"] >= 4


def test_clocks_that_are_apart_are_named_and_can_be_put_together() -> None:
    name = "tai_37s"
    for run in (info(name), shown(name), replayed(name)):
        assert "clocks are apart by 37 s" in run.stdout
        assert "--camera-delay-ms 37000" in run.stdout
    assert replayed(name).code == 4
    together = replayed(name, "--camera-delay-ms", "37000")
    assert together.code == 0 and set(together.reasons()) == {"best_candidate"}
    assert together.summary["verdict"] == "yes"


def test_two_recordings_in_one_folder_are_told_apart() -> None:
    run = info("two_days")
    assert "24.0 hours apart" in run.stdout and "tuesday_highway.mcap to read another" in run.stdout
    assert "duration    0.61 s" in run.stdout


def test_a_clock_that_was_not_set_is_named() -> None:
    run = info("start_1970")
    assert "recorded at 1970-01-01" in run.stdout and "53.9 years" in run.stdout
    assert "duration    0.80 s" in run.stdout


@pytest.mark.parametrize(
    ("name", "which", "words"),
    [
        ("enc_protobuf.mcap", "/pose", "encoded as protobuf"),
        ("enc_omgidl.mcap", "rt/front/image_raw/compressed", "schema in omgidl"),
        ("enc_ros1name.mcap", "/front/image_raw/compressed", "declared as sensor_msgs/Compressed"),
    ],
)
def test_an_unusual_encoding_is_named(name: str, which: str, words: str) -> None:
    assert words in topic(name, which)["why"]


@pytest.mark.parametrize("name", ["enc_omgidl.mcap", "enc_ros1name.mcap"])
def test_types_are_known_however_they_are_spelled(name: str) -> None:
    with open_source(CASES / name) as source:
        assert sum(isinstance(event, CameraImage) for event in source.events()) == 5


def test_what_is_no_protobuf_says_what_to_do() -> None:
    assert "convert the topic to ROS 2 messages" in info("enc_protobuf.mcap").stdout
    assert shown("enc_protobuf.mcap").code == 4


def test_video_is_called_video() -> None:
    name = "video_h264"
    for which in ("/front/image_raw/compressed", "/left/video", "/rear/image_raw/ffmpeg"):
        assert "h264 video" in topic(name, which)["why"]
    if can_decode_video():
        assert "cannot be decoded as h264 video" in shown(name).stdout
        assert shown(name).code == 4
    assert checks(name)["verdict"] == "not enough"


def test_a_realsense_bag_has_a_named_camera_with_its_calibration() -> None:
    found = topic("rs_sdk.bag", "/device_0/sensor_1/Color_0/info/camera_info")
    assert found["role"] == "camera_info"
    assert "cameras     Color_0\n" in info("rs_sdk.bag").stdout
    assert "no CameraInfo" not in said("rs_sdk.bag")


def test_a_pose_and_a_twist_are_ego_motion_and_both_are_named() -> None:
    run = replayed("pose_only")
    assert run.code == 0
    source = run.lines[0]["ego"]["source"]
    assert "/pose_localized + /vehicle/twist" in source
    assert checks("pose_only")["verdict"] == "yes"


def test_a_camera_info_without_frame_takes_that_of_the_pictures() -> None:
    assert "that of its pictures, 'front_optical', is taken" in info("empty_frame_id").stdout
    assert checks("empty_frame_id")["verdict"] == "yes"


@pytest.mark.parametrize("name", ["db3_zstd_cut", "rlog.zst"])
def test_an_error_names_the_file_of_the_user(name: str) -> None:
    for run in (info(name), replayed(name)):
        assert run.code == 3
        assert str(CASES / name) in run.stderr and "/tmp/irl-vla" not in run.stderr


def test_replay_repeats_the_verdict_of_show() -> None:
    for name in ("hz30", "twist_world", "undistorted_name"):
        assert replayed(name).summary["verdict"] == checks(name)["verdict"]
