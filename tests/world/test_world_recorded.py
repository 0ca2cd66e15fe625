"""Recordings as worlds: replayed with their own ego, and driven by somebody else."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import shapely

from irl_vla.scoring.scene import VX
from irl_vla.world.driver.expert import Expert
from irl_vla.world.episode import Episode
from irl_vla.world.recorded.commonroad import load_commonroad
from irl_vla.world.recorded.scenarionet import load_scenario
from irl_vla.world.replayed_traffic import ReplayedTraffic
from irl_vla.world.simulation import Simulation, record
from irl_vla.world.traffic.traffic import Traffic

SHARED = Path(__file__).parents[2] / ".." / "shared" / "scenarios"
FILES = (
    "scenarionet/nuscenes_2_1.pkl", "scenarionet/sd_nuscenes_v1.0-mini_scene-0061.pkl",
    "scenarionet/sd_nuscenes_v1.0-mini_scene-0103.pkl",
    "scenarionet/sd_nuscenes_v1.0-mini_scene-0553.pkl",
    "scenarionet/sd_nuscenes_v1.0-mini_scene-0655.pkl",
    "commonroad/USA_Lanker-1_1_T-1.xml", "commonroad/USA_US101-3_3_T-1.xml",
)  # fmt: skip


@pytest.fixture(params=FILES)
def episode(request: pytest.FixtureRequest) -> Episode:
    path = SHARED / request.param
    if not path.is_file():
        pytest.skip(f"no recording at {path}")
    return load_scenario(path) if path.suffix == ".pkl" else load_commonroad(path)


def test_a_recording_replayed_with_its_own_ego_is_the_same_episode(episode: Episode) -> None:
    simulation = Simulation(episode.town, ReplayedTraffic(episode), None, episode.ego[0])
    for step in range(1, len(episode)):
        now, then = simulation.step(episode.ego[step]), episode.moment(step)
        assert np.array_equal(now.states, then.states, equal_nan=True)
        assert np.array_equal(now.present, then.present)
        assert np.array_equal(now.lights, then.lights)
        assert now.time_s == then.time_s


@pytest.mark.parametrize("reactive", [False, True])
def test_an_expert_drives_a_recorded_town_and_stays_on_the_road(
    episode: Episode, reactive: bool
) -> None:
    town, start = episode.town, episode.ego[0]
    driver = Expert(town, episode.route, seed=1)
    others = (
        Traffic(town, 1, start[:3], float(start[VX]), episode.route)
        if reactive
        else ReplayedTraffic(episode)
    )
    driven = record(
        Simulation(town, others, driver, start), 1, episode.vehicle, min(len(episode), 80)
    )
    rings = [shapely.Polygon(town.drivable.ring(i)) for i in range(len(town.drivable))]
    assert shapely.contains_xy(shapely.union_all(rings), driven.ego[:, :2]).all()
    steps = np.hypot(*np.diff(driven.ego[:, :2], axis=0).T)
    assert steps.max() < 2.5 and np.isfinite(driven.ego).all()
