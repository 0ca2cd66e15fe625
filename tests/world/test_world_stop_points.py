"""When the expert keeps out of a junction because there is no room behind it."""

from __future__ import annotations

import numpy as np

from irl_vla.scoring.scene import I8, PEDESTRIAN, VEHICLE
from irl_vla.vehicle import Vehicle
from irl_vla.world.driver.observation import ACROSS, ALONG, COLUMNS, REL, VS, D, EgoExtents, S, V
from irl_vla.world.driver.stop_points import is_full

STOP, END = 50.0, 70.0  # [m] the junction, along the path
BODY = EgoExtents.of(Vehicle())
BEHIND = END + 4.0  # [m] a car that stands here leaves no room


def full(
    at: float = BEHIND, d: float = 0.0, angle: float = 0.0, speed: float = 0.0,
    kind: int = VEHICLE,
) -> bool:  # fmt: skip
    """Of one road user with its middle at `at`; the ego comes from 20 m before the stop line."""
    seen = np.zeros((1, COLUMNS))
    seen[0, [S, D, REL, V]] = at, d, angle, speed
    seen[0, VS] = speed * np.cos(angle)
    seen[0, [ALONG, ACROSS]] = 2.3, 0.95  # half a car's length and width
    types: I8 = np.array([kind], np.int8)
    return bool(is_full(STOP - 20.0, 8.0, STOP, END, 0.0, BODY, types, seen))


def test_a_car_that_stands_right_behind_a_junction_leaves_no_room() -> None:
    assert full()


def test_there_is_room_behind_a_car_only_where_the_whole_ego_fits() -> None:
    free = END + BODY.front + BODY.rear + 2.0 + 2.3
    assert full(free - 0.1) and not full(free + 0.1)


def test_people_are_no_queue() -> None:
    assert not full(kind=PEDESTRIAN)


def test_who_is_in_the_junction_or_before_it_is_not_behind_it() -> None:
    assert not full(STOP + 1.0)
    assert full(STOP + 3.4) and not full(STOP + 3.2), "its rear is 1 m beyond the stop line"


def test_who_crosses_will_be_gone_and_who_stands_across_will_not() -> None:
    assert not full(angle=np.pi / 2, speed=2.0)
    assert full(angle=np.pi / 2, speed=0.0)


def test_who_drives_on_makes_room() -> None:
    assert full(speed=0.2) and not full(speed=1.4) and not full(speed=6.0)


def test_who_is_beside_the_path_takes_no_room() -> None:
    beside = BODY.half + 0.95 + 0.35  # the bodies' halves and what is kept between them
    assert full(d=beside - 0.05) and full(d=-beside + 0.05)
    assert not full(d=beside + 0.05) and not full(d=-beside - 0.05)
