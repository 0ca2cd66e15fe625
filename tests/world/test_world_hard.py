"""Groups of two stages: branches begin where their plans led, and are the same every time."""

from __future__ import annotations

import numpy as np
import pytest

from irl_vla.scoring.scene import VX
from irl_vla.scoring.simulate import sample_plans, simulate
from irl_vla.scoring.two_stage import follow_up_weights, two_stage
from irl_vla.world.benchmark.hard import (
    HardGroup,
    fan,
    frames_of,
    group_of,
    late,
    shifted,
    stretched,
)
from irl_vla.world.benchmark.plans import PLAN_MAKERS
from irl_vla.world.benchmark.scenes import BEFORE, Cutter, ground_of
from irl_vla.world.benchmark.splits import HORIZON

STRAIGHT = np.column_stack([5.0 * np.arange(1, 9), np.zeros(8), np.zeros(8)])


@pytest.fixture(scope="module")
def group() -> HardGroup:
    return group_of(5)


def test_a_group_has_a_pair_and_at_least_five_pairs_of_follow_ups(group: HardGroup) -> None:
    tokens = group.tokens
    assert len(tokens.follow_ups) >= 5
    assert len({tokens.now, tokens.previous, *sum(tokens.follow_ups, ())}) == 2 + 2 * len(
        tokens.follow_ups
    )


def test_a_branch_follows_its_plan_from_the_instant_of_the_pair(group: HardGroup) -> None:
    own = next(branch for branch in group.branches if branch.kind == "expert")
    plan = Cutter(group.first).driven(group.step)
    ego = group.first.ego[group.step]
    states = simulate(ego, sample_plans(plan[None], ego, 0)[0])[0]
    assert np.allclose(own.episode.ego[group.step + HORIZON], states[-1], atol=1e-9)


def test_branches_share_the_past_and_differ_afterwards(group: HardGroup) -> None:
    for branch in group.branches:
        past = slice(0, group.step + 1)
        assert np.array_equal(branch.episode.ego[past], group.first.ego[past])
        assert np.array_equal(branch.episode.states[past], group.first.states[past], equal_nan=True)
    ends = np.array([b.episode.ego[group.step + HORIZON, :2] for b in group.branches])
    gaps = np.hypot(*(ends[:, None] - ends[None]).transpose(2, 0, 1))
    assert gaps[np.triu_indices(len(ends), 1)].min() > 0.02


def test_follow_ups_near_where_a_plan_ends_weigh_most(group: HardGroup) -> None:
    ends = np.array([b.episode.ego[group.step + HORIZON, :2] for b in group.branches])
    assert follow_up_weights(ends[2], ends).argmax() == 2


def test_the_same_seed_gives_the_same_group(group: HardGroup) -> None:
    again = group_of(5)
    assert again.step == group.step
    for a, b in zip(again.branches, group.branches, strict=True):
        assert a.kind == b.kind and a.episode.ego.tobytes() == b.episode.ego.tobytes()
        assert a.episode.states.tobytes() == b.episode.states.tobytes()


def test_every_driver_gets_a_score_and_the_expert_beats_standing(group: HardGroup) -> None:
    ground, scores = ground_of(group.first.town), {}
    for name in ("expert", "standing_still"):
        frames = frames_of(group, PLAN_MAKERS[name], ground)
        done = two_stage(frames, [group.tokens])
        assert not done.left_out
        times = {frames[group.tokens.now].t0_us - frames[group.tokens.previous].t0_us}
        times |= {frames[a].t0_us - frames[b].t0_us for a, b in group.tokens.follow_ups}
        assert times == {BEFORE * 100_000}
        scores[name] = done.overall.combined[-1]
    assert scores["expert"] > scores["standing_still"]


def test_half_of_the_way_ends_half_as_far() -> None:
    assert np.allclose(stretched(STRAIGHT, 0.5)[-1], [20.0, 0.0, 0.0])
    assert np.allclose(stretched(STRAIGHT, 1.2)[-1], [48.0, 0.0, 0.0])


def test_aside_ends_aside_and_late_ends_short() -> None:
    assert np.allclose(shifted(STRAIGHT, 0.6)[-1], [40.0, 0.6, 0.0])
    turned = np.column_stack([STRAIGHT[:, 0], 0.1 * STRAIGHT[:, 0], np.zeros(8)])
    assert late(turned, 10.0, 1.0)[-1, 1] < turned[-1, 1]


def test_the_fan_begins_with_the_drivers_own_plan() -> None:
    plans = fan(STRAIGHT, 10.0, np.random.default_rng(0))
    assert plans[0][0] == "expert" and np.array_equal(plans[0][1], STRAIGHT)
    assert len({name for name, _ in plans}) > 12


def test_a_group_begins_where_the_ego_has_a_speed(group: HardGroup) -> None:
    assert np.isfinite(group.first.ego[group.step, VX])
