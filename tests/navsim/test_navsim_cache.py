"""Our cache of prepared scenes: the same scenes, whole or not at all."""

from __future__ import annotations

import multiprocessing
import os
import pickle
import signal
import time
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from irl_vla.navsim import log_table as tables
from irl_vla.navsim.city_map import CityMap
from irl_vla.navsim.dataset import Dataset, index_split
from irl_vla.navsim.log_table import log_table, source_of
from irl_vla.navsim.preparation import prepare
from irl_vla.navsim.scene_cache import SceneCache
from irl_vla.navsim.scoring_scene import scoring_scene
from irl_vla.navsim.vocabulary import (
    load_vocabulary_scores,
    read_vocabulary_scores,
    write_vocabulary_scores,
)
from irl_vla.scoring.scene import Scene
from irl_vla.types import InputError
from irl_vla.unpickle import load_pickle


@pytest.fixture(scope="module")
def scenes(dataset: Dataset, boston: CityMap) -> dict[str, Scene]:
    index = index_split(dataset, dataset.split("syn_two_stage"))
    windows = [index.window(token) for token in index.places]
    reference = np.arange(153.0).reshape(51, 3)
    return {w.token: scoring_scene(prepare(w, boston), reference) for w in windows}


def same(a: Any, b: Any) -> bool:
    """Equal bit for bit, types and NaN included."""
    if is_dataclass(a):
        return type(a) is type(b) and all(
            same(getattr(a, f.name), getattr(b, f.name)) for f in fields(a)
        )
    if isinstance(a, np.ndarray):
        return a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()
    if isinstance(a, tuple):
        return len(a) == len(b) and all(map(same, a, b))
    return bool(a == b)


def test_scenes_come_back_bit_for_bit(tmp_path: Path, scenes: dict[str, Scene]) -> None:
    cache = SceneCache(tmp_path)
    cache.store("split", "log", "source 1", scenes)
    back = cache.load("split", "log", "source 1", scenes)
    assert back is not None and list(back) == list(scenes)
    assert all(same(scenes[token], back[token]) for token in scenes)


def test_a_cache_can_be_moved_and_knows_stale_and_incomplete_files(
    tmp_path: Path, scenes: dict[str, Scene]
) -> None:
    SceneCache(tmp_path / "a").store("split", "log", "source 1", scenes)
    (tmp_path / "a").rename(tmp_path / "b")
    cache = SceneCache(tmp_path / "b")
    assert cache.load("split", "log", "source 1", scenes) is not None
    assert cache.load("split", "log", "source 2", scenes) is None
    assert cache.load("split", "log", "source 1", [*scenes, "another"]) is None
    assert cache.load("split", "no_such_log", "source 1", []) is None
    assert b"pickle" not in cache.path("split", "log").read_bytes()


def test_a_truncated_cache_file_counts_as_absent(tmp_path: Path, scenes: dict[str, Scene]) -> None:
    cache = SceneCache(tmp_path)
    cache.store("split", "log", "s", scenes)
    path = cache.path("split", "log")
    whole = path.read_bytes()
    for size in (0, 10, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:size])
        assert cache.load("split", "log", "s", scenes) is None


def _write_for_ever(folder: Path, scenes: dict[str, Scene]) -> None:
    while True:
        SceneCache(folder).store("split", "log", "s", scenes)


def test_parallel_writers_and_a_killed_one_leave_a_whole_file(
    tmp_path: Path, scenes: dict[str, Scene]
) -> None:
    context, cache = multiprocessing.get_context("fork"), SceneCache(tmp_path)
    writers = [context.Process(target=_write_for_ever, args=(tmp_path, scenes)) for _ in range(3)]
    for writer in writers:
        writer.start()
    deadline = time.monotonic() + 20.0
    while not cache.path("split", "log").exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    for writer in writers:
        time.sleep(0.05)
        assert writer.pid is not None
        os.kill(writer.pid, signal.SIGKILL)
        writer.join()
    back = cache.load("split", "log", "s", scenes)
    assert back is not None and all(same(scenes[token], back[token]) for token in scenes)


def test_the_source_changes_with_the_file(tmp_path: Path) -> None:
    path = tmp_path / "a.pkl"
    path.write_bytes(b"1")
    before = source_of(path)
    path.write_bytes(b"22")
    assert source_of(path) != before and str(tmp_path) not in before


def test_a_change_that_keeps_size_and_time_is_seen(tmp_path: Path) -> None:
    """`touch -r` after an edit, `cp -p` of another file over it."""
    path, other = tmp_path / "a.pkl", tmp_path / "b"
    path.write_bytes(b"11")
    other.write_bytes(b"22")
    status, before = path.stat(), source_of(path)
    path.write_bytes(b"33")
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    edited = source_of(path)
    os.utime(other, ns=(status.st_atime_ns, status.st_mtime_ns))
    other.replace(path)
    assert len({before, edited, source_of(path)}) == 3


def test_what_other_code_or_another_window_made_is_not_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.pkl"
    path.write_bytes(b"1")
    before = source_of(path)
    assert before == source_of(path) != source_of(path, more="4 + 10 frames")
    monkeypatch.setattr(tables, "software", lambda: {"irl-vla": "another"})
    assert source_of(path) != before


def test_the_table_of_a_log_is_kept_until_the_log_changes(own_copy: Path, tmp_path: Path) -> None:
    path = sorted((own_copy / "navsim_logs/test").glob("*.pkl"))[0]
    fresh, cache = log_table(path), tmp_path / "cache"
    assert log_table(path, cache) == log_table(path, cache) == fresh
    (kept,) = cache.rglob("*.json")
    kept.write_text(kept.read_text()[:-5])
    assert log_table(path, cache) == fresh
    frames = load_pickle(path, "log")[:-1]
    path.write_bytes(pickle.dumps(frames))
    assert len(log_table(path, cache)) == len(fresh) - 1


def test_vocabulary_scores_come_through_and_wrong_ones_are_refused(tmp_path: Path) -> None:
    table = {
        f"{i:016x}": {"no_at_fault_collisions": np.ones(8, np.float16), "ego_progress": np.zeros(8)}
        for i in range(150)
    }
    path = tmp_path / "navtrain_8.pkl"
    path.write_bytes(pickle.dumps(table))
    scores = load_vocabulary_scores(path)
    write_vocabulary_scores(scores, tmp_path / "v.arrow")
    back = dict(read_vocabulary_scores(tmp_path / "v.arrow"))
    assert list(back) == list(table) and back["0" * 16]["ego_progress"].shape == (8,)
    table["f" * 16] = {"no_at_fault_collisions": np.ones(7), "ego_progress": np.zeros(7)}
    path.write_bytes(pickle.dumps(table))
    with pytest.raises(InputError, match="another vocabulary"):
        load_vocabulary_scores(path)
    table["f" * 16] = {"no_at_fault_collisions": np.full(8, np.nan), "ego_progress": np.zeros(8)}
    path.write_bytes(pickle.dumps(table))
    with pytest.raises(InputError, match="NaN"):
        load_vocabulary_scores(path)
