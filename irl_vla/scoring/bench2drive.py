"""Bench2Drive: driving score, success rate, efficiency, comfort and ability of a closed-loop run.

    result = evaluate(read_records([Path("results/")]), metrics=Path("results/metrics"))
Each number twice: `compatible` is what the published scripts print (to be compared with published
tables), `corrected` is in SI units: degrees per second and the time step are mended. Written from a
description of the formulas of Thinklab-SJTU/Bench2Drive 7ec25d1, not from its code.
May import: types, scoring.bench2drive_files, scoring.bench2drive_comfort.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from irl_vla.scoring.bench2drive_comfort import as_meant, as_published, route_comfort
from irl_vla.scoring.bench2drive_files import (
    MIN_SPEED,
    RED_LIGHT,
    STOP_SIGN,
    SUCCESSFUL,
    RouteRecord,
    read_motion,
)
from irl_vla.types import InputError

ROUTES = 220  # routes of a full run; both route sets have as many
PERCENT = re.compile(r"\b\d+\.?\d*%")  # "Average speed is 83.2% of the surrounding traffic's one"
MAX_EFFICIENCY = 1000.0  # [%] larger values are dropped: the traffic stands
PAST_TRIGGER = 8  # [steps of 1 m] behind a junction's first point, so that the trigger is passed

# Facts of the benchmark: which kinds of scenario ask for which ability (bench2drive220.xml, 44
# kinds; Thinklab-SJTU/Bench2Drive 7ec25d1). A kind may ask for several.
_TURNS = (
    "NonSignalizedJunctionLeftTurn", "NonSignalizedJunctionLeftTurnEnterFlow",
    "NonSignalizedJunctionRightTurn", "SignalizedJunctionLeftTurn",
    "SignalizedJunctionLeftTurnEnterFlow", "SignalizedJunctionRightTurn",
)  # fmt: skip
_CONFLICTS = (
    "BlockedIntersection", "OppositeVehicleRunningRedLight", "OppositeVehicleTakingPriority",
    "PedestrianCrossing", "VehicleTurningRoute", "VehicleTurningRoutePedestrian",
)  # fmt: skip
_FLOWS = ("CrossingBicycleFlow", "EnterActorFlow")
ABILITIES: Mapping[str, frozenset[str]] = {
    "Overtaking": frozenset({
        "Accident", "AccidentTwoWays", "ConstructionObstacle", "ConstructionObstacleTwoWays",
        "HazardAtSideLane", "HazardAtSideLaneTwoWays", "ParkedObstacle", "ParkedObstacleTwoWays",
        "VehicleOpensDoorTwoWays",
    }),
    "Merging": frozenset({
        *_TURNS, *_FLOWS, "HighwayCutIn", "HighwayExit", "InterurbanActorFlow",
        "InterurbanAdvancedActorFlow", "MergerIntoSlowTraffic", "MergerIntoSlowTrafficV2",
        "ParkingExit", "SequentialLaneChange",
    }),
    "Emergency_Brake": frozenset({
        *_CONFLICTS, "ControlLoss", "DynamicObjectCrossing", "HardBreakRoute",
        "ParkingCrossingPedestrian", "ParkingCutIn", "StaticCutIn",
    }),
    "Give_Way": frozenset({"InvadingTurn", "YieldToEmergencyVehicle"}),
    "Traffic_Signs": frozenset({
        *_TURNS, *_FLOWS, *_CONFLICTS, "T_Junction", "VanillaNonSignalizedTurn",
        "VanillaNonSignalizedTurnEncounterStopsign", "VanillaSignalizedTurnEncounterGreenLight",
        "VanillaSignalizedTurnEncounterRedLight",
    }),
}  # fmt: skip
SIGNS = "Traffic_Signs"


@dataclass(frozen=True)
class Column:
    """One reading of a run. NaN: cannot be said, see `Bench2Drive.notes`.

    driving_score: 0..100; success_rate: 0..1; efficiency: [%] of the traffic's speed, may exceed
    100; comfort: 0..1; ability: name -> 0..1; ability_mean: 0..1
    """

    driving_score: float
    success_rate: float
    efficiency: float
    comfort: float
    ability: Mapping[str, float]
    ability_mean: float


@dataclass(frozen=True)
class Bench2Drive:
    """A run, read twice. routes: routes that were driven; notes: what limits the numbers."""

    compatible: Column
    corrected: Column
    routes: int
    notes: tuple[str, ...]


def evaluate(
    records: Sequence[RouteRecord],
    metrics: Path | None = None,
    junctions: Mapping[str, float] | None = None,
) -> Bench2Drive:
    """Scores of a run.

    metrics: folder of the recorded motions, for comfort; without it comfort is NaN
    junctions: route number -> share of the route up to its first junction (`junction_share`), from
    CARLA's route planner; needed where a route with traffic signs failed
    Raises InputError for records that cannot be scored.
    """
    if not records:
        raise InputError("bench2drive: no route in the results: nothing to score")
    notes = []
    if len(records) != ROUTES:
        notes.append(
            f"{len(records)} routes were driven: a missing one of the {ROUTES} counts as 0 in "
            "driving score and success rate"
        )
    score, success = driving_score(records), success_rate(records)
    ability, unknown = abilities(records, junctions or {})
    if unknown:
        notes.append(f"{SIGNS} needs the first junction of the routes {', '.join(unknown)}")
    mean = float(np.mean(list(ability.values())))
    comfort = comforts(records, metrics)
    if metrics is None:
        notes.append("comfort needs the recorded motions (metric_info.json)")
    published, meant = efficiencies(records)
    if np.isnan(published) and not np.isnan(meant):
        notes.append(
            f"a route has only efficiencies above {MAX_EFFICIENCY:g} %: the script divides by zero "
            "there; the corrected column leaves it out"
        )
    return Bench2Drive(
        Column(score, success, published, comfort[0], ability, mean),
        Column(score, success, meant, comfort[1], ability, mean),
        len(records), tuple(notes),
    )  # fmt: skip


def driving_score(records: Sequence[RouteRecord]) -> float:
    """Sum of composed scores / 220, 0..100: missing routes count as 0."""
    return sum(record.composed for record in records) / ROUTES


def succeeded(record: RouteRecord) -> bool:
    """Driven to the end without any infraction; driving slowly is none."""
    broken = any(found for kind, found in record.infractions.items() if kind != MIN_SPEED)
    return record.status in SUCCESSFUL and not broken


def success_rate(records: Sequence[RouteRecord]) -> float:
    """Successful routes / 220."""
    return sum(succeeded(record) for record in records) / ROUTES


def efficiencies(records: Sequence[RouteRecord]) -> tuple[float, float]:
    """Mean over routes of their mean speed in percent of the traffic's: published, corrected.

    Routes without a measurement are left out. A route with values above 1000 only: the script
    divides by zero (NaN here), the corrected number leaves the route out.
    """
    routes = [_percents(record) for record in records if record.infractions[MIN_SPEED]]
    kept = [[value for value in values if value <= MAX_EFFICIENCY] for values in routes]
    means = [float(np.mean(values)) for values in kept if values]
    meant = float(np.mean(means)) if means else float("nan")
    return (meant if all(kept) else float("nan")), meant


def _percents(record: RouteRecord) -> list[float]:
    found = []
    for message in record.infractions[MIN_SPEED]:
        number = PERCENT.search(message)
        if number is None:
            raise InputError(
                f"{record.where}: infractions: {MIN_SPEED}: expected a text with a percentage, got "
                f"'{message:.80}'"
            )
        found.append(float(number.group().rstrip("%")))
    return found


def comforts(records: Sequence[RouteRecord], metrics: Path | None) -> tuple[float, float]:
    """Mean of the routes' comfort: published, corrected. NaN without motions."""
    if metrics is None:
        return float("nan"), float("nan")
    published, meant = [], []
    for record in records:
        motion = read_motion(metrics, record)
        published.append(route_comfort(motion, as_published(motion), record.where))
        meant.append(route_comfort(motion, as_meant(motion, record.where), record.where))
    return float(np.mean(published)), float(np.mean(meant))


def junction_share(steps_to_junction: int, steps: int) -> float:
    """Share of a route (in steps of 1 m of CARLA's route planner) that passes the trigger of its
    first junction; steps_to_junction counts the first point in it."""
    return (steps_to_junction + PAST_TRIGGER) / steps


def abilities(
    records: Sequence[RouteRecord], junctions: Mapping[str, float]
) -> tuple[dict[str, float], list[str]]:
    """Share of successes per ability, and the routes whose first junction would have to be known.
    An ability that no route asks for, or that needs an unknown junction, is NaN."""
    shares, unknown = {}, list[str]()
    for name, kinds in ABILITIES.items():
        asked = [record for record in records if record.scenario in kinds]
        passed = [
            _passed_signs(record, junctions) if name == SIGNS else float(succeeded(record))
            for record in asked
        ]
        shares[name] = float(np.mean(passed)) if passed else float("nan")
        unknown += [r.route for r, p in zip(asked, passed, strict=True) if np.isnan(p)]
    return shares, unknown


def _passed_signs(record: RouteRecord, junctions: Mapping[str, float]) -> float:
    """1, 0, or NaN if unknown. Also passed: a failed route that got past the junction without
    running a stop sign or a red light."""
    if succeeded(record):
        return 1.0
    if record.infractions[STOP_SIGN] or record.infractions[RED_LIGHT]:
        return 0.0
    if record.route not in junctions:
        return float("nan")
    return float(record.route_percent / 100.0 > junctions[record.route])
