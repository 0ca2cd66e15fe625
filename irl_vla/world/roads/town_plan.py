"""Which streets a town has, where they run and what they are like, before any lane is drawn.

A warped grid of nodes; some streets are left out. A node with two streets is a bend of one street
that turns the corner there, so no street ends anywhere and one can drive for ever. One street
leads from junction to junction.
May import: frames, types, world.roads.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np

from irl_vla.frames import step_lengths
from irl_vla.types import F64, InputError
from irl_vla.world.roads.street_plan import (
    AHEAD_ANGLE,
    ArmPlan,
    CarriagewayPlan,
    NodePlan,
    StreetPlan,
    TownPlan,
    turn_between,
)
from irl_vla.world.roads.town_fit import Impossible, fitted
from irl_vla.world.roads.town_request import TownRequest

SEED_KEY = 0x70B1  # this module's random stream
_SIDE_STREET_KMH = 50.0  # side streets are posted at most this
_MAIN_ROAD_KMH = 50.0  # main roads at least this
_JUNCTIONS_M = 58.0  # what two junctions take of a street, about
_LEAST_POCKET_M = 29.0  # room for its taper and for a car
_TRIES, _CALM_TRIES = 60, 8  # draws of a plan; after some, streets are straight


def plan_town(seed: int, request: TownRequest) -> TownPlan:
    """The first draw of the seed's stream that can be built."""
    for attempt in range(_TRIES):
        rng = np.random.default_rng([seed, SEED_KEY, attempt])
        try:
            return _draw(rng, request, calm=min(1.0, attempt / _CALM_TRIES))
        except Impossible:
            continue
    raise InputError(
        f"town of seed {seed}: no plan fits the request {request} in {_TRIES} draws; ask for "
        "longer blocks (block_m), fewer lanes, or smaller bend_radius_m and corner_radius_m"
    )


def whole(rng: np.random.Generator, ends: tuple[float, float]) -> int:
    """A whole number between both ends, included."""
    return int(rng.integers(int(ends[0]), int(ends[1]) + 1))


def _draw(rng: np.random.Generator, request: TownRequest, calm: float) -> TownPlan:
    columns, rows = whole(rng, request.columns), whole(rng, request.rows)
    places = _places(rng, request, columns, rows, calm)
    main = _main_edges(rng, request, columns, rows)
    edges = _edges(rng, columns, rows, request.missing, set(main))
    chains = _chains(len(places), edges)
    round_node = _roundabout(rng, request, chains, set(main))
    streets = [
        _street(rng, request, places, chain, set(main), round_node, calm) for chain in chains
    ]
    streets = _suited(streets)
    nodes = _nodes(rng, request, places, streets, round_node)
    return fitted(rng, request, streets, nodes)


def _places(
    rng: np.random.Generator, request: TownRequest, columns: int, rows: int, calm: float
) -> F64:
    """(columns * rows, 2) nodes; number = row * columns + column."""
    low, high = request.block_m
    x = np.concatenate([[0.0], np.cumsum(rng.uniform(low, high, columns - 1))])
    y = np.concatenate([[0.0], np.cumsum(rng.uniform(low, high, rows - 1))])
    grid = np.stack(np.meshgrid(x, y), axis=-1).reshape(-1, 2)
    grid -= grid.mean(axis=0)
    jitter = 0.09 * low * (1.0 - calm)
    grid += rng.uniform(-jitter, jitter, grid.shape)
    wave, phase = rng.uniform(0.0, 0.10 * low, 2) * (1.0 - calm), rng.uniform(0, 2 * np.pi, 2)
    grid += wave * np.sin(grid[:, ::-1] / (1.1 * high) + phase)
    turn = rng.uniform(-np.pi, np.pi)
    cos, sin = np.cos(turn), np.sin(turn)
    return np.asarray(grid @ np.array([[cos, sin], [-sin, cos]]))


Edge = tuple[int, int]


def _main_edges(
    rng: np.random.Generator, request: TownRequest, columns: int, rows: int
) -> list[Edge]:
    """The pieces of the main roads: whole rows and columns of the grid."""
    lines = [[(r * columns + c, r * columns + c + 1) for c in range(columns - 1)]
             for r in range(rows)]  # fmt: skip
    lines += [[(r * columns + c, (r + 1) * columns + c) for r in range(rows - 1)]
              for c in range(columns)]  # fmt: skip
    picked = rng.permutation(len(lines))[: whole(rng, request.main_roads)]
    return [edge for line in picked for edge in lines[line]]


def _edges(
    rng: np.random.Generator, columns: int, rows: int, missing: float, keep: set[Edge]
) -> list[Edge]:
    """Streets of the grid that are built: at every node two or more, and all hang together."""
    every = [(n, n + 1) for n in range(columns * rows) if (n + 1) % columns]
    every += [(n, n + columns) for n in range(columns * (rows - 1))]
    built = list(every)
    wanted = round(missing * len(every))
    for index in rng.permutation(len(every)):
        edge = every[index]
        if wanted == 0:
            break
        degree = [sum(node in other for other in built) for node in edge]
        rest = [other for other in built if other != edge]
        if edge in keep or min(degree) < 3 or not _connected(columns * rows, rest):
            continue
        if len(rest) <= columns * rows + 1:  # fewer, and hardly a junction would be left
            break
        built, wanted = rest, wanted - 1
    return built


def _connected(count: int, edges: list[Edge]) -> bool:
    group = list(range(count))
    for a, b in edges:
        old, new = group[a], group[b]
        if old != new:
            group = [new if g == old else g for g in group]
    return len(set(group)) == 1


def _chains(count: int, edges: list[Edge]) -> list[list[int]]:
    """Nodes of every street, from junction to junction."""
    next_to: list[list[int]] = [[] for _ in range(count)]
    for a, b in edges:
        next_to[a].append(b)
        next_to[b].append(a)
    chains, seen = [], set[Edge]()
    for node in range(count):
        for other in next_to[node]:
            if len(next_to[node]) < 3 or (node, other) in seen:
                continue
            chain = [node, other]
            while len(next_to[chain[-1]]) == 2:
                first, second = next_to[chain[-1]]
                chain.append(second if first == chain[-2] else first)
            seen.update(((chain[0], chain[1]), (chain[-1], chain[-2])))
            chains.append(chain)
    return chains


def _is_main(chain: list[int], main: set[Edge]) -> bool:
    pieces = pairwise(chain)
    return any((min(piece), max(piece)) in main for piece in pieces)


def _roundabout(
    rng: np.random.Generator, request: TownRequest, chains: list[list[int]], main: set[Edge]
) -> int:
    """The node that is one, or -1: no main road may meet there."""
    wanted = rng.random() < request.roundabouts
    busy = {end for chain in chains if _is_main(chain, main) for end in (chain[0], chain[-1])}
    free = sorted({end for chain in chains for end in (chain[0], chain[-1])} - busy)
    pick = rng.random()
    return free[int(pick * len(free))] if wanted and free else -1


def _street(
    rng: np.random.Generator, request: TownRequest, places: F64, chain: list[int],
    main: set[Edge], round_node: int, calm: float,
) -> StreetPlan:  # fmt: skip
    corners = [places[chain[0]]]
    for a, b in pairwise(chain):
        corners += [*_wiggle(rng, places[a], places[b], calm), places[b]]
    is_main = _is_main(chain, main)
    width = float(np.round(rng.uniform(*request.lane_width_m), 2))
    limits = np.sort(np.array(request.speed_limits_kmh, np.float64))
    fitting = limits[limits >= _MAIN_ROAD_KMH] if is_main else limits[limits <= _SIDE_STREET_KMH]
    limit = float(rng.choice(fitting if len(fitting) else limits)) / 3.6
    length = float(step_lengths(corners).sum())
    street = StreetPlan(
        (chain[0], chain[-1]),
        np.array(corners),
        (CarriagewayPlan(), CarriagewayPlan()),
        width,
        limit,
        is_main,
    )
    if is_main:
        return _main_road(rng, request, street, length)
    parking = rng.random(2) < request.parking
    return replace(street, parking=(bool(parking[0]), bool(parking[1])))


def _wiggle(rng: np.random.Generator, a: F64, b: F64, calm: float) -> list[F64]:
    """Corners that make the way from a to b straight, bent once, or swing there and back."""
    style, size, where = rng.random(), rng.uniform(0.05, 0.11), rng.uniform(0.42, 0.58)
    size *= (1.0 - calm) * rng.choice([-1.0, 1.0])
    along = b - a
    aside = np.array([-along[1], along[0]]) * size
    if style < 0.4 or calm > 0.9:
        return []
    if style < 0.75:
        return [a + where * along + aside]
    return [a + 0.36 * along + 0.6 * aside, a + 0.64 * along - 0.6 * aside]


def _main_road(
    rng: np.random.Generator, request: TownRequest, street: StreetPlan, length: float
) -> StreetPlan:
    lanes = whole(rng, request.lanes)
    free = length - _JUNCTIONS_M
    pockets = free > _LEAST_POCKET_M / 0.42 and rng.random() < 0.6
    ways = []
    for _ in range(2):
        pocket = float(min(rng.uniform(38.0, 60.0), 0.42 * free)) if pockets else 0.0
        style, cut = rng.random(), min(rng.uniform(50.0, 80.0), (0.45 if pockets else 0.8) * free)
        roomy = lanes < 3 and cut > 30.0
        drop = float(cut) if roomy and style < 0.25 else 0.0
        add = float(pocket or min(cut, 60.0)) if roomy and 0.25 <= style < 0.45 else 0.0
        ways.append(CarriagewayPlan(lanes, pocket, drop, add))
    median = street.width + 0.3 if pockets else float(rng.choice([0.3, 0.3, 1.2]))
    return replace(street, ways=(ways[0], ways[1]), median=median)


def _suited(streets: list[StreetPlan]) -> list[StreetPlan]:
    """With no more lanes towards a junction than have a way on there: extra ones first go."""
    streets = list(streets)
    for _ in range(3):  # fewer lanes here may be too few for the street across
        for index, end in [(i, e) for i in range(len(streets)) for e in (0, 1)]:
            street, coming = streets[index], 1 - end
            room, left = _ways_on(streets, index, end)
            way = street.ways[coming]
            if not left or way.lanes + 1 + (way.add > 0) > room:
                way = replace(way, pocket=0.0)
            if way.lanes + (way.pocket > 0) + 1 > room:
                way = replace(way, add=0.0)
            ways = list(street.ways)
            ways[coming] = way
            lanes = min(way.lanes, room)
            if lanes < way.lanes:  # in both directions
                ways = [replace(w, lanes=min(lanes, w.lanes)) for w in ways]
            streets[index] = replace(street, ways=(ways[0], ways[1]))
    return streets


def _ways_on(streets: list[StreetPlan], index: int, end: int) -> tuple[int, bool]:
    """How many lanes can leave a street at its end, and whether one can turn left there."""
    node = streets[index].nodes[end]
    heading = _angle(streets[index], end) + np.pi
    room, sides = 0, [0, 0]
    for other, street in enumerate(streets):
        for its in (0, 1):
            if street.nodes[its] != node or (other, its) == (index, end):
                continue
            turn = turn_between(heading, _angle(street, its))
            lanes = street.ways[its].lanes + (street.ways[its].drop > 0)
            if abs(turn) < AHEAD_ANGLE:
                room += lanes
            else:
                sides[turn < 0] += lanes
    if room:
        return room + bool(sides[0]) + bool(sides[1]), bool(sides[0])
    return sum(sides), bool(sides[0])


def _angle(street: StreetPlan, end: int) -> float:
    """Of a street, out of the junction where it begins or ends."""
    line = street.corners if end == 0 else street.corners[::-1]
    return float(np.arctan2(line[1, 1] - line[0, 1], line[1, 0] - line[0, 0]))


def _nodes(
    rng: np.random.Generator, request: TownRequest, places: F64, streets: list[StreetPlan],
    round_node: int,
) -> dict[int, NodePlan]:  # fmt: skip
    ends: dict[int, list[tuple[int, int]]] = {}
    for index, street in enumerate(streets):
        for end in (0, 1):
            ends.setdefault(street.nodes[end], []).append((index, end))
    nodes = {}
    for node in sorted(ends):
        busy = sum(streets[index].main for index, _ in ends[node])
        draw, radius = rng.random(), float(rng.uniform(*request.corner_radius_m))
        if node == round_node:
            kind, radius = "roundabout", float(rng.uniform(12.5, 17.0))
        elif busy and draw < request.lights:
            kind = "lights"
        else:
            kind = "priority" if busy or draw < 0.5 else "equal"
        zebra = rng.random(len(ends[node])) < (0.9 if kind == "lights" else 0.45)
        arms = [
            _arm(streets[index], index, end, bool(walk))
            for (index, end), walk in zip(ends[node], zebra, strict=True)
        ]
        arms.sort(key=lambda arm: arm.angle)
        nodes[node] = NodePlan(kind, places[node], tuple(arms), radius)
    return nodes


def _arm(street: StreetPlan, index: int, end: int, crosswalk: bool) -> ArmPlan:
    coming, leaving = (1, 0) if end == 0 else (0, 1)  # directions of the street
    return ArmPlan(
        index, end, _angle(street, end),
        street.half_width(coming, street.ways[coming].add > 0),
        street.half_width(leaving, street.ways[leaving].drop > 0), crosswalk,
    )  # fmt: skip
