"""What is painted into a camera's picture, and as which message. No ROS."""

from __future__ import annotations

import cv2
import numpy as np
from irl_vla_nodes.convert import cdr, from_cdr
from irl_vla_nodes.overlay import (
    OverlayScene,
    compressed_message,
    image_message,
    map_lines,
    painted,
)

from irl_vla.camera.rig import load_rig
from irl_vla.messages.geometry_messages import Colour, LineMarkers, marker_array_message
from irl_vla.messages.images import pixels_of
from irl_vla.resources import resource
from irl_vla.types import Boxes3D

CAMERA = load_rig(resource("calibration/rigs/tiny3.yaml")).camera("front")
GREY = np.full((CAMERA.height, CAMERA.width, 3), 90, np.uint8)


def box(x: float, y: float) -> Boxes3D:
    return Boxes3D(
        np.array([[x, y, 0.8]]), np.array([[4.0, 2.0, 1.6]]), np.zeros(1), np.zeros((1, 2)),
        ("car",),
    )  # fmt: skip


def changed(scene: OverlayScene) -> np.ndarray:
    """Pixels that differ from the picture without the scene, below the words."""
    bare = painted(GREY, CAMERA, OverlayScene(None, "x", Boxes3D.empty()))
    return np.any(painted(GREY, CAMERA, scene) != bare, axis=-1)


def test_a_box_to_the_left_is_painted_on_the_left_and_one_behind_nowhere() -> None:
    left = changed(OverlayScene(None, "x", box(20.0, 6.0)))
    middle = GREY.shape[1] // 2
    assert left[:, :middle].any() and not left[:, middle:].any()
    assert not changed(OverlayScene(None, "x", box(-20.0, 0.0))).any()


def test_a_line_of_the_map_is_painted_and_the_picture_itself_stays() -> None:
    line = np.array([[5.0, 0.0, 0.0], [30.0, 0.0, 0.0]])
    before = GREY.copy()
    assert changed(OverlayScene(None, "x", Boxes3D.empty(), (line,))).any()
    assert (before == GREY).all()


def test_lines_come_out_of_markers_as_they_went_in() -> None:
    lines = np.array([[[1.0, 2.0, 0.0], [3.0, 4.0, 0.0], [5.0, 6.0, 0.0]]])
    markers = LineMarkers("map", lines, Colour(1.0, 0.0, 0.0, 1.0), 0.1)
    message = marker_array_message([markers], 1, "base_link")
    ends = np.concatenate(map_lines(from_cdr(cdr(message), message.__msgtype__)))
    assert {tuple(point) for point in ends} == {tuple(point) for point in lines[0]}


def test_messages_hold_the_picture() -> None:
    picture = np.arange(6 * 8 * 3, dtype=np.uint8).reshape(6, 8, 3)
    message = image_message(picture, 5, "front")
    back = from_cdr(cdr(message), message.__msgtype__)
    assert (pixels_of(back) == picture).all() and back.header.stamp.nanosec == 5
    small = compressed_message(GREY, 5, "front", 90)
    shown = cv2.imdecode(np.asarray(small.data), cv2.IMREAD_COLOR)
    assert shown.shape == GREY.shape and abs(int(shown.mean()) - 90) <= 1
