"""What a town is: everything that stands still, as typed values.

Lengths [m], angles [rad]; one flat global frame per town, x east, y north, z up, the ground at 0.
Built by world.roads from a seed, or by an importer from a recorded map. May import: types,
scoring.compiled, scoring.scene, world.phases.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum
from functools import cached_property

from irl_vla.scoring.compiled import plain
from irl_vla.scoring.scene import Polygons
from irl_vla.types import F64
from irl_vla.world.phases import phase_at

NONE = -1  # an index that points nowhere


class Turn(IntEnum):
    """What a lane or connector does; a street lane is STRAIGHT however it bends."""

    STRAIGHT = 0
    LEFT = 1
    RIGHT = 2


class Light(IntEnum):
    """What a signal shows; OFF: no lamp is lit, or nothing is known."""

    OFF = 0
    RED = 1
    AMBER = 2
    GREEN = 3


@dataclass(frozen=True)
class Lane:
    """A street lane, or a connector through a junction.

    id: unique name; centre: (n, 3) poses in driving direction, at most 2 m apart, ends included (a
    successor begins exactly where this one ends); polygon: (m, 2) simple ring; width [m];
    speed_limit [m/s]; block: roadblock, shared by parallel lanes of one direction between the same
    two junctions, connectors of one such turn share one too
    successors: lanes that begin at its end; left, right: neighbour of the same direction that one
    may change into, or NONE
    junction: index of the junction it lies in, NONE for a street lane; turn: what it does there
    signal: index of the signal that lets vehicles enter it, or NONE (connectors only)
    yields_to: lanes whose vehicles go first where paths meet; crosses: all lanes of the junction
    whose ground overlaps this one's other than at a common start (symmetric)
    merging: the lane ends here and vehicles must have left it to `left` or `right`
    """

    id: str
    centre: F64
    polygon: F64
    width: float
    speed_limit: float
    block: str
    successors: tuple[int, ...]
    left: int = NONE
    right: int = NONE
    junction: int = NONE
    turn: Turn = Turn.STRAIGHT
    signal: int = NONE
    yields_to: tuple[int, ...] = ()
    crosses: tuple[int, ...] = ()
    merging: bool = False


@dataclass(frozen=True)
class Signal:
    """A group of lamps that switch together, for vehicles.

    phases: (p, 2) duration [s] and Light, repeated for ever; offset_s: where in the cycle time 0
    falls; heads: (k, 4) x, y, z of the lamp box and the heading it faces (against the traffic)
    """

    phases: F64
    offset_s: float
    heads: F64

    def at(self, time_s: float) -> Light:
        """What it shows at a time."""
        durations = self._durations
        phase, _ = phase_at(durations, len(durations), self.cycle_s, self.offset_s, time_s)
        return Light(int(self.phases[phase, 1]))

    @cached_property
    def cycle_s(self) -> float:
        """How long its cycle is [s]."""
        return float(sum(self._durations.tolist()))

    @cached_property
    def _durations(self) -> F64:
        return plain(self.phases[:, 0])


@dataclass(frozen=True)
class Junction:
    """Where streets meet. kind: "crossing", "roundabout", "merge" or "split"; polygon: (m, 2)."""

    kind: str
    polygon: F64
    lanes: tuple[int, ...]


@dataclass(frozen=True)
class Crosswalk:
    """Where people cross. polygon: (4, 2); ends: (2, 2) middle of either kerb; lanes: that it
    crosses; signal: the vehicles' signal that must be red while people walk, or NONE (then
    vehicles give way)."""

    polygon: F64
    ends: F64
    lanes: tuple[int, ...]
    signal: int = NONE


@dataclass(frozen=True)
class Closure:
    """A stretch of lane that is closed by a work zone: metres along its centre line."""

    lane: int
    begin: float
    end: float


@dataclass(frozen=True)
class ParkingSpace:
    """A parking place. pose: (3,) of the middle of a car that is parked there."""

    pose: F64
    length: float
    width: float


@dataclass(frozen=True)
class Marking:
    """Paint on the road. kind: "solid", "dashed", "stop", "zebra" or "arrow"; line: (n, 2) middle
    of the paint, for "zebra" (4, 2) its outline; width [m]; yellow or white."""

    kind: str
    line: F64
    width: float
    yellow: bool = False


PROP_KINDS = (
    "building", "tree", "bush", "lamp_post", "sign", "signal_post",
    "traffic_cone", "barrier", "czone_sign",
)  # fmt: skip
OBSTACLE_KINDS = ("traffic_cone", "barrier", "czone_sign")  # scored as static road users


@dataclass(frozen=True)
class Prop:
    """Something that stands. kind: one of PROP_KINDS; pose: (3,) of its middle on the ground;
    size: (3,) length, width, height; look: seed of its colours and details; text: of a sign, for
    example "50" or "stop"."""

    kind: str
    pose: F64
    size: F64
    look: int = 0
    text: str = ""


@dataclass(frozen=True)
class Town:
    """A map to drive on and to look at.

    drivable: asphalt that vehicles may use (lanes, junctions, verges within the kerbs);
    carparks: parking bays; footpaths: (n, 2) lines people walk along; kerbs: (n, 2) lines;
    derived: names of parts that were not recorded but derived, and how (imported towns)
    """

    name: str
    seed: int
    lanes: tuple[Lane, ...]
    drivable: Polygons
    junctions: tuple[Junction, ...] = ()
    signals: tuple[Signal, ...] = ()
    crosswalks: tuple[Crosswalk, ...] = ()
    closures: tuple[Closure, ...] = ()
    carparks: Polygons = field(default_factory=lambda: Polygons.of([]))
    spots: tuple[ParkingSpace, ...] = ()
    footpaths: tuple[F64, ...] = ()
    kerbs: tuple[F64, ...] = ()
    markings: tuple[Marking, ...] = ()
    props: tuple[Prop, ...] = ()
    derived: tuple[str, ...] = ()
