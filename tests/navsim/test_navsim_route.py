"""Routes: the search keeps the order of the original, whose queue has no visited set."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import shapely

from irl_vla.navsim.centerline import drivable_map
from irl_vla.navsim.city_map import Block, CityMap, LayerName
from irl_vla.navsim.first_of_equals import quicksort_first
from irl_vla.navsim.map_queries import near
from irl_vla.navsim.route import correct_route, search
from irl_vla.types import InputError


@dataclass
class BlockGraph:
    """Stands in for a city: only blocks and who follows whom."""

    following: dict[str, list[str]]
    city: str = "graph"

    def block(self, block_id: str) -> Block:
        return Block(block_id, False, shapely.Point(), (), (), tuple(self.following[block_id]))


def plain_search(
    graph: BlockGraph, start: str, goals: set[str], max_depth: int
) -> list[str] | None:
    """Breadth first by the book of the original: every arrival is queued, and the last one that
    queued a block at a depth is its parent."""
    queue, parent = deque([(start, 1)]), {(start, 1): None}
    while queue:
        name, depth = queue.popleft()
        if depth > max_depth:
            return None
        if name in goals:
            path, step = [], (name, depth)
            while step is not None:
                path.append(step[0])
                step = parent[step]
            return path[::-1]
        for following in graph.following[name]:
            queue.append((following, depth + 1))
            parent[following, depth + 1] = (name, depth)
    return None


@pytest.mark.parametrize("seed", range(60))
def test_the_search_finds_the_path_of_a_queue_without_visited_set(seed: int) -> None:
    generator = np.random.default_rng(seed)
    names = [str(number) for number in range(12)]
    following = {
        name: [str(other) for other in generator.permutation(12)[: generator.integers(0, 4)]]
        for name in names
    }
    graph: Any = BlockGraph(following)
    goals = {str(goal) for goal in generator.permutation(12)[: generator.integers(1, 4)]}
    found = search(graph.block("0"), goals, lambda block: block.outgoing, graph, 7)
    assert (None if found is None else [block.id for block in found]) == plain_search(
        graph, "0", goals, 7
    )


def test_the_search_stays_fast_where_the_queue_of_the_original_explodes() -> None:
    """Two ways at each of 29 forks: the original would queue 2^29 blocks."""
    following = {f"{side}{depth}": [f"a{depth + 1}", f"b{depth + 1}"]
                 for depth in range(29) for side in "ab"}  # fmt: skip
    following |= {"a29": [], "b29": []}
    graph: Any = BlockGraph(following)
    found = search(graph.block("a0"), {"b29"}, lambda block: block.outgoing, graph, 30)
    assert found is not None and len(found) == 30


@pytest.mark.parametrize("size", [1, 2, 16, 17, 18, 40, 200])
def test_the_first_of_equals_is_a_least_value(size: int) -> None:
    generator = np.random.default_rng(size)
    for _ in range(50):
        values = generator.integers(0, 6, size).astype(float).tolist()
        assert values[quicksort_first(values)] == min(values)


def test_small_lists_keep_the_first_of_equals() -> None:
    assert quicksort_first([3.0, 1.0, 2.0, 1.0]) == 1


def test_an_empty_route_is_a_clear_error(boston: CityMap) -> None:
    with pytest.raises(InputError, match="no route"):
        correct_route(boston, np.zeros(3), ())


def test_a_route_of_another_map_names_the_block(boston: CityMap) -> None:
    with pytest.raises(InputError, match="block 777"):
        correct_route(boston, np.zeros(3), ("777",))


def test_squares_reach_further_than_circles(boston: CityMap) -> None:
    """A point 9 m beside and 9 m before a corner is inside the square of 10 m, not the circle."""
    layer = boston.layer(LayerName.INTERSECTION)
    corner = shapely.get_coordinates(shapely.convex_hull(layer.shape(0)))[0]
    away = corner - np.array(layer.shape(0).centroid.coords[0])
    x, y = corner + np.sign(away) * 9.0
    if layer.shape(0).distance(shapely.Point(x, y)) > 10.0:
        assert layer.id(0) in near(boston, x, y, 10.0, LayerName.INTERSECTION)


def test_connector_blocks_are_left_out_of_the_drivable_map(boston: CityMap) -> None:
    centre = np.array(boston.layer(LayerName.INTERSECTION).shape(0).centroid.coords[0])
    layers = {area.layer for area in drivable_map(boston, centre)}
    assert LayerName.LANE_CONNECTOR in layers and LayerName.ROADBLOCK_CONNECTOR not in layers
