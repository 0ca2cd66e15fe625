"""The `camera` graph: images -> one feature map each. It knows nothing of geometry or of rigs.

Symbols: N images (1..8, the only dynamic dimension), C feature channels, h x w feature cells.
"""

from __future__ import annotations

from torch import Tensor, nn

from irl_vla.perception.backbones import build_backbone
from irl_vla.perception.preset import Preset
from irl_vla.perception.vovnet import conv_block


class ChannelNorm(nn.Module):
    """Layer normalisation over the channels of each cell: (B, C, h, w) -> the same shape.

    It gives features and BEV one scale, whatever stands before them and whatever memory holds.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(channels)

    def forward(self, maps: Tensor) -> Tensor:
        """(B, C, h, w) -> the same shape."""
        out: Tensor = self.norm(maps.movedim(1, -1))
        return out.movedim(-1, 1)


class CameraNet(nn.Module):
    """Backbone and a light feature pyramid, summed into one map at the preset's stride."""

    def __init__(self, preset: Preset) -> None:
        super().__init__()
        channels = preset.feature_channels
        self.first_stage = 1 if preset.feature_stride == 8 else 2  # index of the finest map used
        self.backbone = build_backbone(preset.backbone)
        self.laterals = nn.ModuleList(
            nn.Conv2d(width, channels, 1) for width in self.backbone.channels[self.first_stage :]
        )
        self.smooth = conv_block(channels, channels, 3)
        self.norm = ChannelNorm(channels)

    def forward(self, images: Tensor) -> Tensor:
        """(N, 3, H, W) float32 normalised RGB -> (N, C, h, w) float32 features."""
        maps = self.backbone(images)[self.first_stage :]
        levels = [lateral(one) for lateral, one in zip(self.laterals, maps, strict=True)]
        total = levels.pop()
        while levels:
            total = levels.pop() + nn.functional.interpolate(total, scale_factor=2.0)
        out: Tensor = self.norm(self.smooth(total))
        return out
