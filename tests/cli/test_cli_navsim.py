"""`irl-vla score --navsim`: a split from files to tables; failures are named and never zeros.

The reference plan is replaced by the human's own way, so that these facts do not wait for it.
"""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest

from irl_vla.cli.navsim import reactive_traffic, score_navsim
from irl_vla.navsim import evaluation
from irl_vla.navsim.dataset import Dataset
from irl_vla.navsim.preparation import Preparation
from irl_vla.types import F64, InputError
from irl_vla.unpickle import load_pickle


@pytest.fixture(autouse=True)
def standing_reference(monkeypatch: pytest.MonkeyPatch) -> None:
    def stand(prepared: Preparation) -> F64:
        return np.tile(prepared.window.now.pose, (51, 1))

    monkeypatch.setattr(evaluation, "reference_plan", stand)


def test_scenes_that_fail_are_skipped_with_the_reason_and_the_rest_is_scored(
    own_copy: Path, tmp_path: Path
) -> None:
    path = next((own_copy / "navsim_logs/test").glob("*00439*.pkl"))
    frames = load_pickle(path, "log")
    for frame in frames[: len(frames) // 2]:
        del frame["anns"]
    path.write_bytes(pickle.dumps(frames))
    code = score_navsim(own_copy, "syn_test", "human", tmp_path / "out", cache=None)
    assert code == 4
    skipped = (tmp_path / "out" / "skipped.csv").read_text()
    rows = (tmp_path / "out" / "scores.csv").read_text().splitlines()
    assert "no annotations" in skipped and "average_all_frames" in rows[-1]
    assert len(rows) - 2 + skipped.count("annotations") == 22
    page = (tmp_path / "out" / "scores.html").read_text()
    assert "Excluded from the means" in page and "not" in page


def test_a_split_of_which_nothing_can_be_scored_is_an_error_with_the_reason(
    own_copy: Path, tmp_path: Path
) -> None:
    for path in (own_copy / "maps").rglob("map.gpkg"):
        path.unlink()
    with pytest.raises(InputError, match=r"map\.gpkg"):
        score_navsim(own_copy, "syn_test", "human", tmp_path / "out", cache=tmp_path / "cache")
    assert (tmp_path / "out" / "skipped.csv").read_text().count("map.gpkg") == 22


def test_wrong_agents_and_traffic_are_refused_before_any_work(
    dataset: Dataset, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match="no folder"):
        score_navsim(dataset.root, "syn_test", "bundle:nowhere", tmp_path, cache=None)
    with pytest.raises(InputError, match="log_replay or reactive"):
        reactive_traffic("idm", False)
    assert reactive_traffic(None, True) and not reactive_traffic(None, False)
