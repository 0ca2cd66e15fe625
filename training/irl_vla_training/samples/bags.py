"""Samples of recordings: pictures, motion, intent, the driver's future, and known boxes if any.

A recording has no map and no pixel truth: those are masked. A set of pictures becomes a sample once
the ego's next 4 s are known, and at most every SPACING_S.
May import: irl_vla, samples.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from irl_vla.bag.source import Source, open_source
from irl_vla.camera.preprocess import BadImage
from irl_vla.camera.sync import AnchorSynchroniser, SyncSpec
from irl_vla.drive.history import EgoHistory
from irl_vla.frames import pose_of, to_inner
from irl_vla.language.labels import PATHS, SPEEDS, label
from irl_vla.types import (
    F64,
    HORIZON_POSES,
    PLAN_DT_S,
    SECOND_NS,
    CameraImage,
    EgoMotion,
    EgoStatus,
    FrameSet,
    InputError,
    Intent,
)
from irl_vla_training.samples.sample import Memory, Sample, Way
from irl_vla_training.samples.settings import SampleSettings
from irl_vla_training.samples.taken import annotated, fitted_pictures

SEED = 617
SPACING_NS = SECOND_NS // 2  # between samples
YOUNGEST_NS, OLDEST_NS = SECOND_NS // 5, 4 * SECOND_NS // 5  # of the memory
AHEAD_NS = round(HORIZON_POSES * PLAN_DT_S * SECOND_NS)


@dataclass
class OdometryTrack:
    """Where the ego was: stamps and poses (x, y, unwrapped heading), in order."""

    stamps: list[int] = field(default_factory=list)
    poses: list[F64] = field(default_factory=list)

    def add(self, motion: EgoMotion) -> None:
        """Takes a finite pose that is later than the last."""
        pose = pose_of(motion.world_from_ego)
        if not np.isfinite(pose).all() or (self.stamps and motion.stamp_ns <= self.stamps[-1]):
            return
        if self.poses:
            before = self.poses[-1][2]
            pose[2] = before + (pose[2] - before + np.pi) % (2 * np.pi) - np.pi
        self.stamps.append(motion.stamp_ns)
        self.poses.append(pose)

    def at(self, stamps: F64) -> F64 | None:
        """(n, 3) poses between measurements; None where one is beyond them."""
        if not self.stamps or stamps.min() < self.stamps[0] or stamps.max() > self.stamps[-1]:
            return None
        columns = np.array(self.poses).T
        known = np.array(self.stamps, np.float64)
        return np.column_stack([np.interp(stamps, known, column) for column in columns])


@dataclass(frozen=True)
class Anchor:
    """A set of pictures and what was known when it was complete."""

    frames: FrameSet
    ego: EgoStatus
    intent: Intent


@dataclass
class BagReader:
    """Turns the events of one recording into samples."""

    source: Source
    name: str
    settings: SampleSettings
    rng: np.random.Generator

    def __post_init__(self) -> None:
        self.rig = self.source.rig()
        self._sync = AnchorSynchroniser.of_rig(self.rig, SyncSpec())
        self._history, self._track = EgoHistory(), OdometryTrack()
        self._intent = Intent()
        self._recent: list[FrameSet] = []
        self._waiting: list[tuple[Anchor, FrameSet | None]] = []
        self._last_ns: int | None = None

    def samples(self) -> Iterator[Sample]:
        """In order of time."""
        for event in self.source.events():
            if isinstance(event, CameraImage):
                self._take(self._sync.push(event))
            elif isinstance(event, EgoMotion):
                self._history.add(event)
                self._track.add(event)
            elif isinstance(event, Intent):
                self._intent = event
            yield from self._ready(at_end=False)
        self._take(self._sync.flush())
        yield from self._ready(at_end=True)

    def _take(self, sets: tuple[FrameSet, ...]) -> None:
        for frames in sets:
            stamp = frames.anchor_stamp_ns
            self._recent = [f for f in self._recent
                            if 0 < stamp - f.anchor_stamp_ns <= OLDEST_NS]  # fmt: skip
            due = self._last_ns is None or abs(stamp - self._last_ns) >= SPACING_NS
            if due and frames.images:
                ego = self._history.status(stamp, self._history.newest(stamp))
                fitting = [f for f in self._recent
                           if stamp - f.anchor_stamp_ns >= YOUNGEST_NS]  # fmt: skip
                then = fitting[int(self.rng.integers(len(fitting)))] if fitting else None
                self._waiting.append((Anchor(frames, ego, self._intent), then))
                self._last_ns = stamp
            self._recent.append(frames)

    def _ready(self, at_end: bool) -> Iterator[Sample]:
        """Those whose future is known; at the end the others, too, without it."""
        newest = self._track.stamps[-1] if self._track.stamps else 0
        while self._waiting:
            anchor, then = self._waiting[0]
            if not at_end and newest < anchor.frames.anchor_stamp_ns + AHEAD_NS:
                return
            self._waiting.pop(0)
            sample = self._sample(anchor, then)
            if sample is not None:
                yield sample

    def _sample(self, anchor: Anchor, then: FrameSet | None) -> Sample | None:
        """None where a picture cannot be used."""
        stamp = anchor.frames.anchor_stamp_ns
        try:
            pictures = fitted_pictures(anchor.frames, self.rig, self.settings)
            memory = None if then is None else self._memory(then, anchor.frames)
        except BadImage:
            return None
        known = self.source.boxes_at(stamp)
        return Sample(
            key=f"{self.name}-{stamp}", source="bag", pictures=pictures, memory=memory,
            ego=anchor.ego, way=self._way(anchor),
            boxes=None if known is None else annotated(known, len(pictures.all)),
            pixels=(None,) * len(pictures.all), rig=self.rig.name,
        )  # fmt: skip

    def _memory(self, then: FrameSet, now: FrameSet) -> Memory | None:
        """None where the way since then is not known, or other cameras gave pictures."""
        stamps = np.array([now.anchor_stamp_ns, then.anchor_stamp_ns], np.float64)
        poses = self._track.at(stamps)
        if poses is None or set(then.images) != set(now.images):
            return None
        age = (now.anchor_stamp_ns - then.anchor_stamp_ns) / SECOND_NS
        pictures = fitted_pictures(then, self.rig, self.settings)
        return Memory(pictures, to_inner(poses[1], poses[0]), age)

    def _way(self, anchor: Anchor) -> Way | None:
        steps = np.arange(HORIZON_POSES + 1) * (PLAN_DT_S * SECOND_NS)
        stamps = np.asarray(anchor.frames.anchor_stamp_ns + steps, np.float64)
        poses = self._track.at(stamps)
        if poses is None:
            return None
        future = to_inner(poses[1:], poses[0])
        commands = None
        if anchor.ego.valid:
            found = label(future, float(np.hypot(*anchor.ego.velocity)))
            commands = SPEEDS.index(found.speed), PATHS.index(found.path)
        return Way(anchor.intent, future, commands)


def samples_of_bag(path: Path, settings: SampleSettings) -> Iterator[Sample]:
    """All samples of one recording, the same ones whenever it is asked. Raises InputError."""
    with open_source(path) as source:
        name = bag_key(path)
        rng = np.random.default_rng([zlib.crc32(name.encode()), SEED])
        found = False
        for sample in BagReader(source, name, settings, rng).samples():
            found = True
            yield sample
        if not found:
            raise InputError(f"{path}: no set of pictures in it can be used")


def bag_key(path: Path) -> str:
    """A recording's name without dots and slashes, as keys of tars want it."""
    return path.resolve().name.replace(".", "_")
