"""What the ego does wrong on a drive, seen moment by moment, and what the drive is worth.

Kinds and penalties are those of the CARLA leaderboard that Bench2Drive uses; the records that come
out are scored by scoring/bench2drive.py. Differences, because this world has no contact physics and
no stop signs: a collision ends the drive, every collision counts whoever is to blame (`at fault`
says who), and there are no stop, yield-to-emergency or scenario-timeout infractions.
Source of kinds and penalties: docs/world.md, "Closed loop". May import: frames, types, scoring,
world.episode, world.routes, world.town.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import shapely

from irl_vla.frames import ahead_of, box_corners, wrap_angle
from irl_vla.scoring.bench2drive_comfort import as_meant, as_published, route_comfort
from irl_vla.scoring.bench2drive_files import MIN_SPEED, RED_LIGHT, STOP_SIGN, Motion, RouteRecord
from irl_vla.scoring.compiled import plain
from irl_vla.scoring.footprint import footprint, middle
from irl_vla.scoring.scene import (
    BICYCLE,
    HEADING,
    OMEGA,
    PEDESTRIAN,
    VEHICLE,
    VX,
    X,
    Y,
)  # fmt: skip
from irl_vla.types import F64
from irl_vla.vehicle import Vehicle
from irl_vla.world.episode import Actors, WorldState
from irl_vla.world.route_place import place_near
from irl_vla.world.routes import RoutePath
from irl_vla.world.town import NONE, Light, Town

PEDESTRIANS, VEHICLES, LAYOUT = (
    "collisions_pedestrian", "collisions_vehicle", "collisions_layout",
)  # fmt: skip
OUTSIDE, DEVIATION, BLOCKED, TIMEOUT = (
    "outside_route_lanes", "route_dev", "vehicle_blocked", "route_timeout",
)  # fmt: skip
KINDS = (
    PEDESTRIANS, VEHICLES, LAYOUT, RED_LIGHT, STOP_SIGN, OUTSIDE, MIN_SPEED, DEVIATION, BLOCKED,
    TIMEOUT,
)  # fmt: skip
PENALTIES = {PEDESTRIANS: 0.5, VEHICLES: 0.6, LAYOUT: 0.65, RED_LIGHT: 0.7}
LOST_M = 30.0  # farther from the route the drive is over
GATE_M = 3.0  # half width of the line at which a light is passed
SURROUNDING_M = 50.0  # vehicles within it are the surrounding traffic
CHECKPOINTS = 4  # stretches of a route whose mean speed is compared with the traffic's
MOVING_M_S = 0.5  # slower vehicles stand
TICKS_PER_STEP = 2  # Bench2Drive counts ticks of 0.05 s
WRONG_WAY = np.pi / 2.0  # [rad] against the direction of every lane under the ego


@dataclass(frozen=True)
class Infraction:
    """kind: one of KINDS; time_s: on the town's clock; text: a sentence for people."""

    kind: str
    time_s: float
    text: str


class InfractionMonitor:
    """Sees every moment of one drive, in order."""

    def __init__(
        self, town: Town, path: RoutePath, actors: Actors, vehicle: Vehicle, start: F64
    ) -> None:
        """start: (3,) pose of the ego where the drive begins."""
        self.town, self.path, self.actors, self.vehicle = town, path, actors, vehicle
        self.infractions: list[Infraction] = []
        self.place_m, _ = path.place(start)
        self.farthest_m = self.place_m
        self.collided, self.lost = False, False
        self.driven_m = self.outside_m = 0.0
        rings = [town.drivable.ring(i) for i in range(len(town.drivable))]
        rings += [town.carparks.ring(i) for i in range(len(town.carparks))]
        self._road = shapely.union_all([shapely.Polygon(ring) for ring in rings])
        shapely.prepare(self._road)
        self._lanes = shapely.STRtree([shapely.Polygon(lane.polygon) for lane in town.lanes])
        self._gates = [i for i in path.route if town.lanes[i].signal != NONE]
        self._before: WorldState | None = None
        self._seen: list[tuple[float, F64, float]] = []  # place, ego state, traffic's mean speed

    def observe(self, moment: WorldState) -> None:
        """The next moment, 0.1 s after the one before."""
        self.place_m, aside = place_near(self.path, self.place_m, moment.ego)
        self.farthest_m = max(self.farthest_m, self.place_m)
        self.lost = abs(aside) > LOST_M
        self._collisions(moment)
        if self._before is not None:
            self._lights(self._before, moment)
            self._ground(self._before, moment)
        self._seen.append((self.place_m, moment.ego, self._traffic_speed(moment)))
        self._before = moment

    def _note(self, kind: str, moment: WorldState, text: str) -> None:
        self.infractions.append(Infraction(kind, moment.time_s, text))

    def _collisions(self, moment: WorldState) -> None:
        there = np.flatnonzero(moment.present)
        gap = np.hypot(*(moment.states[there, :2] - middle(moment.ego, self.vehicle)).T)
        close = there[gap < 20.0]
        if not len(close):
            return
        boxes = shapely.polygons(box_corners(moment.states[close], self.actors.sizes[close]))
        touched = close[
            shapely.intersects(boxes, shapely.Polygon(footprint(moment.ego, self.vehicle)))
        ]
        for i in touched:
            self.collided = True
            kind = {PEDESTRIAN: PEDESTRIANS, VEHICLE: VEHICLES, BICYCLE: VEHICLES}.get(
                int(self.actors.types[i]), LAYOUT
            )
            speed = float(moment.ego[VX])
            blame = self._blame(moment, int(i))
            text = f"hit {self.actors.ids[i]} at {speed:.1f} m/s, {blame}"
            self._note(kind, moment, text)

    def _blame(self, moment: WorldState, i: int) -> str:
        """Who is at fault, as the scorer has it: not an ego that stands or is hit from behind."""
        if abs(float(moment.ego[VX])) <= 0.05:
            return "standing: not at fault"
        way = moment.states[i, :2] - moment.ego[[X, Y]]
        axis = np.array([np.cos(moment.ego[HEADING]), np.sin(moment.ego[HEADING])])
        return "hit from behind: not at fault" if way @ axis < 0.0 else "at fault"

    def _lights(self, before: WorldState, moment: WorldState) -> None:
        then, now = self._front(before.ego), self._front(moment.ego)
        for index in self._gates:
            lane = self.town.lanes[index]
            if before.lights[lane.signal] != Light.RED:
                continue
            pose = lane.centre[0]
            axis = np.array([np.cos(pose[2]), np.sin(pose[2])])
            passed = (then - pose[:2]) @ axis < 0.0 <= (now - pose[:2]) @ axis
            aside = axis[0] * (now - pose[:2])[1] - axis[1] * (now - pose[:2])[0]
            if passed and abs(aside) <= GATE_M:
                self._note(RED_LIGHT, moment, "passed a red light")

    def _ground(self, before: WorldState, moment: WorldState) -> None:
        way = float(np.hypot(*(moment.ego[[X, Y]] - before.ego[[X, Y]])))
        self.driven_m += way
        points = shapely.points(footprint(moment.ego, self.vehicle))
        off = not shapely.contains(self._road, points).all()
        self.outside_m += way * (off or self._wrong_way(moment))

    def _wrong_way(self, moment: WorldState) -> bool:
        """Whether all lanes under the ego's middle run against it."""
        under = self._lanes.query(shapely.Point(middle(moment.ego, self.vehicle)), "intersects")
        return len(under) > 0 and all(self._against(int(i), moment) for i in under)

    def _against(self, index: int, moment: WorldState) -> bool:
        centre = self.town.lanes[index].centre
        nearest = np.argmin(np.hypot(*(centre[:, :2] - middle(moment.ego, self.vehicle)).T))
        turn = wrap_angle(moment.ego[HEADING] - centre[nearest, 2])
        return bool(abs(turn) > WRONG_WAY)

    def _traffic_speed(self, moment: WorldState) -> float:
        """Mean speed of moving vehicles around [m/s], NaN where there are none."""
        there = moment.present & (self.actors.types == VEHICLE)
        away = np.hypot(*(moment.states[there, :2] - moment.ego[[X, Y]]).T)
        speed = np.hypot(*moment.states[there, 3:5].T)
        around = speed[(away < SURROUNDING_M) & (speed > MOVING_M_S)]
        return float(around.mean()) if len(around) else float("nan")

    def _front(self, ego: F64) -> F64:
        return ahead_of(ego, self.vehicle.front_length)

    def speeds(self, begin_m: float, end_m: float) -> tuple[str, ...]:
        """How fast each quarter of the route was driven, in the leaderboard's words."""
        messages = []
        for k in range(CHECKPOINTS):
            low = begin_m + (end_m - begin_m) * k / CHECKPOINTS
            high = begin_m + (end_m - begin_m) * (k + 1) / CHECKPOINTS
            part = [(ego[VX], traffic) for place, ego, traffic in self._seen if low <= place < high]
            if not part:
                break
            own, others = np.array(part).T
            known = others[np.isfinite(others)]
            percent = 100.0 * float(own.mean() / known.mean()) if len(known) else 100.0
            messages.append(f"Average speed is {percent:.1f}% of the surrounding traffic's one")
        return tuple(messages)

    def motion(self) -> Motion:
        """The drive as Bench2Drive records it (left-handed axes, deg/s, ticks of 0.05 s)."""
        ego = np.array([state for _, state, _ in self._seen])
        forward = np.column_stack([np.cos(ego[:, HEADING]), -np.sin(ego[:, HEADING])])
        right = np.column_stack([np.sin(ego[:, HEADING]), np.cos(ego[:, HEADING])])
        ax = np.gradient(ego[:, VX], 0.1)
        ay = ego[:, VX] * ego[:, OMEGA]  # to the left
        acceleration = forward * ax[:, None] - right * ay[:, None]
        ticks = np.arange(len(ego), dtype=np.float64) * TICKS_PER_STEP
        return Motion(plain(ticks), acceleration, forward, right, -np.rad2deg(ego[:, OMEGA]))


@dataclass(frozen=True)
class DriveScore:
    """What a drive is worth. record: for scoring/bench2drive.py; comfort: share of 2 s pieces
    within bounds, in SI units; comfort_published: with the published script's quirks."""

    record: RouteRecord
    comfort: float
    comfort_published: float


def judge(
    monitor: InfractionMonitor,
    name: str,
    completed: float,
    status: str,
    span_m: tuple[float, float],
) -> DriveScore:
    """The drive's score. name: of the route; completed: share of it, 0..1; status: "Completed", or
    why it failed; span_m: where along the path the route begins and ends."""
    found: dict[str, list[str]] = {kind: [] for kind in KINDS}
    for infraction in monitor.infractions:
        found[infraction.kind].append(f"{infraction.text} at {infraction.time_s:.1f} s")
    share = monitor.outside_m / monitor.driven_m if monitor.driven_m > 0.0 else 0.0
    if share > 0.0:
        found[OUTSIDE].append(f"{100.0 * share:.1f}% of the way outside its lanes")
    penalty = 1.0 - share
    for kind, factor in PENALTIES.items():
        penalty *= factor ** len(found[kind])
    found[MIN_SPEED] += monitor.speeds(*span_m)
    percent = 100.0 * completed
    record = RouteRecord(
        name, "WorldRoute", name, status, percent, percent * penalty,
        {kind: tuple(texts) for kind, texts in found.items()}, name,
    )  # fmt: skip
    motion = monitor.motion()
    return DriveScore(
        record, route_comfort(motion, as_meant(motion, name), name),
        route_comfort(motion, as_published(motion), name),
    )  # fmt: skip
