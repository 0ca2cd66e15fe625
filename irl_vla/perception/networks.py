"""The two perception networks of a preset, and the form in which they are exported.

Training calls `BevNet` with a batch and reads logits; car and desk call `BevGraph`, which has no
batch, speaks tokens.bev_io, and casts to float16 once, at its end.
"""

from __future__ import annotations

import math
from copy import deepcopy
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from irl_vla.perception.bev import BevEncoder, BevInputs
from irl_vla.perception.camera_net import CameraNet
from irl_vla.perception.classes import CLASSES, SceneClasses
from irl_vla.perception.heads import Decoded, Detections, SceneDecoder, Segmentation
from irl_vla.perception.preset import Preset


@dataclass(frozen=True)
class BevOutputs:
    """bev: (B, D, Hp, Wp); decoded tokens and findings; seg_logits: (B, K, R, S) and closed_logits:
    (B, 1, R, S)."""

    bev: Tensor
    decoded: Decoded
    seg_logits: Tensor
    closed_logits: Tensor


class BevNet(nn.Module):
    """Features of up to eight cameras, memory and ego vector -> everything perception knows."""

    def __init__(self, preset: Preset, classes: SceneClasses = CLASSES) -> None:
        super().__init__()
        self.encoder = BevEncoder(preset)
        self.decoder = SceneDecoder(preset, classes)
        self.segmentation = Segmentation(preset, classes)

    def forward(self, inputs: BevInputs) -> BevOutputs:
        """A batch of scenes -> float32 outputs with gradients."""
        bev, fine = self.encoder(inputs)
        decoded = self.decoder(bev, inputs.ego_vector)
        return BevOutputs(bev, decoded, *self.segmentation(bev, fine))


class BevGraph(nn.Module):
    """One scene in, SceneTokens/2 out; arguments and results in the order of tokens.bev_io."""

    def __init__(self, net: BevNet, score_threshold: float) -> None:
        super().__init__()
        self.net = net
        self.score_threshold = score_threshold

    def forward(
        self, features: Tensor, sampling_grid: Tensor, visible: Tensor, present: Tensor,
        memory_bev: Tensor, ego_now_from_memory: Tensor, memory_age_s: Tensor,
        memory_valid: Tensor, ego_vector: Tensor,
    ) -> tuple[Tensor, ...]:  # fmt: skip
        """Shapes and types: tokens.bev_io."""
        one = (
            features, sampling_grid, visible, present, memory_bev, ego_now_from_memory,
            memory_age_s, memory_valid, ego_vector,
        )  # fmt: skip
        outputs = self.net(BevInputs(*(value[None] for value in one)))
        decoded, found = outputs.decoded, outputs.decoded.found[-1]
        agent_score = found.agent_logits.sigmoid().amax(dim=-1)
        map_score = found.map_logits.sigmoid().amax(dim=-1)
        results = (
            outputs.bev.half(),
            decoded.agents.half(),
            _boxes(found, agent_score).half(),
            found.agent_logits.argmax(dim=-1),
            agent_score > self.score_threshold,
            decoded.ego.half(),
            decoded.map.half(),
            found.polylines.half(),
            found.map_logits.argmax(dim=-1),
            map_score > self.score_threshold,
            outputs.seg_logits.softmax(dim=1).half(),
            _probability(outputs.closed_logits).half(),
        )
        return tuple(value[0] for value in results)


def _probability(logits: Tensor) -> Tensor:
    """sigmoid, (B, 1, R, S). As a softmax against 0, because ONNX Runtime's sigmoid is exact only
    to 1e-7, which is all that there is where nothing is closed."""
    return torch.cat([logits, torch.zeros_like(logits)], dim=1).softmax(dim=1)[:, :1]


def _boxes(found: Detections, score: Tensor) -> Tensor:
    """(B, A, 10) in the order of tokens.BOX_FIELDS: heading as one angle, score at the end."""
    yaw = torch.atan2(found.boxes[..., 6], found.boxes[..., 7])
    return torch.cat(
        [found.boxes[..., :6], yaw[..., None], found.boxes[..., 8:], score[..., None]], dim=-1
    )


@dataclass(frozen=True)
class Perception:
    """Both networks of one preset."""

    preset: Preset
    camera: CameraNet
    bev: BevNet

    def graphs(self) -> tuple[CameraNet, BevGraph]:
        """What is exported: copies of camera and bev in evaluation mode. The networks themselves
        stay in the mode that they are in: an export does not disturb a training."""
        graph = BevGraph(deepcopy(self.bev), self.preset.score_threshold)
        return deepcopy(self.camera).eval(), graph.eval()


def build(preset: Preset, seed: int, classes: SceneClasses = CLASSES) -> Perception:
    """Networks with seeded initial weights; the global random state is neither used nor changed."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        camera, bev = CameraNet(preset), BevNet(preset, classes)
        for net in (camera, bev.encoder):
            _he_init(net)
    return Perception(preset, camera, bev)


def _he_init(net: nn.Module) -> None:
    """He initialisation of convolutions, so that the untrained signal neither dies nor explodes.

    A depthwise convolution has no ReLU behind it, hence no gain of sqrt(2).
    """
    for module in net.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
            if module.groups > 1:
                module.weight.data /= math.sqrt(2.0)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
