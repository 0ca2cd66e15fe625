"""Answers to the questions about a scene, by what its pictures show.

What light counts for the ego, is somebody on foot ahead, what does the vehicle ahead do, and what
bounds the expert's speed. May import: irl_vla, samples.sample.
"""

from __future__ import annotations

import numpy as np

from irl_vla.perception.preset import AGENT_CLASSES
from irl_vla.scoring.scene import I8
from irl_vla.types import F64
from irl_vla.world.driver.decision import CROSSING, ENDING, FREE, LEADER, STOPPING, WAITING
from irl_vla.world.routes import RoutePath, StopPoint
from irl_vla.world.town import NONE, Light
from irl_vla_training.samples.sample import (
    LAMPS,
    LEADS,
    LIGHT_WITHIN_M,
    REASONS,
    BoxTruth,
    Mask,
)

PASSED_M = 1.0  # [m] by which the bumper may be over the line: then the light is behind
WALK_M, WALK_ASIDE_M = 30.0, 4.0  # [m] along the way and to its side: somebody on foot is ahead
LEAD_M, LEAD_ASIDE_M = 45.0, 1.6  # [m] likewise for the vehicle that is followed
STANDS, BRAKES = 0.3, -0.8  # [m/s], [m/s²]
SLOWS = -0.4  # [m/s²] the expert slows down for a bend or a limit
SHOWN = {Light.RED: "red", Light.AMBER: "amber", Light.GREEN: "green", Light.OFF: "none"}
REASON_OF = {
    LEADER: "vehicle ahead", CROSSING: "crossing road user", STOPPING: "light or right of way",
    ENDING: "end of route", WAITING: "lane change",
}  # fmt: skip


def light_ahead(path: RoutePath, place: float, front: float, lights: I8) -> tuple[int, float]:
    """Index into LAMPS and way [m] to the stop line of the next light on the path; "none" and NaN
    without one. place: s of the rear axle; front: from there to the bumper; lights: (S,)."""
    stop = stop_ahead(path, place, front)
    if stop is None:
        return LAMPS.index("none"), float("nan")
    shown = SHOWN[Light(int(lights[stop.signal]))]
    return LAMPS.index(shown), float(stop.s - place - front)


def stop_ahead(path: RoutePath, place: float, front: float) -> StopPoint | None:
    """The next stop line with a light, within LIGHT_WITHIN_M; see light_ahead."""
    for stop in path.stops:
        gap = stop.s - place - front
        if stop.signal == NONE or stop.crosswalk != NONE or gap < -PASSED_M:
            continue
        return stop if gap <= LIGHT_WITHIN_M else None
    return None


def walker_ahead(along: F64, aside: F64, boxes: BoxTruth, seen: Mask) -> int:
    """1 where somebody on foot is seen ahead. along, aside: (n,) places of the boxes on the way."""
    foot = boxes.kind == AGENT_CLASSES.index("pedestrian")
    ahead = (along > 0.0) & (along < WALK_M) & (np.abs(aside) < WALK_ASIDE_M)
    return int((foot & ahead & seen).any())


def lead_ahead(along: F64, aside: F64, gains: F64, boxes: BoxTruth, seen: Mask) -> int:
    """Index into LEADS of the nearest vehicle on the way. gains: (n,) accelerations [m/s²]."""
    drives = np.isin(boxes.kind, [AGENT_CLASSES.index(name) for name in ("vehicle", "bicycle")])
    ahead = (along > 1.0) & (along < LEAD_M) & (np.abs(aside) < LEAD_ASIDE_M)
    found = np.flatnonzero(drives & ahead & seen)
    if not len(found):
        return LEADS.index("none")
    nearest = found[np.argmin(along[found])]
    if np.hypot(*boxes.boxes[nearest, 7:9]) < STANDS:
        return LEADS.index("stands")
    return LEADS.index("brakes" if gains[nearest] < BRAKES else "goes on")


def reason_of(bound_by: int, acceleration: float) -> int:
    """Index into REASONS. acceleration: [m/s²] that the expert chose."""
    if bound_by == FREE:
        return REASONS.index("bend or limit" if acceleration < SLOWS else "free road")
    return REASONS.index(REASON_OF[bound_by])
