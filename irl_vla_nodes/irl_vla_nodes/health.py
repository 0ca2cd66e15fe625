"""What /diagnostics says: each camera, the graph's pace, who drives. No ROS here.

Levels are those of diagnostic_msgs/DiagnosticStatus.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from irl_vla.messages.messages import header, new
from irl_vla_nodes.convert import FramesHandle
from irl_vla_nodes.watchdog import ControlAuthority, Watchdog

OK, WARN, ERROR, STALE = 0, 1, 2, 3
WINDOW = 100  # frame sets that shares and percentiles speak of
SILENT_S = 1.0  # without a frame set for so long the cameras are gone
MISSED_SHARE = 0.1  # of the last sets: more is a warning
HARDWARE_ID = "irl_vla"


@dataclass(frozen=True)
class Status:
    """One line of /diagnostics."""

    name: str
    level: int
    message: str
    values: Mapping[str, str] = field(default_factory=dict)


class Health:
    """Counts what goes by. Times are in seconds of a clock that never jumps.

    namespace: of the node, so that two cars on one network have lines of their own
    """

    def __init__(self, cameras: Sequence[str], namespace: str = "/") -> None:
        self.cameras = tuple(cameras)
        self._title = f"{namespace.strip('/')}/{HARDWARE_ID}".strip("/")
        self.sets = self.plans = 0
        self.refusals: Counter[str] = Counter()
        self.bundle_id, self.epoch, self.last_refusal = "", 0, ""
        self._recent: deque[Mapping[str, str]] = deque(maxlen=WINDOW)  # missing, by set
        self._ages_ms: deque[float] = deque(maxlen=WINDOW)
        self._stages: dict[str, float] = {}
        self._heard_s: float | None = None

    def take_frames(self, value: FramesHandle, heard_s: float) -> None:
        """A frame set went by."""
        self.sets += 1
        self._heard_s = heard_s
        self._recent.append(value.missing)
        new_names = [n for n in (*value.stamps_ns, *value.missing) if n not in self.cameras]
        self.cameras = (*self.cameras, *new_names)

    def take_plan(self, bundle_id: str, epoch: int, stages_ms: Mapping[str, float]) -> None:
        """A plan went by."""
        self.plans += 1
        self.bundle_id, self.epoch, self._stages = bundle_id, epoch, dict(stages_ms)
        self._ages_ms.append(stages_ms.get("age at publication", float("nan")))

    def take_refusal(self, reason: str, detail: str) -> None:
        """A refusal went by."""
        self.refusals[reason] += 1
        self.last_refusal = f"{reason}: {detail}"

    def statuses(self, watchdog: Watchdog, now_s: float) -> list[Status]:
        """Everything, now."""
        return [*(self._camera(name, now_s) for name in self.cameras), self._graph(now_s),
                self._wheel(watchdog)]  # fmt: skip

    def _camera(self, name: str, now_s: float) -> Status:
        title = f"{self._title}: camera {name}"
        if self._heard_s is None:
            return Status(title, STALE, "no frame set so far")
        silent = now_s - self._heard_s
        if silent > SILENT_S:
            return Status(title, ERROR, f"no frame set for {silent:.1f} s")
        missed = sum(name in missing for missing in self._recent)
        share = missed / len(self._recent)
        values = {"missing in the last sets": f"{missed} of {len(self._recent)}"}
        reason = self._recent[-1].get(name)
        if reason is not None:
            return Status(title, ERROR, reason, values)
        level = WARN if share > MISSED_SHARE else OK
        return Status(title, level, "delivers" if level == OK else "delivers, with gaps", values)

    def _graph(self, now_s: float) -> Status:
        refused = sum(self.refusals.values())
        skipped = max(self.sets - self.plans - refused, 0)
        ages = np.array(self._ages_ms) if self._ages_ms else np.full(1, np.nan)
        values = {
            "frame sets": str(self.sets), "plans": str(self.plans), "refusals": str(refused),
            "skipped, latest only": str(skipped),
            "age at publication p50 [ms]": f"{np.median(ages):.1f}",
            "age at publication p99 [ms]": f"{np.percentile(ages, 99):.1f}",
            "bundle": self.bundle_id[:12], "epoch": str(self.epoch),
            "last refusal": self.last_refusal,
            **{f"refused: {name}": str(count) for name, count in self.refusals.items()},
            **{f"{stage} [ms]": f"{ms:.1f}" for stage, ms in self._stages.items()},
        }  # fmt: skip
        silent = self._heard_s is None or now_s - self._heard_s > SILENT_S
        if silent:
            return Status(f"{self._title}: graph", ERROR, "no frame sets", values)
        bad = refused > 0 and refused >= self.plans * MISSED_SHARE
        text = self.last_refusal if bad else "plans"
        return Status(f"{self._title}: graph", WARN if bad else OK, text, values)

    def _wheel(self, watchdog: Watchdog) -> Status:
        level = {
            ControlAuthority.PLANNER: OK,
            ControlAuthority.NOBODY: WARN,
            ControlAuthority.STOP: ERROR,
        }[watchdog.authority]
        values = {"stops": str(watchdog.stops), "last plan not taken": watchdog.rejected}
        return Status(f"{self._title}: control authority", level, watchdog.authority.value, values)


def diagnostics_message(statuses: Sequence[Status], now_ns: int) -> Any:
    """Statuses -> diagnostic_msgs/DiagnosticArray."""
    return new(
        "diagnostic_msgs/msg/DiagnosticArray",
        header=header(max(now_ns, 0), ""),
        status=[
            new(
                "diagnostic_msgs/msg/DiagnosticStatus",
                level=status.level, name=status.name, message=status.message,
                hardware_id=HARDWARE_ID,
                values=[
                    new("diagnostic_msgs/msg/KeyValue", key=key, value=value)
                    for key, value in status.values.items()
                ],
            )
            for status in statuses
        ],
    )  # fmt: skip
