"""Plans, fallbacks and refusals of a core whose perception is told what there is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np
import pytest
from guard_scenes import AREA, driven, rows, tokens_of

from irl_vla.camera.preprocess import CalibratedImages, ImageSpec
from irl_vla.camera.projection import BevGrid
from irl_vla.camera.rig import Rig, load_rig
from irl_vla.drive.core import CoreConfig, DrivingCore
from irl_vla.drive.guard import GuardConfig
from irl_vla.drive.perception_model import PerceptionContext
from irl_vla.drive.stack import PolicyStack
from irl_vla.drive.step import Step
from irl_vla.frames import rigid_from_pose
from irl_vla.resources import resource
from irl_vla.types import (
    F64,
    SECOND_NS,
    CameraImage,
    Candidates,
    Command,
    EgoMotion,
    EgoStatus,
    FrameSet,
    Intent,
    Plan,
    PlanReason,
    Refusal,
    RefusalReason,
    SceneTokens,
    StopReason,
)
from irl_vla.vehicle import Limits, Vehicle

FRONT = load_rig(resource("calibration/rigs/tiny3.yaml")).camera("front")
PICTURE = CameraImage("front", 0, pixels=np.zeros((360, 640, 3), np.uint8))
SPEED = 10.0
MS = 1_000_000


@dataclass
class Script:
    """Perception and policy that do as they are told. agents: time [s] -> world boxes (n, 10) of a
    world where the ego drives along x"""

    agents: Callable[[float], F64]
    poses: F64 = field(default_factory=lambda: driven(SPEED)[None])
    image: ImageSpec = field(default_factory=lambda: ImageSpec(width=32, height=16))
    area: BevGrid | None = AREA

    def perceive(self, images: CalibratedImages, moment: PerceptionContext) -> SceneTokens:
        boxes = self.agents(moment.stamp_ns / SECOND_NS).copy()
        boxes[:, 0] -= SPEED * moment.stamp_ns / SECOND_NS
        return tokens_of(boxes, stamp_ns=moment.stamp_ns)

    def propose(
        self, tokens: SceneTokens, command: Command, ego: EgoStatus, intent: Intent, seed: int
    ) -> Candidates:
        return Candidates(self.poses, np.ones(len(self.poses)))


def core_of(script: Script, **settings: object) -> DrivingCore:
    rig = Rig("one", (FRONT,))
    return DrivingCore(PolicyStack(script, script, "x"), rig, CoreConfig(**settings))  # type: ignore[arg-type]


def move_on(core: DrivingCore, until_s: float, jump_m: float = 0.0) -> None:
    """Odometry at 20 Hz along x."""
    for tick in range(round(until_s * 20) + 1):
        pose = rigid_from_pose((SPEED * tick / 20 + jump_m, 0.0, 0.0))
        core.add_motion(EgoMotion(tick * 50 * MS, pose, np.array([SPEED, 0.0, 0.0]), "/odom"))


def step(core: DrivingCore, time_s: float, pictures: bool = True) -> Step:
    move_on(core, time_s)
    stamp = round(time_s * SECOND_NS)
    images = {"front": PICTURE} if pictures else {}
    return core.step(FrameSet(stamp, images, {} if pictures else {"front": "stopped"}), stamp)


def plan(core: DrivingCore, time_s: float) -> Plan:
    outcome = step(core, time_s).outcome
    assert isinstance(outcome, Plan)
    return outcome


def at(x: float, score: float = 0.9, speed: float = 0.0) -> Callable[[float], F64]:
    """A car whose middle is x ahead of where the ego begins."""
    return lambda t: rows((x + speed * t, 0.0, speed, 0.0, 0.0, score))


def late_braking() -> F64:
    """(8, 3) keeps 10 m/s for a second, then brakes with 6 m/s^2: 18.5 m."""
    poses = np.zeros((8, 3))
    poses[:, 0] = 0.5 * np.cumsum([10.0, 10.0, 8.5, 5.5, 2.5, 0.4, 0.0, 0.0])
    return poses


def nobody(t: float) -> F64:
    return rows()


def test_a_car_12_m_ahead_refuses_every_candidate_and_is_braked_for() -> None:
    """The rear end of a standing car 12 m ahead of the rear axle, 10 m/s: the comfortable stop
    would hit it after 1.5 s."""
    found = plan(core_of(Script(at(14.0))), 0.0)
    assert found.chosen is None and found.rejected[0].reason == "collision"
    assert found.reason is PlanReason.EMERGENCY_STOP and found.fallback.braking == 6.5
    assert found.trajectory is found.fallback.trajectory
    assert found.trajectory.poses[-1, 0] + 4.049 < 12.0


def test_a_ghost_is_braked_for_comfortably_until_it_is_seen_again() -> None:
    core = core_of(Script(at(24.0, score=0.4)))
    first, second = plan(core, 0.0), plan(core, 0.1)
    assert first.reason is PlanReason.COMFORTABLE_STOP and first.fallback.braking == 2.5
    assert "seen once and not sure" in first.detail
    assert second.reason is PlanReason.EMERGENCY_STOP


def test_a_ghost_that_jumps_stays_a_ghost() -> None:
    core = core_of(Script(lambda t: rows((24.0 + 25.0 * t, 0.0, 0.0, 0.0, 0.0, 0.4))))
    for tick in range(3):
        assert plan(core, 0.1 * tick).fallback.braking == 2.5, tick


def test_a_moving_agent_is_expected_where_its_velocity_leads() -> None:
    core = core_of(Script(at(15.0, score=0.4, speed=4.0)))
    plan(core, 0.0)
    assert plan(core, 0.9).reason is PlanReason.EMERGENCY_STOP
    core = core_of(Script(at(15.0, score=0.4, speed=4.0)))
    plan(core, 0.0)
    assert plan(core, 1.1).fallback.braking == 2.5, "a second ago at most"


def test_the_score_that_is_sure_is_configured() -> None:
    script = Script(at(14.0, score=0.5))
    assert plan(core_of(script), 0.0).fallback.braking == 2.5
    config = GuardConfig(sure_score=0.45)
    assert plan(core_of(script, guard=config), 0.0).fallback.braking == 6.5


def test_a_plan_that_drives_carries_a_fallback_for_the_whole_silence() -> None:
    """21 m of room, 10 m/s: 2.5 m/s^2 need 20 m; begun half a second later 16 m are left."""
    script = Script(at(27.1), poses=late_braking()[None])
    for until_s, braking in [(1e-12, 2.5), (0.5, 3.5)]:
        found = plan(core_of(script, guard=GuardConfig(fallback_until_s=until_s)), 0.0)
        assert found.chosen == 0 and found.reason is PlanReason.BEST_CANDIDATE
        assert found.schedule.fallback_until_s == until_s
        assert found.fallback.braking == braking
    np.testing.assert_array_equal(found.fallback.path[1:], found.trajectory.poses)
    assert not found.fallback.path[0].any()


def test_a_followed_schedule_says_when_its_fallback_began_at_the_latest() -> None:
    script = Script(at(27.1), poses=late_braking()[None])
    car = plan(core_of(script, guard=GuardConfig(fallback_until_s=0.9)), 0.0)
    desk = core_of(script)
    move_on(desk, 0.0)
    followed = desk.step(FrameSet(0, {"front": PICTURE}), 0, follow=car.schedule).outcome
    assert isinstance(followed, Plan) and followed.schedule == car.schedule
    assert followed.fallback.braking == car.fallback.braking == 4.0
    np.testing.assert_array_equal(followed.fallback.trajectory.poses, car.fallback.trajectory.poses)


def test_a_stop_goes_along_the_last_good_path_for_two_seconds() -> None:
    """The plan bends to the left; then everything is refused."""
    bend = driven(SPEED, 0.0, 0.03)
    for later_s, follows in [(1.9, True), (2.1, False)]:
        script = Script(nobody, poses=bend[None])
        core = core_of(script)
        plan(core, 0.0)
        script.poses = np.full((1, 8, 3), 50.0)
        found = plan(core, later_s)
        assert found.chosen is None and found.reason is PlanReason.COMFORTABLE_STOP
        assert (found.trajectory.poses[-1, 1] > 1.0) == follows


def test_without_tokens_the_stop_is_checked_against_what_was_seen_last_moved_on() -> None:
    """At 0 s a car stands 45 m ahead; at 0.9 s the cameras are gone and it is 36 m ahead: 16 m of
    room less than needed. A car that drives ahead of it has gone on by then."""
    core = core_of(Script(at(29.0 + 2.0), poses=driven(SPEED, -2.4)[None]))
    plan(core, 0.0)
    dead = step(core, 0.9, pictures=False).outcome
    assert isinstance(dead, Refusal) and dead.reason is RefusalReason.NO_IMAGES
    assert dead.fallback is not None and dead.fallback.reason is StopReason.EMERGENCY_STOP
    assert dead.fallback.braking == 3.5  # 29 - 9 - 4.05 m = 15.95 m: 3.13 m/s^2
    leading = core_of(Script(at(15.0, speed=9.0)))
    plan(leading, 0.0)
    dead = step(leading, 0.9, pictures=False).outcome
    assert isinstance(dead, Refusal) and dead.fallback is not None
    assert dead.fallback.reason is StopReason.COMFORTABLE_STOP


@pytest.mark.parametrize(("later_s", "checked"), [(1.0, True), (1.05, False)])
def test_after_more_than_a_second_the_stop_is_unchecked(later_s: float, checked: bool) -> None:
    core = core_of(Script(at(31.0), poses=driven(SPEED, -2.4)[None]))
    plan(core, 0.0)
    dead = step(core, later_s, pictures=False).outcome
    assert isinstance(dead, Refusal) and dead.fallback is not None
    reason = StopReason.EMERGENCY_STOP if checked else StopReason.UNCHECKED_STOP
    assert dead.fallback.reason is reason
    assert (dead.fallback.braking > 2.5) == checked
    assert (dead.fallback.checked_until_m > 0.0) == checked


def test_before_the_first_plan_a_refusal_stops_along_the_present_arc_unchecked() -> None:
    dead = step(core_of(Script(nobody)), 0.0, pictures=False).outcome
    assert isinstance(dead, Refusal) and dead.fallback is not None
    assert dead.fallback.reason is StopReason.UNCHECKED_STOP
    assert dead.fallback.trajectory.poses[-1, 0] == pytest.approx(20.0)


def test_without_ego_motion_there_is_no_fallback() -> None:
    outcome = core_of(Script(nobody)).step(FrameSet(0, {"front": PICTURE}), 0).outcome
    assert isinstance(outcome, Refusal) and outcome.fallback is None


def test_a_planner_that_gives_no_number_is_stopped_for_by_what_is_seen() -> None:
    script = Script(at(14.0), poses=np.full((2, 8, 3), np.nan))
    outcome = step(core_of(script), 0.0).outcome
    assert isinstance(outcome, Refusal) and outcome.reason is RefusalReason.NETWORK_NAN
    assert outcome.fallback is not None and outcome.fallback.braking == 6.5


def test_only_what_led_to_a_plan_is_remembered() -> None:
    """Whoever follows a recording knows plans, not refusals: a ghost of a refused anchor stays a
    ghost, and so does one of an anchor that the followed car left out."""
    script = Script(at(24.0, score=0.4), poses=np.full((1, 8, 3), np.nan))
    core = core_of(script)
    assert isinstance(step(core, 0.0).outcome, Refusal)
    script.poses = driven(SPEED)[None]
    move_on(core, 0.1)
    core.shadow_step(FrameSet(100 * MS, {"front": PICTURE}), 100 * MS)
    found = plan(core, 0.2)
    assert found.fallback.braking == 2.5 and "seen once" in found.detail


def test_a_jump_in_place_forgets_path_and_agents() -> None:
    script = Script(at(24.0, score=0.4))
    core = core_of(script)
    plan(core, 0.0)
    core.add_motion(EgoMotion(100 * MS, rigid_from_pose((500.0, 0, 0)), None, "/odom"))
    core.add_motion(
        EgoMotion(150 * MS, rigid_from_pose((500.5, 0, 0)), np.array([SPEED, 0, 0]), "/odom")
    )
    found = core.step(FrameSet(150 * MS, {"front": PICTURE}), 150 * MS).outcome
    assert isinstance(found, Plan) and found.fallback.braking == 2.5


def test_the_vehicle_is_the_rig_s_unless_it_is_configured() -> None:
    long = Vehicle(front_length=6.0, limits=Limits(max_braking=12.0))
    script = Script(at(14.0))
    rig = Rig("long", (FRONT,), long)
    core = DrivingCore(PolicyStack(script, script, "x"), rig, CoreConfig())
    assert plan(core, 0.0).fallback.braking == 8.5  # 100 / (2 x 6) = 8.33
    core = DrivingCore(PolicyStack(script, script, "x"), None, CoreConfig(vehicle=long))
    assert core.vehicle is long
    core.recalibrate(replace(rig, vehicle=Vehicle()))
    assert core.vehicle is long and plan(core, 0.0).fallback.braking == 8.5
    core = DrivingCore(PolicyStack(script, script, "x"), None, CoreConfig())
    core.recalibrate(rig)
    assert core.vehicle is long and plan(core, 0.0).fallback.braking == 8.5


def test_a_plan_is_slowed_before_the_unknown_and_says_where() -> None:
    script = Script(nobody, poses=driven(SPEED)[None])
    script.area = BevGrid((-16.0, 30.0), (-32.0, 32.0), (92, 128), (0.0,))
    found = plan(core_of(script), 0.0)
    assert found.chosen == 0 and found.trajectory.poses[-1, 0] < 30.0
    assert found.detail == f"slowed down: nothing is known beyond {found.checked_until_m:.1f} m"
    assert found.checked_until_m == pytest.approx(26.0, abs=1.1)
    script.area = None
    blind = plan(core_of(script), 0.0)
    assert blind.detail == "" and blind.checked_until_m == 0.0
    np.testing.assert_array_equal(blind.trajectory.poses, driven(SPEED))


def test_the_reason_tells_how_many_better_ones_were_refused_and_why() -> None:
    poses = np.stack([np.full((8, 3), np.nan), driven(30.0), driven(25.0), driven(SPEED)])
    found = plan(core_of(Script(nobody, poses=poses)), 0.0)
    assert found.reason is PlanReason.NEXT_BEST_CANDIDATE and found.chosen == 3
    assert found.detail.split("; ")[0] == "3 better candidates refused (jumps 2, nan 1)"
