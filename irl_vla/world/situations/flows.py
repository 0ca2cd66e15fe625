"""Setups in which the ego needs a gap in a flow of others: a left turn through it, a lane that
ends.

May import: frames, world.driver, world.situations, route_lanes, routes, town.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from irl_vla.frames import arc_lengths
from irl_vla.types import F64
from irl_vla.world.driver.expert import Expert
from irl_vla.world.driver.knowledge import predecessors
from irl_vla.world.routes import RoutePath, random_route
from irl_vla.world.situations.events import GoesFirst
from irl_vla.world.situations.places import Stretch, route_over, stretches
from irl_vla.world.situations.scripted_traffic import ScriptedTraffic
from irl_vla.world.situations.setups import (
    BEYOND_M,
    FRONT,
    PACE,
    STOP_LINE_M,
    TAKE_OVER_S,
    SituationSetup,
    limit_of,
    with_clock,
)
from irl_vla.world.town import NONE, Light, Town, Turn

LEAST_ARC_M = 3.0  # [m] from a lane's begin to the middle of whoever is put on it


def length_of(town: Town, lane: int) -> float:
    """[m]"""
    return float(arc_lengths(town.lanes[lane].centre)[-1])


def back_from(town: Town, lane: int, arc: float) -> tuple[int, float] | None:
    """The lane and arc of a place that lies `arc` [m] along a lane, negative before its begin:
    along lanes that go straight on. None where there are none."""
    before = predecessors(town)
    while arc < LEAST_ARC_M:
        ahead = [i for i in before[lane] if town.lanes[i].turn == Turn.STRAIGHT]
        if not ahead:
            return None
        lane = ahead[0]
        arc += length_of(town, lane)
    return lane, arc


def leading_to(town: Town, lanes: Sequence[int]) -> list[int]:
    """Lanes, what leads straight into them, and what leads there: two lanes back."""
    before, found = predecessors(town), list(lanes)
    for _ in range(2):
        found += [i for lane in found for i in before[lane] if i not in found]
    return sorted(set(found))


# --------------------------------------------------------------------------- unprotected_turn


LEAST_GREEN_S = 20.0  # [s] a light must stay green for those who turn
GREEN_SINCE_S = -2.0  # [s] when it turns green
AWAY_S, AWAY_M = 3.0, 14.0  # the ego begins so far before the junction
AHEAD_S, MEETS_S = 2.3, (0.1, 0.6)  # [s] one comes so long before the one that meets the ego, who
# passes where their ways cross so long after the bumper of an ego that does not wait
DECIDED_S = 4.5  # [s] before they are at the junction, all of them go on whoever turns
CARS, APART_S = (2, 3), (1.5, 1.8)  # that follow; [s] between them


class Turning(NamedTuple):
    """A left turn. connector: that the ego takes; other: the one that goes straight towards it."""

    stretch: Stretch
    connector: int
    other: int


def unprotected_turn(town: Town, rng: np.random.Generator) -> SituationSetup | None:
    """A left turn through those who come towards the ego and go first."""
    options = _turnings(town)
    if not options:
        return None
    turning = options[rng.integers(len(options))]
    stretch, connector, other = turning
    v = PACE * limit_of(town, stretch)
    s = stretch.length - STOP_LINE_M - FRONT - (TAKE_OVER_S + AWAY_S - 1.0) * v - AWAY_M
    more, apart = int(rng.integers(CARS[0], CARS[1] + 1)), rng.uniform(*APART_S)
    delays = rng.uniform(*MEETS_S) + np.array([-AHEAD_S, *(apart * np.arange(1 + more))])
    u = 0.9 * town.lanes[other].speed_limit
    if s < 5.0:
        return None
    if town.lanes[connector].signal != NONE:
        town = with_clock(town, town.lanes[connector].signal, Light.GREEN, GREEN_SINCE_S)
    route = route_over(town, rng, stretch, connector, BEYOND_M)
    end = stretch.length + length_of(town, connector) + 25.0

    def dress(traffic: ScriptedTraffic, expert: Expert, v: float) -> bool:
        mine, theirs = crossing(expert.path, town.lanes[other].centre)
        meets = theirs - u * (seconds(expert, s, mine - FRONT) + delays)
        at = [place for arc in meets.tolist() if (place := back_from(town, other, arc))]
        if len(at) < len(meets):
            return False
        traffic.clear(expert.path.between(s - 15.0, end + 25.0))
        for lane in leading_to(town, town.lanes[connector].yields_to):
            traffic.clear(town.lanes[lane].centre)
        cars = [traffic.put(*place, u, through=other) for place in at]
        for car in cars:
            traffic.drive_at(car, u)
        traffic.plays(*(GoesFirst(car, other, DECIDED_S) for car in cars))
        return True

    return SituationSetup(town, route, s, end - s, dress)


def crossing(path: RoutePath, line: F64) -> tuple[float, float]:
    """Where a path and a line (n, 3) come closest: s of the path and arc of the line [m]."""
    gaps = np.hypot(*(path.poses[:, None, :2] - line[None, :, :2]).T).T
    i, k = np.unravel_index(int(gaps.argmin()), gaps.shape)
    return float(path.arcs[i]), float(arc_lengths(line)[k])


def seconds(expert: Expert, begin: float, end: float) -> float:
    """[s] from begin to end of its path [m], nobody in the way."""
    return sum(1.0 / max(expert.allowed(s), 1.0) for s in np.arange(begin, end).tolist())


def _turnings(town: Town) -> list[Turning]:
    """Left turns that meet oncoming traffic which goes first, and at lights has green, too."""
    found = []
    for stretch in stretches(town):
        for connector in stretch.onward:
            lane = town.lanes[connector]
            for other in lane.yields_to if lane.turn == Turn.LEFT else ():
                if _comes_towards(town, connector, other) and _both_go(town, connector, other):
                    found.append(Turning(stretch, connector, other))
                    break
    return found


def _comes_towards(town: Town, connector: int, other: int) -> bool:
    """Whether the other goes straight on, against the way the ego comes."""
    lane = town.lanes[other]
    turned = float(np.cos(lane.centre[0, 2] - town.lanes[connector].centre[0, 2]))
    return lane.turn == Turn.STRAIGHT and turned < -0.8


def _both_go(town: Town, connector: int, other: int) -> bool:
    """Whether no light keeps one of them, or both are green together for long enough."""
    mine, theirs = town.lanes[connector].signal, town.lanes[other].signal
    if mine == NONE:
        return theirs == NONE
    phases = town.signals[mine].phases
    green = sum(time for time, light in phases if light == Light.GREEN)
    same = theirs != NONE and np.array_equal(town.signals[theirs].phases, phases)
    return bool(same and green > LEAST_GREEN_S)


# --------------------------------------------------------------------------- merge


LEVEL_M = (-1.5, 2.5)  # [m] that the middle of the car beside lies ahead of the ego's
GAPS_M = (34.0, 42.0)  # [m] from bumper to bumper of those in the lane beside
FOLLOWERS = 2
MERGE_GREEN_S = -6.0  # [s] when the light before it turns green
BEFORE_M = 6.0  # [m] before the lane that ends, when whoever is tested takes over
CAR_M = 4.5  # [m] length of a car, about


def merge(town: Town, rng: np.random.Generator) -> SituationSetup | None:
    """The ego's lane ends soon; beside it a car drives level with it, and more follow."""
    options = _endings(town)
    if not options:
        return None
    start, connector, lane = options[rng.integers(len(options))]
    beside, begins = town.lanes[lane].left, length_of(town, start) + length_of(town, connector)
    s = begins - BEFORE_M - TAKE_OVER_S * PACE * town.lanes[lane].speed_limit
    gap, level = rng.uniform(*GAPS_M), rng.uniform(*LEVEL_M)
    first = s - begins + FRONT / 2.0 + level
    found = [back_from(town, beside, first - k * (gap + CAR_M)) for k in range(1 + FOLLOWERS)]
    at = [place for place in found if place is not None]
    if s < 3.0 or len(at) <= FOLLOWERS:
        return None
    if town.lanes[connector].signal != NONE:
        town = with_clock(town, town.lanes[connector].signal, Light.GREEN, MERGE_GREEN_S)
    route = (start, connector, lane, *random_route(town, rng, beside, BEYOND_M + 60.0))
    ends = begins + length_of(town, lane)

    def dress(traffic: ScriptedTraffic, expert: Expert, v: float) -> bool:
        traffic.clear(expert.path.between(s - 40.0, ends + 70.0))
        for other in leading_to(town, (lane, beside)):
            traffic.clear(town.lanes[other].centre)
        for place in at:
            traffic.drive_at(traffic.put(*place, v, through=beside), v)
        return True

    return SituationSetup(town, route, s, ends - s + 50.0, dress)


def _endings(town: Town) -> list[tuple[int, int, int]]:
    """(street lane, connector straight on, lane that ends), one after the other."""
    before = predecessors(town)
    return [
        (start, connector, lane) for lane, ending in enumerate(town.lanes) if ending.merging
        for connector in before[lane] if town.lanes[connector].turn == Turn.STRAIGHT
        for start in before[connector] if town.lanes[start].junction == NONE
    ]  # fmt: skip
