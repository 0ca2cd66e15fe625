"""What a car's recording says about how it came to its plans, beside the plans: which pictures each
set had, and which motion, memory and intent they were perceived by. Plans alone do not say it of
anchors that were perceived and then not planned, and later plans remember those.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from irl_vla.bag.bag import read_values
from irl_vla.messages.messages import stamp_ns
from irl_vla.messages.plan_messages import intent_from_message
from irl_vla.types import Intent, Schedule

FRAMES_TYPE = "irl_vla_msgs/msg/FrameSet"
TOKENS_TYPE = "irl_vla_msgs/msg/TokensHandle"


@dataclass(frozen=True)
class RecordedInputs:
    """One anchor of a drive. cameras: that it had; schedule, intent: that it was perceived by; each
    None where the recording does not say."""

    cameras: tuple[str, ...] | None = None
    schedule: Schedule | None = None
    intent: Intent | None = None


def read_recorded_inputs(path: Path | str, seed: int) -> dict[int, RecordedInputs]:
    """By anchor stamp; nothing for a recording that is not a car's. seed: of the drive. Raises
    InputError where a message cannot be read."""
    driven = {
        stamp: RecordedInputs(cameras=cameras)
        for stamp, cameras in read_values(Path(path), FRAMES_TYPE, _cameras)
    }
    for stamp, schedule, intent in read_values(Path(path), TOKENS_TYPE, _perceived):
        before = driven.get(stamp, RecordedInputs())
        driven[stamp] = replace(before, schedule=replace(schedule, seed=seed), intent=intent)
    return driven


def _cameras(message: Any) -> tuple[int, tuple[str, ...]]:
    return stamp_ns(message.header.stamp), tuple(message.cameras)


def _perceived(message: Any) -> tuple[int, Schedule, Intent]:
    stamp = stamp_ns(message.header.stamp)
    memory = int(message.memory_stamp_ns) if message.has_memory else None
    motion = int(message.ego.measured_ns)
    schedule = Schedule(stamp, motion, memory, None, int(message.epoch), 0)
    return stamp, schedule, intent_from_message(message.intent)
