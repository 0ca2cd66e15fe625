"""Perception models: what turns prepared pictures into scene tokens, by networks or not at all.

May import: types, camera, perception, engine.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from irl_vla.camera.preprocess import CalibratedImages, ImageSpec
from irl_vla.camera.projection import BevGrid, GridCache
from irl_vla.engine.runner import Runner
from irl_vla.perception.classes import SceneClasses
from irl_vla.perception.preset import Preset
from irl_vla.perception.tokens import (
    BevMemory,
    encode_ego,
    memory_inputs,
    scene_tokens,
    to_slots,
    token_arrays,
)
from irl_vla.types import EgoStatus, Intent, SceneTokens

CAMERA_SLOTS = 8  # places for cameras in the `bev` graph


@dataclass(frozen=True)
class PerceptionContext:
    """Everything besides pictures that perception may know at an anchor.

    memory_stamp_ns: anchor of `memory`; both None where there is none
    """

    stamp_ns: int
    epoch: int
    ego: EgoStatus
    intent: Intent
    memory: BevMemory | None = None
    memory_stamp_ns: int | None = None


class PerceptionModel(Protocol):
    """Pictures in, tokens out; pure."""

    @property
    def image(self) -> ImageSpec:
        """The size and normalisation of pictures that it wants."""
        ...

    @property
    def area(self) -> BevGrid | None:
        """The ground that it observes, or None where it observes nothing."""
        ...

    def perceive(self, images: CalibratedImages, context: PerceptionContext) -> SceneTokens:
        """Tokens of one anchor."""
        ...


@dataclass(frozen=True)
class NullPerception:
    """For a policy without perception: pictures are decoded, and not understood."""

    image: ImageSpec = ImageSpec(width=352, height=128)  # noqa: RUF009 - frozen
    area: BevGrid | None = None

    def perceive(self, images: CalibratedImages, context: PerceptionContext) -> SceneTokens:
        """Tokens that hold nothing."""
        return SceneTokens.blind(context.stamp_ns, context.epoch)


class NetworkPerception:
    """The `camera` and `bev` graphs of a bundle. A missing camera is a mask and is not encoded."""

    def __init__(self, preset: Preset, runner: Runner) -> None:
        self.preset, self.image, self.area = preset, preset.image, preset.bev
        self._runner = runner
        self._grids = GridCache(preset.bev, pad_to=CAMERA_SLOTS)

    def perceive(self, images: CalibratedImages, context: PerceptionContext) -> SceneTokens:
        """See PerceptionModel. The sampling grid is computed once per calibration."""
        grid = self._grids.lookup(images.cameras)
        encoded = self._runner.run("camera", {"images": images.pixels})
        present = np.zeros(CAMERA_SLOTS, np.bool_)
        present[: len(images.present)] = images.present
        outputs = self._runner.run(
            "bev",
            {
                "features": to_slots(encoded["features"], images.present),
                "sampling_grid": grid.grid,
                "visible": grid.visible,
                "present": present,
                "ego_vector": encode_ego(context.ego, context.intent),
                **memory_inputs(self.preset, context.memory),
            },
        )
        records = tuple(self._runner.record(graph) for graph in ("camera", "bev"))
        return scene_tokens(
            outputs, context.stamp_ns, context.epoch, context.memory_stamp_ns, records
        )  # fmt: skip


def broken_tensor(tokens: SceneTokens, classes: SceneClasses) -> str | None:
    """What is wrong with the first tensor that holds no numbers, or classes that nobody knows."""
    for name, values in token_arrays(tokens).items():
        if not np.isfinite(values).all():
            return f"'{name}' holds what is not a number"
    for name, known in (("agent_class", classes.agents), ("map_class", classes.map)):
        kinds = getattr(tokens, name)
        if ((kinds < 0) | (kinds >= len(known))).any():
            return f"'{name}' holds a class beyond the {len(known)} of the bundle"
    return None
