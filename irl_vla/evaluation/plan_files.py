"""What a replay writes: `plans.jsonl` (byte-identical for equal inputs) and `summary.json`."""

from __future__ import annotations

import json
from array import array
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from irl_vla.drive.step import Step
from irl_vla.types import Fallback, Plan


def plan_line(step: Step) -> str:
    """One anchor as one line of JSON. Holds no timings and no paths: equal inputs, equal bytes."""
    outcome = step.outcome
    record: dict[str, Any] = {
        "anchor_stamp_ns": outcome.anchor_stamp_ns,
        "outcome": "plan" if isinstance(outcome, Plan) else "refusal",
        "reason": outcome.reason.value,
        "detail": outcome.detail,
        "cameras": sorted(step.frames.images),
        "missing": dict(sorted(step.frames.missing.items())),
        "intent": step.intent.direction.value,
        "ego": {
            "speed_m_s": float(step.ego.velocity[0]),
            "yaw_rate_rad_s": step.ego.yaw_rate,
            "valid": step.ego.valid,
            "source": step.ego.source,
        },
    }
    record |= _plan(outcome) if isinstance(outcome, Plan) else {}
    record["fallback"] = _fallback(outcome.fallback)
    return json.dumps(record, separators=(",", ":"))


def _plan(plan: Plan) -> dict[str, Any]:
    return {
        "step_s": plan.trajectory.step_s,
        "poses": plan.trajectory.poses.tolist(),
        "chosen": plan.chosen,
        "candidates": _finite(plan.candidates.poses.tolist()),
        "confidence": _finite(plan.candidates.confidence.tolist()),
        "rejected": [asdict(rejection) for rejection in plan.rejected],
        "checked_until_m": plan.checked_until_m,
        "schedule": asdict(plan.schedule),
        "bundle_id": plan.bundle_id,
        "model": asdict(plan.model),
    }


def _fallback(fallback: Fallback | None) -> dict[str, Any] | None:
    if fallback is None:
        return None
    return {
        "path": fallback.path.tolist(),
        "braking_m_s2": fallback.braking,
        "poses": fallback.trajectory.poses.tolist(),
        "checked_until_m": fallback.checked_until_m,
        "reason": fallback.reason.value,
        "detail": fallback.detail,
    }


def _finite(values: Any) -> Any:
    """JSON knows no NaN: a candidate that is not a number is written as null."""
    if isinstance(values, list):
        return [_finite(value) for value in values]
    return values if np.isfinite(values) else None


@dataclass
class Tally:
    """Counts and times of a replay, a few bytes per anchor."""

    plans: Counter[str] = field(default_factory=Counter)
    refusals: Counter[str] = field(default_factory=Counter)
    missing: Counter[str] = field(default_factory=Counter)
    timings_ms: dict[str, array[float]] = field(default_factory=dict)

    def add(self, step: Step) -> None:
        """Count one anchor."""
        outcome = step.outcome
        kind = self.plans if isinstance(outcome, Plan) else self.refusals
        kind[outcome.reason.value] += 1
        for camera, why in step.frames.missing.items():
            self.missing[f"{camera}: {why.split(':')[0]}"] += 1
        for stage, ms in step.timings_ms.items():
            self.timings_ms.setdefault(stage, array("d")).append(ms)

    @property
    def frames(self) -> int:
        """Anchors so far."""
        return sum(self.plans.values()) + sum(self.refusals.values())

    def summary(self, facts: Mapping[str, Any]) -> dict[str, Any]:
        """The content of summary.json; `facts` come first."""
        planned, refused = sum(self.plans.values()), sum(self.refusals.values())
        return {
            **facts,
            "frames": self.frames,
            "plans": planned,
            "plans_by_reason": dict(self.plans),
            "refusals": refused,
            "refusals_by_reason": dict(self.refusals),
            "missing_cameras": dict(self.missing),
            "latency_ms": {stage: _percentiles(ms) for stage, ms in self.timings_ms.items()},
        }


def _percentiles(values: array[float]) -> dict[str, float]:
    p50, p90, p99 = np.percentile(np.frombuffer(values), [50, 90, 99])
    return {"p50": float(p50), "p90": float(p90), "p99": float(p99)}
