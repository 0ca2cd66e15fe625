"""Scenes of an episode: what they hold, and that leaving out what is far away changes nothing."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from irl_vla.scoring.epdms import score
from irl_vla.scoring.prepare import prepare
from irl_vla.scoring.scene import AREA_KINDS, Areas
from irl_vla.scoring.scene_io import read_scenes, write_scenes
from irl_vla.types import InputError
from irl_vla.world.benchmark.scenes import BEFORE, FIRST, Cutter, TownAreas, scene_at
from irl_vla.world.benchmark.splits import CANDIDATES
from irl_vla.world.episode import Episode


def plans_about(cutter: Cutter, step: int) -> np.ndarray:
    """(n, 8, 3) the driver's plan, drifting to either side, slower and faster."""
    driven = cutter.driven(step)
    t = np.linspace(0.0, 1.0, 8)
    aside = np.zeros((8, 3))
    aside[:, 1] = t * t
    return np.stack([driven, driven + 4 * aside, driven - 4 * aside, 0.4 * driven, 1.6 * driven])


def test_a_scene_has_a_past_at_two_hertz_and_a_future_of_four_seconds(cutter: Cutter) -> None:
    scene = cutter.scene(60)
    assert scene.ego.history_us.tolist() == [-1_500_000, -1_000_000, -500_000, 0]
    assert np.array_equal(scene.ego.history[-1], scene.ego.initial)
    assert scene.agents.states.shape[1:] == (41, 5)
    assert scene.human is not None and scene.human.poses.shape == (8, 3)
    assert scene.previous is not None and scene.previous.dt_us == 500_000
    assert set(scene.areas.kinds) >= {AREA_KINDS.index("lane"), AREA_KINDS.index("drivable_area")}


def test_the_previous_frame_of_a_scene_is_the_scene_half_a_second_before(cutter: Cutter) -> None:
    now, before = cutter.scene(60), cutter.scene(60 - BEFORE)
    assert now.previous is not None and before.human is not None
    assert np.array_equal(now.previous.initial, before.ego.initial)
    assert np.array_equal(now.previous.trajectories[0], before.human.poses)


class Everything(TownAreas):
    """Ground that leaves nothing out."""

    def near(self, place: np.ndarray, reach: float) -> list[int]:
        return list(range(len(self.ids)))


def test_leaving_out_what_is_far_away_changes_no_score(cutter: Cutter, episode: Episode) -> None:
    ground = cutter.ground
    whole = Cutter(episode, Everything(**vars(ground)))
    for step in CANDIDATES[::9]:
        plans = plans_about(cutter, step)
        near, all_of_it = cutter.prepared(step), whole.prepared(step)
        assert len(near.scene.areas) < len(all_of_it.scene.areas)
        assert np.array_equal(score(near, plans).epdms_raw, score(all_of_it, plans).epdms_raw)


def test_a_written_scene_scores_like_the_one_in_memory(cutter: Cutter, tmp_path: Path) -> None:
    scene, plans = cutter.scene(90), plans_about(cutter, 90)
    write_scenes(tmp_path / "scene.json.gz", [scene])
    again = read_scenes(tmp_path / "scene.json.gz")[0]
    assert np.array_equal(score(scene, plans).epdms, score(again, plans).epdms)


def test_the_prepared_scene_is_the_scene_prepared(cutter: Cutter) -> None:
    plans = plans_about(cutter, 90)
    there, anew = cutter.prepared(90), prepare(cutter.scene(90))
    assert np.array_equal(score(there, plans).epdms, score(anew, plans).epdms)


def test_other_plans_lose_what_the_drivers_keeps(cutter: Cutter) -> None:
    for step in CANDIDATES[::3]:
        found = score(cutter.prepared(step), plans_about(cutter, step))
        assert found.epdms_raw[0] >= found.epdms_raw[1:3].max() - 0.25


def test_blocks_of_parallel_lanes_are_roadblocks(cutter: Cutter) -> None:
    areas: Areas = cutter.scene(60).areas
    blocks = areas.kinds == AREA_KINDS.index("roadblock")
    assert blocks.any() and not areas.on_route[blocks].any()


@pytest.mark.parametrize("step", [FIRST - 1, 10_000])
def test_an_instant_without_past_or_future_is_refused(episode: Episode, step: int) -> None:
    with pytest.raises(InputError, match="expected 20 to"):
        scene_at(episode, step)
