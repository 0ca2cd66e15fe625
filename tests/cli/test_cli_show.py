"""`show` looks at any recording, works with what there is and says what is missing."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import typer
from typer.testing import CliRunner

from irl_vla.bag.bag_info import BagInfo
from irl_vla.bag.source import open_source
from irl_vla.camera.camera import Camera, CameraModel
from irl_vla.camera.rig import Rig, ViewDirection, ego_from_look, save_rig
from irl_vla.cli.show import show
from irl_vla.frames import rigid_from_pose
from irl_vla.types import SECOND_NS, Boxes3D, CameraImage, EgoMotion, InputError
from irl_vla.view.ego_trace import EgoTraceBuilder
from irl_vla.view.motion_evidence import MotionProbe
from irl_vla.view.show_page import ShowBuilder

RECORDINGS = Path(__file__).parents[2] / ".." / "shared" / "recordings"
STEP = SECOND_NS // 10

pytestmark = pytest.mark.usefixtures("whole_pages")


def recording(name: str) -> Path:
    if not (RECORDINGS / name).exists():
        pytest.skip(f"real recording {name} is not at ../shared/recordings")
    return RECORDINGS / name


def run(source: Path, out: Path, *more: str) -> tuple[str, str]:
    """(what was printed, the page)."""
    app = typer.Typer()
    app.command()(show)
    result = CliRunner().invoke(app, [str(source), "--out", str(out), *more])
    if result.exception is not None:
        raise result.exception
    return result.output, (out / "show.html").read_text(encoding="utf-8")


def info(cameras: tuple[str, ...] = ("front", "left"), **changes: str) -> BagInfo:
    return BagInfo(
        path="/bags/test", storage="mcap", duration_s=2.0, messages=40, topics=(), cameras=cameras,
        calibrated=(), motion=changes.get("motion", ""), base_frame="base_link", warnings=(),
        missing=("no ego motion",),
    )  # fmt: skip


def front(width: int = 160, height: int = 90) -> Camera:
    lens = np.array([[100.0, 0, 79.5], [0, 100.0, 44.5], [0, 0, 1]])
    pose = ego_from_look((1.5, 0.0, 1.5), ViewDirection())
    return Camera("front", width, height, CameraModel.PLUMB_BOB, lens, np.zeros(0), pose)


def image(camera: str, index: int) -> CameraImage:
    return CameraImage(camera, index * STEP, pixels=np.full((90, 160, 3), 90, np.uint8))


def no_boxes(_: int) -> Boxes3D | None:
    return None


def test_without_calibration_the_pictures_are_plain_and_it_is_said() -> None:
    builder = ShowBuilder(info(), None, no_boxes, "no CameraInfo")
    for index in range(20):
        builder.add_image(image("front", index))
        builder.add_image(image("left", index))
    builder.finish()
    page = builder.page(("truncated",))
    assert page.missing == ("no ego motion", "no CameraInfo")
    assert page.warnings == ("truncated",)
    assert page.verdict.level == "unknown"
    assert page.rig is None
    assert [plot.title for plot in page.plots] == ["Synchronisation"]
    picture = builder.sheet()
    ours = picture[40:-40, 20:-20]
    assert (np.abs(ours.astype(int) - 90) <= 6).mean() > 0.8  # only captions and gaps differ


def test_a_camera_that_dies_half_way_is_named_with_its_reason() -> None:
    builder = ShowBuilder(info(), None, no_boxes)
    for index in range(60):
        builder.add_image(image("front", index))
        if index < 20:
            builder.add_image(image("left", index))
    builder.finish()
    table = next(t for t in builder.page(()).tables if t.title == "Missing images")
    assert {(row[0], row[1]) for row in table.rows} >= {("left", "stopped")}
    assert sum(int(row[2]) for row in table.rows) == 40


def test_a_clock_that_runs_backwards_does_not_stop_anybody() -> None:
    builder = ShowBuilder(info(), None, no_boxes)
    for index in [*range(30), *range(5, 40), 10**6]:
        for name in ("front", "left"):
            builder.add_image(image(name, index))
        pose = np.full((4, 4), np.nan) if index == 7 else np.eye(4)
        builder.add_motion(EgoMotion(index * STEP, pose, None, "/odom"))
    builder.finish()
    page = builder.page(())
    assert [plot.title for plot in page.plots] == ["Synchronisation", "Ego motion"]
    assert any("front" in text for text in page.warnings)


def test_images_of_another_size_than_calibrated_are_not_painted_on() -> None:
    builder = ShowBuilder(info(("front",)), Rig("r", (front(320, 180),)), no_boxes)
    builder.add_image(image("front", 0))
    builder.finish()
    page = builder.page(())
    assert page.verdict.level == "bad"
    assert "images are 160x90, calibration is for 320x180" in page.verdict.checks[0].detail


def test_a_rig_with_other_cameras_still_shows_the_recording() -> None:
    builder = ShowBuilder(info(("other",)), Rig("r", (front(),)), no_boxes)
    for index in range(3):
        builder.add_image(image("other", index))
    builder.finish()
    page = builder.page(())
    assert len(page.frames) == 3
    assert page.warnings[0] == "camera 'front' of the rig is not in the recording"


@pytest.mark.parametrize("with_twist", [True, False])
def test_speed_and_yaw_rate_of_a_circle_are_known_from_twist_or_poses(with_twist: bool) -> None:
    builder = EgoTraceBuilder()
    for index in range(100):  # radius 10 m, 5 m/s, 0.5 rad/s
        yaw = 0.5 * 0.05 * index
        pose = rigid_from_pose((10 * np.sin(yaw), 10 - 10 * np.cos(yaw), yaw))
        twist = np.array([5.0, 0.0, 0.5]) if with_twist else None
        builder.add(EgoMotion(index * SECOND_NS // 20, pose, twist, "/odom"))
    trace = builder.trace(None)
    assert trace is not None
    assert trace.speed == pytest.approx(5.0, rel=0.01)
    assert trace.yaw_rate == pytest.approx(0.5, rel=0.01)
    assert trace.curvature == pytest.approx(0.1, rel=0.02)


def test_a_yaw_rate_that_nobody_filled_in_comes_from_the_poses() -> None:
    builder = EgoTraceBuilder()
    for index in range(40):
        pose = rigid_from_pose((0.0, 0.0, 0.02 * index))
        builder.add(EgoMotion(index * STEP, pose, np.array([5.0, 0.0, 0.0]), "/odom"))
    trace = builder.trace(None)
    assert trace is not None
    assert trace.yaw_rate == pytest.approx(0.2)
    assert "yaw rate from its poses" in trace.source


def test_six_real_cameras_are_shown_with_their_boxes(tmp_path: Path) -> None:
    output, page = run(recording("dgp_scene02_6cam"), tmp_path)
    assert "All 6 cameras, 13 boxes" in page
    assert "Synchronisation" in page
    assert "/sensing/camera_01/image/compressed" in page
    assert "wrote" in output
    assert (tmp_path / "show.html").stat().st_size < 15e6
    assert cv2.imread(str(tmp_path / "contact_sheet.png")).shape[1] > 1400


def test_real_pixels_confirm_the_calibration_of_a_real_clip(tmp_path: Path) -> None:
    output, _ = run(recording("kitti_clip1"), tmp_path)
    assert "the image motion agrees with calibration and ego motion" in output


def test_real_pixels_tell_that_a_camera_was_turned_by_two_degrees() -> None:
    with open_source(recording("kitti_clip1")) as source:
        true, events = source.rig().cameras[0], list(source.events())
    turned = replace(true, ego_from_cam=rigid_from_pose((0, 0, np.radians(2))) @ true.ego_from_cam)
    yaws = []
    for camera in (true, turned):
        probe = MotionProbe(Rig("one", (camera,)))
        for event in events:
            if isinstance(event, CameraImage):
                probe.add_image(event)
            elif isinstance(event, EgoMotion):
                probe.add_motion(event)
        yaws.append(np.median([turn.yaw for turn in probe.evidence()[camera.name].turns]))
    assert np.degrees(yaws[1] - yaws[0]) == pytest.approx(2.0, abs=0.1)


def test_69_real_boxes_are_shown(tmp_path: Path) -> None:
    _, page = run(recording("nuscenes_scene0061"), tmp_path)
    assert "All 6 cameras, 69 boxes" in page
    assert "38 of 38 boxes within 40 m fall into an image" in page


@pytest.mark.parametrize("name", ["autoware_ego", "comma2k19_ego"])
def test_a_recording_without_cameras_shows_ego_motion_and_says_so(
    name: str, tmp_path: Path
) -> None:
    output, page = run(recording(name), tmp_path)
    assert "no camera" in output
    assert "Ego motion" in page
    assert "Synchronisation" not in page


def test_twice_shown_is_the_same_page(tmp_path: Path) -> None:
    source = recording("nuscenes_scene0061")
    _, first = run(source, tmp_path)
    _, second = run(source, tmp_path)
    assert first == second
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        "checks.json", "contact_sheet.png", "show.html",
    ]  # fmt: skip


def test_what_is_no_recording_is_refused_in_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(InputError):
        run(tmp_path, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_rig_file_of_another_car_is_refused_with_both_lists(tmp_path: Path) -> None:
    save_rig(Rig("other", (front(),)), tmp_path / "rig.yaml")
    with pytest.raises(InputError, match=r"It has front; the recording has camera_front"):
        run(recording("kitti_clip1"), tmp_path / "out", "--rig", str(tmp_path / "rig.yaml"))


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(InputError, match="cannot be written"):
        run(recording("autoware_ego"), tmp_path / "file" / "out")
