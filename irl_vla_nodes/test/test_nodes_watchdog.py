"""Who drives when plans come late, wrong, or not at all. No ROS, no clock."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from irl_vla_nodes.watchdog import ControlAuthority, TrajectoryCommand, Watchdog

from irl_vla.drive.stops import stop_along
from irl_vla.frames import rigid_from_pose
from irl_vla.types import (
    SECOND_NS,
    Candidates,
    EgoMotion,
    Fallback,
    Plan,
    PlanReason,
    Schedule,
    StopReason,
    Trajectory,
)

T0 = 1_700_000_000 * SECOND_NS
SPEED = 8.0
SILENCE_S = 0.27


def motion(t: float, **changed: object) -> EgoMotion:
    """Straight on along the world's x axis."""
    pose = rigid_from_pose(np.array([SPEED * t, 0.0, 0.0]))
    made = EgoMotion(ns(t), pose, np.array([SPEED, 0.0, 0.0]), "odometry")
    return replace(made, **changed)  # type: ignore[arg-type]


def plan(t: float, braking: float = 2.5, bend: float = 0.0) -> Plan:
    """Straight on at 8 m/s; its fallback goes another way, `bend` metres to the left."""
    poses = np.zeros((8, 3))
    poses[:, 0] = SPEED * 0.5 * np.arange(1, 9)
    path = np.array([[0.0, 0.0, 0.0], [20.0, 0.0, 0.0], [40.0, bend, np.arctan2(bend, 20.0)]])
    reason = StopReason.COMFORTABLE_STOP if braking == 2.5 else StopReason.EMERGENCY_STOP
    fallback = Fallback(path, braking, stop_along(path, SPEED, braking), 40.0, reason)
    return Plan(
        ns(t), Trajectory(poses, 0.5), Candidates(poses[None], np.ones(1)), 0,
        PlanReason.BEST_CANDIDATE, "", (), 50.0, Schedule(ns(t), ns(t), None, None, 0, 0), "b",
        fallback,
    )  # fmt: skip


def ns(t: float) -> int:
    return T0 + round(t * SECOND_NS)


def driving(until: float = 1.0) -> Watchdog:
    """A car that has driven for a second, plans every tenth, each heard 50 ms late."""
    dog = Watchdog(SILENCE_S, max_plan_age_s=1.0, good_plans=5)
    for i in range(round(until * 10) + 1):
        dog.add_motion(motion(i / 10))
        command = dog.take_plan(plan(i / 10), ns(i / 10 + 0.05), i / 10 + 0.05)
        assert command is not None and command.stamp_ns == ns(i / 10)
    return dog


def first_stop(dog: Watchdog, since: float) -> tuple[float, TrajectoryCommand]:
    for i in range(200):
        t = since + i / 100
        dog.add_motion(motion(t))
        command = dog.tick(ns(t), t)
        if command is not None:
            return t, command
    raise AssertionError("no stop")


def test_nothing_is_published_before_a_first_plan() -> None:
    dog = Watchdog(SILENCE_S, 1.0, 5)
    assert all(dog.tick(ns(t), t) is None for t in np.arange(0.0, 5.0, 0.1))
    assert dog.authority is ControlAuthority.NOBODY


def test_plans_are_passed_on_as_they_are() -> None:
    dog = driving()
    dog.add_motion(motion(1.1))
    given = plan(1.1)
    command = dog.take_plan(given, ns(1.15), 1.15)
    assert command is not None and command.trajectory is given.trajectory
    assert dog.tick(ns(1.2), 1.2) is None


def test_silence_stops_the_car_in_time_and_comfortably_from_where_it_is_now() -> None:
    dog = driving()
    t, command = first_stop(dog, 1.05)
    assert SILENCE_S < t - 1.05 <= SILENCE_S + 0.02 and dog.authority is ControlAuthority.STOP
    assert command.stamp_ns == ns(t)
    length = command.trajectory.poses[-1, 0]
    assert length == pytest.approx(SPEED**2 / (2 * 2.5), rel=0.01), "v^2 / 2a"
    assert np.allclose(command.trajectory.poses[:, 1:], 0.0, atol=1e-9)


def test_the_stop_is_the_fallback_of_the_last_plan_moved_to_where_the_car_is() -> None:
    """6 m/s^2 from 8 m/s: 5.3 m, from wherever the car is; the path bends 20 m after its anchor."""
    dog = driving()
    dog.add_motion(motion(1.1))
    assert dog.take_plan(plan(1.1, braking=6.0, bend=10.0), ns(1.1), 1.1) is not None
    _, command = first_stop(dog, 1.1)
    assert command.trajectory.poses[-1, 0] == pytest.approx(SPEED**2 / (2 * 6.0), rel=0.01)
    assert command.reason.startswith("emergency_stop: no good plan for")
    dog.add_motion(motion(3.5))  # 19.2 m after the anchor
    late = dog.tick(ns(3.5), 3.5)
    assert late is not None and late.stamp_ns == ns(3.5)
    x, y, yaw = late.trajectory.poses[-1]
    assert np.hypot(x - 0.8, y) == pytest.approx(SPEED**2 / 12.0 - 0.8, rel=0.01)
    assert y == pytest.approx((x - 0.8) / 2.0) and yaw > 0.05


def test_where_the_ego_is_unknown_the_fallback_brakes_from_where_the_plan_leads() -> None:
    dog = driving()
    dog.add_motion(motion(1.1))
    assert dog.take_plan(plan(1.1, braking=4.0), ns(1.1), 1.1) is not None
    command = dog.tick(ns(2.1), 2.1)  # no motion for a second
    assert command is not None and command.reason.startswith("emergency_stop: ")
    assert "ego unknown" in command.reason and command.stamp_ns == ns(2.1)
    assert command.trajectory.poses[-1, 0] == pytest.approx(SPEED**2 / (2 * 4.0))


def test_the_planner_drives_again_after_five_good_plans_in_a_row() -> None:
    dog = driving()
    first_stop(dog, 1.05)
    heard = []
    for i in range(14, 22):
        dog.add_motion(motion(i / 10))
        heard.append(dog.take_plan(plan(i / 10), ns(i / 10 + 0.05), i / 10 + 0.05) is not None)
    assert (
        heard == [False] * 4 + [True] * 4
        and dog.authority is ControlAuthority.PLANNER
        and dog.stops == 1
    )


def test_a_machine_that_is_too_slow_is_released_more_and_more_rarely() -> None:
    """Plans come at 10 Hz, with a gap of 0.4 s whenever it has driven for half a second."""
    dog, t, releases, need = driving(), 1.0, list[float](), list[int]()
    while t < 60.0:
        t = round(t + 0.4, 3)
        first_stop(dog, t - 0.4)
        while dog.authority is not ControlAuthority.PLANNER:
            dog.take_plan(plan(t), ns(t), t)
            t = round(t + 0.1, 3)
        releases.append(t)
        need.append(dog.needed_plans)
        for _ in range(5):
            dog.take_plan(plan(t), ns(t), t)
            t = round(t + 0.1, 3)
    assert need[:4] == [5, 10, 20, 40] and max(need) == 160
    assert len(releases) < 12, "without it there are 40 of them"
    assert "overload: plans came late" in dog.overload
    for _ in range(320):
        dog.take_plan(plan(t), ns(t), t)
        t = round(t + 0.1, 3)
    assert not dog.overload and dog.needed_plans == 5, "forgiven after 30 s"


def test_a_node_that_died_is_no_overload() -> None:
    dog, t = driving(), 1.0
    for _ in range(5):
        first_stop(dog, t)
        t = round(t + 1.0, 3)
        for _ in range(5):
            dog.take_plan(plan(t), ns(t), t)
            t = round(t + 0.1, 3)
        t = round(t - 0.1, 3)
        assert dog.authority is ControlAuthority.PLANNER and not dog.overload


def test_a_refusal_or_a_gap_begins_the_row_anew() -> None:
    dog = driving()
    first_stop(dog, 1.05)
    for i in range(14, 18):
        dog.add_motion(motion(i / 10))
        assert dog.take_plan(plan(i / 10), ns(i / 10), i / 10) is None
    dog.take_refusal()
    dog.add_motion(motion(1.8))
    assert dog.take_plan(plan(1.8), ns(1.8), 1.8) is None
    dog.add_motion(motion(2.6))
    assert dog.take_plan(plan(2.6), ns(2.6), 2.6) is None and dog.authority is ControlAuthority.STOP


@pytest.mark.parametrize(
    ("wrong", "word"),
    [
        (replace(plan(1.1), trajectory=Trajectory(np.full((8, 3), np.nan), 0.5)), "numbers"),
        (replace(plan(1.1), trajectory=Trajectory(np.zeros((0, 3)), 0.5)), "numbers"),
        (plan(-0.5), "old"),
        (plan(1.0), "come after"),
        (plan(9.0), "ahead"),
    ],
)
def test_a_plan_that_is_stale_or_broken_is_never_driven(wrong: Plan, word: str) -> None:
    dog = driving()
    assert dog.take_plan(wrong, ns(1.15), 1.15) is None
    assert word in dog.rejected
    assert first_stop(dog, 1.15)[0] < 1.05 + SILENCE_S + 0.02, "it did not count as a sign of life"


def test_where_the_ego_is_not_known_any_more_the_stop_that_was_begun_goes_on() -> None:
    dog = driving()
    orders = [dog.tick(ns(t), t) for t in np.arange(1.4, 4.0, 0.1)]
    given = [command for command in orders if command is not None]
    assert len(given) == len(orders)
    last = given[-1]
    assert all(command is last for command in given[-10:]), "the same stop, in its own frame"
    assert last.stamp_ns < ns(2.0) and "ego unknown" in last.reason
    assert np.isfinite(last.trajectory.poses).all()


def test_after_a_jump_of_place_nothing_follows_the_old_path() -> None:
    dog = driving()
    turned = rigid_from_pose(np.array([500.0, 500.0, 1.5]))
    dog.add_motion(motion(1.1, world_from_ego=turned))
    dog.add_motion(motion(1.15, world_from_ego=turned))
    command = dog.tick(ns(1.4), 1.4)
    assert command is not None and np.abs(command.trajectory.poses).max() < 20.0
    assert command.reason.startswith("unchecked_stop")


def test_a_clock_that_begins_again_is_no_reason_to_wait_for_the_old_hour() -> None:
    """A bag that loops: silence counts from the jump, old plans do not refuse the new ones."""
    dog = driving(until=5.0)
    dog.add_motion(motion(0.0))
    assert dog.take_plan(plan(0.0), ns(0.05), 0.05) is not None
    later = [dog.tick(ns(t), t) for t in np.arange(0.1, 0.6, 0.05)]
    assert any(command is not None for command in later) and dog.authority is ControlAuthority.STOP
