"""The values of a NAVSIM window: frames at 2 Hz, what was seen, what came after.

Global poses are UTM metres and must stay float64: a northing of 4.7e6 in float32 is half a metre
off. Headings are radians. Times are microseconds, as in the files; they jitter by a millisecond.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from irl_vla.frames import principal_angle
from irl_vla.types import F32, F64, Intent, IntentDirection

FRAME_S = 0.5  # [s] nominal time between frames
COMMANDS = (  # one-hot order of `driving_command`
    IntentDirection.LEFT,
    IntentDirection.STRAIGHT,
    IntentDirection.RIGHT,
    IntentDirection.UNKNOWN,
)


class ObjectType(str, Enum):
    """Classes of annotated things, in the order in which nuPlan numbers and sorts them."""

    VEHICLE = "vehicle"
    PEDESTRIAN = "pedestrian"
    BICYCLE = "bicycle"
    TRAFFIC_CONE = "traffic_cone"
    BARRIER = "barrier"
    CZONE_SIGN = "czone_sign"
    GENERIC_OBJECT = "generic_object"


OBJECT_TYPES = tuple(kind.value for kind in ObjectType)
MOVING_TYPES = OBJECT_TYPES[:3]  # the others carry no velocity


@dataclass(frozen=True)
class Annotations:
    """Boxes of one frame, ego frame.

    boxes: (n, 7) x y z of the centre, length, width, height, yaw, NOT wrapped (-2pi..2pi)
    velocities: (n, 3) over ground, ego axes [m/s]
    """

    boxes: F64
    names: tuple[str, ...]
    velocities: F64
    track_tokens: tuple[str, ...]
    instance_tokens: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.boxes)


@dataclass(frozen=True)
class LogFrame:
    """One moment of a log or of a follow-up.

    pose: (3,) x, y, heading of the rear axle, global, float64
    velocity, acceleration: (2,) forward and left, rear axle, float32 as the devkit keeps them
    traffic_lights: (lane connector, is red); only the listed connectors are known
    annotations: None where the file has none (test splits of early downloads)
    cameras: lower-case name -> what the file says of it; empty where a camera is missing
    where: file and index, for errors
    """

    token: str
    timestamp_us: int
    pose: F64
    velocity: F32
    acceleration: F32
    command: NDArray[np.int64]
    roadblock_ids: tuple[str, ...]
    traffic_lights: tuple[tuple[int, bool], ...]
    annotations: Annotations | None
    cameras: Mapping[str, Mapping[str, Any]]
    where: str

    @property
    def intent(self) -> Intent:
        """The driving command as our Intent; an all-zero command is UNKNOWN."""
        chosen = np.flatnonzero(self.command)
        direction = COMMANDS[int(chosen[0])] if len(chosen) else IntentDirection.UNKNOWN
        return Intent(direction, stamp_ns=self.timestamp_us * 1000)


@dataclass(frozen=True)
class Metadata:
    """Where a window comes from. The last two are set for follow-ups only."""

    log_name: str
    scene_token: str
    map_name: str
    initial_token: str
    num_history_frames: int
    num_future_frames: int
    corresponding_original_scene: str | None = None
    corresponding_original_initial_token: str | None = None


@dataclass(frozen=True)
class TrackedObjects:
    """Boxes of one moment, global frame, sorted by type (stable).

    states: (n, 5) x, y, heading of the centre, vx, vy (0 for static types); sizes: (n, 3) l w h
    """

    tokens: tuple[str, ...]
    types: tuple[str, ...]
    states: F64
    sizes: F64


@dataclass(frozen=True)
class FollowUpFuture:
    """What a follow-up knows after its last frame, one entry per 0.5 s."""

    detections: tuple[TrackedObjects, ...]
    traffic_lights: tuple[tuple[tuple[int, bool], ...], ...]


@dataclass(frozen=True)
class AgentInput:
    """What a planner may see of the past: H entries, the last one is now.

    poses: (H, 3) relative to the rear axle now; float32 for logs, float64 for follow-ups
    """

    poses: NDArray[np.floating[Any]]
    velocities: F32
    accelerations: F32
    commands: NDArray[np.int64]

    @property
    def intent(self) -> Intent:
        """Where navigation wants to go now."""
        chosen = np.flatnonzero(self.commands[-1])
        return Intent(COMMANDS[int(chosen[0])] if len(chosen) else IntentDirection.UNKNOWN)


@dataclass(frozen=True)
class SceneWindow:
    """H frames of history (the last one is the current one) and F of future.

    future: set for follow-ups, whose frames end now
    """

    metadata: Metadata
    frames: tuple[LogFrame, ...]
    future: FollowUpFuture | None = None

    @property
    def token(self) -> str:
        return self.metadata.initial_token

    @property
    def is_follow_up(self) -> bool:
        """Follow-ups are told by their 17 digits, as the devkit does it."""
        return len(self.token) == 17

    @property
    def now(self) -> LogFrame:
        return self.frames[self.metadata.num_history_frames - 1]

    @property
    def history(self) -> tuple[LogFrame, ...]:
        return self.frames[: self.metadata.num_history_frames]

    def agent_input(self) -> AgentInput:
        """The past as the devkit hands it to an agent."""
        past = self.history
        poses = relative_poses(self.now.pose, np.array([frame.pose for frame in past]))
        # Logged poses are rounded to float32, those of follow-ups are not.
        return AgentInput(
            poses if self.is_follow_up else poses.astype(np.float32),
            np.array([frame.velocity for frame in past]),
            np.array([frame.acceleration for frame in past]),
            np.array([frame.command for frame in past]),
        )

    def human_trajectory(self, poses: int | None = None) -> F64:
        """(poses, 3) what the human drove, ego frame, 0.5 s apart; all future frames if None."""
        start = self.metadata.num_history_frames
        stop = len(self.frames) if poses is None else start + poses
        future = np.array([frame.pose for frame in self.frames[start:stop]]).reshape(-1, 3)
        return relative_poses(self.now.pose, future)


def relative_poses(origin: F64, poses: F64) -> F64:
    """(n, 3) global poses seen from `origin` (3,); the heading difference is in (-pi, pi]."""
    difference = poses - origin
    cos, sin = np.cos(-origin[2]), np.sin(-origin[2])
    relative = np.empty_like(difference)
    relative[:, 0] = difference[:, 0] * cos - difference[:, 1] * sin
    relative[:, 1] = difference[:, 0] * sin + difference[:, 1] * cos
    relative[:, 2] = principal_angle(difference[:, 2])
    return relative
