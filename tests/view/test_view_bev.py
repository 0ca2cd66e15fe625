"""From above: ahead is up, left is left, metres are metres."""

from __future__ import annotations

import numpy as np
import pytest

from irl_vla.camera.camera import Camera, CameraModel
from irl_vla.camera.rig import Rig, ViewDirection, ego_from_look
from irl_vla.view.bev import BevWindow, coverage, paint_rig, window_for


def test_ahead_is_up_and_left_is_left() -> None:
    window = BevWindow(front=40.0, back=10.0, side=20.0, scale=4.0)
    assert window.canvas().shape == (200, 160, 3)
    assert window.pixels(np.array([0.0, 0.0])).tolist() == [80.0, 160.0]
    assert window.pixels(np.array([10.0, 5.0])).tolist() == [60.0, 120.0]


@pytest.mark.parametrize("reach", [0.0, 35.0, 60.0, 120.0])
def test_the_window_shows_the_whole_plan(reach: float) -> None:
    window = window_for(reach, 500)
    assert window.front > reach
    assert window.canvas().shape[0] == pytest.approx(500, abs=1)


def test_a_camera_covers_its_field_of_view() -> None:
    lens = np.array([[320.0, 0, 319.5], [0, 320.0, 239.5], [0, 0, 1]])  # 90 degrees across
    pose = ego_from_look((1.5, 0.0, 1.4), ViewDirection(yaw_deg=90.0))
    left = Camera("left", 640, 480, CameraModel.PLUMB_BOB, lens, np.zeros(0), pose)
    arc = coverage(left, 10.0)[1:-1] - np.array([1.5, 0.0])
    angles = np.degrees(np.arctan2(arc[:, 1], arc[:, 0]))
    assert angles.min() == pytest.approx(45.0, abs=0.2)
    assert angles.max() == pytest.approx(135.0, abs=0.2)
    assert np.linalg.norm(arc, axis=1) == pytest.approx(10.0)
    assert paint_rig(Rig("one", (left,))).any()
