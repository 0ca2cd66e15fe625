"""From noise to plans: DDIM along the truncated schedule, and the probabilities that PPO needs.

Symbols as in schedule.py; one denoising step is a Gaussian
    mu = sqrt(abar_s) x0^ + sqrt(1 - abar_s - sigma^2) eps^    eps^ = (x_t - sqrt(abar_t) x0^) /
    x_s = mu + max(sigma, explore_floor) z                             sqrt(1 - abar_t)
    log p = mean over T, A of clamp(log N(x_s; mu, max(sigma, likelihood_floor)), -5, 2)
as in DPPO (arXiv 2409.00588 and its code, model/diffusion/diffusion_ppo.py): two floors of the
standard deviation, noise cut at 3, log-probability averaged over the elements of a plan.
In the car eta = 0 and no noise is added after the first: same input, same plan.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from irl_vla.perception.preset import Preset
from irl_vla.planner.actions import action_to_trajectory
from irl_vla.planner.anchors import kmeans_anchors, synthetic_driving
from irl_vla.planner.denoiser import Denoiser, SceneContext
from irl_vla.planner.schedule import DenoisingStep, noise_levels, steps
from irl_vla.types import F32

LOG_PROB_BOUNDS = (-5.0, 2.0)  # per element, DPPO
NOISE_CUT = 3.0  # [standard deviations] DPPO's randn_clip_value


@dataclass(frozen=True, kw_only=True)
class Exploration:
    """How PPO's chains differ from the car's. Units of the normalised action space."""

    eta: float = 1.0  # share of DDIM's own noise (DPPO: 1 in training, 0 at evaluation)
    explore_floor: float = 0.02  # smallest standard deviation when sampling (ReCogDrive)
    likelihood_floor: float = 0.1  # smallest standard deviation in log p (DPPO, ReCogDrive)

    def __post_init__(self) -> None:
        if not (0.0 <= self.eta <= 1.0 and self.explore_floor >= 0.0 < self.likelihood_floor):
            raise ValueError(
                "exploration: expected 0 <= eta <= 1, explore_floor >= 0 and likelihood_floor > 0, "
                f"got {self.eta}, {self.explore_floor}, {self.likelihood_floor}"
            )


@dataclass(frozen=True)
class Plans:
    """actions: (B, K, T, A) without noise; logits: (B, K)."""

    actions: Tensor
    logits: Tensor


@dataclass(frozen=True)
class Chain:
    """One sampled denoising. states: (S + 1, B, K, T, A), from x_start to the executed action;
    log_probs: (S, B, K) of each step; logits: (B, K) of the last step."""

    states: Tensor
    log_probs: Tensor
    logits: Tensor


def noised_anchors(anchors: Tensor, noise: Tensor, abar: float) -> Tensor:
    """x_t = sqrt(abar_t) anchor + sqrt(1 - abar_t) eps."""
    return math.sqrt(abar) * anchors + math.sqrt(1.0 - abar) * noise.clamp(-NOISE_CUT, NOISE_CUT)


def ddim_mean(noisy: Tensor, x0: Tensor, step: DenoisingStep, sigma: float) -> Tensor:
    """mu of x_s given x_t and x0^ (DDIM, eq. 12 without its noise)."""
    eps = (noisy - math.sqrt(step.abar) * x0) / math.sqrt(1.0 - step.abar)
    left = max(1.0 - step.abar_next - sigma**2, 0.0)  # rounding may leave -1e-17
    return math.sqrt(step.abar_next) * x0 + math.sqrt(left) * eps


def log_prob(value: Tensor, mean: Tensor, std: float) -> Tensor:
    """(..., T, A) -> (...,): element log-densities, clamped, then averaged over T and A."""
    z = (value - mean) / std
    each = -0.5 * z**2 - math.log(std) - 0.5 * math.log(2.0 * math.pi)
    return each.clamp(*LOG_PROB_BOUNDS).mean(dim=(-2, -1))


def sample(
    net: Denoiser, scene: SceneContext, noise: Tensor, schedule: Sequence[DenoisingStep]
) -> Plans:
    """Deterministic sampling (eta = 0). noise: (B, K, T, A) standard normal."""
    action, logits = noised_anchors(net.anchors, noise, schedule[0].abar), noise[:, :, 0, 0]
    for step in schedule:
        out = _denoise(net, action, step, scene)
        action, logits = ddim_mean(action, out.actions, step, 0.0), out.logits
    return Plans(action, logits)


def sample_chain(
    net: Denoiser,
    scene: SceneContext,
    noise: Tensor,
    schedule: Sequence[DenoisingStep],
    how: Exploration,
) -> Chain:
    """Sampling that explores. noise: (S + 1, B, K, T, A) standard normal, the first for x_start."""
    states = [noised_anchors(net.anchors, noise[0], schedule[0].abar)]
    probs, logits = [], noise[0, :, :, 0, 0]
    for step, z in zip(schedule, noise[1:], strict=True):
        sigma, out = step.sigma(how.eta), _denoise(net, states[-1], step, scene)
        mean, logits = ddim_mean(states[-1], out.actions, step, sigma), out.logits
        states.append(mean + max(sigma, how.explore_floor) * z.clamp(-NOISE_CUT, NOISE_CUT))
        probs.append(log_prob(states[-1], mean, max(sigma, how.likelihood_floor)))
    return Chain(torch.stack(states), torch.stack(probs), logits)


def chain_log_probs(
    net: Denoiser,
    scene: SceneContext,
    states: Tensor,
    schedule: Sequence[DenoisingStep],
    how: Exploration,
) -> Tensor:
    """(S + 1, B, K, T, A) states of a chain -> (S, B, K) log-probabilities under `net`."""
    probs = []
    for step, before, after in zip(schedule, states[:-1], states[1:], strict=True):
        sigma, out = step.sigma(how.eta), _denoise(net, before, step, scene)
        mean = ddim_mean(before, out.actions, step, sigma)
        probs.append(log_prob(after, mean, max(sigma, how.likelihood_floor)))
    return torch.stack(probs)


def _denoise(net: Denoiser, noisy: Tensor, step: DenoisingStep, scene: SceneContext) -> Plans:
    """The last layer's answer."""
    batch = noisy.shape[0]
    t = torch.full((batch,), float(step.t), device=noisy.device)
    out = net(noisy, t, torch.full_like(t, step.abar), scene)[-1]
    return Plans(out.x0, out.logits)


class PlannerGraph(nn.Module):
    """One scene in, all candidates out; the form that is exported (tensors.planner_io)."""

    def __init__(self, net: Denoiser, denoise_steps: int) -> None:
        super().__init__()
        self.net = net
        self.schedule = steps(denoise_steps)

    def forward(
        self, bev: Tensor, agents: Tensor, agent_valid: Tensor, ego: Tensor, map: Tensor,
        map_valid: Tensor, meta: Tensor, meta_valid: Tensor, meta_age_s: Tensor, noise: Tensor,
    ) -> tuple[Tensor, Tensor]:  # fmt: skip
        """-> trajectories (K, T, 3) with yaw in (-pi, pi], confidence (K,) that sums to 1."""
        scene = SceneContext(
            bev.float()[None], agents.float()[None], agent_valid[None], ego.float()[None],
            map.float()[None], map_valid[None], meta.float()[None], meta_valid[None],
            meta_age_s[None],
        )  # fmt: skip
        plans = sample(self.net, scene, noise[None], self.schedule)
        poses = action_to_trajectory(plans.actions[0])
        yaw = torch.atan2(poses[..., 2].sin(), poses[..., 2].cos())
        return torch.cat([poses[..., :2], yaw[..., None]], dim=-1), plans.logits[0].softmax(dim=-1)


def build_planner(preset: Preset, seed: int, anchors: F32 | None = None) -> Denoiser:
    """Seeded initial weights; anchors from `anchors.synthetic_driving` unless given. The global
    random state is neither used nor changed."""
    if anchors is None:
        anchors = kmeans_anchors(synthetic_driving(seed), preset.planner.anchors, seed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return Denoiser(preset, anchors).eval()


def training_noise(anchors: Tensor, t: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
    """For imitation: noisy anchors (B, K, T, A) at each sample's t (B,) int64, and abar_t (B,)."""
    levels = torch.tensor(noise_levels(), dtype=noise.dtype, device=noise.device)
    abar = levels[t]
    scale = abar[:, None, None, None]
    return scale.sqrt() * anchors + (1.0 - scale).sqrt() * noise, abar
