"""Instants of an episode as scoring scenes: `epdms-scene/1`.

    cutter = Cutter(episode)
    scene = cutter.scene(42)           the instant 4.2 s after the beginning
Everything that does not change from instant to instant is made once per episode. Built-in towns and
imported recordings are cut by the same code. May import: types, frames, scoring, world.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import shapely

from irl_vla.frames import to_inner
from irl_vla.scoring.prepare import PreparedScene, prepare
from irl_vla.scoring.reference import pdm_closed, with_reference
from irl_vla.scoring.scene import (
    CARPARK,
    DRIVABLE_AREA,
    HEADING,
    INTERSECTION,
    LANE,
    LANE_CONNECTOR,
    PLAN_POSES,
    ROADBLOCK,
    STEP_US,
    STEPS,
    Areas,
    Ego,
    NamedPlan,
    Polygons,
    Previous,
    RedLights,
    Route,
    Scene,
    Tracks,
    X,
    Y,
)
from irl_vla.types import F64, InputError
from irl_vla.world.episode import Episode
from irl_vla.world.route_place import places
from irl_vla.world.routes import RoutePath, route_centreline
from irl_vla.world.town import NONE, Light, Town

HISTORY = (15, 10, 5, 0)  # steps before the instant: 1.5 s at 2 Hz
BEFORE = 5  # steps between the two frames of a pair: 0.5 s
PLAN_STEP = 5  # steps between poses of a plan
FIRST = HISTORY[0] + BEFORE  # the first instant whose previous frame has a whole past, too
REACH_M = 100.0  # [m] around the ego: road users and ground farther away are left out (NAVSIM's)
DECIMALS = 4  # of ground and road users: a tenth of a millimetre
LINE_BEHIND_M, LINE_AHEAD_M = 30.0, 150.0  # of the route's centreline that a scene carries


@dataclass(frozen=True)
class TownAreas:
    """A town's areas with their bounds. lanes: index of the lane, NONE for other areas; lines: the
    centre line (m, 3) of each lane of the town; boxes: (n, 4) x and y, lowest and highest."""

    ids: tuple[str, ...]
    kinds: tuple[int, ...]
    rings: tuple[F64, ...]
    lanes: tuple[int, ...]
    lines: tuple[F64, ...]
    boxes: F64

    def near(self, place: F64, reach: float) -> list[int]:
        """Areas whose bounds come within reach [m] of a place (2,), along either axis."""
        low, high = place - reach, place + reach
        inside = (self.boxes[:, :2] <= high).all(axis=1) & (self.boxes[:, 2:] >= low).all(axis=1)
        return [int(i) for i in np.flatnonzero(inside)]


def ground_of(town: Town) -> TownAreas:
    """Lanes, connectors, roadblocks, intersections, car parks and drivable areas of a town."""
    rows: list[tuple[str, int, F64, int]] = [
        (lane.id, LANE if lane.junction == NONE else LANE_CONNECTOR, lane.polygon, index)
        for index, lane in enumerate(town.lanes)
    ]
    rows += [(name, ROADBLOCK, ring, NONE) for name, ring in roadblocks(town)]
    for kind, name, parts in (
        (INTERSECTION, "intersection", [j.polygon for j in town.junctions]),
        (CARPARK, "carpark", _rings(town.carparks)),
        (DRIVABLE_AREA, "drivable", _rings(town.drivable)),
    ):
        rows += [(f"{name}-{i}", kind, ring, NONE) for i, ring in enumerate(parts)]
    ids, kinds, exact, lanes = zip(*rows, strict=True)
    rings = tuple(np.round(ring, DECIMALS) for ring in exact)
    lines = tuple(np.round(lane.centre, DECIMALS) for lane in town.lanes)
    boxes = np.array([[*ring.min(axis=0), *ring.max(axis=0)] for ring in rings])
    return TownAreas(ids, kinds, rings, lanes, lines, boxes)


def roadblocks(town: Town) -> list[tuple[str, F64]]:
    """(name, ring (m, 2)) of every block of parallel street lanes that is one piece."""
    blocks: dict[str, list[F64]] = {}
    for lane in town.lanes:
        if lane.junction == NONE:
            blocks.setdefault(lane.block, []).append(lane.polygon)
    found = []
    for name, rings in blocks.items():
        if len(rings) == 1:
            found.append((name, rings[0]))
            continue
        whole = shapely.union_all([shapely.Polygon(ring) for ring in rings], grid_size=1e-6)
        if whole.geom_type == "Polygon" and not whole.interiors:
            found.append((name, np.asarray(whole.exterior.coords)[:-1]))
    return found


def _rings(polygons: Polygons) -> list[F64]:
    return [polygons.ring(i) for i in range(len(polygons))]


class Cutter:
    """Cuts scenes out of one episode. ground: of its town, if it is at hand already."""

    def __init__(self, episode: Episode, ground: TownAreas | None = None) -> None:
        self.episode = episode
        self.path = RoutePath.of(episode.town, episode.route)
        self._ground = ground
        blocks = {episode.town.lanes[i].block for i in episode.route}
        self._on_route = np.array([lane.block in blocks for lane in episode.town.lanes])

    @cached_property
    def ground(self) -> TownAreas:
        """The town's areas."""
        return self._ground or ground_of(self.episode.town)

    @cached_property
    def places(self) -> F64:
        """(T,) where along the path the ego is."""
        return places(self.path, self.episode.ego)

    @property
    def last(self) -> int:
        """The last instant with 4 s of future."""
        return len(self.episode) - STEPS

    def scene(self, step: int, scene_type: str = "original", name: str = "") -> Scene:
        """The instant `step`, with PDM-Closed as its reference and the recorded driver as human,
        candidate and previous frame. Raises InputError for an instant without 2 s of past or 4 s of
        future."""
        return self.prepared(step, scene_type, name).scene

    def prepared(self, step: int, scene_type: str = "original", name: str = "") -> PreparedScene:
        """The same, ready for plans."""
        bare = self._bare(step, scene_type, name)
        prepared = prepare(bare)
        closed = pdm_closed(prepared)
        return with_reference(prepared, closed)

    def driven(self, step: int) -> F64:
        """(8, 3) what the recorded driver did after `step`, as a plan."""
        ego = self.episode.ego
        ahead = step + PLAN_STEP * np.arange(1, PLAN_POSES + 1)
        return to_inner(ego[ahead][:, [X, Y, HEADING]], ego[step, [X, Y, HEADING]])

    def _bare(self, step: int, scene_type: str, name: str) -> Scene:
        episode = self.episode
        if not FIRST <= step <= self.last:
            raise InputError(
                f"episode '{episode.town.name}': step {step}: expected {FIRST} to {self.last}, so "
                "that 2 s of past and 4 s of future are there"
            )
        at = step - np.array(HISTORY)
        place = episode.ego[step, [X, Y]]
        near = self.ground.near(place, REACH_M)
        human = self.driven(step)
        return Scene(
            id=name or f"{episode.town.name}-{step:04d}", t0_us=step * STEP_US, steps=STEPS,
            scene_type=scene_type, traffic_policy="log_replay",
            ego=Ego(episode.ego[step], episode.ego[at], (at - step) * STEP_US, episode.vehicle),
            areas=self._areas(near), route=self._route(step, near),
            red_lights=self._lights(step, near), agents=self._agents(step, place),
            human=NamedPlan("", "human", human),
            candidates=(NamedPlan("human", "human", human),), reference=None,
            previous=Previous(
                BEFORE * STEP_US, episode.ego[step - BEFORE], self.driven(step - BEFORE)[None]
            ),
            family=episode.driver, seed=(episode.seed, step), derived=episode.town.derived,
        )  # fmt: skip

    def _areas(self, near: list[int]) -> Areas:
        ground, town = self.ground, self.episode.town
        lanes = [ground.lanes[i] for i in near]
        none = np.zeros((0, 3))
        return Areas(
            tuple(ground.ids[i] for i in near), np.array([ground.kinds[i] for i in near], np.int8),
            Polygons.of([ground.rings[i] for i in near]),
            np.array([k != NONE and bool(self._on_route[k]) for k in lanes], np.bool_),
            np.zeros(len(near), np.int8),
            np.array([np.nan if k == NONE else town.lanes[k].speed_limit for k in lanes]),
            tuple(none if k == NONE else ground.lines[k] for k in lanes),
        )  # fmt: skip

    def _route(self, step: int, near: list[int]) -> Route:
        s = float(self.places[step])
        names = tuple(
            self.ground.ids[i] for i in near
            if self.ground.lanes[i] != NONE and self._on_route[self.ground.lanes[i]]
        )  # fmt: skip
        line = route_centreline(self.path, s - LINE_BEHIND_M, s + LINE_AHEAD_M)
        return Route(names, np.round(line, DECIMALS))

    def _lights(self, step: int, near: list[int]) -> RedLights | None:
        episode, town = self.episode, self.episode.town
        if not town.signals:
            return None
        red = episode.lights[step : step + STEPS] == Light.RED
        signals = {i: town.lanes[self.ground.lanes[i]].signal for i in near
                   if self.ground.lanes[i] != NONE
                   and self._on_route[self.ground.lanes[i]]}  # fmt: skip
        closed = [i for i, signal in signals.items() if signal != NONE and red[:, signal].any()]
        return RedLights(
            tuple(self.ground.ids[i] for i in closed),
            Polygons.of([self.ground.rings[i] for i in closed]),
            np.array([red[:, signals[i]] for i in closed]).reshape(len(closed), STEPS),
        )  # fmt: skip

    def _agents(self, step: int, place: F64) -> Tracks:
        episode, ahead = self.episode, slice(step, step + STEPS)
        present = np.ascontiguousarray(episode.present[ahead].T)
        states = np.ascontiguousarray(episode.states[ahead].transpose(1, 0, 2))
        gap = np.hypot(states[..., 0] - place[0], states[..., 1] - place[1])
        near = np.asarray((np.where(present, gap, np.inf) <= REACH_M).any(axis=1))
        actors = episode.actors
        return Tracks(
            tuple(name for name, kept in zip(actors.ids, near, strict=True) if kept),
            actors.types[near], actors.sizes[near, :2], np.round(states[near], DECIMALS),
            present[near],
        )  # fmt: skip


def scene_at(episode: Episode, step: int) -> Scene:
    """One instant of an episode; whoever wants many makes a Cutter."""
    return Cutter(episode).scene(step)
