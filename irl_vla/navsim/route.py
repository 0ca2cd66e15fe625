"""The logged route of blocks -> the route that the ego can really take.

nuPlan's routes start ahead of or behind the ego, miss links and form loops. The correction is that
of PDM-Closed: find the block where the ego is, connect it with the route, fill gaps, cut loops.
Blocks are roadblocks and roadblock connectors, named by id.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from irl_vla.frames import wrap_angle
from irl_vla.navsim.city_map import Block, CityMap, LayerName, MapLane
from irl_vla.navsim.map_queries import near, nearest
from irl_vla.types import F64, InputError

SEARCH_RADIUS = 1.0  # [m] half side of the square around the rear axle
MAX_HEADING_ERROR = np.pi / 4  # [rad] to the lane's nearest vertex
MAX_DISTANCE = 3.0  # [m] to the lane's nearest vertex
DEPTH_BACKWARD, DEPTH_FORWARD = 15, 30  # blocks on a searched path, both ends included
FORWARD_GOALS = 3  # a forward search may join the route at one of its first blocks
LOOP_OVERLAP = 1.0  # [m^2] of two connectors of the route
BLOCK_LAYERS = (LayerName.ROADBLOCK, LayerName.ROADBLOCK_CONNECTOR)


@dataclass(frozen=True)
class BlockRoute:
    """given: ids as logged; blocks: the corrected route, each block once"""

    given: tuple[str, ...]
    blocks: tuple[Block, ...]

    @property
    def ids(self) -> tuple[str, ...]:
        return tuple(block.id for block in self.blocks)


def correct_route(city: CityMap, pose: F64, given: Sequence[str]) -> BlockRoute:
    """The route for an ego whose rear axle is at `pose` (x, y, heading).

    Raises InputError for an empty route and for blocks that the map does not have.
    """
    if not given:
        raise InputError("the frame has no route (roadblock_ids is empty); nothing to follow")
    route = _blocks(city, dict.fromkeys(given))
    route = _connect_start(city, pose, route)
    route = _fill_gaps(city, route)
    route = _cut_loops(route)
    return BlockRoute(tuple(given), tuple({block.id: block for block in route}.values()))


def route_lanes(city: CityMap, blocks: Iterable[Block]) -> dict[str, MapLane]:
    """id -> lane of all blocks, in order. Ids of lanes and connectors share one dict, as in the
    original: where the two layers use the same id, the later one stays."""
    return {lane.id: lane for block in blocks for lane in city.lanes_of(block)}


def _blocks(city: CityMap, ids: Iterable[str]) -> list[Block]:
    route = []
    for block_id in ids:
        block = city.block(block_id)
        if block is None:
            raise InputError(
                f"map of '{city.city}': the route names block {block_id}, which is neither a lane "
                "group nor a lane group connector. Do the maps belong to the logs?"
            )
        route.append(block)
    return route


def _connect_start(city: CityMap, pose: F64, route: list[Block]) -> list[Block]:
    """Puts the ego's block in front: found backwards from the route's first block, else forwards
    from the ego's own to one of the first route blocks; if both fail the route stays."""
    ids = [block.id for block in route]
    start, candidates = starting_block(city, pose, set(ids))
    if start.id in ids:
        return route
    goals = {block.id for block in candidates}
    path = search(route[0], goals, lambda block: block.incoming, city, DEPTH_BACKWARD)
    if path is not None:
        return path[::-1][:-1] + route
    goals = set(ids[:FORWARD_GOALS])
    path = search(start, goals, lambda block: block.outgoing, city, DEPTH_FORWARD)
    if path is None:
        return route
    return path + route[ids.index(path[-1].id) + 1 :]


def starting_block(
    city: CityMap, pose: F64, route_ids: Collection[str]
) -> tuple[Block, list[Block]]:
    """The block where the ego is, and the candidates it was chosen from.

    Candidates meet a square of 2 m around the rear axle. Every LANE of a candidate that is near
    and points the same way votes for its block, so a block may be listed twice.
    """
    candidates = _blocks_at(city, pose)
    on_route: list[tuple[float, Block]] = []
    others: list[tuple[float, Block]] = []
    closest: list[tuple[float, Block]] = []
    for block in candidates:
        least = np.inf
        for lane in city.lanes_of(block):
            distance, heading_error = _off_lane(lane, pose)
            least = min(least, distance)
            if heading_error < MAX_HEADING_ERROR and distance < MAX_DISTANCE:
                (on_route if block.id in route_ids else others).append((distance, block))
        closest.append((least, block))
    for voted in (on_route, others, closest):
        if voted:
            return min(voted, key=lambda vote: vote[0])[1], [block for _, block in voted]
    raise InputError(f"map of '{city.city}': it has no roadblocks at all")


def _blocks_at(city: CityMap, pose: F64) -> list[Block]:
    x, y = float(pose[0]), float(pose[1])
    ids = [(layer, i) for layer in BLOCK_LAYERS for i in near(city, x, y, SEARCH_RADIUS, layer)]
    if not ids:
        found = [(layer, nearest(city, x, y, layer)) for layer in BLOCK_LAYERS]
        ids = [(layer, hit[0]) for layer, hit in found if hit is not None]
    return [block for layer, i in ids if (block := city.block_in(layer, i)) is not None]


def _off_lane(lane: MapLane, pose: F64) -> tuple[float, float]:
    """Distance [m] to the nearest VERTEX of the lane's baseline, and heading error there [rad]."""
    points = lane.baseline.points
    distances = np.sqrt(((points[:, :2] - pose[:2]) ** 2).sum(axis=-1))
    nearest_vertex = int(np.argmin(distances))
    error = abs(float(wrap_angle(points[nearest_vertex, 2] - pose[2])))
    return float(distances[nearest_vertex]), error


def search(
    start: Block,
    goals: Collection[str],
    neighbours: Callable[[Block], Sequence[str]],
    city: CityMap,
    max_depth: int,
) -> list[Block] | None:
    """Breadth-first path from `start` to the first goal, at most `max_depth` blocks long, or None.

    The original keeps no visited set, so its queue grows exponentially and a block that is queued
    twice at one depth remembers the LAST block that queued it, while goals are met in the order of
    FIRST queueing. Both orders are kept here per depth, with each block once.
    """
    if start.id in goals:
        return [start]
    by_first, by_last, seen = [start], [start], {start.id}
    parents: list[dict[str, Block]] = [{}]
    for _ in range(max_depth - 1):
        first_seen: dict[str, Block] = {}
        for block in by_first:
            for next_block in _known(city, neighbours(block)):
                if next_block.id not in seen:
                    first_seen.setdefault(next_block.id, next_block)
        parent: dict[str, Block] = {}
        last_seen: dict[str, Block] = {}
        for block in by_last:
            for next_block in _known(city, neighbours(block)):
                if next_block.id not in seen:
                    last_seen.pop(next_block.id, None)
                    last_seen[next_block.id], parent[next_block.id] = next_block, block
        parents.append(parent)
        by_first, by_last = list(first_seen.values()), list(last_seen.values())
        for block in by_first:
            if block.id in goals:
                return _walk_back(block, parents)
        if not by_first:
            return None
        seen.update(first_seen)
    return None


def _known(city: CityMap, ids: Iterable[str]) -> list[Block]:
    """Blocks that the map has; links that end at its border lead nowhere."""
    return [block for block_id in ids if (block := city.block(block_id)) is not None]


def _walk_back(goal: Block, parents: list[dict[str, Block]]) -> list[Block]:
    path = [goal]
    for parent in parents[:0:-1]:
        path.append(parent[path[-1].id])
    return path[::-1]


def _fill_gaps(city: CityMap, route: list[Block]) -> list[Block]:
    """Inserts the blocks between neighbours of the route that are not linked."""
    filled = route[:1]
    for block, following in itertools.pairwise(route):
        if block.id not in following.incoming:
            path = search(block, {following.id}, lambda b: b.outgoing, city, DEPTH_FORWARD)
            if path is not None:
                filled.extend(path[1:-1])
        filled.append(following)
    return filled


def _cut_loops(route: list[Block]) -> list[Block]:
    """Ends the route before the first connector that lies over an earlier connector of it."""
    crossed: list[Block] = []
    for index, block in enumerate(route):
        if not block.is_connector:
            continue
        if any(
            block.polygon.intersection(earlier.polygon).area > LOOP_OVERLAP for earlier in crossed
        ):
            return route[:index]
        crossed.append(block)
    return route
