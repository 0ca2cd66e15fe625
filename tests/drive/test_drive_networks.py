"""The core with a network bundle: laws that hold for any weights (seeded `nano`)."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
import pytest
from drawn_street import DrawnStreet
from hypothesis import given, settings
from hypothesis import strategies as st

from irl_vla.camera.camera import Camera
from irl_vla.camera.preprocess import CalibratedImages, ImageSpec
from irl_vla.camera.projection import BevGrid
from irl_vla.camera.rig import Rig, load_rig
from irl_vla.drive.assemble import policy_stack_from_bundle
from irl_vla.drive.core import CoreConfig, DrivingCore
from irl_vla.drive.memory import OLDEST_NS, YOUNGEST_NS
from irl_vla.drive.perception_model import NullPerception, PerceptionContext
from irl_vla.drive.stack import PolicyStack
from irl_vla.drive.step import Step
from irl_vla.engine.bundle import Bundle
from irl_vla.perception.classes import CLASSES
from irl_vla.planner.rule import RuleConfig, RulePolicy
from irl_vla.resources import resource
from irl_vla.types import (
    SECOND_NS,
    CameraImage,
    Candidates,
    Command,
    EgoMotion,
    EgoStatus,
    FrameSet,
    Intent,
    Meta,
    Plan,
    PlanReason,
    Refusal,
    RefusalReason,
    SceneTokens,
    StopReason,
)

MS = 1_000_000
TINY3 = load_rig(resource("calibration/rigs/tiny3.yaml"))


def ring(count: int) -> Rig:
    """So many copies of a camera, turned around the car."""
    front = TINY3.camera("front")
    cameras: list[Camera] = []
    for k in range(count):
        angle = 2 * np.pi * k / count
        turn = np.eye(4)
        turn[:2, :2] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
        cameras.append(replace(front, name=f"camera{k}", ego_from_cam=turn @ front.ego_from_cam))
    return Rig(f"ring{count}", tuple(cameras))


def drive(core: DrivingCore, stamps_ms: list[int], drop: str | None = None) -> list[Step]:
    """Steps on the drawn street at these anchors, with odometry at 20 Hz."""
    street, steps = DrawnStreet(), []
    ticks = sorted({*range(0, max(stamps_ms) + 1, 50), *stamps_ms})
    for ms in ticks:
        core.add_motion(street.motion(ms * MS, 0))
        if ms in stamps_ms:
            images = {i.camera: i for i in street.pictures(core.rig, ms * MS, 0)}
            missing = {}
            if drop is not None:
                del images[drop]
                missing[drop] = "late: by 80 ms"
            steps.append(core.step(FrameSet(ms * MS, images, missing), ms * MS))
    return steps


def core_of(stack: PolicyStack, rig: Rig = TINY3) -> DrivingCore:
    return DrivingCore(stack, rig, CoreConfig())


@pytest.fixture(scope="module")
def stack(nano: Bundle) -> PolicyStack:
    return policy_stack_from_bundle(nano, threads=1)


def poses(step: Step) -> np.ndarray:
    assert isinstance(step.outcome, Plan)
    return step.outcome.candidates.poses


@pytest.mark.parametrize("count", [1, 3, 6, 8])
def test_the_same_two_perception_graphs_serve_rigs_of_any_size(
    stack: PolicyStack, count: int
) -> None:
    first = drive(core_of(stack, ring(count)), [0, 500])
    again = drive(core_of(stack, ring(count)), [0, 500])
    for one, other in zip(first, again, strict=True):
        assert poses(one).tobytes() == poses(other).tobytes()
        assert isinstance(one.outcome, Plan) and one.outcome.checked_until_m > 0.0


def test_a_missing_camera_cannot_change_the_plan_by_its_pixels(stack: PolicyStack) -> None:
    """Absent, or present in the message and unreadable: the same plan, to the bit."""
    absent = drive(core_of(stack), [0], drop="front_left")[0]
    core, street = core_of(stack), DrawnStreet()
    core.add_motion(street.motion(0, 0))
    images = {image.camera: image for image in street.pictures(TINY3, 0, 0)}
    images["front_left"] = CameraImage("front_left", 0, encoded=b"\xff\xd8 broken \xff\xd9")
    broken = core.step(FrameSet(0, images), 0)
    assert broken.frames.missing["front_left"].startswith("bad_image")
    assert poses(broken).tobytes() == poses(absent).tobytes()
    assert poses(broken).tobytes() != poses(drive(core_of(stack), [0])[0]).tobytes()


def test_masked_meta_tokens_cannot_change_the_plan(stack: PolicyStack) -> None:
    step = drive(core_of(stack), [0])[0]
    assert step.tokens is not None
    rng, plans = np.random.default_rng(0), []
    shape = (stack.policy.preset.meta_tokens, stack.policy.preset.d_model)  # type: ignore[attr-defined]
    for fill in (np.zeros(shape), rng.normal(size=shape), np.full(shape, np.nan)):
        meta = Meta(fill.astype(np.float16), np.zeros(len(fill), np.bool_), 0)
        command = Command(0, SECOND_NS, meta=meta)
        plans.append(stack.policy.propose(step.tokens, command, step.ego, step.intent, 0).poses)
    assert plans[0].tobytes() == plans[1].tobytes() == plans[2].tobytes()


@dataclass
class RecordingPerception:
    """Perception that finds nothing and remember what memory they were handed."""

    image: ImageSpec = field(default_factory=lambda: ImageSpec(width=32, height=16))
    area: BevGrid | None = None
    contexts: list[PerceptionContext] = field(default_factory=list)

    def perceive(self, images: CalibratedImages, context: PerceptionContext) -> SceneTokens:
        self.contexts.append(context)
        bev = np.full((1, 1, 1), context.stamp_ns / SECOND_NS, np.float16)  # its own stamp
        blind = SceneTokens.blind(context.stamp_ns, context.epoch)
        return replace(blind, bev=bev, memory_stamp_ns=context.memory_stamp_ns)


@settings(deadline=None, max_examples=30)
@given(st.lists(st.integers(0, 60), min_size=1, max_size=25, unique=True))
def test_dropped_frames_never_mislabel_the_age_of_the_memory(ticks: list[int]) -> None:
    perception = RecordingPerception()
    stack = PolicyStack(RulePolicy(RuleConfig()), perception, "x")
    core = DrivingCore(stack, Rig("one", (TINY3.camera("front"),)), CoreConfig())
    street = DrawnStreet()
    picture = CameraImage("front", 0, pixels=np.zeros((360, 640, 3), np.uint8))
    for tick in range(61):
        core.add_motion(street.motion(tick * 100 * MS, 0))
        if tick in ticks:
            core.step(FrameSet(tick * 100 * MS, {"front": picture}), tick * 100 * MS)
    assert len(perception.contexts) == len(ticks)
    for context in perception.contexts:
        if context.memory is None:
            continue
        assert context.memory_stamp_ns is not None
        age = context.stamp_ns - context.memory_stamp_ns
        assert YOUNGEST_NS <= age <= OLDEST_NS
        assert context.memory.age_s == pytest.approx(age / SECOND_NS)
        then_s = float(context.memory.bev[0, 0, 0])  # float16: 2e-3 at 6 s
        assert then_s == pytest.approx(context.memory_stamp_ns / SECOND_NS, abs=4e-3)
        driven = np.linalg.norm(context.memory.ego_now_from_memory[:2, 3])
        assert driven == pytest.approx(9.1 * context.memory.age_s, rel=0.05)


def test_frames_ten_seconds_apart_have_no_memory(stack: PolicyStack) -> None:
    steps = drive(core_of(stack), [0, 500, 10_500])
    found = [s.outcome.schedule.memory_stamp_ns for s in steps if isinstance(s.outcome, Plan)]
    assert found == [None, 0, None]


def test_without_any_picture_there_is_no_plan_but_the_stop_along_the_last_path(
    stack: PolicyStack,
) -> None:
    core = core_of(PolicyStack(RulePolicy(RuleConfig()), NullPerception(), "x"))
    drive(core, [0, 500])
    core.add_motion(DrawnStreet().motion(600 * MS, 0))
    dead = core.step(FrameSet(600 * MS, {}, dict.fromkeys(TINY3.names, "stopped: 1 s")), 600 * MS)
    assert isinstance(dead.outcome, Refusal) and dead.outcome.reason is RefusalReason.NO_IMAGES
    assert "stopped" in dead.outcome.detail
    stop = dead.outcome.fallback
    assert stop is not None and stop.reason is StopReason.COMFORTABLE_STOP
    length = np.hypot(*np.diff(stop.trajectory.poses[:, :2], axis=0, prepend=0.0).T).sum()
    assert length == pytest.approx(9.0**2 / (2 * 2.5), rel=0.05)  # v^2 / 2a


@dataclass(frozen=True)
class BrokenPolicy:
    """A network that has gone mad; some of its candidates may still be numbers."""

    candidates: np.ndarray

    def propose(
        self, tokens: SceneTokens, command: Command, ego: EgoStatus, intent: Intent, seed: int
    ) -> Candidates:
        return Candidates(self.candidates, np.ones(len(self.candidates)))


def test_a_planner_that_gives_no_number_gets_no_plan() -> None:
    mad = PolicyStack(BrokenPolicy(np.full((3, 8, 3), np.nan)), NullPerception(), "x")
    outcome = drive(core_of(mad), [500])[0].outcome
    assert isinstance(outcome, Refusal) and outcome.reason is RefusalReason.NETWORK_NAN


def test_one_candidate_that_is_no_number_is_left_out_and_the_next_one_drives() -> None:
    candidates = np.full((2, 8, 3), np.nan)
    candidates[1] = np.stack([9.0 * 0.5 * np.arange(1, 9), np.zeros(8), np.zeros(8)], axis=-1)
    outcome = drive(core_of(PolicyStack(BrokenPolicy(candidates), NullPerception(), "x")), [500])[
        0
    ].outcome
    assert isinstance(outcome, Plan) and outcome.chosen == 1
    assert outcome.reason is PlanReason.NEXT_BEST_CANDIDATE
    assert outcome.rejected[0].reason == "nan"


class NanPerception(RecordingPerception):
    """Perception whose output holds one NaN."""

    def perceive(self, images: CalibratedImages, context: PerceptionContext) -> SceneTokens:
        tokens = super().perceive(images, context)
        return replace(tokens, bev=np.full((1, 1, 1), np.nan, np.float16))


def test_perception_that_gives_no_number_gets_no_plan_and_is_not_remembered() -> None:
    perception = NanPerception()
    steps = drive(core_of(PolicyStack(RulePolicy(RuleConfig()), perception, "x")), [0, 500])
    for step in steps:
        assert isinstance(step.outcome, Refusal)
        assert step.outcome.reason is RefusalReason.NETWORK_NAN and "'bev'" in step.outcome.detail
    assert all(context.memory is None for context in perception.contexts)


class ConfusedPerception(RecordingPerception):
    """Perception that sees a kind of agent that its bundle has no name for."""

    def perceive(self, images: CalibratedImages, context: PerceptionContext) -> SceneTokens:
        kinds = np.array([len(CLASSES.agents)])
        return replace(super().perceive(images, context), agent_class=kinds)


def test_a_class_beyond_the_bundles_list_gets_no_plan() -> None:
    step = drive(core_of(PolicyStack(RulePolicy(RuleConfig()), ConfusedPerception(), "x")), [0])[0]
    assert isinstance(step.outcome, Refusal) and "beyond the 4 of the bundle" in step.outcome.detail


def test_stale_frames_are_refused(stack: PolicyStack) -> None:
    core, street = core_of(stack), DrawnStreet()
    core.add_motion(EgoMotion(0, np.eye(4), np.zeros(3), "test"))
    images = {image.camera: image for image in street.pictures(TINY3, 0, 0)}
    outcome = core.step(FrameSet(0, images), 900 * MS).outcome
    assert isinstance(outcome, Refusal) and outcome.reason is RefusalReason.STALE_INPUT
    assert "0.90 s old" in outcome.detail
