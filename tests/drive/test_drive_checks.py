"""Plans against what was seen: hand-made surroundings."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from guard_scenes import driven, ego_at, rows, tokens_of

from irl_vla.camera.projection import BevGrid
from irl_vla.drive.checks import (
    GATE_M,
    Surroundings,
    checked_until,
    fine_path,
    seen_again,
    slowed,
    surroundings,
)
from irl_vla.drive.guard import GuardConfig, best_first, choose
from irl_vla.perception.classes import CLASSES
from irl_vla.perception.preset import SEG_CLASSES
from irl_vla.types import Candidates, Rejection
from irl_vla.vehicle import PACIFICA, Vehicle

AREA = BevGrid(x=(-16.0, 48.0), y=(-32.0, 32.0), cells=(64, 64), heights=(0.0,))
FRONT = PACIFICA.front_length
HALF = PACIFICA.width / 2


def seen(
    *agents: tuple[float, ...], lines: np.ndarray | None = None, kinds: tuple[str, ...] = (),
    road: np.ndarray | None = None, vehicle: Vehicle = PACIFICA,
) -> Surroundings:  # fmt: skip
    return surroundings(tokens_of(rows(*agents), lines, kinds, road), AREA, CLASSES, vehicle, 0.7)


def refused(
    poses: np.ndarray, around: Surroundings, vehicle: Vehicle = PACIFICA, step_s: float = 0.5
) -> Rejection | None:
    speed = float(np.hypot(*poses[0, :2])) / step_s
    candidates = Candidates(poses[None], np.ones(1), step_s)
    order = best_first(candidates.confidence)
    choice = choose(candidates, order, ego_at(speed), around, vehicle, GuardConfig())
    return choice.rejected[0] if choice.rejected else None


def reason(poses: np.ndarray, around: Surroundings, vehicle: Vehicle = PACIFICA) -> str | None:
    found = refused(poses, around, vehicle)
    return None if found is None else found.reason


def line(x: float, y0: float = -5.0, y1: float = 5.0) -> np.ndarray:
    """(1, 20, 2) across the ego's way."""
    return np.stack([np.full(20, x), np.linspace(y0, y1, 20)], axis=-1)[None]


@pytest.mark.parametrize(
    ("agent", "hits"),
    [
        ((20.0, 0.0, 0.0, 0.0), True),
        ((20.0, 3.0, 0.0, 0.0), False),
        ((20.0, 0.0, 10.0, 0.0), False),  # drives ahead at the same speed
        ((20.0, 12.0, 0.0, -6.0), True),  # crosses the path after 2 s
        ((60.0, 0.0, 0.0, 0.0), False),  # farther than the plan reaches
        ((1.0, 0.0, 0.0, 0.0), False),  # overlaps the ego now: no plan avoids it
        ((-12.0, 0.0, 20.0, 0.0), True),  # from behind
    ],
)
def test_a_plan_conflicts_with_agents_where_they_will_be(
    agent: tuple[float, ...], hits: bool
) -> None:
    assert reason(driven(10.0), seen(agent)) == ("collision" if hits else None)


@pytest.mark.parametrize("side", [1.0, -1.0])
def test_boxes_touch_beside_each_other_by_their_half_widths(side: float) -> None:
    """Ego 2.297 m, agent 2 m wide: 2.1485 m between the middles."""
    assert reason(driven(10.0), seen((20.0, side * 2.14, 0.0, 0.0))) == "collision"
    assert reason(driven(10.0), seen((20.0, side * 2.16, 0.0, 0.0))) is None


@pytest.mark.parametrize("side", [1.0, -1.0])
def test_an_agent_across_reaches_as_far_as_it_is_long(side: float) -> None:
    """Turned by a quarter it is 4 m wide and 2 m long: 1.1485 + 2 m; turned by an eighth its corner
    is sqrt(4.5) x ... aside."""
    quarter, eighth = np.pi / 2, np.pi / 4
    assert reason(driven(10.0), seen((20.0, side * 3.13, 0.0, 0.0, quarter))) == "collision"
    assert reason(driven(10.0), seen((20.0, side * 3.16, 0.0, 0.0, quarter))) is None
    reach = HALF + (2.0 + 1.0) * np.sqrt(0.5)  # half length and half width, projected
    assert reason(driven(10.0), seen((20.0, side * (reach - 0.02), 0, 0, eighth))) == "collision"
    assert reason(driven(10.0), seen((20.0, side * (reach + 0.02), 0, 0, eighth))) is None


def test_two_boxes_corner_to_corner_do_not_touch_where_only_one_axis_parts_them() -> None:
    """The ego's own axes do not part them, those of the agent, turned by an eighth, do."""
    eighth = np.pi / 4
    away = 2.0 * np.sqrt(0.5)  # from the middle to the corner, along each axis
    plan = driven(5.0, -2.5)  # stands after 5 m: its front left corner is at (9.05, 1.15)
    corner = np.array([5.0 + FRONT, HALF])
    for gap, name in [(0.1, None), (-0.1, "collision")]:
        x, y = corner + (1.0 + gap) * np.array([1.0, 1.0]) * np.sqrt(0.5)
        agent = (float(x), float(y), 0.0, 0.0, -eighth)  # its long side faces the corner
        assert reason(plan, seen(agent)) == name, away


def test_the_time_of_a_collision_is_that_of_the_front_bumper() -> None:
    found = refused(driven(10.0), seen((21.95 + FRONT, 0.0, 0.0, 0.0)))  # its rear end at 19.95 m
    assert found is not None and found.detail == "with agent 0 after 2.0 s"


def test_the_agent_that_is_named_is_the_first_that_is_touched_in_the_order_of_the_tokens() -> None:
    around = seen((1.0, 0.0, 0.0, 0.0), (20.0, 9.0, 0.0, 0.0), (30.0, 0, 0, 0), (20.0, 0, 0, 0))
    found = refused(driven(10.0), around)
    assert found is not None and found.detail.startswith("with agent 2 after")


def test_the_outline_is_the_vehicle_s() -> None:
    van = Vehicle(width=2.6, front_length=6.0, rear_length=1.5)
    assert reason(driven(10.0), seen((20.0, 2.25, 0.0, 0.0))) is None
    assert reason(driven(10.0), seen((20.0, 2.25, 0.0, 0.0)), van) == "collision"
    found = refused(driven(10.0), seen((21.95 + 6.0, 0.0, 0.0, 0.0)), van)
    assert found is not None and found.detail == "with agent 0 after 2.0 s"
    behind = (-1.3 - 2.0, 0.0, 0.0, 0.0)  # its front is 1.3 m behind the rear axle
    assert reason(np.zeros((8, 3)), seen((behind[0] - 1.0, 0.0, 0.5, 0.0)), van) == "collision"


@pytest.mark.parametrize(("kind", "name"), [("boundary", "boundary"),
                                            ("red_stop_line", "red_light")])  # fmt: skip
def test_a_line_across_the_path_is_not_crossed(kind: str, name: str) -> None:
    around = seen(lines=line(15.0), kinds=(kind,))
    found = refused(driven(10.0), around)
    assert found is not None and found.reason == name
    assert found.detail == "crosses it after 1.1 s"  # 10.95 m to go for the front
    assert reason(driven(2.0), around) is None  # stops short of it
    assert reason(driven(10.0), seen(lines=line(1.0), kinds=(kind,))) is None  # stands over it


@pytest.mark.parametrize("kind", ["centerline", "divider", "crosswalk", "stop_line"])
def test_other_lines_may_be_crossed(kind: str) -> None:
    assert reason(driven(10.0), seen(lines=line(15.0), kinds=(kind,))) is None


@pytest.mark.parametrize("side", [1.0, -1.0])
def test_a_line_that_only_one_front_corner_meets_is_crossed(side: float) -> None:
    inner, outer = side * (HALF - 0.1), side * (HALF + 0.1)
    meets = line(15.0, inner, side * 6.0)
    passes = line(15.0, outer, side * 6.0)
    assert reason(driven(10.0), seen(lines=meets, kinds=("boundary",))) == "boundary"
    assert reason(driven(10.0), seen(lines=passes, kinds=("boundary",))) is None


def test_the_last_piece_of_the_last_line_counts_until_the_end_of_the_plan() -> None:
    plan = driven(10.0)
    lines = np.concatenate([line(60.0), line(43.9, -40.0, 1.0)])
    kinds = ("boundary", "boundary")
    found = refused(plan, seen(lines=lines, kinds=kinds))
    assert found is not None and found.detail == "crosses it after 4.0 s"  # front from 43.05 on
    lines[1] += [0.2, 0.0]
    assert reason(plan, seen(lines=lines, kinds=kinds)) is None


def test_the_first_of_several_crossings_is_told() -> None:
    lines = np.concatenate([line(30.0), line(15.0), line(22.0)])
    found = refused(driven(10.0), seen(lines=lines, kinds=("boundary",) * 3))
    assert found is not None and found.detail == "crosses it after 1.1 s"


def test_agents_come_before_red_lights_before_boundaries_before_the_road() -> None:
    road = np.zeros(AREA.cells)
    road[:30] = 1.0  # until x = 14
    agent = (30.0, 0.0, 0.0, 0.0)
    both = np.concatenate([line(20.0), line(24.0)])
    kinds = ("boundary", "red_stop_line")
    plan = driven(10.0)
    assert reason(plan, seen(agent, lines=both, kinds=kinds, road=road)) == "collision"
    assert reason(plan, seen(lines=both, kinds=kinds, road=road)) == "red_light"
    assert reason(plan, seen(lines=both[:1], kinds=kinds[:1], road=road)) == "boundary"
    assert reason(plan, seen(road=road)) == "off_road"


def wide_road() -> np.ndarray:
    road = np.zeros(AREA.cells)
    road[:, 28:36] = 1.0  # y from -4 to 4, straight ahead
    return road


@pytest.mark.parametrize("side", [1.0, -1.0])
def test_a_plan_off_the_seen_road_is_refused_and_one_on_it_is_not(side: float) -> None:
    around = seen(road=wide_road())
    assert reason(driven(10.0), around) is None
    aside = driven(10.0)
    aside[:, 1] = side * np.linspace(0.0, 6.0, 8)
    assert reason(aside, around) == "off_road"
    edge = driven(10.0)
    edge[:, 1] = side * np.minimum(np.linspace(0.0, 6.0, 8), 4.0 - HALF - 0.02)
    assert reason(edge, around) is None
    edge[:, 1] = side * np.minimum(np.linspace(0.0, 6.0, 8), 4.0 - HALF + 0.02)
    assert reason(edge, around) == "off_road"


def test_the_rear_corners_count_too() -> None:
    """Standing still beside a hole behind the rear axle."""
    for x, y, off in [
        (-1.1, 1.1, True), (-1.1, -1.1, True), (-0.5, 1.1, False), (-1.1, 0.5, False),
        (-2.1, 1.1, False), (-1.1, 2.1, False),
    ]:  # fmt: skip
        road = np.ones(AREA.cells)
        road[int(x - AREA.x[0]), int(y - AREA.y[0])] = 0.0
        found = refused(driven(0.0), seen(road=road))
        assert (found is not None) == off, (x, y)
        assert found is None or (found.reason, found.detail) == ("off_road", "after 0.1 s")


def test_outside_the_grid_nothing_is_known_and_nothing_forbidden() -> None:
    around = seen(road=np.ones(AREA.cells))
    assert reason(driven(14.0), around) is None  # ends at 56 m
    road = np.ones(AREA.cells)
    road[0], road[-1], road[:, 0], road[:, -1] = 0.0, 0.0, 0.0, 0.0
    assert reason(driven(14.0), seen(road=road)) == "off_road"  # the last cells inside count


@pytest.mark.parametrize(("share", "off"), [(0.49, True), (0.51, False)])
def test_a_cell_counts_as_seen_from_one_half_on(share: float, off: bool) -> None:
    road = wide_road()
    road[40] = share
    assert (reason(driven(10.0), seen(road=road)) == "off_road") == off
    road = wide_road()
    road[17, 32] = share  # under the ego's middle, (1.46, 0)
    assert (seen(road=road).undrivable.size == 0) == off, "does not even see where it stands"


def test_lane_centres_and_vehicles_stand_on_the_road_and_walkways_do_not() -> None:
    for name in SEG_CLASSES:
        tokens = tokens_of(road=wide_road())
        seg = tokens.seg.copy()
        seg[:, 40] = 0.0
        seg[SEG_CLASSES.index(name), 40] = 1.0
        around = surroundings(replace(tokens, seg=seg), AREA, CLASSES, PACIFICA, 0.7)
        drivable = name in ("road", "centerline", "vehicle")
        assert (reason(driven(10.0), around) is None) == drivable, name


def test_an_untrained_network_that_sees_no_road_anywhere_forbids_nothing() -> None:
    around = seen(road=np.full(AREA.cells, 0.01))
    assert around.undrivable.size == 0
    assert reason(driven(10.0), around) is None


def test_only_valid_agents_and_map_elements_count() -> None:
    tokens = tokens_of(rows((20.0, 0.0, 0.0, 0.0)), line(15.0), ("boundary",))
    for valid, found in [(False, None), (True, "collision")]:
        masked = replace(tokens, agent_valid=np.array([valid]), map_valid=np.array([valid]))
        around = surroundings(masked, AREA, CLASSES, PACIFICA, 0.7)
        assert len(around.boxes) == len(around.boundaries) == valid
        assert reason(driven(10.0), around) == found


def test_poses_between_those_of_the_plan_are_checked() -> None:
    """10 m/s: the ego's box is 5.18 m long, the plan's poses are 5 m apart; a post crosses between
    two of them."""
    tokens = tokens_of(np.array([[9.0, 4.0, 0.5, 0.2, 0.2, 1.0, 0.0, 0.0, -8.0, 0.9]]))
    around = surroundings(tokens, AREA, CLASSES, PACIFICA, 0.7)
    found = refused(driven(10.0), around)
    assert found is not None and found.detail == "with agent 0 after 0.5 s"


def test_a_plan_that_turns_over_the_back_is_checked_on_the_short_way() -> None:
    """At -pi and pi the car heads the same way: between them it does not spin around."""
    plan = driven(6.0, 0.0, 0.16)
    plan[:, 2] = (plan[:, 2] + np.pi) % (2 * np.pi) - np.pi
    assert (np.abs(np.diff(plan[:, 2])) > 3.0).any()
    assert reason(plan, seen((1.0, 15.9, 0.0, 0.0))) is None  # where its front would swing round


def test_what_is_checked_ends_where_the_front_leaves_the_grid() -> None:
    path = np.vstack([np.zeros(3), driven(10.0)])
    around = seen()
    assert checked_until(path, around, PACIFICA) == pytest.approx(48.0 - FRONT, abs=1.1)
    assert checked_until(path, replace(around, area=None), PACIFICA) == 0.0
    long = Vehicle(front_length=10.0)
    assert checked_until(path, around, long) == pytest.approx(38.0, abs=1.1)
    aside = np.vstack([np.zeros(3), driven(10.0)])[:, [1, 0, 2]] + [0.0, 0.0, np.pi / 2]
    assert checked_until(aside, around, PACIFICA) == pytest.approx(32.0 - FRONT, abs=1.1)
    short = np.vstack([np.zeros(3), driven(1.0)])  # goes on straight ahead behind its end
    assert checked_until(short, around, PACIFICA) == pytest.approx(48.0 - FRONT, abs=1.1)
    far = replace(around, area=BevGrid((-16.0, 1e4), (-32.0, 32.0), (8, 8), (0.0,)))
    assert checked_until(path, far, PACIFICA) == pytest.approx(40.0 + 199.0)


def test_a_path_beside_the_edge_is_seen_as_far_as_both_front_corners_are() -> None:
    for side in (1.0, -1.0):
        out = np.array([[0.0, side * (32.0 - HALF + 0.1), 0.0], [9.0, side * 30.0, 0.0]])
        assert checked_until(out, seen(), PACIFICA) == 0.0
        inside = np.array([[0.0, side * (32.0 - HALF - 0.1), 0.0], [9.0, side * 30.0, 0.0]])
        assert checked_until(inside, seen(), PACIFICA) > 30.0


def test_speed_is_capped_so_that_a_stop_fits_before_the_unknown() -> None:
    fast = slowed(driven(20.0), 0.5, until_m=44.0, speed=20.0, braking=2.5).poses
    speed = np.diff(fast[:, 0], prepend=0.0) / 0.5
    assert speed[0] > 18.0 and np.diff(speed).min() >= -2.5 * 0.5 - 1e-9  # brakes, never harder
    np.testing.assert_array_equal(
        slowed(driven(5.0), 0.5, until_m=44.0, speed=5.0, braking=2.5).poses, driven(5.0)
    )


@pytest.mark.parametrize(("room_m", "slower"), [(39.1, False), (38.5, True)])
def test_the_cap_is_the_speed_from_which_a_stop_still_fits(room_m: float, slower: bool) -> None:
    """10 m/s for 4 s: 40 m, and 20 m more to halt from there. With 59 m known the last look, a
    metre before the end, still finds room; with less the end of the plan is slower."""
    capped = slowed(driven(10.0), 0.5, until_m=room_m + 20.0, speed=10.0, braking=2.5).poses
    assert (capped[-1, 0] < 40.0 - 1e-6) == slower
    assert np.allclose(capped[0], driven(10.0)[0])
    left = room_m + 20.0 - capped[-1, 0]
    end = (capped[-1, 0] - capped[-2, 0]) / 0.5
    assert end**2 / (2 * 2.5) <= left + 1.5


def test_a_car_that_is_too_fast_already_brakes_as_the_stop_does() -> None:
    stop = slowed(driven(10.0), 0.5, until_m=5.0, speed=10.0, braking=2.5).poses
    assert np.diff(np.diff(stop[:, 0], prepend=0.0) / 0.5)[:6] == pytest.approx(-1.25, abs=0.13)
    assert stop[-1, 0] == pytest.approx(20.0, abs=1.0)
    hard = slowed(driven(10.0), 0.5, until_m=5.0, speed=10.0, braking=5.0).poses
    assert hard[-1, 0] == pytest.approx(10.0, abs=1.0)


def test_a_slowed_plan_stays_on_its_path() -> None:
    plan = driven(12.0, 0.0, 0.05)
    slow = slowed(plan, 0.5, until_m=20.0, speed=12.0, braking=4.0).poses
    radius = np.hypot(slow[:, 0], slow[:, 1] - 20.0)
    assert radius == pytest.approx(20.0, abs=0.25) and slow[-1, 2] < plan[-1, 2]


def test_a_fine_path_goes_straight_between_the_poses_and_turns_the_short_way() -> None:
    fine = fine_path(np.array([[0.0, 0.0, 3.0], [10.0, 5.0, -3.0]]))
    assert len(fine) == 6
    assert fine[2] == pytest.approx([4.0, 2.0, 3.0 + 0.4 * (2 * np.pi - 6.0)])


def test_agents_that_stand_where_they_were_expected_are_no_ghosts() -> None:
    """Half a second at 6 m/s, the ego has driven 4 m and turned by a quarter to the left."""
    before = seen((20.0, 2.0, 6.0, 0.0, 0.0, 0.3))
    expected = np.array([23.0, 2.0])
    then_pose = np.array([0.0, 4.0, -np.pi / 2])  # of the earlier ego, in the present frame
    x, y = expected[1] + 0.0, 4.0 - expected[0]
    for away, sure in [(0.0, True), (GATE_M - 0.05, True), (GATE_M + 0.05, False)]:
        for direction in (0.0, 2.0, 4.0):
            place = np.array([x, y]) + away * np.array([np.cos(direction), np.sin(direction)])
            now = seen((*place, 0.0, -6.0, -np.pi / 2, 0.3), (40.0, 20.0, 0.0, 0.0, 0.0, 0.3))
            again = seen_again(now, before, then_pose, 0.5)
            assert again.confirmed.tolist() == [sure, False]
    nobody = seen()
    assert seen_again(nobody, before, then_pose, 0.5) is nobody
    assert not seen_again(now, nobody, then_pose, 0.5).confirmed.any()


@pytest.mark.parametrize(("score", "sure"), [(0.69, False), (0.71, True)])
def test_a_sure_agent_is_no_ghost_at_first_sight(score: float, sure: bool) -> None:
    assert seen((20.0, 0.0, 0.0, 0.0, 0.0, score)).confirmed.tolist() == [sure]


def test_agents_keep_their_velocity() -> None:
    later = seen((20.0, 2.0, 6.0, -1.0)).after(0.5)
    assert later.boxes[0, :2].tolist() == [23.0, 1.5]
