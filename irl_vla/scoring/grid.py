"""Which map polygons contain a point: a uniform grid, prepared once, exact in every answer.

Each cell knows the polygons that contain its reference point r (a bit per polygon) and the polygon
edges that pass through it. A point p is in the same polygons as r but for the edges that the
segment r-p crosses. Where a crossing is too close to call (1e-8 m² of signed area) all polygons are
tested exactly instead. The same cells hold the stretches of centreline within 0.5 m, for lane
keeping. May import: frames, scoring.compiled, scoring.geometry, scoring.scene.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from irl_vla.frames import arc_lengths
from irl_vla.scoring.compiled import lean_kernel, plain
from irl_vla.scoring.geometry import distance_to_segment, in_ring
from irl_vla.scoring.scene import I64, Areas, Polygons
from irl_vla.types import F64

BITS = 62  # polygons per mask word: int64 without its sign
CELLS = 60_000  # about as many cells as a grid has
MIN_CELL = 0.5  # [m]
USUAL = 8  # cells of an edge for which there is room at first
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


class RouteCenterline(NamedTuple):
    """The route's centreline: line (n, 2), arc lengths (n,); starts (cells + 1,) and items: its
    segments within LANE_KEEPING_LIMIT of a cell."""

    line: F64
    lengths: F64
    starts: I64
    items: I64


@lean_kernel
def _cells_of(
    ax: float, ay: float, bx: float, by: float, margin: float,
    x0: float, y0: float, cell: float, nx: int, ny: int, out: I64,
) -> int:  # fmt: skip
    """Cells within `margin` of the edge a-b, row by row -> out; returns how many (out may be too
    short: then only the count is right)."""
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


@lean_kernel
def _find_cells(
    edges: F64, margin: float, x0: float, y0: float, cell: float, nx: int, ny: int,
    many: I64, found: I64,
) -> int:  # fmt: skip
    """Cells within margin of edges (E, >= 4), edge by edge -> found, and how many of each -> many
    (E,); returns how many in all (found may be too short: then it has to be called again)."""
    total = 0
    for e in range(len(edges)):
        a, b, c, d = edges[e, 0], edges[e, 1], edges[e, 2], edges[e, 3]
        many[e] = _cells_of(a, b, c, d, margin, x0, y0, cell, nx, ny, found[total:])
        total += many[e]
    return total


@lean_kernel
def _file_edges(many: I64, found: I64, starts: I64, items: I64) -> None:
    """What _find_cells found, cell by cell -> starts (cells + 1,), zeros before, and items."""
    for k in range(len(items)):
        starts[found[k] + 1] += 1
    for c in range(1, len(starts)):
        starts[c] += starts[c - 1]
    k = 0
    for e in range(len(many)):
        for _ in range(many[e]):
            items[starts[found[k]]] = e
            starts[found[k]] += 1
            k += 1
    for c in range(len(starts) - 1, 0, -1):  # each begin has moved on to the next one's
        starts[c] = starts[c - 1]
    starts[0] = 0


def _bin_edges(
    edges: F64, margin: float, x0: float, y0: float, cell: float, nx: int, ny: int
) -> tuple[I64, I64]:
    """Edges (E, >= 4) -> starts (cells + 1,) and items: which edges pass within margin of a
    cell."""
    frame = (margin, x0, y0, cell, nx, ny)
    many, found = np.empty(len(edges), np.int64), np.empty(USUAL * len(edges), np.int64)
    total = _find_cells(edges, *frame, many, found)
    if total > len(found):
        found = np.empty(total, np.int64)
        _find_cells(edges, *frame, many, found)
    starts, items = np.zeros(nx * ny + 1, np.int64), np.empty(total, np.int64)
    _file_edges(many, found, starts, items)
    return starts, items


@lean_kernel
def _fill_rows(
    edges: F64, x0: float, y0: float, cell: float, nx: int, ny: int, starts: I64, rows: I64
) -> None:
    """Polygons around each reference point, and starts (cells + 1,) -> rows (cells + 1, words + 1),
    zeros before: every edge flips its polygon's bit at the first cell of a row that lies right of
    it; summing the flips along the row does the rest."""
    words = rows.shape[1] - 1
    for e in range(len(edges)):
        ax, ay, bx, by = edges[e, 0], edges[e, 1], edges[e, 2], edges[e, 3]
        owner = int(edges[e, 4])
        if ay > by:
            ax, ay, bx, by = bx, by, ax, ay
        first = max(math.ceil((ay - y0) / cell - OFF_CENTRE), 0)
        last = min(math.ceil((by - y0) / cell - OFF_CENTRE) - 1, ny - 1)
        for row in range(first, last + 1):
            x = ax + (y0 + (row + OFF_CENTRE) * cell - ay) / (by - ay) * (bx - ax)
            column = max(math.floor((x - x0) / cell - OFF_CENTRE) + 1, 0)
            if column < nx:
                rows[row * nx + column, owner // BITS] ^= 1 << (owner % BITS)
    for row in range(ny):
        for c in range(row * nx + 1, (row + 1) * nx):
            for w in range(words):
                rows[c, w] ^= rows[c - 1, w]
    for c in range(nx * ny + 1):
        rows[c, words] = starts[c]


@lean_kernel
def exact_mask(rings: Rings, px: float, py: float, masks: I64, n: int) -> None:
    """Polygons that strictly contain p, each tested in full -> masks[n]."""
    masks[n, :] = 0
    boxes = rings.boxes
    for i in range(len(boxes)):
        if px < boxes[i, 0] or px > boxes[i, 2] or py < boxes[i, 1] or py > boxes[i, 3]:
            continue
        if in_ring(rings.vertices, rings.offsets[i], rings.offsets[i + 1], px, py) > 0:
            masks[n, i // BITS] |= 1 << (i % BITS)


@lean_kernel
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


@lean_kernel
def contains_mask(cells: Cells, rings: Rings, px: float, py: float, masks: I64, n: int) -> None:
    """Polygons that strictly contain p -> masks[n] (words,), a bit per polygon."""
    if not quick_mask(cells, px, py, masks, n):
        exact_mask(rings, px, py, masks, n)


@lean_kernel
def off_centerline(cells: Cells, path: RouteCenterline, px: float, py: float) -> bool:
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


@lean_kernel
def _fill_edges(vertices: F64, offsets: I64, edges: F64) -> None:
    """All edges of the polygons, and the polygon each belongs to -> edges (V, 5)."""
    for i in range(len(offsets) - 1):
        for k in range(offsets[i], offsets[i + 1]):
            after = k + 1 if k + 1 < offsets[i + 1] else offsets[i]
            edges[k, 0], edges[k, 1] = vertices[k, 0], vertices[k, 1]
            edges[k, 2], edges[k, 3] = vertices[after, 0], vertices[after, 1]
            edges[k, 4] = i


@lean_kernel
def _fill_bounds(vertices: F64, offsets: I64, boxes: F64) -> None:
    """xmin, ymin, xmax, ymax of each polygon -> boxes (n, 4)."""
    for i in range(len(offsets) - 1):
        x0, y0 = vertices[offsets[i], 0], vertices[offsets[i], 1]
        x1, y1 = x0, y0
        for k in range(offsets[i] + 1, offsets[i + 1]):
            x, y = vertices[k, 0], vertices[k, 1]
            x0, y0, x1, y1 = min(x0, x), min(y0, y), max(x1, x), max(y1, y)
        boxes[i, 0], boxes[i, 1], boxes[i, 2], boxes[i, 3] = x0, y0, x1, y1


def bounds(polygons: Polygons) -> F64:
    """(n, 4) xmin, ymin, xmax, ymax of each polygon."""
    boxes = np.empty((len(polygons), 4))
    _fill_bounds(plain(polygons.vertices), polygons.offsets, boxes)
    return boxes


def build_grid(areas: Areas, centerline: F64) -> tuple[Cells, Rings, RouteCenterline]:
    """Grid over all polygons of the map and the route's centreline (n, 2)."""
    vertices, offsets = plain(areas.polygons.vertices), areas.polygons.offsets
    boxes = bounds(areas.polygons)
    low = np.vstack([boxes[:, :2], centerline]).min(axis=0) - MARGIN
    high = np.vstack([boxes[:, 2:], centerline]).max(axis=0) + MARGIN
    cell = max(math.sqrt(float(np.prod(high - low)) / CELLS), MIN_CELL)
    nx, ny = (int(n) for n in np.ceil((high - low) / cell))
    frame = (float(low[0]), float(low[1]), cell, nx, ny)
    edges = np.empty((len(vertices), 5))
    _fill_edges(vertices, offsets, edges)
    starts, items = _bin_edges(edges, 1e-6, *frame)
    rows = np.zeros((len(starts), words_for(len(areas)) + 1), np.int64)
    _fill_rows(edges, *frame, starts, rows)
    line = plain(centerline)
    near_starts, near_items = _bin_edges(
        np.hstack([line[:-1], line[1:]]), LANE_KEEPING_LIMIT + 1e-6, *frame
    )
    return (
        Cells(*frame, rows, edges[items]),
        Rings(vertices, offsets, boxes),
        RouteCenterline(line, arc_lengths(line), near_starts, near_items),
    )
