"""The world's truth as perception: what is there is seen, where it is in the ego's frame."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from irl_vla.camera.preprocess import CalibratedImages
from irl_vla.camera.rig import load_rig
from irl_vla.drive.checks import surroundings
from irl_vla.drive.perception_model import NullPerception, PerceptionContext
from irl_vla.evaluation.truth_perception import (
    RED_LINE,
    STOP_LINE,
    TRUTH_AREA,
    TRUTH_ELEMENTS,
    TruthPerception,
)
from irl_vla.perception.classes import CLASSES
from irl_vla.perception.preset import SEG_CLASSES
from irl_vla.resources import resource
from irl_vla.types import EgoStatus, Intent, SceneTokens
from irl_vla.vehicle import PACIFICA
from irl_vla.world.build import EpisodeRequest, episode_of
from irl_vla.world.episode import Episode
from irl_vla.world.simulated_sensors import stamp_of, truth
from irl_vla.world.town import NONE, Light

ROAD = SEG_CLASSES.index("road")


@pytest.fixture(scope="module")
def episode() -> Episode:
    return episode_of(3, EpisodeRequest(steps=201))


def seen(episode: Episode, step: int, perception: TruthPerception | None = None) -> SceneTokens:
    camera = load_rig(resource("calibration/rigs/tiny3.yaml")).cameras[:1]
    images = CalibratedImages(np.zeros((1, 3, 8, 8), np.float32), np.ones(1, bool), camera)
    stamp = stamp_of(episode.moment(step))
    ego = EgoStatus(stamp, np.zeros(2), np.zeros(2), 0.0, valid=True, source="")
    perception = perception or TruthPerception.of(episode)
    return perception.perceive(images, PerceptionContext(stamp, 0, ego, Intent()))


@pytest.mark.parametrize("step", [0, 100, 200])
def test_the_agents_are_those_of_the_truth_nearest_first(episode: Episode, step: int) -> None:
    tokens = seen(episode, step)
    boxes = truth(episode.moment(step), episode.actors)
    area = TRUTH_AREA
    there = [
        row for row in boxes.centers
        if area.x[0] <= row[0] < area.x[1] and area.y[0] <= row[1] < area.y[1]
    ]  # fmt: skip
    count = min(30, len(there))
    assert count > 3 and tokens.agent_valid.sum() == count and tokens.agent_valid[:count].all()
    assert tokens.boxes[:count, :3] == pytest.approx(np.array(there)[:count], abs=0.05)
    assert (tokens.boxes[:count, 9] == 1.0).all() and not tokens.boxes[count:].any()


def test_the_ego_stands_on_road_and_the_road_has_an_end(episode: Episode) -> None:
    for step in range(0, 201, 20):
        tokens = seen(episode, step)
        around = surroundings(tokens, TRUTH_AREA, CLASSES, PACIFICA, 0.7)
        assert around.undrivable.size, "the ground under the ego is recognised"
        assert 0.1 < tokens.seg[ROAD].mean() < 0.9
        assert (tokens.seg[[0, ROAD]].sum(axis=0) == 1.0).all()


def test_the_way_that_was_driven_lies_on_the_road_that_is_seen(episode: Episode) -> None:
    tokens, ego = seen(episode, 100), episode.ego
    x, y, yaw = ego[100, :3]
    turn = np.array([[np.cos(yaw), np.sin(yaw)], [-np.sin(yaw), np.cos(yaw)]])
    way = (ego[60:141, :2] - [x, y]) @ turn.T
    cells = np.floor((way - [TRUTH_AREA.x[0], TRUTH_AREA.y[0]]) / 0.5).astype(int)
    inside = ((cells >= 0) & (cells < TRUTH_AREA.cells)).all(axis=1)
    assert inside.sum() > 20
    assert tokens.seg[ROAD][cells[inside, 0], cells[inside, 1]].mean() > 0.97


def test_a_stop_line_is_red_exactly_while_its_light_is(episode: Episode) -> None:
    lit = [lane for lane in episode.town.lanes if lane.signal != NONE]
    assert lit, "a town with lights"
    moment = episode.moment(0)
    ego = moment.ego.copy()
    x, y, yaw = lit[0].centre[0]
    ego[:3] = [x - 10.0 * np.cos(yaw), y - 10.0 * np.sin(yaw), yaw]
    for light, kind in [(Light.RED, RED_LINE), (Light.GREEN, STOP_LINE), (Light.OFF, STOP_LINE)]:
        lights = np.full_like(moment.lights, light)
        state = replace(moment, ego=ego, lights=lights)
        perception = TruthPerception(episode.town, episode.actors, lambda _, s=state: s)
        tokens = seen(episode, 0, perception)
        ahead = (np.abs(tokens.polylines[..., 0] - 10.0) < 0.1).all(axis=1)
        across = ahead & (np.abs(tokens.polylines.mean(axis=1)[:, 1]) < 0.1) & tokens.map_valid
        assert kind in tokens.map_class[across]
        assert (kind == RED_LINE) == (RED_LINE in tokens.map_class[tokens.map_valid])
        assert tokens.closed is not None and tokens.closed.any() == (light == Light.RED)
        if light == Light.RED:
            shut = np.argwhere(tokens.closed[0]) * 0.5 + [TRUTH_AREA.x[0], TRUTH_AREA.y[0]]
            before = (shut[:, 0] < 9.0) & (np.abs(shut[:, 1]) < 1.0)
            assert (shut[:, 0] > 10.0).any() and not before.any(), "closed begins at the stop line"


def test_what_networks_read_stays_the_wrapped_perception_s(episode: Episode) -> None:
    class Seer(NullPerception):
        def perceive(self, images: CalibratedImages, moment: PerceptionContext) -> SceneTokens:
            blind = super().perceive(images, moment)
            return replace(blind, bev=np.ones((2, 4, 4), np.float16), memory_stamp_ns=7)

    tokens = seen(episode, 0, TruthPerception.of(episode, Seer(), elements=12))
    assert tokens.bev.all() and tokens.memory_stamp_ns == 7
    assert tokens.polylines.shape == (12, 20, 2) and len(tokens.map_valid) == 12
    assert seen(episode, 0).polylines.shape == (TRUTH_ELEMENTS, 20, 2)
