"""What /diagnostics says of the graph: each camera, the pace, who drives. No ROS here.

It tells the present: rates, shares and reasons are those of the last ten seconds.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from irl_vla_nodes.convert import FramesHandle
from irl_vla_nodes.diagnostics import ERROR, OK, STALE, WARN, Status, counted, title
from irl_vla_nodes.watchdog import ControlAuthority, Watchdog

WINDOW_S = 10.0  # that everything speaks of
SILENT_S = 1.0  # without a frame set for so long the cameras are gone
MISSED_SHARE = 0.1  # of the sets: more is a warning,
LOST_SHARE = 0.5  # and so much an error
SLOW_SHARE = 0.8  # of the expected rate: less is a warning


@dataclass(frozen=True)
class _Set:
    """A frame set. missing: camera -> reason"""

    at_s: float
    missing: Mapping[str, str]


@dataclass(frozen=True)
class _Outcome:
    """What came of a set. refusal: reason and detail, or None: a plan"""

    at_s: float
    age_ms: float
    refusal: tuple[str, str] | None


class Health:
    """Counts what goes by. Times are in seconds of a clock that runs evenly.

    namespace: of the node; period_s: between frame sets, as they are expected
    """

    def __init__(self, cameras: Sequence[str], namespace: str = "/", period_s: float = 0.1) -> None:
        self.cameras = tuple(cameras)
        self._namespace, self._expected_hz = namespace, 1.0 / period_s
        self.bundle_id, self.epoch = "", 0
        self._sets: deque[_Set] = deque()
        self._outcomes: deque[_Outcome] = deque()
        self._stages: dict[str, float] = {}
        self._begin_s: float | None = None
        self._heard_s: float | None = None

    def take_frames(self, value: FramesHandle, heard_s: float) -> None:
        """A frame set went by."""
        self._heard_s = heard_s
        self._begin_s = heard_s if self._begin_s is None else min(self._begin_s, heard_s)
        self._sets.append(_Set(heard_s, value.missing))
        _trim(self._sets, heard_s)
        new_names = [n for n in (*value.stamps_ns, *value.missing) if n not in self.cameras]
        self.cameras = (*self.cameras, *new_names)

    def take_plan(
        self, bundle_id: str, epoch: int, stages_ms: Mapping[str, float], heard_s: float
    ) -> None:
        """A plan went by."""
        self.bundle_id, self.epoch, self._stages = bundle_id, epoch, dict(stages_ms)
        age_ms = stages_ms.get("age at publication", float("nan"))
        self._take(_Outcome(heard_s, age_ms, None))

    def take_refusal(self, reason: str, detail: str, heard_s: float) -> None:
        """A refusal went by."""
        self._take(_Outcome(heard_s, float("nan"), (reason, detail)))

    def _take(self, outcome: _Outcome) -> None:
        self._outcomes.append(outcome)
        _trim(self._outcomes, outcome.at_s)

    def statuses(
        self, watchdog: Watchdog, now_s: float, absent: Sequence[str] = ()
    ) -> list[Status]:
        """Everything, now. absent: nodes of this car that are not running."""
        _trim(self._sets, now_s)
        _trim(self._outcomes, now_s)
        cameras = [self._camera(name, now_s) for name in self.cameras]
        return [*cameras, self._graph(now_s), self._authority(watchdog), self._nodes(absent)]

    def _span_s(self, now_s: float) -> float:
        """Of the window, as far as it has gone by."""
        begin = now_s if self._begin_s is None else self._begin_s
        return min(max(now_s - begin, 1.0), WINDOW_S)

    def _camera(self, name: str, now_s: float) -> Status:
        line = title(self._namespace, f"camera {name}")
        if self._heard_s is None:
            return Status(line, STALE, "no frame set so far")
        silent = now_s - self._heard_s
        if silent > SILENT_S or not self._sets:
            return Status(line, ERROR, f"no frame set for {silent:.1f} s")
        reasons = [entry.missing[name] for entry in self._sets if name in entry.missing]
        missed = len(reasons)
        there = (len(self._sets) - missed) / self._span_s(now_s)
        values = {
            "missing in the last sets": f"{missed} of {len(self._sets)}",
            "pictures used [Hz]": f"{there:.1f}", "expected [Hz]": f"{self._expected_hz:.1f}",
            "reasons": counted([reason.split(":")[0] for reason in reasons]),
        }  # fmt: skip
        reason = self._sets[-1].missing.get(name)
        if reason is not None:
            return Status(line, ERROR, reason, values)
        if missed / len(self._sets) > MISSED_SHARE:
            return Status(line, WARN, f"delivers, with gaps: {values['reasons']}", values)
        return Status(line, OK, "delivers", values)

    def _graph(self, now_s: float) -> Status:
        line = title(self._namespace, "graph")
        refused = [o.refusal for o in self._outcomes if o.refusal is not None]
        plans = len(self._outcomes) - len(refused)
        skipped = max(len(self._sets) - len(self._outcomes), 0)
        span = self._span_s(now_s)
        found = [o.age_ms for o in self._outcomes if o.refusal is None]
        ages = np.array(found) if found else np.full(1, np.nan)
        reasons = counted([reason for reason, _ in refused])
        values = {
            "expected [Hz]": f"{self._expected_hz:.1f}",
            "frame sets [Hz]": f"{len(self._sets) / span:.1f}",
            "plans [Hz]": f"{plans / span:.1f}",
            "frame sets": str(len(self._sets)), "plans": str(plans),
            "refusals": str(len(refused)), "skipped, latest only": str(skipped),
            "age at publication p50 [ms]": f"{np.median(ages):.1f}",
            "age at publication p99 [ms]": f"{np.percentile(ages, 99):.1f}",
            "bundle": self.bundle_id[:12], "epoch": str(self.epoch), "refused": reasons,
            **{f"{stage} [ms]": f"{ms:.1f}" for stage, ms in self._stages.items()},
        }  # fmt: skip
        if self._heard_s is None or now_s - self._heard_s > SILENT_S or not self._sets:
            return Status(line, ERROR, "no frame sets", values)
        return Status(line, *self._pace(len(refused), skipped, reasons, span), values)

    def _pace(self, refused: int, skipped: int, reasons: str, span: float) -> tuple[int, str]:
        """Level and words of the last ten seconds."""
        sets = max(len(self._sets), 1)
        last = self._outcomes[-1].refusal if self._outcomes else None
        faults = []
        if refused / sets > MISSED_SHARE:
            faults.append(f"{refused / sets:.0%} refused: {reasons}")
        if skipped / sets > MISSED_SHARE:
            faults.append(f"{skipped / sets:.0%} of the frame sets skipped: too slow for them")
        rate = len(self._sets) / span
        if span >= WINDOW_S / 2 and rate < SLOW_SHARE * self._expected_hz:
            faults.append(f"{rate:.1f} frame sets a second, expected {self._expected_hz:.1f}")
        if not faults:
            return OK, "plans"
        if last is not None:
            faults.append(f"the last: {last[0]}: {last[1]}")
        lost = max(refused, skipped) / sets > LOST_SHARE
        return ERROR if lost else WARN, "; ".join(faults)

    def _authority(self, watchdog: Watchdog) -> Status:
        level = {
            ControlAuthority.PLANNER: OK,
            ControlAuthority.NOBODY: WARN,
            ControlAuthority.STOP: ERROR,
        }[watchdog.authority]
        text, why = watchdog.authority.value, watchdog.overload
        if why:
            level, text = max(level, WARN), f"{text}; {why}"
        values = {"stops": str(watchdog.stops), "last plan not taken": watchdog.rejected}
        return Status(title(self._namespace, "control authority"), level, text, values)

    def _nodes(self, absent: Sequence[str]) -> Status:
        line = title(self._namespace, "nodes")
        if absent:
            return Status(line, ERROR, f"not running: {', '.join(absent)}")
        return Status(line, OK, "all are running")


def _trim(entries: deque[_Set] | deque[_Outcome], now_s: float) -> None:
    """Forget what is older than the window, or of a time before the clock ran back."""
    while entries and not now_s - WINDOW_S <= entries[0].at_s <= now_s:
        entries.popleft()
