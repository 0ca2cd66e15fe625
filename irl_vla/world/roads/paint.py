"""Paint on the asphalt. Lines between lanes are solid near stop lines, where lanes are not changed.
May import: types, world.roads, world.town.
"""

from __future__ import annotations

import numpy as np

from irl_vla.types import F64
from irl_vla.world.roads.curves import beside
from irl_vla.world.roads.junctions import Arm, BuiltJunction
from irl_vla.world.roads.lane_draft import LaneDraft
from irl_vla.world.roads.pavement import Site, across
from irl_vla.world.roads.right_of_way import main_arms
from irl_vla.world.roads.street import TAPER_M, Carriageway, Street
from irl_vla.world.roads.street_plan import VERGE_M
from irl_vla.world.town import Crosswalk, Marking, Turn

LINE_M, STOP_M, ZEBRA_M, ARROW_M = 0.12, 0.5, 0.5, 0.15  # widths of paint
_SOLID_M = 18.0  # before a stop line
_STOP_BACK_M = 0.3  # middle of the stop line, before the lane's end
_ARROW_BACK_M, _ARROW_LONG_M = 9.0, 4.0


def paint(
    streets: list[Street], sites: list[Site], crosswalks: list[Crosswalk],
    lanes: list[LaneDraft], yellow: bool,
) -> list[Marking]:  # fmt: skip
    """All markings of a town. yellow: colour of the lines between the directions."""
    marks: list[Marking] = []
    for street in streets:
        marks += _middle(street, yellow)
        for carriageway in street.carriageways:
            marks += _dividers(street, carriageway)
            if street.plan.main or carriageway.bays is None:
                line = beside(carriageway.poses, carriageway.edge + VERGE_M - LINE_M / 2)
                marks.append(Marking("solid", line, LINE_M))
    for site in sites:
        marks += _stop_lines(site)
        for arm in site.arms:
            if len(arm.coming) > 1:
                marks += [mark for lane in arm.coming for mark in _arrows(lanes, lane)]
    return marks + [Marking("zebra", walk.polygon, ZEBRA_M) for walk in crosswalks]


def _middle(street: Street, yellow: bool) -> list[Marking]:
    """Between the directions: dashed on side streets, else two solid lines, open at pockets."""
    carriageway, plan = street.carriageways[0], street.plan
    if not plan.main:
        solid = carriageway.along > carriageway.length - _SOLID_M
        begin = int(np.argmax(solid)) if carriageway.length > 2 * _SOLID_M else 0
        first = int(np.argmin(carriageway.along < _SOLID_M)) if begin else 0
        line = carriageway.poses[:, :2]
        parts = [("solid", line[: first + 1]), ("dashed", line[first : begin + 1]),
                 ("solid", line[begin:])]  # fmt: skip
        return [Marking(k, part, LINE_M, yellow) for k, part in parts if len(part) > 1]
    marks = []
    for carriageway, way, other in zip(
        street.carriageways, plan.ways, plan.ways[::-1], strict=True
    ):
        part = carriageway.along <= carriageway.length - way.pocket
        part &= carriageway.along >= other.pocket - TAPER_M if other.pocket else part
        offset = -plan.median / 2 + LINE_M / 2
        if part.sum() > 1:
            marks.append(Marking("solid", beside(carriageway.poses[part], offset), LINE_M, yellow))
        if way.pocket:
            part = carriageway.along >= carriageway.length - way.pocket + TAPER_M
            offset = plan.width - plan.median / 2 + LINE_M / 2
            marks.append(Marking("solid", beside(carriageway.poses[part], offset), LINE_M, yellow))
            edge = carriageway.along >= carriageway.length - way.pocket
            back = beside(
                carriageway.poses[edge], np.full(int(edge.sum()), plan.median / 2 - LINE_M / 2)
            )
            marks.append(Marking("solid", back, LINE_M, yellow))
    return marks


def _dividers(street: Street, carriageway: Carriageway) -> list[Marking]:
    """Dashed lines between the lanes of one direction, solid before the stop line."""
    marks = []
    plan = street.plan
    way = plan.ways[0 if carriageway is street.carriageways[0] else 1]
    near = carriageway.along > carriageway.length - _SOLID_M
    for slot in range(way.lanes + 1):
        part = np.ones(len(carriageway.along), bool)
        if slot == 0:
            part = carriageway.along >= carriageway.length - way.pocket if way.pocket else ~part
        elif slot == way.lanes:
            part = (carriageway.along >= carriageway.length - way.add) if way.add else (
                carriageway.along <= way.drop if way.drop else ~part
            )  # fmt: skip
        line = beside(carriageway.poses, -(plan.median / 2 + plan.width * slot))
        solid, dashed = part & near, part & ~near
        if solid.any():  # the solid line begins where the dashed one ends
            solid[max(int(np.argmax(solid)) - 1, 0)] = True
        marks += [
            Marking(kind, line[mask], LINE_M)
            for kind, mask in (("dashed", dashed), ("solid", solid)) if mask.sum() > 1
        ]  # fmt: skip
    return marks


def _stop_lines(site: Site) -> list[Marking]:
    """Where vehicles wait: solid at lights and on minor roads, dashed at roundabouts."""
    if isinstance(site, BuiltJunction):
        if site.plan.kind == "equal":
            return []
        main = main_arms(site) if site.plan.kind == "priority" else ()
        waiting = [arm for i, arm in enumerate(site.arms) if i not in main]
        return [Marking("stop", _gate_line(arm), STOP_M) for arm in waiting]
    return [Marking("dashed", _gate_line(arm), STOP_M) for arm in site.arms]


def _gate_line(arm: Arm) -> F64:
    """(2, 2) across the lanes that come in."""
    inner = 0.15
    return across(arm.gate, _STOP_BACK_M, _STOP_BACK_M, arm.plan.coming - VERGE_M, inner)[1:3]


def _arrows(lanes: list[LaneDraft], index: int) -> list[Marking]:
    """What the lane's connectors do, painted before its end."""
    lane = lanes[index]
    back = len(lane.centre) - 1
    while back > 0 and np.hypot(*(lane.centre[back] - lane.centre[-1])[:2]) < _ARROW_BACK_M:
        back -= 1
    x, y, heading = lane.centre[back]
    shapes = {
        Turn.STRAIGHT: [[0.0, 0.0], [_ARROW_LONG_M, 0.0]],
        Turn.LEFT: [[0.0, 0.0], [0.6 * _ARROW_LONG_M, 0.0], [0.8 * _ARROW_LONG_M, 1.0]],
        Turn.RIGHT: [[0.0, 0.0], [0.6 * _ARROW_LONG_M, 0.0], [0.8 * _ARROW_LONG_M, -1.0]],
    }
    turns = sorted({lanes[other].turn for other in lane.successors})
    rotation = np.array([[np.cos(heading), np.sin(heading)], [-np.sin(heading), np.cos(heading)]])
    return [Marking("arrow", np.array(shapes[turn]) @ rotation + (x, y), ARROW_M) for turn in turns]
