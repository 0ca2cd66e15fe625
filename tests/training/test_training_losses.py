"""Losses say what is wrong, and nothing about what nobody knows."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from irl_vla.perception.heads import Detections
from irl_vla.perception.preset import AGENT_CLASSES, MAP_CLASSES, POLYLINE_POINTS, SEG_CLASSES
from irl_vla.planner.actions import action_to_trajectory
from irl_vla_training.perception.box_losses import BoxTargets, box_losses, velocity_loss
from irl_vla_training.perception.camera_losses import depth_loss, kind_loss, lamp_loss
from irl_vla_training.perception.ego_losses import action_loss, light_loss
from irl_vla_training.perception.ground_losses import (
    cell_weights,
    closed_loss,
    segmentation_loss,
)
from irl_vla_training.perception.line_losses import LineTargets, line_losses
from irl_vla_training.perception.matching import match

SURE, NEVER = 12.0, -12.0
VEHICLE = AGENT_CLASSES.index("vehicle")
K = len(SEG_CLASSES)


def ground(seed: int = 0) -> torch.Tensor:
    return torch.randint(0, K, (2, 6, 6), generator=torch.Generator().manual_seed(seed))


def right_logits(truth: torch.Tensor) -> torch.Tensor:
    return SURE * torch.nn.functional.one_hot(truth, K).permute(0, 3, 1, 2).float()


ALL = torch.ones(2, K, dtype=torch.bool)


def test_a_right_ground_costs_nothing_and_a_wrong_one_much() -> None:
    truth, weight = ground(), torch.ones(2, 6, 6)
    assert segmentation_loss(right_logits(truth), truth, weight, ALL) < 0.05
    assert segmentation_loss(right_logits((truth + 1) % K), truth, weight, ALL) > 5.0


def test_cells_that_nobody_knows_cannot_cost_and_unseen_ones_cost_little() -> None:
    truth = ground()
    wrong = right_logits(truth).clone()
    wrong[:, :, 0] = right_logits((truth + 1) % K)[:, :, 0]
    seen = torch.ones(2, 6, 6, dtype=torch.bool)
    unknown, unseen = seen.clone(), seen.clone()
    unknown[:, 0], unseen[:, 0] = False, False
    free = segmentation_loss(wrong, truth, cell_weights(unknown, seen), ALL)
    little = segmentation_loss(wrong, truth, cell_weights(seen, unseen), ALL)
    much = segmentation_loss(wrong, truth, cell_weights(seen, seen), ALL)
    assert free < 0.05 < little < 0.6 * much


def test_a_class_that_the_source_does_not_know_may_be_called_or_not() -> None:
    nothing, crowd = SEG_CLASSES.index("nothing"), SEG_CLASSES.index("pedestrian")
    truth, weight = torch.full((1, 4, 4), nothing), torch.ones(1, 4, 4)
    knows = torch.ones(1, K, dtype=torch.bool)
    knows[0, crowd] = False
    people, nobody = right_logits(torch.full((1, 4, 4), crowd)), right_logits(truth)
    for logits in (people, nobody):
        assert segmentation_loss(logits, truth, weight, knows) < 0.9, "Dice of absent classes alone"
    assert segmentation_loss(people, truth, weight, torch.ones_like(knows)) > 5.0


def test_closed_lanes_are_told_from_open_ones() -> None:
    truth = torch.zeros(1, 6, 6)
    truth[0, 2:4] = 1.0
    right = torch.where(truth > 0.5, SURE, NEVER)[:, None]
    weight = torch.ones(1, 6, 6)
    assert closed_loss(right, truth, weight) < 0.05 < closed_loss(-right, truth, weight)
    assert closed_loss(-right, truth, torch.zeros(1, 6, 6)) < 1e-3, "nothing is known"


def test_every_truth_gets_the_guess_that_is_cheapest_for_all_together() -> None:
    cost = torch.tensor([[[1.0, 2.0, 0.0], [0.5, 3.0, 0.0], [9.0, 9.0, 0.0]]])
    pairs = match(cost, torch.tensor([[True, True, False]]))
    assert set(zip(pairs.query.tolist(), pairs.truth.tolist(), strict=True)) == {(1, 0), (0, 1)}
    assert len(match(cost, torch.zeros(1, 3, dtype=torch.bool))) == 0


def guesses(places: list[tuple[float, float]], sure: list[bool]) -> Detections:
    boxes = torch.zeros(1, len(places), 10)
    boxes[0, :, :2] = torch.tensor(places)
    boxes[0, :, 2:6], boxes[0, :, 7] = torch.tensor([0.8, 4.5, 1.9, 1.6]), 1.0
    logits = torch.full((1, len(places), len(AGENT_CLASSES)), NEVER)
    logits[0, sure, VEHICLE] = SURE
    lines = torch.zeros(1, 1, POLYLINE_POINTS, 2)
    return Detections(boxes, logits, lines, torch.full((1, 1, len(MAP_CLASSES)), NEVER))


def cars(places: list[tuple[float, float]]) -> BoxTargets:
    boxes = torch.tensor([[[x, y, 0.8, 4.5, 1.9, 1.6, 0.0, 0.0, 0.0] for x, y in places]])
    there = torch.ones(1, len(places), dtype=torch.bool)
    kind = torch.full((1, len(places)), VEHICLE)
    return BoxTargets(boxes, kind, there, ~there, there, torch.ones(1, dtype=torch.bool))


def test_boxes_in_their_places_cost_nothing_in_any_order() -> None:
    target = cars([(10.0, 3.0), (20.0, -2.0)])
    right = box_losses(guesses([(20, -2), (5, 5), (10, 3)], [True, False, True]), target)
    assert max(float(right.classes), float(right.box), float(right.velocity)) < 1e-3
    away = box_losses(guesses([(20, -1), (5, 5), (10, 3)], [True, False, True]), target)
    assert float(away.box) == pytest.approx(0.25 / 2, abs=1e-4), "one metre, of two cars"


def test_a_guess_near_somebody_hidden_is_not_blamed_and_one_in_the_open_is() -> None:
    found = guesses([(10, 3), (30, 0)], [True, True])
    seen = cars([(10.0, 3.0), (30.5, 0.0)])
    shown = torch.tensor([[True, False]])
    hidden = replace(seen, valid=shown, hidden=~shown)
    nobody = replace(seen, valid=shown, hidden=torch.zeros_like(shown))
    assert float(box_losses(found, hidden).classes) < 1e-3
    assert float(box_losses(found, nobody).classes) > 1.0
    unknown = replace(nobody, known=torch.zeros(1, dtype=torch.bool))
    assert float(box_losses(found, unknown).classes) == 0.0


def test_a_mover_s_velocity_weighs_three_times_that_of_a_standing_one() -> None:
    truth = torch.tensor([[8.0, 0.0], [0.0, 0.0]])
    cost = velocity_loss(truth + 1.0, truth, torch.tensor([True, True]))
    assert cost[0] == pytest.approx(3.0 * float(cost[1]))
    assert velocity_loss(truth + 1.0, truth, torch.zeros(2, dtype=torch.bool)).sum() == 0.0


def lines_of(points: np.ndarray, kind: str) -> LineTargets:
    return LineTargets(
        torch.from_numpy(points.astype(np.float32))[None, None],
        torch.tensor([[MAP_CLASSES.index(kind)]]), torch.ones(1, 1, dtype=torch.bool),
        torch.zeros(1, 1, dtype=torch.bool), torch.ones(1, len(MAP_CLASSES), dtype=torch.bool),
    )  # fmt: skip


@pytest.mark.parametrize(("kind", "either_way"), [("boundary", True), ("centerline", False)])
def test_only_a_lane_has_a_direction(kind: str, either_way: bool) -> None:
    line = np.stack([np.linspace(0, 19, POLYLINE_POINTS), np.zeros(POLYLINE_POINTS)], axis=-1)
    logits = torch.full((1, 1, len(MAP_CLASSES)), NEVER)
    logits[0, 0, MAP_CLASSES.index(kind)] = SURE
    backwards = torch.from_numpy(line[::-1].copy().astype(np.float32))[None, None]
    found = Detections(torch.zeros(1, 1, 10), torch.zeros(1, 1, 4), backwards, logits)
    loss = line_losses(found, lines_of(line, kind))
    assert float(loss.classes) < 1e-3
    assert (float(loss.points) < 1e-4) == either_way


def test_one_lamp_counts_as_much_as_all_the_dark_around_it() -> None:
    truth = torch.zeros(1, 8, 8, dtype=torch.long)
    truth[0, 3, 3] = 1
    dark = torch.full((1, 4, 8, 8), NEVER)
    dark[:, 0] = SURE
    assert lamp_loss(dark, truth) > 10.0
    right = dark.clone()
    right[0, :, 3, 3] = torch.tensor([NEVER, SURE, NEVER, NEVER])
    assert lamp_loss(right, truth) < 1e-3
    truth[:] = 255
    assert lamp_loss(dark, truth) == 0.0 and kind_loss(dark, truth) == 0.0


def test_sky_has_no_depth_to_learn() -> None:
    truth = torch.tensor([[[1.0, float("nan")]]])
    assert depth_loss(torch.tensor([[[1.5, 99.0]]]), truth) == pytest.approx(0.5)


def test_the_ego_token_is_told_the_expert_s_actions_and_the_light() -> None:
    actions = torch.randn(2, 8, 2, generator=torch.Generator().manual_seed(0)).double() * 0.1
    future, known = action_to_trajectory(actions), torch.tensor([True, False])
    told = actions.float().clone()
    told[1] += 9.0
    assert action_loss(told, future.float(), known) < 1e-3
    logits = torch.full((2, 4), NEVER)
    logits[0, 1] = SURE
    assert light_loss(logits, torch.tensor([1, -1])) < 1e-3
    assert light_loss(logits, torch.tensor([3, -1])) > 10.0
