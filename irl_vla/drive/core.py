"""The driving core: perceive, think, plan, and their composition `step`.

What drives is one value, a policy stack with its epoch. Each call takes it once, so that a stack
that is installed in the meantime never shares a step with the one before.
No clock, no file, no topic: time and inputs come in as arguments. The car's nodes call the parts,
the desk and the closed loop call `step`. May import: see the room's door plate.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from irl_vla.camera.preprocess import CalibratedImages
from irl_vla.camera.rig import Rig, refuse_too_many
from irl_vla.drive.checks import Surroundings
from irl_vla.drive.command_memory import CommandMemory, stamp_of, unknown
from irl_vla.drive.guard import GuardConfig, best_first
from irl_vla.drive.history import EgoHistory
from irl_vla.drive.intent import IntentMemory
from irl_vla.drive.perception_stage import PerceptionStage
from irl_vla.drive.ranker import Ranker
from irl_vla.drive.safeguard import Safeguard
from irl_vla.drive.stack import ActiveStack, PolicyStack
from irl_vla.drive.step import Clock, Perceived, Step
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
    Refusal,
    RefusalReason,
    SceneTokens,
    Schedule,
    Trajectory,
)
from irl_vla.vehicle import Vehicle


@dataclass(frozen=True, kw_only=True)
class CoreConfig:
    """How the core drives. vehicle: in place of the rig's."""

    seed: int = 0
    max_input_age_s: float = 0.5  # older frame sets are refused
    pictures: bool = True  # False: none is asked for, and tokens hold nothing
    guard: GuardConfig = field(default_factory=GuardConfig)
    vehicle: Vehicle | None = None


class DrivingCore:
    """The state of one car: it remembers ego motion, intent, and what it saw and drove last."""

    def __init__(self, stack: PolicyStack, rig: Rig | None, config: CoreConfig) -> None:
        """rig: None for a core that only plans, or until `recalibrate` brings it. Raises InputError
        for a rig with more cameras than a policy reads."""
        if rig is not None:
            refuse_too_many(rig)
        self._active, self.config = ActiveStack(stack, 0), config
        self.history = EgoHistory()
        self.commands = CommandMemory()
        self._perception = PerceptionStage(rig, self.history, config.pictures)
        self._intent = IntentMemory()
        self._safeguard = Safeguard(self.history, config.guard, self.vehicle)

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

    @property
    def vehicle(self) -> Vehicle:
        """The car that drives."""
        return self.config.vehicle or self._perception.vehicle

    def add_motion(self, motion: EgoMotion) -> str:
        """Take one measurement of the ego; "", or why it is of no use. A time jump forgets path and
        route."""
        resets = self.history.resets
        wrong = self.history.add(motion)
        if self.history.resets != resets:
            self._safeguard.forget()
            self._intent.forget_route()
            self._perception.forget()
            self.commands.clear()
        return wrong

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
        self._safeguard.vehicle = self.vehicle

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
        self, tokens: SceneTokens, command: Command, ego: EgoStatus, intent: Intent, now_ns: int,
        fallback_until_s: float | None = None,
    ) -> Plan | Refusal:  # fmt: skip
        """Tokens -> a guarded plan. Refused: stale input, no ego motion, tokens of another epoch.

        fallback_until_s: of a followed schedule, in place of the configured one
        """
        return self._plan(self._active, tokens, command, ego, intent, now_ns, fallback_until_s)

    def _plan(
        self, active: ActiveStack, tokens: SceneTokens, command: Command, ego: EgoStatus,
        intent: Intent, now_ns: int, fallback_until_s: float | None,
    ) -> Plan | Refusal:  # fmt: skip
        refusal, stack = self._unusable(active.epoch, tokens, ego, now_ns), active.stack
        if refusal is not None:
            return self.refuse(ego, *refusal)
        candidates = stack.policy.propose(tokens, command, ego, intent, self.config.seed)
        seen = self._safeguard.surroundings(tokens, stack.perception.area, stack.classes, ego)
        if not np.isfinite(candidates.poses).any(axis=(1, 2)).any():
            detail = "planner: every candidate is not a number"
            return self.refuse(ego, RefusalReason.NETWORK_NAN, detail, seen)
        until_s = self.config.guard.fallback_until_s
        schedule = Schedule(
            tokens.anchor_stamp_ns, ego.measured_ns, tokens.memory_stamp_ns, stamp_of(command),
            active.epoch, self.config.seed,
            until_s if fallback_until_s is None else fallback_until_s,
        )  # fmt: skip
        order = best_first(self._preference(stack.ranker, candidates, tokens, ego, intent))
        model = stack.model.after(tokens.computed_by)
        bundle_id = stack.bundle_id
        return self._safeguard.plan(candidates, order, seen, ego, schedule, bundle_id, model)

    def _unusable(
        self, epoch: int, tokens: SceneTokens, ego: EgoStatus, now_ns: int
    ) -> tuple[RefusalReason, str] | None:
        """Why nothing can be planned from this input, or None."""
        stamp = tokens.anchor_stamp_ns
        age_s = (now_ns - stamp) / SECOND_NS
        if tokens.epoch != epoch:
            detail = f"tokens of epoch {tokens.epoch}, the engines are at {epoch}"
            return RefusalReason.EPOCH_MISMATCH, detail
        if age_s > self.config.max_input_age_s:
            detail = f"{age_s:.2f} s old, at most {self.config.max_input_age_s} s"
            return RefusalReason.STALE_INPUT, detail
        gap = self.history.gap(stamp, ego.measured_ns)
        if gap is not None:
            return gap.reason, gap.detail
        return None if ego.valid else (RefusalReason.NO_EGO_MOTION, ego.source)

    def _preference(
        self, ranker: Ranker | None, candidates: Candidates, tokens: SceneTokens, ego: EgoStatus,
        intent: Intent,
    ) -> F64:  # fmt: skip
        """(K,) which candidate is tried first: by the ranker, else by the policy's confidence."""
        if ranker is None:
            return candidates.confidence
        path = self._safeguard.path_now(ego)
        driven = None if path is None else Trajectory(path)
        return ranker.rank(candidates, tokens, ego, intent, driven)

    def shadow_step(
        self, frames: FrameSet, now_ns: int, follow: Schedule | None = None,
        wanted: Intent | None = None, think: bool | None = None,
    ) -> Step:  # fmt: skip
        """A step for an anchor that the followed car left out: no later stop follows its path."""
        before = self._safeguard.memory
        step = self.step(frames, now_ns, follow, wanted, think)
        self._safeguard.memory = before
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
            until_s = None if follow is None else follow.fallback_until_s
            outcome = clock.timed(
                "plan", lambda: self._plan(active, tokens, command, ego, intent, now_ns, until_s)
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

    def refuse(
        self, ego: EgoStatus, reason: RefusalReason, detail: str, seen: Surroundings | None = None
    ) -> Refusal:
        """No plan for this anchor; with a stop where the ego's motion is known.

        seen: what was seen at this anchor; None: the stop is checked against what was seen last
        """
        fallback = self._safeguard.stop(ego, seen) if ego.valid else None
        return Refusal(ego.stamp_ns, reason, detail, fallback)
