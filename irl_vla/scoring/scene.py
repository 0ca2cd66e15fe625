"""The engine-neutral scoring scene `epdms-scene/1` as typed arrays.

Lengths [m], angles [rad], global frame unless said otherwise; "pose" = x, y, heading of the rear
axle; a "state" has the 11 columns of STATE_COLUMNS, velocities and accelerations in the body frame.
Ragged lists (polygons, centrelines) are flat vertices plus offsets: item i is
`vertices[offsets[i]:offsets[i + 1]]`. Files are read and written by scene_io.py.
May import: types, vehicle.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from irl_vla.types import F64
from irl_vla.vehicle import PACIFICA, Vehicle

I64 = NDArray[np.int64]
I8 = NDArray[np.int8]
Mask = NDArray[np.bool_]

FORMAT = "epdms-scene/1"
SIM_DT_S = 0.1  # [s] between the simulated states
STEP_US = 100_000
STEPS = 41  # simulated states 0..40: 4 s
TRACK_STEPS = (41, 51)  # steps a scene may carry; 51 (5 s) lets PDMS v1 look beyond the horizon
PLAN_POSES = 8  # poses of a plan, 0.5 s apart

STATE_COLUMNS = (
    "x", "y", "heading", "vx", "vy", "ax", "ay",
    "steering_angle", "steering_rate", "angular_velocity", "angular_acceleration",
)  # fmt: skip
X, Y, HEADING, VX, VY, AX, AY, STEER, STEER_RATE, OMEGA, ALPHA = range(11)

AREA_KINDS = ("lane", "lane_connector", "roadblock", "intersection", "carpark", "drivable_area")
LANE, LANE_CONNECTOR, ROADBLOCK, INTERSECTION, CARPARK, DRIVABLE_AREA = range(6)

AGENT_TYPES = (
    "vehicle", "pedestrian", "bicycle", "traffic_cone", "barrier", "czone_sign", "generic_object",
)  # fmt: skip
VEHICLE, PEDESTRIAN, BICYCLE = range(3)  # the later ones are static objects: they carry no velocity
SCENE_TYPES = ("original", "synthetic")  # the human filter acts on original scenes only
TRAFFIC_POLICIES = ("log_replay", "reactive")


@dataclass(frozen=True)
class Ego:
    """initial: (11,) state at t0; history: (H, 11) past states, the last one is the initial one, at
    history_us: (H,) relative to t0 [us], strictly increasing, last 0."""

    initial: F64
    history: F64
    history_us: I64
    vehicle: Vehicle = PACIFICA


@dataclass(frozen=True)
class Polygons:
    """n simple polygons, rings not closed. vertices: (V, 2); offsets: (n + 1,)."""

    vertices: F64
    offsets: I64

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def ring(self, index: int) -> F64:
        """(m, 2) corners of one polygon."""
        return self.vertices[self.offsets[index] : self.offsets[index + 1]]

    @staticmethod
    def of(rings: list[F64]) -> Polygons:
        """From a list of (m, 2) rings."""
        vertices = np.concatenate([np.zeros((0, 2)), *rings])
        return Polygons(vertices, np.cumsum([0, *(len(ring) for ring in rings)]).astype(np.int64))


@dataclass(frozen=True)
class Areas:
    """The map: n named polygons. kinds: (n,) index into AREA_KINDS; on_route: (n,), lanes only;
    direction: (n,) +1 as the route, -1 against it, 0 unknown (information only);
    speed_limit: (n,) [m/s], NaN where unknown; centerlines: n arrays (m, 3) in driving direction,
    (0, 3) for what is not a lane."""

    ids: tuple[str, ...]
    kinds: I8
    polygons: Polygons
    on_route: Mask
    direction: I8
    speed_limit: F64
    centerlines: tuple[F64, ...]

    def __len__(self) -> int:
        return len(self.ids)


@dataclass(frozen=True)
class Route:
    """lane_ids: lanes and connectors of the route; centerline: (n >= 2, 3), for progress and lane
    keeping."""

    lane_ids: tuple[str, ...]
    centerline: F64


@dataclass(frozen=True)
class RedLights:
    """Stretches that are closed by a red light. red: (n, steps) True where red in that step."""

    ids: tuple[str, ...]
    polygons: Polygons
    red: Mask


@dataclass(frozen=True)
class Tracks:
    """Other road users. types: (A,) index into AGENT_TYPES; sizes: (A, 2) length, width;
    states: (A, steps, 5) x, y, heading, vx, vy of the box centre, global, NaN where absent;
    present: (A, steps). A track is present in one unbroken run of steps."""

    ids: tuple[str, ...]
    types: I8
    sizes: F64
    states: F64
    present: Mask

    def __len__(self) -> int:
        return len(self.ids)

    def pick(self, keep: Mask) -> Tracks:
        """Only the tracks where keep (A,) is True."""
        return Tracks(
            tuple(name for name, kept in zip(self.ids, keep, strict=True) if kept),
            self.types[keep], self.sizes[keep], self.states[keep], self.present[keep],
        )  # fmt: skip


@dataclass(frozen=True)
class NamedPlan:
    """One plan. poses: (8, 3), 0.5 s apart, in the frame of the initial rear axle; kind: a label;
    id: empty for the human's."""

    id: str
    kind: str
    poses: F64


@dataclass(frozen=True)
class Reference:
    """The plan that progress is measured against. poses: (n >= 41, 3), global, every 0.1 s."""

    kind: str
    poses: F64


@dataclass(frozen=True)
class Previous:
    """The frame before. dt_us: its age [us]; initial: (11,) ego state then;
    trajectories: (C, 8, 3), the plan then belonging to candidate i, in the ego frame then."""

    dt_us: int
    initial: F64
    trajectories: F64


@dataclass(frozen=True)
class Scene:
    """All that scoring needs to know. red_lights None: lights unknown, TLC is not evaluated;
    derived: names of parts that were not recorded but derived, and how."""

    id: str
    t0_us: int
    steps: int
    scene_type: str
    traffic_policy: str
    ego: Ego
    areas: Areas
    route: Route
    red_lights: RedLights | None
    agents: Tracks
    human: NamedPlan | None
    candidates: tuple[NamedPlan, ...]
    reference: Reference | None
    previous: Previous | None
    family: str = ""
    seed: tuple[int, ...] = ()
    derived: tuple[str, ...] = field(default=())

    def plans(self) -> F64:
        """(C, 8, 3) the candidates' poses."""
        return np.stack([plan.poses for plan in self.candidates]) if self.candidates else (
            np.zeros((0, PLAN_POSES, 3))
        )  # fmt: skip
