"""The lane that the ego is in and goes on along, and what its driver then did, in words.

May import: frames, language.labels, scoring.scene, types, world.
"""

from __future__ import annotations

import numpy as np

from irl_vla.frames import arc_lengths, to_inner, wrap_angle
from irl_vla.language.labels import Labels, OwnLane, label
from irl_vla.scoring.scene import HEADING, VX, X, Y
from irl_vla.types import F64
from irl_vla.world.benchmark.scenes import Cutter
from irl_vla.world.route_lanes import beside, locate
from irl_vla.world.town import Town

AHEAD_M = 120.0  # [m] four seconds at 30 m/s


def labels_at(cutter: Cutter, step: int) -> Labels:
    """What the driver does in the four seconds after an instant of an episode."""
    speed = float(cutter.episode.ego[step, VX])
    return label(cutter.driven(step), speed, own_lane(cutter, step))


def own_lane(cutter: Cutter, step: int) -> OwnLane:
    """The lane nearest to the ego among those beside each other where the route is, carried on
    through its successors, along the route where that is possible."""
    town, path = cutter.episode.town, cutter.path
    pose = cutter.episode.ego[step, [X, Y, HEADING]]
    index = int(np.argmin(np.abs(path.arcs - cutter.places[step])))
    near = [chain[-1] for chain in beside(town, int(path.lanes[index]))]
    gaps = [abs(locate(town.lanes[i].centre, pose[None, :2])[0, 1]) for i in near]
    lane = near[int(np.argmin(gaps))]
    soon = path.lanes[index:][path.arcs[index:] <= path.arcs[index] + AHEAD_M]
    line = _carried_on(town, lane, {town.lanes[i].block for i in np.unique(soon)})
    return OwnLane(to_inner(line, pose), town.lanes[lane].width)


def _carried_on(town: Town, lane: int, route: set[str]) -> F64:
    """(n, 3) centre line from the lane's beginning to AHEAD_M beyond its end, or as far as it goes.
    route: its next blocks; of several ways on, one along it comes first, then the straightest."""
    line, ahead = [town.lanes[lane].centre], 0.0
    while ahead < AHEAD_M and town.lanes[lane].successors:
        heading = town.lanes[lane].centre[-1, 2]
        ways = [(town.lanes[i], i) for i in town.lanes[lane].successors]
        _, _, lane = min(
            (way.block not in route, abs(float(wrap_angle(way.centre[-1, 2] - heading))), i)
            for way, i in ways
        )
        line.append(town.lanes[lane].centre[1:])
        ahead += float(arc_lengths(town.lanes[lane].centre)[-1])
    return np.concatenate(line)
