"""The driving core: perceive, think, plan, and their composition `step`.

What drives is one value, a policy stack with its epoch. Each call takes it once, so that a stack
that is installed in the meantime never shares a step with the one before.
No clock, no file, no topic: time and inputs come in as arguments. The car's nodes call the parts,
the desk and the closed loop call `step`. May import: see the room's door plate.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

import numpy as np

from irl_vla.camera.preprocess import CalibratedImages
from irl_vla.camera.rig import Rig
from irl_vla.drive.checks import checked_until, slowed, surroundings
from irl_vla.drive.command_memory import CommandMemory, stamp_of, unknown
from irl_vla.drive.guard import STOP_M_S2, Limits, choose, present_arc, rest_of, stop_along
from irl_vla.drive.history import EgoHistory
from irl_vla.drive.intent import IntentMemory
from irl_vla.drive.perception_stage import PerceptionStage
from irl_vla.drive.ranker import Ranker
from irl_vla.drive.stack import ActiveStack, PolicyStack
from irl_vla.drive.step import Clock, Perceived, Step
from irl_vla.frames import inverse, pose_of
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

LAST_PATH_NS = 2 * SECOND_NS  # a stop follows a path that is at most so old


@dataclass(frozen=True, kw_only=True)
class CoreConfig:
    """How the core drives."""

    seed: int = 0
    max_input_age_s: float = 0.5  # older frame sets are refused
    pictures: bool = True  # False: none is asked for, and tokens hold nothing
    limits: Limits = field(default_factory=Limits)


class DrivingCore:
    """One car's driving: it remembers ego motion, intent and the last good path."""

    def __init__(self, stack: PolicyStack, rig: Rig | None, config: CoreConfig) -> None:
        """rig: None for a core that only plans, or until `recalibrate` brings it."""
        self._active, self.config = ActiveStack(stack, 0), config
        self.history = EgoHistory()
        self.commands = CommandMemory()
        self._perception = PerceptionStage(rig, self.history, config.pictures)
        self._intent = IntentMemory()
        self._last_plan: Plan | None = None  # the last good path

    @property
    def stack(self) -> PolicyStack:
        """What drives."""
        return self._active.stack

    @property
    def epoch(self) -> int:
        """Of what drives."""
        return self._active.epoch

    def install(self, stack: PolicyStack, epoch: int) -> None:
        """Another stack drives from the next step on. Memory and commands of an older epoch count
        no more; the last good path does, because a car that stops follows it whoever made it.

        Raises ValueError unless the epoch grows."""
        if epoch <= self.epoch:
            raise ValueError(f"install: expected an epoch after {self.epoch}, got {epoch}")
        self._active = ActiveStack(stack, epoch)

    @property
    def rig(self) -> Rig:
        """Whose pictures are perceived."""
        return self._perception.rig

    def add_motion(self, motion: EgoMotion) -> None:
        """Take one measurement of the ego. A time jump forgets path and route."""
        resets = self.history.resets
        self.history.add(motion)
        if self.history.resets != resets:
            self._last_plan = None
            self._intent.forget_route()
            self._perception.forget()
            self.commands.clear()

    def add_intent(self, intent: Intent) -> None:
        """Take what navigation wants from now on."""
        self._intent.take(intent)

    def intent_at(self, stamp_ns: int, until_ns: int) -> Intent:
        """What navigation wants, in the ego frame at `stamp_ns`."""
        return self._intent.at(stamp_ns, self.history, until_ns)

    def memory_for(self, stamp_ns: int) -> int | None:
        """Anchor of what was seen half a second before, or None."""
        return self._perception.memory_for(stamp_ns, self.epoch)

    def recalibrate(self, rig: Rig) -> None:
        """From now on the pictures come from this rig, of the same cameras."""
        self._perception.recalibrate(rig)

    def perceive(
        self, frames: FrameSet, ego: EgoStatus, intent: Intent, memory_stamp_ns: int | None
    ) -> Perceived:
        """Frames -> tokens. A picture that cannot be used makes its camera missing, with the
        reason; without any picture there is nothing to see.

        intent: in the anchor's ego frame; memory_stamp_ns: anchor of the memory to use, or None
        """
        return self._perception.perceive(self._active, frames, ego, intent, memory_stamp_ns)

    def perceive_calibrated(
        self, images: CalibratedImages, ego: EgoStatus, intent: Intent, memory_stamp_ns: int | None
    ) -> SceneTokens | Refusal:
        """Pictures that are prepared already, at least one of them, -> tokens. The networks read
        them where they lie. Otherwise as `perceive`."""
        active = self._active
        return self._perception.perceive_calibrated(active, images, ego, intent, memory_stamp_ns)

    def think(self, images: CalibratedImages, ego: EgoStatus, intent: Intent) -> Command:
        """What the language model advises after a look at the very pictures that perception reads;
        UNKNOWN without a model."""
        return self._think(self._active, images, ego, intent)

    def _think(
        self, active: ActiveStack, images: CalibratedImages, ego: EgoStatus, intent: Intent
    ) -> Command:
        if active.stack.language is None:
            return unknown(ego.stamp_ns)
        context = self._perception.context(active, ego, intent, None)
        return active.stack.language.think(images, context)

    def plan(
        self, tokens: SceneTokens, command: Command, ego: EgoStatus, intent: Intent, now_ns: int
    ) -> Plan | Refusal:
        """Tokens -> a guarded plan. Refused: stale input, no ego motion, tokens of another
        epoch."""
        return self._plan(self._active, tokens, command, ego, intent, now_ns)

    def _plan(
        self, active: ActiveStack, tokens: SceneTokens, command: Command, ego: EgoStatus,
        intent: Intent, now_ns: int,
    ) -> Plan | Refusal:  # fmt: skip
        stamp = tokens.anchor_stamp_ns
        age_s = (now_ns - stamp) / SECOND_NS
        if tokens.epoch != active.epoch:
            detail = f"tokens of epoch {tokens.epoch}, the engines are at {active.epoch}"
            return self.refuse(ego, RefusalReason.EPOCH_MISMATCH, detail)
        if age_s > self.config.max_input_age_s:
            detail = f"{age_s:.2f} s old, at most {self.config.max_input_age_s} s"
            return self.refuse(ego, RefusalReason.STALE_INPUT, detail)
        gap = self.history.gap(stamp, ego.measured_ns)
        if gap is not None or not ego.valid:
            reason = gap.reason if gap else RefusalReason.NO_EGO_MOTION
            return self.refuse(ego, reason, gap.detail if gap else ego.source)
        candidates = active.stack.policy.propose(tokens, command, ego, intent, self.config.seed)
        if not np.isfinite(candidates.poses).any(axis=(1, 2)).any():
            detail = "planner: every candidate is not a number"
            return self.refuse(ego, RefusalReason.NETWORK_NAN, detail)
        schedule = Schedule(
            stamp, ego.measured_ns, tokens.memory_stamp_ns, stamp_of(command), active.epoch,
            self.config.seed,
        )  # fmt: skip
        plan = self._guarded(active.stack, candidates, tokens, ego, intent, schedule)
        if plan.chosen is not None:
            self._last_plan = plan
        return plan

    def _guarded(
        self, stack: PolicyStack, candidates: Candidates, tokens: SceneTokens, ego: EgoStatus,
        intent: Intent, schedule: Schedule,
    ) -> Plan:  # fmt: skip
        """Choose, and slow down where the plan leaves what was observed."""
        stamp, speed = tokens.anchor_stamp_ns, float(ego.velocity[0])
        seen = surroundings(tokens, stack.perception.area, stack.classes)
        preference = self._preference(stack.ranker, candidates, tokens, ego, intent)
        choice = choose(candidates, preference, ego, self.config.limits, seen, self._stop(ego))
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
            bundle_id=stack.bundle_id,
            model=stack.model.after(tokens.computed_by),
        )

    def _preference(
        self, ranker: Ranker | None, candidates: Candidates, tokens: SceneTokens, ego: EgoStatus,
        intent: Intent,
    ) -> F64:  # fmt: skip
        """(K,) which candidate is tried first: by the ranker, else by the policy's confidence."""
        if ranker is None:
            return candidates.confidence
        path = self._path_now(ego)
        driven = None if path is None else Trajectory(path)
        return ranker.rank(candidates, tokens, ego, intent, driven)

    def shadow_step(
        self, frames: FrameSet, now_ns: int, follow: Schedule | None = None,
        wanted: Intent | None = None, think: bool | None = None,
    ) -> Step:  # fmt: skip
        """A step for an anchor that the followed car left out: no later stop follows its path."""
        before = self._last_plan
        step = self.step(frames, now_ns, follow, wanted, think)
        self._last_plan = before
        return step

    def step(
        self, frames: FrameSet, now_ns: int, follow: Schedule | None = None,
        wanted: Intent | None = None, think: bool | None = None,
    ) -> Step:  # fmt: skip
        """One tick: perceive, think, plan; with the milliseconds each took.

        follow: repeat this schedule instead of choosing motion, memory and command by what is there
        wanted: in place of what navigation said last, in the ego frame at the anchor
        think: whether the language model looks at this anchor, or None: when its period has passed
        """
        active, stamp, timings = self._active, frames.anchor_stamp_ns, dict[str, float]()
        clock = Clock(timings)
        until = self.history.newest(stamp) if follow is None else follow.motion_stamp_ns
        ego = clock.timed("ego motion", lambda: self.history.status(stamp, until))
        intent = self.intent_at(stamp, until) if wanted is None else wanted
        memory = self._perception.memory_for(stamp, active.epoch)
        if follow is not None:
            memory = follow.memory_stamp_ns
        seen = clock.timed(
            "perceive", lambda: self._perception.perceive(active, frames, ego, intent, memory)
        )
        if seen.images is not None:
            images = seen.images
            clock.timed("think", lambda: self._ask(active, images, ego, intent, think))
        tokens = seen.tokens
        if isinstance(tokens, Refusal):
            outcome: Plan | Refusal = self.refuse(ego, tokens.reason, tokens.detail)
        else:
            command = self._advice(stamp, now_ns, follow)
            outcome = clock.timed(
                "plan", lambda: self._plan(active, tokens, command, ego, intent, now_ns)
            )
        timings["step"] = sum(timings.values())
        tokens_seen = None if isinstance(tokens, Refusal) else tokens
        took = timings | active.stack.pop_latency_ms()
        return Step(outcome, seen.frames, ego, intent, tokens_seen, took)

    def _ask(
        self, active: ActiveStack, images: CalibratedImages, ego: EgoStatus, intent: Intent,
        think: bool | None,
    ) -> None:  # fmt: skip
        """Where the language model is due, its command is remembered; it counts once its latency
        has passed."""
        language, newest, stamp = active.stack.language, self.commands.newest_ns, ego.stamp_ns
        if language is None:
            return
        period_ns = round(language.period_s * SECOND_NS)
        due = newest is None or not 0 <= stamp - newest < period_ns
        if due if think is None else think:
            command = self._think(active, images, ego, intent)
            self.commands.put(command, stamp + round(language.latency_s * SECOND_NS))

    def _advice(self, stamp_ns: int, now_ns: int, follow: Schedule | None) -> Command:
        """The command that counts at an anchor, or the one that counted when it was driven."""
        if follow is None:
            return self.commands.at(stamp_ns, now_ns)
        return self.commands.of(follow.command_stamp_ns, stamp_ns)

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
