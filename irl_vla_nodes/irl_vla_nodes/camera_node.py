"""camera_node: pictures of N cameras in, prepared once, as frame sets in the ring.

in:  image and CameraInfo topics, /tf_static      out: /irl_vla/frames irl_vla_msgs/FrameSet
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from time import perf_counter

import numpy as np

from irl_vla.camera.preprocess import ImageSpec
from irl_vla.camera.rig import MAX_CAMERAS, load_rig
from irl_vla.drive.perception_model import NullPerception
from irl_vla.engine.bundle import load_bundle
from irl_vla.types import InputError
from irl_vla_nodes.car_node import CarNode, run
from irl_vla_nodes.convert import (
    NOWHERE,
    FramesHandle,
    frames_to_message,
    images_to_arrays,
    rig_to_notes,
)
from irl_vla_nodes.intake import ArrivedFrameSet, Intake
from irl_vla_nodes.params import CameraParams, folder_of
from irl_vla_nodes.payload import pack, packed_size
from irl_vla_nodes.ring import RingWriter
from irl_vla_nodes.ros_io import HANDLES, LATCHED, ManagedPublisher, RawSubscription, drain, qos
from irl_vla_nodes.topics import FRAMES

RING = "frames"
RIG_BYTES = 64 * 1024  # of a rig as text
DEPTH = 10  # pictures of one camera that may wait: 0.33 s at 30 Hz
LOOK_S = 0.02  # while a frame set is open: how soon its deadline is noticed
GRACE_NS = 50_000_000  # on the way from the camera's clock to this node


def image_spec(bundle: str) -> ImageSpec:
    """The size of pictures that a bundle wants. Raises InputError."""
    loaded = load_bundle(folder_of(bundle, "bundle"))
    if loaded.manifest.network is None:
        return NullPerception().image
    return loaded.network.preset.image


class CameraNode(CarNode[CameraParams]):
    """See the module."""

    outputs = (FRAMES,)

    def __init__(self) -> None:
        super().__init__("camera_node", CameraParams)
        self._ring: RingWriter | None = None

    def set_up(self, params: CameraParams) -> None:
        """See CarNode."""
        spec = image_spec(params.bundle)
        rig = load_rig(params.rig) if params.rig else None
        if rig is not None and rig.names != params.cameras:
            raise InputError(
                f"{params.rig}: has cameras {', '.join(rig.names)}; parameter 'cameras' says "
                f"{', '.join(params.cameras)}"
            )
        self._params = params
        self._intake = Intake(params, spec, rig)
        most = np.zeros((min(len(params.cameras), MAX_CAMERAS), 3, spec.height, spec.width), "f4")
        far = spec.tele
        tele = np.zeros((3, far.height, far.width) if far is not None else 0, "f4")
        size = packed_size({"pixels": most, "tele": tele}, RIG_BYTES)
        self._ring = RingWriter(Path(params.ring_folder), RING, params.ring_slots, size)
        self._out = ManagedPublisher(self, "irl_vla_msgs/msg/FrameSet", FRAMES, HANDLES)
        self._inlets = [self._inlet(topic, kind) for topic, kind in self._intake.kinds.items()]
        self._deadline = self.alarm(self._look)

    def retune(self, params: CameraParams) -> None:
        """See CarNode."""
        self._intake.frozen_after = params.frozen_after

    def forget(self) -> None:
        """See CarNode."""
        self._intake.forget()

    def wake(self) -> None:
        """See CarNode."""
        self._intake.forget()

    def tear_down(self) -> None:
        """See CarNode."""
        if self._ring is not None:
            self._ring.close()
            self._ring = None

    def _inlet(self, topic: str, kind: str) -> RawSubscription:
        profile = qos(DEPTH, reliable=self._params.reliable)
        if topic == self._params.tf_static_topic:
            profile = LATCHED
        return RawSubscription(self, kind, topic, profile, self._taker(topic))

    def _taker(self, topic: str) -> Callable[[bytes], None]:
        def take(data: bytes) -> None:
            if not self.active and self._intake.is_picture(topic):
                return  # but latched messages come once: where cameras are is always taken
            start = perf_counter()
            for arrived in self._intake.take(topic, data, self.now_ns()):
                self._publish(arrived, start)
            self._say()
            self._wait()

        return take

    def _wait(self) -> None:
        if self._intake.is_waiting and not self._deadline.is_set:
            self._deadline.ring_in(LOOK_S)

    def _look(self) -> None:
        if self.active:
            drain(self._inlets)  # what waits here is not late
            for arrived in self._intake.advance(self.now_ns() - GRACE_NS):
                self._publish(arrived, perf_counter())
            self._wait()

    def _publish(self, arrived: ArrivedFrameSet, start: float) -> None:
        frames, rig, images = arrived.frames, arrived.rig, arrived.images
        handle, fingerprint = NOWHERE, ""
        if self._ring is not None and rig is not None and images is not None:
            handle = self._ring.write(pack(images_to_arrays(images), rig_to_notes(rig)))
            fingerprint = rig.fingerprint
        order = self._params.cameras
        stamps = {n: frames.images[n].stamp_ns for n in order if n in frames.images}
        took = {"decode and ring": (perf_counter() - start) * 1e3}
        value = FramesHandle(
            frames.anchor_stamp_ns, handle, fingerprint, stamps, frames.missing, took
        )
        self._out.publish(frames_to_message(value, self._params.base_frame))

    def _say(self) -> None:
        while self._intake.notices:
            self.get_logger().warning(self._intake.notices.popleft())
        while self._intake.drops:
            self.dropped(*self._intake.drops.popleft())
        for event in self._intake.sync.take_events():
            self.get_logger().warning(f"camera '{event.camera}': {event.text}")


def main() -> None:
    """`ros2 run irl_vla_nodes camera_node`."""
    run(CameraNode)
