"""Heads that exist in the lab only: what is asked of features and ego token while they learn.

Symbols: n pictures, C feature channels, K kinds of surface, u = feature cells -> truth pixels.
May import: torch, irl_vla, camera_losses.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from irl_vla.perception.preset import Preset
from irl_vla.types import HORIZON_POSES
from irl_vla.world.render.quads import CLASSES as KINDS
from irl_vla_training.perception.camera_losses import PixelGuess
from irl_vla_training.samples.batch import PIXEL_STRIDE
from irl_vla_training.samples.sample import LAMPS


class CameraHeads(nn.Module):
    """One 1x1 convolution that says u x u pixels per feature cell."""

    def __init__(self, preset: Preset) -> None:
        super().__init__()
        self.finer = preset.feature_stride // PIXEL_STRIDE
        self.sizes = [len(KINDS), 1, len(LAMPS)]
        self.say = nn.Conv2d(preset.feature_channels, sum(self.sizes) * self.finer**2, 1)

    def forward(self, features: Tensor) -> PixelGuess:
        """(n, C, h, w) -> logits and log depths at u times the resolution."""
        fine = nn.functional.pixel_shuffle(self.say(features), self.finer)
        kind, depth, lamp = torch.split(fine, self.sizes, dim=1)
        return PixelGuess(kind, depth[:, 0], lamp)


@dataclass(frozen=True)
class EgoGuess:
    """actions: (B, 8, 2) normalised, as planner.actions; light: (B, 4) logits."""

    actions: Tensor
    light: Tensor


class EgoHeads(nn.Module):
    """Read from the ego token."""

    def __init__(self, preset: Preset) -> None:
        super().__init__()
        self.actions = nn.Linear(preset.d_model, HORIZON_POSES * 2)
        self.light = nn.Linear(preset.d_model, len(LAMPS))

    def forward(self, ego: Tensor) -> EgoGuess:
        """(B, 1, D) ego token -> guesses."""
        token = ego[:, 0]
        return EgoGuess(self.actions(token).unflatten(1, (HORIZON_POSES, 2)), self.light(token))


class LabHeads(nn.Module):
    """Both, with weights from a seed of their own."""

    def __init__(self, preset: Preset, seed: int) -> None:
        super().__init__()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.camera = CameraHeads(preset)
            self.ego = EgoHeads(preset)
