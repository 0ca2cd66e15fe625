"""What a recorded drive says of itself beside its pictures: the seed of its planner, and the very
rig that the driving core had.

CameraInfo and tf hold a rig only nearly: a quaternion rounds a rotation, and neither says the order
of the cameras, their time offsets or the vehicle. A network hears the last bit. So the recording
carries them as numbers that come back as they were, on one latched topic; CameraInfo and tf are
there for everybody else, and must agree.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from irl_vla.bag.bag_files import open_files
from irl_vla.bag.file_sections import merge
from irl_vla.camera.camera import Camera
from irl_vla.camera.rig import Rig
from irl_vla.config import from_json
from irl_vla.foreign import parse_json
from irl_vla.messages.messages import DECODE_DAMAGE, Decoder
from irl_vla.types import InputError
from irl_vla.vehicle import Limits, Vehicle

TOPIC, MSGTYPE = "/irl_vla/drive", "std_msgs/msg/String"
AGREES = 1e-6  # how far CameraInfo and tf may be from the rig: what quaternions round, and more
LONGEST = 2**20  # characters of a record


@dataclass(frozen=True, kw_only=True)
class RecordedCamera:
    """A camera in numbers, row by row; see `Camera`."""

    name: str
    width: int
    height: int
    model: str
    intrinsics: tuple[float, ...]
    distortion: tuple[float, ...]
    ego_from_cam: tuple[float, ...]
    offset_ns: int

    @staticmethod
    def of(camera: Camera) -> RecordedCamera:
        """Every number of a camera."""
        return RecordedCamera(
            name=camera.name, width=camera.width, height=camera.height, model=str(camera.model),
            intrinsics=_flat(camera.intrinsics), distortion=_flat(camera.distortion),
            ego_from_cam=_flat(camera.ego_from_cam), offset_ns=camera.offset_ns,
        )  # fmt: skip

    def camera(self) -> Camera:
        """Undoes `of`, bit for bit. Raises InputError."""
        return Camera(
            self.name, self.width, self.height, self.model, _square(self.intrinsics, 3),
            np.array(self.distortion), _square(self.ego_from_cam, 4), self.offset_ns,
        )  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class DriveRecord:
    """seed: of the planner's noise; rig: its name, cameras in order, and the vehicle."""

    seed: int
    rig_name: str
    cameras: tuple[RecordedCamera, ...]
    width: float
    front_length: float
    rear_length: float
    wheel_base: float
    limits: Limits

    @staticmethod
    def of(rig: Rig, seed: int) -> DriveRecord:
        """The record of a drive with this rig."""
        car = rig.vehicle
        return DriveRecord(
            seed=seed, rig_name=rig.name, cameras=tuple(map(RecordedCamera.of, rig.cameras)),
            width=car.width, front_length=car.front_length, rear_length=car.rear_length,
            wheel_base=car.wheel_base, limits=car.limits,
        )  # fmt: skip

    def rig(self) -> Rig:
        """Undoes `of`, bit for bit. Raises InputError for numbers that are no rig."""
        vehicle = Vehicle(
            self.width, self.front_length, self.rear_length, self.wheel_base, self.limits
        )
        return Rig(self.rig_name, tuple(camera.camera() for camera in self.cameras), vehicle)

    def text(self) -> str:
        """As it is recorded: JSON keeps every bit of a float."""
        return json.dumps(asdict(self))


def read_drive_record(path: Path) -> DriveRecord | None:
    """The first record of a bag; None where it has none. Raises InputError for a damaged one."""
    stored = open_files(path)
    try:
        topic = stored.topics.get(TOPIC)
        if topic is None or topic.msgtype != MSGTYPE:
            return None
        decode = Decoder(topic)
        for record in islice(merge(stored.sections, frozenset([TOPIC])), 1):
            return _parsed(decode(record.data).data, f"{path}: {TOPIC}")
        return None
    except DECODE_DAMAGE as error:
        raise InputError(f"{path}: {TOPIC}: cannot be read: {error}") from None
    finally:
        stored.close()


def _parsed(text: Any, where: str) -> DriveRecord:
    if not isinstance(text, str) or len(text) > LONGEST:
        raise InputError(f"{where}: expected a text of at most {LONGEST} characters")
    value = parse_json(text, where)
    if not isinstance(value, dict):
        raise InputError(f"{where}: expected an object, got {type(value).__name__}")
    return from_json(DriveRecord, value, where)


def refuse_other_calibration(recorded: Rig, rebuilt: Rig, where: str) -> None:
    """InputError where CameraInfo and tf say something else than the recorded rig."""
    there = {camera.name: camera for camera in rebuilt.cameras}
    for camera in recorded.cameras:
        other = there.get(camera.name)
        if other is not None and not _agree(camera, other):
            raise InputError(
                f"{where}: {TOPIC} and CameraInfo with tf disagree about camera '{camera.name}'. "
                "Which one is right? Give it with --rig"
            )


def _agree(one: Camera, other: Camera) -> bool:
    if (one.width, one.height) != (other.width, other.height):
        return False
    pairs = ((one.intrinsics, other.intrinsics), (one.ego_from_cam, other.ego_from_cam))
    return all(np.allclose(a, b, rtol=AGREES, atol=AGREES) for a, b in pairs)


def _flat(values: Any) -> tuple[float, ...]:
    return tuple(float(value) for value in np.asarray(values).ravel())


def _square(values: tuple[float, ...], side: int) -> np.ndarray[Any, np.dtype[np.float64]]:
    if len(values) != side * side:
        raise InputError(f"{TOPIC}: expected {side}x{side} numbers, got {len(values)}")
    return np.array(values, np.float64).reshape(side, side)
