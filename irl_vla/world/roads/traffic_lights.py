"""Traffic lights of one junction: who is green when.

Stages follow each other; in a stage some groups of connectors are green, then amber, then all is
red for a moment. Groups of one stage that cross have yield relations (right_of_way.py).
May import: types, world.roads, world.town.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from irl_vla.types import F64
from irl_vla.world.roads.junctions import Arm, BuiltJunction
from irl_vla.world.roads.lane_draft import LaneDraft
from irl_vla.world.roads.right_of_way import side_of
from irl_vla.world.town import Light, Signal, Turn

AMBER_S = 3.0  # German guideline RiLSA: 3 s at 50 km/h
_HEAD_M = 3.2  # height of the lamp box's middle
_KERB_M, _AHEAD_M = 0.8, 1.2  # posts stand behind the kerb, and beyond the stop line
Group = tuple[int, bool]  # arm; whether its protected left turn


@dataclass(frozen=True)
class JunctionSignals:
    """Lights of a junction. signals: to be numbered from `first`; groups: the signal of every link,
    as a place in signals; stages: per signal; walks: per arm, the signal that must be red while
    people cross it, as a place in signals."""

    signals: tuple[Signal, ...]
    groups: tuple[int, ...]
    stages: tuple[int, ...]
    walks: tuple[int, ...]


def lights_of(
    rng: np.random.Generator, crossing: BuiltJunction, pockets: list[bool], first: int,
    lanes: list[LaneDraft],
) -> JunctionSignals:  # fmt: skip
    """Lights of a junction; connectors learn their signal's number, first + place."""
    stages = _stages(rng, crossing, pockets)
    greens = [
        rng.uniform(8.0, 12.0) if stage[0][1] else rng.uniform(14.0, 26.0) for stage in stages
    ]
    greens = [float(np.round(green, 1)) for green in greens]
    dark = float(np.round(rng.uniform(1.0, 2.0), 1))  # all red
    begins = np.cumsum([0.0, *(green + AMBER_S + dark for green in greens)])
    offset = float(np.round(rng.uniform(0.0, begins[-1]), 1))
    order = {group: k for k, stage in enumerate(stages) for group in stage}
    members = sorted(order)
    signals = [
        Signal(
            _phases(begins[order[group]], greens[order[group]], begins[-1]), offset,
            _heads(crossing.arms, group),
        )
        for group in members
    ]  # fmt: skip
    groups = []
    for link, lane in zip(crossing.links, crossing.connectors, strict=True):
        alone = (link.arms[0], True) in order and link.turn == Turn.LEFT
        groups.append(members.index((link.arms[0], alone)))
        lanes[lane].signal = first + groups[-1]
    walks = []
    for arm in range(len(crossing.arms)):
        walks.append(members.index((arm, False)))
        if (arm, True) in order:  # people wait for both; a signal that nobody sees says when
            k, last = order[(arm, True)], order[(arm, False)]
            green = begins[last] - begins[k] + greens[last]
            walks[-1] = len(signals)
            signals.append(Signal(_phases(begins[k], green, begins[-1]), offset, np.zeros((0, 4))))
    return JunctionSignals(
        tuple(signals), tuple(groups), tuple(order[g] for g in members), tuple(walks)
    )


def _stages(
    rng: np.random.Generator, crossing: BuiltJunction, pockets: list[bool]
) -> list[list[Group]]:
    """Opposite arms share a stage, after one for their left turns where those have lanes."""
    count, style, split = len(crossing.arms), rng.random(), rng.random()
    turns_left = [
        any(link.arms[0] == arm and link.turn == Turn.LEFT for link in crossing.links)
        for arm in range(count)
    ]
    goes_on = [
        any(link.arms[0] == arm and link.turn != Turn.LEFT for link in crossing.links)
        for arm in range(count)
    ]
    stages: list[list[Group]] = []
    done: set[int] = set()
    for arm in range(count):
        if arm in done:
            continue
        facing = [
            other for other in range(arm + 1, count)
            if other not in done and side_of(crossing.arms, arm, other) == "ahead"
        ][:1]  # fmt: skip
        axis = [arm, *facing]
        done.update(axis)
        left = [a for a in axis if pockets[a] and turns_left[a] and goes_on[a]]
        if facing and left and style < 0.6:
            stages += [[(a, True) for a in left], [(a, False) for a in axis]]
        elif split < 0.12:
            stages += [[(a, False)] for a in axis]
        else:
            stages.append([(a, False) for a in axis])
    return stages


def _phases(begin: float, green: float, cycle: float) -> F64:
    rows = [
        (begin, Light.RED), (green, Light.GREEN), (AMBER_S, Light.AMBER),
        (cycle - begin - green - AMBER_S, Light.RED),
    ]  # fmt: skip
    return np.array([row for row in rows if row[0] > 1e-9], np.float64)


def _heads(arms: tuple[Arm, ...], group: Group) -> F64:
    """(2, 4) one at the stop line, one across the junction where a street goes on there."""
    arm, protected = group
    gate, plan = arms[arm].gate, arms[arm].plan
    right, left = plan.coming + _KERB_M, -plan.leaving - _KERB_M
    near, far = (left, right) if protected else (right, left)
    spots = [_beside(gate, near)]
    facing = [o for o in range(len(arms)) if side_of(arms, arm, o) == "ahead"]
    if facing:
        other = arms[facing[0]]
        side = other.plan.coming + _KERB_M if protected else -other.plan.leaving - _KERB_M
        spots.append(_beside(other.gate, side))
    else:
        spots.append(_beside(gate, far))
    return np.array([[*spot, _HEAD_M, gate[2]] for spot in spots])


def _beside(gate: F64, offset: float) -> tuple[float, float]:
    cos, sin = np.cos(gate[2]), np.sin(gate[2])
    return (
        float(gate[0] - _AHEAD_M * cos - offset * sin),
        float(gate[1] - _AHEAD_M * sin + offset * cos),
    )
