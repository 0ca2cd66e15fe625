"""One city's map: nuPlan GeoPackage (SQLite) -> projected layers, kept compactly on disk.

A GeoPackage holds one table per layer, geometry in WGS84 degrees. All layers are projected once to
the UTM zone that the file names, and written as Arrow files that are memory-mapped afterwards:
processes share the pages, and opening a city takes milliseconds. Geometries stay packed (WKB) until
they are asked for.
"""

from __future__ import annotations

import hashlib
import sqlite3
import struct
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import shapely
from pyproj import CRS, Transformer
from pyproj.exceptions import CRSError

from irl_vla.drafts import DraftFolder
from irl_vla.foreign import parse_json, read_whole
from irl_vla.navsim.log_table import source_of
from irl_vla.paths import inside
from irl_vla.types import F64, InputError

CACHE_VERSION = 1  # raised whenever the layout or the meaning of the cached layers changes
GEOGRAPHIC = "EPSG:4326"
ENVELOPE_BYTES = (0, 32, 48, 48, 64)  # by the flag's bits 1-3 (GeoPackage specification, 2.1.3)

LAYERS: dict[str, tuple[str, ...]] = {  # table -> columns that are used
    "lanes_polygons": (
        "lane_fid", "lane_group_fid", "lane_index", "speed_limit_mps",
        "left_boundary_fid", "right_boundary_fid",
    ),
    "lane_connectors": (
        "exit_lane_fid", "entry_lane_fid", "lane_group_connector_fid", "speed_limit_mps",
        "traffic_light_stop_line_fids",
    ),
    "gen_lane_connectors_scaled_width_polygons": (
        "lane_connector_fid", "left_boundary_fid", "right_boundary_fid",
    ),
    "baseline_paths": ("lane_fid", "lane_connector_fid"),
    "boundaries": (),
    "lane_groups_polygons": (),
    "lane_group_connectors": ("from_lane_group_fid", "to_lane_group_fid", "intersection_fid"),
    "intersections": (),
    "crosswalks": (),
    "walkways": (),
    "carpark_areas": (),
    "generic_drivable_areas": (),
    "road_segments": (),
    "stop_polygons": ("stop_polygon_type_fid",),
}  # fmt: skip
TEXT, REAL = {"traffic_light_stop_line_fids"}, {"speed_limit_mps"}


def map_file(maps: Path, city: str) -> Path:
    """The GeoPackage of a city, by the version that nuplan-maps-v1.0.json names.

    Only this city is looked for: the devkit fails when another city is missing.
    """
    index = maps / "nuplan-maps-v1.0.json"
    try:
        versions = parse_json(read_whole(index), f"{index}")
        version = versions[city]["version"]
    except InputError as error:
        raise InputError(f"{error}. Download the nuPlan maps (v1.0)") from None
    except TypeError as error:
        raise InputError(f"{index}: no map index ({error})") from None
    except KeyError:
        raise InputError(
            f"{index}: there is no city '{city}'; it names {', '.join(sorted(versions))}"
        ) from None
    path = inside(maps, f"{city}/{version}/map.gpkg", f"{index}: city or version")
    if not path.is_file():
        raise InputError(
            f"{path}: the map of '{city}' is not on disk. Download the nuPlan maps (v1.0), "
            "or leave out the logs of this city."
        )
    return path


def load_layers(path: Path, cache: Path | None) -> dict[str, pa.Table]:
    """Projected layers of a GeoPackage by table name, from the cache where it is fresh.

    cache: folder of our own files, or None for no cache. The entry is keyed by the layout's
    version and by what `source_of` says of the file; it is written beside and renamed, so parallel
    writers and a killed one leave no half entry.
    """
    if cache is None:
        return _project(path)
    entry = cache / "maps" / f"{path.parents[1].name}-{_key(path)}"
    if not (entry / "complete").is_file():
        layers = _project(path)
        try:
            _write_entry(entry, layers)
        except OSError as error:
            raise InputError(
                f"{entry}: cannot be written: {error.strerror}. Make room there, or give another "
                "--cache"
            ) from None
    return {
        name: pa.ipc.open_file(pa.memory_map(str(entry / f"{name}.arrow"))).read_all()
        for name in LAYERS
    }


def _key(path: Path) -> str:
    """Changes when the source, our code or our layout changes."""
    text = f"{CACHE_VERSION} {source_of(path)}"
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()[:16]


def _write_entry(entry: Path, layers: dict[str, pa.Table]) -> None:
    entry.parent.mkdir(parents=True, exist_ok=True)
    with DraftFolder(entry.parent) as folder:
        draft = folder / entry.name
        draft.mkdir()
        for name, table in layers.items():
            file = pa.OSFile(str(draft / f"{name}.arrow"), "wb")
            with file as sink, pa.ipc.new_file(sink, table.schema) as writer:
                writer.write_table(table)
        (draft / "complete").touch()
        try:
            draft.rename(entry)
        except OSError:
            # Another process was first: its entry has the same key, so it holds the same layers.
            if not (entry / "complete").is_file():
                raise


def _project(path: Path) -> dict[str, pa.Table]:
    connection = sqlite3.connect(f"file:{path}?mode=ro&immutable=1", uri=True)
    try:
        tables = {name for (name,) in connection.execute("select name from sqlite_master")}
        absent = [name for name in (*LAYERS, "meta") if name not in tables]
        if absent:
            raise InputError(
                f"{path}: the map has no layer {', '.join(absent)}. Is it a nuPlan map of "
                "version 1.0, downloaded whole?"
            )
        to_utm = Transformer.from_crs(GEOGRAPHIC, _projection(connection, path), always_xy=True)
        return {
            name: _layer(connection, path, name, columns, to_utm)
            for name, columns in LAYERS.items()
        }
    except sqlite3.DatabaseError as error:
        raise InputError(f"{path}: no GeoPackage, or a damaged one ({error})") from None
    finally:
        connection.close()


def _projection(connection: sqlite3.Connection, path: Path) -> CRS:
    found = connection.execute(
        "select value from meta where key = 'projectedCoordSystem'"
    ).fetchone()
    try:
        return CRS.from_user_input(found[0])
    except (TypeError, CRSError):
        raise InputError(
            f"{path}: table meta: expected projectedCoordSystem such as epsg:32619, got {found}"
        ) from None


def _layer(
    connection: sqlite3.Connection, path: Path, name: str, columns: Sequence[str], to_utm: Any
) -> pa.Table:
    """fid, geometry, bounds and used columns of one layer, in file order (by fid)."""
    there = [row[1] for row in connection.execute(f'pragma table_info("{name}")')]
    absent = [column for column in ("fid", *columns) if column not in there]
    geometry = next((column for column in ("geom", "geometry") if column in there), None)
    if absent or geometry is None:
        raise InputError(
            f"{path}: layer {name} has no column {', '.join(absent) or 'geom'}; it has "
            f"{', '.join(there)}"
        )
    chosen = ", ".join(f'"{column}"' for column in ("fid", geometry, *columns))
    rows = connection.execute(f'select {chosen} from "{name}" order by rowid').fetchall()
    shapes = shapely.from_wkb([_wkb(row[1], path, name) for row in rows])
    shapes = shapely.transform(
        shapes, lambda lonlat: np.column_stack(to_utm.transform(lonlat[:, 0], lonlat[:, 1]))
    )
    arrays: dict[str, pa.Array] = {
        "fid": pa.array([int(row[0]) for row in rows], pa.int64()),
        "wkb": pa.array(list(shapely.to_wkb(shapes)), pa.large_binary()),
    }
    bounds: F64 = shapely.bounds(shapes).reshape(-1, 4)
    for index, side in enumerate(("min_x", "min_y", "max_x", "max_y")):
        arrays[side] = pa.array(np.ascontiguousarray(bounds[:, index]))
    for index, column in enumerate(columns, start=2):
        kind = pa.string() if column in TEXT else pa.float64() if column in REAL else pa.int64()
        arrays[column] = _column([row[index] for row in rows], kind, f"{path}: {name}.{column}")
    return pa.table(arrays).combine_chunks()


def _column(values: list[Any], kind: Any, where: str) -> pa.Array:
    """Values of one column; numbers may be stored as text or as 12.0, NULL stays null."""
    try:
        if kind == pa.string():
            return pa.array([None if v is None else str(v) for v in values], kind)
        number = float if kind == pa.float64() else int
        return pa.array([None if v in (None, "") else number(float(v)) for v in values], kind)
    except (ValueError, TypeError, OverflowError) as error:
        raise InputError(f"{where}: expected numbers: {error}") from None


def _wkb(blob: Any, path: Path, layer: str) -> bytes:
    """The WKB inside a GeoPackage geometry: "GP", version, flags, srs, envelope, WKB."""
    if not isinstance(blob, bytes) or len(blob) < 8 or blob[:2] != b"GP":
        raise InputError(f"{path}: layer {layer}: a geometry is missing or no GeoPackage geometry")
    envelope = (blob[3] >> 1) & 0b111
    if envelope >= len(ENVELOPE_BYTES):
        raise InputError(f"{path}: layer {layer}: a geometry has an unknown envelope ({envelope})")
    start = struct.calcsize("2sBBi") + ENVELOPE_BYTES[envelope]
    return blob[start:]
