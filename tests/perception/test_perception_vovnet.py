"""VoVNetV2: the published family, member by member."""

from __future__ import annotations

import pytest
import torch

from irl_vla.perception.vovnet import SIZES, EffectiveSqueezeExcitation, OneShotAggregation, VoVNet

HEAD = 1024 * 1000 + 1000  # a classifier of 1000 classes behind the last stage
SLIM_HEAD = 512 * 1000 + 1000


@pytest.mark.parametrize(
    ("name", "millions"),
    [
        ("99", 69.5),  # without classifier head
        ("19-dw", 6.54 - HEAD / 1e6),  # timm's card of ese_vovnet19b_dw, 1000 classes
        ("19-slim-dw", 1.90 - SLIM_HEAD / 1e6),  # timm's ese_vovnet19b_slim_dw
        # timm has eSE only in the last block of a stage: 39 lacks one of 768 and one of 1024.
        ("39", 24.57 - HEAD / 1e6 + (768 * 769 + 1024 * 1025) / 1e6),
        ("57", 38.61 - HEAD / 1e6 + (3 * 768 * 769 + 2 * 1024 * 1025) / 1e6),
    ],
)
def test_parameters_are_those_of_the_published_networks(name: str, millions: float) -> None:
    with torch.device("meta"):
        count = sum(weight.numel() for weight in VoVNet(name).parameters())
    assert count / 1e6 == pytest.approx(millions, abs=0.03)


@pytest.mark.parametrize("name", list(SIZES))
def test_every_block_has_its_own_squeeze_and_excitation(name: str) -> None:
    with torch.device("meta"):
        parts = list(VoVNet(name).modules())
    excitations = sum(isinstance(part, EffectiveSqueezeExcitation) for part in parts)
    assert excitations == sum(SIZES[name].blocks)


def test_vovnet_99_has_sixteen_blocks() -> None:
    assert sum(SIZES["99"].blocks) == 16


@pytest.mark.parametrize("name", list(SIZES))
@pytest.mark.parametrize("size", [(256, 704), (128, 352), (32, 64)])
def test_maps_stand_at_strides_4_8_16_32(name: str, size: tuple[int, int]) -> None:
    with torch.device("meta"):
        maps = VoVNet(name)(torch.empty(2, 3, *size))
    assert [tuple(one.shape) for one in maps] == [
        (2, channels, size[0] // stride, size[1] // stride)
        for channels, stride in zip(SIZES[name].out, (4, 8, 16, 32), strict=True)
    ]


def test_excitation_scales_channels_between_nothing_and_all() -> None:
    excite = EffectiveSqueezeExcitation(2)
    torch.nn.init.zeros_(excite.weigh.weight)
    excite.weigh.bias.data = torch.tensor([-3.0, 3.0])  # hard sigmoid: 0 below -3, 1 above 3
    out = excite(torch.ones(1, 2, 4, 4))
    assert out[0, :, 0, 0].tolist() == [0.0, 1.0]


def test_blocks_after_the_first_of_a_stage_add_their_input() -> None:
    for identity in (True, False):
        block = OneShotAggregation(SIZES["nano"], stage=1, inside=16, identity=identity).eval()
        torch.nn.init.zeros_(block.excite.weigh.weight)
        torch.nn.init.constant_(block.excite.weigh.bias, -3.0)  # the block's own part is 0
        features = torch.rand(1, 16, 4, 4)
        assert torch.equal(block(features), features * float(identity))


def test_vovnet_99_adds_in_all_but_the_first_block_of_each_stage() -> None:
    with torch.device("meta"):
        blocks = [part for part in VoVNet("99").modules() if isinstance(part, OneShotAggregation)]
    assert [block.identity for block in blocks] == [
        index > 0 for count in (1, 3, 9, 3) for index in range(count)
    ]
