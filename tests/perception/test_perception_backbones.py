"""The table of backbones: what it knows, what it refuses, and that no torch is needed to ask."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from irl_vla.perception.backbones import BACKBONES, build_backbone
from irl_vla.perception.networks import build
from irl_vla.perception.preset import load_preset
from irl_vla.perception.vovnet import SIZES
from irl_vla.types import InputError


class FourConvolutions(nn.Module):
    """The smallest backbone there can be."""

    channels = (4, 5, 6, 7)

    def __init__(self) -> None:
        super().__init__()
        widths = (3, *self.channels)
        self.convs = nn.ModuleList(
            nn.Conv2d(inside, outside, stride, stride)
            for inside, outside, stride in zip(widths, widths[1:], (4, 2, 2, 2), strict=False)
        )

    def forward(self, images: Tensor) -> list[Tensor]:
        maps = []
        for conv in self.convs:
            images = conv(images)
            maps.append(images)
        return maps


def test_every_vovnet_is_in_the_table() -> None:
    assert set(BACKBONES) == set(SIZES)


def test_an_unknown_backbone_is_refused_with_the_nearest_one() -> None:
    with pytest.raises(InputError, match=r"backbone '19-dv': .*Did you mean '19-dw'\?"):
        build_backbone("19-dv")


@pytest.mark.parametrize("stride", [8, 16])
def test_ones_own_backbone_carries_the_whole_perception(
    monkeypatch: pytest.MonkeyPatch, stride: int
) -> None:
    monkeypatch.setitem(BACKBONES, "four", FourConvolutions)
    preset = replace(load_preset("nano"), backbone="four", feature_stride=stride)
    camera = build(preset, seed=0).camera
    features = camera(torch.zeros(2, 3, preset.image.height, preset.image.width))
    assert tuple(features.shape) == (2, preset.feature_channels, *preset.feature_size)
    assert any(name.startswith("backbone.convs") for name in camera.state_dict())


def test_presets_are_read_without_torch() -> None:
    code = "import sys; from irl_vla.perception.preset import load_preset; load_preset('nano')"
    subprocess.run([sys.executable, "-c", f"{code}; assert 'torch' not in sys.modules"], check=True)
