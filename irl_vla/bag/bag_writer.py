"""Our values -> a rosbag2 mcap that `ros2 bag info`, Foxglove, RViz and `open_bag` read.

The bag is written beside its place and moved there when it is closed, so that the final name never
holds half a bag. Whoever writes closes in a `with`; an interruption leaves a valid, shorter bag.
"""

from __future__ import annotations

import shutil
import signal
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from rosbags.interfaces import (
    Connection,
    Qos,
    QosDurability,
    QosHistory,
    QosLiveliness,
    QosReliability,
    QosTime,
)
from rosbags.rosbag2 import StoragePlugin, Writer, WriterError

from irl_vla.bag import drive_record
from irl_vla.bag.bag_files import Closing
from irl_vla.bag.drive_record import DriveRecord
from irl_vla.camera.camera import Camera
from irl_vla.camera.rig import Rig
from irl_vla.drafts import DraftFolder
from irl_vla.messages.geometry_messages import (
    BoxMarkers,
    LineMarkers,
    camera_info_message,
    detections_message,
    marker_array_message,
    odometry_message,
    path_message,
    transform_message,
)
from irl_vla.messages.messages import header, new, typestore
from irl_vla.messages.plan_messages import command_to_message, intent_to_message, plan_to_message
from irl_vla.types import (
    Boxes3D,
    CameraImage,
    Command,
    EgoMotion,
    InputError,
    Intent,
    Plan,
    Trajectory,
)

BASE_FRAME, WORLD_FRAME = "base_link", "map"
TF, TF_STATIC = "/tf", "/tf_static"
ODOMETRY, INTENT = "/localization/kinematic_state", "/navigation/intent"
COMMAND, PLAN, BOXES = "/irl_vla/command", "/irl_vla/plan", "/perception/boxes"
FOREVER = QosTime(9_223_372_036, 854_775_807)  # rmw's "infinite"
PNG_START = b"\x89PNG"


def image_topic(camera: str) -> str:
    """Where a camera's pictures are written."""
    return f"/sensing/{camera}/image/compressed"


def camera_info_topic(camera: str) -> str:
    """Where a camera's calibration is written."""
    return f"/sensing/{camera}/camera_info"


def _qos(depth: int, durability: QosDurability) -> Qos:
    return Qos(
        QosHistory.KEEP_LAST, depth, QosReliability.RELIABLE, durability, FOREVER, FOREVER,
        QosLiveliness.AUTOMATIC, FOREVER, False,
    )  # fmt: skip


LATCHED = _qos(1, QosDurability.TRANSIENT_LOCAL)
STREAMED = _qos(10, QosDurability.VOLATILE)


class BagWriter(Closing):
    """Writes one bag. path: a directory to make (with metadata.yaml), or, where it ends in .mcap,
    one file. Stamps are also the times of recording. Raises InputError where it cannot write."""

    def __init__(self, path: Path | str, *, overwrite: bool = False) -> None:
        self.path = Path(path)
        self._overwrite = overwrite
        if self.path.exists() and not overwrite:
            raise InputError(f"{self.path}: exists already; remove it or choose another name")
        self._connections: dict[str, Connection] = {}
        self._draft: DraftFolder | None = None
        with self._storage():
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._draft = DraftFolder(self.path.parent)
            folder = self._draft.path / self.path.name.removesuffix(".mcap")
            self._writer = Writer(folder, version=9, storage_plugin=StoragePlugin.MCAP)
            self._writer.open()

    def close(self) -> None:
        """Finish the bag and move it to its place. What was written so far is valid, also after an
        error elsewhere; may be called twice."""
        if self._draft is None:
            return
        with self._storage():
            self._writer.close()
            folder = self._writer.path
            single = self.path.name.endswith(".mcap")
            done = folder / f"{folder.name}.mcap" if single else folder
            if self._overwrite:
                _remove(self.path)
            done.rename(self.path)
        self._drop()

    def _drop(self) -> None:
        if self._draft is not None:
            self._draft.close()
            self._draft = None

    @contextmanager
    def _storage(self) -> Iterator[None]:
        """A full disk or a forbidden folder ends the bag; nothing is left under the final name."""
        # An interruption in the middle of a record would spoil it; it is heard right afterwards.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            yield
        except (OSError, WriterError) as error:
            writer = getattr(self, "_writer", None)
            if writer is not None:
                writer.abort()
            self._drop()
            reason = getattr(error, "strerror", None) or str(error)
            raise InputError(f"{self.path}: cannot be written: {reason}") from None
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)

    def write(self, topic: str, msgtype: str, message: Any, log_ns: int) -> None:
        """Any message of a known type; the topic is declared when it is first used."""
        if self._draft is None:
            raise InputError(f"{self.path}: is closed, nothing more can be written to it")
        data = typestore().serialize_cdr(message, msgtype)
        with self._storage():
            if topic not in self._connections:
                qos = LATCHED if topic in (TF_STATIC, drive_record.TOPIC) else STREAMED
                self._connections[topic] = self._writer.add_connection(
                    topic, msgtype, typestore=typestore(), offered_qos_profiles=[qos]
                )
            self._writer.write(self._connections[topic], log_ns, data)

    def write_image(self, image: CameraImage) -> None:
        """An encoded picture (JPEG or PNG) -> sensor_msgs/CompressedImage."""
        if image.encoded is None:
            raise ValueError(f"camera image '{image.camera}': only encoded pictures are written")
        kind = "png" if image.encoded.startswith(PNG_START) else "jpeg"
        message = new(
            "sensor_msgs/msg/CompressedImage",
            header=header(image.stamp_ns, image.camera), format=kind,
            data=np.frombuffer(image.encoded, np.uint8),
        )  # fmt: skip
        topic = image_topic(image.camera)
        self.write(topic, "sensor_msgs/msg/CompressedImage", message, image.stamp_ns)

    def write_camera_info(self, camera: Camera, stamp_ns: int) -> None:
        """Calibration of one camera -> sensor_msgs/CameraInfo; its frame has the camera's name."""
        message = camera_info_message(camera, stamp_ns, camera.name)
        topic = camera_info_topic(camera.name)
        self.write(topic, "sensor_msgs/msg/CameraInfo", message, stamp_ns)

    def write_rig(self, rig: Rig, stamp_ns: int) -> None:
        """Where every camera sits -> /tf_static, and its lens -> CameraInfo."""
        edges = [
            transform_message(BASE_FRAME, camera.name, camera.ego_from_cam, stamp_ns)
            for camera in rig.cameras
        ]
        message = new("tf2_msgs/msg/TFMessage", transforms=edges)
        self.write(TF_STATIC, "tf2_msgs/msg/TFMessage", message, stamp_ns)
        for camera in rig.cameras:
            self.write_camera_info(camera, stamp_ns)

    def write_drive_record(self, rig: Rig, seed: int, stamp_ns: int) -> None:
        """The rig and seed of a drive, to the last bit -> std_msgs/String."""
        message = new(drive_record.MSGTYPE, data=DriveRecord.of(rig, seed).text())
        self.write(drive_record.TOPIC, drive_record.MSGTYPE, message, stamp_ns)

    def write_motion(self, motion: EgoMotion) -> None:
        """Ego motion -> nav_msgs/Odometry and, where it is finite, /tf map -> base_link."""
        message = odometry_message(motion, WORLD_FRAME, BASE_FRAME)
        self.write(ODOMETRY, "nav_msgs/msg/Odometry", message, motion.stamp_ns)
        if np.all(np.isfinite(motion.world_from_ego)):
            edge = transform_message(
                WORLD_FRAME, BASE_FRAME, motion.world_from_ego, motion.stamp_ns
            )
            message = new("tf2_msgs/msg/TFMessage", transforms=[edge])
            self.write(TF, "tf2_msgs/msg/TFMessage", message, motion.stamp_ns)

    def write_intent(self, intent: Intent) -> None:
        """What navigation asks for -> irl_vla_msgs/Intent."""
        message = intent_to_message(intent, BASE_FRAME)
        self.write(INTENT, "irl_vla_msgs/msg/Intent", message, intent.stamp_ns)

    def write_command(self, command: Command) -> None:
        """What the language model advises -> irl_vla_msgs/DrivingCommand."""
        message = command_to_message(command, BASE_FRAME)
        self.write(COMMAND, "irl_vla_msgs/msg/DrivingCommand", message, command.stamp_ns)

    def write_plan(self, plan: Plan, latencies_ms: Mapping[str, float] | None = None) -> None:
        """A plan with everything that made it -> irl_vla_msgs/Plan."""
        message = plan_to_message(plan, BASE_FRAME, latencies_ms)
        self.write(PLAN, "irl_vla_msgs/msg/Plan", message, plan.anchor_stamp_ns)

    def write_path(self, topic: str, trajectory: Trajectory, stamp_ns: int) -> None:
        """A trajectory in the ego frame at `stamp_ns` -> nav_msgs/Path."""
        message = path_message(trajectory, stamp_ns, BASE_FRAME)
        self.write(topic, "nav_msgs/msg/Path", message, stamp_ns)

    def write_boxes(self, boxes: Boxes3D, stamp_ns: int) -> None:
        """Known things in the ego frame -> vision_msgs/Detection3DArray."""
        message = detections_message(boxes, stamp_ns, BASE_FRAME)
        self.write(BOXES, "vision_msgs/msg/Detection3DArray", message, stamp_ns)

    def write_markers(
        self, topic: str, markers: Sequence[BoxMarkers | LineMarkers], stamp_ns: int
    ) -> None:
        """Things to draw in the ego frame -> visualization_msgs/MarkerArray."""
        message = marker_array_message(list(markers), stamp_ns, BASE_FRAME)
        self.write(topic, "visualization_msgs/msg/MarkerArray", message, stamp_ns)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
