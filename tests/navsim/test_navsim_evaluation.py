"""A split from files to rows: workers agree, caches agree, failures are named and never zeros.

The reference plan is replaced by the human's own way, so that these facts do not wait for it.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from irl_vla.navsim import evaluation
from irl_vla.navsim.agents import agent_of
from irl_vla.navsim.dataset import Dataset, index_split
from irl_vla.navsim.evaluation import Evaluator, Scored, Skipped, score_tokens
from irl_vla.navsim.jobs import ScoringJob, in_order, run, scored_tokens, units
from irl_vla.navsim.preparation import Preparation
from irl_vla.types import F64, InputError


@pytest.fixture(autouse=True)
def standing_reference(monkeypatch: pytest.MonkeyPatch) -> None:
    def stand(prepared: Preparation) -> F64:
        return np.tile(prepared.window.now.pose, (51, 1))

    monkeypatch.setattr(evaluation, "reference_plan", stand)


def outcomes(plan: ScoringJob, jobs: int = 1) -> tuple[list[Scored], list[Skipped]]:
    return in_order(plan.index, run(plan, jobs))


def test_two_processes_and_a_warm_cache_give_the_numbers_of_one_process(
    dataset: Dataset, tmp_path: Path
) -> None:
    index = index_split(dataset, dataset.split("syn_test"))
    plan = ScoringJob(index=index, agent="constant_velocity", reactive=False)
    cached = ScoringJob(index=index, agent="constant_velocity", reactive=False, cache=tmp_path)
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
    plan = ScoringJob(index=index, agent="human", reactive=False, cache=tmp_path)
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


def test_every_result_says_which_stage_its_scene_is_of(dataset: Dataset) -> None:
    index = index_split(dataset, dataset.split("syn_two_stage"))
    logged = next(token for token, place in index.places.items() if place.first is not None)
    later, driver = index.follow_ups[0], agent_of("constant_velocity")
    result = score_tokens(Evaluator(index), driver, False, [logged, later])
    said = {r.token: r.is_follow_up for r in result if isinstance(r, Scored)}
    assert said == {logged: False, later: True}


def test_an_unknown_agent_is_refused_with_the_names_there_are() -> None:
    with pytest.raises(InputError, match="constant_velocity, human, pdm_closed, bundle:DIR"):
        agent_of("constant_speed")


def test_ray_is_asked_for_where_it_is_missing(
    dataset: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "ray", None)
    plan = ScoringJob(
        index=index_split(dataset, dataset.split("syn_routes")), agent="human", reactive=False
    )
    with pytest.raises(InputError, match=r"pip install 'irl-vla\[ray\]'"):
        list(run(plan, 1, "auto"))
