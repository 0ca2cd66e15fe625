"""perception_node: frame sets in, scene tokens in the ring.

in:  /irl_vla/frames, odometry or tf, /navigation/intent
out: /irl_vla/tokens irl_vla_msgs/TokensHandle; for eyes: /irl_vla/detections, /irl_vla/map,
     /irl_vla/segmentation
"""

from __future__ import annotations

from pathlib import Path
from time import perf_counter

import numpy as np

from irl_vla.camera.preprocess import CalibratedImages
from irl_vla.camera.rig import Rig
from irl_vla.drive.assemble import policy_stack_from_bundle
from irl_vla.drive.core import CoreConfig, DrivingCore
from irl_vla.drive.history import LATE_NS
from irl_vla.drive.perception_model import NetworkPerception
from irl_vla.drive.perception_stage import nothing_to_see
from irl_vla.drive.stack import PolicyStack
from irl_vla.engine.bundle import load_bundle
from irl_vla.messages.events import Event
from irl_vla.messages.geometry_messages import (
    Colour,
    LineMarkers,
    detections_message,
    marker_array_message,
)
from irl_vla.perception.tokens import bev_io, token_arrays
from irl_vla.types import (
    EgoMotion,
    EgoStatus,
    FrameSet,
    GraphRecord,
    Intent,
    Refusal,
    RefusalReason,
    SceneTokens,
)  # fmt: skip
from irl_vla_nodes.anchor_queue import AnchorQueue
from irl_vla_nodes.car_node import CarNode, run
from irl_vla_nodes.convert import (
    NOWHERE,
    FramesHandle,
    TokensHandle,
    boxes_of,
    frames_from_message,
    from_cdr,
    images_from_arrays,
    map_lines_of,
    rig_from_notes,
    segmentation_to_message,
    tokens_to_arrays,
    tokens_to_message,
)  # fmt: skip
from irl_vla_nodes.params import PerceptionParams, folder_of
from irl_vla_nodes.payload import pack, packed_size, unpack
from irl_vla_nodes.ring import PayloadExpired, RingReader, RingWriter
from irl_vla_nodes.ros_io import HANDLES, SHOWN, EgoInbox, ManagedPublisher, RawSubscription, drain
from irl_vla_nodes.topics import DETECTIONS, FRAMES, MAP, SEGMENTATION, TOKENS

RING = "tokens"
NOTES_BYTES = 4096  # beside the arrays of a slot
MAP_COLOUR = Colour(0.9, 0.6, 0.0, 0.9)


def tokens_bytes(stack: PolicyStack) -> int:
    """Of a slot of the ring: as much as the tokens of this bundle take."""
    perception = stack.perception
    if isinstance(perception, NetworkPerception):
        outputs = bev_io(perception.preset, stack.classes).outputs
        arrays = {o.name: np.zeros([int(n) for n in o.shape], o.dtype) for o in outputs}
    else:
        arrays = token_arrays(SceneTokens.blind(0, 0))
    return packed_size(arrays, NOTES_BYTES)


class PerceptionNode(CarNode[PerceptionParams]):
    """See the module."""

    outputs = (TOKENS,)

    def __init__(self) -> None:
        super().__init__("perception_node", PerceptionParams)
        self._ring: RingWriter | None = None

    def set_up(self, params: PerceptionParams) -> None:
        """See CarNode."""
        bundle = load_bundle(folder_of(params.bundle, "bundle"))
        stack = policy_stack_from_bundle(bundle, params.threads, graphs=("camera", "bev"))
        self._params = params
        self.core = DrivingCore(stack, None, CoreConfig(seed=params.seed))
        self._rig: Rig | None = None
        self._queue = AnchorQueue(
            lambda: drain([*self._inbox.inlets, self._frames]), self._is_early, self._step,
            self.alarm, params.latest_only,
        )  # fmt: skip
        self._frames_ring = RingReader(Path(params.ring_folder))
        size = tokens_bytes(stack)
        self._ring = RingWriter(Path(params.ring_folder), RING, params.ring_slots, size)
        self._out = ManagedPublisher(self, "irl_vla_msgs/msg/TokensHandle", TOKENS, HANDLES)
        self._boxes = ManagedPublisher(self, "vision_msgs/msg/Detection3DArray", DETECTIONS, SHOWN)
        self._map = ManagedPublisher(self, "visualization_msgs/msg/MarkerArray", MAP, SHOWN)
        self._seg = ManagedPublisher(self, "nav_msgs/msg/OccupancyGrid", SEGMENTATION, SHOWN)
        self._inbox = EgoInbox(self, params, self._on_event, self.core.history, params.intent_topic)
        self._frames = RawSubscription(
            self, "irl_vla_msgs/msg/FrameSet", FRAMES, HANDLES, self._on_frames
        )

    def retune(self, params: PerceptionParams) -> None:
        """See CarNode."""
        self._params = params
        self._queue.latest_only = params.latest_only

    def wake(self) -> None:
        """See CarNode."""
        self._queue.clear()

    def tear_down(self) -> None:
        """See CarNode."""
        if self._ring is not None:
            self._ring.close()
            self._ring = None

    def _on_event(self, event: Event) -> None:
        if isinstance(event, EgoMotion):
            self._motion(event)
        elif isinstance(event, Intent):
            self.core.add_intent(event)
        self._queue.go()

    def _motion(self, motion: EgoMotion) -> None:
        wrong = self.core.add_motion(motion)
        if wrong:
            self.dropped("ego motion", wrong)

    def _on_frames(self, data: bytes) -> None:
        value = frames_from_message(from_cdr(data, "irl_vla_msgs/msg/FrameSet"))
        if self.active:
            self._queue.add(value)

    def _is_early(self, value: FramesHandle) -> bool:
        """Whether ego motion may still come that this anchor needs (as at the desk)."""
        stamp = value.anchor_stamp_ns
        in_time = 0 <= self.now_ns() - stamp <= LATE_NS
        return in_time and self.core.history.is_waiting(stamp)

    def _step(self, value: FramesHandle) -> None:
        core, stamp, start = self.core, value.anchor_stamp_ns, perf_counter()
        until = core.history.newest(stamp)
        ego = core.history.status(stamp, until)
        intent = core.intent_at(stamp, until)
        seen, missing = self._seen(value, ego, intent)
        took = {**value.latencies_ms, "perceive": (perf_counter() - start) * 1e3}
        took |= core.stack.pop_latency_ms()
        handle, refusal, memory = NOWHERE, None, None
        graphs: tuple[GraphRecord, ...] = ()
        if isinstance(seen, Refusal):
            refusal = (seen.reason, seen.detail)
        elif self._ring is not None:
            handle = self._ring.write(pack(tokens_to_arrays(seen), {}))
            memory, graphs = seen.memory_stamp_ns, seen.computed_by
        self._out.publish(
            tokens_to_message(
                TokensHandle(
                    stamp, handle, refusal, core.stack.bundle_id, core.epoch, memory,
                    tuple(missing), ego, intent, took, graphs,
                ),
                self._params.base_frame,
            )
        )  # fmt: skip
        if isinstance(seen, SceneTokens):
            self._show(seen)

    def _seen(
        self, value: FramesHandle, ego: EgoStatus, intent: Intent
    ) -> tuple[SceneTokens | Refusal, tuple[str, ...]]:
        stamp = value.anchor_stamp_ns
        if not value.rig:
            reasons = "; ".join(f"{name}: {why}" for name, why in sorted(value.missing.items()))
            return Refusal(stamp, RefusalReason.NO_CALIBRATION, reasons), tuple(value.missing)
        missing = tuple(value.missing)
        if not value.stamps_ns:
            return nothing_to_see(FrameSet(stamp, {}, value.missing)), missing
        try:
            images = self._pictures(value)
        except PayloadExpired as error:
            return Refusal(stamp, RefusalReason.STALE_INPUT, str(error)), missing
        memory = self.core.memory_for(stamp)
        return self.core.perceive_calibrated(images, ego, intent, memory), missing

    def _pictures(self, value: FramesHandle) -> CalibratedImages:
        """The prepared pictures, as they were copied out of the ring. Raises Gone."""
        arrays, notes = unpack(self._frames_ring.read(value.handle))
        if self._rig is None or self._rig.fingerprint != value.rig:
            self._rig = rig_from_notes(notes)
            self.core.recalibrate(self._rig)
        spec = self.core.stack.perception.image
        return images_from_arrays(arrays, self._rig, spec, value.stamps_ns)

    def _show(self, tokens: SceneTokens) -> None:
        stamp, frame = tokens.anchor_stamp_ns, self._params.base_frame
        if self._boxes.is_wanted:
            found = boxes_of(tokens, self.core.stack.classes)
            self._boxes.publish(detections_message(found, stamp, frame))
        if self._map.is_wanted:
            lines = LineMarkers("map", map_lines_of(tokens), MAP_COLOUR, 0.15)
            self._map.publish(marker_array_message([lines], stamp, frame))
        area = self.core.stack.perception.area
        if area is not None and self._seg.is_wanted and np.asarray(tokens.seg).size:
            classes = self.core.stack.classes
            self._seg.publish(segmentation_to_message(tokens, area, classes, frame))


def main() -> None:
    """`ros2 run irl_vla_nodes perception_node`."""
    run(PerceptionNode)
