"""What is decided about streets and junctions before any lane is drawn. May import: frames,
types.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from irl_vla.frames import wrap_angle
from irl_vla.types import F64

VERGE_M = 0.35  # asphalt between the outermost lane and the kerb
BAY_M = 2.2  # width of a parking bay
CROSSWALK_M, STOP_GAP_M = 3.4, 1.0  # width of a crosswalk; from the stop line to it
BEFORE_M = STOP_GAP_M + CROSSWALK_M + 0.8  # from the stop line to where the kerb begins to round
LEAST_ANGLE = np.deg2rad(58.0)  # between two arms of a junction
STRAIGHT_ANGLE = np.deg2rad(148.0)  # wider apart, two arms have no corner between them
AHEAD_ANGLE = np.deg2rad(40.0)  # who turns less goes straight on
RING_ANGLE = np.deg2rad(34.0)  # from the arm to where a roundabout's entry has joined the ring
LEAST_RING_ANGLE = 2 * RING_ANGLE + np.deg2rad(8.0)  # between two arms of a roundabout


@dataclass(frozen=True)
class CarriagewayPlan:
    """One direction of a street. lanes: all along; pocket: length of the left-turn lane at its
    end, drop: of an extra right lane at its begin, add: of one at its end [m], 0: none."""

    lanes: int = 1
    pocket: float = 0.0
    drop: float = 0.0
    add: float = 0.0


@dataclass(frozen=True)
class StreetPlan:
    """nodes: where it begins and ends; corners: (c, 2) from node to node; reach: (c - 2,) how far
    from each inner corner its bend begins; ways: with and against; width: of a lane; limit [m/s];
    median: between the directions; parking: right, left of the first direction; main: a main road;
    setbacks: from the nodes to the stop lines."""

    nodes: tuple[int, int]
    corners: F64
    ways: tuple[CarriagewayPlan, CarriagewayPlan]
    width: float
    limit: float
    main: bool
    median: float = 0.0
    parking: tuple[bool, bool] = (False, False)
    reach: F64 = field(default_factory=lambda: np.zeros(0))
    setbacks: tuple[float, float] = (0.0, 0.0)

    def half_width(self, way: int, extra: bool) -> float:
        """From the middle to the edge of the asphalt, in direction `way`, bays not counted."""
        lanes = self.ways[way].lanes + extra
        return self.median / 2 + lanes * self.width + VERGE_M


@dataclass(frozen=True)
class ArmPlan:
    """One street at a junction. end: 0 where the street begins here, 1 where it ends here; angle:
    out of the junction; coming, leaving: half widths of the asphalt that leads in and out;
    crosswalk: across it."""

    street: int
    end: int
    angle: float
    coming: float
    leaving: float
    crosswalk: bool


@dataclass(frozen=True)
class NodePlan:
    """A junction. kind: "lights", "priority", "equal" or "roundabout"; arms: counter-clockwise;
    radius: of its kerbs, of a roundabout's lane."""

    kind: str
    xy: F64
    arms: tuple[ArmPlan, ...]
    radius: float


@dataclass(frozen=True)
class TownPlan:
    """streets; nodes: of the junctions only, by number."""

    streets: tuple[StreetPlan, ...]
    nodes: dict[int, NodePlan]


def turn_between(a: float, b: float) -> float:
    """Turn from heading a to heading b, within [-pi, pi)."""
    return float(wrap_angle(b - a))


def corner_at(coming: float, leaving: float, between: float) -> tuple[float, float]:
    """How far along two arms, `between` [rad] apart, their kerb lines meet."""
    sine, cosine = np.sin(between), np.cos(between)
    return (leaving + coming * cosine) / sine, (coming + leaving * cosine) / sine


def ring_reach(radius: float, coming: float) -> tuple[float, float]:
    """Of a roundabout's entry: how far out on the arm its lane's line meets the tangent of the
    ring, and the reach of the bend between them."""
    aside = coming / 2
    reach = (radius * np.sin(RING_ANGLE) - aside) / np.cos(RING_ANGLE)
    return float(radius * np.cos(RING_ANGLE) + reach * np.sin(RING_ANGLE)), float(reach)
