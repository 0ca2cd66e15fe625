"""A town from a seed: streets, junctions and all that stands beside them.

    town = build_town(7)
    town = build_town(7, TownRequest(columns=(3, 3), rows=(2, 2), roundabouts=1.0))
Same seed and request, same bytes. Driving on the right.
May import: types, scoring.scene, and the parts of a town in world.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from irl_vla.foreign import brief
from irl_vla.scoring.scene import Polygons
from irl_vla.types import F64, InputError
from irl_vla.world.roads.furniture import furniture
from irl_vla.world.roads.junctions import (
    BuiltJunction,
    Link,
    arms_of,
    draw_connectors,
    links_of,
    outline,
)
from irl_vla.world.roads.lane_draft import LaneDraft
from irl_vla.world.roads.paint import paint
from irl_vla.world.roads.pavement import (
    Site,
    bays,
    crosswalk_of,
    crosswalks_at,
    footpaths,
    kerbs,
    mid_block_crosswalks,
    spots,
)  # fmt: skip
from irl_vla.world.roads.right_of_way import cross, give_way
from irl_vla.world.roads.roundabout import Roundabout, build_roundabout
from irl_vla.world.roads.street import Street, lay_street
from irl_vla.world.roads.street_plan import NodePlan
from irl_vla.world.roads.town_plan import plan_town, whole
from irl_vla.world.roads.town_request import TownRequest
from irl_vla.world.roads.traffic_lights import lights_of
from irl_vla.world.roads.work_zone import work_zones
from irl_vla.world.town import NONE, Crosswalk, Junction, Signal, Town

__all__ = ["TownRequest", "build_town"]

_OVERLAP_M = 0.5  # by which the asphalt of streets reaches under that of junctions
_LIGHTS, _LOOKS = 0x70B2, 0x70B3  # random streams: of traffic lights, of all that stands around


@dataclass
class _Works:
    """A town under construction."""

    seed: int
    streets: list[Street]
    lanes: list[LaneDraft]
    sites: list[Site] = field(default_factory=list)
    signals: list[Signal] = field(default_factory=list)
    crosswalks: list[Crosswalk] = field(default_factory=list)


def build_town(seed: int, request: TownRequest = TownRequest()) -> Town:  # noqa: B008 (frozen)
    """The town of a seed >= 0. InputError where the request cannot be built."""
    if isinstance(seed, bool) or not isinstance(seed, int) or seed < 0:
        raise InputError(f"town: seed: expected a whole number >= 0, got {brief(seed)}")
    plan = plan_town(seed, request)
    lanes: list[LaneDraft] = []
    streets = [lay_street(index, street, lanes) for index, street in enumerate(plan.streets)]
    works = _Works(seed, streets, lanes)
    _join(works, list(plan.nodes.values()))
    _rule(works)
    return _furnished(works, request)


def _join(works: _Works, nodes: list[NodePlan]) -> None:
    """Lanes through all junctions."""
    links: list[Link] = []
    names, owners, parts = [], [], []
    for number, node in enumerate(nodes):
        arms = arms_of(node, works.streets)
        own = [] if node.kind == "roundabout" else links_of(
            node, arms, works.lanes, _pockets(works, node)
        )  # fmt: skip
        links += own
        names += [
            (f"j{number}.{k}", f"j{number}:{a.arms[0]}>{a.arms[1]}") for k, a in enumerate(own)
        ]
        owners += [number] * len(own)
        parts.append((node, arms, tuple(own)))
    first = len(works.lanes)
    draw_connectors(links, names, owners, works.lanes)
    for number, (node, arms, mine) in enumerate(parts):
        if node.kind == "roundabout":
            works.sites.append(build_roundabout(number, node, arms, works.lanes))
            continue
        connectors = tuple(range(first, first + len(mine)))
        first += len(mine)
        drawn = [works.lanes[index] for index in connectors]
        ring, corners = outline(node, arms, mine, drawn)
        works.sites.append(BuiltJunction(node, arms, mine, connectors, ring, corners))


def _pockets(works: _Works, node: NodePlan) -> list[bool]:
    """Per arm: whether its leftmost lane is for turning left only."""
    return [works.streets[a.street].plan.ways[1 - a.end].pocket > 0 for a in node.arms]


def _rule(works: _Works) -> None:
    """Right of way, traffic lights, and the crosswalks of junctions."""
    rng = np.random.default_rng([works.seed, _LIGHTS])
    for site in works.sites:
        walks: tuple[int, ...] = (NONE,) * len(site.arms)
        if isinstance(site, BuiltJunction):
            pairs = cross(site, works.lanes)
            stages = None
            if site.plan.kind == "lights":
                first = len(works.signals)
                lights = lights_of(rng, site, _pockets(works, site.plan), first, works.lanes)
                works.signals += lights.signals
                walks = tuple(first + walk for walk in lights.walks)
                stages = [lights.stages[group] for group in lights.groups]
            give_way(site, works.lanes, pairs, stages)
        works.crosswalks += crosswalks_at(site, walks)


def _furnished(works: _Works, request: TownRequest) -> Town:
    """With all that does not move beside the lanes."""
    rng = np.random.default_rng([works.seed, _LOOKS])
    streets, sites = works.streets, works.sites
    crossed = mid_block_crosswalks(rng, streets, request.crosswalks)
    walks = [*works.crosswalks, *(crosswalk_of(planned, streets) for planned in crossed)]
    closures, cones = work_zones(rng, whole(rng, request.work_zones), streets, works.lanes)
    yellow = bool(rng.random() < 0.4)
    return Town(
        f"town {works.seed}", works.seed,
        tuple(draft.lane() for draft in works.lanes),
        Polygons.of(_asphalt(works)),
        tuple(_junction(site) for site in sites),
        tuple(works.signals), tuple(walks), tuple(closures),
        Polygons.of(bays(streets)), tuple(spots(rng, streets, crossed)),
        tuple(footpaths(streets, sites)), tuple(kerbs(streets, sites)),
        tuple(paint(streets, sites, walks, works.lanes, yellow)),
        (*cones, *furniture(rng, streets, sites, works.signals)),
    )  # fmt: skip


def _asphalt(works: _Works) -> list[F64]:
    rings = [street.outline(kerb=False, overlap=_OVERLAP_M) for street in works.streets]
    for site in works.sites:
        rings += site.rings if isinstance(site, Roundabout) else (site.ring,)
    return rings


def _junction(site: Site) -> Junction:
    if isinstance(site, Roundabout):
        return Junction("roundabout", site.outline, site.lanes)
    return Junction("crossing", site.ring, site.connectors)
