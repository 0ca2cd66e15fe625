"""Folders, splits and windows: what is picked, and what is said about what is not there."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest

from irl_vla.navsim.dataset import Dataset, index_split
from irl_vla.navsim.filters import NavsimSplit, SceneFilter, load_split, scene_filter_from
from irl_vla.navsim.followups import load_follow_up
from irl_vla.navsim.logs import LogShelf, heading_of
from irl_vla.navsim.preparation import prepare
from irl_vla.navsim.records import relative_poses
from irl_vla.navsim.sensors import frame_set, image_path, sensor_root
from irl_vla.types import InputError, IntentDirection
from irl_vla.unpickle import load_pickle


def every(dataset: Dataset, **settings: object) -> dict[str, object]:
    chosen = SceneFilter(**settings)  # type: ignore[arg-type]
    return dict(index_split(dataset, NavsimSplit("x", "test", chosen)).places)


def test_the_devkits_hydra_keys_are_accepted_and_other_words_refused() -> None:
    assert scene_filter_from({"_target_": "a.B", "_convert_": "all"}, "x") == SceneFilter()
    with pytest.raises(InputError, match="log_name'"):
        scene_filter_from({"log_name": ["a"]}, "x.yaml")


def test_tokens_that_yaml_reads_as_numbers_are_refused() -> None:
    """5e17 without quotes would be a float, and the scene would silently be missing."""
    with pytest.raises(InputError, match="quotes"):
        scene_filter_from({"tokens": [5e17]}, "x.yaml")


def test_a_wrong_split_name_lists_the_right_ones(dataset: Dataset) -> None:
    with pytest.raises(InputError, match="syn_two_stage"):
        dataset.split("navtset")


def test_a_split_that_lists_its_filter_inline_is_read(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text("data_split: mini\nscene_filter: {num_future_frames: 8}\n")
    split = load_split(tmp_path, "mine")
    assert split.scene_filter.length == 12 and not split.is_two_stage


def test_windows_without_interval_do_not_overlap(dataset: Dataset) -> None:
    places = every(dataset, has_route=False)
    assert len(places) == sum(
        len(load_pickle(path, "log")) // 14 for path in dataset.log_paths("test")
    )


def test_the_route_of_the_current_frame_decides(dataset: Dataset) -> None:
    index = index_split(
        dataset, NavsimSplit("x", "test", SceneFilter(frame_interval=1, num_future_frames=0))
    )
    assert all(index.window(token).now.roadblock_ids for token in index.places)
    places = every(dataset, frame_interval=1, num_future_frames=0, has_route=False)
    assert len(places) > len(index.places)


def test_unknown_tokens_and_logs_are_counted_and_named(dataset: Dataset) -> None:
    index = index_split(dataset, dataset.split("syn_train"))
    assert "ffffffffffffffff" in index.unknown_tokens
    count = len(index.unknown_tokens)
    assert f"{count} tokens of the filter are in none of its logs: " in index.notes()[0]
    for token in index.unusable_tokens:  # there, but the devkit drops them silently
        assert any(frame["token"] == token for path in dataset.log_paths("test")
                   for frame in load_pickle(path, "log"))  # fmt: skip
    absent = SceneFilter(log_names=("no_such_log",))
    assert index_split(dataset, NavsimSplit("x", "test", absent)).unknown_logs == ("no_such_log",)


def test_a_token_that_does_not_exist_is_a_clear_error(dataset: Dataset) -> None:
    with pytest.raises(InputError, match="token 123: not in split 'syn_test'"):
        index_split(dataset, dataset.split("syn_test")).window("123")


def test_a_folder_without_logs_is_an_error_and_names_its_neighbours(dataset: Dataset) -> None:
    with pytest.raises(InputError, match=r"no logs .*there is: test"):
        index_split(dataset, NavsimSplit("x", "trainval", SceneFilter()))


def test_heading_is_pyquaternions_yaw_and_not_the_usual_one() -> None:
    roll, pitch, yaw = 0.02, 0.03, 1.0
    cr, sr, cp, sp = np.cos(roll / 2), np.sin(roll / 2), np.cos(pitch / 2), np.sin(pitch / 2)
    cy, sy = np.cos(yaw / 2), np.sin(yaw / 2)
    quaternion = np.array([
        cr * cp * cy + sr * sp * sy, sr * cp * cy - cr * sp * sy,
        cr * sp * cy + sr * cp * sy, cr * cp * sy - sr * sp * cy,
    ])  # fmt: skip
    assert 1e-5 < abs(heading_of(quaternion) - yaw) < 1e-3
    flat = np.array([np.cos(yaw / 2), 0.0, 0.0, np.sin(yaw / 2)])
    assert heading_of(flat) == pytest.approx(yaw, abs=1e-15)
    assert heading_of(-3.0 * quaternion) == pytest.approx(heading_of(quaternion), abs=1e-15)


def test_relative_poses_stand_at_zero_now_and_face_forward() -> None:
    now = np.array([331133.98, 4690362.22, 3.0])
    ahead = now + np.array([np.cos(3.0), np.sin(3.0), 0.5])
    seen = relative_poses(now, np.array([now, ahead]))
    np.testing.assert_allclose(seen, [[0, 0, 0], [1, 0, 0.5]], atol=1e-9)


def test_logged_poses_are_float32_and_those_of_follow_ups_are_not(dataset: Dataset) -> None:
    index = index_split(dataset, dataset.split("syn_two_stage"))
    logged, follow = index.window(index.stage_one[0]), index.window(index.follow_ups[0])
    assert logged.agent_input().poses.dtype == np.float32
    assert follow.agent_input().poses.dtype == np.float64
    assert logged.agent_input().intent.direction is IntentDirection.STRAIGHT


def test_a_walk_over_all_logs_keeps_only_a_few_in_memory(dataset: Dataset) -> None:
    shelf = LogShelf(kept=2)
    for path in dataset.log_paths("test"):
        shelf.get(path)
    assert len(shelf._logs) == 2


def test_logs_without_annotations_load_and_cannot_be_scored(
    own_copy: Path, dataset: Dataset
) -> None:
    path = sorted((own_copy / "navsim_logs/test").glob("*.pkl"))[0]
    frames = load_pickle(path, "log")
    for frame in frames:
        del frame["anns"]
    path.write_bytes(pickle.dumps(frames))
    index = index_split(
        Dataset(own_copy), NavsimSplit("x", "test", SceneFilter(num_future_frames=8))
    )
    window = index.window(next(t for t, p in index.places.items() if p.path == path))
    assert window.now.annotations is None
    with pytest.raises(InputError, match=f"scene {window.token}.*no annotations"):
        from irl_vla.navsim.city_map import CityMap

        prepare(window, CityMap.open(own_copy / "maps", window.metadata.map_name))


def test_a_frame_that_lacks_a_key_names_file_frame_and_key(own_copy: Path) -> None:
    path = sorted((own_copy / "navsim_logs/test").glob("*.pkl"))[0]
    frames = load_pickle(path, "log")
    del frames[3]["roadblock_ids"]
    path.write_bytes(pickle.dumps(frames))
    with pytest.raises(InputError, match=r"frame 3 has no roadblock_ids"):
        index_split(Dataset(own_copy), NavsimSplit("x", "test", SceneFilter()))


def test_a_follow_up_without_its_future_is_a_clear_error(own_copy: Path) -> None:
    path = sorted((own_copy / "navhard_two_stage/synthetic_scene_pickles").glob("*.pkl"))[0]
    raw = load_pickle(path, "follow-up", stubs=True)
    raw["extended_detections_tracks"] = []
    raw["extended_traffic_light_data"] = []
    path.write_bytes(pickle.dumps(raw))
    with pytest.raises(InputError, match="no future"):
        load_follow_up(path)


def test_a_renamed_follow_up_is_refused(own_copy: Path) -> None:
    path = sorted((own_copy / "navhard_two_stage/synthetic_scene_pickles").glob("*.pkl"))[0]
    with pytest.raises(InputError, match="Give the file its own name"):
        load_follow_up(path.rename(path.with_name("0" * 17 + ".pkl")))


def test_missing_cameras_are_named_with_the_reason(dataset: Dataset) -> None:
    index = index_split(dataset, dataset.split("syn_two_stage"))
    follow = index.window("002a3f3006ebf983e" if "002a3f3006ebf983e" in index.places
                          else index.follow_ups[0])  # fmt: skip
    frames = frame_set(sensor_root(dataset, index.split, follow), follow.frames[1])
    assert frames.images and frames.missing
    assert all(name in reason for name, reason in frames.missing.items())


def test_sensor_files_that_are_not_on_disk_are_named(dataset: Dataset) -> None:
    index = index_split(dataset, dataset.split("syn_all"))
    frame = next(
        frame
        for token in index.places
        for frame in index.window(token).frames
        if any(log in frame.cameras["cam_f0"]["data_path"] for log in ("00835", "01001"))
    )
    with pytest.raises(InputError, match="needs its sensor_blobs"):
        image_path(dataset.sensors("test"), frame, "cam_f0")


def test_a_second_look_at_a_split_reads_no_pickles_and_finds_the_same(
    own_copy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset, cache = Dataset(own_copy), tmp_path / "cache"
    split = dataset.split("syn_two_stage")
    first = index_split(dataset, split, cache)
    monkeypatch.setattr("irl_vla.unpickle._Reader.load", None)
    again = index_split(dataset, split, cache)
    assert again.places == first.places and again.follow_ups
