"""What a car's recording says about how it came to its plans, beside the plans: which pictures each
set had, and which motion, memory and intent they were perceived by. Plans alone do not say it of
anchors that were perceived and then not planned, and later plans remember those.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from irl_vla.bag.bag import read_values
from irl_vla.camera.rig import Rig
from irl_vla.messages.messages import stamp_ns
from irl_vla.messages.plan_messages import intent_from_message
from irl_vla.types import Intent, Schedule

FRAMES_TYPE = "irl_vla_msgs/msg/FrameSet"
TOKENS_TYPE = "irl_vla_msgs/msg/TokensHandle"


@dataclass(frozen=True)
class RecordedInputs:
    """One anchor of a drive. cameras: that it had, in the order of the car's rig; schedule, intent:
    that it was perceived by; each None where the recording does not say. missing: cameras that it
    lacked
    """

    cameras: tuple[str, ...] | None = None
    missing: tuple[str, ...] = ()
    schedule: Schedule | None = None
    intent: Intent | None = None


def read_recorded_inputs(path: Path | str, seed: int) -> dict[int, RecordedInputs]:
    """By anchor stamp; nothing for a recording that is not a car's. seed: of the drive. Raises
    InputError where a message cannot be read."""
    driven = {
        stamp: RecordedInputs(cameras, missing)
        for stamp, cameras, missing in read_values(Path(path), FRAMES_TYPE, _cameras)
    }
    for stamp, schedule, intent in read_values(Path(path), TOKENS_TYPE, _perceived):
        before = driven.get(stamp, RecordedInputs())
        driven[stamp] = replace(before, schedule=replace(schedule, seed=seed), intent=intent)
    return driven


def rig_as_driven(rig: Rig, driven: Mapping[int, RecordedInputs]) -> Rig:
    """The rig with the cameras of the drive in their order, which sums over cameras depend on; the
    rig as it is where the recording does not say."""
    sets = [entry for entry in driven.values() if entry.cameras is not None]
    if not sets:
        return rig
    whole = max(sets, key=lambda entry: len(entry.cameras or ()))
    order = [name for name in (*(whole.cameras or ()), *whole.missing) if name in rig.names]
    return replace(rig, cameras=tuple(rig.camera(name) for name in order)) if order else rig


def _cameras(message: Any) -> tuple[int, tuple[str, ...], tuple[str, ...]]:
    stamp = stamp_ns(message.header.stamp)
    return stamp, tuple(message.cameras), tuple(message.missing_cameras)


def _perceived(message: Any) -> tuple[int, Schedule, Intent]:
    stamp = stamp_ns(message.header.stamp)
    memory = int(message.memory_stamp_ns) if message.has_memory else None
    motion = int(message.ego.measured_ns)
    schedule = Schedule(stamp, motion, memory, None, int(message.epoch), 0)
    return stamp, schedule, intent_from_message(message.intent)
