"""Laws of the diffusion planner: what is masked has no influence, what is seen has."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from irl_vla.perception.preset import Preset, load_preset
from irl_vla.perception.tokens import Tensors
from irl_vla.planner.actions import poses_of
from irl_vla.planner.denoiser import Denoiser, SceneContext
from irl_vla.planner.diffusion import DiffusionPolicy
from irl_vla.planner.example import example_planner
from irl_vla.planner.sampler import (
    Exploration,
    PlannerGraph,
    build_planner,
    chain_log_probs,
    ddim_mean,
    log_prob,
    sample,
    sample_chain,
    training_noise,
)
from irl_vla.planner.schedule import noise_levels, steps
from irl_vla.planner.tensors import noise_for, planner_inputs, planner_io
from irl_vla.types import SECOND_NS, Command, EgoStatus, Intent, Meta, SceneTokens

SEEN = ("bev", "agents", "ego", "map", "meta", "meta_age_s", "noise")


@pytest.fixture(scope="module")
def preset() -> Preset:
    return load_preset("nano")


@pytest.fixture(scope="module")
def net(preset: Preset) -> Denoiser:
    """With loud last layers, so that every influence is larger than rounding."""
    built = build_planner(preset, 0)
    with torch.no_grad():
        for layer in built.layers:
            layer.move.weight *= 30.0
            layer.judge.weight *= 30.0
    return built


@pytest.fixture
def inputs(preset: Preset) -> dict[str, NDArray[Any]]:
    return full(example_planner(preset, np.random.default_rng(0)))


def full(inputs: dict[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    """Everything valid and finite."""
    for value in inputs.values():
        if value.dtype == np.bool_:
            value[:] = True
        else:
            value[:] = np.nan_to_num(value, nan=0.5)
    return inputs


@torch.no_grad()
def plan(net: Denoiser, inputs: Tensors) -> bytes:
    graph = PlannerGraph(net, 2)
    return b"".join(
        out.numpy().tobytes() for out in graph(*(torch.from_numpy(v) for v in inputs.values()))
    )


def scene_of(inputs: Tensors) -> SceneContext:
    tensors = {k: torch.from_numpy(v)[None] for k, v in inputs.items() if k != "noise"}
    return SceneContext(
        **{k: v.float() if v.is_floating_point() else v for k, v in tensors.items()}
    )


@pytest.mark.parametrize(
    ("name", "mask"), [("meta", "meta_valid"), ("agents", "agent_valid"), ("map", "map_valid")]
)
@pytest.mark.parametrize("share", [0.5, 1.0])
def test_masked_tokens_cannot_change_the_plan_by_a_bit(
    net: Denoiser, inputs: dict[str, NDArray[Any]], name: str, mask: str, share: float
) -> None:
    inputs[mask][: round(share * len(inputs[mask]))] = False
    hidden = ~inputs[mask]
    before = plan(net, inputs)
    for value in (0.0, -7.0, 60000.0, np.inf, np.nan):
        inputs[name][hidden] = value
        assert plan(net, inputs) == before, f"{name} = {value}"


def test_without_meta_its_age_cannot_change_the_plan(
    net: Denoiser, inputs: dict[str, NDArray[Any]]
) -> None:
    inputs["meta_valid"][:] = False
    before = plan(net, inputs)
    for age in (0.0, 9.0, np.nan, np.inf):
        inputs["meta_age_s"][:] = age
        assert plan(net, inputs) == before


@pytest.mark.parametrize("name", SEEN)
def test_everything_valid_can_change_the_plan(
    net: Denoiser, inputs: dict[str, NDArray[Any]], name: str
) -> None:
    before = plan(net, inputs)
    inputs[name] = -inputs[name] + inputs[name].dtype.type(0.25)
    assert plan(net, inputs) != before


@pytest.mark.parametrize("mask", ["meta_valid", "agent_valid", "map_valid"])
def test_a_mask_can_change_the_plan(
    net: Denoiser, inputs: dict[str, NDArray[Any]], mask: str
) -> None:
    before = plan(net, inputs)
    inputs[mask][0] = False
    assert plan(net, inputs) != before


def test_untrained_plans_are_their_anchors_give_or_take_the_noise(preset: Preset) -> None:
    quiet = build_planner(preset, 0)
    inputs = full(example_planner(preset, np.random.default_rng(1)))
    with torch.no_grad():
        poses, confidence = PlannerGraph(quiet, 2)(*map(torch.from_numpy, inputs.values()))
    anchors = poses_of(quiet.anchors.numpy())
    assert np.abs(poses.numpy() - anchors)[:, -1, :2].max() < 6.0  # [m], at 4 s
    assert confidence.sum().item() == pytest.approx(1.0, abs=1e-6)


def test_untrained_a_loud_scene_moves_no_trajectory_by_more_than_the_action_bound(
    net: Denoiser, inputs: dict[str, NDArray[Any]]
) -> None:
    inputs["bev"][:] = 60000.0
    poses, _ = PlannerGraph(net, 2)(*map(torch.from_numpy, inputs.values()))
    assert torch.isfinite(poses).all()


def test_far_outside_the_grid_the_bev_reads_as_zero(preset: Preset, net: Denoiser) -> None:
    read = net.layers[0].read_bev
    bev = torch.ones(1, preset.d_model, *preset.pooled)
    poses = torch.full((1, 3, 8, 3), 1e6)
    queries = torch.randn(1, 3, preset.d_model, generator=torch.Generator().manual_seed(0))
    np.testing.assert_allclose(
        read(queries, poses, bev).detach(), read(queries, poses, 0 * bev).detach(), atol=1e-6
    )


def test_a_trajectory_reads_the_bev_where_it_goes_and_nowhere_else(
    preset: Preset, net: Denoiser
) -> None:
    read = net.layers[0].read_bev
    queries = torch.zeros(1, 1, preset.d_model)
    ahead_left = torch.tensor([30.0, 20.0, 0.0]).expand(1, 1, 8, 3)  # x forward, y left
    rows, columns = preset.pooled
    bev = torch.zeros(1, preset.d_model, rows, columns)
    before = read(queries, ahead_left, bev)
    other = bev.clone()
    other[:, :, : rows // 2] = 1.0  # behind x = 16 m
    other[:, :, :, : columns // 2] = 1.0  # right of y = 0
    assert torch.equal(read(queries, ahead_left, other), before)
    bev[:, :, rows // 2 :, columns // 2 :] = 1.0
    assert not torch.equal(read(queries, ahead_left, bev), before)


def test_the_same_scene_in_a_batch_gives_the_same_plan(preset: Preset, net: Denoiser) -> None:
    inputs = full(example_planner(preset, np.random.default_rng(2)))
    scene = scene_of(inputs)
    double = SceneContext(**{k: torch.cat([v, v]) for k, v in scene.__dict__.items()})
    noise = torch.from_numpy(inputs["noise"])[None]
    with torch.no_grad():
        one = sample(net, scene, noise, steps(2))
        two = sample(net, double, torch.cat([noise, noise]), steps(2))
    np.testing.assert_allclose(two.actions[1], one.actions[0], atol=1e-5)


def test_every_parameter_learns(preset: Preset, net: Denoiser) -> None:
    scene = scene_of(full(example_planner(preset, np.random.default_rng(3))))
    t, noise = torch.tensor([20]), torch.randn(1, *net.anchors.shape)
    noisy, abar = training_noise(net.anchors[None], t, noise)
    for told in net(noisy, t.float(), abar, scene):
        (told.x0.square().sum() + told.logits.square().sum()).backward()
    without = [n for n, p in net.named_parameters() if p.grad is None or not p.grad.any()]
    # softmax ignores a shift that all keys share, so a key's bias has no influence
    assert [n for n in without if not n.endswith("to_key.bias")] == []
    net.zero_grad()


def test_training_noise_has_the_level_of_its_time() -> None:
    anchors, noise = torch.ones(2, 3, 8, 2), torch.zeros(2, 3, 8, 2)
    noisy, abar = training_noise(anchors, torch.tensor([0, 49]), noise)
    np.testing.assert_allclose(abar, noise_levels()[[0, 49]], rtol=1e-6)
    np.testing.assert_allclose(noisy[1], np.sqrt(noise_levels()[49]), rtol=1e-6)


def test_a_perfect_denoiser_ends_at_the_truth_whatever_the_noise() -> None:
    truth, noise = torch.full((1, 2, 8, 2), 0.3), torch.randn(1, 2, 8, 2)
    schedule = steps(5)
    x = schedule[0].abar ** 0.5 * truth + (1 - schedule[0].abar) ** 0.5 * noise
    for step in schedule:
        x = ddim_mean(x, truth, step, 0.0)
        expected = step.abar_next**0.5 * truth + (1 - step.abar_next) ** 0.5 * noise
        np.testing.assert_allclose(x, expected, atol=2e-5)
    np.testing.assert_allclose(x, truth, atol=1e-6)


def test_log_prob_is_the_gaussian_density_clamped_and_averaged() -> None:
    mean = torch.zeros(1, 8, 2)
    at_mean = -np.log(0.1) - 0.5 * np.log(2 * np.pi)  # 1.3836
    assert log_prob(mean, mean, 0.1).item() == pytest.approx(at_mean, abs=1e-5)
    one_off = mean.clone()
    one_off[0, 0, 0] = 0.1  # one of 16 elements lies one standard deviation away
    assert log_prob(one_off, mean, 0.1).item() == pytest.approx(at_mean - 0.5 / 16, abs=1e-5)
    assert log_prob(mean + 10.0, mean, 0.1).item() == -5.0
    assert log_prob(mean, mean, 0.01).item() == 2.0


def test_the_log_probabilities_of_a_chain_are_found_again(preset: Preset, net: Denoiser) -> None:
    scene = scene_of(full(example_planner(preset, np.random.default_rng(4))))
    schedule, how = steps(5), Exploration()
    noise = torch.randn(6, 1, *net.anchors.shape, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        chain = sample_chain(net, scene, noise, schedule, how)
        again = chain_log_probs(net, scene, chain.states, schedule, how)
    assert chain.states.shape[0] == 6 and again.shape == (5, 1, preset.planner.anchors)
    np.testing.assert_allclose(again, chain.log_probs, atol=1e-5)


def test_without_exploration_a_chain_is_the_cars_sampling(preset: Preset, net: Denoiser) -> None:
    scene = scene_of(full(example_planner(preset, np.random.default_rng(5))))
    noise = torch.randn(3, 1, *net.anchors.shape, generator=torch.Generator().manual_seed(1))
    still = Exploration(eta=0.0, explore_floor=0.0)
    with torch.no_grad():
        chain = sample_chain(net, scene, noise, steps(2), still)
        car = sample(net, scene, noise[0], steps(2))
    assert torch.equal(chain.states[-1], car.actions) and torch.equal(chain.logits, car.logits)


def test_exploration_without_meaning_is_refused() -> None:
    for wrong in ({"eta": 1.5}, {"explore_floor": -0.1}, {"likelihood_floor": 0.0}):
        with pytest.raises(ValueError, match="exploration"):
            Exploration(**wrong)


def test_building_twice_gives_the_same_weights_and_leaves_the_random_state_alone(
    preset: Preset,
) -> None:
    state = torch.get_rng_state()
    one, two = build_planner(preset, 3), build_planner(preset, 3)
    assert torch.equal(torch.get_rng_state(), state)
    for a, b in zip(one.state_dict().values(), two.state_dict().values(), strict=True):
        assert torch.equal(a, b)


def test_noise_depends_on_stamp_and_seed_alone_and_is_standard_normal() -> None:
    paper = load_preset("paper")
    one = noise_for(paper, 123, 4)
    assert one.tobytes() == noise_for(paper, 123, 4).tobytes()
    assert one.tobytes() != noise_for(paper, 124, 4).tobytes() != noise_for(paper, 123, 5).tobytes()
    assert abs(one.mean()) < 0.1 and abs(one.std() - 1.0) < 0.1
    assert noise_for(paper, -1, 0).shape == (64, 8, 2), "any integer is a stamp"


def tokens(preset: Preset, rng: np.random.Generator, epoch: int = 0) -> SceneTokens:
    values = example_planner(preset, rng)
    names = ("bev", "agents", "agent_valid", "ego", "map", "map_valid")
    blind = SceneTokens.blind(1_000, epoch)
    return replace(blind, **{name: values[name] for name in names})


def command(preset: Preset, count: int, epoch: int = 0, stamp_ns: int = 0) -> Command:
    meta = Meta(np.ones((count, preset.d_model), np.float16), np.ones(count, bool), epoch)
    return Command(stamp_ns, stamp_ns + 10, "test", meta=meta)


@pytest.mark.parametrize(("seconds", "age"), [(0.0, 0.0), (0.3, 0.3), (25.0, 10.0), (-1.0, 0.0)])
def test_the_age_of_meta_is_counted_from_the_stamp_of_its_command(
    preset: Preset, seconds: float, age: float
) -> None:
    now_ns = 50 * SECOND_NS
    seen = replace(tokens(preset, np.random.default_rng(0)), anchor_stamp_ns=now_ns)
    advice = command(preset, 2, stamp_ns=now_ns - round(seconds * SECOND_NS))
    inputs = planner_inputs(preset, seen, advice, noise_for(preset, 0, 0))
    assert inputs["meta_age_s"] == np.float32(age)


def test_meta_of_another_epoch_none_or_too_many_is_masked(preset: Preset) -> None:
    seen, noise = tokens(preset, np.random.default_rng(0)), noise_for(preset, 0, 0)
    for advice, valid in [
        (Command(0, 10), 0), (command(preset, 4, epoch=1), 0), (command(preset, 0), 0),
        (command(preset, 3), 3), (command(preset, 9), 4),
    ]:  # fmt: skip
        inputs = planner_inputs(preset, seen, advice, noise)
        assert inputs["meta_valid"].sum() == valid
        for spec in planner_io(preset).inputs:
            assert (inputs[spec.name].dtype, inputs[spec.name].shape) == (spec.dtype, spec.shape)


def test_candidates_come_best_first_and_equal_inputs_give_equal_bits(
    preset: Preset, net: Denoiser
) -> None:
    graph = PlannerGraph(net, 2)

    @torch.no_grad()
    def run(inputs: Tensors) -> Tensors:
        poses, confidence = graph(*(torch.from_numpy(v) for v in inputs.values()))
        return {"trajectories": poses.numpy(), "confidence": confidence.numpy()}

    policy, seen = DiffusionPolicy(preset, run), tokens(preset, np.random.default_rng(1))
    ego = EgoStatus(0, np.zeros(2), np.zeros(2), 0.0, True, "test")
    one, two, other = (
        policy.propose(seen, Command(0, 0), ego, Intent(), seed) for seed in (0, 0, 1)
    )
    assert one.poses.shape == (8, 8, 3) and one.poses.dtype == np.float64
    assert (np.diff(one.confidence) <= 0).all()
    assert one.poses.tobytes() == two.poses.tobytes() != other.poses.tobytes()
