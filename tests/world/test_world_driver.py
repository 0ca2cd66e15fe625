"""The expert on roads small enough to check by hand, and alone in seeded towns."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from irl_vla.scoring.scene import PEDESTRIAN, VEHICLE, Polygons
from irl_vla.types import F64
from irl_vla.vehicle import Vehicle
from irl_vla.world.driver.expert import DriverStyle, Expert
from irl_vla.world.episode import BRAKE, LEFT_INDICATOR, Actors, WorldState
from irl_vla.world.roads.build import build_town
from irl_vla.world.routes import random_route
from irl_vla.world.signals import lights_at
from irl_vla.world.simulation import DriverAction
from irl_vla.world.town import NONE, Crosswalk, Junction, Lane, Light, Signal, Town

LIMIT, LINE, END = 12.0, 150.0, 180.0  # [m/s], [m] stop line, [m] end of the junction
FRONT = Vehicle().front_length
CALM = DriverStyle(1.0, 1.5, 2.0, 2.5, 1.5, 2.0, 1.0)
Mover = Callable[[float], F64]  # time -> (A, 5) states


def straight(x0: float, x1: float, y: float = 0.0) -> F64:
    x = np.linspace(x0, x1, int(x1 - x0) + 1)
    return np.column_stack([x, np.full(len(x), y), np.zeros(len(x))])


def road(light: Light | None = None, lanes: int = 1) -> Town:
    """A street eastwards with a junction at x = 150..180 m; a second lane to the left on demand."""
    rows = []
    for i in range(lanes):
        y, base = 3.5 * i, 3 * i
        left = base + 3 if i + 1 < lanes else NONE
        right = base - 3 if i else NONE
        box = np.array([[0.0, y - 1.75], [600, y - 1.75], [600, y + 1.75], [0, y + 1.75]])
        shape = {"polygon": box, "width": 3.5, "speed_limit": LIMIT}
        side = {"left": left, "right": right if right == NONE else base - 3}
        rows += [
            Lane(f"a{i}", straight(0, LINE, y), block="a", successors=(base + 1,), **shape, **side),
            Lane(
                f"b{i}", straight(LINE, END, y), block="b", successors=(base + 2,), junction=0,
                signal=NONE if light is None else 0, **shape,
            ),
            Lane(f"c{i}", straight(END, 600, y), block="c", successors=(), **shape),
        ]  # fmt: skip
    signals = () if light is None else (Signal(np.array([[10.0, light]]), 0.0, np.zeros((0, 4))),)
    zebra = np.array([[LINE + 1, -6.0], [LINE + 5, -6], [LINE + 5, 6], [LINE + 1, 6]])
    walk = Crosswalk(zebra, np.array([[LINE + 3, -6.0], [LINE + 3, 6.0]]), (1,))
    junction = Junction("crossing", zebra, (1,))
    return Town("road", 0, tuple(rows), Polygons.of([]), (junction,), signals, (walk,))


def state(x: float, y: float = 0.0, heading: float = 0.0, v: float = 0.0) -> F64:
    ego = np.zeros(11)
    ego[:4] = x, y, heading, v
    return ego


def drive(
    town: Town, expert: Expert, ego: F64, steps: int, kind: int = VEHICLE,
    others: Mover = lambda _: np.zeros((0, 5)), size: tuple[float, float] = (4.5, 1.9),
) -> tuple[F64, list[int]]:  # fmt: skip
    """(steps + 1, 11) states and the lamps of the expert among movers that do not react."""
    count = len(others(0.0))
    actors = Actors(
        tuple(f"m{i}" for i in range(count)), np.full(count, kind, np.int8),
        np.tile([*size, 1.6], (count, 1)), np.zeros(count, np.int8), np.zeros(count, np.int64),
    )  # fmt: skip
    rows, lamps = [ego], []
    for step in range(steps):
        moment = WorldState(
            step * 0.1, rows[-1], 0, others(step * 0.1), np.ones(count, np.bool_),
            np.zeros(count, np.uint8), lights_at(town, step * 0.1),
        )  # fmt: skip
        done: DriverAction = expert.drive(moment, actors)
        rows.append(done.ego)
        lamps.append(done.lamps)
    return np.array(rows), lamps


def seeded(seed: int) -> tuple[Town, Expert]:
    town = build_town(seed)
    rng = np.random.default_rng(seed)
    street = next(
        i for i, lane in enumerate(town.lanes)
        if lane.junction == NONE and lane.successors and len(lane.centre) > 40
    )  # fmt: skip
    return town, Expert(town, random_route(town, rng, street, 500.0), seed)


def test_a_free_road_is_driven_at_the_wished_speed_in_the_middle_of_the_lane() -> None:
    town = road()
    rows, lamps = drive(town, Expert(town, (0, 1, 2), 1, style=CALM), state(5.0), 250)
    assert rows[120:, 3] == pytest.approx(LIMIT, abs=0.3)
    assert np.abs(rows[:, 1]).max() < 0.15
    assert lamps[0] == BRAKE and not lamps[100] & BRAKE


def test_a_red_light_is_waited_at_and_a_green_one_passed() -> None:
    red, green = road(Light.RED), road(Light.GREEN)
    waits, _ = drive(red, Expert(red, (0, 1, 2), 1, style=CALM), state(20.0, v=LIMIT), 250)
    passes, _ = drive(green, Expert(green, (0, 1, 2), 1, style=CALM), state(20.0, v=LIMIT), 250)
    assert LINE - 4.0 < waits[-1, 0] + FRONT < LINE
    assert waits[-1, 3] == 0.0
    assert passes[:, 3].min() > 0.9 * LIMIT


def test_it_stops_behind_a_standing_car_and_follows_a_slow_one() -> None:
    town = road()
    still = np.array([[120.0, 0.0, 0.0, 0.0, 0.0]])
    rows, _ = drive(town, Expert(town, (0, 1, 2), 1, style=CALM), state(20.0, v=LIMIT), 250,
                    others=lambda _: still)  # fmt: skip
    assert 1.5 < 120.0 - 2.25 - rows[-1, 0] - FRONT < 5.0
    assert rows[:, 5].min() > -3.5
    rows, _ = drive(
        town, Expert(town, (0, 1, 2), 1, style=CALM), state(20.0, v=LIMIT), 300,
        others=lambda t: np.array([[80.0 + 6.0 * t, 0.0, 0.0, 6.0, 0.0]]),
    )  # fmt: skip
    assert rows[-1, 3] == pytest.approx(6.0, abs=0.3)


def test_a_pedestrian_on_the_crosswalk_is_let_pass() -> None:
    town = road()
    rows, _ = drive(
        town, Expert(town, (0, 1, 2), 1, style=CALM), state(80.0, v=10.0), 250, PEDESTRIAN,
        lambda t: np.array([[LINE + 3.0, -9.0 + 1.2 * t, np.pi / 2, 0.0, 1.2]]), (0.6, 0.6),
    )  # fmt: skip
    for k, row in enumerate(rows):
        y = -9.0 + 0.12 * k
        if abs(y) < Vehicle().width / 2 + 0.5:
            assert row[0] + FRONT < LINE + 2.7 or row[0] - 1.127 > LINE + 3.3
    assert rows[:, 5].min() > -4.0
    assert rows[-1, 0] > END


def test_a_lane_change_waits_for_the_car_beside_and_is_announced() -> None:
    town = road(lanes=2)
    free, lamps = drive(town, Expert(town, (0, 3, 4, 5), 1, style=CALM), state(2.0, v=11.0), 120)
    assert free[-1, 1] == pytest.approx(3.5, abs=0.2)
    assert any(lamp & LEFT_INDICATOR for lamp in lamps[:40])
    blocked, _ = drive(
        town, Expert(town, (0, 3, 4, 5), 1, style=CALM), state(2.0, v=11.0), 60,
        others=lambda t: np.array([[4.0 + 11.0 * t, 3.5, 0.0, 11.0, 0.0]]),
    )  # fmt: skip
    beside = np.abs(blocked[:, 0] + 1.461 - 4.0 - 1.1 * np.arange(61)) < 5.0
    assert beside.any() and np.abs(blocked[beside, 1]).max() < 0.5


@pytest.mark.parametrize("offset", [-2.0, 0.0, 1.5, 3.5])
@pytest.mark.parametrize(("heading", "v"), [(-0.35, 8.0), (0.35, 8.0), (0.35, 0.0), (0.1, 18.0)])
def test_it_comes_back_to_its_path_from_anywhere(offset: float, heading: float, v: float) -> None:
    town = road()
    start = state(20.0, offset, heading, v)
    rows, _ = drive(town, Expert(town, (0, 1, 2), 1, style=CALM), start, 150)
    assert np.abs(rows[-20:, 1]).max() < 0.3
    assert rows[-1, 3] == pytest.approx(LIMIT, abs=0.5)
    assert np.abs(rows[:, 1]).max() < abs(offset) + 2.2
    assert rows[40:, 3].max() < 1.05 * LIMIT
    assert np.abs(rows[:, 3] * rows[:, 9]).max() < 4.5


def test_it_goes_on_from_where_somebody_else_has_driven() -> None:
    town = road()
    expert = Expert(town, (0, 1, 2), 1, style=CALM)
    drive(town, expert, state(5.0, v=8.0), 30)
    rows, _ = drive(town, expert, state(220.0, 1.0, 0.1, 9.0), 100)
    assert rows[-1, 1] == pytest.approx(0.0, abs=0.2)
    assert rows[-1, 0] > 300.0


def test_a_copy_drives_the_same_and_leaves_the_original_alone() -> None:
    town, expert = seeded(3)
    ego = np.zeros(11)
    ego[:3] = expert.path.at(np.array(10.0))
    rows, _ = drive(town, expert, ego, 40)
    twin = expert.copy()
    first, _ = drive(town, twin, rows[-1], 60)
    second, _ = drive(town, expert, rows[-1], 60)
    assert first.tobytes() == second.tobytes()


@pytest.mark.parametrize("seed", range(6))
def test_alone_in_a_town_it_rides_comfortably_along_its_path(seed: int) -> None:
    town, expert = seeded(seed)
    ego = np.zeros(11)
    ego[:3] = expert.path.at(np.array(10.0))
    rows, _ = drive(town, expert, ego, 250)
    _, offset = expert.path.project(rows[:, :2])
    limits = np.interp(expert.path.project(rows[:, :2])[0], expert.path.arcs, expert.path.limits)
    assert np.abs(offset).max() < 0.8
    assert (rows[:, 3] < 1.06 * limits + 1.0).all()
    assert rows[:, 5].min() > -3.2 and rows[:, 5].max() < 2.2
    assert np.abs(np.diff(rows[:, 5])).max() < 0.5
    assert np.abs(rows[:, 9]).max() < 0.8
    assert np.abs(rows[:, 3] * rows[:, 9]).max() < 3.2


def test_states_are_those_of_the_scorers_bicycle() -> None:
    town, expert = seeded(1)
    ego = np.zeros(11)
    ego[:3] = expert.path.at(np.array(10.0))
    rows, _ = drive(town, expert, ego, 150)
    now, new = rows[:-1], rows[1:]
    assert new[:, 0] == pytest.approx(now[:, 0] + 0.1 * now[:, 3] * np.cos(now[:, 2]))
    assert new[:, 1] == pytest.approx(now[:, 1] + 0.1 * now[:, 3] * np.sin(now[:, 2]))
    turned = (new[:, 2] - now[:, 2] + np.pi) % (2 * np.pi) - np.pi
    assert turned == pytest.approx(0.1 * now[:, 3] * np.tan(now[:, 7]) / 3.089, abs=1e-9)
    assert new[:, 3] == pytest.approx(now[:, 3] + 0.1 * new[:, 5], abs=1e-9)
    assert new[:, 9] == pytest.approx(new[:, 3] * np.tan(new[:, 7]) / 3.089)


def test_drivers_differ_by_seed_and_not_otherwise() -> None:
    assert DriverStyle.drawn(4) == DriverStyle.drawn(4)
    paces = {DriverStyle.drawn(seed).pace for seed in range(20)}
    assert len(paces) == 20 and min(paces) >= 0.85 and max(paces) <= 1.05
