"""The compiled checks decide as the plain ones do, for every random scene."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
from guard_scenes import AREA, busy, driven, ego_at, rows, tokens_of
from plain_checks import conflict, fault

from irl_vla.drive.check_kernels import REASONS
from irl_vla.drive.checks import Surroundings, surroundings
from irl_vla.drive.guard import GuardConfig, best_first, choose
from irl_vla.perception.classes import CLASSES
from irl_vla.types import Candidates, EgoStatus, Rejection
from irl_vla.vehicle import PACIFICA, Vehicle

CONFIG = GuardConfig()


def plainly(
    candidates: Candidates, ego: EgoStatus, seen: Surroundings, vehicle: Vehicle
) -> tuple[int | None, tuple[Rejection, ...]]:
    rejected = []
    for index in best_first(candidates.confidence):
        poses, step_s = candidates.poses[index], candidates.step_s
        bounds = CONFIG.bounds(vehicle)
        found = fault(poses, step_s, float(ego.velocity[0]), bounds)
        found = found or conflict(poses, step_s, seen, vehicle)
        if found is None:
            return int(index), tuple(rejected)
        rejected.append(Rejection(int(index), *found))
    return None, tuple(rejected)


def random_candidates(rng: np.random.Generator, speed: float, step_s: float) -> Candidates:
    """Mostly drivable, some broken in every way."""
    times = step_s * np.arange(1, 9)
    poses = np.stack([
        driven(speed + rng.normal(0, 0.3), rng.normal(0, 1.5), rng.normal(0, 0.04), times)
        for _ in range(12)
    ])  # fmt: skip
    for one in poses:
        if rng.random() < 0.4:
            one[rng.integers(8) :] += rng.normal(0, [0.6, 0.4, 0.1])
    poses[rng.integers(12), rng.integers(8), rng.integers(3)] = rng.choice([np.nan, 40.0, -3.5])
    confidence = rng.random(12)
    confidence[rng.integers(12)] = np.nan
    return Candidates(poses, confidence, step_s)


def random_scene(rng: np.random.Generator) -> Surroundings:
    agents = [
        (rng.uniform(-20, 50), rng.uniform(-20, 20), *rng.normal(0, 6, 2), rng.uniform(-4, 4))
        for _ in range(rng.integers(0, 8))
    ]
    lines = np.cumsum(rng.normal(0, 1.5, (rng.integers(0, 6), 20, 2)), axis=1)
    lines += rng.uniform([5, -15], [45, 15], (len(lines), 1, 2))
    kinds = tuple(rng.choice(["boundary", "red_stop_line", "divider"], len(lines)))
    road = (rng.random(AREA.cells) > 0.003).astype(float) if rng.random() < 0.5 else None
    return surroundings(tokens_of(rows(*agents), lines, kinds, road), AREA, CLASSES, PACIFICA, 0.7)


def test_compiled_and_plain_checks_decide_the_same_and_say_the_same() -> None:
    rng, reasons, free = np.random.default_rng(0), Counter[str](), 0
    for number in range(300):
        vehicle = PACIFICA if number % 3 else Vehicle(1.8, 3.2, 0.9)
        speed = float(rng.choice([0.0, 3.0, 8.0, 14.0]))
        candidates = random_candidates(rng, speed, 0.5 if number % 4 else 0.25)
        seen, ego = random_scene(rng), ego_at(speed)
        choice = choose(candidates, best_first(candidates.confidence), ego, seen, vehicle, CONFIG)
        assert (choice.chosen, choice.rejected) == plainly(candidates, ego, seen, vehicle), number
        reasons.update(rejection.reason for rejection in choice.rejected)
        free += choice.chosen is not None
    assert 100 < free < 295
    assert set(reasons) == set(REASONS[1:]), reasons


def test_in_a_busy_bend_compiled_and_plain_checks_refuse_for_the_same_reasons() -> None:
    scene = busy(agents=8, elements=12, count=16)
    seen = surroundings(scene.tokens, scene.area, CLASSES, PACIFICA, 0.7)
    order = best_first(scene.candidates.confidence)
    choice = choose(scene.candidates, order, scene.ego, seen, PACIFICA, CONFIG)
    assert (choice.chosen, choice.rejected) == plainly(scene.candidates, scene.ego, seen, PACIFICA)
    assert choice.chosen is None and len(choice.rejected) == 16


def test_the_order_that_is_given_decides_and_nothing_after_the_first_free_one_is_tried() -> None:
    poses = np.stack([driven(10.0), driven(30.0), driven(10.0, -1.0)])
    candidates = Candidates(poses, np.array([0.5, 0.3, 0.2]))
    seen = surroundings(tokens_of(), None, CLASSES, PACIFICA, 0.7)
    for order, chosen, rejected in [
        ([2, 1, 0], 2, []), ([1, 2, 0], 2, [1]), ([1, 0, 2], 0, [1]), ([1], None, [1]),
    ]:  # fmt: skip
        choice = choose(candidates, np.array(order), ego_at(10.0), seen, PACIFICA, CONFIG)
        assert choice.chosen == chosen
        assert [rejection.candidate for rejection in choice.rejected] == rejected


def test_equal_confidence_keeps_the_policy_s_order_and_nan_comes_last() -> None:
    confidence = np.array([0.2, np.nan, 0.7, 0.2, np.inf])
    order = best_first(Candidates(np.zeros((5, 8, 3)), confidence).confidence)
    assert order.tolist() == [4, 2, 0, 3, 1]


def test_read_only_tokens_are_checked_as_well() -> None:
    """Arrays out of the ring cannot be written to."""
    scene = busy(agents=4, elements=4, count=8)
    boxes = scene.tokens.boxes.copy()
    boxes.setflags(write=False)
    scene.candidates.poses.setflags(write=False)
    seen = surroundings(replace(scene.tokens, boxes=boxes), scene.area, CLASSES, PACIFICA, 0.7)
    choice = choose(
        scene.candidates, best_first(scene.candidates.confidence), scene.ego, seen, PACIFICA, CONFIG
    )
    assert choice.chosen is None
