"""PDM-Closed: the plan that the benchmark measures progress against.

    closed = pdm_closed(prepare(scene))        a rule-based planner that sees the true world
    prepared = with_reference(prepared, closed)

15 proposals = 3 paths (centreline, 1 m right, 1 m left) x 5 speeds (fifths of the limit), each
driven by IDM for 4 s against a forecast, then tracked, simulated and scored in one batch like any
proposal. The first of the best wins; its own IDM drive, extended to 5 s and NOT tracked, is the
plan.
Source: docs/epdms.md, "PDM-Closed".
May import: frames, scoring.footprint, types, scoring.arena, epdms, evaluate, geometry, prepare,
reference_corridor, reference_forecast, reference_rollout, scene, simulate.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import shapely

from irl_vla.frames import principal_angle
from irl_vla.scoring.arena import Arena, EgoFootprint, pack_lights, pack_tracks
from irl_vla.scoring.compiled import plain
from irl_vla.scoring.epdms import SubScores, best_progress, sub_scores_of
from irl_vla.scoring.evaluate import NO_COMFORT, evaluate_states
from irl_vla.scoring.footprint import footprint, middle
from irl_vla.scoring.geometry import locate_on_line
from irl_vla.scoring.prepare import PreparedScene, prepare, reference_terms
from irl_vla.scoring.reference_corridor import (
    ReferencePath,
    blocked_by,
    paths_of,
    places,
    way_ahead,
)
from irl_vla.scoring.reference_forecast import (
    PLAN_STEPS,
    Obstacles,
    drift_of,
    forecast,
    obstacles_of,
    seen_now,
)
from irl_vla.scoring.reference_rollout import Rollout, pose_at, roll
from irl_vla.scoring.scene import (
    HEADING,
    I8,
    LANE,
    LANE_CONNECTOR,
    PLAN_POSES,
    SIM_DT_S,
    STEPS,
    VX,
    Polygons,
    RedLights,
    Reference,
    Scene,
    Tracks,
)
from irl_vla.scoring.simulate import over_centre, simulate
from irl_vla.types import F64, PLAN_DT_S, InputError

SPEED_FRACTIONS = (0.2, 0.4, 0.6, 0.8, 1.0)  # of the speed limit
UNKNOWN_LIMIT = 15.0  # [m/s] stands for a limit that the map does not know
SPEEDS = len(SPEED_FRACTIONS)
STEPS_PER_POSE = round(PLAN_DT_S / SIM_DT_S)


@dataclass(frozen=True)
class PdmClosed:
    """What PDM-Closed thought and chose. Proposal = path · 5 + speed.

    plan: (51, 3) global rear-axle poses every 0.1 s; the first lies ON the path, not at the ego
    speeds: (51,) [m/s] along the path
    chosen: index of the proposal; scores: (15,) PDM score without EC; sub_scores: their sub-scores
    progress: (15, 41) [m] arc length on the own path; proposal_speeds: (15, 41) [m/s];
    chosen_progress: (51,) [m] of the chosen one
    leaders: (51, 3) leader records of the chosen one: progress [m], speed [m/s], rear overhang [m]
    states: (15, 41, 11) simulated
    ignored: names of the tracks that touch the ego at the start
    """

    plan: F64
    speeds: F64
    chosen: int
    scores: F64
    sub_scores: SubScores
    progress: F64
    proposal_speeds: F64
    chosen_progress: F64
    leaders: F64
    states: F64
    ignored: tuple[str, ...]

    def reference(self) -> Reference:
        """The plan as a scene's reference (51 poses; scoring uses the first 41)."""
        return Reference("pdm_closed", self.plan)

    def poses(self, initial: F64) -> F64:
        """(8, 3) the plan as a candidate: 0.5 s apart, in the frame of the rear axle of initial
        (11,)."""
        at = self.plan[STEPS_PER_POSE : PLAN_POSES * STEPS_PER_POSE + 1 : STEPS_PER_POSE]
        away, (c, s) = at - initial[:3], (np.cos(initial[HEADING]), np.sin(initial[HEADING]))
        turn = principal_angle(away[:, 2])
        x, y = away[:, 0], away[:, 1]
        return np.stack([c * x + s * y, c * y - s * x, turn], axis=-1)


def pdm_closed(
    scene: Scene | PreparedScene, speed_limit: float | None = None, seen: Tracks | None = None,
    red: Polygons | None = None,
) -> PdmClosed:  # fmt: skip
    """The PDM-Closed plan of a scene. What a scoring scene does not tell exactly can be given:

    speed_limit: [m/s] of the lane the ego starts on, NaN unknown (then 15); None: from the scene
    seen: the boxes of the current frame (step 0 counts); None: the scene's tracks present at step 0
    red: stretches of the (corrected) route that are closed now; None: the scene's own at step 0
    Raises InputError for a limit that is no speed.
    """
    prepared = scene if isinstance(scene, PreparedScene) else prepare(scene)
    scene = prepared.scene
    limit = _usable(scene, starting_limit(scene) if speed_limit is None else speed_limit)
    red = closed_now(scene.red_lights) if red is None else red
    initial, body = plain(scene.ego.initial), scene.ego.vehicle
    centre = middle(initial, body)
    now = seen_now(scene.agents if seen is None else seen, centre)
    drift = drift_of(now)
    obstacles = obstacles_of(now, drift, red, initial, body)
    ways = _ways(scene, obstacles, limit)
    targets = np.array(SPEED_FRACTIONS) * limit
    rollout = _roll_out(ways, obstacles, prepared.arena.body, float(initial[VX]), targets)
    states = simulate(initial, rollout.poses[:, :STEPS], body.wheel_base)
    ahead = forecast(now, drift).pick(~obstacles.ignored[: len(now)])
    sub_scores = _score(prepared.arena, states, ahead, red)
    chosen = int(np.argmax(sub_scores.pdm_score_no_ec))
    path, speed = divmod(chosen, SPEEDS)
    roll(
        rollout, np.array([chosen]), targets[[speed]], STEPS, PLAN_STEPS - 1,
        *ways[path][1:], obstacles, prepared.arena.body,
    )  # fmt: skip
    plan = rollout.poses[chosen].copy()
    for pose in plan:
        over_centre(pose, body.centre)
    return PdmClosed(
        plan, rollout.motion[chosen, :, 1], chosen, sub_scores.pdm_score_no_ec, sub_scores,
        rollout.motion[:, :STEPS, 0], rollout.motion[:, :STEPS, 1], rollout.motion[chosen, :, 0],
        rollout.leaders[chosen], states,
        tuple(name for name, hit in zip(now.ids, obstacles.ignored, strict=False) if hit),
    )  # fmt: skip


def _usable(scene: Scene, limit: float) -> float:
    """The speed limit [m/s], 15 where unknown (NaN)."""
    if np.isnan(limit):
        return UNKNOWN_LIMIT
    if not 0.0 < limit < np.inf:
        raise InputError(
            f"scene '{scene.id}': PDM-Closed: expected a speed limit > 0 m/s (NaN where "
            f"unknown), got {limit}"
        )
    return float(limit)


class _Way(NamedTuple):
    """One path: where it starts [m], itself, who blocks it (moments, n), and where along it."""

    start: float
    path: ReferencePath
    blocked: I8
    at: F64


def _ways(scene: Scene, obstacles: Obstacles, limit: float) -> list[_Way]:
    """The three paths with what blocks their corridors."""
    ways = []
    x, y = (float(v) for v in scene.ego.initial[:2])
    for path in paths_of(scene.route.centerline):
        start = locate_on_line(path.line, path.arcs, x, y)
        end = start + limit * (PLAN_STEPS - 1) * SIM_DT_S
        spine = way_ahead(path, start, end)
        blocked = blocked_by(spine, scene.ego.vehicle.width / 2.0, obstacles)
        at = np.zeros(blocked.shape)
        places(path, obstacles, blocked, at)
        ways.append(_Way(start, path, blocked, at))
    return ways


def _roll_out(
    ways: list[_Way], obstacles: Obstacles, body: EgoFootprint, speed: float, targets: F64
) -> Rollout:
    """All proposals from step 0 to 40, room for 50."""
    proposals = len(ways) * SPEEDS
    rollout = Rollout(*(np.zeros((proposals, PLAN_STEPS, width)) for width in (2, 3, 3)))
    for i, way in enumerate(ways):
        members = np.arange(i * SPEEDS, (i + 1) * SPEEDS)
        rollout.motion[members, 0] = way.start, speed
        pose = np.empty(3)
        pose_at(way.path, way.start, pose)
        rollout.poses[members, 0] = pose
        roll(rollout, members, targets, 1, STEPS - 1, *way[1:], obstacles, body)
    return rollout


def _score(arena: Arena, states: F64, ahead: Tracks, red: Polygons) -> SubScores:
    """Sub-scores of the proposals (15, 41, 11) in one batch, without the past (HC = 1). Red at the
    start stays red."""
    names = tuple(str(i) for i in range(len(red)))
    lights = RedLights(names, red, np.ones((len(red), STEPS), np.bool_))
    world = arena._replace(traffic=pack_tracks(ahead), lights=pack_lights(lights))
    terms = evaluate_states(world, NO_COMFORT, states)
    return sub_scores_of(terms.values, best_progress(terms, None, "batch"))


def with_reference(prepared: PreparedScene, closed: PdmClosed) -> PreparedScene:
    """The scene with this plan as its reference."""
    scene = replace(prepared.scene, reference=closed.reference())
    return replace(prepared, scene=scene, reference=reference_terms(scene, prepared.arena))


def closed_now(lights: RedLights | None) -> Polygons:
    """The stretches that are red at step 0."""
    if lights is None:
        return Polygons.of([])
    return Polygons.of([lights.polygons.ring(int(i)) for i in np.flatnonzero(lights.red[:, 0])])


def starting_limit(scene: Scene) -> float:
    """Speed limit [m/s] of the route lane the ego starts on, NaN where unknown.

    The lane is chosen as the benchmark does: of the route's areas that touch the rear axle the one
    with the least heading error at its nearest vertex; else the first that contains the ego's
    centre; else the one nearest to the ego's outline.
    """
    areas, pose, body = scene.areas, scene.ego.initial[:3], scene.ego.vehicle
    lanes = {
        name: i for i, name in enumerate(areas.ids)
        if name in scene.route.lane_ids and areas.kinds[i] in (LANE, LANE_CONNECTOR)
    }  # fmt: skip
    if not lanes:
        return float("nan")
    axle = shapely.Point(pose[:2])
    # Quirk: names of ALL areas are compared, a car park may stand for the lane of the same name.
    touched = [
        lanes[name] for i, name in enumerate(areas.ids)
        if name in lanes and shapely.Polygon(areas.polygons.ring(i)).intersects(axle)
    ]  # fmt: skip
    if touched:
        return float(areas.speed_limit[min(touched, key=lambda i: _heading_error(scene, i))])
    outline = shapely.Polygon(footprint(pose, body))
    rings = {i: shapely.Polygon(areas.polygons.ring(i)) for i in lanes.values()}
    ordered = [lanes[name] for name in scene.route.lane_ids if name in lanes]
    inside = [i for i in ordered if rings[i].contains(outline.centroid)]
    best = inside[0] if inside else min(ordered, key=lambda i: rings[i].distance(outline))
    return float(areas.speed_limit[best])


def _heading_error(scene: Scene, lane: int) -> float:
    """|heading error| [rad] of the ego at the lane's nearest vertex."""
    line, pose = scene.areas.centerlines[lane], scene.ego.initial[:3]
    nearest = line[np.argmin(((line[:, :2] - pose[:2]) ** 2).sum(axis=-1)), 2]
    return float(abs(principal_angle(nearest - pose[2])))
