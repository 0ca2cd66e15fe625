"""The fallback brakes as softly as it can without touching anybody, whenever it begins."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from guard_scenes import AREA, driven, rows, tokens_of

from irl_vla.drive.checks import Surroundings, surroundings
from irl_vla.drive.fallback import (
    Known,
    best_stop,
    brakings,
    lead_of,
    standing_start,
    unchecked_stop,
)
from irl_vla.drive.stops import stop_along
from irl_vla.perception.classes import CLASSES
from irl_vla.types import F64, Fallback, StopReason, Trajectory
from irl_vla.vehicle import PACIFICA, Limits, Vehicle

STRAIGHT = np.array([[0.0, 0.0, 0.0], [100.0, 0.0, 0.0]])
LEFT = np.vstack([np.zeros(3), driven(10.0, 0.0, 0.04)])
FRONT = PACIFICA.front_length


def seen(*agents: tuple[float, ...], lines: F64 | None = None, kinds: tuple[str, ...] = (),
         road: F64 | None = None) -> Surroundings:  # fmt: skip
    return surroundings(tokens_of(rows(*agents), lines, kinds, road), AREA, CLASSES, PACIFICA, 0.7)


def ahead(gap: float, speed: float = 0.0, score: float = 0.9) -> tuple[float, ...]:
    """A car of 4 m, `gap` metres before the bumper."""
    return (FRONT + gap + 2.0, 0.0, speed, 0.0, 0.0, score)


def stop(speed: float, around: Surroundings, *paths: F64, vehicle: Vehicle = PACIFICA) -> Fallback:
    return best_stop(paths or [STRAIGHT], standing_start(speed), Known.now(around), vehicle)


def hits(fallback: Fallback, around: Surroundings) -> bool:
    """Plainly: the front bumper on a straight road, until the car stands."""
    rear = around.boxes[:, 0] - around.boxes[:, 3] / 2
    return bool((fallback.trajectory.poses[-1, 0] + FRONT > rear).any())


def test_a_standing_car_12_m_ahead_is_braked_for_as_hard_as_needed() -> None:
    """10 m/s, the car's rear end 12 m before the rear axle: 7.95 m for the bumper, 6.3 m/s^2."""
    around = seen((14.0, 0.0, 0.0, 0.0))
    comfortable = stop_along(STRAIGHT, 10.0)
    assert comfortable.poses[2, 0] + FRONT > 12.0, "2.5 m/s^2 would hit it within 1.5 s"
    found = stop(10.0, around)
    assert found.reason is StopReason.EMERGENCY_STOP and found.braking == 6.5
    assert not hits(found, around) and found.detail == ""
    np.testing.assert_array_equal(found.path, STRAIGHT)
    np.testing.assert_allclose(found.trajectory.poses, stop_along(STRAIGHT, 10.0, 6.5).poses)


@pytest.mark.parametrize(("gap", "braking", "reason"), [
    (20.1, 2.5, StopReason.COMFORTABLE_STOP),  # 10^2 / (2 x 2.5) = 20 m
    (19.9, 3.0, StopReason.EMERGENCY_STOP),
    (10.1, 5.0, StopReason.EMERGENCY_STOP),
    (9.9, 5.5, StopReason.EMERGENCY_STOP),
    (5.7, 9.0, StopReason.EMERGENCY_STOP),  # 10^2 / (2 x 9) = 5.56 m
])  # fmt: skip
def test_it_brakes_with_v_squared_over_twice_the_gap(
    gap: float, braking: float, reason: StopReason
) -> None:
    found = stop(10.0, seen(ahead(gap)))
    assert (found.braking, found.reason) == (braking, reason)
    assert not hits(found, seen(ahead(gap)))


def test_where_no_braking_is_enough_the_slowest_blow_is_chosen_and_named() -> None:
    """4 m for 10 m/s: with 9 m/s^2 the blow comes at sqrt(100 - 72) = 5.3 m/s."""
    found = stop(10.0, seen(ahead(4.0)))
    assert found.reason is StopReason.LEAST_BAD_STOP and found.braking == 9.0
    assert found.detail == "touches agent 0 after 0.6 s at 4.6 m/s"  # seen 0.1 s later


def test_who_drives_into_the_standing_car_is_no_reason_to_brake_harder() -> None:
    """A car comes straight at the ego and meets it standing, however it has braked."""
    oncoming = (40.0, 0.0, -10.0, 0.0)
    found = stop(5.0, seen(oncoming))
    assert found.reason is StopReason.LEAST_BAD_STOP and found.braking == 2.5
    assert found.detail == "agent 0 touches the standing car after 2.9 s"
    standing = stop(0.0, seen(oncoming))
    assert standing.reason is StopReason.LEAST_BAD_STOP and standing.braking == 2.5


def test_a_moving_car_is_stopped_before_it_is_met() -> None:
    """15 m/s: after 1.2 s the oncoming car meets it; 9 m/s^2 leave 4.2 m/s, 2.5 leave 12."""
    found = stop(15.0, seen((40.0, 0.0, -15.0, 0.0)))
    assert found.reason is StopReason.LEAST_BAD_STOP and found.braking == 9.0


def test_a_car_that_drives_ahead_is_braked_for_less_than_a_standing_one() -> None:
    """10 m/s against 6: 4 m/s to lose within 4 m are 2 m/s^2; to lose all 10 would take 12.5."""
    assert stop(10.0, seen(ahead(4.0, speed=6.0))).reason is StopReason.COMFORTABLE_STOP
    assert stop(10.0, seen(ahead(4.0))).reason is StopReason.LEAST_BAD_STOP


def test_who_comes_from_behind_does_not_make_the_car_brake_less() -> None:
    follower = (-8.0, 0.0, 10.0, 0.0)
    alone = stop(10.0, seen(follower))
    assert (alone.braking, alone.reason) == (2.5, StopReason.COMFORTABLE_STOP)
    found = stop(10.0, seen(follower, ahead(9.9)))
    assert (found.braking, found.reason) == (5.5, StopReason.EMERGENCY_STOP)


def test_who_overlaps_the_car_already_is_left_out() -> None:
    assert stop(10.0, seen((3.0, 0.5, 0.0, 0.0))).reason is StopReason.COMFORTABLE_STOP


def test_who_crosses_when_the_car_has_passed_is_no_reason_and_who_crosses_before_it_is() -> None:
    assert stop(10.0, seen((12.0, -18.0, 0.0, 6.0))).reason is StopReason.COMFORTABLE_STOP
    found = stop(10.0, seen((12.0, -10.8, 0.0, 6.0)))
    assert found.reason is StopReason.EMERGENCY_STOP
    assert found.trajectory.poses[-1, 0] + FRONT < 10.0, "stands before its way"


def test_a_stop_is_checked_until_the_car_stands_however_far_that_is() -> None:
    """20 m/s: 80 m and 8 s with 2.5 m/s^2; something stands 70 m ahead, far beyond 4 s."""
    found = stop(20.0, seen(ahead(70.0)))
    assert (found.braking, found.reason) == (3.0, StopReason.EMERGENCY_STOP)
    assert stop(20.0, seen(ahead(81.0))).reason is StopReason.COMFORTABLE_STOP


def test_an_agent_seen_once_with_a_low_score_is_braked_for_comfortably_only() -> None:
    ghost = ahead(8.0, score=0.4)
    found = stop(10.0, seen(ghost))
    assert (found.braking, found.reason) == (2.5, StopReason.COMFORTABLE_STOP)
    assert found.detail == "agent 0, seen once and not sure, is in its way"
    both = stop(10.0, seen(ghost, ahead(12.6)))
    assert (both.braking, both.reason) == (4.0, StopReason.EMERGENCY_STOP)
    assert "agent 0, seen once" in both.detail
    real = replace(seen(ghost), confirmed=np.array([True]))
    assert stop(10.0, real).braking == 6.5


def test_the_agent_that_is_named_is_the_one_of_the_tokens() -> None:
    found = stop(10.0, seen(ahead(30.0, score=0.3), (0.0, 20.0, 0.0, 0.0), ahead(3.0)))
    assert found.detail.startswith("touches agent 2 after")


def test_the_first_path_is_taken_unless_another_one_is_better() -> None:
    assert stop(10.0, seen(), STRAIGHT, LEFT).path is STRAIGHT
    around = seen(ahead(9.9))
    found = stop(10.0, around, STRAIGHT, LEFT)
    assert found.path is STRAIGHT or found.braking < 5.5
    clear = seen((22.0, -1.5, 0.0, 0.0))
    found = stop(10.0, clear, STRAIGHT, LEFT)
    assert found.path is LEFT and found.reason is StopReason.COMFORTABLE_STOP


def test_rather_hard_braking_on_the_road_than_soft_braking_off_it() -> None:
    road = np.zeros(AREA.cells)
    road[:, 60:69] = 1.0  # y from -2 to 2.5
    around = seen((22.0, -1.5, 0.0, 0.0), road=road)
    found = stop(10.0, around, STRAIGHT, LEFT)
    assert found.path is STRAIGHT and found.reason is StopReason.EMERGENCY_STOP


def test_rather_off_the_road_than_into_somebody() -> None:
    road = np.zeros(AREA.cells)
    road[:, 60:69] = 1.0
    aside = seen((9.5, -1.9, 0.0, 0.0), road=road)
    found = stop(10.0, aside, STRAIGHT, LEFT)
    assert found.path is LEFT and found.detail.startswith("off_road after")


@pytest.mark.parametrize(("kind", "name"), [("red_stop_line", "red_light"),
                                            ("boundary", "boundary")])  # fmt: skip
def test_lines_in_the_way_are_told_and_not_braked_hard_for(kind: str, name: str) -> None:
    line = np.stack([np.full(20, 15.0), np.linspace(-5.0, 5.0, 20)], axis=-1)[None]
    found = stop(10.0, seen(lines=line, kinds=(kind,)))
    assert (found.braking, found.reason) == (2.5, StopReason.COMFORTABLE_STOP)
    assert found.detail.startswith(f"{name} after 1.4 s")  # 10.95 m at 10 m/s, braking
    beyond = stop(10.0, seen(lines=line + np.array([10.0, 0.0]), kinds=(kind,)))
    assert beyond.detail == ""  # the front halts at 24.05 m


def test_the_vehicle_s_limit_is_the_hardest_braking() -> None:
    assert brakings(PACIFICA)[[0, 1, -2, -1]].tolist() == [2.5, 3.0, 8.5, 9.0]
    weak = Vehicle(limits=Limits(max_braking=4.2))
    assert brakings(weak).tolist() == [2.5, 3.0, 3.5, 4.0, 4.2]
    found = stop(10.0, seen(ahead(9.9)), vehicle=weak)
    assert (found.braking, found.reason) == (4.2, StopReason.LEAST_BAD_STOP)
    tram = Vehicle(limits=Limits(max_braking=1.3))
    assert brakings(tram).tolist() == [1.3]
    assert stop(10.0, seen(), vehicle=tram).reason is StopReason.COMFORTABLE_STOP


def test_what_was_seen_elsewhere_is_moved_to_the_ego() -> None:
    """Seen from 5 m behind, and turned by a quarter."""
    around = seen((0.0, 14.0, 0.0, 0.0, np.pi / 2))
    known = Known(around, np.array([0.0, 0.0, np.pi / 2]))
    found = best_stop([STRAIGHT], standing_start(10.0), known, PACIFICA)
    assert found.braking == 6.5
    nearer = Known(around, np.array([0.0, -5.0, np.pi / 2]))
    assert best_stop([STRAIGHT], standing_start(10.0), nearer, PACIFICA).braking == 4.0


def test_the_way_that_was_checked_ends_with_the_grid() -> None:
    found = stop(10.0, seen(), np.vstack([np.zeros(3), driven(10.0)]))
    assert found.checked_until_m == pytest.approx(48.0 - FRONT, abs=2.1)
    blind = replace(seen(), area=None)
    assert stop(10.0, blind).checked_until_m == 0.0


def test_where_nothing_is_known_the_stop_is_comfortable_and_says_so() -> None:
    found = unchecked_stop(STRAIGHT, 10.0, PACIFICA)
    assert found.reason is StopReason.UNCHECKED_STOP and found.braking == 2.5
    assert found.checked_until_m == 0.0 and found.trajectory.poses[-1, 0] == pytest.approx(20.0)
    tram = Vehicle(limits=Limits(max_braking=1.3))
    assert unchecked_stop(STRAIGHT, 10.0, tram).braking == 1.3


def test_lead_is_where_the_plan_is_and_how_fast_in_each_tenth() -> None:
    """10 m/s now, means of 9 and 8 m/s: 9.5 m/s after 0.125 s, 9 after 0.25, 8.5 after 0.5."""
    poses = np.zeros((8, 3))
    poses[:, 0] = np.cumsum([4.5, 4.0, *[4.0] * 6])
    lead = lead_of(Trajectory(poses), 10.0, 0.5)
    assert lead.shape == (6, 2)
    assert lead[:, 0] == pytest.approx([0.0, 0.9, 1.8, 2.7, 3.6, 4.5])
    assert lead[[0, 5], 1] == pytest.approx([10.0, 8.5])
    assert lead[2, 1] == pytest.approx(9.2)
    assert lead_of(Trajectory(poses), -1.0, 0.5)[0, 1] == 0.0
    assert len(lead_of(Trajectory(poses), 10.0, 0.45)) == 6, "the latest moment is never cut off"


def planned(speed: float, around: Surroundings, until_s: float, gain: float = 0.0) -> Fallback:
    plan = Trajectory(driven(speed, gain))
    path = np.vstack([np.zeros(3), plan.poses])
    return best_stop([path], lead_of(plan, speed, until_s), Known.now(around), PACIFICA)


def test_a_fallback_that_begins_later_has_less_room_and_brakes_harder() -> None:
    """10 m/s, 20.7 m: enough for 2.5 m/s^2 now; after 0.5 s 5 m of it are gone."""
    around = seen(ahead(20.7))
    assert planned(10.0, around, 1e-12).braking == 2.5
    late = planned(10.0, around, 0.5)
    assert (late.braking, late.reason) == (3.5, StopReason.EMERGENCY_STOP)  # 100 / 31 = 3.2
    faster = planned(10.0, around, 0.5, gain=2.0)
    assert faster.braking == 4.0  # (11 m/s)^2 / (2 x 15.45) = 3.9


def test_a_fallback_may_begin_at_any_moment_up_to_the_deadline() -> None:
    """Whatever is around: the plan until then, and from there the stop, touch nobody."""
    rng, free = np.random.default_rng(1), 0
    for _ in range(60):
        speed = float(rng.uniform(3.0, 15.0))
        around = seen(ahead(float(rng.uniform(3.0, 40.0)), float(rng.uniform(0.0, 6.0))))
        found = planned(speed, around, 0.5)
        if found.reason is StopReason.LEAST_BAD_STOP:
            continue
        free += 1
        plan = np.vstack([np.zeros(3), driven(speed)])
        for begin_s in (0.0, 0.1, 0.3, 0.5):
            lead = lead_of(Trajectory(plan[1:]), speed, 0.5)[round(begin_s / 0.1)]
            for late_s in np.arange(0.0, 6.0, 0.1):
                t = min(late_s, lead[1] / found.braking)
                x = lead[0] + lead[1] * t - found.braking * t * t / 2
                rear = around.boxes[0, 0] - 2.0 + around.boxes[0, 7] * (begin_s + late_s)
                assert x + FRONT < rear + 1e-9
    assert free > 20


def test_the_stop_of_a_bent_plan_stays_in_its_lane() -> None:
    """A car stands straight ahead; the plan, and its fallback, turn before it."""
    plan = Trajectory(driven(8.0, 0.0, 0.08))
    path = np.vstack([np.zeros(3), plan.poses])
    around = seen((19.0, -2.0, 0.0, 0.0))
    lead = lead_of(plan, 8.0, 0.5)
    found = best_stop([path], lead, Known.now(around), PACIFICA)
    assert found.reason is StopReason.COMFORTABLE_STOP
    assert best_stop([STRAIGHT], lead, Known.now(around), PACIFICA).braking > 2.5


def test_the_stop_has_the_step_and_the_number_of_poses_of_the_plan() -> None:
    found = best_stop([STRAIGHT], standing_start(10.0), Known.now(seen()), PACIFICA, 0.25, 12)
    assert found.trajectory.step_s == 0.25 and len(found.trajectory.poses) == 12
    bare = unchecked_stop(STRAIGHT, 10.0, PACIFICA, 0.25, 12).trajectory
    assert bare.step_s == 0.25 and len(bare.poses) == 12
