"""Reactive traffic: vehicles that follow their lane and the Intelligent Driver Model (IDM).

    tracks = reactive_tracks(scene, ego_states)      what the others do while the ego drives so
    result = score_reactive(scene, trajectories)     like epdms.score, each plan in its own traffic
Symbols of the IDM, per agent:
    v, v0    its speed and the one it desires [m/s]
    s, u     gap [m] to the leader and its speed [m/s] along the agent's heading
    s* = s0 + v·T + v·(v - u) / (2·sqrt(a·b)),  dv/dt = a·(1 - (v/v0)^4 - (s*/s)^2), held in [-b, a]
Quirks: an agent never extends its route, so that the end of its lane is an obstacle; traffic lights
do not reach it; all other road users replay the log and are no obstacle to it.
Source: docs/epdms.md, "Reactive traffic". May import: scoring.epdms, scoring.prepare,
scoring.scene, scoring.simulate, scoring.traffic_leader, scoring.traffic_rails, types.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from irl_vla.scoring.epdms import SubScores, score
from irl_vla.scoring.prepare import PreparedScene, human_terms, prepare
from irl_vla.scoring.scene import HEADING, STEP_S, STEPS, VEHICLE, VX, VY, Scene, Tracks, X, Y
from irl_vla.scoring.simulate import as_plans, sample_plans, simulate
from irl_vla.scoring.traffic_leader import HEADWAY, EgoBox, Road
from irl_vla.scoring.traffic_rails import Rails, box_at, lay_rails, touch
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


def ego_seen(scene: Scene, state: F64) -> EgoBox:
    """The ego (11,) as agents see it. Quirk: its box is centred at the REAR AXLE."""
    vehicle = scene.ego.vehicle
    return EgoBox(
        np.array([state[X], state[Y], state[HEADING]]), vehicle.length, vehicle.width,
        math.hypot(state[VX], state[VY]),
    )  # fmt: skip


def advance(road: Road, ego: EgoBox) -> None:
    """One step of all agents, one after the other: later ones see the earlier ones moved.

    Without a leader the end of the path is one, standing, met by the agent's nose.
    """
    apart = np.hypot(road.poses[:, 0] - ego.pose[0], road.poses[:, 1] - ego.pose[1])
    road.alive &= apart <= RADIUS
    for i in np.flatnonzero(road.alive):
        ahead = road.leader(i, ego)
        if ahead is None:
            gap, leader_speed = road.to_go(i) - road.rails.sizes[i, 0] / 2.0, 0.0
        else:
            gap, leader_speed = ahead
        v = float(road.speeds[i])
        faster = idm_acceleration(v, float(road.rails.desired[i]), gap, leader_speed)
        road.move(i, road.progress[i] + STEP_S * v, max(v + STEP_S * faster, 0.0))


def reactive_tracks(
    scene: Scene | PreparedScene, ego_states: F64, now: Tracks | None = None
) -> Tracks:
    """Tracks of all road users while the ego goes through ego_states (41, 11).

    now: the boxes seen at step 0 (same ids where they are tracks), where the scene's tracks hold
    more: a benchmark track that was seen once, later, stands in all steps but is not there yet.
    Step 0 keeps the logged boxes, also those that touch the ego. Vehicles on rails then drive;
    parked ones stay in the steps in which they overlap nobody; other vehicles are gone. All that
    is no vehicle replays the log.
    """
    scene = scene.scene if isinstance(scene, PreparedScene) else scene
    if np.shape(ego_states) != (STEPS, 11):
        raise InputError(f"ego states: expected ({STEPS}, 11), got {np.shape(ego_states)}")
    tracks = scene.agents
    here = tracks.present[:, 0] if now is None else np.isin(tracks.ids, now.ids)
    present = tracks.present[:, :STEPS].copy()
    present[:, 0] &= here
    present[tracks.types == VEHICLE, 1:] = False
    states = tracks.states[:, :STEPS].copy()
    seen = replace(tracks, states=states, present=present)
    rails = lay_rails(scene, seen)
    road = Road(rails, tuple(tracks.ids[i] for i in rails.agents))
    for k in range(1, STEPS):
        advance(road, ego_seen(scene, ego_states[k - 1]))  # quirk: the ego one step late
        alive = np.flatnonzero(road.alive)
        rows = rails.agents[alive]
        heading, speed = road.poses[alive, 2], road.speeds[alive]
        states[rows, k] = np.column_stack(
            [road.poses[alive], speed * np.cos(heading), speed * np.sin(heading)]
        )
        present[rows, k] = True
        stay_aside(rails, seen, k, rows.tolist())
    states[~present] = np.nan
    return seen


def stay_aside(rails: Rails, tracks: Tracks, k: int, there: list[int]) -> None:
    """Enter the parked vehicles into step k of the tracks, one after the other, each only where it
    touches none of the vehicles that are there."""
    for i in rails.parked:
        box, half = box_at(tracks.states[i, 0]), tracks.sizes[i] / 2.0
        if not any(
            touch(box, half, box_at(tracks.states[j, k]), tracks.sizes[j] / 2.0) for j in there
        ):
            tracks.states[i, k], tracks.present[i, k] = tracks.states[i, 0], True
            there.append(int(i))


def reactive_world(
    prepared: PreparedScene, trajectory: F64, now: Tracks | None = None
) -> PreparedScene:
    """The scene under the traffic that answers one plan (8, 3); the human is judged in the traffic
    that answers the human. now: as for `reactive_tracks`."""
    scene = prepared.scene
    world = prepared.under(reactive_tracks(scene, states_of(scene, trajectory), now))
    if prepared.human is None or scene.human is None:
        return world
    answered = reactive_tracks(scene, states_of(scene, scene.human.poses), now)
    own = prepared.under(answered).arena
    return replace(world, human=human_terms(scene, own, prepared.start))


def states_of(scene: Scene, trajectory: F64) -> F64:
    """(41, 11) simulated states of one plan (8, 3)."""
    ego = scene.ego
    reference = sample_plans(trajectory, ego.initial, scene.t0_us, ego.vehicle)
    states: F64 = simulate(ego.initial, reference, ego.vehicle.wheel_base)[0]
    return states


def score_reactive(
    scene: Scene | PreparedScene, trajectories: F64, previous: F64 | None = None,
    now: Tracks | None = None,
) -> list[SubScores]:  # fmt: skip
    """Score plans (P, 8, 3) as `epdms.score` does, each in the traffic that answers it alone.

    Returns P SubScores of one plan each. previous, now: as for `score` and `reactive_tracks`.
    """
    prepared = scene if isinstance(scene, PreparedScene) else prepare(scene)
    plans = as_plans(trajectories)
    earlier = None if previous is None else np.broadcast_to(previous, plans.shape)
    return [
        score(
            reactive_world(prepared, plan, now), plan[None],
            None if earlier is None else earlier[i : i + 1],
        )
        for i, plan in enumerate(plans)
    ]  # fmt: skip
