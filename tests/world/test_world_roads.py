"""Laws that every town obeys."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from functools import cache

import numpy as np
import pytest
import shapely

from irl_vla.types import InputError
from irl_vla.world.roads.build import TownRequest, build_town
from irl_vla.world.town import NONE, OBSTACLE_KINDS, Lane, Light, Town

SEEDS = range(24)
CAR_RADIUS_M = 5.5  # turning circle of a car


@cache
def town(seed: int) -> Town:
    return build_town(seed)


def drivable(world: Town) -> shapely.Geometry:
    rings = [world.drivable.ring(i) for i in range(len(world.drivable))]
    return shapely.union_all([shapely.Polygon(ring) for ring in rings])


def polygons(lanes: tuple[Lane, ...]) -> list[shapely.Polygon]:
    return [shapely.Polygon(lane.polygon) for lane in lanes]


def atoms(value: object) -> Iterator[bytes]:
    """All that a town consists of, as bytes."""
    if is_dataclass(value):
        for entry in fields(value):
            yield from atoms(getattr(value, entry.name))
    elif isinstance(value, tuple | list):
        yield str(len(value)).encode()
        for item in value:
            yield from atoms(item)
    elif isinstance(value, np.ndarray):
        yield str(value.shape).encode() + value.tobytes()
    else:
        yield repr(value).encode()


def digest(seed: int) -> str:
    whole = hashlib.sha256()
    for atom in atoms(build_town(seed)):
        whole.update(atom)
    return whole.hexdigest()


@pytest.mark.parametrize("seed", SEEDS)
def test_a_successor_begins_exactly_where_its_predecessor_ends(seed: int) -> None:
    lanes = town(seed).lanes
    for lane in lanes:
        assert lane.successors or lane.merging, f"{lane.id} leads nowhere"
        for index in lane.successors:
            gap = lanes[index].centre[0] - lane.centre[-1]
            turn = (gap[2] + np.pi) % (2 * np.pi) - np.pi
            assert np.hypot(*gap[:2]) < 1e-6, (lane.id, lanes[index].id)
            assert abs(turn) < 1e-3, (lane.id, lanes[index].id)


@pytest.mark.parametrize("seed", SEEDS)
def test_centre_lines_are_dense_smooth_and_drivable_by_a_car(seed: int) -> None:
    for lane in town(seed).lanes:
        step = np.diff(lane.centre[:, :2], axis=0)
        length = np.hypot(*step.T)
        assert length.max() <= 2.0 + 1e-9, lane.id
        assert length.min() > 0.01, lane.id
        turn = np.diff(lane.centre[:, 2])
        assert np.abs(turn / length).max() < 1 / CAR_RADIUS_M, lane.id
        middle = lane.centre[:-1, 2] + turn / 2
        course = np.arctan2(step[:, 1], step[:, 0]) - middle
        assert np.abs((course + np.pi) % (2 * np.pi) - np.pi).max() < 0.03, lane.id


@pytest.mark.parametrize("seed", SEEDS)
def test_lanes_are_simple_contain_their_centre_and_lie_on_asphalt(seed: int) -> None:
    world = town(seed)
    shapes = polygons(world.lanes)
    assert shapely.is_valid(shapes).all()
    asphalt = drivable(world).buffer(1e-6)
    shapely.prepare(asphalt)
    for lane, shape in zip(world.lanes, shapes, strict=True):
        inside = shape.buffer(1e-6)
        assert shapely.contains_xy(inside, lane.centre[:, :2]).all(), lane.id
        assert shape.difference(asphalt).area < 1e-3, lane.id
    rings = [world.drivable.ring(i) for i in range(len(world.drivable))]
    assert all(shapely.Polygon(ring).is_valid for ring in rings)


@pytest.mark.parametrize("seed", SEEDS)
def test_streets_meet_at_junctions_only(seed: int) -> None:
    lanes = [lane for lane in town(seed).lanes if lane.junction == NONE]
    shapes = polygons(tuple(lanes))
    tree = shapely.STRtree(shapes)
    for a, b in tree.query(shapes, predicate="intersects").T:
        if lanes[a].block.split("a")[0].split("b")[0] != lanes[b].block.split("a")[0].split("b")[0]:
            assert shapes[a].intersection(shapes[b]).area < 1e-6, (lanes[a].id, lanes[b].id)


@pytest.mark.parametrize("seed", SEEDS)
def test_opposite_lanes_of_a_street_do_not_overlap(seed: int) -> None:
    lanes = [lane for lane in town(seed).lanes if lane.junction == NONE]
    shapes = polygons(tuple(lanes))
    for a, b in shapely.STRtree(shapes).query(shapes, predicate="intersects").T:
        if ("a" in lanes[a].block) != ("a" in lanes[b].block):
            assert shapes[a].intersection(shapes[b]).area < 1e-6, (lanes[a].id, lanes[b].id)


@pytest.mark.parametrize("seed", SEEDS)
def test_junctions_cover_their_lanes(seed: int) -> None:
    world = town(seed)
    for index, junction in enumerate(world.junctions):
        ground = shapely.Polygon(junction.polygon)
        assert ground.is_valid
        for lane in junction.lanes:
            assert world.lanes[lane].junction == index
            outside = shapely.Polygon(world.lanes[lane].polygon).difference(ground)
            assert outside.area < 0.02, world.lanes[lane].id


@pytest.mark.parametrize("seed", SEEDS)
def test_neighbours_lie_beside_each_other_and_drive_the_same_way(seed: int) -> None:
    lanes = town(seed).lanes
    for index, lane in enumerate(lanes):
        for side, back in (("left", "right"), ("right", "left")):
            other = getattr(lane, side)
            if other == NONE:
                continue
            assert lanes[other].block == lane.block
            assert getattr(lanes[other], back) in (index, NONE)
            gap = lanes[other].centre[-1] - lane.centre[-1]
            aside = -gap[0] * np.sin(lane.centre[-1, 2]) + gap[1] * np.cos(lane.centre[-1, 2])
            assert (aside > 0) == (side == "left")
            assert 1.4 < abs(aside) < 4.5


@pytest.mark.parametrize("seed", SEEDS)
def test_crossing_is_mutual_and_somebody_goes_first_where_both_may_drive(seed: int) -> None:
    world = town(seed)
    for index, lane in enumerate(world.lanes):
        for other in lane.crosses:
            twin = world.lanes[other]
            assert index in twin.crosses
            assert lane.junction == twin.junction != NONE
            meet = shapely.Polygon(lane.polygon).intersection(shapely.Polygon(twin.polygon))
            assert meet.area > 0.1
            settled = other in lane.yields_to or index in twin.yields_to
            if lane.signal == NONE or lane.signal == twin.signal:
                assert settled, (lane.id, twin.id)
            elif not settled:
                assert not both_open(world, lane.signal, twin.signal), (lane.id, twin.id)


@pytest.mark.parametrize("seed", SEEDS)
def test_paths_of_one_arm_neither_cross_nor_merge(seed: int) -> None:
    lanes = town(seed).lanes
    turns: dict[str, list[int]] = {}
    for index, lane in enumerate(lanes):
        if lane.junction != NONE and ">" in lane.block:
            turns.setdefault(lane.block.split(">")[0], []).append(index)
    for arm in turns.values():
        for index in arm:
            assert not set(lanes[index].crosses) & set(arm), lanes[index].id
            rest = [other for other in arm if other != index]
            assert not any(lanes[other].successors == lanes[index].successors for other in rest)


@pytest.mark.parametrize("seed", SEEDS)
def test_one_can_walk_around_every_block(seed: int) -> None:
    paths = town(seed).footpaths
    ends = np.array([end for path in paths for end in (path[0], path[-1])])
    apart = np.hypot(*(ends[:, None] - ends[None]).transpose(2, 0, 1))
    np.fill_diagonal(apart, np.inf)
    assert apart.min(axis=1).max() < 0.3


def both_open(world: Town, a: int, b: int) -> bool:
    """Whether two signals are ever green or amber at once."""
    first, second = world.signals[a], world.signals[b]
    cycle = first.phases[:, 0].sum()
    assert np.isclose(cycle, second.phases[:, 0].sum())
    times = np.arange(0.05, cycle, 0.1)
    return any(first.at(t) != Light.RED and second.at(t) != Light.RED for t in times)


@pytest.mark.parametrize("seed", SEEDS)
def test_at_a_junction_with_lights_every_connector_knows_its_signal(seed: int) -> None:
    world = town(seed)
    for junction in world.junctions:
        known = {world.lanes[lane].signal != NONE for lane in junction.lanes}
        assert len(known) == 1
    for signal in world.signals:
        shown = set(signal.phases[:, 1])
        assert shown == {Light.RED, Light.AMBER, Light.GREEN}
        assert (signal.phases[:, 0] > 0).all()


@pytest.mark.parametrize("seed", SEEDS)
def test_every_lane_can_be_reached_from_every_other(seed: int) -> None:
    lanes = town(seed).lanes
    ways = [{*lane.successors, *({lane.left, lane.right} - {NONE})} for lane in lanes]
    back: list[set[int]] = [set() for _ in lanes]
    for index, way in enumerate(ways):
        for other in way:
            back[other].add(index)
    for graph in (ways, back):
        seen, open_ = {0}, [0]
        while open_:
            fresh = graph[open_.pop()] - seen
            seen |= fresh
            open_ += sorted(fresh)
        missing = [lanes[k].id for k in range(len(lanes)) if k not in seen]
        assert not missing, missing


@pytest.mark.parametrize("seed", SEEDS)
def test_nothing_stands_on_streets_footpaths_or_houses(seed: int) -> None:
    world = town(seed)
    asphalt = drivable(world)
    walks = shapely.MultiLineString(list(world.footpaths)).buffer(0.5)
    bays = shapely.union_all(
        [shapely.Polygon(world.carparks.ring(i)) for i in range(len(world.carparks))]
    )
    things = [prop for prop in world.props if prop.kind not in OBSTACLE_KINDS]
    boxes = np.array([box(prop.pose, prop.size) for prop in things], object)
    for ground in (asphalt, bays):
        shapely.prepare(ground)
        wrong = [things[k].kind for k in np.flatnonzero(shapely.intersects(ground, boxes))]
        assert not {"building", "bush", "lamp_post", "sign", "signal_post"} & set(wrong)
        trunks = shapely.points([p.pose[:2] for p in things if p.kind == "tree"])
        assert not shapely.intersects(ground, trunks).any()
    houses = [b for b, p in zip(boxes, things, strict=True) if p.kind == "building"]
    assert not shapely.intersects(walks, houses).any()
    for a, b in shapely.STRtree(houses).query(houses, predicate="intersects").T:
        assert a == b or houses[a].intersection(houses[b]).area < 3.0


def box(pose: np.ndarray, size: np.ndarray) -> shapely.Polygon:
    corners = np.array([[1, 1], [-1, 1], [-1, -1], [1, -1]]) * size[:2] / 2
    cos, sin = np.cos(pose[2]), np.sin(pose[2])
    return shapely.Polygon(corners @ np.array([[cos, sin], [-sin, cos]]) + pose[:2])


@pytest.mark.parametrize("seed", SEEDS)
def test_a_work_zone_can_be_driven_around(seed: int) -> None:
    world = town(seed)
    cones = [box(prop.pose, prop.size) for prop in world.props if prop.kind in OBSTACLE_KINDS]
    assert bool(cones) == bool(world.closures)
    for closure in world.closures:
        lane = world.lanes[closure.lane]
        assert lane.left != NONE
        assert 20.0 < closure.begin < closure.end
        free = shapely.Polygon(world.lanes[lane.left].polygon)
        assert not shapely.intersects(free, cones).any()
        blocked = shapely.intersects(shapely.Polygon(lane.polygon), cones)
        assert blocked.sum() > 6


@pytest.mark.parametrize("seed", SEEDS)
def test_parked_cars_stand_in_bays_and_crosswalks_reach_from_kerb_to_kerb(seed: int) -> None:
    world = town(seed)
    bays = [shapely.Polygon(world.carparks.ring(i)) for i in range(len(world.carparks))]
    assert all(bay.is_valid for bay in bays)
    ground = shapely.union_all(bays).buffer(0.15)
    for spot in world.spots:
        car = box(spot.pose, np.array([spot.length - 0.6, spot.width - 0.2]))
        assert ground.contains(car)
    kerbs = shapely.MultiLineString(list(world.kerbs))
    for walk in world.crosswalks:
        assert kerbs.distance(shapely.points(walk.ends)).max() < 0.3
        line = shapely.LineString(walk.ends)
        assert walk.lanes
        assert all(line.intersects(shapely.Polygon(world.lanes[k].polygon)) for k in walk.lanes)


def test_the_same_seed_is_the_same_town_also_in_another_process() -> None:
    code = (
        "import sys; sys.path.insert(0, 'tests/world')\n"
        "from test_world_roads import digest\nprint(digest(5), digest(3), digest(11))"
    )
    fresh = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert fresh.stdout.split() == [digest(5), digest(3), digest(11)]
    assert len({digest(seed) for seed in (3, 5, 11)}) == 3


def test_towns_are_varied() -> None:
    towns = [town(seed) for seed in SEEDS]
    kinds = [{junction.kind for junction in world.junctions} for world in towns]
    assert 6 <= sum("roundabout" in kind for kind in kinds) <= 20
    assert sum(bool(world.signals) for world in towns) > 15
    assert sum(bool(world.closures) for world in towns) > 6
    assert sum(bool(world.spots) for world in towns) > 15
    assert sum(any(lane.merging for lane in world.lanes) for world in towns) > 8
    limits = {round(lane.speed_limit * 3.6) for world in towns for lane in world.lanes}
    assert {30, 40, 50, 60, 70} <= limits


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"columns": (1, 3)}, "columns"),
        ({"columns": (2, 2), "rows": (2, 2)}, "2 x 3"),
        ({"rows": (2.5, 3)}, "whole numbers"),
        ({"block_m": (20.0, 40.0)}, "block_m"),
        ({"block_m": (150.0, 100.0)}, "block_m"),
        ({"lanes": (0, 2)}, "lanes"),
        ({"lanes": (2, 9)}, "lanes"),
        ({"lane_width_m": (1.0, 3.0)}, "lane_width_m"),
        ({"lane_width_m": (float("nan"), 3.5)}, "lane_width_m"),
        ({"corner_radius_m": (1.0, 2.0)}, "corner_radius_m"),
        ({"bend_radius_m": (2.0, 4.0)}, "bend_radius_m"),
        ({"missing": 1.5}, "missing"),
        ({"lights": "many"}, "lights"),
        ({"speed_limits_kmh": ()}, "speed_limits_kmh"),
        ({"speed_limits_kmh": (500,)}, "speed_limits_kmh"),
        ({"work_zones": 3}, "work_zones"),
    ],
)
def test_impossible_requests_are_refused_with_a_reason(wrong: dict, says: str) -> None:  # type: ignore[type-arg]
    with pytest.raises(InputError, match=says):
        TownRequest(**wrong)


@pytest.mark.parametrize("seed", [-1, 1.5, True, "7"])
def test_a_seed_is_a_whole_number(seed: object) -> None:
    with pytest.raises(InputError, match="seed"):
        build_town(seed)  # type: ignore[arg-type]


def test_a_request_is_obeyed() -> None:
    request = TownRequest(
        columns=(3, 3), rows=(2, 2), main_roads=(0, 0), speed_limits_kmh=(30,), roundabouts=1.0,
        lane_width_m=(3.25, 3.25), parking=0.0, work_zones=(0, 0), missing=0.0,
    )  # fmt: skip
    for seed in range(4):
        world = build_town(seed, request)
        assert len(world.junctions) == 2
        assert "roundabout" in {junction.kind for junction in world.junctions}
        assert not world.spots and not world.closures and not world.signals
        streets = [lane for lane in world.lanes if lane.junction == NONE]
        assert {lane.width for lane in streets} == {3.25}
        assert max(lane.speed_limit for lane in world.lanes) <= 30 / 3.6 + 1e-9
