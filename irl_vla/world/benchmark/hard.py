"""Groups of two stages: a pair of frames, and follow-ups that begin where other plans would have
led.

From one instant a fan of plans is driven for 4 s, each in a copy of the world whose traffic answers
to it; then the expert takes over for another 4 s. Every branch gives a pair of follow-up frames, at
4 s after either frame of the first pair. Weights and sums: scoring/two_stage.py.
May import: types, frames, scoring, world.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import shapely

from irl_vla.frames import arc_lengths, box_corners, to_inner, to_outer
from irl_vla.scoring.epdms import score
from irl_vla.scoring.footprint import footprint
from irl_vla.scoring.prepare import PreparedScene
from irl_vla.scoring.scene import HEADING, STEPS, VX, X, Y
from irl_vla.scoring.simulate import sample_plans, simulate
from irl_vla.scoring.two_stage import SUB_SCORE_NAMES, Group, ScoredFrame
from irl_vla.types import F64, InputError
from irl_vla.world.benchmark.plans import PlanMaker, constant_velocity
from irl_vla.world.benchmark.scenes import BEFORE, PLAN_STEP, Cutter, TownAreas, ground_of
from irl_vla.world.benchmark.splits import GROUP_INSTANTS, HORIZON, MOVES_M
from irl_vla.world.build import simulation_of
from irl_vla.world.episode import Episode, WorldState
from irl_vla.world.simulation import Simulation, episode_from

FOLLOW_UPS = 6  # branches wanted from each group
LEAST = 5  # branches without which there is no group
TOO_EASY, TOO_BAD = 0.8, 0.8  # the benchmark's filter, see table.py
DRAW_SEED = 17
SPEED_FACTORS = (0.5, 0.7, 0.85, 1.1, 1.2)  # of the expert's progress
ASIDE_M = (-1.2, -0.6, -0.3, 0.3, 0.6, 1.2)  # lateral offset at the end of the plan
LAG_S = (0.5, 1.0)  # the plan begins so much later, straight on until then
SPARE = (0.97, 0.94, 0.91, 1.03, 0.88, 0.8)  # speed factors that nearly always can be driven


@dataclass(frozen=True)
class Branch:
    """One way things could have gone: an episode whose frames 4 s after the first pair count."""

    kind: str
    episode: Episode


@dataclass(frozen=True)
class HardGroup:
    """step: of the first frame `now`; first: the drive it is cut from; branches: FOLLOW_UPS ways
    on; easy, broken: the filter of table.py would drop its first frame for that"""

    seed: int
    step: int
    first: Episode
    branches: tuple[Branch, ...]
    easy: bool
    broken: bool

    @property
    def tokens(self) -> Group:
        """The names of all its frames."""
        pairs = tuple(
            (self.name(self.step + HORIZON, i), self.name(self.step - BEFORE + HORIZON, i))
            for i in range(len(self.branches))
        )
        return Group(self.name(self.step), self.name(self.step - BEFORE), pairs)

    def name(self, step: int, branch: int | None = None) -> str:
        """Of a frame of the first drive, or of a branch."""
        tail = "" if branch is None else f"-b{branch}"
        return f"hard-{self.seed}-{step:04d}{tail}"


def fan(human: F64, speed: float, rng: np.random.Generator) -> list[tuple[str, F64]]:
    """Named plans (8, 3) about the one that the expert follows, in drawn order: slower, faster,
    aside, late, and straight on. The expert's own comes first, those at the end are the tamest."""
    plans = [("expert", human)]
    drawn = [(f"{factor:g} of the way", stretched(human, factor)) for factor in SPEED_FACTORS]
    drawn += [(f"{aside:+g} m aside", shifted(human, aside)) for aside in ASIDE_M]
    drawn += [(f"{lag:g} s late", late(human, speed, lag)) for lag in LAG_S]
    t = 0.5 * np.arange(1, len(human) + 1)
    drawn.append(("straight on", np.column_stack([speed * t, np.zeros((len(t), 2))])))
    plans += [drawn[i] for i in rng.permutation(len(drawn))]
    return plans + [(f"{factor:g} of the way", stretched(human, factor)) for factor in SPARE]


def stretched(human: F64, factor: float) -> F64:
    """The same path (8, 3), `factor` times as far at each pose; beyond its end straight on."""
    whole = np.vstack([np.zeros(3), human])
    arcs = arc_lengths(whole)
    wanted = arcs[1:] * factor
    heading = np.unwrap(whole[:, 2])
    arcs = arcs + np.arange(len(arcs)) * 1e-9  # standing poses still rise
    columns = [np.interp(wanted, arcs, column) for column in (*whole[:, :2].T, heading)]
    beyond = np.maximum(wanted - arcs[-1], 0.0)
    end = heading[-1]
    return np.column_stack(
        [columns[0] + beyond * np.cos(end), columns[1] + beyond * np.sin(end), columns[2]]
    )


def shifted(human: F64, aside: float) -> F64:
    """The same plan (8, 3), drifting to `aside` [m] to its left."""
    t = np.arange(1, len(human) + 1) / len(human)
    drift = aside * t * t * (3.0 - 2.0 * t)
    x = human[:, 0] - drift * np.sin(human[:, 2])
    y = human[:, 1] + drift * np.cos(human[:, 2])
    return np.column_stack([x, y, human[:, 2]])


def late(human: F64, speed: float, lag: float) -> F64:
    """The same plan (8, 3) begun `lag` [s] later, straight on at `speed` until then."""
    t = 0.5 * np.arange(len(human) + 1)
    whole = np.vstack([np.zeros(3), human])
    moved = np.column_stack([np.interp(t[1:] - lag, t, column) for column in whole.T])
    moved[:, 0] += speed * np.minimum(t[1:], lag)
    return moved


def group_of(seed: int) -> HardGroup:
    """The group of a seed. Of the instants where it may begin the first that passes the filter is
    taken, in drawn order, and if none does the first; those at which the driver is about to stand
    come last. Raises InputError where nowhere enough plans can be driven."""
    rng = np.random.default_rng([seed, DRAW_SEED])
    simulation = simulation_of(seed)
    copies, moments = _copies(simulation, max(GROUP_INSTANTS))
    moments += [simulation.step() for _ in range(HORIZON)]
    first = episode_from(simulation, moments, seed)
    ground = ground_of(first.town)
    cutter = Cutter(first, ground)
    order = [int(step) for step in rng.permutation(GROUP_INSTANTS)]
    graded = {step: _grade(cutter, step) for step in order}
    for step in sorted(order, key=lambda step: (_stands(first, step), any(graded[step]))):
        branches = _branches(first, copies[step], step, rng)
        if len(branches) >= LEAST:
            easy, broken = graded[step]
            return HardGroup(seed, step, first, tuple(branches), easy, broken)
    raise InputError(f"seed {seed}: nowhere can {LEAST} different plans be driven for 4 s")


def _copies(simulation: Simulation, last: int) -> tuple[dict[int, Simulation], list[WorldState]]:
    """Drives to step `last`; the world as it was at each instant where a group may begin."""
    copies, moments = {}, [simulation.moment]
    for step in range(last + 1):
        if step in GROUP_INSTANTS:
            copies[step] = simulation.copy()
        if step < last:
            moments.append(simulation.step())
    return copies, moments


def _stands(first: Episode, step: int) -> bool:
    """Whether the driver hardly moves in the 4 s after a step."""
    return bool(np.hypot(*(first.ego[step + HORIZON, :2] - first.ego[step, :2])) <= MOVES_M)


def _grade(cutter: Cutter, step: int) -> tuple[bool, bool]:
    """Whether going straight on scores too well here, and whether the expert scores badly."""
    prepared = cutter.prepared(step)
    plans = np.stack([constant_velocity(cutter, step, prepared), cutter.driven(step)])
    straight, driven = score(prepared, plans).epdms_raw
    return bool(straight > TOO_EASY), bool(driven < TOO_BAD)


def _branches(
    first: Episode, begin: Simulation, step: int, rng: np.random.Generator
) -> list[Branch]:
    """Ways on from a step of the first drive."""
    human = to_inner(
        first.ego[step + PLAN_STEP : step + STEPS : PLAN_STEP][:, [X, Y, HEADING]],
        first.ego[step, [X, Y, HEADING]],
    )
    past = [first.moment(k) for k in range(step)]
    road = shapely.union_all(
        [shapely.Polygon(first.town.drivable.ring(i)) for i in range(len(first.town.drivable))]
    )
    shapely.prepare(road)
    branches: list[Branch] = []
    for kind, plan in fan(human, float(first.ego[step, VX]), rng):
        if len(branches) == FOLLOW_UPS:
            break
        moments = _driven(begin.copy(), plan, first, road)
        if moments is not None:
            branches.append(Branch(kind, episode_from(begin, past + moments, first.seed)))
    return branches


def _driven(
    world: Simulation, plan: F64, first: Episode, road: shapely.Geometry
) -> list[WorldState] | None:
    """The moments of a branch: 4 s along the plan, 4 s and a bit with the expert at the wheel. None
    where a follow-up would begin off the road or inside somebody."""
    ego = world.moment.ego
    states = simulate(ego, sample_plans(plan[None], ego, 0, first.vehicle)[0])[0]
    if (states[:, VX] < 0.0).any():
        return None
    moments = [world.moment]
    for k, state in enumerate(states[1:], start=1):
        moments.append(world.step(state))
        if k in (HORIZON - BEFORE, HORIZON) and not _free(moments[-1], first, road):
            return None
    moments += [world.step() for _ in range(HORIZON)]
    return moments


def _free(moment: WorldState, first: Episode, road: shapely.Geometry) -> bool:
    """Whether the ego stands on the road and touches nobody."""
    ring = footprint(moment.ego, first.vehicle)
    if not shapely.contains_xy(road, ring[:, 0], ring[:, 1]).all():
        return False
    there = np.flatnonzero(moment.present)
    others = shapely.polygons(box_corners(moment.states[there], first.actors.sizes[there]))
    return not bool(shapely.intersects(shapely.Polygon(ring), others).any())


def frames_of(group: HardGroup, make: PlanMaker, ground: TownAreas) -> Mapping[str, ScoredFrame]:
    """A maker's plans on all frames of a group, scored, by name."""
    tokens, frames = group.tokens, {}
    cutter = Cutter(group.first, ground)
    for token, step in ((tokens.now, group.step), (tokens.previous, group.step - BEFORE)):
        frames[token] = _frame(cutter, step, "original", make)
    for branch, (now, before) in zip(group.branches, tokens.follow_ups, strict=True):
        cutter = Cutter(branch.episode, ground)
        frames[now] = _frame(cutter, group.step + HORIZON, "synthetic", make)
        frames[before] = _frame(cutter, group.step + HORIZON - BEFORE, "synthetic", make)
    return frames


def _frame(cutter: Cutter, step: int, scene_type: str, make: PlanMaker) -> ScoredFrame:
    prepared: PreparedScene = cutter.prepared(step, scene_type)
    plan, scene = make(cutter, step, prepared), prepared.scene
    initial = scene.ego.initial
    found = score(prepared, plan[None])
    states = simulate(initial, sample_plans(plan[None], initial, scene.t0_us)[0])[0]
    sub_scores = np.array([getattr(found.raw, sub_score)[0] for sub_score in SUB_SCORE_NAMES])
    end = to_outer(plan[-1], initial[[X, Y, HEADING]])[:2]
    return ScoredFrame(scene.t0_us, np.array(initial[[X, Y]]), end, sub_scores, np.asarray(states))
