"""A small recording that is known whole: what the folder formats (nuScenes, comma2k19) become."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from irl_vla.bag.bag_files import Closing
from irl_vla.bag.bag_info import BagInfo
from irl_vla.camera.rig import Rig
from irl_vla.foreign import read_whole
from irl_vla.messages.events import Event
from irl_vla.messages.notices import Notice, NoticeKind
from irl_vla.types import SECOND_NS, Boxes3D, CameraImage, EgoMotion, InputError

BOXES_WITHIN_NS = 60_000_000  # boxes belong to a picture that is at most so far away


@dataclass(frozen=True)
class PictureFile:
    """A picture file; it is read when its turn comes."""

    camera: str
    stamp_ns: int
    path: Path

    def load(self) -> CameraImage:
        """Raises InputError where the file is gone."""
        return CameraImage(self.camera, self.stamp_ns, encoded=read_whole(self.path))


@dataclass(frozen=True)
class FolderRecording(Closing):
    """A source (see source.py) made of lists.

    known_boxes: stamp -> boxes in the ego frame at that stamp; missing: as in BagInfo
    """

    path: Path
    storage: str
    moments: tuple[PictureFile | EgoMotion, ...]
    known_rig: Rig | None = None
    known_boxes: Mapping[int, Boxes3D] = field(default_factory=dict)
    missing: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """Name of the folder."""
        return self.path.resolve().name

    @property
    def warnings(self) -> tuple[str, ...]:
        """None: a folder that is not whole is refused when it is opened."""
        return ()

    def info(self) -> BagInfo:
        """At a glance; there are no topics."""
        stamps = [moment.stamp_ns for moment in self.moments]
        cameras = Counter(m.camera for m in self.moments if isinstance(m, PictureFile))
        motion = [m.source for m in self.moments if isinstance(m, EgoMotion)][:1]
        return BagInfo(
            path=str(self.path), storage=self.storage,
            duration_s=(max(stamps) - min(stamps)) / SECOND_NS if stamps else 0.0,
            messages=len(self.moments), topics=(), cameras=tuple(cameras),
            calibrated=self.known_rig.names if self.known_rig else (),
            motion=motion[0] if motion else "", base_frame="ego", warnings=(),
            missing=self.missing,
        )  # fmt: skip

    def rig(self) -> Rig:
        """Raises InputError where the recording has no cameras."""
        if self.known_rig is None:
            raise InputError(f"{self.path}: no rig: " + "; ".join(self.missing))
        return self.known_rig

    def events(self) -> Iterator[Event]:
        """Pictures and ego motion in the order of their stamps; a file that is gone is a notice, as
        a broken message of a bag is."""
        for moment in sorted(self.moments, key=lambda m: m.stamp_ns):
            if not isinstance(moment, PictureFile):
                yield moment
                continue
            try:
                yield moment.load()
            except InputError as error:
                text = f"camera '{moment.camera}': {error}"
                kind, where = NoticeKind.BAD_IMAGE, str(moment.path)
                yield Notice(moment.stamp_ns, kind, where, text, moment.camera)

    def boxes_at(self, stamp_ns: int) -> Boxes3D | None:
        """Known things nearest to a stamp, within 60 ms."""
        return nearest_boxes(self.known_boxes, stamp_ns)


def nearest_boxes(boxes: Mapping[int, Boxes3D], stamp_ns: int) -> Boxes3D | None:
    """Of boxes by stamp, those nearest to `stamp_ns` and within 60 ms."""
    near = min(boxes, key=lambda stamp: abs(stamp - stamp_ns), default=None)
    if near is None or abs(near - stamp_ns) > BOXES_WITHIN_NS:
        return None
    return boxes[near]
