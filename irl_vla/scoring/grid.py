"""Which map polygons contain a point: a uniform grid, prepared once, exact in every answer.

Each cell knows the polygons that contain its reference point r (a bit per polygon) and the polygon
edges that pass through it. A point p is in the same polygons as r but for the edges that the
segment r-p crosses. Where a crossing is too close to call (1e-8 m² of signed area) all polygons are
tested exactly instead. The same cells hold the stretches of centreline within 0.5 m, for lane
keeping. May import: scoring.compiled, scoring.geometry, scoring.scene.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from irl_vla.scoring.compiled import kernel, plain
from irl_vla.scoring.geometry import arc_lengths, distance_to_segment, in_ring
from irl_vla.scoring.scene import I64, Areas, Polygons
from irl_vla.types import F64

BITS = 62  # polygons per mask word: int64 without its sign
CELLS = 60_000  # about as many cells as a grid has
MIN_CELL = 0.5  # [m]
UNSURE = 1e-8  # [m²] signed area below which a crossing is decided exactly
OFF_CENTRE = 0.4637  # place of r in its cell: never on the edges of axis-aligned maps
LANE_KEEPING_LIMIT = 0.5  # [m]
MARGIN = 1.0  # [m] of grid around everything, more than the lane keeping limit


class Grid(NamedTuple):
    """x0, y0 [m] corner, cell [m], nx x ny cells. inside: (cells, words) polygons around r;
    starts (cells + 1,), items: edges per cell; edges: (E, 4) a, b; owners: (E,) polygon;
    vertices, offsets, boxes: the polygons and their bounds (n, 4) xmin ymin xmax ymax;
    line, lengths: centreline (n, 2) and its arc lengths; near_starts, near_items: its segments
    within LANE_KEEPING_LIMIT, per cell."""

    x0: float
    y0: float
    cell: float
    nx: int
    ny: int
    inside: I64
    starts: I64
    items: I64
    edges: F64
    owners: I64
    vertices: F64
    offsets: I64
    boxes: F64
    line: F64
    lengths: F64
    near_starts: I64
    near_items: I64


@kernel
def _cells_of(
    edge: F64, margin: float, x0: float, y0: float, cell: float, nx: int, ny: int, out: I64
) -> int:
    """Cells within `margin` of an edge (4,), row by row -> out; returns how many (out may be too
    short: then only the count is right)."""
    ax, ay, bx, by = edge[0], edge[1], edge[2], edge[3]
    if ay > by:
        ax, ay, bx, by = bx, by, ax, ay
    first = max(math.floor((ay - margin - y0) / cell), 0)
    last = min(math.floor((by + margin - y0) / cell), ny - 1)
    n = 0
    for row in range(first, last + 1):
        low = max(y0 + row * cell - margin, ay)
        high = min(y0 + (row + 1) * cell + margin, by)
        xa, xb = ax, bx
        if by > ay:
            xa = ax + (min(max(low, ay), by) - ay) / (by - ay) * (bx - ax)
            xb = ax + (min(max(high, ay), by) - ay) / (by - ay) * (bx - ax)
        left = max(math.floor((min(xa, xb) - margin - x0) / cell), 0)
        right = min(math.floor((max(xa, xb) + margin - x0) / cell), nx - 1)
        for column in range(left, right + 1):
            if n < len(out):
                out[n] = row * nx + column
            n += 1
    return n


@kernel
def _bin_edges(
    edges: F64, margin: float, x0: float, y0: float, cell: float, nx: int, ny: int
) -> tuple[I64, I64]:
    """Edges (E, 4) -> starts (cells + 1,) and items: which edges pass within margin of a cell."""
    starts = np.zeros(nx * ny + 1, np.int64)
    found = np.empty(nx * ny, np.int64)
    for e in range(len(edges)):
        for i in range(_cells_of(edges[e], margin, x0, y0, cell, nx, ny, found)):
            starts[found[i] + 1] += 1
    for c in range(nx * ny):
        starts[c + 1] += starts[c]
    items = np.empty(starts[-1], np.int64)
    fill = starts[:-1].copy()
    for e in range(len(edges)):
        for i in range(_cells_of(edges[e], margin, x0, y0, cell, nx, ny, found)):
            items[fill[found[i]]] = e
            fill[found[i]] += 1
    return starts, items


@kernel
def _fill_inside(
    edges: F64, owners: I64, x0: float, y0: float, cell: float, nx: int, ny: int, words: int
) -> I64:
    """(cells, words) polygons around each reference point: every edge flips its polygon's bit at
    the first cell of a row that lies right of it; summing the flips along the row does the rest."""
    inside = np.zeros((nx * ny, words), np.int64)
    for e in range(len(edges)):
        ax, ay, bx, by = edges[e, 0], edges[e, 1], edges[e, 2], edges[e, 3]
        if ay > by:
            ax, ay, bx, by = bx, by, ax, ay
        first = max(math.ceil((ay - y0) / cell - OFF_CENTRE), 0)
        last = min(math.ceil((by - y0) / cell - OFF_CENTRE) - 1, ny - 1)
        for row in range(first, last + 1):
            x = ax + (y0 + (row + OFF_CENTRE) * cell - ay) / (by - ay) * (bx - ax)
            column = max(math.floor((x - x0) / cell - OFF_CENTRE) + 1, 0)
            if column < nx:
                inside[row * nx + column, owners[e] // BITS] ^= 1 << (owners[e] % BITS)
    for row in range(ny):
        for c in range(row * nx + 1, (row + 1) * nx):
            for w in range(words):
                inside[c, w] ^= inside[c - 1, w]
    return inside


@kernel
def exact_mask(grid: Grid, px: float, py: float, out: I64) -> None:
    """Polygons that contain p, each tested in full -> out (words,)."""
    out[:] = 0
    for i in range(len(grid.boxes)):
        if px < grid.boxes[i, 0] or px > grid.boxes[i, 2]:
            continue
        if py < grid.boxes[i, 1] or py > grid.boxes[i, 3]:
            continue
        if in_ring(grid.vertices, grid.offsets[i], grid.offsets[i + 1], px, py) > 0:
            out[i // BITS] |= 1 << (i % BITS)


@kernel
def contains_mask(grid: Grid, px: float, py: float, out: I64) -> None:
    """Polygons that strictly contain p -> out (words,), a bit per polygon."""
    u, v = (px - grid.x0) / grid.cell, (py - grid.y0) / grid.cell
    if not (0.0 <= u < grid.nx and 0.0 <= v < grid.ny):
        out[:] = 0
        return None
    column, row = int(u), int(v)
    c = row * grid.nx + column
    for w in range(len(out)):
        out[w] = grid.inside[c, w]
    rx = grid.x0 + (column + OFF_CENTRE) * grid.cell
    ry = grid.y0 + (row + OFF_CENTRE) * grid.cell
    for i in range(grid.starts[c], grid.starts[c + 1]):
        e = grid.items[i]
        ax, ay, bx, by = grid.edges[e, 0], grid.edges[e, 1], grid.edges[e, 2], grid.edges[e, 3]
        r_side = (bx - ax) * (ry - ay) - (by - ay) * (rx - ax)
        p_side = (bx - ax) * (py - ay) - (by - ay) * (px - ax)
        if abs(r_side) < UNSURE or abs(p_side) < UNSURE:
            return exact_mask(grid, px, py, out)
        if (r_side > 0.0) == (p_side > 0.0):
            continue
        a_side = (px - rx) * (ay - ry) - (py - ry) * (ax - rx)
        b_side = (px - rx) * (by - ry) - (py - ry) * (bx - rx)
        if abs(a_side) < UNSURE or abs(b_side) < UNSURE:
            return exact_mask(grid, px, py, out)
        if (a_side > 0.0) != (b_side > 0.0):
            owner = grid.owners[e]
            out[owner // BITS] ^= 1 << (owner % BITS)
    return None


@kernel
def off_centerline(grid: Grid, px: float, py: float) -> bool:
    """Whether p is more than LANE_KEEPING_LIMIT away from the whole centreline."""
    u, v = (px - grid.x0) / grid.cell, (py - grid.y0) / grid.cell
    if not (0.0 <= u < grid.nx and 0.0 <= v < grid.ny):
        return True
    c = int(v) * grid.nx + int(u)
    line = grid.line
    for n in range(grid.near_starts[c], grid.near_starts[c + 1]):
        i = grid.near_items[n]
        distance = distance_to_segment(
            px, py, line[i, 0], line[i, 1], line[i + 1, 0], line[i + 1, 1]
        )
        if distance <= LANE_KEEPING_LIMIT:
            return False
    return True


def words_for(polygons: int) -> int:
    """Mask words that hold a bit per polygon; at least one."""
    return max((polygons + BITS - 1) // BITS, 1)


def ring_edges(polygons: Polygons) -> tuple[F64, I64]:
    """All edges (E, 4) of the polygons and the polygon (E,) each belongs to."""
    sizes = np.diff(polygons.offsets)
    owners = np.repeat(np.arange(len(sizes)), sizes)
    after = np.arange(1, len(polygons.vertices) + 1)
    after[polygons.offsets[1:] - 1] = polygons.offsets[:-1]
    return np.hstack([polygons.vertices, polygons.vertices[after]]), owners.astype(np.int64)


def bounds(polygons: Polygons) -> F64:
    """(n, 4) xmin, ymin, xmax, ymax of each polygon."""
    if not len(polygons):
        return np.zeros((0, 4))
    starts = polygons.offsets[:-1]
    low = np.minimum.reduceat(polygons.vertices, starts)
    return np.hstack([low, np.maximum.reduceat(polygons.vertices, starts)])


def build_grid(areas: Areas, centerline: F64) -> Grid:
    """Grid over all polygons of the map and the route's centreline (n, 2)."""
    edges, owners = ring_edges(areas.polygons)
    everything = np.vstack([areas.polygons.vertices, centerline])
    low, high = everything.min(axis=0) - MARGIN, everything.max(axis=0) + MARGIN
    cell = max(math.sqrt(float(np.prod(high - low)) / CELLS), MIN_CELL)
    nx, ny = (int(n) for n in np.ceil((high - low) / cell))
    frame = (float(low[0]), float(low[1]), cell, nx, ny)
    starts, items = _bin_edges(edges, 1e-6, *frame)
    line = plain(centerline)
    near_starts, near_items = _bin_edges(
        np.hstack([line[:-1], line[1:]]), LANE_KEEPING_LIMIT + 1e-6, *frame
    )
    return Grid(
        *frame,
        _fill_inside(edges, owners, *frame, words_for(len(areas))),
        starts, items, edges, owners,
        plain(areas.polygons.vertices), areas.polygons.offsets,
        bounds(areas.polygons), line, arc_lengths(line), near_starts, near_items,
    )  # fmt: skip
