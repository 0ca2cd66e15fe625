"""The setups of the situations: where in a town each may happen, and who is put where.

Times: the expert drives until TAKE_OVER_S, then whoever is tested. Distances follow from the speed
an ego has on an empty street, so that whoever sees what happens can handle it without an emergency
stop. May import: scoring.scene, types, world.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from irl_vla.vehicle import PACIFICA
from irl_vla.world.driver.expert import Expert
from irl_vla.world.situations.events import HardBrake, StepOut, stopping_m
from irl_vla.world.situations.places import (
    Stretch,
    is_hidden,
    parking_gaps,
    route_over,
    straight_on,
    stretches,
    way_over,
)
from irl_vla.world.situations.scripted_traffic import ScriptedTraffic
from irl_vla.world.town import NONE, Light, Town

TAKE_OVER_S = 2.0  # [s] the expert drives before
FIRST_M = 12.0  # [m] of a street before the ego's place
BEYOND_M = 170.0  # [m] of route beyond the first junction
PACE = 0.95  # share of the limit that an ego drives, about
FRONT = PACIFICA.front_length  # [m] from the rear axle to the bumper

Dress = Callable[[ScriptedTraffic, Expert, float], bool]


@dataclass(frozen=True)
class SituationSetup:
    """Where and what. s: of the ego's rear axle along the route [m]; route_m: from there to where
    the situation is over; dress: puts everybody in place, given the ego's speed [m/s]; False where
    there is no room."""

    town: Town
    route: tuple[int, ...]
    s: float
    route_m: float
    dress: Dress


def pick(town: Town, rng: np.random.Generator, fits: Callable[[Stretch], bool]) -> Stretch | None:
    """One of the stretches that fit."""
    found = [stretch for stretch in stretches(town) if fits(stretch)]
    return found[rng.integers(len(found))] if found else None


def limit_of(town: Town, stretch: Stretch) -> float:
    """[m/s] on a stretch."""
    return town.lanes[stretch.lanes[0]].speed_limit


# --------------------------------------------------------------------------- lead_brakes


def lead_brakes(town: Town, rng: np.random.Generator) -> SituationSetup | None:
    """The car ahead brakes hard to a stop, stands for a while, and goes on."""
    from_s, braking = TAKE_OVER_S + rng.uniform(0.4, 1.4), rng.uniform(5.5, 7.0)
    stands, headway = rng.uniform(2.0, 4.0), rng.uniform(1.3, 1.8)
    share = 0.5 * rng.random()

    def needs(stretch: Stretch) -> float:
        v = PACE * limit_of(town, stretch)
        return FRONT + v * (from_s + headway) + v * v / (2.0 * braking) + 15.0

    def begin(stretch: Stretch) -> float:
        return FIRST_M + share * (stretch.length - 8.0 - FIRST_M - needs(stretch))

    def fits(stretch: Stretch) -> bool:
        s = begin(stretch)
        return s >= FIRST_M and stretch.is_straight(s - FIRST_M, s + needs(stretch))

    stretch = pick(town, rng, fits)
    if stretch is None:
        return None
    s = begin(stretch)
    route = route_over(town, rng, stretch, straight_on(town, stretch), BEYOND_M)

    def dress(traffic: ScriptedTraffic, expert: Expert, v: float) -> bool:
        place = s + FRONT + 3.0 + headway * v
        traffic.clear(expert.path.between(s - 25.0, place + 70.0))
        lane, arc = stretch.lane_at(town, place + 2.5)
        lead = traffic.put(lane, arc, v)
        traffic.drive_at(lead, v)
        traffic.plays(HardBrake(lead, from_s, braking, stands))
        return True

    return SituationSetup(town, route, s, needs(stretch) + 50.0, dress)


# --------------------------------------------------------------------------- red_light


LONGEST_RED_S = 30.0  # [s] nobody waits longer
STOP_LINE_M = 6.0  # [m] from the stop line to the end of the street, about
SURELY_RED_S = 3.5  # [s] after the amber begins it is red


def red_light(town: Town, rng: np.random.Generator) -> SituationSetup | None:
    """A light turns red as the ego comes, nobody before it."""
    amber_s, more = TAKE_OVER_S + rng.uniform(0.3, 1.0), rng.uniform(0.0, 8.0)

    def away(stretch: Stretch) -> float:
        v = PACE * limit_of(town, stretch)
        return v * amber_s + max(SURELY_RED_S * v, stopping_m(v) + 0.1 * v * v) + more

    def fits(stretch: Stretch) -> bool:
        index = town.lanes[straight_on(town, stretch)].signal
        s = stretch.length - STOP_LINE_M - away(stretch) - FRONT
        return index != NONE and s > 4.0 and _red_s(town, index) < LONGEST_RED_S

    stretch = pick(town, rng, fits)
    if stretch is None:
        return None
    connector = straight_on(town, stretch)
    s = stretch.length - STOP_LINE_M - away(stretch) - FRONT
    town = with_clock(town, town.lanes[connector].signal, Light.AMBER, amber_s)
    route = route_over(town, rng, stretch, connector, BEYOND_M)

    def dress(traffic: ScriptedTraffic, expert: Expert, v: float) -> bool:
        traffic.clear(expert.path.between(s - 20.0, stretch.length))
        return True

    return SituationSetup(town, route, s, stretch.length - s + 50.0, dress)


def _red_s(town: Town, index: int) -> float:
    """[s] that a signal is red at a time."""
    return float(sum(time for time, light in town.signals[index].phases if light == Light.RED))


def with_clock(town: Town, index: int, light: Light, begins_s: float) -> Town:
    """The town with its clock set so that a signal shows `light` from begins_s on. All signals are
    moved alike: none of them contradicts another."""
    signal = town.signals[index]
    ends = np.cumsum(signal.phases[:, 0])
    shown = [int(shows) for shows in signal.phases[:, 1]]
    k = shown.index(int(light))
    shift = float(ends[k] - signal.phases[k, 0]) - begins_s - signal.offset_s
    return replace(
        town, signals=tuple(replace(s, offset_s=s.offset_s + shift) for s in town.signals)
    )


# --------------------------------------------------------------------------- pedestrian


def pedestrian_steps_out(town: Town, rng: np.random.Generator) -> SituationSetup | None:
    """Somebody steps out between parked cars and walks over the road."""
    after_s, pace = TAKE_OVER_S + rng.uniform(0.3, 1.2), rng.uniform(1.4, 2.0)
    options = []
    for stretch in stretches(town):
        v = PACE * limit_of(town, stretch)
        back = FRONT + v * after_s + stopping_m(v)
        options += [
            (stretch, place, place - back) for place in parking_gaps(town, stretch)
            if place - back > 6.0 and stretch.is_straight(place - back, place + 8.0)
        ]  # fmt: skip
    if not options:
        return None
    stretch, place, s = options[rng.integers(len(options))]
    route = route_over(town, rng, stretch, straight_on(town, stretch), BEYOND_M)
    line = way_over(town, stretch, place)
    if line is None:
        return None

    def dress(traffic: ScriptedTraffic, expert: Expert, v: float) -> bool:
        if not is_hidden(traffic.boxes(), line):
            return False
        traffic.clear(expert.path.between(s - 20.0, place + 10.0))
        walker = traffic.wait_at(line, pace)
        traffic.plays(StepOut(walker, TAKE_OVER_S + 0.1))
        return True

    return SituationSetup(town, route, s, place - s + 40.0, dress)
