"""The planner's network: every anchor, seen through the scene, becomes a trajectory.

Each layer reads in the paper's order, meta -> BEV -> map -> agents (figure 1 (f) of the IRL-VLA
repository), then the ego token, then is modulated by the time of the diffusion.
Symbols: B batch, K anchors, T = 8 poses, A = 2 action channels, D width, M map elements, Nm meta.
    x_t noisy action   base = x_t / sqrt(abar_t)   x0^ = base + sum of the layers' steps
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from irl_vla.perception.attention import Attention, FeedForward
from irl_vla.perception.bev import bev_coordinates
from irl_vla.perception.preset import Preset
from irl_vla.planner.actions import action_to_trajectory
from irl_vla.planner.tensors import ACTION_CHANNELS
from irl_vla.types import F32, HORIZON_POSES

QUIET = 0.01  # standard deviation of the last weights: untrained, a plan is its noisy anchor
POSE_SCALE = (32.0, 16.0, 1.0)  # [m, m, rad] of one unit of the network's input
ACTION_BOUND = 8.0  # units of the action space; driving stays below 3
TIME_WAVES = 16  # sines and cosines of t, wave lengths 2 pi .. 2 pi 1000 steps
AGE_SCALE_S = 1.0  # [s] of one unit of the meta tokens' age


@dataclass(frozen=True)
class SceneContext:
    """What the plan depends on, with a batch; float32.

    bev: (B, D, Hp, Wp); agents: (B, 30, D); agent_valid: (B, 30) bool; ego: (B, 1, D)
    map: (B, M, D); map_valid: (B, M) bool; meta: (B, Nm, D); meta_valid: (B, Nm) bool
    meta_age_s: (B, 1)
    What is masked, NaN included, has no influence.
    """

    bev: Tensor
    agents: Tensor
    agent_valid: Tensor
    ego: Tensor
    map: Tensor
    map_valid: Tensor
    meta: Tensor
    meta_valid: Tensor
    meta_age_s: Tensor


@dataclass(frozen=True)
class Denoised:
    """x0: (B, K, T, A) what the action would be without noise; logits: (B, K) how likely each
    anchor is the driver's choice. One per layer, so that training can ask each."""

    x0: Tensor
    logits: Tensor


class TimeCode(nn.Module):
    """Diffusion time t -> D numbers."""

    rates: Tensor

    def __init__(self, width: int) -> None:
        super().__init__()
        rates = torch.exp(-math.log(1000.0) * torch.arange(TIME_WAVES) / (TIME_WAVES - 1))
        self.register_buffer("rates", rates, persistent=False)
        self.mix = nn.Sequential(
            nn.Linear(2 * TIME_WAVES, width), nn.SiLU(), nn.Linear(width, width)
        )

    def forward(self, t: Tensor) -> Tensor:
        """(B,) -> (B, 1, D)."""
        phases = t[:, None] * self.rates
        out: Tensor = self.mix(torch.cat([phases.sin(), phases.cos()], dim=-1))
        return out[:, None]


class BevAlongPath(nn.Module):
    """Each trajectory reads the BEV at its own eight poses, and weighs them."""

    def __init__(self, preset: Preset) -> None:
        super().__init__()
        self.bev = preset.bev
        self.weigh = nn.Linear(preset.d_model, HORIZON_POSES)
        self.to_value = nn.Linear(preset.d_model, preset.d_model)
        self.to_out = nn.Linear(preset.d_model, preset.d_model)

    def forward(self, queries: Tensor, poses: Tensor, bev: Tensor) -> Tensor:
        """(B, K, D) queries, (B, K, T, 3) poses [m], (B, D, Hp, Wp) -> (B, K, D).

        A pose outside the grid reads zeros: nothing is known there.
        """
        where = bev_coordinates(poses[..., :2], self.bev).clamp(-2.0, 2.0)  # far out is out
        read = nn.functional.grid_sample(bev, where, "bilinear", "zeros", align_corners=False)
        weights = self.weigh(queries).softmax(dim=-1)[..., None]
        seen = (weights * self.to_value(read.permute(0, 2, 3, 1))).sum(dim=-2)
        out: Tensor = self.to_out(seen)
        return out


class PlannerLayer(nn.Module):
    """One reading of the whole scene by all candidate trajectories."""

    def __init__(self, preset: Preset) -> None:
        super().__init__()
        width, heads = preset.d_model, preset.planner.heads
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(5))
        self.read_meta = Attention(width, heads)
        self.read_bev = BevAlongPath(preset)
        self.read_map = Attention(width, heads)
        self.read_agents = Attention(width, heads)
        self.read_ego = nn.Linear(width, width)  # attention to one token is a linear layer
        self.think = FeedForward(width)
        self.modulate = nn.Linear(width, 2 * width)
        self.out = nn.LayerNorm(width)
        self.move = _quiet(width, HORIZON_POSES * ACTION_CHANNELS)
        self.judge = _quiet(width, 1)

    def forward(
        self, queries: Tensor, poses: Tensor, scene: SceneContext, time: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """-> (B, K, D) queries, (B, K, T, A) step in the action space, (B, K) logits."""
        norms = self.norms
        queries = queries + self.read_meta(norms[0](queries), scene.meta, scene.meta_valid)
        queries = queries + self.read_bev(norms[1](queries), poses, scene.bev)
        queries = queries + self.read_map(norms[2](queries), scene.map, scene.map_valid)
        queries = queries + self.read_agents(norms[3](queries), scene.agents, scene.agent_valid)
        queries = queries + self.read_ego(scene.ego)
        queries = queries + self.think(norms[4](queries))
        scale, shift = self.modulate(time).chunk(2, dim=-1)
        queries = queries * (1.0 + scale) + shift
        out = self.out(queries)
        step = self.move(out).unflatten(-1, (HORIZON_POSES, ACTION_CHANNELS))
        return queries, step, self.judge(out)[..., 0]


class Denoiser(nn.Module):
    """Noisy actions of all anchors and the scene -> actions without noise, and their likelihood."""

    anchors: Tensor
    pose_scale: Tensor

    def __init__(self, preset: Preset, anchors: F32) -> None:
        """anchors: (K, T, A) normalised actions; they are saved with the weights."""
        super().__init__()
        width = preset.d_model
        expected = (preset.planner.anchors, HORIZON_POSES, ACTION_CHANNELS)
        if anchors.shape != expected:
            raise ValueError(f"anchors: expected shape {expected}, got {anchors.shape}")
        self.register_buffer("anchors", torch.tensor(anchors))
        self.register_buffer("pose_scale", torch.tensor(POSE_SCALE), persistent=False)
        self.encode = nn.Sequential(
            nn.Linear(HORIZON_POSES * (3 + ACTION_CHANNELS), width), nn.ReLU(),
            nn.Linear(width, width),
        )  # fmt: skip
        self.age = nn.Linear(1, width)
        self.time = TimeCode(width)
        self.layers = nn.ModuleList(PlannerLayer(preset) for _ in range(preset.planner.layers))

    def forward(
        self, noisy: Tensor, t: Tensor, abar: Tensor, scene: SceneContext
    ) -> tuple[Denoised, ...]:
        """(B, K, T, A) noisy actions at diffusion time t (B,) with abar_t (B,) -> each layer's."""
        x0 = noisy / abar.sqrt()[:, None, None, None]
        poses = action_to_trajectory(x0.clamp(-ACTION_BOUND, ACTION_BOUND))
        queries = self.encode(torch.cat([x0, poses / self.pose_scale], dim=-1).flatten(2))
        scene, time = self._with_age(scene), self.time(t)
        denoised = []
        for layer in self.layers:
            queries, step, logits = layer(queries, poses, scene, time)
            x0 = (x0 + step).clamp(-ACTION_BOUND, ACTION_BOUND)
            denoised.append(Denoised(x0, logits))
            poses = action_to_trajectory(x0.detach())  # the next layer reads along the new path
        return tuple(denoised)

    def _with_age(self, scene: SceneContext) -> SceneContext:
        """Meta tokens know how old they are."""
        age = self.age(scene.meta_age_s / AGE_SCALE_S)[:, None]
        return replace(scene, meta=scene.meta + age)


def _quiet(width: int, out: int) -> nn.Linear:
    """A last layer that at first says next to nothing."""
    layer = nn.Linear(width, out)
    nn.init.normal_(layer.weight, std=QUIET)
    nn.init.zeros_(layer.bias)
    return layer
