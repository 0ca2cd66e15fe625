"""Setups about lanes: something blocks the ego's, somebody cuts into it.

May import: world.driver, world.situations, route_lanes, routes, town.
"""

from __future__ import annotations

import numpy as np

from irl_vla.types import F64
from irl_vla.world.driver.expert import Expert
from irl_vla.world.route_lanes import locate
from irl_vla.world.situations.events import CutIn
from irl_vla.world.situations.places import Stretch, route_over, straight_on
from irl_vla.world.situations.scripted_traffic import ScriptedTraffic
from irl_vla.world.situations.setups import (
    BEYOND_M,
    FIRST_M,
    FRONT,
    PACE,
    TAKE_OVER_S,
    SituationSetup,
    limit_of,
    pick,
)
from irl_vla.world.town import NONE, Town

ASIDE_M = -0.85  # [m] of what blocks a lane, to its right: so far that one passes and does not wait
ROOM_BEHIND_M, ROOM_AHEAD_M = 45.0, 70.0  # [m] kept free around what happens


def neighbour(town: Town, stretch: Stretch, s: float, left: bool) -> int:
    """The lane beside a stretch at s, or NONE."""
    lane = town.lanes[stretch.lane_at(town, s)[0]]
    beside = lane.left if left else lane.right
    return NONE if beside == NONE or town.lanes[beside].merging else beside


def has_neighbour(town: Town, stretch: Stretch, begin: float, end: float, left: bool) -> bool:
    """Whether there is a lane beside a stretch all the way from s = begin to end."""
    places = np.arange(begin, end, 5.0).tolist()
    return all(neighbour(town, stretch, s, left) != NONE for s in places)


# --------------------------------------------------------------------------- lane_blocked


def lane_blocked(town: Town, rng: np.random.Generator) -> SituationSetup | None:
    """A car stands in the lane with its hazard lights on; the lane beside it is free."""
    more, share = rng.uniform(0.0, 10.0), rng.random()

    def ahead(stretch: Stretch) -> float:
        return FRONT + (TAKE_OVER_S + 3.5) * PACE * limit_of(town, stretch) + 12.0 + more

    def begin(stretch: Stretch) -> float:
        return FIRST_M + share * (stretch.length - 40.0 - FIRST_M - ahead(stretch))

    def fits(stretch: Stretch) -> bool:
        s = begin(stretch)
        place = s + ahead(stretch)
        return (
            s >= FIRST_M and stretch.is_straight(s - FIRST_M, place + 40.0)
            and neighbour(town, stretch, place, left=False) == NONE
            and has_neighbour(town, stretch, s, place + 40.0, left=True)
        )  # fmt: skip

    stretch = pick(town, rng, fits)
    if stretch is None:
        return None
    s = begin(stretch)
    place = s + ahead(stretch)
    route = route_over(town, rng, stretch, straight_on(town, stretch), BEYOND_M)

    def dress(traffic: ScriptedTraffic, expert: Expert, v: float) -> bool:
        line = expert.path.between(s - ROOM_BEHIND_M, place + 40.0)
        traffic.clear(line)
        traffic.clear(moved(line, town.lanes[stretch.lanes[0]].width))
        lane, arc = stretch.lane_at(town, place + 2.5)
        traffic.put(lane, arc, 0.0, aside=ASIDE_M, still=True)
        return True

    return SituationSetup(town, route, s, place - s + 45.0, dress)


def moved(line: F64, left_m: float) -> F64:
    """A line (n, 3), so many metres to its left."""
    aside: F64 = line.copy()
    aside[:, 0] -= left_m * np.sin(line[:, 2])
    aside[:, 1] += left_m * np.cos(line[:, 2])
    return aside


# --------------------------------------------------------------------------- cut_in


def cut_in(town: Town, rng: np.random.Generator) -> SituationSetup | None:
    """A car comes over from the next lane, close ahead, and is slower."""
    from_s, lasts = TAKE_OVER_S + rng.uniform(0.2, 0.8), rng.uniform(2.6, 3.2)
    slower, headway = rng.uniform(2.5, 3.5), rng.uniform(0.6, 0.8)
    left = bool(rng.random() < 0.7)  # the cutter drives on that side
    share = 0.5 * rng.random()

    def needs(stretch: Stretch) -> float:
        return FRONT + 25.0 + (from_s + lasts + 1.5) * PACE * limit_of(town, stretch)

    def begin(stretch: Stretch) -> float:
        return FIRST_M + share * (stretch.length - FIRST_M - needs(stretch))

    def fits(stretch: Stretch) -> bool:
        s = begin(stretch)
        return (
            s >= FIRST_M and stretch.is_straight(s - FIRST_M, s + needs(stretch))
            and has_neighbour(town, stretch, s, s + needs(stretch), left)
        )  # fmt: skip

    stretch = pick(town, rng, fits)
    if stretch is None:
        return None
    s, end = begin(stretch), begin(stretch) + needs(stretch)
    route = route_over(town, rng, stretch, straight_on(town, stretch), BEYOND_M)

    def dress(traffic: ScriptedTraffic, expert: Expert, v: float) -> bool:
        line = expert.path.between(s - ROOM_BEHIND_M, end + ROOM_AHEAD_M)
        width = town.lanes[stretch.lanes[0]].width
        traffic.clear(line)
        traffic.clear(moved(line, width if left else -width))
        place = s + FRONT + 2.0 + headway * v + 2.4
        lane = neighbour(town, stretch, place, left)
        arc = float(locate(town.lanes[lane].centre, stretch.at(place)[None, :2])[0, 0])
        car = traffic.put(lane, arc, v)
        traffic.drive_at(car, v)
        traffic.plays(CutIn(car, not left, from_s, lasts, v - slower))
        return True

    return SituationSetup(town, route, s, end - s + 40.0, dress)
