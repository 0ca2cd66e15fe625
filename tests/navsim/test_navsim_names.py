"""Names in logs, follow-ups, splits and map indexes cannot leave the folders they belong to."""

from __future__ import annotations

import json
import pickle
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from irl_vla.navsim.dataset import Dataset, index_split
from irl_vla.navsim.filters import NavsimSplit, SceneFilter, load_split
from irl_vla.navsim.find import find_window
from irl_vla.navsim.followups import load_metadata
from irl_vla.navsim.log_table import log_table
from irl_vla.navsim.map_file import map_file
from irl_vla.navsim.scene_cache import SceneCache
from irl_vla.navsim.sensors import frame_set, image_path
from irl_vla.types import InputError
from irl_vla.unpickle import load_pickle

LEAVING = ("../../../etc/passwd", "/etc/passwd")


def change_log(root: Path, **values: Any) -> Path:
    """The first log of `test` with other values in its frame 3."""
    path = sorted((root / "navsim_logs/test").glob("*.pkl"))[0]
    frames = load_pickle(path, "log")
    frames[3].update(values)
    path.write_bytes(pickle.dumps(frames))
    return path


@pytest.mark.parametrize("name", LEAVING)
@pytest.mark.parametrize("field", ["log_name", "token", "map_location"])
def test_a_name_of_a_log_that_leaves_its_folder_is_refused_with_file_and_field(
    own_copy: Path, tmp_path: Path, field: str, name: str
) -> None:
    path = change_log(own_copy, **{field: name})
    with pytest.raises(InputError, match=rf"^{path}: frame 3: {field}: .*'{name}'"):
        index_split(Dataset(own_copy), NavsimSplit("x", "test", SceneFilter()), tmp_path / "cache")


@pytest.mark.parametrize("name", LEAVING)
def test_a_picture_outside_the_sensor_folder_is_refused(
    own_copy: Path, tmp_path: Path, name: str
) -> None:
    outside = tmp_path / "secret.jpg"
    outside.write_bytes(b"secret")
    index = index_split(Dataset(own_copy), NavsimSplit("x", "test", SceneFilter()))
    frame = index.window(index.stage_one[0]).now
    front = {**frame.cameras["cam_f0"], "data_path": name}
    bad = replace(frame, cameras={**frame.cameras, "cam_f0": front})
    root = tmp_path / "sensor_blobs" / "test"
    with pytest.raises(InputError, match=rf"\.pkl: frame \d+: data_path of 'cam_f0': .*'{name}'"):
        image_path(root, bad, "cam_f0")
    assert "data_path" in frame_set(root, bad).missing["cam_f0"]


@pytest.mark.parametrize("field", ["log_name", "map_name"])
def test_a_follow_up_is_refused_like_a_log(own_copy: Path, tmp_path: Path, field: str) -> None:
    path = sorted((own_copy / "navhard_two_stage/synthetic_scene_pickles").glob("*.pkl"))[0]
    raw = load_pickle(path, "follow-up", stubs=True)
    stored = raw["scene_metadata"]
    fields = dict(getattr(stored, "fields", stored))
    raw["scene_metadata"] = fields | {field: "../../x"}
    path.write_bytes(pickle.dumps({key: raw[key] for key in ("scene_metadata", "frames")}))
    with pytest.raises(InputError, match=rf"^{path}: scene_metadata\.{field}: "):
        load_metadata(path, tmp_path)


def test_a_cache_table_that_was_tampered_with_is_no_way_out(own_copy: Path, tmp_path: Path) -> None:
    path = sorted((own_copy / "navsim_logs/test").glob("*.pkl"))[0]
    log_table(path, tmp_path / "cache")
    (kept,) = (tmp_path / "cache").rglob("*.json")
    entry = json.loads(kept.read_text())
    entry["log_names"] = ["../../x"] * len(entry["log_names"])
    kept.write_text(json.dumps(entry))
    with pytest.raises(InputError, match="frame 0: log_name"):
        log_table(path, tmp_path / "cache")
    assert SceneCache(tmp_path).path("../..", "../../x").is_relative_to(tmp_path)
    assert ".." not in SceneCache(tmp_path).path("../..", "../../x").parts


@pytest.mark.parametrize(("city", "version"), [("../..", "1"), ("boston", "../.."), ("/etc", "1")])
def test_a_map_outside_the_folder_of_maps_is_refused(
    tmp_path: Path, city: str, version: str
) -> None:
    index = tmp_path / "maps" / "nuplan-maps-v1.0.json"
    index.parent.mkdir()
    index.write_text(json.dumps({city: {"version": version}}))
    with pytest.raises(InputError, match=rf"^{index}: city or version: "):
        map_file(index.parent, city)


@pytest.mark.parametrize(
    ("text", "field"),
    [
        ("data_split: ../../etc\nscene_filter: {}\n", "data_split"),
        ("data_split: /etc\nscene_filter: {}\n", "data_split"),
        ("data_split: mini\ndefaults: [{scene_filter: ../../x}]\n", "scene_filter"),
    ],
)
def test_a_split_file_that_names_a_folder_elsewhere_is_refused(
    tmp_path: Path, text: str, field: str
) -> None:
    (tmp_path / "mine.yaml").write_text(text)
    with pytest.raises(InputError, match=rf"^{tmp_path / 'mine.yaml'}: {field}: "):
        load_split(tmp_path, "mine")


def test_a_split_or_token_typed_with_a_path_is_refused(own_copy: Path) -> None:
    dataset = Dataset(own_copy)
    with pytest.raises(InputError, match="split"):
        dataset.split("../../x")
    for token in ("../../x", "*", "/etc/passwd"):
        with pytest.raises(InputError, match="token"):
            find_window(dataset, token)
