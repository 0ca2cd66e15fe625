"""Finished pixels on their way from the cameras to the network: how often they are copied."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from irl_vla_nodes.payload import pack, packed_size, unpack
from irl_vla_nodes.ring import RingReader, RingWriter

from irl_vla.camera.preprocess import (
    CalibratedImages,
    ImageSpec,
    fitted_cameras,
    prepared,
    preprocess,
)
from irl_vla.camera.rig import load_rig
from irl_vla.drive.core import CoreConfig, DrivingCore
from irl_vla.drive.perception_model import PerceptionContext
from irl_vla.drive.stack import PolicyStack
from irl_vla.planner.rule import RuleConfig, RulePolicy
from irl_vla.resources import resource
from irl_vla.types import CameraImage, FrameSet, Intent, SceneTokens

RIG = load_rig(resource("calibration/rigs/tiny3.yaml"))
SPEC = ImageSpec(width=64, height=32)


@dataclass
class Handed:
    """Perception that remembers the pixels that it is handed."""

    image: ImageSpec = SPEC
    area: None = None
    pixels: list[Any] = field(default_factory=list)

    def perceive(self, images: CalibratedImages, moment: PerceptionContext) -> SceneTokens:
        self.pixels.append(images.pixels)
        return SceneTokens.blind(moment.stamp_ns, moment.epoch)


def pictures(missing: str) -> FrameSet:
    rng, images = np.random.default_rng(0), {}
    for camera in RIG.cameras:
        pixels = rng.integers(0, 255, (camera.height, camera.width, 3)).astype(np.uint8)
        images[camera.name] = prepared(CameraImage(camera.name, 0, pixels=pixels), RIG, SPEC)
    del images[missing]
    return FrameSet(0, images, {missing: "late"})


def test_finished_pixels_are_copied_at_most_three_times_between_camera_and_network(
    tmp_path: Path,
) -> None:
    """Into one array, into the ring, out of the ring; nowhere else."""
    frames = pictures(missing="front_left")
    images = preprocess(frames, RIG, SPEC)  # first copy: pictures side by side
    parts = pack({"pixels": images.pixels}, {})
    assert any(np.shares_memory(np.asarray(part), images.pixels) for part in parts)
    writer = RingWriter(tmp_path, "frames", 2, packed_size({"pixels": images.pixels}, 100))
    payload = RingReader(tmp_path).read(writer.write(parts))  # second and third
    arrays, _ = unpack(payload)
    writer.close()
    perception = Handed()
    core = DrivingCore(PolicyStack(RulePolicy(RuleConfig()), perception, "x"), RIG, CoreConfig())
    present = np.array([name in frames.images for name in RIG.names])
    received = CalibratedImages(fitted_cameras(RIG, SPEC), arrays["pixels"], present)
    core.perceive_calibrated(received, core.history.status(0, 0), Intent(), None)
    assert np.shares_memory(perception.pixels[0], np.asarray(payload))
    np.testing.assert_array_equal(perception.pixels[0], images.pixels)
    assert len(perception.pixels[0]) == len(RIG.cameras) - 1, (
        "a missing camera is not carried along"
    )
