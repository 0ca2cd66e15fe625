"""The eyes as they are trained: both perception networks, the lab's heads, and all losses.

Symbols: B samples, N cameras, n = pictures of all samples that are there, 8 camera slots.
The memory is made by the same networks from the earlier pictures, without gradient, and handed in
as the car does: float16, warped inside the network.
May import: torch, irl_vla, irl_vla_training's recipe and samples, perception's formulas.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from irl_vla.perception.bev import BevInputs
from irl_vla.perception.heads import Detections
from irl_vla.perception.networks import BevOutputs, build
from irl_vla.perception.preset import Preset
from irl_vla_training.perception.box_losses import BoxTargets, box_losses
from irl_vla_training.perception.camera_losses import pixel_losses
from irl_vla_training.perception.ego_losses import action_loss, light_loss
from irl_vla_training.perception.ground_losses import (
    cell_weights,
    closed_loss,
    segmentation_loss,
)
from irl_vla_training.perception.lab_heads import LabHeads
from irl_vla_training.perception.line_losses import LineTargets, line_losses
from irl_vla_training.recipe import LossRecipe
from irl_vla_training.samples.batch import Batch, PixelBatch, ViewBatch


@dataclass(frozen=True)
class EyesOutputs:
    """features: (n, C, h, w) of the pictures that are there; outputs: of the BEV network."""

    features: Tensor
    outputs: BevOutputs


class Eyes(nn.Module):
    """camera, bev: what is exported; lab: what is not."""

    mean: Tensor
    std: Tensor

    def __init__(self, preset: Preset, seed: int) -> None:
        super().__init__()
        networks = build(preset, seed)
        self.preset = preset
        self.camera, self.bev = networks.camera, networks.bev
        self.lab = LabHeads(preset, seed)
        for name in ("mean", "std"):
            values = torch.tensor(getattr(preset.image, name)).reshape(3, 1, 1)
            self.register_buffer(name, values, persistent=False)

    def forward(
        self, batch: Batch, ego_vector: Tensor, memory_valid: Tensor, losses: LossRecipe
    ) -> dict[str, Tensor]:
        """Every loss by name, weighted; their sum is what is minimised.

        ego_vector, memory_valid: of the batch, as far as they are not withheld
        """
        seen = self.see(batch, ego_vector, memory_valid)
        return weighted({**_scene_losses(seen.outputs, batch), **self._lab_losses(seen, batch)},
                        losses)  # fmt: skip

    def see(self, batch: Batch, ego_vector: Tensor, memory_valid: Tensor) -> EyesOutputs:
        """What the networks make of a batch; memory is encoded only where some sample has it."""
        memory = batch.memory
        bev = torch.zeros(
            len(batch), self.preset.d_model, *self.preset.pooled, device=ego_vector.device
        )
        if memory_valid.any():
            then = replace(memory.views, present=memory.views.present & memory_valid)
            with torch.no_grad():
                bev = self._encode(then, bev, memory.ego_now_from_memory, memory.age_s,
                                   torch.zeros_like(memory_valid), ego_vector)[1].bev  # fmt: skip
        return EyesOutputs(*self._encode(
            batch.views, bev.half(), memory.ego_now_from_memory, memory.age_s, memory_valid,
            ego_vector,
        ))  # fmt: skip

    def _encode(
        self, views: ViewBatch, memory_bev: Tensor, ego_now_from_memory: Tensor, age_s: Tensor,
        memory_valid: Tensor, ego_vector: Tensor,
    ) -> tuple[Tensor, BevOutputs]:  # fmt: skip
        features = self.camera(self._normalised(views))
        count = views.images.shape[1]  # slots beyond the widest rig of the batch cost time only
        present = views.present[:, :count]
        slots = features.new_zeros(*present.shape, *features.shape[1:])
        slots[present] = features
        return features, self.bev(BevInputs(
            slots, views.sampling_grid[:, :count], views.visible[:, :count], present, memory_bev,
            ego_now_from_memory, age_s, memory_valid, ego_vector,
        ))  # fmt: skip

    def _normalised(self, views: ViewBatch) -> Tensor:
        """(n, 3, H, W) of the pictures that are there."""
        there = views.images[views.present[:, : views.images.shape[1]]]
        images = (there.float() - self.mean) / self.std
        return images.contiguous(memory_format=torch.channels_last)

    def _lab_losses(self, seen: EyesOutputs, batch: Batch) -> dict[str, Tensor]:
        there = batch.views.present[:, : batch.views.images.shape[1]]
        truth = PixelBatch(*(getattr(batch.pixels, name)[there] for name in
                             ("kind", "lamp", "log_depth")))  # fmt: skip
        pixels = pixel_losses(self.lab.camera(seen.features), truth)
        ego = self.lab.ego(seen.outputs.decoded.ego)
        return {
            "pixel_kind": pixels.kind, "pixel_depth": pixels.depth, "pixel_lamp": pixels.lamp,
            "actions": action_loss(ego.actions, batch.future, batch.future_known),
            "light": light_loss(ego.light, batch.lamp),
        }  # fmt: skip


def _scene_losses(outputs: BevOutputs, batch: Batch) -> dict[str, Tensor]:
    """Of everything that is exported; layers of the decoder count equally on average."""
    weight = cell_weights(batch.seg_known, batch.seen)
    shut = cell_weights(batch.closed_known[:, None, None] & torch.ones_like(batch.seen), batch.seen)
    losses = {
        "seg": segmentation_loss(outputs.seg_logits, batch.seg, weight, batch.seg_classes),
        "closed": closed_loss(outputs.closed_logits, batch.closed, shut),
    }
    for share, found in zip(_shares(outputs.decoded.found), outputs.decoded.found, strict=True):
        for name, value in _element_losses(found, batch).items():
            losses[name] = losses.get(name, torch.zeros((), device=value.device)) + share * value
    return losses


def _shares(found: tuple[Detections, ...]) -> list[float]:
    """Weights of the decoder's layers: the last one counts whole, earlier ones half."""
    return [0.5] * (len(found) - 1) + [1.0]


def _element_losses(found: Detections, batch: Batch) -> dict[str, Tensor]:
    boxes = box_losses(found, BoxTargets(
        batch.boxes, batch.box_kind, batch.box_valid, batch.box_hidden, batch.velocity_known,
        batch.boxes_known,
    ))  # fmt: skip
    hidden = ~batch.line_valid & (batch.lines.abs().amax(dim=(2, 3)) > 0.0)  # else only padding
    lines = line_losses(found, LineTargets(
        batch.lines, batch.line_kind, batch.line_valid, hidden, batch.lines_known
    ))  # fmt: skip
    return {
        "box_class": boxes.classes, "box": boxes.box, "velocity": boxes.velocity,
        "line_class": lines.classes, "line": lines.points,
    }  # fmt: skip


def weighted(losses: Mapping[str, Tensor], weights: LossRecipe) -> dict[str, Tensor]:
    """Each loss times its weight."""
    return {name: getattr(weights, name) * value for name, value in losses.items()}
