"""The two graphs as a whole: masks, rigs, seeds, and what an untrained network says."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pytest
import torch

from irl_vla.perception.bev import BevInputs
from irl_vla.perception.example import example_bev, example_camera
from irl_vla.perception.networks import Perception, build
from irl_vla.perception.preset import Preset, load_preset
from irl_vla.perception.tokens import bev_io, camera_io

NANO = load_preset("nano")
Arrays = dict[str, Any]


@cache
def untrained(name: str) -> Perception:
    return build(load_preset(name), seed=0)


def see(inputs: Arrays, name: str = "nano") -> Arrays:
    _, graph = untrained(name).graphs()
    with torch.no_grad():
        outputs = graph(*(torch.from_numpy(np.array(value)) for value in inputs.values()))
    specs = bev_io(load_preset(name)).outputs
    return {spec.name: value.numpy() for spec, value in zip(specs, outputs, strict=True)}


def scene(seed: int = 0, cameras: int = 6, preset: Preset = NANO) -> Arrays:
    return example_bev(preset, np.random.default_rng(seed), cameras)


def same(first: Arrays, second: Arrays) -> bool:
    return all(np.array_equal(first[name], second[name]) for name in first)


def with_memory(inputs: Arrays) -> Arrays:
    bev = np.random.default_rng(7).standard_normal(inputs["memory_bev"].shape).astype(np.float16)
    return {**inputs, "memory_bev": bev, "memory_valid": np.ones(1, np.bool_)}


@pytest.mark.parametrize("name", ["nano", "tiny"])
@pytest.mark.parametrize("cameras", [1, 3, 6, 8])
def test_one_pair_of_networks_serves_every_rig(name: str, cameras: int) -> None:
    preset, rng = load_preset(name), np.random.default_rng(cameras)
    camera, _ = untrained(name).graphs()
    images = torch.from_numpy(example_camera(preset, rng, cameras)["images"])
    with torch.no_grad():
        features = camera(images).numpy()
    assert features.shape == (cameras, *camera_io(preset).outputs[0].shape[1:])
    outputs = see(scene(cameras, cameras, preset), name)
    for spec in bev_io(preset).outputs:
        assert (outputs[spec.name].shape, outputs[spec.name].dtype.name) == (spec.shape, spec.dtype)
        assert np.isfinite(outputs[spec.name]).all(), spec.name


def test_what_a_missing_camera_would_show_cannot_change_anything() -> None:
    inputs = scene()
    gone = np.flatnonzero(inputs["present"])[0]
    inputs["present"][gone] = False
    expected = see(inputs)
    for content in (np.nan, np.inf, 1e30):
        inputs["features"][gone] = content
        assert same(see(inputs), expected)


def test_a_camera_that_is_there_does_change_something() -> None:
    inputs = scene()
    expected = see(inputs)
    inputs["features"][np.flatnonzero(inputs["present"])[0]] *= -1.0
    assert not np.array_equal(see(inputs)["bev"], expected["bev"])


def test_an_invalid_memory_cannot_change_anything_and_a_valid_one_does() -> None:
    inputs = with_memory(scene())
    expected = see({**inputs, "memory_valid": np.zeros(1, np.bool_)})
    for content in (np.nan, np.inf, 3.0):
        poisoned = {
            **inputs,
            "memory_bev": np.full_like(inputs["memory_bev"], content),
            "ego_now_from_memory": np.full((3, 3), content, np.float32),
            "memory_age_s": np.full(1, content, np.float32),
            "memory_valid": np.zeros(1, np.bool_),
        }
        assert same(see(poisoned), expected)
    assert not np.array_equal(see(inputs)["bev"], expected["bev"])


@pytest.mark.parametrize("name", ["memory_age_s", "ego_now_from_memory", "ego_vector"])
def test_age_motion_and_ego_vector_reach_the_agents(name: str) -> None:
    inputs = with_memory(scene())
    changed = {**inputs, name: inputs[name] + np.float32(0.3)}
    assert not np.array_equal(see(changed)["agents"], see(inputs)["agents"])


def test_the_ego_vector_says_nothing_about_the_ground() -> None:
    inputs = scene()
    changed = see({**inputs, "ego_vector": inputs["ego_vector"] + np.float32(1.0)})
    assert np.array_equal(changed["bev"], see(inputs)["bev"])
    assert np.array_equal(changed["seg"], see(inputs)["seg"])
    assert np.array_equal(changed["closed"], see(inputs)["closed"])


def test_cameras_may_be_given_in_any_order() -> None:
    inputs, order = scene(), np.array([7, 3, 0, 6, 5, 1, 4, 2])
    per_camera = ("features", "sampling_grid", "visible", "present")
    permuted = {**inputs, **{name: inputs[name][order] for name in per_camera}}
    expected, outputs = see(inputs), see(permuted)
    for name in ("bev", "agents", "boxes", "polylines", "map", "ego", "seg", "closed"):
        np.testing.assert_allclose(outputs[name], expected[name], atol=4e-3, rtol=4e-3)


@pytest.mark.parametrize("name", ["nano", "tiny"])
@pytest.mark.parametrize("seed", range(3))
def test_an_untrained_network_sees_nothing(name: str, seed: int) -> None:
    outputs = see(scene(seed, preset=load_preset(name)), name)
    assert not outputs["agent_valid"].any()
    assert not outputs["map_valid"].any()
    np.testing.assert_allclose(outputs["boxes"][:, 9], 0.01, atol=0.01)
    assert (outputs["seg"].argmax(axis=0) == 0).all()
    np.testing.assert_allclose(outputs["closed"], 0.01, atol=0.01)
    np.testing.assert_allclose(outputs["seg"].astype(np.float32).sum(axis=0), 1.0, atol=2e-3)


def test_a_bev_that_is_fed_back_for_a_minute_keeps_its_scale() -> None:
    inputs = with_memory(scene())
    for _ in range(120):  # two ticks a second
        outputs = see(inputs)
        inputs = {**inputs, "memory_bev": outputs["bev"]}
    assert 0.5 < outputs["bev"].astype(np.float32).std() < 2.0
    assert all(np.isfinite(value).all() for value in outputs.values())


def test_boxes_lie_on_the_grid_and_have_a_size() -> None:
    boxes = see(scene())["boxes"].astype(np.float64)
    assert (boxes[:, 0] >= NANO.bev.x[0]).all()
    assert (boxes[:, 0] <= NANO.bev.x[1]).all()
    assert (boxes[:, 3:6] > 0.0).all()
    assert (np.abs(boxes[:, 6]) <= np.pi + 1e-3).all()


def test_one_seed_gives_one_network_and_leaves_the_global_generator_alone() -> None:
    torch.manual_seed(1)
    before = torch.random.get_rng_state()
    first = build(NANO, seed=3)
    assert torch.equal(torch.random.get_rng_state(), before)
    torch.manual_seed(2)
    second, other = build(NANO, seed=3), build(NANO, seed=4)
    for net in ("camera", "bev"):
        mine, again = (getattr(p, net).state_dict() for p in (first, second))
        assert all(torch.equal(mine[key], again[key]) for key in mine)
    assert not torch.equal(first.bev.decoder.queries, other.bev.decoder.queries)


def test_a_picture_does_not_depend_on_what_else_is_in_the_batch() -> None:
    camera, _ = untrained("tiny").graphs()
    images = torch.from_numpy(
        example_camera(load_preset("tiny"), np.random.default_rng(0), 3)["images"]
    )
    with torch.no_grad():
        torch.testing.assert_close(camera(images)[1:2], camera(images[1:2]), atol=1e-4, rtol=1e-4)


def batch(count: int) -> BevInputs:
    scenes = [list(scene(seed).values()) for seed in range(count)]
    stacked = [torch.from_numpy(np.stack(parts)) for parts in zip(*scenes, strict=True)]
    return BevInputs(*stacked)


def test_a_batch_is_its_scenes_side_by_side() -> None:
    net = untrained("nano").bev.eval()
    with torch.no_grad():
        outputs = net(batch(3))
    for seed in range(3):
        expected = see(scene(seed))
        np.testing.assert_allclose(outputs.bev[seed], expected["bev"], atol=4e-3)
        np.testing.assert_allclose(outputs.decoded.map[seed], expected["map"], atol=4e-3)


def test_every_weight_can_learn_and_masked_nan_spoils_no_gradient() -> None:
    perception = build(load_preset("nano"), seed=0)
    perception.camera.train()
    net = perception.bev.train()
    outputs = net(batch(4))
    found = outputs.decoded.found[-1]
    terms = (found.boxes, found.agent_logits, found.polylines, found.map_logits)
    ground = (outputs.seg_logits, outputs.closed_logits)
    loss = sum((term**2).mean() for term in (*terms, *ground, outputs.decoded.ego))
    images = example_camera(NANO, np.random.default_rng(0), 2)["images"]
    features = perception.camera(torch.from_numpy(images))
    (loss + (features * torch.randn_like(features)).mean()).backward()
    for part in (perception.camera, net):
        for name, weight in part.named_parameters():
            assert weight.grad is not None, name
            assert weight.grad.isfinite().all(), name
            assert name.endswith("to_key.bias") or weight.grad.any(), f"{name} never learns"


def test_the_untrained_networks_can_learn_one_scene_by_heart() -> None:
    net = build(NANO, seed=0).bev.train()
    inputs, target = batch(2), torch.tensor([[20.0, -10.0], [5.0, 15.0]])
    labels = torch.zeros(2, *NANO.bev.cells, dtype=torch.long)
    labels[0, 3:9], labels[1, :, 7:12] = 1, 5
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-2)
    steps = 200
    slower = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.02, total_iters=steps)
    for _ in range(steps):
        outputs = net(inputs)
        place = outputs.decoded.found[-1].boxes[:, 0, :2]
        seg = torch.nn.functional.cross_entropy(outputs.seg_logits, labels)
        loss = seg + 0.1 * (place - target).abs().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        slower.step()
    assert (place - target).abs().max() < 1.0
    assert (outputs.seg_logits.argmax(1) == labels).float().mean() > 0.9
