"""What was seen, as the guard checks against it: agents, map lines, drivable area.

Everything is in the ego frame at the anchor. Outside the observed grid the area is unknown, not
undrivable: there a plan may go, but only so fast that a comfortable stop fits before it.
May import: types, frames, vehicle, camera, perception, scoring.compiled, check_kernels, stops.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from irl_vla.camera.projection import BevGrid
from irl_vla.drive.check_kernels import FINE, CheckedScene, EgoBox
from irl_vla.frames import arc_lengths, to_outer
from irl_vla.perception.classes import SceneClasses
from irl_vla.scoring.compiled import plain
from irl_vla.types import F64, SceneTokens, Trajectory
from irl_vla.vehicle import Vehicle

DRIVABLE = ("road", "centerline", "vehicle")  # classes of cells
SURE = 0.5  # probability from which a cell counts as seen to be (un)drivable
GATE_M = 2.0  # [m] an agent that is seen again is at most so far from where it was expected
BEYOND_M = 200.0  # [m] that a path is followed straight on to find the end of the grid


@dataclass(frozen=True)
class GuardClasses:
    """Where the classes that the guard needs stand in a bundle's lists.

    boundary, red_line: of map elements; drivable: of cells
    """

    boundary: int
    red_line: int
    drivable: tuple[int, ...]

    @staticmethod
    def of(classes: SceneClasses) -> GuardClasses:
        """Found by name. Raises InputError where the bundle does not know one of them."""
        return GuardClasses(
            classes.index("map", "boundary", "the guard"),
            classes.index("map", "red_stop_line", "the guard"),
            tuple(classes.index("seg", name, "the guard") for name in DRIVABLE),
        )


@dataclass(frozen=True)
class Surroundings:
    """What was seen around the ego.

    boxes: (n, 9) x y z l w h yaw vx vy of valid agents; confirmed: (n,) whether they are more than
    a ghost: sure, or seen again; red_lines, boundaries: (m, 20, 2) map polylines
    undrivable: (nx, ny) cells that are surely not drivable, (0, 0) where the area was not
    recognised (not even under the ego); area: the observed grid, or None for a policy without
    perception
    """

    boxes: F64
    confirmed: NDArray[np.bool_]
    red_lines: F64
    boundaries: F64
    undrivable: NDArray[np.bool_]
    area: BevGrid | None

    @property
    def scene(self) -> CheckedScene:
        """As the kernels read it."""
        area = self.area
        grid = np.ones(4)
        if area is not None:
            low = np.array([area.x[0], area.y[0]])
            grid = np.r_[low, (np.array([area.x[1], area.y[1]]) - low) / np.array(area.cells)]
        boxes, red, boundaries = (plain(a) for a in (self.boxes, self.red_lines, self.boundaries))
        return CheckedScene(boxes, red, boundaries, self.undrivable, grid)

    def after(self, seconds: float) -> Surroundings:
        """The same with agents that have kept their velocity since."""
        boxes = self.boxes.copy()
        boxes[:, :2] += seconds * boxes[:, 7:9]
        return replace(self, boxes=boxes)


def surroundings(
    tokens: SceneTokens, area: BevGrid | None, classes: SceneClasses, vehicle: Vehicle,
    sure_score: float,
) -> Surroundings:  # fmt: skip
    """Tokens -> what can be checked against. classes: of the bundle that saw; agents with at least
    `sure_score` are confirmed."""
    known = GuardClasses.of(classes)
    seen = tokens.boxes[tokens.agent_valid].astype(np.float64)
    lines = [
        tokens.polylines[tokens.map_valid & (tokens.map_class == kind)].astype(np.float64)
        for kind in (known.red_line, known.boundary)
    ]
    undrivable = _undrivable(tokens, area, known, vehicle)
    return Surroundings(seen[:, :9], seen[:, 9] >= sure_score, lines[0], lines[1], undrivable, area)


def _undrivable(
    tokens: SceneTokens, area: BevGrid | None, known: GuardClasses, vehicle: Vehicle
) -> NDArray[np.bool_]:
    """Empty unless the ground under the ego is recognised as drivable: a network that does not even
    see where it stands (an untrained one) has no say about the rest."""
    nothing = np.zeros((0, 0), np.bool_)
    if area is None or tokens.seg.size == 0:
        return nothing
    drivable = tokens.seg[list(known.drivable)].astype(np.float32).sum(axis=0)
    here, inside = _cells(area, np.array([[vehicle.centre, 0.0]]))
    if not inside[0] or drivable[here[0, 0], here[0, 1]] < SURE:
        return nothing
    return np.ascontiguousarray(drivable < 1.0 - SURE)


def seen_again(
    seen: Surroundings, before: Surroundings, then_pose: F64, seconds: float
) -> Surroundings:
    """`seen`, where agents that stand where one of `before` was to be expected are confirmed, too.

    then_pose: (3,) the earlier ego pose in the present ego frame; seconds: since then
    """
    if not len(seen.boxes) or not len(before.boxes):
        return seen
    expected = to_outer(before.after(seconds).boxes[:, [0, 1, 6]], then_pose)[:, :2]
    away = np.linalg.norm(seen.boxes[:, None, :2] - expected[None], axis=-1)
    return replace(seen, confirmed=seen.confirmed | (away.min(axis=1) <= GATE_M))


def body_of(vehicle: Vehicle) -> EgoBox:
    """The ego's box as the kernels read it."""
    return EgoBox(
        vehicle.length / 2.0, vehicle.width / 2.0, vehicle.centre, vehicle.front_length,
        vehicle.rear_length,
    )  # fmt: skip


def fine_path(path: F64) -> F64:
    """(n, 3) poses -> ((n - 1) * FINE + 1, 3), straight between them; yaw is unwrapped."""
    knots = path.copy()
    knots[:, 2] = np.unwrap(knots[:, 2])
    at = np.arange((len(knots) - 1) * FINE + 1) / FINE
    return np.stack([np.interp(at, np.arange(len(knots)), c) for c in knots.T], axis=-1)


def _cells(area: BevGrid, points: F64) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """(n, 2) points -> their cells (clipped into the grid), and whether they lie in it."""
    low = np.array([area.x[0], area.y[0]])
    size = np.array([area.x[1] - area.x[0], area.y[1] - area.y[0]]) / np.array(area.cells)
    index = np.floor((points - low) / size).astype(np.int64)
    inside = ((index >= 0) & (index < np.array(area.cells))).all(axis=1)
    return np.clip(index, 0, np.array(area.cells) - 1), inside


def checked_until(path: F64, seen: Surroundings, vehicle: Vehicle) -> float:
    """How far along a path (n, 3) [m], and straight on behind its end, the car's front stays in the
    observed grid; 0 without perception."""
    if seen.area is None:
        return 0.0
    path = fine_path(path)
    x, y, heading = path[-1]
    on = np.arange(1.0, BEYOND_M)[:, None] * np.array([np.cos(heading), np.sin(heading), 0.0])
    path = np.vstack([path, np.array([x, y, heading]) + on])
    cos, sin = np.cos(path[:, 2]), np.sin(path[:, 2])
    inside = np.ones(len(path), np.bool_)
    for left in (vehicle.width / 2.0, -vehicle.width / 2.0):
        corner = np.stack([
            path[:, 0] + cos * vehicle.front_length - sin * left,
            path[:, 1] + sin * vehicle.front_length + cos * left,
        ], axis=-1)  # fmt: skip
        inside &= _cells(seen.area, corner)[1]
    length = arc_lengths(path)
    return float(length[-1] if inside.all() else length[int(np.argmin(inside))])


def slowed(poses: F64, step_s: float, until_m: float, speed: float, braking: float) -> Trajectory:
    """The same path, never faster than v^2 = 2 a (until - s): a comfortable stop always fits.

    From above that speed the car brakes with `braking`. speed: present [m/s]
    """
    path = fine_path(np.vstack([np.zeros(3), poses]))
    length = arc_lengths(path)
    dt = step_s / FINE
    distance, v, kept = 0.0, max(speed, 0.0), []
    for planned in np.diff(length) / dt:
        room = np.sqrt(max(2.0 * braking * (until_m - distance), 0.0))
        v = max(min(planned, room), v - braking * dt, 0.0) if planned > room else planned
        distance = min(distance + v * dt, length[-1])
        kept.append(distance)
    at = np.array(kept[FINE - 1 :: FINE])
    columns = [np.interp(at, length, column) for column in path.T]
    return Trajectory(np.stack(columns, axis=-1), step_s)
