"""The driving core: perceive, think, plan, and their composition `step`.

No clock, no file, no topic: time and inputs come in as arguments. The car's nodes call the parts,
the desk and the closed loop call `step`. May import: see the room's door plate.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from time import perf_counter
from typing import TypeVar

import numpy as np

from irl_vla.camera.preprocess import BadImage, CalibratedImages, preprocess
from irl_vla.camera.rig import Rig
from irl_vla.drive.checks import checked_until, slowed, surroundings
from irl_vla.drive.guard import STOP_M_S2, Limits, choose, present_arc, rest_of, stop_along
from irl_vla.drive.history import EgoHistory
from irl_vla.drive.intent import IntentMemory
from irl_vla.drive.memory import BevBuffer
from irl_vla.drive.perception_model import PerceptionContext, PerceptionModel, broken_tensor
from irl_vla.frames import inverse, pose_of
from irl_vla.planner.policy import Policy
from irl_vla.types import (
    F64,
    SECOND_NS,
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
    Rejection,
    SceneTokens,
    Schedule,
    Trajectory,
)

T = TypeVar("T")

BAD_IMAGE = "bad_image"  # name of the reason in FrameSet.missing

LAST_PATH_NS = 2 * SECOND_NS  # a stop follows a path that is at most so old


@dataclass(frozen=True, kw_only=True)
class CoreConfig:
    """How the core drives."""

    seed: int = 0
    max_input_age_s: float = 0.5  # older frame sets are refused
    limits: Limits = field(default_factory=Limits)


@dataclass(frozen=True)
class PolicyStack:
    """What a bundle brings: its policy, its perception, and its id.

    pop_latency_ms: milliseconds of each network since it was last asked
    """

    policy: Policy
    perception: PerceptionModel
    bundle_id: str
    pop_latency_ms: Callable[[], dict[str, float]] = dict


@dataclass(frozen=True)
class Step:
    """What one frame set led to.

    frames: with unusable pictures moved to `missing`; tokens: None where nothing was perceived
    """

    outcome: Plan | Refusal
    frames: FrameSet
    ego: EgoStatus
    intent: Intent
    tokens: SceneTokens | None
    timings_ms: dict[str, float]


@dataclass(frozen=True)
class Perceived:
    """What was seen, and the frames it was seen in: unusable pictures are moved to `missing`."""

    tokens: SceneTokens | Refusal
    frames: FrameSet


class DrivingCore:
    """The state of one car: it remembers ego motion, intent and the last good path."""

    def __init__(self, stack: PolicyStack, rig: Rig | None, config: CoreConfig) -> None:
        """rig: None for a core that only plans, or until `recalibrate` brings it."""
        self.stack, self._rig, self.config = stack, rig, config
        self.history = EgoHistory()
        self.epoch = 0
        self._bank = BevBuffer()
        self._intent = IntentMemory()
        self._last_plan: Plan | None = None  # the last good path

    @property
    def rig(self) -> Rig:
        """Whose pictures are perceived."""
        if self._rig is None:
            raise ValueError("this core has no rig")
        return self._rig

    def add_motion(self, motion: EgoMotion) -> None:
        """Take one measurement of the ego. A time jump forgets path and route."""
        resets = self.history.resets
        self.history.add(motion)
        if self.history.resets != resets:
            self._last_plan = None
            self._intent.forget_route()
            self._bank.clear()

    def add_intent(self, intent: Intent) -> None:
        """Take what navigation wants from now on."""
        self._intent.take(intent)

    def intent_at(self, stamp_ns: int, until_ns: int) -> Intent:
        """What navigation wants, in the ego frame at `stamp_ns`."""
        return self._intent.at(stamp_ns, self.history, until_ns)

    def memory_for(self, stamp_ns: int) -> int | None:
        """Anchor of what was seen half a second before, or None."""
        return self._bank.stamp_for(stamp_ns, self.epoch)

    def recalibrate(self, rig: Rig) -> None:
        """From now on the pictures come from this rig, of the same cameras."""
        if self._rig is not None and rig.names != self._rig.names:
            raise ValueError(f"recalibration: expected cameras {self._rig.names}, got {rig.names}")
        self._rig = rig
        self._bank.clear()

    def perceive(
        self, frames: FrameSet, ego: EgoStatus, intent: Intent, memory_stamp_ns: int | None
    ) -> Perceived:
        """Frames -> tokens. A picture that cannot be used makes its camera missing, with the
        reason; without any picture there is nothing to see.

        intent: in the anchor's ego frame; memory_stamp_ns: anchor of the memory to use, or None
        """
        images = None
        while images is None:
            try:
                images = preprocess(frames, self.rig, self.stack.perception.image)
            except BadImage as error:
                why = str(error).removeprefix(f"camera '{error.camera}': ")
                frames = _without(frames, error.camera, why)
        if images.present.any():
            return Perceived(self._look(images, ego, intent, memory_stamp_ns), frames)
        reasons = "; ".join(f"{name}: {why}" for name, why in sorted(frames.missing.items()))
        bad = any(why.startswith(BAD_IMAGE) for why in frames.missing.values())
        reason = RefusalReason.BAD_IMAGE if bad else RefusalReason.NO_IMAGES
        detail = reasons or "no camera of the rig gave a picture"
        return Perceived(Refusal(frames.anchor_stamp_ns, reason, detail), frames)

    def _look(
        self, images: CalibratedImages, ego: EgoStatus, intent: Intent, then_ns: int | None
    ) -> SceneTokens | Refusal:
        """Pictures -> tokens; remembers what was seen."""
        stamp, memory = ego.stamp_ns, None
        if then_ns is not None:
            memory = self._bank.get(then_ns, stamp, ego.measured_ns, self.history)
        memory_stamp = None if memory is None else then_ns
        tokens = self.stack.perception.perceive(
            images, PerceptionContext(stamp, self.epoch, ego, intent, memory, memory_stamp)
        )
        broken = broken_tensor(tokens)
        if broken is not None:
            detail = f"perception: '{broken}' holds what is not a number"
            return Refusal(stamp, RefusalReason.NETWORK_NAN, detail)
        self._bank.put(tokens)
        return tokens

    def think(self, frames: FrameSet, intent: Intent) -> Command:
        """What the language model advises: nothing yet (UNKNOWN, no meta tokens)."""
        return Command(frames.anchor_stamp_ns, frames.anchor_stamp_ns)

    def plan(
        self, tokens: SceneTokens, command: Command, ego: EgoStatus, intent: Intent, now_ns: int
    ) -> Plan | Refusal:
        """Tokens -> a guarded plan. Refused: stale input, no ego motion, tokens of another
        epoch."""
        stamp = tokens.anchor_stamp_ns
        age_s = (now_ns - stamp) / SECOND_NS
        if tokens.epoch != self.epoch:
            detail = f"tokens of epoch {tokens.epoch}, the engines are at {self.epoch}"
            return self.refuse(ego, RefusalReason.EPOCH_MISMATCH, detail)
        if age_s > self.config.max_input_age_s:
            detail = f"{age_s:.2f} s old, at most {self.config.max_input_age_s} s"
            return self.refuse(ego, RefusalReason.STALE_INPUT, detail)
        gap = self.history.gap(stamp, ego.measured_ns)
        if gap is not None or not ego.valid:
            reason = gap.reason if gap else RefusalReason.NO_EGO_MOTION
            return self.refuse(ego, reason, gap.detail if gap else ego.source)
        candidates = self.stack.policy.propose(tokens, command, ego, intent, self.config.seed)
        if not np.isfinite(candidates.poses).any(axis=(1, 2)).any():
            detail = "planner: every candidate is not a number"
            return self.refuse(ego, RefusalReason.NETWORK_NAN, detail)
        schedule = Schedule(
            stamp, ego.measured_ns, tokens.memory_stamp_ns, None, self.epoch, self.config.seed
        )
        plan = self._guarded(candidates, tokens, ego, schedule)
        if plan.chosen is not None:
            self._last_plan = plan
        return plan

    def _guarded(
        self, candidates: Candidates, tokens: SceneTokens, ego: EgoStatus, schedule: Schedule
    ) -> Plan:
        """Choose, and slow down where the plan leaves what was observed."""
        stamp, speed = tokens.anchor_stamp_ns, float(ego.velocity[0])
        seen = surroundings(tokens, self.stack.perception.area)
        choice = choose(candidates, ego, self.config.limits, seen, self._stop(ego))
        trajectory, notes = choice.trajectory, _refused(choice.rejected)
        until_m = checked_until(trajectory.poses, seen)
        if seen.area is not None and choice.chosen is not None:
            capped = slowed(trajectory.poses, trajectory.step_s, until_m, speed, STOP_M_S2)
            if not np.allclose(capped.poses, trajectory.poses, atol=1e-6):
                trajectory = capped
                notes.append(f"slowed down: nothing is known beyond {until_m:.1f} m")
        return Plan(
            anchor_stamp_ns=stamp,
            trajectory=trajectory,
            candidates=candidates,
            chosen=choice.chosen,
            reason=_reason(choice.chosen, len(choice.rejected)),
            detail="; ".join(notes),
            rejected=choice.rejected,
            checked_until_m=until_m,
            schedule=schedule,
            bundle_id=self.stack.bundle_id,
        )

    def shadow_step(
        self, frames: FrameSet, now_ns: int, follow: Schedule | None = None,
        wanted: Intent | None = None,
    ) -> Step:  # fmt: skip
        """A step for an anchor that the followed car left out: no later stop follows its path."""
        before = self._last_plan
        step = self.step(frames, now_ns, follow, wanted)
        self._last_plan = before
        return step

    def step(
        self, frames: FrameSet, now_ns: int, follow: Schedule | None = None,
        wanted: Intent | None = None,
    ) -> Step:  # fmt: skip
        """One tick: perceive, think, plan; with the milliseconds each took.

        follow: repeat this schedule instead of choosing motion and memory by what is there
        wanted: in place of what navigation said last, in the ego frame at the anchor
        """
        stamp, timings = frames.anchor_stamp_ns, dict[str, float]()
        clock = _Clock(timings)
        until = self.history.newest(stamp) if follow is None else follow.motion_stamp_ns
        ego = clock.timed("ego motion", lambda: self.history.status(stamp, until))
        intent = self.intent_at(stamp, until) if wanted is None else wanted
        memory = self.memory_for(stamp)
        if follow is not None:
            memory = follow.memory_stamp_ns
        seen = clock.timed("perceive", lambda: self.perceive(frames, ego, intent, memory))
        tokens = seen.tokens
        if isinstance(tokens, Refusal):
            outcome: Plan | Refusal = self.refuse(ego, tokens.reason, tokens.detail)
        else:
            command = clock.timed("think", lambda: self.think(seen.frames, intent))
            outcome = clock.timed("plan", lambda: self.plan(tokens, command, ego, intent, now_ns))
        timings["step"] = sum(timings.values())
        tokens_seen = None if isinstance(tokens, Refusal) else tokens
        return Step(
            outcome, seen.frames, ego, intent, tokens_seen, timings | self.stack.pop_latency_ms()
        )

    def refuse(self, ego: EgoStatus, reason: RefusalReason, detail: str) -> Refusal:
        """No plan for this anchor; with the stop along the last good path where that is known."""
        known = ego.valid and self._path_now(ego) is not None
        return Refusal(ego.stamp_ns, reason, detail, self._stop(ego) if known else None)

    def _stop(self, ego: EgoStatus) -> Trajectory:
        path = self._path_now(ego)
        return stop_along(present_arc(ego) if path is None else path, float(ego.velocity[0]))

    def _path_now(self, ego: EgoStatus) -> F64 | None:
        """What is left of the last good path, in the present ego frame."""
        last, stamp = self._last_plan, ego.stamp_ns
        if last is None or not 0 <= stamp - last.anchor_stamp_ns <= LAST_PATH_NS:
            return None
        now_from_then = self.history.now_from_then(stamp, last.anchor_stamp_ns, ego.measured_ns)
        if now_from_then is None:
            return None
        return rest_of(last.trajectory.poses, pose_of(inverse(now_from_then)))


def _refused(rejected: tuple[Rejection, ...]) -> list[str]:
    """One sentence for all refused candidates; each has its own in `Plan.rejected`."""
    if not rejected:
        return []
    names = Counter(rejection.reason for rejection in rejected)
    counts = ", ".join(f"{name} {count}" for name, count in names.most_common())
    return [f"{len(rejected)} better candidates refused ({counts})"]


def _reason(chosen: int | None, rejected: int) -> PlanReason:
    if chosen is None:
        return PlanReason.COMFORTABLE_STOP
    return PlanReason.NEXT_BEST_CANDIDATE if rejected else PlanReason.BEST_CANDIDATE


def _without(frames: FrameSet, camera: str, why: str) -> FrameSet:
    images = {name: image for name, image in frames.images.items() if name != camera}
    return replace(frames, images=images, missing={**frames.missing, camera: f"{BAD_IMAGE}: {why}"})


class _Clock:
    """Milliseconds per stage."""

    def __init__(self, timings: dict[str, float]) -> None:
        self._timings = timings

    def timed(self, stage: str, work: Callable[[], T]) -> T:
        """Do the work and note how long it took."""
        start = perf_counter()
        result = work()
        self._timings[stage] = (perf_counter() - start) * 1e3
        return result
