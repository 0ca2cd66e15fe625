"""Where in a town a situation may be set: stretches of street, and routes that begin on them.

May import: frames, types, world.route_lanes, routes, town.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from irl_vla.frames import arc_lengths
from irl_vla.types import F64
from irl_vla.world.route_lanes import locate
from irl_vla.world.routes import random_route
from irl_vla.world.town import NONE, Town, Turn

BESIDE_M = (2.0, 4.5)  # [m] from a lane's middle to the middle of a parking place beside it
NEIGHBOURS_M = 6.5  # [m] at most between the middles of two parking places next to each other
INWARD_M = 0.5  # [m] from the middle of a parking place towards the road: a person waits there
OVER_M = (4.0, 16.0)  # [m] to the left of a lane's middle: the footpath on the other side
FREE_M = 0.45  # [m] between the way of a person and whatever stands beside it
MOST_TURN = 0.12  # [rad] between any two headings of a stretch that counts as straight


@dataclass(frozen=True)
class Stretch:
    """Lanes of one street that follow one another, up to its end. centre: (n, 3) of all of them;
    arcs: (n,) [m]; onward: the connectors that lead on."""

    lanes: tuple[int, ...]
    centre: F64
    arcs: F64
    onward: tuple[int, ...]

    @property
    def length(self) -> float:
        """[m]"""
        return float(self.arcs[-1])

    def at(self, s: float) -> F64:
        """(3,) pose at s."""
        headings = np.unwrap(self.centre[:, 2])
        columns = (self.centre[:, 0], self.centre[:, 1], headings)
        return np.array([np.interp(s, self.arcs, column) for column in columns])

    def lane_at(self, town: Town, s: float) -> tuple[int, float]:
        """The lane at s, and the arc there on it."""
        for lane in self.lanes:
            length = float(arc_lengths(town.lanes[lane].centre)[-1])
            if s <= length:
                return lane, s
            s -= length
        return self.lanes[-1], length

    def is_straight(self, begin: float, end: float) -> bool:
        """Whether it hardly bends from s = begin to end."""
        part = np.unwrap(self.centre[:, 2])[(self.arcs >= begin) & (self.arcs <= end)]
        return bool(len(part) > 1 and np.ptp(part) < MOST_TURN)


def stretches(town: Town) -> Iterator[Stretch]:
    """Every street lane with what follows it up to the junction; lanes that merge are left out."""
    closed = {closure.lane for closure in town.closures}
    for index, lane in enumerate(town.lanes):
        if lane.junction != NONE:
            continue
        lanes = (index, *_follow(town, index))
        if lane.merging or closed.intersection(lanes):
            continue
        parts = [town.lanes[i].centre[(0 if i == index else 1) :] for i in lanes]
        centre = np.concatenate(parts)
        onward = town.lanes[lanes[-1]].successors
        if onward:
            yield Stretch(lanes, centre, arc_lengths(centre), onward)


def _follow(town: Town, index: int) -> list[int]:
    """The lanes of the same street that go straight on from a lane."""
    found: list[int] = []
    while True:
        ahead = [i for i in town.lanes[index].successors if town.lanes[i].junction == NONE]
        if not ahead:
            return found
        index = min(ahead, key=lambda i: float(np.ptp(town.lanes[i].centre[:, 2])))
        found.append(index)


def route_over(
    town: Town, rng: np.random.Generator, stretch: Stretch, connector: int, beyond_m: float
) -> tuple[int, ...]:
    """A route along a stretch, through one of its connectors, and at least beyond_m on."""
    after = town.lanes[connector].successors[0]
    return (*stretch.lanes, connector, *random_route(town, rng, after, beyond_m))


def straight_on(town: Town, stretch: Stretch) -> int:
    """The connector that leads straight on, or the first one."""
    ahead = [i for i in stretch.onward if town.lanes[i].turn == Turn.STRAIGHT]
    return (ahead or list(stretch.onward))[0]


# --------------------------------------------------------------------------- people beside a street


def parking_gaps(town: Town, stretch: Stretch) -> list[float]:
    """s of the gaps between parking places next to each other on the right of a stretch."""
    if not town.spots:
        return []
    places = locate(stretch.centre, np.array([spot.pose[:2] for spot in town.spots]))
    low, high = BESIDE_M
    beside = np.sort(places[(places[:, 1] < -low) & (places[:, 1] > -high), 0])
    near = np.diff(beside) < NEIGHBOURS_M
    return [float(s) for s in ((beside[:-1] + beside[1:]) / 2.0)[near]]


def way_over(town: Town, stretch: Stretch, s: float) -> F64 | None:
    """(2, 2) from between the parked cars at s to the footpath on the other side, or None."""
    places = locate(stretch.centre, np.array([spot.pose[:2] for spot in town.spots]))
    row = float(places[np.argmin(np.abs(places[:, 0] - s) + np.abs(places[:, 1] + 3.0)), 1])
    paths = locate(stretch.centre, np.concatenate([np.zeros((0, 2)), *town.footpaths]))
    across = paths[(np.abs(paths[:, 0] - s) < 3.0) & (paths[:, 1] > OVER_M[0]), 1]
    if not len(across) or across.min() > OVER_M[1]:
        return None
    x, y, heading = stretch.at(s)
    left = np.array([-np.sin(heading), np.cos(heading)])
    return np.array([x, y]) + np.outer([row + INWARD_M, float(across.min())], left)


def is_hidden(boxes: F64, line: F64) -> bool:
    """Whether something stands close by on either side of where a way over the road begins, and
    nothing on it. boxes: (n, 5) x, y, heading, half length, half width; line: (2, 2)."""
    way = line[1] - line[0]
    length = float(np.hypot(*way))
    way = way / length
    offsets = boxes[:, :2] - line[0]
    over, along = offsets @ way, offsets @ np.array([way[1], -way[0]])
    gap = np.abs(along) - boxes[:, 3]
    inside = (over > -3.0) & (over < length + 1.0)
    if (inside & (gap < FREE_M)).any():
        return False
    close = (np.abs(over) < 2.0) & (gap < NEIGHBOURS_M / 2.0)
    return bool((close & (along < 0.0)).any() and (close & (along > 0.0)).any())
