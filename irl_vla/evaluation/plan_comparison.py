"""New plans against those of an earlier replay: has the driving changed?"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import zip_longest
from pathlib import Path
from typing import Any

import numpy as np

from irl_vla.foreign import parse_json
from irl_vla.frames import wrap_angle
from irl_vla.types import F64, InputError

PLANS = "plans.jsonl"


@dataclass
class PlanDifference:
    """How far two replays of one recording differ.

    metres, radians: the largest difference between poses of plans for the same anchor
    changed: anchors whose outcome differs, as sentences
    """

    anchors: int = 0
    metres: float = 0.0
    radians: float = 0.0
    worst_ns: int | None = None
    changed: list[str] = field(default_factory=list)

    def exceeds(self, tolerance_m: float, tolerance_rad: float) -> bool:
        """Whether the driving has changed by more than is tolerated."""
        return bool(self.changed) or self.metres > tolerance_m or self.radians > tolerance_rad


def compare_plans(new: Path, reference: Path) -> PlanDifference:
    """Line by line; both files are streamed. Raises InputError where one cannot be read."""
    drift = PlanDifference()
    for ours, theirs in zip_longest(_lines(new), _lines(reference)):
        drift.anchors += 1
        if ours is None or theirs is None:
            stamp = (ours or theirs)["anchor_stamp_ns"]
            side = "only in the reference" if ours is None else "not in the reference"
            drift.changed.append(f"anchor {stamp}: {side}")
            continue
        _compare(ours, theirs, drift)
    return drift


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    try:
        with path.open(encoding="utf-8") as file:
            for number, line in enumerate(file, 1):
                record = parse_json(line, f"{path}, line {number}")
                if not isinstance(record, dict) or "anchor_stamp_ns" not in record:
                    raise InputError(f"{path}, line {number}: not a plan of `irl-vla replay`")
                yield record
    except OSError as error:
        raise InputError(
            f"{path}: cannot be read: {error.strerror}. Give the --out folder of an earlier replay"
        ) from None
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: not a plans.jsonl: {error}") from None


def _compare(ours: dict[str, Any], theirs: dict[str, Any], drift: PlanDifference) -> None:
    stamp = ours["anchor_stamp_ns"]
    for key in ("anchor_stamp_ns", "outcome", "reason"):
        if ours[key] != theirs[key]:
            drift.changed.append(f"anchor {stamp}: {key} was {theirs[key]}, is {ours[key]}")
            return
    if ours["outcome"] != "plan":
        return
    add_difference(drift, stamp, np.array(ours["poses"]), np.array(theirs["poses"]))


def add_difference(drift: PlanDifference, stamp: int, first: F64, second: F64) -> None:
    """Count in the new and the earlier poses (T, 3) of one anchor."""
    if first.shape != second.shape:
        drift.changed.append(f"anchor {stamp}: poses were {second.shape}, are {first.shape}")
        return
    metres = float(np.hypot(*(first - second)[:, :2].T).max())
    radians = float(np.abs(wrap_angle(first[:, 2] - second[:, 2])).max())
    if metres > drift.metres or radians > drift.radians:
        drift.worst_ns = stamp
    drift.metres, drift.radians = max(metres, drift.metres), max(radians, drift.radians)
