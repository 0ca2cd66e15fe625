"""PDMS, the benchmark's first version (NAVSIM v1), where it differs from EPDMS.

score = NC·DAC · (5 EP + 5 TTC + 2 C) / 12. TTC looks ahead to the end of the horizon and wants
tracks of 5 s (51 steps); steps that a scene does not carry are free. Comfort C uses the rear axle's
acceleration, no past, and one smoothing window over the whole plan. No track is removed at step 0;
no traffic lights, lane keeping, extended comfort or human filter. Tracker and bicycle are the same.
May import: types, scoring.arena, comfort, epdms, evaluate, prepare, progress, scene, simulate.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from irl_vla.scoring.arena import pack_tracks
from irl_vla.scoring.comfort import (
    LAT_ACCEL,
    MAX_LAT_ACCEL,
    Past,
    apply_filter,
    v1_filters,
)
from irl_vla.scoring.epdms import weighted_mean
from irl_vla.scoring.evaluate import (
    DAC,
    HC,
    NC,
    PROGRESS,
    TTC,
    TTC_LAST_V1,
    Comfort,
    evaluate_states,
)
from irl_vla.scoring.prepare import PreparedScene, prepare
from irl_vla.scoring.progress import normalised_v1
from irl_vla.scoring.scene import AY, STEPS, Scene
from irl_vla.scoring.simulate import sample_plans, simulate
from irl_vla.types import F64, InputError

WEIGHTS_V1 = {"ep": 5.0, "ttc": 5.0, "comfort": 2.0}


@dataclass(frozen=True)
class V1Scores:
    """Sub-scores of P plans, each (P,), in [0, 1]; `comfort` is v1's comfort term."""

    nc: F64
    dac: F64
    ep: F64
    ttc: F64
    comfort: F64
    pdms: F64


def v1_comfort(initial: F64) -> Comfort:
    """Comfort without a past; only the lateral acceleration of state 0 (11,) can be violated, all
    later ones are 0."""
    filters = v1_filters()
    lateral, smooth = np.zeros(STEPS), np.empty(STEPS)
    lateral[0] = initial[AY]
    apply_filter(filters.smooth, lateral, smooth)
    bits = LAT_ACCEL if np.abs(smooth).max() >= MAX_LAT_ACCEL else 0
    return Comfort(
        Past(np.zeros(0), np.zeros(0), np.zeros(0), bits, 0.0, True), filters, filters, 0
    )


def score_v1(scene: Scene | PreparedScene, trajectories: F64, threads: int = 1) -> V1Scores:
    """PDMS of plans (P, 8, 3), each together with the scene's reference plan alone."""
    prepared = scene if isinstance(scene, PreparedScene) else prepare(scene)
    scene = prepared.scene
    if scene.reference is None:
        raise InputError(f"scene '{scene.id}': PDMS needs a reference plan, the scene has none")
    initial, vehicle = scene.ego.initial, scene.ego.vehicle
    arena = prepared.arena._replace(traffic=pack_tracks(scene.agents))
    plans = sample_plans(trajectories, initial, scene.t0_us, vehicle)
    references = np.concatenate([scene.reference.poses[None, :STEPS], plans])
    states = simulate(initial, references, vehicle.wheel_base)
    values = evaluate_states(arena, v1_comfort(initial), states, threads, TTC_LAST_V1).values
    rules = values[:, NC] * values[:, DAC]
    reached = values[:, PROGRESS] * rules
    best = np.maximum(reached[1:], reached[0])
    nc, dac, ttc, comfort = (values[1:, column] for column in (NC, DAC, TTC, HC))
    ep = normalised_v1(values[1:, PROGRESS], rules[1:], best)
    score = rules[1:] * weighted_mean({"ep": ep, "ttc": ttc, "comfort": comfort}, WEIGHTS_V1)
    return V1Scores(nc, dac, ep, ttc, comfort, score)
