"""One proposal, and many, through all sub-scores: the compiled heart of the scorer.

    terms = evaluate_plans(arena, comfort, start, plans)           plans are sampled and simulated
    terms = evaluate_states(arena, comfort, states)                states simulated elsewhere

Both give `Terms`: the sub-scores that belong to a proposal alone. What depends on others (EP, the
human filter) is done in progress.py and epdms.py. PDM-Closed scores its 15 proposals with
`evaluate_states(arena, NO_COMFORT, states)`: HC is 1 then and EC is left out.
May import: types, scoring.arena, collision, comfort, compiled, geometry, road, scene, simulate.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from irl_vla.scoring.arena import Arena
from irl_vla.scoring.collision import first_fault, first_threat, near, swept_bounds
from irl_vla.scoring.comfort import (
    ComfortFilters,
    Past,
    extended_comfort,
    extended_filters,
    extended_rms,
    history_filters,
    history_violations,
)  # fmt: skip
from irl_vla.scoring.compiled import kernel, plain
from irl_vla.scoring.geometry import box_corners, locate_on_line
from irl_vla.scoring.grid import contains_mask
from irl_vla.scoring.road import (
    area_flags,
    drivable_area,
    driving_direction,
    lane_keeping,
    traffic_lights,
)  # fmt: skip
from irl_vla.scoring.scene import HEADING, I64, STEPS
from irl_vla.scoring.simulate import drive, sample_plan
from irl_vla.scoring.tracker import N
from irl_vla.types import F64

NC, DAC, DDC, TLC, PROGRESS, TTC, LK, HC, EC = range(9)  # columns of the terms
# columns of the evidence: where points were lost, -1 where none were
(
    NC_STEP, NC_TRACK, DAC_STEP, DDC_STEP, TLC_STEP, TLC_LIGHT, TTC_STEP, TTC_TRACK, LK_STEP,
    HC_BITS,
) = range(10)  # fmt: skip
CHUNK = 64  # proposals a thread takes at a time
TTC_LAST = N - 9  # last step that looks 0.9 s ahead within the horizon
TTC_LAST_V1 = N  # v1 looks ahead to the end, into tracks of 5 s


class Comfort(NamedTuple):
    """What HC and EC need. shift: steps between the frames, 0 without a previous frame."""

    past: Past
    history: ComfortFilters
    extended: ComfortFilters
    shift: int


class Start(NamedTuple):
    """Where plans begin: ego state (11,), knots (9,) and instants (41,) of simulate.sample_times,
    both relative to the frame's t0."""

    initial: F64
    knots: F64
    instants: F64


class Scratch(NamedTuple):
    """Working memory of one thread."""

    at: F64
    ref: F64
    states: F64
    corners: F64
    centres: F64
    axes: F64
    flags: I64
    masks: I64
    boxes: F64
    signals: F64
    extended: F64
    rms: F64


@dataclass(frozen=True)
class Terms:
    """Sub-scores of P proposals by themselves.

    values: (P, 9) NC, DAC, DDC, TLC, raw progress [m], TTC, LK, HC, EC (NaN without previous frame)
    evidence: (P, 10) steps and indices of what cost the points, see the column names of this module
    """

    values: F64
    evidence: I64


@kernel
def working_memory(arena: Arena, comfort: Comfort) -> Scratch:
    """Fresh scratch for one thread."""
    words = len(arena.kinds.lanes)
    return Scratch(
        np.empty((9, 3)), np.empty((STEPS, 3)), np.empty((2, STEPS, 11)), np.empty((STEPS, 4, 2)),
        np.empty((STEPS, 2)), np.empty((STEPS, 2)), np.empty(STEPS, np.int64),
        np.empty((6, words), np.int64), np.empty((8, 2)),
        np.empty((5, len(comfort.past.lon) + STEPS)), np.empty((10, STEPS - comfort.shift)),
        np.empty(4),
    )  # fmt: skip


@kernel
def place(arena: Arena, states: F64, s: Scratch) -> None:
    """Corners, centres, axes and area flags of all steps of states (41, 11)."""
    cells, rings, kinds, body = arena.cells, arena.rings, arena.kinds, arena.body
    corners, centres, axes, masks, flags = s.corners, s.centres, s.axes, s.masks, s.flags
    for k in range(STEPS):
        cos, sin = math.cos(states[k, HEADING]), math.sin(states[k, HEADING])
        axes[k, 0], axes[k, 1] = cos, sin
        x, y = states[k, 0] + body.centre * cos, states[k, 1] + body.centre * sin
        centres[k, 0], centres[k, 1] = x, y
        box_corners(x, y, cos, sin, body.half_length, body.half_width, corners[k])
        for i in range(4):
            contains_mask(cells, rings, corners[k, i, 0], corners[k, i, 1], masks, i)
        contains_mask(cells, rings, x, y, masks, 4)
        flags[k] = area_flags(masks, kinds)


@kernel
def collisions(
    arena: Arena, states: F64, ttc_last: int, s: Scratch, values: F64, evidence: I64
) -> None:
    """NC and TTC with their evidence."""
    values[NC], values[TTC] = 1.0, 1.0
    swept = swept_bounds(arena.body, states, s.centres, s.axes)
    traffic = arena.traffic
    bounds, radii = traffic.bounds, traffic.radii
    for a in range(len(radii)):
        if not near(bounds, radii, a, swept):
            continue
        k = first_fault(arena, a, states, s.corners, s.centres, s.axes, s.flags, s.boxes)
        blame = traffic.blame[a]
        if k >= 0 and (blame < values[NC] or (blame == values[NC] and k < evidence[NC_STEP])):
            values[NC], evidence[NC_STEP], evidence[NC_TRACK] = blame, k, a
        k = first_threat(
            arena, a, ttc_last, states, s.corners, s.centres, s.axes, s.flags, s.boxes, s.masks
        )
        if k >= 0 and (values[TTC] > 0.0 or k < evidence[TTC_STEP]):
            values[TTC], evidence[TTC_STEP], evidence[TTC_TRACK] = 0.0, k, a


@kernel
def judge(
    arena: Arena, comfort: Comfort, states: F64, ttc_last: int, s: Scratch, values: F64,
    evidence: I64,
) -> None:  # fmt: skip
    """All terms but EC of states (41, 11) -> values (9,), evidence (10,)."""
    evidence[:] = -1
    place(arena, states, s)
    collisions(arena, states, ttc_last, s, values, evidence)
    values[DAC], evidence[DAC_STEP] = drivable_area(s.flags)
    values[DDC], evidence[DDC_STEP], _ = driving_direction(s.flags, s.centres)
    values[TLC], evidence[TLC_STEP], evidence[TLC_LIGHT] = traffic_lights(
        arena, s.corners, s.centres, s.axes
    )
    values[LK], evidence[LK_STEP] = lane_keeping(arena, s.flags, s.centres)
    path = arena.path
    begin = locate_on_line(path.line, path.lengths, s.centres[0, 0], s.centres[0, 1])
    end = locate_on_line(path.line, path.lengths, s.centres[N, 0], s.centres[N, 1])
    values[PROGRESS] = max(end - begin, 0.0)
    bits = history_violations(states, comfort.past, comfort.history, s.signals)
    values[HC], evidence[HC_BITS] = (1.0 if bits == 0 else 0.0), bits
    values[EC] = math.nan


@kernel
def judge_states(
    arena: Arena, comfort: Comfort, states: F64, ttc_last: int, first: int, last: int, values: F64,
    evidence: I64,
) -> None:  # fmt: skip
    """Proposals first..last-1 of states (P, 41, 11)."""
    s = working_memory(arena, comfort)
    for p in range(first, last):
        judge(arena, comfort, states[p], ttc_last, s, values[p], evidence[p])


@kernel
def judge_plans(
    arena: Arena, comfort: Comfort, start: Start, plans: F64, before: Start, earlier: F64,
    first: int, last: int, values: F64, evidence: I64,
) -> None:  # fmt: skip
    """Sample, simulate and judge proposals first..last-1 of plans (P, 8, 3). earlier: (P or 1, 8,
    3) the previous frame's plans."""
    s = working_memory(arena, comfort)
    body, now, old = arena.body, s.states[0], s.states[1]
    for p in range(first, last):
        sample_plan(plans[p], start.initial, start.knots, start.instants, body.centre, s.at, s.ref)
        drive(start.initial, s.ref, body.wheel_base, now)
        judge(arena, comfort, now, TTC_LAST, s, values[p], evidence[p])
        if comfort.shift > 0:
            if p == first or len(earlier) > 1:
                sample_plan(
                    earlier[p if len(earlier) > 1 else 0], before.initial, before.knots,
                    before.instants, body.centre, s.at, s.ref,
                )  # fmt: skip
                drive(before.initial, s.ref, body.wheel_base, old)
            extended_rms(now, old, comfort.shift, comfort.extended, s.extended, s.rms)
            values[p, EC] = extended_comfort(s.rms)


NOTHING_PAST = Past(np.zeros(0), np.zeros(0), np.zeros(0), 0, 0.0, False)


@lru_cache(maxsize=16)
def comfort_filters(past: int, shift: int) -> tuple[ComfortFilters, ComfortFilters]:
    """HC filters over `past` states and the horizon, EC filters over the overlap."""
    return history_filters(past + STEPS), extended_filters(STEPS - shift)


def comfort_of(past: Past, shift: int) -> Comfort:
    """Past signals (comfort.pack_past, or NOTHING_PAST: HC is 1) and the steps between frames."""
    return Comfort(past, *comfort_filters(len(past.lon), shift), shift)


NO_COMFORT = comfort_of(NOTHING_PAST, 0)


def evaluate_states(
    arena: Arena, comfort: Comfort, states: F64, threads: int = 1, ttc_last: int = TTC_LAST
) -> Terms:
    """Terms of simulated states (P, 41, 11); EC is NaN."""
    states = plain(states)
    terms = empty_terms(len(states))

    def work(first: int, last: int) -> None:
        judge_states(arena, comfort, states, ttc_last, first, last, terms.values, terms.evidence)

    in_chunks(work, len(states), threads)
    return terms


def evaluate_plans(
    arena: Arena, comfort: Comfort, start: Start, plans: F64,
    before: Start | None = None, earlier: F64 | None = None, threads: int = 1,
) -> Terms:  # fmt: skip
    """Terms of plans (P, 8, 3), simulated from `start`.

    before, earlier: the previous frame and its plans (P or 1, 8, 3), for EC; comfort.shift says how
    many steps lie between.
    """
    terms = empty_terms(len(plans))
    old, old_plans = before or start, plans if earlier is None else earlier

    def work(first: int, last: int) -> None:
        judge_plans(
            arena, comfort, start, plans, old, old_plans, first, last, terms.values, terms.evidence
        )

    in_chunks(work, len(plans), threads)
    return terms


def empty_terms(proposals: int) -> Terms:
    """Room for the terms of P proposals."""
    return Terms(np.empty((proposals, 9)), np.empty((proposals, 10), np.int64))


def in_chunks(work: Callable[[int, int], None], items: int, threads: int) -> None:
    """Call work(first, last) over all items; the kernels release the GIL, so that threads help.
    Each item is computed alone: the result does not depend on the number of threads."""
    if threads <= 1 or items <= CHUNK:
        work(0, items)
        return
    bounds = [*range(0, items, CHUNK), items]
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(work, bounds[:-1], bounds[1:]))
