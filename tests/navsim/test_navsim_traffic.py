"""Reactive traffic in a log where a merging car ends up close behind the ego: what it does depends
on millimetres of the ego's way."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from dump_scores import idm_values, traffic_of_reference

from irl_vla.frames import wrap_angle
from irl_vla.navsim.dataset import Dataset, index_split
from irl_vla.navsim.evaluation import Evaluator
from irl_vla.navsim.filters import NavsimSplit, SceneFilter
from irl_vla.navsim.preparation import prepare
from irl_vla.navsim.scoring_scene import scoring_scene
from irl_vla.navsim.worlds import reference_plan
from irl_vla.scoring.prepare import prepare as prepare_scoring

CASE = Path(__file__).parents[2] / ".." / "shared" / "navsim" / "idm_case"


def agree(found: dict[str, Any], expected: dict[str, Any]) -> None:
    assert set(found) == set(expected)
    for name, track in expected.items():
        assert found[name]["steps"] == track["steps"]
        difference = np.array(found[name]["states_every_10"]) - track["states_every_10"]
        difference[:, 2] = wrap_angle(difference[:, 2])
        np.testing.assert_allclose(difference, 0.0, atol=1e-6, err_msg=name)


@pytest.mark.skipif(not CASE.is_dir(), reason=f"no log with close traffic at {CASE}")
def test_traffic_that_answers_the_reference_is_that_of_the_original() -> None:
    with gzip.open(CASE / "expected_idm.json.gz", "rt") as file:
        expected = json.load(file)
    chosen = SceneFilter(num_future_frames=8, frame_interval=1, tokens=tuple(expected))
    evaluator = Evaluator(index_split(Dataset(CASE), NavsimSplit("close_traffic", "test", chosen)))
    for token, values in expected.items():
        window = evaluator.index.window(token)
        prepared = prepare(window, evaluator.city(window.metadata.map_name))
        plan = reference_plan(prepared)
        np.testing.assert_allclose(plan, np.array(values["pdm_closed"])[:, 1:4], atol=1e-6)
        world = prepare_scoring(scoring_scene(prepared, plan))
        agree(
            idm_values(traffic_of_reference(world, prepared)), values["idm_tracks_with_pdm_closed"]
        )
