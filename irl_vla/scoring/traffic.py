"""Reactive traffic: vehicles that follow their lane and the Intelligent Driver Model (IDM).

    tracks = reactive_tracks(scene, ego_states)      what the others do while the ego drives so
    result = score_reactive(scene, trajectories)     like epdms.score, each plan in its own traffic
Symbols of the IDM, per agent:
    v, v0    its speed and the one it desires [m/s]
    s, u     gap [m] to the leader and its speed [m/s] along the agent's heading
    s* = s0 + v·T + v·(v - u) / (2·sqrt(a·b)),  dv/dt = a·(1 - (v/v0)^4 - (s*/s)^2), held in [-b, a]
Quirks: an agent never extends its route, so that the end of its lane is an obstacle; traffic lights
do not reach it; all other road users replay the log and are no obstacle to it.
Source: docs/epdms.md, "Reactive traffic". May import: scoring.geometry, scoring.epdms,
scoring.prepare, scoring.scene, scoring.simulate, scoring.traffic_leader, scoring.traffic_lanes,
types.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np

from irl_vla.scoring.epdms import PlanScores, SubScores, score
from irl_vla.scoring.geometry import touch
from irl_vla.scoring.prepare import PreparedScene, prepare
from irl_vla.scoring.scene import (
    BICYCLE,
    HEADING,
    SIM_DT_S,
    STEPS,
    VEHICLE,
    VX,
    VY,
    Scene,
    Tracks,
    X,
    Y,
)
from irl_vla.scoring.simulate import as_plans, sample_plans, simulate
from irl_vla.scoring.traffic_lanes import LaneVehicles, box_at, lay_rails
from irl_vla.scoring.traffic_leader import HEADWAY, EgoAgent, TrafficState
from irl_vla.types import F64, InputError

MIN_GAP = 1.0  # [m] s0; no gap counts as less
MAX_ACCELERATION = 1.0  # [m/s²] a
MAX_BRAKING = 2.0  # [m/s²] b
EXPONENT = 4
RADIUS = 100.0  # [m] agents farther from the ego are gone for good


def idm_acceleration(speed: float, desired: float, gap: float, leader_speed: float) -> float:
    """dv/dt [m/s²] of the IDM, see the head of this file."""
    braking = 2.0 * math.sqrt(MAX_ACCELERATION * MAX_BRAKING)
    wanted = MIN_GAP + speed * HEADWAY + speed * (speed - leader_speed) / braking
    free = 1.0 - (speed / desired) ** EXPONENT
    value = MAX_ACCELERATION * (free - (wanted / max(gap, MIN_GAP)) ** 2)
    return min(max(-MAX_BRAKING, value), MAX_ACCELERATION)


def ego_seen(scene: Scene, state: F64) -> EgoAgent:
    """The ego (11,) as agents see it. Quirk: its box is centred at the REAR AXLE."""
    vehicle = scene.ego.vehicle
    return EgoAgent(
        np.array([state[X], state[Y], state[HEADING]]), vehicle.length, vehicle.width,
        math.hypot(state[VX], state[VY]),
    )  # fmt: skip


def advance(road: TrafficState, ego: EgoAgent) -> None:
    """One step of all agents, one after the other: later ones see the earlier ones moved.

    Without a leader the end of the path is one, standing, met by the agent's nose.
    """
    apart = np.hypot(road.poses[:, 0] - ego.pose[0], road.poses[:, 1] - ego.pose[1])
    road.alive &= apart <= RADIUS
    for i in np.flatnonzero(road.alive).tolist():
        ahead = road.leader(i, ego)
        if ahead is None:
            gap, leader_speed = road.to_go(i) - road.rails.sizes[i, 0] / 2.0, 0.0
        else:
            gap, leader_speed = ahead
        v = float(road.speeds[i])
        faster = idm_acceleration(v, float(road.rails.desired[i]), gap, leader_speed)
        road.move(i, road.progress[i] + SIM_DT_S * v, max(v + SIM_DT_S * faster, 0.0))


@dataclass(frozen=True)
class ReactiveScene:
    """A scene whose traffic is ready to answer any number of plans.

    prepared: the ground; seen: the log without what reactive traffic replaces; rails: the vehicles
    at step 0; human: (9,) terms of the human's plan in the traffic that answers the human, or None
    """

    prepared: PreparedScene
    seen: Tracks
    rails: LaneVehicles
    human: F64 | None

    def under(self, plan: F64) -> PreparedScene:
        """The scene to score one plan (8, 3) in: its traffic answers that plan."""
        return replace(self.answering(plan), human=self.human)

    def answering(self, plan: F64) -> PreparedScene:
        """The scene under the traffic that answers one plan (8, 3), the human in it, too."""
        scene, ego = self.prepared.scene, self.prepared.scene.ego
        reference = sample_plans(plan, ego.initial, scene.t0_us, ego.vehicle)
        states = simulate(ego.initial, reference, ego.vehicle.wheel_base)[0]
        tracks = drive_traffic(scene, self.seen, self.rails, states)
        return self.prepared.under(tracks)


def prepare_reactive(scene: Scene | PreparedScene, now: Tracks | None = None) -> ReactiveScene:
    """Everything of reactive traffic that does not depend on the plan. now: see `logged`.

    Quirk: the human of the human filter drives in traffic of his own, not in that of the plan.
    """
    prepared = scene if isinstance(scene, PreparedScene) else prepare(scene)
    scene = prepared.scene
    seen = logged(scene, now)
    ready = ReactiveScene(prepared, seen, lay_rails(scene, seen), None)
    if prepared.human is None or scene.human is None:
        return ready
    return replace(ready, human=ready.answering(scene.human.poses).human)


def logged(scene: Scene, now: Tracks | None) -> Tracks:
    """What reactive traffic takes from the log: all road users at step 0, later no vehicles.

    now: the boxes seen at step 0, by id, where the scene's tracks have more of them: a benchmark
    track that was seen once, later, stands in all steps but is not there yet.
    """
    tracks = scene.agents
    present = tracks.present[:, :STEPS].copy()
    present[tracks.types == VEHICLE, 1:] = False
    if now is not None:
        present[:, 0] &= np.isin(np.array(tracks.ids, np.str_), np.array(now.ids, np.str_))
    states = np.where(present[..., None], tracks.states[:, :STEPS], np.nan)
    states[tracks.types > BICYCLE, :, VX:] *= 0.0  # static objects carry no velocity
    return replace(tracks, states=states, present=present)


def reactive_tracks(
    scene: Scene | PreparedScene, ego_states: F64, now: Tracks | None = None
) -> Tracks:
    """Tracks of all road users while the ego goes through ego_states (41, 11); now: see `logged`.

    Step 0 keeps the logged boxes, also those that touch the ego. Vehicles on rails then drive;
    parked ones stay in the steps in which they overlap nobody; other vehicles are gone. All that
    is no vehicle replays the log. Raises InputError for a wrong shape.
    """
    scene = scene.scene if isinstance(scene, PreparedScene) else scene
    seen = logged(scene, now)
    return drive_traffic(scene, seen, lay_rails(scene, seen), ego_states)


def drive_traffic(scene: Scene, seen: Tracks, rails: LaneVehicles, ego_states: F64) -> Tracks:
    """`reactive_tracks` of vehicles that are on their rails."""
    if np.shape(ego_states) != (STEPS, 11):
        raise InputError(f"ego states: expected ({STEPS}, 11), got {np.shape(ego_states)}")
    tracks = replace(seen, states=seen.states.copy(), present=seen.present.copy())
    road = TrafficState(rails, tuple(tracks.ids[i] for i in rails.agents))
    for k in range(1, STEPS):
        advance(road, ego_seen(scene, ego_states[k - 1]))  # quirk: the ego one step late
        alive = np.flatnonzero(road.alive)
        rows = rails.agents[alive]
        heading, speed = road.poses[alive, 2], road.speeds[alive]
        tracks.states[rows, k] = np.column_stack(
            [road.poses[alive], speed * np.cos(heading), speed * np.sin(heading)]
        )
        tracks.present[rows, k] = True
        stay_aside(rails, tracks, k, rows.tolist())
    return tracks.pick(np.asarray(tracks.present.any(axis=1)))


def stay_aside(rails: LaneVehicles, tracks: Tracks, k: int, there: list[int]) -> None:
    """Enter the parked vehicles into step k of the tracks, one after the other, each only where it
    touches none of the vehicles that are there."""
    for i in rails.parked:
        box, half = box_at(tracks.states[i, 0]), tracks.sizes[i] / 2.0
        if not any(
            touch(box, half, box_at(tracks.states[j, k]), tracks.sizes[j] / 2.0) for j in there
        ):
            tracks.states[i, k], tracks.present[i, k] = tracks.states[i, 0], True
            there.append(int(i))


def reactive_world(prepared: PreparedScene, plan: F64, now: Tracks | None = None) -> PreparedScene:
    """The scene to score one plan (8, 3) in; for several plans `prepare_reactive` once."""
    return prepare_reactive(prepared, now).under(plan)


def score_reactive(
    scene: Scene | PreparedScene | ReactiveScene, trajectories: F64, previous: F64 | None = None
) -> PlanScores:
    """Score plans (P, 8, 3) as `epdms.score` does, each in the traffic that answers it alone.

    previous: as for `score`. Progress is relative to the reference in the same traffic.
    """
    ready = scene if isinstance(scene, ReactiveScene) else prepare_reactive(scene)
    plans = as_plans(trajectories)
    if not len(plans):
        return score(ready.prepared, plans, previous)
    if previous is not None:
        previous = np.broadcast_to(previous, plans.shape)
    return together([
        score(ready.under(plan), plan[None], None if previous is None else previous[i : i + 1])
        for i, plan in enumerate(plans)
    ])  # fmt: skip


def together(scores: list[PlanScores]) -> PlanScores:
    """PlanScores of one plan each -> of all of them."""

    def joined(parts: Iterable[Any]) -> Any:
        return np.concatenate([np.atleast_1d(part) for part in parts])

    def sub_scores(many: list[SubScores]) -> SubScores:
        return SubScores(
            *(
                joined(getattr(one, sub_score.name) for one in many)
                for sub_score in fields(SubScores)
            )
        )

    rest = ("ec", "epdms", "epdms_raw", "progress_m", "best_progress_m", "evidence")
    return PlanScores(
        sub_scores([one.raw for one in scores]), sub_scores([one.filtered for one in scores]),
        *(joined(getattr(one, name) for one in scores) for name in rest),
    )  # fmt: skip
