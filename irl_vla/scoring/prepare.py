"""Everything about a scene that does not depend on the plans, done once.

    prepared = prepare(scene)
Under other tracks (reactive traffic, a forecast): `prepared.under(tracks)`.
May import: scoring.arena, scoring.comfort, scoring.evaluate, scoring.scene, scoring.simulate.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from irl_vla.scoring.arena import Arena, build_arena, pack_tracks, replayed_tracks
from irl_vla.scoring.comfort import pack_past
from irl_vla.scoring.compiled import plain
from irl_vla.scoring.evaluate import (
    NO_COMFORT,
    Comfort,
    Start,
    comfort_of,
    evaluate_plans,
    evaluate_states,
)  # fmt: skip
from irl_vla.scoring.scene import STEP_US, STEPS, Scene, Tracks
from irl_vla.scoring.simulate import sample_times, simulate
from irl_vla.types import F64


@dataclass(frozen=True)
class PreparedScene:
    """A scene ready for thousands of plans.

    history_comfort, full_comfort: HC alone, HC with EC; start, previous_start: where plans begin
    reference, human: (9,) terms (evaluate.py) of the reference plan and of the human's, or None
    tracks: the road users that are scored against
    """

    scene: Scene
    arena: Arena
    history_comfort: Comfort
    full_comfort: Comfort
    start: Start
    previous_start: Start | None
    reference: F64 | None
    human: F64 | None
    tracks: Tracks

    def under(self, tracks: Tracks) -> PreparedScene:
        """The same ground, reference and human under other tracks (all of them kept)."""
        arena = self.arena._replace(traffic=pack_tracks(tracks))
        return replace(
            self, arena=arena, tracks=tracks, reference=reference_terms(self.scene, arena),
            human=human_terms(self.scene, arena, self.start),
        )  # fmt: skip


def start_of(initial: F64, t0_us: int) -> Start:
    """Where plans begin that belong to the ego state (11,) at t0."""
    return Start(plain(initial), *sample_times(t0_us))


def reference_terms(scene: Scene, arena: Arena) -> F64 | None:
    """(9,) terms of the reference plan, tracked and simulated like any plan; HC is not asked."""
    if scene.reference is None:
        return None
    states = simulate(
        scene.ego.initial, scene.reference.poses[:STEPS], scene.ego.vehicle.wheel_base
    )
    return np.asarray(evaluate_states(arena, NO_COMFORT, states).values[0])


def human_terms(scene: Scene, arena: Arena, start: Start) -> F64 | None:
    """(9,) terms of the human's plan, scored alone and without the past (so HC is 1); None where
    the human filter does not apply."""
    if scene.human is None or scene.scene_type != "original":
        return None
    return np.asarray(evaluate_plans(arena, NO_COMFORT, start, scene.human.poses[None]).values[0])


def prepare(scene: Scene) -> PreparedScene:
    """Grid, boxes, past signals, reference and human of a scene."""
    tracks = replayed_tracks(scene)
    arena = build_arena(scene, tracks)
    past = pack_past(scene.ego, arena.body.centre)
    start, previous_start, shift = start_of(scene.ego.initial, scene.t0_us), None, 0
    if scene.previous is not None:
        before = scene.previous
        previous_start = start_of(before.initial, scene.t0_us - before.dt_us)
        shift = round(before.dt_us / STEP_US)
    return PreparedScene(
        scene, arena, comfort_of(past, 0), comfort_of(past, shift), start, previous_start,
        reference_terms(scene, arena), human_terms(scene, arena, start), tracks,
    )  # fmt: skip
