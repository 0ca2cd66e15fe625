"""Why a plan scores what it scores: who or what cost which sub-score, and when.

    explanation = explain(prepared, trajectory)
    for loss in explanation.losses: print(loss.text)
May import: types, scoring.epdms, and what that imports.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from irl_vla.scoring import comfort as feel
from irl_vla.scoring import evaluate as ev
from irl_vla.scoring.collision import FRONT, LATERAL, STOPPED_OTHER, classify
from irl_vla.scoring.epdms import FILTERED, PlanScores, SubScores, combine, score
from irl_vla.scoring.grid import contains_mask
from irl_vla.scoring.prepare import PreparedScene, prepare
from irl_vla.scoring.road import DIRECTION_WINDOW, MULTIPLE_LANES, OFF_DRIVABLE, driving_direction
from irl_vla.scoring.scene import AGENT_TYPES, SIM_DT_S, VX, VY, Mask, Scene, Tracks
from irl_vla.scoring.simulate import sample_plans, simulate
from irl_vla.types import F64

CORNERS = ("front left", "rear left", "rear right", "front right")
CLASSES = {
    STOPPED_OTHER: "runs into the standing",
    FRONT: "hits with its front bumper the",
    LATERAL: "hits with its side the",
}
BOUNDS = {
    feel.LON_ACCEL: "longitudinal acceleration leaves (-4.05, 2.40) m/s²",
    feel.LAT_ACCEL: "lateral acceleration reaches 4.89 m/s² (in the past, not by the plan)",
    feel.JERK: "jerk reaches 8.37 m/s³",
    feel.LON_JERK: "longitudinal jerk reaches 4.13 m/s³",
    feel.YAW_ACCEL: "yaw acceleration reaches 1.93 rad/s²",
    feel.YAW_RATE: "yaw rate reaches 0.95 rad/s",
}
EC_NAMES = ("acceleration", "jerk", "yaw rate", "yaw acceleration")
EC_UNITS = ("m/s²", "m/s³", "rad/s", "rad/s²")


@dataclass(frozen=True)
class Loss:
    """One sub-score below 1.

    sub_score: nc, dac, ddc, tlc, ep, ttc, lk, hc or ec; value: of it, before the human filter
    forgiven: the human failed it too, so the final score does not count it
    gain: by how much the final score would rise if only this sub-score were 1
    step: simulated step (0.1 s) that decided it, or None; subject: id of the agent or light, or
    None; position: (2,) where, global [m], or None; text: a plain sentence
    """

    sub_score: str
    value: float
    forgiven: bool
    gain: float
    step: int | None
    subject: str | None
    position: F64 | None
    text: str


@dataclass(frozen=True)
class Explanation:
    """scores: of this one plan; states: (41, 11) simulated; corners: (41, 4, 2) of the ego's box;
    centres: (41, 2); off_drivable, multiple_lanes: (41,) area flags; tracks: the other road users
    that were scored against."""

    scene_id: str
    scores: PlanScores
    states: F64
    corners: F64
    centres: F64
    off_drivable: Mask
    multiple_lanes: Mask
    tracks: Tracks
    losses: tuple[Loss, ...]

    def text(self) -> str:
        """The score and a line per lost sub-score."""
        head = f"scene {self.scene_id}: EPDMS {100.0 * float(self.scores.epdms[0]):.2f}"
        lines = [
            f"  {loss.sub_score.upper():3s} {loss.value:.3f}  {loss.text}" for loss in self.losses
        ]
        return "\n".join([head, *(lines or ["  no point lost"])])


@dataclass(frozen=True)
class _Case:
    """What the sentences are made from. trace: scratch with corners, centres, axes and flags."""

    prepared: PreparedScene
    scores: PlanScores
    states: F64
    trace: ev.Scratch
    tracks: Tracks
    earlier: F64 | None

    def found(self, column: int) -> int:
        return int(self.scores.evidence[0, column])

    def name(self, track: int) -> str:
        return f"{AGENT_TYPES[self.tracks.types[track]]} '{self.tracks.ids[track]}'"


@dataclass(frozen=True)
class _Cause:
    text: str
    step: int | None = None
    subject: str | None = None
    position: F64 | None = None


def explain(
    scene: Scene | PreparedScene, trajectory: F64, previous: F64 | None = None
) -> Explanation:
    """Explain the score of one plan (8, 3). previous: (8, 3) plan of the frame before, for EC."""
    prepared = scene if isinstance(scene, PreparedScene) else prepare(scene)
    scores = score(prepared, trajectory, previous)
    ego, arena = prepared.scene.ego, prepared.arena
    references = sample_plans(trajectory, ego.initial, prepared.scene.t0_us, ego.vehicle)
    states = simulate(ego.initial, references, ego.vehicle.wheel_base)[0]
    trace = ev.working_memory(arena, prepared.full_comfort)
    ev.place(arena, states, trace)
    case = _Case(prepared, scores, states, trace, prepared.tracks, previous)
    causes = {
        "nc": _collision, "dac": _drivable, "ddc": _direction, "tlc": _light, "ep": _progress,
        "ttc": _threat, "lk": _lane, "hc": _history, "ec": _extended,
    }  # fmt: skip
    losses = [
        _loss(case, sub_score, cause(case))
        for sub_score, cause in causes.items()
        if _value(scores, sub_score) < 1.0
    ]
    return Explanation(
        prepared.scene.id, scores, states, trace.corners, trace.centres,
        trace.flags & OFF_DRIVABLE != 0, trace.flags & MULTIPLE_LANES != 0, prepared.tracks,
        tuple(losses),
    )  # fmt: skip


def _value(scores: PlanScores, sub_score: str) -> float:
    value = float(scores.ec[0] if sub_score == "ec" else getattr(scores.raw, sub_score)[0])
    return 1.0 if np.isnan(value) else value


def _loss(case: _Case, sub_score: str, cause: _Cause) -> Loss:
    scores, value = case.scores, _value(case.scores, sub_score)
    forgiven = sub_score in FILTERED and float(getattr(scores.filtered, sub_score)[0]) > value
    text = cause.text + ("; the human did too, so it is forgiven" if forgiven else "")
    gain = 0.0 if forgiven else _gain(scores, sub_score)
    return Loss(sub_score, value, forgiven, gain, cause.step, cause.subject, cause.position, text)


def _gain(scores: PlanScores, sub_score: str) -> float:
    """Final score with this one sub-score at 1, less the final score."""
    sub_scores, ec, one = scores.filtered, scores.ec, np.ones(1)
    if sub_score == "ec":
        return float(combine(sub_scores, one)[0] - scores.epdms[0])
    mended: SubScores = replace(sub_scores, **{sub_score: one})
    mended = replace(mended, mult=mended.nc * mended.dac * mended.ddc * mended.tlc)
    return float(combine(mended, ec)[0] - scores.epdms[0])


def _at(step: int) -> str:
    return f"at {step * SIM_DT_S:.1f} s"


def _collision(case: _Case) -> _Cause:
    k, track = case.found(ev.NC_STEP), case.found(ev.NC_TRACK)
    traffic, trace, state = case.prepared.arena.traffic, case.trace, case.states[k]
    box, halves = traffic.boxes[track, k], traffic.halves[track]
    kind = classify(
        state, trace.axes[k], trace.corners[k], box, halves, bool(traffic.stopped[track])
    )
    speed = float(np.hypot(state[VX], state[VY]))
    where = ""
    if kind == LATERAL:
        off = trace.flags[k] & OFF_DRIVABLE != 0
        where = " while off the drivable area" if off else " while across several lanes"
    return _Cause(
        f"{_at(k)} the ego {CLASSES[kind]} {case.name(track)} at {speed:.1f} m/s{where}: its fault",
        k, case.tracks.ids[track], box[:2].copy(),
    )  # fmt: skip


def _drivable(case: _Case) -> _Cause:
    k = case.found(ev.DAC_STEP)
    arena, masks = case.prepared.arena, case.trace.masks
    off = []
    for i, name in enumerate(CORNERS):
        x, y = case.trace.corners[k, i]
        contains_mask(arena.cells, arena.rings, x, y, masks, 0)
        if not (masks[0] & arena.kinds.drivable).any():
            off.append((i, name))
    names = " and ".join(name for _, name in off)
    return _Cause(
        f"{_at(k)} the {names} corner{'s' if len(off) > 1 else ''} of the ego "
        f"{'are' if len(off) > 1 else 'is'} off the drivable area",
        k, None, case.trace.corners[k, off[0][0]].copy(),
    )  # fmt: skip


def _direction(case: _Case) -> _Cause:
    k = case.found(ev.DDC_STEP)
    metres = driving_direction(case.trace.flags, case.trace.centres)[2]
    begin = max(k - DIRECTION_WINDOW, 0) * SIM_DT_S
    return _Cause(
        f"from {begin:.1f} to {k * SIM_DT_S:.1f} s the ego moves {metres:.1f} m outside the lanes "
        "of its route (2 m cost half, 6 m all)",
        k, None, case.trace.centres[k].copy(),
    )  # fmt: skip


def _light(case: _Case) -> _Cause:
    k, light = case.found(ev.TLC_STEP), case.found(ev.TLC_LIGHT)
    lights = case.prepared.scene.red_lights
    name = str(light) if lights is None else lights.ids[light]
    inside = " (it stands there from the start)" if k == 0 else ""
    return _Cause(
        f"{_at(k)} the ego touches '{name}' while its light is red{inside}",
        k, name, case.trace.centres[k].copy(),
    )  # fmt: skip


def _progress(case: _Case) -> _Cause:
    made, best = float(case.scores.progress_m[0]), float(np.ravel(case.scores.best_progress_m)[0])
    return _Cause(f"progress of {made:.1f} m along the route, where {best:.1f} m were possible")


def _threat(case: _Case) -> _Cause:
    k, track = case.found(ev.TTC_STEP), case.found(ev.TTC_TRACK)
    position = case.prepared.arena.traffic.boxes[track, k, :2].copy()
    return _Cause(
        f"{_at(k)}, going straight on at its speed, the ego would hit {case.name(track)} within "
        "0.9 s",
        k, case.tracks.ids[track], position,
    )  # fmt: skip


def _lane(case: _Case) -> _Cause:
    k = case.found(ev.LK_STEP)
    return _Cause(
        f"{_at(k)} the ego has been more than 0.5 m off the centreline for 2 s",
        k, None, case.trace.centres[k].copy(),
    )  # fmt: skip


def _history(case: _Case) -> _Cause:
    bits = case.found(ev.HC_BITS)
    return _Cause("uncomfortable: " + "; ".join(t for bit, t in BOUNDS.items() if bits & bit))


def _extended(case: _Case) -> _Cause:
    rms = extended_differences(case.prepared, case.states, case.earlier)
    over = [
        f"{name} differs by {value:.2f} {unit} (limit {limit})"
        for name, unit, value, limit in zip(EC_NAMES, EC_UNITS, rms, feel.EC_LIMITS, strict=True)
        if value > limit
    ]
    return _Cause("the plan breaks with that of the frame before: " + "; ".join(over))


def extended_differences(prepared: PreparedScene, states: F64, earlier: F64 | None) -> F64:
    """RMS differences (4,) of acceleration, jerk, yaw rate and yaw acceleration between simulated
    states (41, 11) and the plan (8, 3) of the frame before."""
    before, start, comfort = prepared.scene.previous, prepared.previous_start, prepared.full_comfort
    assert before is not None and start is not None and earlier is not None
    vehicle = prepared.scene.ego.vehicle
    references = sample_plans(earlier, before.initial, prepared.scene.t0_us - before.dt_us, vehicle)
    old = simulate(before.initial, references, vehicle.wheel_base)[0]
    scratch, rms = np.empty((10, len(states) - comfort.shift)), np.empty(4)
    feel.extended_rms(states, old, comfort.shift, comfort.extended, scratch, rms)
    return rms
