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


class Cells(NamedTuple):
    """x0, y0 [m] corner, cell [m], nx x ny cells. rows: (cells + 1, words + 1) the polygons around
    r, and where the cell's edges begin in walls: (n, 5) a, b, index of the polygon.

    Two arrays and no more: a kernel pays for every array of a tuple that it takes apart.
    """

    x0: float
    y0: float
    cell: float
    nx: int
    ny: int
    rows: I64
    walls: F64


class Rings(NamedTuple):
    """The polygons themselves: flat vertices, offsets, bounds (n, 4) xmin ymin xmax ymax."""

    vertices: F64
    offsets: I64
    boxes: F64


class Path(NamedTuple):
    """The route's centreline: line (n, 2), arc lengths (n,); starts (cells + 1,) and items: its
    segments within LANE_KEEPING_LIMIT of a cell."""

    line: F64
    lengths: F64
    starts: I64
    items: I64


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
def exact_mask(rings: Rings, px: float, py: float, masks: I64, n: int) -> None:
    """Polygons that strictly contain p, each tested in full -> masks[n]."""
    masks[n, :] = 0
    boxes = rings.boxes
    for i in range(len(boxes)):
        if px < boxes[i, 0] or px > boxes[i, 2] or py < boxes[i, 1] or py > boxes[i, 3]:
            continue
        if in_ring(rings.vertices, rings.offsets[i], rings.offsets[i + 1], px, py) > 0:
            masks[n, i // BITS] |= 1 << (i % BITS)


@kernel
def quick_mask(cells: Cells, px: float, py: float, masks: I64, n: int) -> bool:
    """Polygons that strictly contain p -> masks[n]; False where that is too close to call."""
    words = masks.shape[1]
    u, v = (px - cells.x0) / cells.cell, (py - cells.y0) / cells.cell
    if not (0.0 <= u < cells.nx and 0.0 <= v < cells.ny):
        masks[n, :] = 0
        return True
    column, row = int(u), int(v)
    c = row * cells.nx + column
    rows, walls = cells.rows, cells.walls
    for w in range(words):
        masks[n, w] = rows[c, w]
    rx = cells.x0 + (column + OFF_CENTRE) * cells.cell
    ry = cells.y0 + (row + OFF_CENTRE) * cells.cell
    for i in range(rows[c, words], rows[c + 1, words]):
        ax, ay, bx, by = walls[i, 0], walls[i, 1], walls[i, 2], walls[i, 3]
        r_side = (bx - ax) * (ry - ay) - (by - ay) * (rx - ax)
        p_side = (bx - ax) * (py - ay) - (by - ay) * (px - ax)
        if abs(r_side) < UNSURE or abs(p_side) < UNSURE:
            return False
        if (r_side > 0.0) == (p_side > 0.0):
            continue
        a_side = (px - rx) * (ay - ry) - (py - ry) * (ax - rx)
        b_side = (px - rx) * (by - ry) - (py - ry) * (bx - rx)
        if abs(a_side) < UNSURE or abs(b_side) < UNSURE:
            return False
        if (a_side > 0.0) != (b_side > 0.0):
            owner = int(walls[i, 4])
            masks[n, owner // BITS] ^= 1 << (owner % BITS)
    return True


@kernel
def contains_mask(cells: Cells, rings: Rings, px: float, py: float, masks: I64, n: int) -> None:
    """Polygons that strictly contain p -> masks[n] (words,), a bit per polygon."""
    if not quick_mask(cells, px, py, masks, n):
        exact_mask(rings, px, py, masks, n)


@kernel
def off_centerline(cells: Cells, path: Path, px: float, py: float) -> bool:
    """Whether p is more than LANE_KEEPING_LIMIT away from the whole centreline."""
    u, v = (px - cells.x0) / cells.cell, (py - cells.y0) / cells.cell
    if not (0.0 <= u < cells.nx and 0.0 <= v < cells.ny):
        return True
    c = int(v) * cells.nx + int(u)
    line, items = path.line, path.items
    for n in range(path.starts[c], path.starts[c + 1]):
        i = items[n]
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


def build_grid(areas: Areas, centerline: F64) -> tuple[Cells, Rings, Path]:
    """Grid over all polygons of the map and the route's centreline (n, 2)."""
    edges, owners = ring_edges(areas.polygons)
    everything = np.vstack([areas.polygons.vertices, centerline])
    low, high = everything.min(axis=0) - MARGIN, everything.max(axis=0) + MARGIN
    cell = max(math.sqrt(float(np.prod(high - low)) / CELLS), MIN_CELL)
    nx, ny = (int(n) for n in np.ceil((high - low) / cell))
    frame = (float(low[0]), float(low[1]), cell, nx, ny)
    starts, items = _bin_edges(edges, 1e-6, *frame)
    inside = _fill_inside(edges, owners, *frame, words_for(len(areas)))
    rows = np.hstack([np.vstack([inside, np.zeros_like(inside[:1])]), starts[:, None]])
    walls = np.hstack([edges, owners[:, None]])[items]
    line = plain(centerline)
    near_starts, near_items = _bin_edges(
        np.hstack([line[:-1], line[1:]]), LANE_KEEPING_LIMIT + 1e-6, *frame
    )
    return (
        Cells(*frame, rows, walls),
        Rings(plain(areas.polygons.vertices), areas.polygons.offsets, bounds(areas.polygons)),
        Path(line, arc_lengths(line), near_starts, near_items),
    )
