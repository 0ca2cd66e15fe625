"""Maps: read once, kept compactly, and clear about what is missing."""

from __future__ import annotations

import multiprocessing
import shutil
import sqlite3
from pathlib import Path

import pytest

from irl_vla.navsim.city_map import CityMap
from irl_vla.navsim.dataset import Dataset
from irl_vla.navsim.map_file import load_layers, map_file
from irl_vla.types import InputError

CITY = "us-ma-boston"


def test_a_missing_other_city_is_no_error_and_a_missing_own_city_is(own_copy: Path) -> None:
    maps = own_copy / "maps"
    shutil.rmtree(maps / "sg-one-north")
    assert CityMap.open(maps, CITY).city == CITY
    with pytest.raises(InputError, match="the map of 'sg-one-north' is not on disk"):
        map_file(maps, "sg-one-north")
    with pytest.raises(InputError, match="no city 'atlantis'"):
        map_file(maps, "atlantis")


def test_a_missing_layer_is_named(own_copy: Path) -> None:
    path = map_file(own_copy / "maps", CITY)
    with sqlite3.connect(path) as connection:
        connection.execute("drop table baseline_paths")
    with pytest.raises(InputError, match="no layer baseline_paths"):
        load_layers(path, None)


def test_a_missing_column_is_named(own_copy: Path) -> None:
    path = map_file(own_copy / "maps", CITY)
    with sqlite3.connect(path) as connection:
        connection.execute("alter table lanes_polygons rename column lane_group_fid to other")
    with pytest.raises(InputError, match="no column lane_group_fid"):
        load_layers(path, None)


def test_a_file_that_is_no_map_is_refused(own_copy: Path) -> None:
    path = map_file(own_copy / "maps", CITY)
    path.write_bytes(b"no database" * 200)
    with pytest.raises(InputError, match="no GeoPackage"):
        load_layers(path, None)


def test_a_map_without_stop_lines_on_a_connector_is_read(own_copy: Path) -> None:
    """NULL in the list of stop lines crashes the original."""
    path = map_file(own_copy / "maps", CITY)
    with sqlite3.connect(path) as connection:
        connection.execute("update lane_connectors set traffic_light_stop_line_fids = null")
    city = CityMap(CITY, load_layers(path, None))
    first = city.tables["lane_connectors"].id(0)
    assert city.connector(first).stop_line_ids == ()


def test_the_cache_gives_the_layers_of_the_source(dataset: Dataset, tmp_path: Path) -> None:
    path = map_file(dataset.maps, CITY)
    fresh, stored, mapped = (load_layers(path, cache) for cache in (None, tmp_path, tmp_path))
    for name, table in fresh.items():
        assert table.equals(stored[name]) and table.equals(mapped[name])


def test_a_changed_source_is_read_again(own_copy: Path, tmp_path: Path) -> None:
    path = map_file(own_copy / "maps", CITY)
    before = load_layers(path, tmp_path)["crosswalks"].num_rows
    with sqlite3.connect(path) as connection:
        connection.execute(
            "delete from crosswalks where rowid = (select min(rowid) from crosswalks)"
        )
    assert load_layers(path, tmp_path)["crosswalks"].num_rows == before - 1


def _load(path: Path, cache: Path) -> int:
    return int(load_layers(path, cache)["lanes_polygons"].num_rows)


def test_parallel_writers_leave_one_whole_entry(dataset: Dataset, tmp_path: Path) -> None:
    path = map_file(dataset.maps, CITY)
    with multiprocessing.get_context("fork").Pool(4) as pool:
        assert len(set(pool.starmap(_load, [(path, tmp_path)] * 8))) == 1
    entries = list((tmp_path / "maps").iterdir())
    assert len(entries) == 1 and (entries[0] / "complete").is_file()


def test_a_writer_that_was_killed_leaves_nothing_that_counts(
    dataset: Dataset, tmp_path: Path
) -> None:
    path = map_file(dataset.maps, CITY)
    load_layers(path, tmp_path)
    (entry,) = (tmp_path / "maps").iterdir()
    draft = entry.with_name(".draft-killed")
    entry.rename(draft)
    (draft / "complete").unlink()
    assert load_layers(path, tmp_path)["lanes_polygons"].num_rows > 0
