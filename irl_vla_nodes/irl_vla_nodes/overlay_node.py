"""overlay_node: trajectory, candidates, boxes, map and reason painted into the cameras' pictures.

in:  image topics, /irl_vla/frames, /irl_vla/plan, /irl_vla/refusal, /irl_vla/detections,
     /irl_vla/map
out: ~/overlay/<camera> sensor_msgs/Image and ~/overlay/<camera>/compressed, on demand: pictures are
     heard only while somebody looks. For eyes; `drive.launch.py overlay:=true` starts it.
"""

from __future__ import annotations

from collections import deque
from pathlib import Path
from typing import Any

import numpy as np

from irl_vla.camera.preprocess import decode
from irl_vla.camera.rig import Rig
from irl_vla.messages.calibration import Calibration
from irl_vla.messages.events import EventReader, boxes_from_message
from irl_vla.messages.motion_source import MotionSource
from irl_vla.messages.plan_messages import plan_from_message
from irl_vla.messages.records import Record, StoredTopic
from irl_vla.messages.tf_tree import TransformTree
from irl_vla.messages.topics import CameraTopics, ChosenTopics
from irl_vla.types import F64, Boxes3D, CameraImage, Plan
from irl_vla_nodes.car_node import CarNode, run
from irl_vla_nodes.convert import (
    FramesHandle,
    frames_from_message,
    from_cdr,
    refusal_from_message,
    rig_from_notes,
)  # fmt: skip
from irl_vla_nodes.intake import image_type
from irl_vla_nodes.overlay import (
    OverlayScene,
    compressed_message,
    image_message,
    map_lines,
    painted,
    uses_cv_bridge,
)  # fmt: skip
from irl_vla_nodes.params import OverlayParams
from irl_vla_nodes.payload import unpack
from irl_vla_nodes.ring import PayloadExpired, RingReader
from irl_vla_nodes.ros_io import HANDLES, SHOWN, ManagedPublisher, RawSubscription, qos
from irl_vla_nodes.topics import DETECTIONS, FRAMES, MAP, PLAN, REFUSAL

LOOK_S = 0.5  # how soon it is noticed that somebody looks
KEPT = 16  # pictures of a camera, and sets: 0.5 s at 30 Hz
PICTURES = qos(KEPT, reliable=False)


class OverlayNode(CarNode[OverlayParams]):
    """See the module."""

    def __init__(self) -> None:
        super().__init__("overlay_node", OverlayParams)

    def set_up(self, params: OverlayParams) -> None:
        """See CarNode."""
        self._params = params
        self._topics = dict(zip(params.image_topics, params.cameras, strict=True))
        chosen = ChosenTopics(
            cameras={name: CameraTopics(topic, None) for topic, name in self._topics.items()},
            odometry=None, tf=(), tf_static=(), intent=None, boxes=None,
            base_frame=params.base_frame, why={},
        )  # fmt: skip
        stored = {topic: StoredTopic(topic, image_type(topic)) for topic in self._topics}
        calibration = Calibration(TransformTree(), params.base_frame)
        self._reader = EventReader(stored, chosen, calibration, MotionSource())
        self._pictures = {name: deque[CameraImage](maxlen=KEPT) for name in params.cameras}
        self._sets: deque[FramesHandle] = deque(maxlen=KEPT)
        self._rig: Rig | None = None
        self._boxes = Boxes3D.empty()
        self._lines: tuple[F64, ...] = ()
        self._ring = RingReader(Path(params.ring_folder))
        self._out = {name: self._outlets(name) for name in params.cameras}
        self._inlets: list[RawSubscription] = []
        self.every(LOOK_S, self._look)
        how = "cv_bridge" if uses_cv_bridge() else "our own encoder: cv_bridge does not work here"
        self.get_logger().info(f"pictures are made by {how}")

    def _outlets(self, name: str) -> tuple[ManagedPublisher, ManagedPublisher]:
        topic = f"~/overlay/{name}"
        return (
            ManagedPublisher(self, "sensor_msgs/msg/Image", topic, SHOWN),
            ManagedPublisher(self, "sensor_msgs/msg/CompressedImage", f"{topic}/compressed", SHOWN),
        )

    def _look(self) -> None:
        """Hear pictures while somebody looks, and not a moment longer."""
        wanted = self.active and any(out.is_wanted for pair in self._out.values() for out in pair)
        if wanted and not self._inlets:
            self._inlets = self._opened()
        elif not wanted and self._inlets:
            for inlet in self._inlets:
                inlet.close(self)
            self._inlets = []

    def _opened(self) -> list[RawSubscription]:
        ours = [
            (FRAMES, "irl_vla_msgs/msg/FrameSet", HANDLES, self._on_frames),
            (PLAN, "irl_vla_msgs/msg/Plan", HANDLES, self._on_plan),
            (REFUSAL, "irl_vla_msgs/msg/Refusal", HANDLES, self._on_refusal),
            (DETECTIONS, "vision_msgs/msg/Detection3DArray", SHOWN, self._on_boxes),
            (MAP, "visualization_msgs/msg/MarkerArray", SHOWN, self._on_map),
        ]
        inlets = [RawSubscription(self, kind, t, profile, take) for t, kind, profile, take in ours]
        pictures = [
            RawSubscription(self, image_type(topic), topic, PICTURES, self._taker(topic))
            for topic in self._topics
        ]
        return [*inlets, *pictures]

    def _taker(self, topic: str) -> Any:
        def take(data: bytes) -> None:
            for event in self._reader.read(Record(self.now_ns(), topic, data)):
                if isinstance(event, CameraImage):
                    self._pictures[event.camera].append(event)

        return take

    def _on_frames(self, data: bytes) -> None:
        value = frames_from_message(from_cdr(data, "irl_vla_msgs/msg/FrameSet"))
        self._sets.append(value)
        if value.rig and (self._rig is None or self._rig.fingerprint != value.rig):
            try:
                self._rig = rig_from_notes(unpack(self._ring.read(value.handle))[1])
            except PayloadExpired as error:
                self.dropped("calibration", str(error))

    def _on_boxes(self, data: bytes) -> None:
        message = from_cdr(data, "vision_msgs/msg/Detection3DArray")
        self._boxes = boxes_from_message(message, np.eye(4))

    def _on_map(self, data: bytes) -> None:
        self._lines = map_lines(from_cdr(data, "visualization_msgs/msg/MarkerArray"))

    def _on_plan(self, data: bytes) -> None:
        plan = plan_from_message(from_cdr(data, "irl_vla_msgs/msg/Plan"))
        detail = f": {plan.detail}" if plan.detail else ""
        self._show(plan.anchor_stamp_ns, plan, f"{plan.reason.value}{detail}")

    def _on_refusal(self, data: bytes) -> None:
        refusal = refusal_from_message(from_cdr(data, "irl_vla_msgs/msg/Refusal"))
        why = f"no plan: {refusal.reason.value}: {refusal.detail}"
        self._show(refusal.anchor_stamp_ns, None, why)

    def _show(self, anchor_ns: int, plan: Plan | None, reason: str) -> None:
        """Paint into the very pictures that the outcome was made from."""
        frames = next((f for f in self._sets if f.anchor_stamp_ns == anchor_ns), None)
        if frames is None or self._rig is None:
            return
        scene = OverlayScene(plan, reason, self._boxes, self._lines)
        for name, stamp in frames.stamps_ns.items():
            image = next((i for i in self._pictures[name] if i.stamp_ns == stamp), None)
            whole, small = self._out[name]
            if image is None or not (whole.is_wanted or small.is_wanted):
                continue
            picture = painted(decode(image), self._rig.camera(name), scene)
            if whole.is_wanted:
                whole.publish(image_message(picture, stamp, name))
            if small.is_wanted:
                small.publish(compressed_message(picture, stamp, name, self._params.quality))


def main() -> None:
    """`ros2 run irl_vla_nodes overlay_node`."""
    run(OverlayNode)
