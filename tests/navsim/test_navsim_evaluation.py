"""A split from files to rows: workers agree, caches agree, failures are named and never zeros.

The reference plan is replaced by the human's own way, so that these facts do not wait for it.
"""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest

from irl_vla.cli.navsim import reactive_traffic, score_navsim
from irl_vla.data.navsim import evaluation
from irl_vla.data.navsim.agents import agent_of
from irl_vla.data.navsim.dataset import Dataset, index_split
from irl_vla.data.navsim.evaluation import Evaluator, Scored, Skipped, score_tokens
from irl_vla.data.navsim.jobs import Plan, in_order, run, scored_tokens, units
from irl_vla.data.navsim.preparation import Preparation
from irl_vla.types import F64, InputError
from irl_vla.unpickle import load_pickle


@pytest.fixture(autouse=True)
def standing_reference(monkeypatch: pytest.MonkeyPatch) -> None:
    def stand(prepared: Preparation) -> F64:
        return np.tile(prepared.window.now.pose, (51, 1))

    monkeypatch.setattr(evaluation, "reference_plan", stand)


def outcomes(plan: Plan, jobs: int = 1) -> tuple[list[Scored], list[Skipped]]:
    return in_order(plan.index, run(plan, jobs))


def test_two_processes_and_a_warm_cache_give_the_numbers_of_one_process(
    dataset: Dataset, tmp_path: Path
) -> None:
    index = index_split(dataset, dataset.split("syn_test"))
    plan = Plan(index=index, agent="constant_velocity", reactive=False)
    cached = Plan(index=index, agent="constant_velocity", reactive=False, cache=tmp_path)
    runs = [outcomes(plan), outcomes(plan, jobs=2), outcomes(cached, jobs=2), outcomes(cached)]
    for scored, skipped in runs:
        assert not skipped and len(scored) == len(index.places)
        assert [s.filtered for s in scored] == [s.filtered for s in runs[0][0]]
        assert [s.token for s in scored] == scored_tokens(index)
    assert list((tmp_path / "scenes").rglob("*.arrow"))


def test_a_warm_cache_is_scored_without_preparing_anything(
    dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    index = index_split(dataset, dataset.split("syn_routes"))
    plan = Plan(index=index, agent="human", reactive=False, cache=tmp_path)
    first = outcomes(plan)
    monkeypatch.setattr(evaluation, "prepare", None)
    again = outcomes(plan)
    assert len(again[0]) == len(first[0]) > 0 and not again[1]


def test_units_hold_scenes_of_one_log_and_miss_none(dataset: Dataset) -> None:
    index = index_split(dataset, dataset.split("syn_two_stage"))
    work = units(index, scored_tokens(index))
    assert sorted(token for unit in work for token in unit) == sorted(index.places)
    assert all(len({index.places[token].log_name for token in unit}) == 1 for unit in work)


def test_the_human_has_no_plan_for_follow_ups(dataset: Dataset) -> None:
    index = index_split(dataset, dataset.split("syn_two_stage"))
    result = score_tokens(Evaluator(index), agent_of("human"), False, index.follow_ups[:2])
    assert all(isinstance(r, Skipped) and "no human driver" in r.reason for r in result)


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
    assert "In no mean" in page and "not" in page


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
    with pytest.raises(InputError, match="constant_velocity, human, pdm_closed, bundle:DIR"):
        agent_of("constant_speed")
    with pytest.raises(InputError, match="no folder"):
        score_navsim(dataset.root, "syn_test", "bundle:nowhere", tmp_path, cache=None)
    with pytest.raises(InputError, match="log_replay or reactive"):
        reactive_traffic("idm", False)
    assert reactive_traffic(None, True) and not reactive_traffic(None, False)


def test_ray_is_asked_for_where_it_is_missing(
    dataset: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "ray", None)
    plan = Plan(
        index=index_split(dataset, dataset.split("syn_routes")), agent="human", reactive=False
    )
    with pytest.raises(InputError, match=r"pip install 'irl-vla\[ray\]'"):
        list(run(plan, 1, "auto"))
