"""The stack that drives: exchanged between two steps, with a language model, with a ranker."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
import pytest
from drawn_street import DrawnStreet

from irl_vla.camera.preprocess import CalibratedImages, ImageSpec, preprocess
from irl_vla.camera.projection import BevGrid
from irl_vla.camera.rig import Rig, load_rig
from irl_vla.drive.command_memory import CommandMemory
from irl_vla.drive.core import CoreConfig, DrivingCore
from irl_vla.drive.perception_model import NullPerception, PerceptionContext
from irl_vla.drive.stack import PolicyStack
from irl_vla.drive.step import Step
from irl_vla.planner.rule import RuleConfig, RulePolicy
from irl_vla.resources import resource
from irl_vla.types import (
    F64,
    SECOND_NS,
    Candidates,
    Command,
    EgoStatus,
    FrameSet,
    Intent,
    Meta,
    Plan,
    Refusal,
    RefusalReason,
    SceneTokens,
    Schedule,
    Trajectory,
)

MS = 1_000_000
RIG = Rig("one", (load_rig(resource("calibration/rigs/tiny3.yaml")).camera("front"),))


@dataclass
class Model:
    """A language model that answers with the stamp it looked at."""

    period_s: float = 0.5
    latency_s: float = 0.0
    asked: list[int] = field(default_factory=list)
    pixels: list[F64] = field(default_factory=list)

    def think(self, images: CalibratedImages, moment: PerceptionContext) -> Command:
        self.asked.append(moment.stamp_ns // MS)
        self.pixels.append(images.pixels)
        meta = Meta(np.ones((1, 4), np.float16), np.ones(1, np.bool_), moment.epoch)
        return Command(moment.stamp_ns, moment.stamp_ns + SECOND_NS, "model", meta=meta)


@dataclass
class Listening:
    """A policy that goes straight on, and remembers which command it heard."""

    heard: list[Command] = field(default_factory=list)

    def propose(
        self, tokens: SceneTokens, command: Command, ego: EgoStatus, intent: Intent, seed: int
    ) -> Candidates:
        self.heard.append(command)
        x = float(ego.velocity[0]) * 0.5 * np.arange(1, 9)
        poses = np.stack([x, 0.0 * x, 0.0 * x], axis=-1)
        return Candidates(np.stack([poses, 0.98 * poses, 0.96 * poses]), np.array([3.0, 2.0, 1.0]))


@dataclass
class Watching:
    """Perception that sees nothing and remembers the pixels that it was handed."""

    image: ImageSpec = field(default_factory=lambda: ImageSpec(width=32, height=16))
    area: BevGrid | None = None
    pixels: list[F64] = field(default_factory=list)

    def perceive(self, images: CalibratedImages, moment: PerceptionContext) -> SceneTokens:
        self.pixels.append(images.pixels)
        return SceneTokens.blind(moment.stamp_ns, moment.epoch)


@dataclass(frozen=True)
class LastFirst:
    """A ranker that prefers what the policy likes least."""

    def rank(
        self, candidates: Candidates, tokens: SceneTokens, ego: EgoStatus, intent: Intent,
        driven: Trajectory | None,
    ) -> F64:  # fmt: skip
        return -candidates.confidence


def core_of(model: Model | None = None, **parts: object) -> DrivingCore:
    stack = PolicyStack(
        Listening(), NullPerception(ImageSpec(width=32, height=16)), "a", language=model
    )
    return DrivingCore(replace(stack, **parts), RIG, CoreConfig())  # type: ignore[arg-type]


def drive(
    core: DrivingCore, until_ms: int, follow: dict[int, Schedule] | None = None
) -> list[Step]:
    """Ten steps a second on the drawn street."""
    street, steps = DrawnStreet(), []
    commanded = {s.command_stamp_ns for s in (follow or {}).values()}
    for ms in range(0, until_ms + 1, 100):
        core.add_motion(street.motion(ms * MS, 0))
        images = {image.camera: image for image in street.pictures(RIG, ms * MS, 0)}
        schedule = None if follow is None else follow[ms * MS]
        think = None if follow is None else ms * MS in commanded
        steps.append(core.step(FrameSet(ms * MS, images), ms * MS, schedule, None, think))
    return steps


def commands(steps: list[Step]) -> list[int | None]:
    """Per step the anchor [ms] of the command that was used."""
    found = []
    for step in steps:
        assert isinstance(step.outcome, Plan)
        stamp = step.outcome.schedule.command_stamp_ns
        found.append(None if stamp is None else stamp // MS)
    return found


def test_the_model_is_asked_once_a_period_and_its_command_names_itself_in_the_schedule() -> None:
    model = Model()
    assert commands(drive(core_of(model), 700)) == [0, 0, 0, 0, 0, 500, 500, 500]
    assert model.asked == [0, 500]


def test_a_late_command_counts_from_its_latency_on_and_the_planner_never_waits() -> None:
    used = commands(drive(core_of(Model(latency_s=0.3)), 900))
    assert used == [None, None, None, 0, 0, 0, 0, 0, 500, 500]


def test_a_followed_schedule_repeats_its_commands_whatever_the_latency_is_now() -> None:
    first = drive(core_of(Model(latency_s=0.3)), 900)
    follow = {}
    for step in first:
        assert isinstance(step.outcome, Plan)
        follow[step.outcome.anchor_stamp_ns] = step.outcome.schedule
    model = Model(period_s=0.1)
    again = drive(core_of(model), 900, follow)
    assert commands(again) == commands(first) and model.asked == [0, 500]
    for one, other in zip(first, again, strict=True):
        assert isinstance(one.outcome, Plan) and isinstance(other.outcome, Plan)
        assert one.outcome.schedule == other.outcome.schedule


def test_the_model_sees_the_very_pixels_that_perception_reads() -> None:
    model, perception = Model(), Watching()
    drive(core_of(model, perception=perception), 0)
    assert model.pixels[0] is perception.pixels[0]


def test_without_a_model_there_is_no_command() -> None:
    core = core_of()
    assert commands(drive(core, 200)) == [None, None, None]
    images = preprocess(FrameSet(0, {}), RIG, core.stack.perception.image)
    unknown = core.think(images, core.history.status(0, 0), Intent())
    assert (unknown.speed, unknown.path, unknown.meta) == (None, None, None)


def test_a_void_command_is_not_used() -> None:
    memory = CommandMemory()
    memory.put(Command(10, 20, speed=np.ones(13, np.float32)), 10)
    used = [memory.at(anchor, 100).speed is not None for anchor in (9, 10, 20, 21)]
    assert used == [False, True, True, False]


def test_commands_of_a_time_before_a_jump_back_are_forgotten() -> None:
    memory = CommandMemory()
    memory.put(Command(50, 90, speed=np.ones(13, np.float32)), 50)
    memory.put(Command(10, 90, speed=np.zeros(13, np.float32)), 10)
    advice = memory.at(60, 60).speed
    assert advice is not None and not advice.any()


def test_the_ranker_says_which_candidate_comes_first() -> None:
    plain, ranked = (drive(core_of(ranker=ranker), 0)[0].outcome for ranker in (None, LastFirst()))
    assert isinstance(plain, Plan) and isinstance(ranked, Plan)
    assert (plain.chosen, ranked.chosen) == (0, 2)


def test_another_stack_drives_from_the_next_step_on_and_shares_no_memory() -> None:
    core = core_of(Model())
    drive(core, 600)
    assert core.memory_for(1100 * MS) is not None
    core.install(replace(core.stack, bundle_id="b"), epoch=3)
    assert core.memory_for(1100 * MS) is None
    core.add_motion(DrawnStreet().motion(700 * MS, 0))
    images = {image.camera: image for image in DrawnStreet().pictures(RIG, 700 * MS, 0)}
    step = core.step(FrameSet(700 * MS, images), 700 * MS)
    assert isinstance(step.outcome, Plan)
    assert (step.outcome.bundle_id, step.outcome.schedule.epoch) == ("b", 3)
    with pytest.raises(ValueError, match="epoch after 3, got 3"):
        core.install(core.stack, epoch=3)


def test_a_stack_that_is_installed_during_a_step_does_not_take_part_in_it() -> None:
    @dataclass
    class Swapping(Watching):
        core: DrivingCore | None = None

        def perceive(self, images: CalibratedImages, moment: PerceptionContext) -> SceneTokens:
            assert self.core is not None
            other = PolicyStack(RulePolicy(RuleConfig()), NullPerception(), "other")
            self.core.install(other, self.core.epoch + 1)
            return super().perceive(images, moment)

    perception = Swapping()
    core = core_of(perception=perception)
    perception.core = core
    step = drive(core, 0)[0]
    assert isinstance(step.outcome, Plan) and step.outcome.bundle_id == "a"
    assert core.stack.bundle_id == "other" and core.epoch == 1


def test_tokens_of_an_older_epoch_are_refused() -> None:
    core = core_of()
    step = drive(core, 0)[0]
    assert step.tokens is not None
    core.install(core.stack, 1)
    outcome = core.plan(step.tokens, Command(0, 0), step.ego, step.intent, 0)
    assert isinstance(outcome, Refusal) and outcome.reason is RefusalReason.EPOCH_MISMATCH
