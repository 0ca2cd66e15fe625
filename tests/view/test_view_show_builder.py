"""A recording becomes a page and a contact sheet: what is painted, counted and said."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from reviewed import known, rig

from irl_vla.bag.bag_info import BagInfo
from irl_vla.camera.rig import Rig
from irl_vla.frames import rigid_from_pose
from irl_vla.messages.notices import Notice, NoticeKind
from irl_vla.types import SECOND_NS, U8, Boxes3D, CameraImage, EgoMotion, FrameSet
from irl_vla.view import show_page
from irl_vla.view.frame import Overlay, paint_cameras
from irl_vla.view.mosaic import GAP
from irl_vla.view.show_page import (
    SHEET_ANCHORS,
    ShowBuilder,
)

STEP = SECOND_NS // 10
LINE_PX = 26  # of a caption of the sheet


SMALLER = 8  # pictures are painted by so much smaller than on a page, to be quick


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    def paint(frames: FrameSet, rig: Rig | None, overlay: Overlay, width: int) -> U8:
        return paint_cameras(frames, rig, overlay, width // SMALLER)

    monkeypatch.setattr(show_page, "paint_cameras", paint)


def info(cameras: tuple[str, ...] = ("front", "left"), motion: str = "/odom") -> BagInfo:
    return BagInfo(
        path="/bags/a drive/", storage="mcap", duration_s=2.04, messages=40, topics=(),
        cameras=cameras, calibrated=(), motion=motion, base_frame="base_link", warnings=(),
        missing=("no route",),
    )  # fmt: skip


def image(camera: str, index: int, late_ns: int = 0) -> CameraImage:
    pixels = np.full((90, 160, 3), 60 + index, np.uint8)
    return CameraImage(camera, index * STEP + late_ns, pixels=pixels)


def two(rig_: Rig | None = None, boxes: Boxes3D | None = None, count: int = 20) -> ShowBuilder:
    """Two cameras; the left one 12 ms later, and gone at the end; the ego turns at 8 m/s."""
    builder = ShowBuilder(info(), rig_, lambda _: boxes, "" if rig_ else "no calibration")
    for index in range(count):
        builder.add_image(image("front", index))
        if index < count - 5:
            builder.add_image(image("left", index, 12_000_000))
        yaw = 0.05 * index
        pose = rigid_from_pose(np.array([16 * np.sin(yaw), 16 * (1 - np.cos(yaw)), yaw]))
        builder.add_motion(EgoMotion(index * STEP, pose, None, "/odom"))
    builder.finish()
    return builder


def test_a_page_says_what_there_is_and_what_is_not() -> None:
    page = two(boxes=known()).page(())
    assert page.title == "a drive"
    assert {fact.name: fact.value for fact in page.facts} == {
        "source": "/bags/a drive/", "storage": "mcap", "duration": "2.0 s", "messages": "40",
        "cameras": "front and left", "calibration": "none", "ego motion": "/odom",
        "anchors": "20",
    }  # fmt: skip
    assert page.missing == ("no route", "no calibration")
    assert [plot.title for plot in page.plots] == [
        "Synchronisation", "Ego motion", "Way from above",
    ]  # fmt: skip
    assert len(page.frames) == 20 and page.frames_note == "All 20 frames."
    first, last = page.frames[0], page.frames[-1]
    assert first.caption == "All 2 cameras, 3 boxes" and first.level == "ok"
    assert last.caption.startswith("1 of 2 cameras, 3 boxes. Missing left: ")
    assert last.level == "warn"
    np.testing.assert_allclose([f.time_s for f in page.frames], 0.1 * np.arange(20))
    assert [f.number for f in page.frames] == list(range(1, 21))
    assert first.bev is not None
    assert first.motion == "8.0 m/s, yaw rate +28.6 °/s, by its poses"
    (missing,) = page.tables
    assert sum(int(row[2]) for row in missing.rows) == 5
    assert sum(float(row[3]) for row in missing.rows) == 25.0


def test_without_anything_a_page_says_none() -> None:
    builder = ShowBuilder(info((), ""), None, lambda _: None)
    builder.finish()
    facts = {fact.name: fact.value for fact in builder.page(()).facts}
    assert facts["cameras"] == "none" and facts["ego motion"] == "none"
    assert builder.sheet().shape == (90 + LINE_PX, 1100, 3), "a statement, no pictures"


def test_a_camera_alone_is_called_so_and_no_boxes_are_drawn_where_none_are_known() -> None:
    builder = ShowBuilder(info(("front",)), None, lambda _: None)
    builder.add_image(image("front", 0))
    builder.finish()
    (frame,) = builder.page(()).frames
    assert frame.caption == "One camera" and frame.bev is None and frame.place is None


def test_a_camera_of_the_rig_that_does_not_come_is_named() -> None:
    three = rig()
    small = replace(three, cameras=three.cameras[:2])
    assert two(small, count=7).page(("cut off",)).warnings[0] == "cut off"
    warnings = two(three, count=7).page(()).warnings
    assert "camera 'back' of the rig is not in the recording" in warnings
    assert not any("'front' of the rig" in text for text in warnings)


def test_lost_pictures_are_counted_and_said_once() -> None:
    builder = ShowBuilder(info(), None, lambda _: None)
    for _ in range(3):
        builder.add_image(CameraImage("front", 0, encoded=b"no picture"))
    builder.add_notice(Notice(0, NoticeKind.BAD_IMAGE, "/left", "no JPEG", "left"))
    for index in range(1, 4):
        builder.add_image(image("left", index))
        builder.add_image(image("front", index))
    builder.finish()
    assert builder.lost == 4
    said = builder.page(()).warnings
    assert "no JPEG" in said and any(text.endswith("(3 times)") for text in said)


def test_a_picture_that_never_changes_is_lost_once_the_car_has_moved() -> None:
    builder = ShowBuilder(info(("front",)), None, lambda _: None)
    for index in range(12):
        pose = rigid_from_pose(np.array([1.0 * index, 0.0, 0.0]))
        builder.add_motion(EgoMotion(index * STEP, pose, None, "/odom"))
        builder.add_image(replace(image("front", index), pixels=np.full((90, 160, 3), 7, np.uint8)))
    builder.finish()
    assert builder.lost == 12 - 5, "five equal ones may be chance"


def test_a_sheet_shows_the_first_the_last_and_one_between_at_its_width() -> None:
    sheet = two(count=12).sheet()
    assert sheet.shape[1] == 180, "1440 px, painted by so much smaller"
    rows = (sheet[:, 4] == (17, 22, 29)).all(axis=-1)
    assert sheet.shape[0] > SHEET_ANCHORS * LINE_PX and rows[:4].all()
    each = (sheet.shape[0] + GAP) / SHEET_ANCHORS
    shades = [int(sheet[int((k + 0.6) * each), sheet.shape[1] * 3 // 4].mean()) for k in range(3)]
    assert abs(shades[0] - 60) <= 2 and shades[0] < shades[1] < shades[2]
