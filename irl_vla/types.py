"""The values that travel between rooms; each carries its shape, unit and frame.

Frames (REP-103): x forward, y left, z up, metres, radians; the ego frame lies at the rear axle on
the ground.
Transforms are called `target_from_source`. Time is `int` nanoseconds everywhere.
May import: nothing of ours.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum

import numpy as np
from numpy.typing import NDArray

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]
U8 = NDArray[np.uint8]

HORIZON_POSES = 8  # poses of a plan
PLAN_DT_S = 0.5  # [s] between them: 4 s horizon
FALLBACK_UNTIL_S = 0.5  # [s after the anchor] a car at 10 Hz begins the fallback at the latest
SECOND_NS = 1_000_000_000


class InputError(ValueError):
    """What a user gave cannot be used. The text says what, where, expected, got, and what to do; of
    a longer one than LONGEST the middle is left out, whatever a file made of it."""

    LONGEST = 4000  # characters

    def __str__(self) -> str:
        text = super().__str__()
        half = self.LONGEST // 2
        return text if len(text) <= self.LONGEST else f"{text[:half]} [..] {text[-half:]}"


class IntentDirection(str, Enum):
    """Where navigation wants to go; absent navigation is UNKNOWN."""

    LEFT = "left"
    STRAIGHT = "straight"
    RIGHT = "right"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Intent:
    """What navigation asks for. It comes from outside and is never overridden.

    route: (n <= 20, 2) x forward, y left [m] in the ego frame at `stamp_ns`, or None
    """

    direction: IntentDirection = IntentDirection.UNKNOWN
    route: F64 | None = None
    stamp_ns: int = 0

    def __post_init__(self) -> None:
        if self.route is not None and (
            self.route.ndim != 2 or self.route.shape[1] != 2 or len(self.route) > 20
        ):
            raise InputError(f"intent route: expected shape (n <= 20, 2), got {self.route.shape}")


@dataclass(frozen=True)
class EgoStatus:
    """How the ego moves at `stamp_ns`, body frame at the rear axle.

    velocity: (2,) vx, vy [m/s]; acceleration: (2,) ax, ay [m/s^2]; yaw_rate [rad/s],
    counter-clockwise
    source: where the numbers come from, for example "/odom twist" or "tf differences, smoothed"
    measured_ns: stamp of the newest measurement that was used
    """

    stamp_ns: int
    velocity: F64
    acceleration: F64
    yaw_rate: float
    valid: bool
    source: str
    measured_ns: int = 0


@dataclass(frozen=True)
class EgoMotion:
    """One raw measurement of the ego: where it is and, if the source says so, how it moves.

    world_from_ego: (4, 4) [m]; the world is any fixed frame that is continuous over a few seconds
    twist: (3,) vx, vy [m/s], yaw rate [rad/s] in the ego frame, or None (then it is derived)
    source: for example "/odom" or "/tf map -> base_link"
    """

    stamp_ns: int
    world_from_ego: F64
    twist: F64 | None
    source: str


@dataclass(frozen=True)
class CameraImage:
    """One exposure: either `encoded` (a JPEG or PNG file as bytes) or `pixels` (height, width, 3)
    uint8 RGB."""

    camera: str
    stamp_ns: int
    encoded: bytes | None = None
    pixels: U8 | None = None

    def __post_init__(self) -> None:
        if (self.encoded is None) == (self.pixels is None):
            raise ValueError(f"camera image '{self.camera}': give either encoded bytes or pixels")


@dataclass(frozen=True)
class FrameSet:
    """At most one image per camera around one anchor stamp; `missing` names the reason for each
    absent camera."""

    anchor_stamp_ns: int
    images: Mapping[str, CameraImage]
    missing: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Boxes3D:
    """Upright boxes of known or detected things, ego frame at one stamp.

    centers: (n, 3) box centre [m]; sizes: (n, 3) length, width, height [m]; yaws: (n,) [rad]
    velocities: (n, 2) vx, vy over ground in ego axes [m/s], NaN where unknown; labels: n class
    names
    ids: n track names, stable over time, or empty
    """

    centers: F64
    sizes: F64
    yaws: F64
    velocities: F64
    labels: tuple[str, ...]
    ids: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.yaws)

    @staticmethod
    def empty() -> Boxes3D:
        """No boxes."""
        return Boxes3D(np.zeros((0, 3)), np.zeros((0, 3)), np.zeros(0), np.zeros((0, 2)), ())


@dataclass(frozen=True)
class GraphRecord:
    """Which file of a bundle computed something, and what ran it.

    graph: "camera", "bev", "planner", ..; variant: its precision, such as "fp32"
    onnx_sha256: of the graph's ONNX file, hexadecimal; backend: name and version of what ran it,
    such as "onnxruntime-cpu 1.31.1"
    """

    graph: str
    variant: str
    onnx_sha256: str
    backend: str


@dataclass(frozen=True)
class ModelRecord:
    """What a plan was computed by.

    weights_id: SHA-256 of what was learnt, whatever the precision; graphs: of all networks that
    took part, none for a policy without networks
    """

    weights_id: str = ""
    graphs: tuple[GraphRecord, ...] = ()

    def after(self, earlier: tuple[GraphRecord, ...]) -> ModelRecord:
        """With the graphs that made what this one read, in place of its own of these names."""
        made = {record.graph for record in earlier}
        own = tuple(record for record in self.graphs if record.graph not in made)
        return ModelRecord(self.weights_id, (*earlier, *own))


@dataclass(frozen=True)
class SceneTokens:
    """SceneTokens/2: what perception hands on, float16, cast once at the end of the graph.

    bev: (C, H, W); agents: (A, D) with boxes (A, 10) x y z l w h yaw vx vy score, agent_class (A,),
    agent_valid (A,)
    ego: (1, D); map: (M, D) with polylines (M, 20, 2), map_class (M,), map_valid (M,); seg: (7, h,
    w) classes of the ground
    Ego frame at `anchor_stamp_ns`. A policy without perception carries empty arrays (A = M = C =
    0).
    memory_stamp_ns: anchor of the BEV that was handed in as memory, or None
    computed_by: the networks that saw; none for a policy without perception
    closed: (1, h, w) how likely a red light closes the lane there; None from networks of
    SceneTokens/1, which do not say
    """

    anchor_stamp_ns: int
    epoch: int
    bev: NDArray[np.float16]
    agents: NDArray[np.float16]
    boxes: NDArray[np.float16]
    agent_class: NDArray[np.int64]
    agent_valid: NDArray[np.bool_]
    ego: NDArray[np.float16]
    map: NDArray[np.float16]
    polylines: NDArray[np.float16]
    map_class: NDArray[np.int64]
    map_valid: NDArray[np.bool_]
    seg: NDArray[np.float16]
    memory_stamp_ns: int | None = None
    computed_by: tuple[GraphRecord, ...] = ()
    closed: NDArray[np.float16] | None = None

    @staticmethod
    def blind(anchor_stamp_ns: int, epoch: int) -> SceneTokens:
        """The tokens of a policy that has no perception."""
        none = np.zeros((0, 0), np.float16)
        index, mask = np.zeros(0, np.int64), np.zeros(0, np.bool_)
        return SceneTokens(
            anchor_stamp_ns, epoch,
            bev=np.zeros((0, 0, 0), np.float16), agents=none, boxes=np.zeros((0, 10), np.float16),
            agent_class=index, agent_valid=mask, ego=np.zeros((1, 0), np.float16),
            map=none, polylines=np.zeros((0, 20, 2), np.float16), map_class=index, map_valid=mask,
            seg=np.zeros((7, 0, 0), np.float16),
        )  # fmt: skip


@dataclass(frozen=True)
class Meta:
    """Tokens from the vision-language model. tokens: (Nm, D) float16; valid: (Nm,). Their age at an
    anchor follows from the stamp of the command that carries them."""

    tokens: NDArray[np.float16]
    valid: NDArray[np.bool_]
    epoch: int


@dataclass(frozen=True)
class Command:
    """What the language model advises; never an override of Intent.

    speed: (13,) and path: (9,) probabilities, or None while no model speaks (UNKNOWN)
    """

    stamp_ns: int
    valid_until_ns: int
    model_id: str = "none"
    speed: F32 | None = None
    path: F32 | None = None
    meta: Meta | None = None


@dataclass(frozen=True)
class Trajectory:
    """Where the rear axle will be, seen from where it is now.

    poses: (..., T, 3) x forward [m], y left [m], yaw counter-clockwise [rad]; ego frame at the
    anchor stamp
    step_s: time between poses; poses[..., 0, :] is at t = step_s, not at t = 0
    """

    poses: F64
    step_s: float = PLAN_DT_S


@dataclass(frozen=True)
class Candidates:
    """What a policy proposes, best first by its own opinion. poses: (K, T, 3) as in Trajectory;
    confidence: (K,)."""

    poses: F64
    confidence: F64
    step_s: float = PLAN_DT_S


@dataclass(frozen=True)
class Schedule:
    """Which inputs made a plan; repeating it gives the same plan, bit for bit on one back-end.

    motion_stamp_ns: the newest measurement of the ego that was used
    fallback_until_s: [s after the anchor] the latest moment for which the fallback was made
    """

    tokens_stamp_ns: int
    motion_stamp_ns: int
    memory_stamp_ns: int | None
    command_stamp_ns: int | None
    epoch: int
    seed: int
    fallback_until_s: float = FALLBACK_UNTIL_S


class RefusalReason(str, Enum):
    """Why there is no plan from this input."""

    NO_IMAGES = "no_images"
    NO_CALIBRATION = "no_calibration"
    BAD_IMAGE = "bad_image"
    NO_EGO_MOTION = "no_ego_motion"
    STALE_EGO_MOTION = "stale_ego_motion"
    BAD_EGO_MOTION = "bad_ego_motion"
    STALE_INPUT = "stale_input"
    NETWORK_NAN = "network_nan"
    EPOCH_MISMATCH = "epoch_mismatch"


class StopReason(str, Enum):
    """How a stop brakes, and what is known of it.

    COMFORTABLE_STOP: with at most 2.5 m/s^2; EMERGENCY_STOP: harder, because a seen agent is in the
    way; LEAST_BAD_STOP: an agent is touched however hard the car brakes; UNCHECKED_STOP: nothing is
    known to check it against
    """

    COMFORTABLE_STOP = "comfortable_stop"
    EMERGENCY_STOP = "emergency_stop"
    LEAST_BAD_STOP = "least_bad_stop"
    UNCHECKED_STOP = "unchecked_stop"


@dataclass(frozen=True)
class Fallback:
    """The stop that is driven where no further plan comes. Ego frame at the anchor stamp.

    path: (n, 3) poses that it goes along, the first is the ego's own; beyond the last straight on
    braking: [m/s^2] from whatever speed the car has when the stop begins
    trajectory: the stop as it is when it begins at the anchor
    checked_until_m: how far along the path it could be checked against what was seen
    detail: what is still in its way, or empty
    """

    path: F64
    braking: float
    trajectory: Trajectory
    checked_until_m: float
    reason: StopReason
    detail: str = ""


@dataclass(frozen=True)
class Refusal:
    """No plan for this anchor, and why.

    fallback: the stop along the last good path, from where the ego is at the anchor; None where the
    ego's motion is unknown
    """

    anchor_stamp_ns: int
    reason: RefusalReason
    detail: str
    fallback: Fallback | None = None


class PlanReason(str, Enum):
    """Why this trajectory was chosen; the stops are those of StopReason."""

    BEST_CANDIDATE = "best_candidate"
    NEXT_BEST_CANDIDATE = "next_best_candidate"
    COMFORTABLE_STOP = "comfortable_stop"
    EMERGENCY_STOP = "emergency_stop"
    LEAST_BAD_STOP = "least_bad_stop"


@dataclass(frozen=True)
class Rejection:
    """A candidate that the guard refused. reason: a short name such as "nan", "too_fast",
    "collision"."""

    candidate: int
    reason: str
    detail: str


@dataclass(frozen=True)
class Plan:
    """A checked trajectory for one anchor.

    chosen: index into candidates, or None for a stop
    checked_until_m: how far along the path the guard could check against what was seen
    bundle_id: of the bundle that drove; model: of it, what was learnt and what computed the plan
    fallback: what to do where the next plan does not come
    """

    anchor_stamp_ns: int
    trajectory: Trajectory
    candidates: Candidates
    chosen: int | None
    reason: PlanReason
    detail: str
    rejected: tuple[Rejection, ...]
    checked_until_m: float
    schedule: Schedule
    bundle_id: str
    fallback: Fallback
    model: ModelRecord = field(default_factory=ModelRecord)
