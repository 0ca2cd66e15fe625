"""What the roads of one city are: lanes, connectors, blocks, and who follows whom.

Ids are the integer keys of the file, used as text, and unique per layer only. A *block* is a
roadblock (lane group) or a roadblock connector (lane group connector); a *lane* is a lane or a lane
connector. Objects are made when they are first asked for and then kept.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import Enum
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import shapely
from shapely.geometry.base import BaseGeometry

from irl_vla.navsim.first_of_equals import quicksort_first
from irl_vla.navsim.map_file import load_layers, map_file
from irl_vla.types import F64, InputError


class LayerName(str, Enum):
    """The layers that can be asked for."""

    LANE = "LANE"
    LANE_CONNECTOR = "LANE_CONNECTOR"
    ROADBLOCK = "ROADBLOCK"
    ROADBLOCK_CONNECTOR = "ROADBLOCK_CONNECTOR"
    INTERSECTION = "INTERSECTION"
    STOP_LINE = "STOP_LINE"
    CROSSWALK = "CROSSWALK"
    WALKWAYS = "WALKWAYS"
    CARPARK_AREA = "CARPARK_AREA"
    DRIVABLE_AREA = "DRIVABLE_AREA"


class MapLayer:
    """One table: ids, bounds and columns, geometries unpacked one by one."""

    def __init__(self, table: pa.Table) -> None:
        self.table = table
        self.fids = table["fid"].to_numpy()
        sides = [table[side].to_numpy() for side in ("min_x", "min_y", "max_x", "max_y")]
        self.min_x, self.min_y, self.max_x, self.max_y = sides
        self._shapes: dict[int, BaseGeometry] = {}

    def __len__(self) -> int:
        return len(self.fids)

    @cached_property
    def row_of(self) -> dict[str, int]:
        """id -> row; the first row where ids repeat."""
        return {str(fid): row for row, fid in reversed(list(enumerate(self.fids.tolist())))}

    def id(self, row: int) -> str:
        return str(int(self.fids[row]))

    def shape(self, row: int) -> BaseGeometry:
        """Geometry of a row in UTM metres."""
        if row not in self._shapes:
            shape = shapely.from_wkb(self.table["wkb"][row].as_py())
            shapely.prepare(shape)
            self._shapes[row] = shape
        return self._shapes[row]

    def column(self, name: str) -> list[Any]:
        """All values of a column, None for NULL."""
        return list(self.table[name].to_pylist())

    @cached_property
    def ids_in(self) -> dict[str, list[str | None]]:
        """Columns of ids as text, converted once per column (see `id_column`)."""
        return {}

    def id_column(self, name: str) -> list[str | None]:
        """A column that points to other layers, as ids."""
        if name not in self.ids_in:
            self.ids_in[name] = [None if v is None else str(v) for v in self.column(name)]
        return self.ids_in[name]

    def rows_in_square(self, x: float, y: float, radius: float) -> list[int]:
        """Rows whose geometry intersects the SQUARE of half side `radius`, in file order."""
        near = np.flatnonzero(
            (self.min_x <= x + radius) & (self.max_x >= x - radius)
            & (self.min_y <= y + radius) & (self.max_y >= y - radius)
        ).tolist()  # fmt: skip
        square = shapely.box(x - radius, y - radius, x + radius, y + radius)
        return [row for row in near if self.shape(row).intersects(square)]

    def rows_containing(self, x: float, y: float) -> list[int]:
        """Rows whose polygon strictly contains the point: its boundary is outside."""
        near = np.flatnonzero(
            (self.min_x <= x) & (self.max_x >= x) & (self.min_y <= y) & (self.max_y >= y)
        ).tolist()
        return [row for row in near if shapely.contains_xy(self.shape(row), x, y)]

    def nearest(self, x: float, y: float) -> tuple[int, float] | None:
        """Row with the least distance [m] to the point, and the distance; None if empty.

        Among equals the original takes whichever its unstable sort puts first, and equals are
        common: overlapping or touching blocks. `quicksort_first` repeats that sort.
        """
        if not len(self):
            return None
        away_x = np.maximum(np.maximum(self.min_x - x, x - self.max_x), 0.0)
        away_y = np.maximum(np.maximum(self.min_y - y, y - self.max_y), 0.0)
        lower = np.hypot(away_x, away_y)  # no geometry is nearer than its bounds
        point, best, least = shapely.Point(x, y), list[int](), np.inf
        for row in np.argsort(lower, kind="stable").tolist():
            if lower[row] > least:
                break
            distance = self.shape(row).distance(point)
            if distance < least:
                best, least = [row], distance
            elif distance == least:
                best.append(row)
        if len(best) > 1:
            distances = [self.shape(row).distance(point) for row in range(len(self))]
            return quicksort_first(distances), float(least)
        return best[0], float(least)


@dataclass(frozen=True)
class Baseline:
    """The centre line of a lane. points: (n, 3) every vertex with the heading to the next one
    (the last repeats its predecessor's); line: as geometry"""

    points: F64
    line: BaseGeometry

    @property
    def length(self) -> float:
        return float(self.line.length)


@dataclass(frozen=True)
class MapLane:
    """A lane or a lane connector."""

    id: str
    is_connector: bool
    block: str
    polygon: BaseGeometry
    baseline: Baseline
    speed_limit: float | None
    incoming: tuple[str, ...]
    outgoing: tuple[str, ...]
    left_boundary: str | None
    right_boundary: str | None
    index: int | None = None
    neighbours: tuple[str | None, str | None] = (None, None)
    stop_line_ids: tuple[str, ...] = field(default=())


@dataclass(frozen=True)
class Block:
    """A roadblock or a roadblock connector: its lanes in file order, and the blocks around it."""

    id: str
    is_connector: bool
    polygon: BaseGeometry
    lanes: tuple[str, ...]
    incoming: tuple[str, ...]
    outgoing: tuple[str, ...]
    intersection: str | None = None


def discrete_path(line: BaseGeometry) -> F64:
    """(n, 3) all vertices of a line with headings."""
    xy = shapely.get_coordinates(line)
    steps = np.diff(xy, axis=0)
    headings = np.arctan2(steps[:, 1], steps[:, 0])
    return np.column_stack([xy, np.append(headings, headings[-1:])])


def _rows_by(values: Iterable[str | None]) -> dict[str, list[int]]:
    grouped: dict[str, list[int]] = defaultdict(list)
    for row, value in enumerate(values):
        if value is not None:
            grouped[value].append(row)
    return grouped


class CityMap:
    """One city, read once and shared by everything that asks. Coordinates are UTM metres."""

    def __init__(self, city: str, tables: dict[str, pa.Table]) -> None:
        self.city = city
        self.tables = {name: MapLayer(table) for name, table in tables.items()}
        self._lanes: dict[str, MapLane] = {}
        self._connectors: dict[str, MapLane] = {}
        self._blocks: dict[str, Block] = {}
        self._links: dict[str, Block] = {}

    @staticmethod
    def open(maps: Path, city: str, cache: Path | None = None) -> CityMap:
        """The map of a city below the folder `maps`; raises InputError (see `map_file`)."""
        return CityMap(city, load_layers(map_file(maps, city), cache))

    def layer(self, name: LayerName) -> MapLayer:
        """The table that proximity queries of a layer use; for connectors that is the LINE."""
        return self.tables[PROXIMITY_TABLE[name]]

    @cached_property
    def _index(self) -> dict[str, dict[str, list[int]]]:
        """Rows by the id that they point to, for each relation that is followed."""
        return {
            f"{table}.{column}": _rows_by(self.tables[table].id_column(column))
            for table, column in RELATIONS
        }

    def _rows(self, relation: str, key: str) -> list[int]:
        return self._index[relation].get(key, [])

    def lane(self, lane_id: str) -> MapLane:
        """A lane of the lane layer. Raises InputError for an unknown id."""
        if lane_id not in self._lanes:
            self._lanes[lane_id] = self._make_lane(lane_id)
        return self._lanes[lane_id]

    def connector(self, lane_id: str) -> MapLane:
        """A lane of the connector layer."""
        if lane_id not in self._connectors:
            self._connectors[lane_id] = self._make_connector(lane_id)
        return self._connectors[lane_id]

    def block(self, block_id: str) -> Block | None:
        """A roadblock, or else the connector of that id, or None."""
        roadblock = self.block_in(LayerName.ROADBLOCK, block_id)
        return roadblock or self.block_in(LayerName.ROADBLOCK_CONNECTOR, block_id)

    def block_in(self, layer: LayerName, block_id: str) -> Block | None:
        """The roadblock or the roadblock connector of that id, or None."""
        connector = layer is LayerName.ROADBLOCK_CONNECTOR
        kept = self._links if connector else self._blocks
        if block_id not in kept:
            row = self.layer(layer).row_of.get(block_id)
            if row is None:
                return None
            make = self._make_link if connector else self._make_block
            kept[block_id] = make(block_id, row)
        return kept[block_id]

    def lanes_of(self, block: Block) -> list[MapLane]:
        """The lanes inside a block, in file order."""
        get = self.connector if block.is_connector else self.lane
        return [get(lane_id) for lane_id in block.lanes]

    def outgoing(self, lane: MapLane) -> list[MapLane]:
        """Lanes that may follow: connectors of a lane, the one lane of a connector."""
        get = self.lane if lane.is_connector else self.connector
        return [get(lane_id) for lane_id in lane.outgoing]

    def _row(self, table: str, object_id: str) -> int:
        row = self.tables[table].row_of.get(object_id)
        if row is None:
            raise InputError(
                f"map of '{self.city}': layer {table} has no object {object_id}, which another "
                "layer points to. Is the map whole, and of the version the logs were made with?"
            )
        return row

    def _baseline(self, relation: str, lane_id: str) -> Baseline:
        rows = self._rows(relation, lane_id)
        if not rows:
            raise InputError(
                f"map of '{self.city}': lane {lane_id} has no baseline path. Is the map whole?"
            )
        line = self.tables["baseline_paths"].shape(rows[0])
        return Baseline(discrete_path(line), line)

    def _make_lane(self, lane_id: str) -> MapLane:
        lanes, connectors = self.tables["lanes_polygons"], self.tables["lane_connectors"]
        row = self._row("lanes_polygons", lane_id)
        block = lanes.id_column("lane_group_fid")[row]
        index = lanes.table["lane_index"][row].as_py()
        beside: dict[int, str] = {
            lanes.table["lane_index"][other].as_py(): lanes.id(other)
            for other in self._rows("lanes_polygons.lane_group_fid", block or "")
        }
        return MapLane(
            id=lane_id,
            is_connector=False,
            block=block or "",
            polygon=lanes.shape(row),
            baseline=self._baseline("baseline_paths.lane_fid", lane_id),
            speed_limit=lanes.table["speed_limit_mps"][row].as_py(),
            incoming=tuple(
                connectors.id(r) for r in self._rows("lane_connectors.entry_lane_fid", lane_id)
            ),
            outgoing=tuple(
                connectors.id(r) for r in self._rows("lane_connectors.exit_lane_fid", lane_id)
            ),
            left_boundary=lanes.id_column("left_boundary_fid")[row],
            right_boundary=lanes.id_column("right_boundary_fid")[row],
            index=index,
            neighbours=(beside.get(index - 1), beside.get(index + 1)),  # counted left to right
        )

    def _make_connector(self, lane_id: str) -> MapLane:
        connectors = self.tables["lane_connectors"]
        polygons = self.tables["gen_lane_connectors_scaled_width_polygons"]
        row = self._row("lane_connectors", lane_id)
        wide = self._rows("gen_lane_connectors_scaled_width_polygons.lane_connector_fid", lane_id)
        if not wide:
            raise InputError(f"map of '{self.city}': lane connector {lane_id} has no polygon")
        table = connectors.table
        # NULL would crash the original; an empty text means that no light belongs to it.
        text = table["traffic_light_stop_line_fids"][row].as_py() or ""
        return MapLane(
            id=lane_id,
            is_connector=True,
            block=connectors.id_column("lane_group_connector_fid")[row] or "",
            polygon=polygons.shape(wide[0]),
            baseline=self._baseline("baseline_paths.lane_connector_fid", lane_id),
            speed_limit=table["speed_limit_mps"][row].as_py(),
            incoming=tuple(filter(None, [connectors.id_column("exit_lane_fid")[row]])),
            outgoing=tuple(filter(None, [connectors.id_column("entry_lane_fid")[row]])),
            left_boundary=polygons.id_column("left_boundary_fid")[wide[0]],
            right_boundary=polygons.id_column("right_boundary_fid")[wide[0]],
            stop_line_ids=tuple(part.strip() for part in text.split(",") if part.strip()),
        )

    def _make_block(self, block_id: str, row: int) -> Block:
        lanes, links = self.tables["lanes_polygons"], self.tables["lane_group_connectors"]
        inside = self._rows("lanes_polygons.lane_group_fid", block_id)
        before = self._rows("lane_group_connectors.to_lane_group_fid", block_id)
        after = self._rows("lane_group_connectors.from_lane_group_fid", block_id)
        return Block(
            id=block_id,
            is_connector=False,
            polygon=self.tables["lane_groups_polygons"].shape(row),
            lanes=tuple(lanes.id(r) for r in inside),
            incoming=tuple(links.id(r) for r in before),
            outgoing=tuple(links.id(r) for r in after),
        )

    def _make_link(self, block_id: str, row: int) -> Block:
        links, connectors = self.tables["lane_group_connectors"], self.tables["lane_connectors"]
        inside = self._rows("lane_connectors.lane_group_connector_fid", block_id)
        return Block(
            id=block_id,
            is_connector=True,
            polygon=links.shape(row),
            lanes=tuple(connectors.id(r) for r in inside),
            incoming=tuple(filter(None, [links.id_column("from_lane_group_fid")[row]])),
            outgoing=tuple(filter(None, [links.id_column("to_lane_group_fid")[row]])),
            intersection=links.id_column("intersection_fid")[row],
        )


PROXIMITY_TABLE = {
    LayerName.LANE: "lanes_polygons",
    LayerName.LANE_CONNECTOR: "lane_connectors",
    LayerName.ROADBLOCK: "lane_groups_polygons",
    LayerName.ROADBLOCK_CONNECTOR: "lane_group_connectors",
    LayerName.INTERSECTION: "intersections",
    LayerName.STOP_LINE: "stop_polygons",
    LayerName.CROSSWALK: "crosswalks",
    LayerName.WALKWAYS: "walkways",
    LayerName.CARPARK_AREA: "carpark_areas",
}
RELATIONS = (  # (table, column that points elsewhere)
    ("lanes_polygons", "lane_group_fid"),
    ("lane_connectors", "exit_lane_fid"),
    ("lane_connectors", "entry_lane_fid"),
    ("lane_connectors", "lane_group_connector_fid"),
    ("gen_lane_connectors_scaled_width_polygons", "lane_connector_fid"),
    ("baseline_paths", "lane_fid"),
    ("baseline_paths", "lane_connector_fid"),
    ("lane_group_connectors", "from_lane_group_fid"),
    ("lane_group_connectors", "to_lane_group_fid"),
)
