"""Pictures as they arrive -> frame sets with the calibration that belongs to them. No ROS here:
messages come as CDR bytes, the core's own reader and synchroniser do the work.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, replace

from irl_vla.camera.camera import Camera
from irl_vla.camera.frozen import EqualPictures
from irl_vla.camera.preprocess import CalibratedImages, ImageSpec, prepared
from irl_vla.camera.rig import Rig
from irl_vla.camera.sync import AnchorSynchroniser
from irl_vla.drive.perception_stage import usable_pictures
from irl_vla.messages.calibration import Calibration, camera_of, info_content, put_transforms
from irl_vla.messages.events import EventReader, Notice, NoticeKind
from irl_vla.messages.messages import DECODE_DAMAGE
from irl_vla.messages.motion_source import MotionSource
from irl_vla.messages.records import Record, StoredTopic
from irl_vla.messages.tf_tree import TransformTree
from irl_vla.messages.topics import (
    CAMERA_INFO,
    COMPRESSED_IMAGE,
    RAW_IMAGE,
    TF_TYPES,
    ChosenTopics,
    is_rectified,
)
from irl_vla.types import SECOND_NS, CameraImage, FrameSet, InputError
from irl_vla_nodes.convert import from_cdr
from irl_vla_nodes.params import CameraParams

NO_CALIBRATION = "no_calibration"  # name of the reason in FrameSet.missing
MAX_WAITING = 8  # sets that wait for the calibration
CALIBRATION_NS = 3 * SECOND_NS  # they wait so long before somebody is told


@dataclass(frozen=True)
class ArrivedFrameSet:
    """A frame set. rig and images: None while the calibration is not known."""

    frames: FrameSet
    rig: Rig | None
    images: CalibratedImages | None


def image_type(topic: str) -> str:
    """The message type of an image topic, by image_transport's naming."""
    return COMPRESSED_IMAGE if topic.rstrip("/").endswith("compressed") else RAW_IMAGE


class Intake:
    """Takes messages one by one. rig: a given calibration, or None: CameraInfo and tf_static."""

    def __init__(self, params: CameraParams, spec: ImageSpec, rig: Rig | None) -> None:
        self._params, self._spec = params, spec
        self.rig, self._given = rig, rig is not None
        self.frozen_after = params.frozen_after
        self.kinds = {t.image: image_type(t.image) for t in params.topics.values()}
        if not self._given:
            infos = {t.camera_info: CAMERA_INFO for t in params.topics.values() if t.camera_info}
            self.kinds |= infos | {params.tf_static_topic: TF_TYPES[0]}
        chosen = ChosenTopics(
            cameras={name: replace(t, camera_info=None) for name, t in params.topics.items()},
            odometry=None, tf=(), tf_static=(), intent=None, boxes=None,
            base_frame=params.base_frame, why={},
        )  # fmt: skip
        stored = {topic: StoredTopic(topic, kind) for topic, kind in self.kinds.items()}
        self._tree = TransformTree()
        calibration = Calibration(self._tree, params.base_frame)
        self._reader = EventReader(stored, chosen, calibration, MotionSource(), every=True)
        self.sync = self._synchroniser()
        self._infos: dict[str, bytes] = {}  # camera -> its last CameraInfo
        self._contents: dict[str, object] = {}  # topic -> what it said
        self._trouble: dict[str, str] = {}  # camera -> why it has no calibration
        self._told: dict[str, str] = {}  # of that, what was said
        self._equal = EqualPictures()
        self._waiting: deque[FrameSet] = deque(maxlen=MAX_WAITING)
        self.notices: deque[str] = deque(maxlen=100)  # for the log
        self.drops: deque[tuple[str, str]] = deque(maxlen=100)  # topic, why it was of no use

    @property
    def trouble(self) -> dict[str, str]:
        """Why cameras have no calibration, by name."""
        return dict(self._trouble)

    @property
    def is_waiting(self) -> bool:
        """Whether a frame set is open that time alone can close."""
        return self.sync.is_open or bool(self._waiting)

    def is_picture(self, topic: str) -> bool:
        """Whether pictures come on a topic; what comes on others says where cameras are."""
        return self.kinds[topic] in (COMPRESSED_IMAGE, RAW_IMAGE)

    def forget(self) -> None:
        """Time begins anew, however small the jump: the calibration stays, pictures do not."""
        self.sync = self._synchroniser()
        self._waiting.clear()
        self._equal = EqualPictures()

    def _synchroniser(self) -> AnchorSynchroniser:
        params, rig = self._params, self.rig if self._given else None
        offsets = {camera.name: camera.offset_ns for camera in rig.cameras} if rig else {}
        return AnchorSynchroniser(
            params.cameras, params.sync, anchor=params.anchor or None, offsets_ns=offsets
        )

    def take(self, topic: str, data: bytes, now_ns: int) -> Iterator[ArrivedFrameSet]:
        """One message; the sets that it made ready."""
        if self.kinds[topic] == TF_TYPES[0]:
            put_transforms(self._tree, from_cdr(data, TF_TYPES[0]))
            self._calibrate()
        elif self.kinds[topic] == CAMERA_INFO:
            self._info(topic, data)
        else:
            for event in self._reader.read(Record(now_ns, topic, data)):
                if isinstance(event, CameraImage):
                    self._image(event)
                elif isinstance(event, Notice):
                    self._notice(event)
        yield from self._ready()

    def advance(self, now_ns: int) -> Iterator[ArrivedFrameSet]:
        """Time passes without a message."""
        self._waiting.extend(self.sync.advance(now_ns))
        yield from self._ready()

    def _image(self, image: CameraImage) -> None:
        times = self._equal.times(image)
        limit = self.frozen_after
        if limit and times > limit:
            self.sync.spoil(image.camera, f"frozen: the same picture {times} times in a row")
            return
        if self.rig is not None:
            image = prepared(image, self.rig, self._spec)
        self._waiting.extend(self.sync.push(image))

    def _notice(self, notice: Notice) -> None:
        if notice.kind is NoticeKind.BAD_IMAGE or notice.kind is NoticeKind.UNREADABLE:
            self.drops.append((notice.topic, notice.text))
        else:
            self.notices.append(f"{notice.kind.value}: {notice.text}")
        if notice.kind is NoticeKind.BAD_IMAGE and notice.camera is not None:
            self.sync.spoil(notice.camera, notice.text)

    def _info(self, topic: str, data: bytes) -> None:
        try:
            content = info_content(from_cdr(data, CAMERA_INFO))
        except DECODE_DAMAGE as error:
            self.drops.append((topic, f"a broken message: {error}"))
            return
        if self._contents.get(topic) == content:
            return
        changed = topic in self._contents
        self._contents[topic] = content
        for name, topics in self._params.topics.items():
            if topics.camera_info == topic:
                self._infos[name] = data
                if changed:
                    self.notices.append(f"camera '{name}': CameraInfo changed")
        self._calibrate()

    def _calibrate(self) -> None:
        """A new rig where every camera has its place; else the old one stays."""
        cameras = []
        for name, topics in self._params.topics.items():
            camera = self._placed(name, is_rectified(topics.image))
            if camera is not None:
                cameras.append(camera)
        if len(cameras) < len(self._params.cameras):
            return
        rig = Rig("car", tuple(cameras))
        if self.rig is None or rig.fingerprint != self.rig.fingerprint:
            self.rig = rig

    def _placed(self, name: str, rectified: bool) -> Camera | None:
        if name not in self._infos:
            self._trouble[name] = "no CameraInfo yet"
            return None
        info = from_cdr(self._infos[name], CAMERA_INFO)
        try:
            camera = camera_of(name, info, self._tree, self._params.base_frame, rectified)
        except InputError as error:
            self._trouble[name] = str(error).removeprefix(f"camera '{name}': ")
            return None
        self._trouble.pop(name, None)
        return camera

    def _ready(self) -> Iterator[ArrivedFrameSet]:
        while self._waiting:
            waited = self._waiting[-1].anchor_stamp_ns - self._waiting[0].anchor_stamp_ns
            full = len(self._waiting) == MAX_WAITING
            if self.rig is None and waited < CALIBRATION_NS and not full:
                return
            frames = self._waiting.popleft()
            yield (
                ArrivedFrameSet(self._blind(frames), None, None)
                if self.rig is None
                else self._settled(frames, self.rig)
            )

    def _blind(self, frames: FrameSet) -> FrameSet:
        """No camera counts while one lacks its calibration."""
        self._tell()
        reasons = {
            name: f"{NO_CALIBRATION}: {self._trouble.get(name, 'waits for the other cameras')}"
            for name in self._params.cameras
        }
        return FrameSet(frames.anchor_stamp_ns, {}, {**reasons, **frames.missing})

    def _tell(self) -> None:
        """Say once why a camera has no calibration."""
        for name, why in self._trouble.items():
            if self._told.get(name) != why:
                self.notices.append(f"camera '{name}': {why}")
        self._told = dict(self._trouble)

    def _settled(self, frames: FrameSet, rig: Rig) -> ArrivedFrameSet:
        """Pictures that cannot be used are moved to `missing`, as the core does it; so are those of
        a camera whose calibration has become one that cannot be used."""
        self._tell()
        lost = {name: f"{NO_CALIBRATION}: {why}" for name, why in self._trouble.items()}
        images = {n: image for n, image in frames.images.items() if n not in lost}
        frames = replace(frames, images=images, missing={**frames.missing, **lost})
        frames, pixels = usable_pictures(frames, rig, self._spec)
        return ArrivedFrameSet(frames, rig, pixels)
