"""Plans against what was seen: hand-made surroundings."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from irl_vla.camera.projection import BevGrid
from irl_vla.drive.checks import (
    FRONT_M,
    Surroundings,
    checked_until,
    conflict,
    overlap,
    slowed,
    surroundings,
)
from irl_vla.perception.classes import CLASSES
from irl_vla.perception.preset import MAP_CLASSES, SEG_CLASSES
from irl_vla.types import SceneTokens

AREA = BevGrid(x=(-16.0, 48.0), y=(-32.0, 32.0), cells=(64, 64), heights=(0.0,))
NOTHING = Surroundings(np.zeros((0, 9)), (), (), None, AREA)
TIMES = 0.5 * np.arange(1, 9)


def straight(speed: float) -> np.ndarray:
    return np.stack([speed * TIMES, np.zeros(8), np.zeros(8)], axis=-1)


def box(x: float, y: float, vx: float = 0.0, vy: float = 0.0) -> np.ndarray:
    return np.array([[x, y, 0.8, 4.0, 2.0, 1.6, 0.0, vx, vy]])


def line(x: float) -> np.ndarray:
    return np.stack([np.full(20, x), np.linspace(-5.0, 5.0, 20)], axis=-1)


@pytest.mark.parametrize(
    ("agent", "hits"),
    [
        (box(20.0, 0.0), True),
        (box(20.0, 3.0), False),
        (box(20.0, 0.0, vx=10.0), False),  # drives ahead at the same speed
        (box(20.0, 12.0, vy=-6.0), True),  # crosses the path after 2 s
        (box(60.0, 0.0), False),  # farther than the plan reaches
        (box(1.0, 0.0), False),  # overlaps the ego now: no plan avoids it
    ],
)
def test_a_plan_conflicts_with_agents_where_they_will_be(agent: np.ndarray, hits: bool) -> None:
    found = conflict(straight(10.0), 0.5, replace(NOTHING, boxes=agent))
    assert (found is not None and found[0] == "collision") == hits


def test_the_time_of_a_collision_is_that_of_the_front_bumper() -> None:
    found = conflict(straight(10.0), 0.5, replace(NOTHING, boxes=box(21.95 + FRONT_M, 0.0)))
    assert found is not None and "after 2.0 s" in found[1]  # its rear end is at 19.95 m


@pytest.mark.parametrize("kind", ["boundaries", "red_lines"])
def test_a_line_across_the_path_is_not_crossed(kind: str) -> None:
    seen = replace(NOTHING, **{kind: (line(15.0),)})
    found = conflict(straight(10.0), 0.5, seen)
    assert found is not None and found[0] == {"boundaries": "boundary"}.get(kind, "red_light")
    assert conflict(straight(2.0), 0.5, seen) is None  # stops short of it
    assert (
        conflict(straight(10.0), 0.5, replace(NOTHING, **{kind: (line(1.0),)})) is None
    )  # over it


def tokens(road: np.ndarray) -> SceneTokens:
    seg = np.zeros((len(SEG_CLASSES), *AREA.cells), np.float16)
    seg[SEG_CLASSES.index("road")] = road
    seg[0] = 1.0 - road
    return replace(SceneTokens.blind(0, 0), seg=seg)


def test_a_plan_off_the_seen_road_is_refused_and_one_on_it_is_not() -> None:
    road = np.zeros(AREA.cells)
    road[:, 28:36] = 1.0  # 8 m wide, straight ahead
    seen = surroundings(tokens(road), AREA, CLASSES)
    assert conflict(straight(10.0), 0.5, seen) is None
    aside = straight(10.0)
    aside[:, 1] = np.linspace(0.0, 6.0, 8)
    found = conflict(aside, 0.5, seen)
    assert found is not None and found[0] == "off_road"


def test_an_untrained_network_that_sees_no_road_anywhere_forbids_nothing() -> None:
    seen = surroundings(tokens(np.full(AREA.cells, 0.01)), AREA, CLASSES)
    assert seen.undrivable is None
    assert conflict(straight(10.0), 0.5, seen) is None


def test_only_valid_agents_and_map_elements_count() -> None:
    blind = SceneTokens.blind(0, 0)
    boxes = np.zeros((2, 10), np.float16)
    boxes[:, :9] = box(20.0, 0.0)
    lines = np.stack([line(15.0)]).astype(np.float16)
    seen = surroundings(
        replace(
            blind, boxes=boxes, agent_valid=np.zeros(2, np.bool_), polylines=lines,
            map_valid=np.ones(1, np.bool_), map_class=np.array([MAP_CLASSES.index("crosswalk")]),
        ),
        AREA, CLASSES,
    )  # fmt: skip
    assert len(seen.boxes) == 0 and not seen.boundaries and not seen.red_lines


def test_what_is_checked_ends_where_the_front_leaves_the_grid() -> None:
    assert checked_until(straight(10.0), NOTHING) == pytest.approx(48.0 - FRONT_M, abs=1.1)
    assert checked_until(straight(10.0), replace(NOTHING, area=None)) == 0.0


def test_speed_is_capped_so_that_a_stop_fits_before_the_unknown() -> None:
    fast = slowed(straight(20.0), 0.5, until_m=44.0, speed=20.0, braking=2.5).poses
    speed = np.diff(fast[:, 0], prepend=0.0) / 0.5
    assert speed[0] > 18.0 and np.diff(speed).min() >= -2.5 * 0.5 - 1e-9  # brakes, never harder
    np.testing.assert_array_equal(
        slowed(straight(5.0), 0.5, until_m=44.0, speed=5.0, braking=2.5).poses, straight(5.0)
    )


def test_rectangles_touch_whichever_is_asked_first() -> None:
    rng = np.random.default_rng(0)
    first, second = rng.normal(0, 3, (200, 3)), rng.normal(0, 3, (200, 3))
    a, b = np.array([2.0, 1.0]), np.array([1.5, 0.5])
    one, other = overlap(first, a, second, b), overlap(second, b, first, a)
    np.testing.assert_array_equal(one, other)
    assert 20 < one.sum() < 180
