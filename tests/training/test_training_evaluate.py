"""Figures of the eyes: the truth scores full marks, and every kind of mistake costs its own."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from lightning_fabric import Fabric
from random_batches import endless, random_batch

from irl_vla.engine.bundle import Bundle, load_bundle
from irl_vla.perception.preset import AGENT_CLASSES, MAP_CLASSES, POLYLINE_POINTS, load_preset
from irl_vla.resources import resource
from irl_vla.types import SECOND_NS, InputError, SceneTokens
from irl_vla.vehicle import PACIFICA
from irl_vla.world.benchmark.scenes import Cutter
from irl_vla.world.benchmark.splits import SPLITS
from irl_vla.world.build import episode_of
from irl_vla_training.evaluate.measures import SceneRow, lamp_row, scene_row
from irl_vla_training.evaluate.model import EyesModel
from irl_vla_training.evaluate.painted import painted_scene, true_tokens
from irl_vla_training.evaluate.recursion import Recursion
from irl_vla_training.evaluate.red_set import FIRST_SEED, PER_SEED, red_set
from irl_vla_training.evaluate.summary import intervals, summary
from irl_vla_training.perception.perceive import perceive
from irl_vla_training.recipe import PerceiveRecipe, Recipe
from irl_vla_training.run import RunFolder
from irl_vla_training.samples.batch import Batch
from irl_vla_training.samples.sample import LAMPS
from irl_vla_training.ship import round_to_half, ship_command

NANO = load_preset("nano")
RIG = resource("calibration/rigs/tiny3.yaml")
VEHICLE = AGENT_CLASSES.index("vehicle")


def scene() -> Batch:
    """One car that goes at 8 m/s, one that stands; and whatever ground."""
    batch = random_batch(NANO, 1, 0)
    boxes = torch.tensor(
        [[[10.0, 3, 0.8, 4.5, 1.9, 1.6, 0, 8, 0], [20, -4, 0.8, 4, 2, 1, 0, 0, 0]]]
    )
    there = torch.ones(1, 2, dtype=torch.bool)
    return replace(
        batch, keys=("2000000-025",), boxes=boxes, box_kind=torch.full((1, 2), VEHICLE),
        box_valid=there, box_hidden=~there, velocity_known=there,
    )  # fmt: skip


def rows(tokens: SceneTokens, batch: Batch, without: SceneTokens | None = None) -> list[SceneRow]:
    return [scene_row(tokens, without or tokens, batch, NANO.bev)]


def test_the_truth_scores_full_marks() -> None:
    batch = scene()
    found = summary(rows(true_tokens(batch), batch))
    assert set(found["iou"].values()) == {1.0} and found["closed_iou"] == 1.0
    assert found["vehicles"] == {"recall_2m": 1.0, "precision_2m": 1.0}
    assert found["ap_2m"]["vehicle"] == 1.0 and found["ap_2m"]["pedestrian"] is None
    assert found["velocity_error"]["with_memory"] == 0.0
    assert all(one["recall"] in (1.0, None) for one in found["map"].values())


def test_a_car_three_metres_off_is_missed_and_a_ghost() -> None:
    batch = scene()
    truth = true_tokens(batch)
    moved = replace(truth, boxes=truth.boxes + np.float16([[3] + 9 * [0], 10 * [0]]))
    found = summary(rows(moved, batch))
    assert found["vehicles"] == {"recall_2m": 0.5, "precision_2m": 0.5}


def test_a_ghost_near_a_car_that_no_picture_shows_is_excused() -> None:
    batch = scene()
    shown = torch.tensor([[True, False]])
    hidden = replace(batch, box_valid=shown, box_hidden=~shown)
    every = replace(true_tokens(batch), agent_valid=np.ones(2, np.bool_))
    found = summary(rows(every, hidden))
    assert found["vehicles"] == {"recall_2m": 1.0, "precision_2m": 1.0}


def test_velocity_is_compared_on_the_same_movers() -> None:
    batch = scene()
    truth = true_tokens(batch)
    slower = replace(truth, boxes=truth.boxes - np.float16([7 * [0] + [3, 0, 0]]))
    gone = replace(truth, agent_valid=np.zeros(2, np.bool_))
    errors = summary(rows(truth, batch, slower))["velocity_error"]
    assert (errors["with_memory"], errors["without"], errors["movers"]) == (0.0, 3.0, 1)
    assert summary(rows(truth, batch, gone))["velocity_error"]["movers"] == 0
    assert errors["in_the_loop"] is None and errors["movers_in_the_loop"] == 0
    looped = [scene_row(truth, slower, batch, NANO.bev, slower)]
    assert summary(looped)["velocity_error"]["in_the_loop"] == 3.0
    looped = [scene_row(truth, truth, batch, NANO.bev, gone)]
    assert summary(looped)["velocity_error"]["movers"] == 0


def test_the_loop_is_the_cores_own_at_ten_hertz(nano: Bundle) -> None:
    loop = Recursion.of(nano.root, str(RIG), 7)
    seen = loop.tokens(1_999_990, 20)
    assert seen is not None and seen.memory_stamp_ns is not None
    maker, cutter = loop.maker, Cutter(episode_of(1_999_990))
    steps = maker.steps(cutter, 20, range(7, -1, -1))
    assert len(steps) == 8 and np.array_equal(steps[-1].tokens.boxes, seen.boxes)
    assert {b.ego.stamp_ns - a.ego.stamp_ns for a, b in pairwise(steps)} == {SECOND_NS // 10}
    assert loop.tokens(1_999_990, 6) is None


@pytest.mark.parametrize(("label", "closed"), [("red", 0.9), ("green", 0.1)])
def test_a_lamp_is_called_by_the_ground_behind_its_stop_line(label: str, closed: float) -> None:
    line = np.stack([np.full(POLYLINE_POINTS, 20.0), np.linspace(-2, 2, POLYLINE_POINTS)], axis=-1)
    batch = replace(
        scene(), lines=torch.from_numpy(line.astype(np.float32))[None, None],
        line_kind=torch.tensor([[MAP_CLASSES.index("stop_line")]]),
        line_valid=torch.ones(1, 1, dtype=torch.bool), lamp=torch.tensor([LAMPS.index(label)]),
        lamp_m=torch.tensor([20.0 - PACIFICA.front_length]),
    )  # fmt: skip
    plane = np.zeros((1, *NANO.bev.cells), np.float16)
    rows_ahead = slice(9, 11)  # x 20 to 28 m, in cells of 4 m
    plane[0, rows_ahead] = closed
    tokens = replace(true_tokens(batch), closed=plane)
    row = lamp_row(tokens, batch, NANO.bev)
    assert row is not None and row[0] == LAMPS.index(label)
    assert row[2] == pytest.approx(closed, abs=1e-3)
    lamps = summary(rows(tokens, batch))["lamps"]
    assert lamps["red_recall" if label == "red" else "false_red"] == float(closed > 0.5)
    far = replace(batch, lamp_m=torch.tensor([45.0]))
    assert lamp_row(tokens, far, NANO.bev) is None


def test_intervals_are_those_of_seeds() -> None:
    batch = scene()
    good = rows(true_tokens(batch), batch)
    both = [replace_seed(row, seed) for seed in (1, 2, 3) for row in good]
    assert intervals(both)["iou drivable"] == (1.0, 1.0)


def replace_seed(row: SceneRow, seed: int) -> SceneRow:
    return SceneRow(**{**vars(row), "seed": seed})


def test_the_red_set_is_four_hundred_of_each_from_seeds_that_no_stage_trains_on() -> None:
    scenes = red_set()
    assert Counter(scene.label for scene in scenes) == {"red": 400, "green": 400}
    seeds = {scene.seed for scene in scenes}
    assert len(seeds) >= 200 and min(seeds) >= FIRST_SEED
    assert all(seed not in split.seeds for seed in seeds for name, split in SPLITS.items()
               if name != "world-train")  # fmt: skip
    assert max(Counter((scene.seed, scene.label) for scene in scenes).values()) <= PER_SEED


def test_a_scene_is_painted_beside_its_truth() -> None:
    batch = scene()
    picture = painted_scene(batch, true_tokens(batch), NANO.bev, "title")
    assert picture.dtype == np.uint8 and picture.std() > 5.0


def test_a_run_ships_as_a_bundle_that_sees_the_same_and_says_what_is_not_trained(
    tmp_path: Path,
) -> None:
    what = Recipe(name="t", preset="nano", perceive=PerceiveRecipe(steps=2, batch=2))
    run = RunFolder.begin(tmp_path / "run", what, "data")
    perceive(what, endless(NANO, 2), run, lambda _: None, Fabric(accelerator="cpu", devices=1))
    ship_command(tmp_path / "run", tmp_path / "bundle")
    manifest = load_bundle(tmp_path / "bundle").manifest
    assert not manifest.trained and "planner: not trained" in str(manifest.training_run)
    assert manifest.training_data and manifest.network is not None
    run_eyes, shipped = EyesModel.of_run(run.path), EyesModel.of_bundle(tmp_path / "bundle")
    batch = random_batch(NANO, 1, 3)
    for tokens, other in zip(
        vars(run_eyes.look(batch)).values(), vars(shipped.look(batch)).values(), strict=True
    ):
        np.testing.assert_allclose(tokens.seg, other.seg, atol=0.01)
        np.testing.assert_allclose(tokens.bev, other.bev, atol=0.1)
    with pytest.raises(InputError, match="no run with a checkpoint"):
        EyesModel.of_run(tmp_path / "nothing")


def test_rounding_to_half_leaves_vectors_alone() -> None:
    net = torch.nn.Linear(3, 3)
    bias = net.bias.clone()
    round_to_half(net)
    assert torch.equal(net.weight, net.weight.half().float()) and torch.equal(net.bias, bias)
