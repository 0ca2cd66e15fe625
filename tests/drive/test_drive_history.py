"""Ego motion from measurements: hand-made motions whose answer is known."""

from __future__ import annotations

import numpy as np
import pytest

from irl_vla.drive.history import EgoHistory
from irl_vla.drive.intent import IntentMemory
from irl_vla.frames import pose_of, rigid_from_pose
from irl_vla.types import SECOND_NS, EgoMotion, Intent, IntentDirection, RefusalReason

MS = 1_000_000


def motion(time_s: float, pose: tuple[float, float, float], twist: object = None) -> EgoMotion:
    values = None if twist is None else np.array(twist, float)
    return EgoMotion(round(time_s * SECOND_NS), rigid_from_pose(pose), values, "/odom")


def braking(with_twist: bool) -> EgoHistory:
    """10 m/s, braking with 2 m/s^2, straight on, measured at 20 Hz for a second."""
    history = EgoHistory()
    for k in range(21):
        t = 0.05 * k
        twist = (10.0 - 2.0 * t, 0.0, 0.0) if with_twist else None
        history.add(motion(t, (10.0 * t - t * t, 0.0, 0.0), twist))
    return history


@pytest.mark.parametrize("with_twist", [True, False])
def test_braking_is_found_from_twists_and_from_poses_alone(with_twist: bool) -> None:
    status = braking(with_twist).status(SECOND_NS, SECOND_NS)
    assert status.valid
    np.testing.assert_allclose(status.velocity, [8.0, 0.0], atol=1e-9)
    np.testing.assert_allclose(status.acceleration, [-2.0, 0.0], atol=1e-8)
    assert ("twist" if with_twist else "poses") in status.source


@pytest.mark.parametrize("with_twist", [True, False])
def test_a_steady_circle_has_the_centripetal_acceleration(with_twist: bool) -> None:
    history, rate, radius = EgoHistory(), 0.2, 25.0  # 5 m/s to the left: v w = 1 m/s^2
    for k in range(21):
        yaw = rate * 0.05 * k
        pose = (radius * np.sin(yaw), radius * (1 - np.cos(yaw)), yaw)
        history.add(motion(0.05 * k, pose, (5.0, 0.0, rate) if with_twist else None))
    status = history.status(SECOND_NS, SECOND_NS)
    assert status.yaw_rate == pytest.approx(rate, abs=1e-9)
    np.testing.assert_allclose(status.velocity, [5.0, 0.0], atol=5e-3)
    # a parabola through half a second of circle: its end is off by up to w^3 r dt / 2 = 0.05
    np.testing.assert_allclose(status.acceleration, [0.0, 1.0], atol=0.051)


def test_a_yaw_rate_that_nobody_fills_in_comes_from_the_poses() -> None:
    history, rate = EgoHistory(), 0.2
    for k in range(21):
        yaw = rate * 0.05 * k
        history.add(motion(0.05 * k, (25 * np.sin(yaw), 25 * (1 - np.cos(yaw)), yaw), (5, 0, 0)))
    status = history.status(SECOND_NS, SECOND_NS)
    assert status.yaw_rate == pytest.approx(rate, abs=1e-9)
    assert "from the poses" in status.source
    assert status.velocity[0] == pytest.approx(5.0)


def test_what_is_measured_later_changes_nothing_at_an_earlier_stamp() -> None:
    history = braking(with_twist=True)
    before = history.status(SECOND_NS, SECOND_NS), history.pose(SECOND_NS, SECOND_NS)
    history.add(motion(1.05, (9.3, 1.0, 0.4), (3.0, 1.0, 1.0)))
    after = history.status(SECOND_NS, SECOND_NS), history.pose(SECOND_NS, SECOND_NS)
    assert before[0].velocity.tobytes() == after[0].velocity.tobytes()
    assert before[1] is not None and after[1] is not None
    assert before[1].tobytes() == after[1].tobytes()


def test_between_two_measurements_the_pose_lies_between_and_after_the_last_it_is_carried_on() -> (
    None
):
    history = braking(with_twist=True)
    between = history.pose(525 * MS, SECOND_NS)
    assert between is not None
    assert pose_of(between)[0] == pytest.approx(10 * 0.525 - 0.525**2, abs=1e-3)
    later = history.pose(1100 * MS, 1100 * MS)
    assert later is not None
    assert pose_of(later)[0] == pytest.approx(9.0 + 0.1 * 7.8, abs=0.03)
    assert history.pose(1600 * MS, 1600 * MS) is None


def test_stale_absent_and_broken_motion_are_told_apart() -> None:
    history = EgoHistory()
    assert history.gap(0, 0).reason is RefusalReason.NO_EGO_MOTION  # type: ignore[union-attr]
    history.add(motion(0.0, (0.0, 0.0, 0.0), (1.0, 0.0, 0.0)))
    assert history.gap(0, 0) is None
    stale = history.gap(SECOND_NS, SECOND_NS)
    assert stale is not None and stale.reason is RefusalReason.STALE_EGO_MOTION
    assert "1000 ms old" in stale.detail
    history.add(motion(0.9, (np.nan, 0.0, 0.0), (1.0, 0.0, 0.0)))
    broken = history.gap(SECOND_NS, SECOND_NS)
    assert broken is not None and broken.reason is RefusalReason.BAD_EGO_MOTION
    assert not history.status(SECOND_NS, SECOND_NS).valid


@pytest.mark.parametrize("jump", [motion(-5.0, (0, 0, 0)), motion(1.05, (900.0, 0.0, 0.0))])
def test_a_jump_in_time_or_place_starts_a_new_history(jump: EgoMotion) -> None:
    history = braking(with_twist=False)
    history.add(jump)
    assert history.resets == 1
    assert not history.status(
        jump.stamp_ns, jump.stamp_ns
    ).valid  # one pose alone says nothing about speed


def test_motion_measured_just_after_the_pictures_counts_and_nothing_later() -> None:
    history = EgoHistory()
    for time_s in (0.0, 1.0, 2.0):  # 1 Hz poses, 4 m/s; the pictures come 90 ms before the last
        history.add(motion(time_s, (4.0 * time_s, 0.0, 0.0)))
    anchor = 1910 * MS
    assert history.newest(anchor) == 2 * SECOND_NS
    np.testing.assert_allclose(history.status(anchor, 2 * SECOND_NS).velocity, [4, 0], atol=1e-9)
    assert history.newest(1800 * MS) == SECOND_NS
    stale = history.gap(1800 * MS, SECOND_NS)
    assert stale is not None and stale.reason is RefusalReason.STALE_EGO_MOTION
    assert not history.is_waiting(1800 * MS) and history.is_waiting(2500 * MS)


def test_a_slow_recording_still_has_its_motion() -> None:
    history = EgoHistory()
    for second in range(3):  # 1 Hz poses, 4 m/s
        history.add(motion(second, (4.0 * second, 0.0, 0.0)))
    np.testing.assert_allclose(
        history.status(2 * SECOND_NS, 2 * SECOND_NS).velocity, [4.0, 0.0], atol=1e-9
    )


def test_a_route_stays_where_it_is_while_the_car_drives_on() -> None:
    history, intent = EgoHistory(), IntentMemory()
    intent.take(Intent(IntentDirection.LEFT, np.array([[10.0, 0.0], [20.0, 5.0]]), 0))
    for k in range(201):  # 2 m/s for 10 s: longer than the history remembers
        history.add(motion(0.05 * k, (0.1 * k, 0.0, 0.0), (2.0, 0.0, 0.0)))
        if k % 20 == 0:
            seen = intent.at(k * 50 * MS, history, k * 50 * MS)
            assert seen.direction is IntentDirection.LEFT
            if k <= 190:
                assert seen.route is not None
                np.testing.assert_allclose(seen.route[0], [10.0 - 0.1 * k, 0.0], atol=1e-9)
    for k in range(201, 221):
        history.add(motion(0.05 * k, (0.1 * k, 0.0, 0.0), (2.0, 0.0, 0.0)))
    assert intent.at(220 * 50 * MS, history, 220 * 50 * MS).route is None  # all of it lies behind
