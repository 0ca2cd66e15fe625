"""What a driver would call the next four seconds: one of 13 speed and one of 9 path classes.

    label(poses, speed).speed            SpeedCommand.MILD_DECEL_LINEAR
    label_many(poses, speeds)[:, 1]      indices into the order of PathCommand, for training
The paper publishes no rules for its classes; these are ours, derived from the names, from Senna
(arXiv 2410.22313), Senna-2 (2603.11219) and traffic engineering. docs/commands.md draws each class.

    speed      m (N, 8) mean speed of each half second; v (N, 9) speed at 0, 0.5 .. 4 s
    path       theta (N,) change of heading; d, rho (N, 9) offset and heading against the road
May import: types, language.commands, language.lane_relation.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from irl_vla.language.commands import PathCommand, SpeedCommand
from irl_vla.language.lane_relation import LaneRelation, OwnLane, road_of_lane, steady_road
from irl_vla.types import F64, HORIZON_POSES, PLAN_DT_S, InputError

__all__ = ["Labels", "OwnLane", "PathCommand", "SpeedCommand", "balance", "label", "label_many"]

# --- speed --------------------------------------------------------------------------------------
STANDING = 0.3  # [m/s] slower than this is standing: noise of recorded tracks stays below
CREEP = 2.0  # [m/s] an automatic car without pedals; Senna's STOP is "never above 2 m/s"
PEAK_S = 1.0  # [s] over which a peak of braking must last to be no artefact of 2 Hz poses
RATE_S = 2.0  # [s] over which an acceleration counts: half of the horizon
EMERGENCY = 3.4  # [m/s2] over PEAK_S; AASHTO: most find less comfortable, nine of ten can do more
FIRM = 2.0  # [m/s2] over RATE_S; braking with intent, as for a red light (ITE plans 3.05 at most)
COAST = 1.0  # [m/s2] over RATE_S; the foot leaves the pedal: UN R13-H lights brake lamps 0.7-1.3
STEADY = 0.3  # [m/s2] over RATE_S; less is no change at all (Senna-2's threshold)
HARD = 1.5  # [m/s2] over RATE_S; what IDM traffic pulls away with, NAVSIM's comfort ends at 2.4
STRICT_BAND = 0.3  # [m/s] highest less lowest speed: 1 km/h, a speedometer's step
EVEN, UNEVEN = 0.25, 0.4  # [-] deviation of 1 s rates over the 2 s rate: a ramp from 0 has 0.3

# --- path ---------------------------------------------------------------------------------------
MOVES_M = 2.0  # [m] a shorter way has no direction: headings of recorded tracks are noise there
TURN = np.radians(5.0)  # [rad] change of heading; Senna: 5 deg, Senna-2: pi / 36
SHARP = np.radians(45.0)  # [rad] change of heading: half a corner within the horizon
SHARP_RADIUS_M = 20.0  # [m] tighter, once ASKEW: a turn at a junction, not a bend of a street
RADIUS_MIN_M = 0.5  # [m] of way that a second must cover before its radius means anything
ASKEW = np.radians(15.0)  # [rad] against the road: less is still a lane change, more leaves it
CHANGE = 0.5  # [-] of a lane's width: the middle of the car crosses the line
WEAVE = np.radians(1.0)  # [rad] a lane change without a lane needs this much heading out ...
BACK = 0.5  # [-] ... and at its end at most this part of it; likewise for the offset of a swerve
SWERVE_M = 0.8  # [m] out, and back: a door's width, more than keeping a lane ever needs
STRICT_M = 0.25  # [m] off the road's line: straight as a person can
STRICT_HEADING = np.radians(2.0)  # [rad] likewise

RARE_BOOST = 20.0  # [-] how much oftener than one of the commonest class a rare sample is drawn
LONGEST = 1e6  # [m, m/s, rad] beyond it numbers are cut: nobody drives there


@dataclass(frozen=True)
class Labels:
    """What the driver does: exactly one class each."""

    speed: SpeedCommand
    path: PathCommand


SPEEDS, PATHS = tuple(SpeedCommand), tuple(PathCommand)


def label(poses: F64, speed: float, lane: OwnLane | None = None) -> Labels:
    """Of one future. poses: (8, 3) ego frame, 0.5 s apart, the first after 0.5 s; speed: [m/s] now;
    lane: the one it starts in, which tells a lane change from a bend; without it the road is
    taken to bend as steadily as it can. Raises InputError for wrong shapes and non-finite numbers.
    """
    checked, speeds = _checked(np.asarray(poses, np.float64)[None], [speed])
    road = None if lane is None else road_of_lane(checked[0], lane)
    speed_class = int(_speed_classes(checked, speeds)[0])
    return Labels(SPEEDS[speed_class], PATHS[int(_path_classes(checked, road)[0])])


def label_many(poses: F64, speeds: ArrayLike) -> NDArray[np.int64]:
    """Of many futures (N, 8, 3) with speeds (N,): (N, 2) index into SpeedCommand and PathCommand.
    The same as `label` without a lane."""
    checked, now = _checked(np.asarray(poses, np.float64), speeds)
    return np.stack([_speed_classes(checked, now), _path_classes(checked, None)], axis=1)


def _checked(poses: F64, speeds: ArrayLike) -> tuple[F64, F64]:
    now = np.asarray(speeds, np.float64)
    if poses.ndim != 3 or poses.shape[1:] != (HORIZON_POSES, 3) or now.shape != poses.shape[:1]:
        raise InputError(
            f"labels: poses have shape {poses.shape} and speeds {now.shape}: expected "
            f"(N, {HORIZON_POSES}, 3), x y yaw every {PLAN_DT_S} s, and (N,)"
        )
    bad = ~(np.isfinite(poses).all(axis=(1, 2)) & np.isfinite(now))
    if bad.any():
        raise InputError(
            f"labels: trajectory {int(bad.argmax())}: expected finite poses and speed, got NaN or "
            "infinity; leave out futures that were not recorded to their end"
        )
    return np.clip(poses, -LONGEST, LONGEST), np.clip(np.abs(now), 0.0, LONGEST)


def _steps(poses: F64) -> F64:
    """(N, 8) way of each half second [m]."""
    start = np.zeros_like(poses[:, :1])
    moved = np.diff(np.concatenate([start, poses], axis=1)[..., :2], axis=1)
    return np.asarray(np.hypot(moved[..., 0], moved[..., 1]))


def speeds_at(poses: F64, now: F64) -> F64:
    """(N, 9) speed at 0, 0.5 .. 4 s: between two half seconds the mean of their mean speeds, at the
    end carried on."""
    mean = _steps(poses) / PLAN_DT_S
    inner = (mean[:, :-1] + mean[:, 1:]) / 2.0
    last = np.maximum(1.5 * mean[:, -1:] - 0.5 * mean[:, -2:-1], 0.0)
    return np.concatenate([now[:, None], inner, last], axis=1)


def _accelerations(speeds: F64, window_s: float) -> F64:
    """(N, k) mean accelerations of every window of that length."""
    k = round(window_s / PLAN_DT_S)
    return np.asarray((speeds[:, k:] - speeds[:, :-k]) / window_s)


def _speed_classes(poses: F64, now: F64) -> NDArray[np.int64]:
    v = speeds_at(poses, now)
    second, rate = _accelerations(v, PEAK_S), _accelerations(v, RATE_S)
    gain, loss = rate.max(axis=1), -rate.min(axis=1)
    slows, change = loss >= gain, np.maximum(loss, gain)
    unevenness = second.std(axis=1) / np.maximum(change, STEADY)
    even, uneven = unevenness <= EVEN, unevenness >= UNEVEN
    stands = (v[:, -1] < STANDING) | (slows & (v[:, 1:].min(axis=1) < STANDING))
    band = v.max(axis=1) - v.min(axis=1)
    rules = (  # the first that holds
        (-second.min(axis=1) >= EMERGENCY, SpeedCommand.EMERGENCY_DECEL),
        (stands, SpeedCommand.FULL_STOP),
        (v.max(axis=1) <= CREEP, SpeedCommand.CREEPING),
        ((change < STEADY) & (band <= STRICT_BAND), SpeedCommand.CONSTANT_SPEED_STRICT),
        (change < STEADY, SpeedCommand.CONSTANT_SPEED_LOOSE),
        (slows & (change < COAST), SpeedCommand.REGENERATIVE_BRAKING),
        (slows & (change >= FIRM), SpeedCommand.CONTROLLED_DECEL),
        (slows & even, SpeedCommand.MILD_DECEL_LINEAR),
        (slows, SpeedCommand.MILD_DECEL),
        (change >= HARD, SpeedCommand.AGGRESSIVE_ACCEL),
        (even, SpeedCommand.MILD_ACCEL_LINEAR),
        (uneven, SpeedCommand.MILD_ACCEL_NONLINEAR),
    )
    return _first(rules, SPEEDS, SpeedCommand.MILD_ACCEL)


def _path_classes(poses: F64, lane: LaneRelation | None) -> NDArray[np.int64]:
    """lane: what `road_of_lane` said of the only trajectory, or None."""
    steps = _steps(poses)
    yaw = np.unwrap(np.concatenate([np.zeros_like(poses[:, :1, 2]), poses[..., 2]], 1), axis=1)
    theta = yaw[:, -1]
    road = steady_road(poses, steps, yaw) if lane is None else lane
    out = road.offset - road.offset[:, :1]
    side = np.sign(out[:, -1])
    crosses = np.abs(out[:, -1]) >= CHANGE * road.width
    if lane is None:  # a bend that begins or ends looks like half a lane change: ask for both
        peak = (side[:, None] * yaw).max(axis=1)
        changes = crosses & (peak >= WEAVE) & (np.abs(theta) <= BACK * peak)
    else:
        changes = crosses & (np.abs(road.heading[:, -1]) < ASKEW)
    far = np.abs(out).max(axis=1)
    swerves = (far >= SWERVE_M) & (np.abs(out[:, -1]) <= BACK * far)
    turns = np.abs(theta) >= TURN
    bends = turns if lane is None else np.zeros_like(turns)
    tight = (np.abs(theta) >= ASKEW) & (_radius(steps, yaw) <= SHARP_RADIUS_M)
    sharp = tight | (np.abs(theta) >= SHARP)
    strict = (far <= STRICT_M) & (np.ptp(road.heading, axis=1) <= STRICT_HEADING)
    rules = (  # the first that holds
        (steps.sum(axis=1) < MOVES_M, PathCommand.STRAIGHT_STRICT),
        (sharp & (theta > 0.0), PathCommand.SHARP_LEFT_TURN),
        (sharp, PathCommand.SHARP_RIGHT_TURN),
        (~bends & changes & (side > 0.0), PathCommand.LEFT_LANE_CHANGE),
        (~bends & changes, PathCommand.RIGHT_LANE_CHANGE),
        (~bends & swerves, PathCommand.SWERVING),
        (turns & (theta > 0.0), PathCommand.SLIGHT_LEFT_TURN),
        (turns, PathCommand.SLIGHT_RIGHT_TURN),
        (strict, PathCommand.STRAIGHT_STRICT),
    )
    return _first(rules, PATHS, PathCommand.LANE_MICRO_ADJUST)


def _radius(steps: F64, yaw: F64) -> F64:
    """(N,) tightest radius of any second [m]; infinite where no second covers RADIUS_MIN_M."""
    way = steps[:, 1:] + steps[:, :-1]
    turned = np.abs(yaw[:, 2:] - yaw[:, :-2])
    curvature = np.where(way >= RADIUS_MIN_M, turned / np.maximum(way, RADIUS_MIN_M), 0.0)
    return np.asarray(1.0 / np.maximum(curvature.max(axis=1), 1e-9))


def _first(
    rules: tuple[tuple[NDArray[np.bool_], SpeedCommand | PathCommand], ...],
    order: tuple[SpeedCommand | PathCommand, ...],
    otherwise: SpeedCommand | PathCommand,
) -> NDArray[np.int64]:
    """(N,) index in the order of the first rule that holds."""
    chosen = [np.int64(order.index(name)) for _, name in rules]
    default = np.int64(order.index(otherwise))
    return np.asarray(np.select([holds for holds, _ in rules], chosen, default))


def balance(labels: NDArray[np.int64], rng: np.random.Generator, count: int) -> NDArray[np.int64]:
    """(count,) indices of samples (N, 2), drawn with repetition so that classes come up evenly.

    Half of the draws are balanced over the speed classes, half over the path classes: a sample's
    chance is inverse to how common its class is, but at most RARE_BOOST times that of a sample of
    the commonest class, so that the only swerve of a day is not learnt by heart. Raises InputError
    where there is nothing to draw from."""
    if labels.ndim != 2 or labels.shape[1] != 2 or len(labels) == 0:
        raise InputError(f"balance: expected labels (N, 2) with N >= 1, got shape {labels.shape}")
    chance = np.zeros(len(labels))
    for column in labels.T:
        _, which, counts = np.unique(column, return_inverse=True, return_counts=True)
        weight = np.minimum(counts.max() / counts, RARE_BOOST)[which]
        chance += weight / weight.sum() / 2.0
    return np.asarray(rng.choice(len(labels), size=count, p=chance / chance.sum()), np.int64)
