"""The backbones that a preset may name: one entry in BACKBONES each.

Your own: a module with such a class, and `BACKBONES["my-net"] = MyNet` (docs/extending.md). Torch
is not imported before a network is built: car, desk and lab read the same presets.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Protocol

from irl_vla.config import named

if TYPE_CHECKING:
    from torch import Tensor


class Backbone(Protocol):
    """A torch module without a head. channels: of its four maps, at strides 4, 8, 16 and 32."""

    channels: tuple[int, int, int, int]

    def __call__(self, images: Tensor) -> list[Tensor]:
        """(N, 3, H, W) float32 normalised RGB, H and W multiples of 32 -> four maps, the finest
        first: (N, channels[i], H / stride, W / stride)."""
        ...


def _vovnet(name: str) -> Backbone:
    from irl_vla.perception.vovnet import VoVNet

    return VoVNet(name)


BACKBONES: dict[str, Callable[[], Backbone]] = {
    name: partial(_vovnet, name)
    for name in ("nano", "19-slim-dw", "19-slim-dw-dense-stem", "19-dw", "39", "57", "99")
}


def build_backbone(name: str) -> Backbone:
    """Initial weights from torch's random state. Raises InputError for an unknown name."""
    return named(BACKBONES, name, "backbone")()
