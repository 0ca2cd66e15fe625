"""Two-stage aggregation of EPDMS: first frames, their follow-up scenes, and one number.

A group is a pair of first-stage frames half a second apart (now, previous) and pairs of follow-up
scenes that start near where the first-stage plans end. Symbols:
    E  (2,) last PLANNED pose of a first-stage plan, global [m] (not the simulated end)
    S  (n, 2) rear axles where its n follow-ups start, global [m]
    w = exp(-|E - S|² / (2 sigma²)), sigma² = 0.1 m², normalised
    stage one = (first_now + first_previous) / 2
    stage two = (w·follow_now + w·follow_previous) / 2
    combined = (first_now · w·follow_now + first_previous · w·follow_previous) / 2, every column
Source: docs/epdms.md, "Two stages". May import: types, scoring.comfort, scoring.epdms,
scoring.scene.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from irl_vla.scoring.comfort import extended_comfort, extended_filters, extended_rms
from irl_vla.scoring.epdms import MULTIPLIERS, WEIGHTS, WITHOUT_EC, weighted_mean
from irl_vla.scoring.scene import STEP_US, STEPS
from irl_vla.types import F64, InputError

SUB_SCORE_NAMES = ("nc", "dac", "ddc", "tlc", "ep", "ttc", "lk", "hc")  # of one frame alone
COLUMNS = (*SUB_SCORE_NAMES, "ec", "score")
SIGMA_SQUARED = 0.1  # [m²] of the weights by distance
NO_WEIGHT = 1e-8  # a sum of weights this close to 0 counts as none: then all weigh the same
MAX_INTERVAL_US = 550_000  # frames of a pair are less than this apart


@dataclass(frozen=True)
class ScoredFrame:
    """One scored scene of either stage.

    t0_us: its time; start: (2,) rear axle at t0; planned_end: (2,) last planned pose; both global
    sub_scores: (8,) SUB_SCORE_NAMES after the human filter; states: (41, 11) simulated states of
    its plan
    """

    t0_us: int
    start: F64
    planned_end: F64
    sub_scores: F64
    states: F64


@dataclass(frozen=True)
class Group:
    """Tokens that belong together. follow_ups: pairs (of now, of previous)."""

    now: str
    previous: str
    follow_ups: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class WeightedGroup:
    """A first-stage frame and its follow-ups. first: (10,) COLUMNS; weights: (n,), sum 1;
    follow_ups: (n, 10) COLUMNS."""

    first: F64
    weights: F64
    follow_ups: F64


@dataclass(frozen=True)
class StageScores:
    """(10,) COLUMNS each, of a group or as the mean of groups."""

    stage_one: F64
    stage_two: F64
    combined: F64


@dataclass(frozen=True)
class TwoStage:
    """The result. columns: token -> (10,) COLUMNS, ec and score completed; weights: token -> its
    share among the follow-ups (1 for first-stage frames); groups: by the token of `now`;
    left_out: token of `now` -> why the group counts in no average; overall: mean of the groups."""

    columns: Mapping[str, F64]
    weights: Mapping[str, float]
    groups: Mapping[str, StageScores]
    left_out: Mapping[str, str]
    overall: StageScores


def follow_up_weights(planned_end: F64, starts: F64) -> F64:
    """Weights (n,) of follow-ups that start at starts (n, 2), for a plan that ends at (2,).

    All equal where the sum is not finite or close to 0: then no follow-up is near.
    """
    weights = np.exp(-((starts - planned_end) ** 2).sum(axis=-1) / (2.0 * SIGMA_SQUARED))
    total = weights.sum()
    if not np.isfinite(total) or total <= NO_WEIGHT:
        return np.full(len(starts), 1.0 / len(starts))
    return np.asarray(weights / total)


def pair_comfort(now: F64, previous: F64, interval_us: int) -> float:
    """EC of two consecutive plans from their simulated states (41, 11), 1 or 0.

    Raises InputError if the frames are not consecutive.
    """
    if not STEP_US // 2 < interval_us < MAX_INTERVAL_US:
        raise InputError(
            "two-stage: extended comfort: expected two frames 50000 to 550000 us apart, got "
            f"{interval_us}; check the times of the pair"
        )
    shift = round(interval_us / STEP_US)
    scratch, rms = np.empty((10, STEPS - shift)), np.empty(4)
    extended_rms(now, previous, shift, extended_filters(STEPS - shift), scratch, rms)
    return float(extended_comfort(rms))


def with_score(sub_scores: F64, ec: float) -> F64:
    """SUB_SCORE_NAMES (8,) and EC -> COLUMNS (10,): NC DAC DDC TLC (5 EP + 5 TTC + 2 LK + 2 HC + 2
    EC) / 16. An EC that is NaN is left out of the score."""
    named = dict(zip(COLUMNS, [*sub_scores, ec], strict=False))
    weighted = weighted_mean(named, WITHOUT_EC if np.isnan(ec) else WEIGHTS)
    return np.array([*sub_scores, ec, np.prod([named[name] for name in MULTIPLIERS]) * weighted])


def combine_halves(now: WeightedGroup, previous: WeightedGroup) -> StageScores:
    """The three lines of a group, see the head of this file."""
    firsts = np.stack([now.first, previous.first])
    seconds = np.stack([half.weights @ half.follow_ups for half in (now, previous)])
    return StageScores(firsts.mean(axis=0), seconds.mean(axis=0), (firsts * seconds).mean(axis=0))


def mean_of_groups(groups: Sequence[StageScores]) -> StageScores:
    """Every group counts the same. NaN for no groups."""
    if not groups:
        return StageScores(*(np.full(len(COLUMNS), np.nan) for _ in range(3)))
    return StageScores(
        np.mean([group.stage_one for group in groups], axis=0),
        np.mean([group.stage_two for group in groups], axis=0),
        np.mean([group.combined for group in groups], axis=0),
    )


def two_stage(frames: Mapping[str, ScoredFrame], groups: Sequence[Group]) -> TwoStage:
    """Score every group of which the frames are there.

    A missing follow-up is left out with its partner, and the others share its weight; a group
    without one of its first frames or without any follow-up is left out and named, never a zero in
    a mean. Raises InputError for a token in two pairs or frames that do not fit together.
    """
    columns: dict[str, F64] = {}
    weights: dict[str, float] = {}
    stages: dict[str, StageScores] = {}
    left_out: dict[str, str] = {}
    _check_tokens(groups)
    for group in groups:
        missing = [token for token in (group.now, group.previous) if token not in frames]
        pairs = [pair for pair in group.follow_ups if pair[0] in frames and pair[1] in frames]
        if missing:
            left_out[group.now] = f"first-stage frame '{missing[0]}' has no score"
            continue
        if not pairs:
            left_out[group.now] = "none of its follow-up pairs has a score"
            continue
        for now, previous in [(group.now, group.previous), *pairs]:
            columns |= _columns_of_pair(frames, now, previous)
        halves = []
        for first, side in ((group.now, 0), (group.previous, 1)):
            tokens = [pair[side] for pair in pairs]
            shares = _shares(frames, first, tokens)
            weights |= {first: 1.0, **dict(zip(tokens, shares.tolist(), strict=True))}
            follow_ups = np.stack([columns[token] for token in tokens])
            halves.append(WeightedGroup(columns[first], shares, follow_ups))
        stages[group.now] = combine_halves(halves[0], halves[1])
    return TwoStage(columns, weights, stages, left_out, mean_of_groups(list(stages.values())))


def _check_tokens(groups: Sequence[Group]) -> None:
    seen: set[str] = set()
    for group in groups:
        for pair in ((group.now, group.previous), *group.follow_ups):
            for token in pair:
                if token in seen:
                    raise InputError(
                        f"two-stage: token '{token}': expected in one pair of one group, got two; "
                        "check the mapping of first frames to follow-ups"
                    )
                seen.add(token)


def _columns_of_pair(frames: Mapping[str, ScoredFrame], now: str, previous: str) -> dict[str, F64]:
    """COLUMNS of both frames. Unlike in one stage, the pair's EC is written to both of them."""
    late, early = frames[now], frames[previous]
    try:
        ec = pair_comfort(late.states, early.states, late.t0_us - early.t0_us)
    except InputError as error:
        raise InputError(f"frames '{previous}', '{now}': {error}") from None
    return {now: with_score(late.sub_scores, ec), previous: with_score(early.sub_scores, ec)}


def _shares(frames: Mapping[str, ScoredFrame], first: str, follow_ups: Sequence[str]) -> F64:
    starts = np.stack([frames[token].start for token in follow_ups])
    return follow_up_weights(frames[first].planned_end, starts)
