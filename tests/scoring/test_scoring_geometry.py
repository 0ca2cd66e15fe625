"""Predicates agree with GEOS, also where points lie exactly on edges and boxes only touch."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from scoring_cases import needs_cases, public_scenes, rectangle, street

from irl_vla.frames import arc_lengths
from irl_vla.scoring.geometry import (
    apart,
    box_corners,
    distance_to_segment,
    in_ring,
    locate_on_line,
    orientation,
    segment_touches_box,
)
from irl_vla.scoring.grid import (
    BITS,
    build_grid,
    contains_mask,
    exact_mask,
    off_centerline,
    words_for,
)
from irl_vla.scoring.scene import Areas, Polygons

small = st.integers(-6, 6).map(float)
smooth = st.integers(-6_000_000, 6_000_000).map(
    lambda n: n / 1e6
)  # micrometres: nothing underflows
point = st.tuples(small, small) | st.tuples(smooth, smooth)


@settings(deadline=None)  # the first call may compile
@given(st.lists(point, min_size=3, max_size=7, unique=True), point)
def test_a_point_is_inside_on_or_outside_a_polygon_as_geos_says(
    corners: list[tuple[float, float]], p: tuple[float, float]
) -> None:
    polygon = shapely.Polygon(corners)
    if not polygon.is_valid or polygon.area == 0.0:
        return
    where = in_ring(np.array(corners), 0, len(corners), *p)
    geos = shapely.Point(p)
    assert (where > 0) == polygon.contains(geos)
    assert (where >= 0) == polygon.intersects(geos)


def test_orientation_decides_what_float64_cannot() -> None:
    # the line through (0.1, 0.1) and (0.3, 0.3); 0.2 + one unit in the last place lies above it
    assert orientation(0.5, 0.5, 12.0, 12.0, 24.0, 24.0) == 0.0
    above = orientation(0.5, 0.5, 12.0, 12.0, 24.0, math.nextafter(24.0, 25.0))
    below = orientation(0.5, 0.5, 12.0, 12.0, 24.0, math.nextafter(24.0, 23.0))
    assert above > 0.0 > below


def box(x: float, y: float, heading: float, length: float, width: float):
    corners = np.empty((4, 2))
    axis = (math.cos(heading), math.sin(heading))
    box_corners(x, y, *axis, length, width, corners)
    return corners, (x, y, *axis, length, width)


@settings(max_examples=300, deadline=None)
@given(smooth, smooth, st.floats(-4, 4), st.floats(0.1, 3.0), st.floats(0.1, 2.0))
def test_boxes_touch_as_geos_says(x: float, y: float, heading: float, a: float, b: float) -> None:
    one, one_box = box(0.0, 0.0, 0.4, 2.6, 1.1)
    other, other_box = box(x, y, heading, a, b)
    ours = not (apart(other, 4, *one_box) or apart(one, 4, *other_box))
    gap = shapely.Polygon(one).distance(shapely.Polygon(other))
    if gap > 1e-12 or shapely.Polygon(one).intersection(shapely.Polygon(other)).area > 1e-12:
        assert ours == (gap == 0.0)


def test_boxes_that_only_touch_do_intersect() -> None:
    one, one_box = box(0.0, 0.0, 0.0, 2.0, 1.0)
    touching, touching_box = box(4.0, 0.0, 0.0, 2.0, 1.0)
    beyond, beyond_box = box(math.nextafter(4.0, 5.0), 0.0, 0.0, 2.0, 1.0)
    assert not (apart(touching, 4, *one_box) or apart(one, 4, *touching_box))
    assert apart(beyond, 4, *one_box) or apart(one, 4, *beyond_box)
    corner, corner_box = box(4.0, 2.0, 0.0, 2.0, 1.0)
    assert not (apart(corner, 4, *one_box) or apart(one, 4, *corner_box))


@settings(deadline=None)  # the first call may compile
@given(point, point, smooth, smooth)
def test_a_segment_touches_a_box_as_geos_says(
    a: tuple[float, float], b: tuple[float, float], x: float, y: float
) -> None:
    corners, its_box = box(x, y, 0.7, 2.0, 1.0)
    gap = shapely.LineString([a, b]).distance(shapely.Polygon(corners))
    if a != b and (gap > 1e-9 or shapely.Polygon(corners).buffer(-1e-9).intersects(
        shapely.LineString([a, b])
    )):  # fmt: skip
        assert segment_touches_box(*a, *b, *its_box) == (gap == 0.0)


def test_a_segment_that_ends_on_the_box_touches_it() -> None:
    _, its_box = box(0.0, 0.0, 0.0, 2.0, 1.0)
    assert segment_touches_box(2.0, 0.0, 5.0, 0.0, *its_box)
    assert not segment_touches_box(math.nextafter(2.0, 3.0), 0.0, 5.0, 0.0, *its_box)


@settings(deadline=None)  # the first call may compile
@given(st.lists(point, min_size=2, max_size=8, unique=True), point)
def test_projection_and_distance_agree_with_geos(
    vertices: list[tuple[float, float]], p: tuple[float, float]
) -> None:
    line, xy = shapely.LineString(vertices), np.array(vertices)
    at = locate_on_line(xy, arc_lengths(xy), *p)
    assert abs(at - line.project(shapely.Point(p))) < 1e-9
    nearest = min(distance_to_segment(*p, *xy[i], *xy[i + 1]) for i in range(len(xy) - 1))
    assert abs(nearest - line.distance(shapely.Point(p))) < 1e-9


def masks_agree(scene, points: np.ndarray) -> None:
    cells, rings, _ = build_grid(scene.areas, scene.route.centerline[:, :2])
    shapes = [shapely.Polygon(scene.areas.polygons.ring(i)) for i in range(len(scene.areas))]
    inside = np.array([shapely.contains_xy(s, points[:, 0], points[:, 1]) for s in shapes])
    masks = np.empty((2, words_for(len(shapes))), np.int64)
    mask, full = masks
    for p, (x, y) in enumerate(points):
        contains_mask(cells, rings, x, y, masks, 0)
        exact_mask(rings, x, y, masks, 1)
        assert np.array_equal(mask, full)
        ours = [bool(mask[i // BITS] >> (i % BITS) & 1) for i in range(len(shapes))]
        assert ours == inside[:, p].tolist(), (x, y)


@needs_cases
@pytest.mark.parametrize("name", ["p0022", "p0011", "p0040", "p0051"])
def test_the_grid_knows_the_polygons_around_a_point_exactly(name: str) -> None:
    scene = public_scenes()[name]
    vertices, rng = scene.areas.polygons.vertices, np.random.default_rng(0)
    low, high = vertices.min(axis=0) - 3.0, vertices.max(axis=0) + 3.0
    some = vertices[rng.integers(0, len(vertices), 400)]
    masks_agree(scene, np.vstack([
        rng.uniform(low, high, (600, 2)),
        some[:100],  # exactly on corners
        (some[100:200] + np.roll(some[100:200], 1, axis=0)) / 2,
        some[200:] + rng.normal(0.0, 1e-6, (200, 2)),  # a micrometre beside them
    ]))  # fmt: skip


def test_the_grid_is_exact_on_the_edges_of_an_axis_aligned_map() -> None:
    x, y = np.meshgrid(np.arange(-62.0, 183.0, 1.75), np.arange(-3.5, 7.1, 0.875))
    masks_agree(street(), np.stack([x.ravel(), y.ravel()], axis=-1))


def test_a_map_of_more_polygons_than_one_word_has_bits_is_exact_too() -> None:
    rng, scene = np.random.default_rng(3), street()
    middles = rng.uniform([-50, -20], [170, 30], (150, 2))
    rings = [
        np.array(shapely.Point(xy).buffer(r, quad_segs=2).exterior.coords)[:-1]
        for xy, r in zip(middles, rng.uniform(1, 25, 150), strict=True)
    ]
    areas = Areas(
        tuple(str(i) for i in range(150)), np.zeros(150, np.int8), Polygons.of(rings),
        np.zeros(150, np.bool_), np.zeros(150, np.int8), np.full(150, np.nan), (),
    )  # fmt: skip
    points = np.vstack([rng.uniform([-80, -50], [200, 60], (500, 2)), middles, rings[0]])
    masks_agree(replace(scene, areas=areas), points)


def test_half_a_metre_beside_the_centreline_is_still_on_it() -> None:
    scene = street()
    cells, _, path = build_grid(scene.areas, scene.route.centerline[:, :2])
    assert not off_centerline(cells, path, 10.0, 0.5)
    assert off_centerline(cells, path, 10.0, math.nextafter(0.5, 1.0))
    assert off_centerline(cells, path, 1e6, 0.0)
    assert not off_centerline(cells, path, 180.25, 0.25)


def test_a_corner_on_the_boundary_is_outside() -> None:
    ring = rectangle(0, 0, 2, 1)
    assert in_ring(ring, 0, 4, 1.0, 1.0) == 0 == in_ring(ring, 0, 4, 2.0, 0.5)
    assert in_ring(ring, 0, 4, 1.0, math.nextafter(1.0, 0.0)) == 1
