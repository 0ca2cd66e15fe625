"""Where the ego's motion comes from, and which of two facts about it counts."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class MotionKind(str, Enum):
    """What tells the ego's motion."""

    NONE = "none"
    ODOMETRY = "odometry"
    TF = "tf"
    POSE = "pose"
    FIX = "fix"
    TWIST = "twist"


class Trust(str, Enum):
    """Which part of a source counts: an odometry says where the ego is (poses) and how it moves
    (twist); where the two contradict each other, one of them."""

    BOTH = "both"
    POSES = "poses"
    TWIST = "twist"


@dataclass(frozen=True)
class MotionSource:
    """topic: the main one; twist, heading: topics that complete it, "" where none do.

    why: of `trust`, for people, "" where both parts count
    """

    kind: MotionKind = MotionKind.NONE
    topic: str = ""
    twist: str = ""
    heading: str = ""
    trust: Trust = Trust.BOTH
    why: str = ""

    def says(self) -> str:
        """For people, and the `source` of every measurement: "/pose + /twist"."""
        joined = " + ".join(part for part in (self.topic, self.heading, self.twist) if part)
        return f"{joined} ({self.why})" if self.why else joined
