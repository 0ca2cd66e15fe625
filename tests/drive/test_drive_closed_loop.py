"""The closed loop: whoever is at the wheel, the same seed gives the same drive."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

from irl_vla.camera.rig import load_rig
from irl_vla.drive.assemble import policy_stack_from_bundle
from irl_vla.drive.closed_loop import ClosedLoop, Tick, driven, follow
from irl_vla.drive.core import CoreConfig, DrivingCore
from irl_vla.drive.fallback import unchecked_stop
from irl_vla.engine.bundle import load_bundle
from irl_vla.scoring.scene import VX
from irl_vla.types import U8, InputError, Plan, Refusal, RefusalReason, Trajectory
from irl_vla.vehicle import PACIFICA, Vehicle
from irl_vla.world.build import EpisodeRequest, episode_of, simulation_of
from irl_vla.world.episode import WorldState
from irl_vla.world.recorded.driver import driven_m, recorded_simulation
from irl_vla.world.route_monitor import WATCHED_S, Ending
from irl_vla.world.routes import RoutePath

ROOT = Path(__file__).parents[2]


class Grey:
    """Pictures for policies that look at nothing: small grey pictures."""

    def __init__(self, names: tuple[str, ...]) -> None:
        self.names = names

    def __call__(self, moment: WorldState) -> Mapping[str, U8]:
        return {name: np.full((360, 640, 3), 128, np.uint8) for name in self.names}


def loop_of(seed: int, route_m: float | None = 60.0, painted: bool = True) -> ClosedLoop:
    rig = load_rig(ROOT / "calibration/rigs/tiny3.yaml")
    stack = policy_stack_from_bundle(load_bundle(ROOT / "models/rule"))
    simulation = simulation_of(seed)
    assert simulation.driver is not None
    path = RoutePath.of(simulation.town, simulation.driver.route)
    core = DrivingCore(stack, rig, CoreConfig(seed=seed, pictures=painted))
    return ClosedLoop(simulation, path, core, Grey(rig.names) if painted else None, route_m)


@pytest.fixture(scope="module")
def drive() -> tuple[ClosedLoop, list[Tick]]:
    loop = loop_of(3)
    return loop, list(loop.ticks())


def test_the_expert_drives_first_and_the_policy_watches(
    drive: tuple[ClosedLoop, list[Tick]],
) -> None:
    _, ticks = drive
    watched = [tick.driving for tick in ticks].index(True)
    assert watched == round(WATCHED_S * 10)
    alone = simulation_of(3)
    for tick in ticks[: watched + 1]:
        assert np.array_equal(tick.moment.ego, alone.moment.ego)
        alone.step()


def test_a_drive_ends_with_a_reason_and_is_an_episode(
    drive: tuple[ClosedLoop, list[Tick]],
) -> None:
    loop, ticks = drive
    assert loop.ending in (Ending.ROUTE_COMPLETED, Ending.COLLISION)
    episode = loop.episode(3)
    assert len(episode) == len(ticks) and episode.driver == loop.core.stack.bundle_id
    assert np.array_equal(episode.ego[-1], ticks[-1].moment.ego)


def test_the_car_goes_where_the_plan_says(drive: tuple[ClosedLoop, list[Tick]]) -> None:
    _, ticks = drive
    for now, later in zip(ticks[20:-5:5], ticks[25::5], strict=False):
        if isinstance(now.step.outcome, Plan):
            x, y, _ = now.step.outcome.trajectory.poses[0]
            gone = np.hypot(*(later.moment.ego[:2] - now.moment.ego[:2]))
            assert abs(gone - np.hypot(x, y)) < 0.3


def test_the_same_seed_gives_the_same_drive(drive: tuple[ClosedLoop, list[Tick]]) -> None:
    again = loop_of(3)
    egos = np.array([tick.moment.ego for tick in again.ticks()])
    assert egos.tobytes() == np.array([tick.moment.ego for tick in drive[1]]).tobytes()


def test_a_policy_without_eyes_drives_the_same_without_pictures(
    drive: tuple[ClosedLoop, list[Tick]],
) -> None:
    unpainted = loop_of(3, painted=False)
    egos = np.array([tick.moment.ego for tick in unpainted.ticks()])
    assert egos.tobytes() == np.array([tick.moment.ego for tick in drive[1]]).tobytes()


def test_a_route_longer_than_the_way_is_refused() -> None:
    with pytest.raises(InputError, match="ask for a shorter one"):
        loop_of(3, 1e6)


def test_without_a_plan_the_car_brakes_straight_ahead_to_a_halt() -> None:
    ego = np.zeros(11)
    ego[VX] = 5.0
    for _ in range(40):
        ego = follow(None, ego, Vehicle())
    assert ego[VX] < 0.25 and abs(ego[1]) < 1e-9 and 5.0 <= ego[0] < 7.5


def test_a_standing_car_does_not_creep_backwards() -> None:
    ego = np.zeros(11)
    back = Trajectory(np.column_stack([-0.5 * np.arange(1, 9), np.zeros(8), np.zeros(8)]), 0.5)
    assert follow(back, ego, Vehicle())[0] == 0.0


def test_a_refusal_is_driven_as_its_fallback() -> None:
    stop = unchecked_stop(np.zeros((1, 3)), 5.0, PACIFICA)
    assert driven(Refusal(0, RefusalReason.NO_IMAGES, "", stop)) is stop.trajectory
    assert driven(Refusal(0, RefusalReason.NO_EGO_MOTION, "")) is None


def test_a_drive_in_a_recording_ends_where_the_recording_does() -> None:
    episode = episode_of(3, EpisodeRequest(steps=41))
    simulation = recorded_simulation(episode)
    rig = load_rig(ROOT / "calibration/rigs/tiny3.yaml")
    stack = policy_stack_from_bundle(load_bundle(ROOT / "models/rule"))
    core = DrivingCore(stack, rig, CoreConfig(pictures=False))
    loop = ClosedLoop(simulation, RoutePath.of(episode.town, episode.route), core, None)
    ticks = list(loop.ticks())
    assert loop.ending is Ending.RECORDING_OVER and len(ticks) == len(episode)
    assert driven_m(episode) == pytest.approx(
        float(np.hypot(*np.diff(episode.ego[:, :2], axis=0).T).sum()), abs=0.5
    )
