"""irl_vla_msgs without ROS: pairs `x_to_message` and `x_from_message` that give back the same x.

Nothing is rounded on the way: poses are float64, stamps int64, meta tokens the bits of float16.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields
from enum import Enum
from typing import Any, TypeVar

import numpy as np

from irl_vla.messages.messages import header, new, stamp_ns
from irl_vla.types import (
    F64,
    Candidates,
    Command,
    Fallback,
    GraphRecord,
    InputError,
    Intent,
    IntentDirection,
    Meta,
    ModelRecord,
    Plan,
    PlanReason,
    Rejection,
    Schedule,
    StopReason,
    Trajectory,
)

NO_CHOICE = -1  # Plan.chosen of a stop
FALLBACK = "irl_vla_msgs/msg/Fallback"
R = TypeVar("R", bound=Enum)
DIRECTIONS = (  # in the order of the constants of Intent.msg
    IntentDirection.UNKNOWN,
    IntentDirection.LEFT,
    IntentDirection.STRAIGHT,
    IntentDirection.RIGHT,
)


def plan_to_message(
    plan: Plan,
    frame_id: str,
    latencies_ms: Mapping[str, float] | None = None,
    sub_scores: Mapping[str, Sequence[float]] | None = None,
) -> Any:
    """Plan -> irl_vla_msgs/Plan. latencies_ms: by stage; sub_scores: by name, one per candidate."""
    scores = sub_scores or {}
    return new(
        "irl_vla_msgs/msg/Plan",
        header=header(plan.anchor_stamp_ns, frame_id),
        poses=_flat(plan.trajectory.poses),
        step_s=float(plan.trajectory.step_s),
        candidates=[
            new(
                "irl_vla_msgs/msg/Candidate",
                poses=_flat(poses),
                confidence=float(plan.candidates.confidence[index]),
                sub_scores=np.array([values[index] for values in scores.values()], np.float32),
            )
            for index, poses in enumerate(plan.candidates.poses)
        ],
        candidate_length=plan.candidates.poses.shape[1],
        candidate_step_s=float(plan.candidates.step_s),
        sub_score_names=list(scores),
        chosen=NO_CHOICE if plan.chosen is None else plan.chosen,
        reason=plan.reason.value,
        detail=plan.detail,
        rejected=[
            new(
                "irl_vla_msgs/msg/Rejection",
                candidate=entry.candidate, reason=entry.reason, detail=entry.detail,
            )
            for entry in plan.rejected
        ],
        checked_until_m=float(plan.checked_until_m),
        fallback=fallback_to_message(plan.fallback),
        schedule=_schedule_to_message(plan.schedule),
        bundle_id=plan.bundle_id,
        weights_id=plan.model.weights_id,
        graphs=graphs_to_message(plan.model.graphs),
        latencies=[
            new("irl_vla_msgs/msg/StageLatency", stage=stage, milliseconds=float(value))
            for stage, value in (latencies_ms or {}).items()
        ],
    )  # fmt: skip


def plan_from_message(message: Any) -> Plan:
    """irl_vla_msgs/Plan -> Plan. Raises InputError for numbers that are no plan."""
    length = int(message.candidate_length)
    poses = [_poses(candidate.poses) for candidate in message.candidates]
    if any(len(one) != length for one in poses):
        raise InputError(f"plan: candidates differ in length, expected {length} poses each")
    return Plan(
        anchor_stamp_ns=stamp_ns(message.header.stamp),
        trajectory=Trajectory(_poses(message.poses), float(message.step_s)),
        candidates=Candidates(
            np.array(poses, np.float64).reshape(-1, length, 3),
            np.array([float(one.confidence) for one in message.candidates], np.float64),
            float(message.candidate_step_s),
        ),
        chosen=None if message.chosen == NO_CHOICE else int(message.chosen),
        reason=_reason(PlanReason, message.reason, "plan"),
        detail=str(message.detail),
        rejected=tuple(
            Rejection(int(one.candidate), str(one.reason), str(one.detail))
            for one in message.rejected
        ),
        checked_until_m=float(message.checked_until_m),
        schedule=_schedule_from_message(message.schedule),
        bundle_id=str(message.bundle_id),
        fallback=fallback_from_message(message.fallback),
        model=ModelRecord(str(message.weights_id), graphs_from_message(message.graphs)),
    )


def graphs_to_message(graphs: Sequence[GraphRecord]) -> list[Any]:
    """GraphRecord -> irl_vla_msgs/GraphRecord[]."""
    return [new("irl_vla_msgs/msg/GraphRecord", **asdict(record)) for record in graphs]


def graphs_from_message(graphs: Any) -> tuple[GraphRecord, ...]:
    """And back."""
    names = [entry.name for entry in fields(GraphRecord)]
    return tuple(GraphRecord(*(str(getattr(one, name)) for name in names)) for one in graphs)


def fallback_to_message(fallback: Fallback | None) -> Any:
    """Fallback -> irl_vla_msgs/Fallback; an empty one for None."""
    if fallback is None:
        none = np.zeros(0)
        fields = {"path": none, "poses": none, "reason": "", "detail": ""}
        return new(FALLBACK, **fields, braking=0.0, step_s=0.0, checked_until_m=0.0)
    return new(
        FALLBACK,
        path=_flat(fallback.path),
        braking=float(fallback.braking),
        poses=_flat(fallback.trajectory.poses),
        step_s=float(fallback.trajectory.step_s),
        checked_until_m=float(fallback.checked_until_m),
        reason=fallback.reason.value,
        detail=fallback.detail,
    )


def fallback_from_message(message: Any) -> Fallback:
    """irl_vla_msgs/Fallback -> Fallback. Raises InputError for numbers that are no stop."""
    path, braking = _poses(message.path), float(message.braking)
    trajectory = Trajectory(_poses(message.poses), float(message.step_s))
    good = len(path) and np.isfinite(path).all() and np.isfinite(trajectory.poses).all()
    if not good or not 0.0 < braking < np.inf:
        raise InputError(
            f"fallback: expected finite poses and a positive braking, got {len(path)} poses of a "
            f"path and {braking} m/s^2"
        )
    reason = _reason(StopReason, message.reason, "fallback")
    until_m = float(message.checked_until_m)
    return Fallback(path, braking, trajectory, until_m, reason, str(message.detail))


def _reason(kind: type[R], text: str, where: str) -> R:
    known = [reason.value for reason in kind]
    if text not in known:
        raise InputError(f"{where}: reason '{text}', expected one of {', '.join(known)}")
    return kind(text)


def _schedule_to_message(schedule: Schedule) -> Any:
    return new(
        "irl_vla_msgs/msg/Schedule",
        tokens_stamp_ns=schedule.tokens_stamp_ns,
        motion_stamp_ns=schedule.motion_stamp_ns,
        has_memory=schedule.memory_stamp_ns is not None,
        memory_stamp_ns=schedule.memory_stamp_ns or 0,
        has_command=schedule.command_stamp_ns is not None,
        command_stamp_ns=schedule.command_stamp_ns or 0,
        epoch=schedule.epoch,
        seed=schedule.seed,
        fallback_until_s=float(schedule.fallback_until_s),
    )


def _schedule_from_message(message: Any) -> Schedule:
    return Schedule(
        tokens_stamp_ns=int(message.tokens_stamp_ns),
        motion_stamp_ns=int(message.motion_stamp_ns),
        memory_stamp_ns=int(message.memory_stamp_ns) if message.has_memory else None,
        command_stamp_ns=int(message.command_stamp_ns) if message.has_command else None,
        epoch=int(message.epoch),
        seed=int(message.seed),
        fallback_until_s=float(message.fallback_until_s),
    )


def intent_to_message(intent: Intent, frame_id: str) -> Any:
    """Intent -> irl_vla_msgs/Intent."""
    route = np.zeros((0, 2)) if intent.route is None else intent.route
    return new(
        "irl_vla_msgs/msg/Intent",
        header=header(intent.stamp_ns, frame_id),
        direction=DIRECTIONS.index(intent.direction),
        has_route=intent.route is not None,
        route_x=np.array(route[:, 0], np.float64),
        route_y=np.array(route[:, 1], np.float64),
    )


def intent_from_message(message: Any) -> Intent:
    """irl_vla_msgs/Intent -> Intent. Raises InputError for a direction that does not exist."""
    if message.direction >= len(DIRECTIONS):
        raise InputError(f"intent: direction {message.direction}, expected 0 to 3")
    route = None
    if message.has_route:
        if len(message.route_x) != len(message.route_y):
            raise InputError("intent: route_x and route_y differ in length")
        route = np.stack([message.route_x, message.route_y], axis=-1).astype(np.float64)
        if not np.all(np.isfinite(route)):
            raise InputError("intent: the route has numbers that are not finite")
    return Intent(DIRECTIONS[message.direction], route, stamp_ns(message.header.stamp))


def command_to_message(command: Command, frame_id: str) -> Any:
    """Command -> irl_vla_msgs/DrivingCommand."""
    meta = command.meta
    tokens = np.zeros((0, 0), np.float16) if meta is None else meta.tokens
    return new(
        "irl_vla_msgs/msg/DrivingCommand",
        header=header(command.stamp_ns, frame_id),
        valid_until_ns=command.valid_until_ns,
        model_id=command.model_id,
        speed=np.zeros(0, np.float32) if command.speed is None else command.speed,
        path=np.zeros(0, np.float32) if command.path is None else command.path,
        meta_width=0 if meta is None else tokens.shape[1],
        meta_tokens=np.ascontiguousarray(tokens).view(np.uint16).reshape(-1),
        meta_valid=np.zeros(0, np.bool_) if meta is None else meta.valid,
        meta_epoch=0 if meta is None else meta.epoch,
    )


def command_from_message(message: Any) -> Command:
    """irl_vla_msgs/DrivingCommand -> Command. Raises InputError where sizes do not fit."""
    meta, width = None, int(message.meta_width)
    if width:
        if len(message.meta_tokens) != width * len(message.meta_valid):
            raise InputError(f"command: {len(message.meta_tokens)} meta numbers for {width} wide")
        tokens = np.array(message.meta_tokens, np.uint16).view(np.float16).reshape(-1, width)
        valid = np.array(message.meta_valid, np.bool_)
        meta = Meta(tokens, valid, int(message.meta_epoch))
    return Command(
        stamp_ns(message.header.stamp),
        int(message.valid_until_ns),
        str(message.model_id),
        np.array(message.speed, np.float32) if len(message.speed) else None,
        np.array(message.path, np.float32) if len(message.path) else None,
        meta,
    )


def _flat(poses: F64) -> F64:
    return np.ascontiguousarray(poses, np.float64).reshape(-1)


def _poses(numbers: Any) -> F64:
    flat = np.array(numbers, np.float64)
    if len(flat) % 3:
        raise InputError(f"plan: {len(flat)} numbers are no poses of 3")
    return flat.reshape(-1, 3)
