"""A twist against the poses beside it: agreement, contradiction, and poses that never move."""

from __future__ import annotations

import numpy as np
import pytest

from irl_vla.frames import rigid_from_pose
from irl_vla.messages.twist_check import LEAST_WINDOWS, TwistAgainstPoses, TwistAgreement
from irl_vla.types import SECOND_NS


def drive(speed: float, said: tuple[float, float], heading: float = 0.0) -> TwistAgreement:
    """Ten seconds straight on, with what the twist says of it."""
    check = TwistAgainstPoses()
    for k in range(101):
        way = speed * k / 10
        pose = np.array([5.0 + way * np.cos(heading), 3.0 + way * np.sin(heading), heading])
        check.add(k * SECOND_NS // 10, rigid_from_pose(pose), np.array([*said, 0.0]))
    return check.result()


def test_a_true_twist_agrees() -> None:
    found = drive(8.0, (8.0, 0.0), 2.0)
    assert found.windows >= LEAST_WINDOWS and not found.contradicts and not found.still
    assert found.apart == pytest.approx(0.0, abs=1e-9)
    assert found.pose_speed == pytest.approx(8.0) == found.twist_speed


def test_poses_that_never_move_are_told_from_a_wrong_twist() -> None:
    still, wrong = drive(0.0, (8.0, 0.0)), drive(8.0, (1.0, 0.0))
    assert still.contradicts and still.still
    assert still.sentence("/odom").endswith("the twist is used")
    assert wrong.contradicts and not wrong.still and not wrong.turned
    assert wrong.sentence("/odom") == (
        "/odom: its twist says 1.0 m/s, its poses move at 8.0 m/s, 7.0 m/s apart; the poses are "
        "used"
    )


def test_a_twist_in_the_frame_of_the_poses_is_named() -> None:
    found = drive(8.0, (0.0, 8.0), np.pi / 2)
    assert found.contradicts and found.turned
    assert "it is in the frame of the poses" in found.sentence("/odom")
