"""VoVNetV2 with eSE in every block, written from the published structure.

Symbols: C channels, h x w size of a map; strides 4, 8, 16, 32 for the stages 2..5.
Structure: Lee & Park, "CenterMask" (arXiv 1911.06667), section 3.2. One stage is a chain of
one-shot aggregation (OSA) blocks:
    y = concat[x, f1(x), f2(f1(x)), ...]     each f a 3x3 convolution
    z = eSE(f_1x1(y))                        eSE(z) = z * hardsigmoid(W mean_hw(z) + b)
    out = z + x from the second block of a stage on
The slim and `dw` members replace 3x3 convolutions by depthwise + pointwise ones.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class VovnetSize:
    """One member of the family.

    stem: channels of the three stem convolutions; inner: of the 3x3 convolutions of stages 2..5
    out: of the stages; blocks: OSA blocks per stage; convs: 3x3 convolutions per block
    depthwise: convolutions of the stages, and of the stem unless dense_stem
    """

    stem: tuple[int, int, int]
    inner: tuple[int, int, int, int]
    out: tuple[int, int, int, int]
    blocks: tuple[int, int, int, int]
    convs: int
    depthwise: bool
    dense_stem: bool = False


_INNER, _OUT = (128, 160, 192, 224), (256, 512, 768, 1024)
SIZES: Mapping[str, VovnetSize] = MappingProxyType(
    {
        "nano": VovnetSize((8, 8, 8), (8, 8, 8, 8), (8, 16, 16, 16), (1, 1, 1, 1), 1, True),
        "19-slim-dw": VovnetSize(
            (64, 64, 64), (64, 80, 96, 112), (112, 256, 384, 512), (1, 1, 1, 1), 3, True
        ),
        "19-slim-dw-dense-stem": VovnetSize(
            (32, 32, 64), (64, 80, 96, 112), (112, 256, 384, 512), (1, 1, 1, 1), 3, True, True
        ),
        "19-dw": VovnetSize((64, 64, 64), _INNER, _OUT, (1, 1, 1, 1), 3, True),
        "39": VovnetSize((64, 64, 128), _INNER, _OUT, (1, 1, 2, 2), 5, False),
        "57": VovnetSize((64, 64, 128), _INNER, _OUT, (1, 1, 4, 3), 5, False),
        "99": VovnetSize((64, 64, 128), _INNER, _OUT, (1, 3, 9, 3), 5, False),
    }
)


def conv_block(inside: int, outside: int, kernel: int, stride: int = 1) -> nn.Sequential:
    """Convolution, batch normalisation, ReLU; keeps the size at stride 1, halves it at 2."""
    return nn.Sequential(
        nn.Conv2d(inside, outside, kernel, stride, padding=kernel // 2, bias=False),
        nn.BatchNorm2d(outside),
        nn.ReLU(inplace=True),
    )


def separable_block(inside: int, outside: int, stride: int = 1) -> nn.Sequential:
    """Depthwise 3x3 and pointwise convolution, then batch normalisation and ReLU."""
    return nn.Sequential(
        nn.Conv2d(inside, inside, 3, stride, padding=1, groups=inside, bias=False),
        nn.Conv2d(inside, outside, 1, bias=False),
        nn.BatchNorm2d(outside),
        nn.ReLU(inplace=True),
    )


class EffectiveSqueezeExcitation(nn.Module):
    """eSE: one weight per channel from the channel means, without the usual bottleneck."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weigh = nn.Conv2d(channels, channels, 1)

    def forward(self, features: Tensor) -> Tensor:
        """(N, C, h, w) -> the same shape."""
        means = features.mean(dim=(2, 3), keepdim=True)
        return features * nn.functional.hardsigmoid(self.weigh(means))


class OneShotAggregation(nn.Module):
    """An OSA block; the formula stands at the head of the file."""

    def __init__(self, size: VovnetSize, stage: int, inside: int, identity: bool) -> None:
        super().__init__()
        inner, out = size.inner[stage], size.out[stage]
        self.identity = identity
        # Depthwise convolutions keep their channels, so the input is brought to `inner` first.
        self.reduce = conv_block(inside, inner, 1) if size.depthwise and inside != inner else None
        widths = [inside if self.reduce is None else inner] + [inner] * (size.convs - 1)
        self.convs = nn.ModuleList(
            separable_block(width, inner) if size.depthwise else conv_block(width, inner, 3)
            for width in widths
        )
        self.aggregate = conv_block(inside + size.convs * inner, out, 1)
        self.excite = EffectiveSqueezeExcitation(out)

    def forward(self, features: Tensor) -> Tensor:
        """(N, inside, h, w) -> (N, out, h, w)."""
        seen = [features]
        last = features if self.reduce is None else self.reduce(features)
        for conv in self.convs:
            last = conv(last)
            seen.append(last)
        out: Tensor = self.excite(self.aggregate(torch.cat(seen, dim=1)))
        return out + features if self.identity else out


class VoVNet(nn.Module):
    """A Backbone (backbones.py); name: of one of SIZES."""

    def __init__(self, name: str) -> None:
        super().__init__()
        size = SIZES[name]
        self.channels = size.out
        first, second, third = size.stem
        slim = size.depthwise and not size.dense_stem
        repeat = separable_block if slim else _conv_3x3
        self.stem = nn.Sequential(
            conv_block(3, first, 3, 2), repeat(first, second), repeat(second, third, 2)
        )
        self.stages = nn.ModuleList()
        inside = third
        for stage in range(4):
            # ceil_mode: an odd size loses no row, and an even one is exactly halved.
            pool = [nn.MaxPool2d(3, stride=2, ceil_mode=True)] if stage else []
            blocks = [
                OneShotAggregation(
                    size, stage, inside if block == 0 else size.out[stage], identity=block > 0
                )
                for block in range(size.blocks[stage])
            ]
            self.stages.append(nn.Sequential(*pool, *blocks))
            inside = size.out[stage]

    def forward(self, images: Tensor) -> list[Tensor]:
        """(N, 3, H, W) -> the maps of stages 2..5 at strides 4, 8, 16, 32."""
        features = self.stem(images)
        maps = []
        for stage in self.stages:
            features = stage(features)
            maps.append(features)
        return maps


def _conv_3x3(inside: int, outside: int, stride: int = 1) -> nn.Sequential:
    return conv_block(inside, outside, 3, stride)
