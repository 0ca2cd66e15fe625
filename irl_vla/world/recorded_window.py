"""One instant of a recorded episode -> a scoring scene. May import: scoring, world."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import shapely

from irl_vla.frames import to_inner
from irl_vla.scoring.prepare import prepare
from irl_vla.scoring.reference import pdm_closed
from irl_vla.scoring.scene import (
    DRIVABLE_AREA,
    INTERSECTION,
    LANE,
    LANE_CONNECTOR,
    STEPS,
    Areas,
    Ego,
    NamedPlan,
    Polygons,
    Reference,
    Route,
    Scene,
    Tracks,
)
from irl_vla.world.episode import Episode
from irl_vla.world.routes import Path, route_centreline
from irl_vla.world.town import NONE

HISTORY = (0, 5, 10, 15)
RADIUS = 100.0


def window(episode: Episode, step: int) -> Scene:
    town, pose = episode.town, episode.ego[step, :3]
    ahead = slice(step, step + STEPS)
    path = Path.of(town, episode.route)
    s, _ = path.project(pose[None, :2])
    line = route_centreline(path, float(s[0]) - 20.0, float(s[0]) + 120.0)
    here = shapely.Point(pose[:2]).buffer(RADIUS)
    rings, ids, kinds, limits, lines = [], [], [], [], []
    none = np.zeros((0, 3))
    on_route = {town.lanes[i].id for i in episode.route}
    for lane in town.lanes:
        if shapely.Polygon(lane.polygon).intersects(here):
            rings.append(lane.polygon)
            ids.append(lane.id)
            limits.append(lane.speed_limit)
            lines.append(lane.centre)
            kinds.append(LANE if lane.junction == NONE else LANE_CONNECTOR)
    for kind, name, polys in (
        (INTERSECTION, "intersection", [j.polygon for j in town.junctions]),
        (DRIVABLE_AREA, "drivable", [town.drivable.ring(i) for i in range(len(town.drivable))]),
    ):
        for i, ring in enumerate(polys):
            if shapely.Polygon(ring).intersects(here):
                rings.append(ring)
                ids.append(f"{name} {i}")
                kinds.append(kind)
                limits.append(np.nan)
                lines.append(none)
    areas = Areas(
        tuple(ids),
        np.array(kinds, np.int8),
        Polygons.of(rings),
        np.array([n in on_route for n in ids]),
        np.zeros(len(ids), np.int8),
        np.array(limits),
        tuple(lines),
    )
    present = episode.present[ahead].T
    near = present.any(axis=1) & (
        np.nanmin(
            np.where(
                present,
                np.hypot(*(episode.states[ahead, :, :2] - pose[:2]).transpose(2, 1, 0)),
                np.inf,
            ),
            axis=1,
        )
        <= RADIUS
    )
    agents = Tracks(
        episode.actors.ids,
        episode.actors.types,
        episode.actors.sizes[:, :2],
        episode.states[ahead].transpose(1, 0, 2),
        present,
    ).pick(near)
    at = step - np.array(HISTORY[::-1])
    scene = Scene(
        f"{town.name} {step / 10:.1f}",
        step * 100_000,
        STEPS,
        "original",
        "log_replay",
        Ego(episode.ego[step], episode.ego[at], (at - step) * 100_000, episode.vehicle),
        areas,
        Route(tuple(n for n in ids if n in on_route), line),
        None,
        agents,
        NamedPlan("", "human", to_inner(episode.ego[step + 5 : step + STEPS : 5, :3], pose)),
        (),
        None,
        None,
        derived=town.derived,
    )
    plan = pdm_closed(prepare(scene))
    return replace(scene, reference=Reference("pdm_closed", plan.plan))
