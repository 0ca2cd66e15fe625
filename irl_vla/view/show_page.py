"""What a recording looks like: its stream, once through, becomes one page and one contact sheet.

Memory holds a dozen painted anchors and a few numbers per anchor, however long the recording is.
In: events in log-time order   Out: ShowPage, RGB   May import: everything but cli.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import replace

import cv2
import numpy as np

from irl_vla.bag.bag_info import BagInfo, anchor_hint, expected_sets
from irl_vla.camera.preprocess import BadImage, image_size
from irl_vla.camera.rig import Rig
from irl_vla.camera.sync import AnchorSynchroniser, SyncSpec
from irl_vla.messages.notices import LOST, Notice, NoticeKind, folded
from irl_vla.types import (
    SECOND_NS,
    U8,
    Boxes3D,
    CameraImage,
    EgoMotion,
    FrameSet,
)
from irl_vla.view import drawing
from irl_vla.view.bev import paint_rig
from irl_vla.view.driven_way import DrivenWay, over_cameras
from irl_vla.view.ego_trace import EgoTraceBuilder
from irl_vla.view.frame import Overlay, camera_boxes, paint_bev, paint_cameras
from irl_vla.view.mosaic import contact_sheet
from irl_vla.view.page_budget import MOST_FRAMES, budget_note, picture_budget
from irl_vla.view.palette import WHITE
from irl_vla.view.plots import SyncTrace, plot_ego, plot_path, plot_sync
from irl_vla.view.recording_judge import RecordingJudge
from irl_vla.view.replay_page import BEV_HEIGHT, EvenSample
from irl_vla.view.report import (
    Fact,
    PageFigure,
    PageFrame,
    PageTable,
    ShowPage,
    join_words,
)

MAX_ANCHORS = MOST_FRAMES  # painted on the page
SHEET_SAMPLE = 6  # painted for the contact sheet, which shows half of them
SHEET_ANCHORS = 3  # on the contact sheet
SHEET_WIDTH = 1440  # [px] of the contact sheet, if it has more than one column
MOSAIC_WIDTH = 1920  # [px] of the contact sheet's pictures before they are made smaller
SHEET_QUALITY = 84  # of WebP, 0..100
MS = 1_000_000  # [ns]


class ShowBuilder:
    """Takes a recording's events as they come.

    rig: where to paint, or None with the sentence `why_no_rig`
    boxes_at: stamp [ns] -> known things around then in the ego frame, or None
    """

    def __init__(
        self, info: BagInfo, rig: Rig | None, boxes_at: Callable[[int], Boxes3D | None],
        why_no_rig: str = "", anchor: str | None = None,
    ) -> None:  # fmt: skip
        self._info, self._rig, self._why_no_rig = info, rig, why_no_rig
        self._boxes_at = boxes_at
        offsets = {camera.name: camera.offset_ns for camera in rig.cameras} if rig else {}
        cameras = tuple(dict.fromkeys([*offsets, *info.cameras]))
        self._spec = SyncSpec()
        self._sync = None
        self._hints: list[str] = []
        if cameras:
            if anchor is None:
                anchor = next((name for name in cameras if name in info.cameras), cameras[0])
            self._sync = AnchorSynchroniser(cameras, self._spec, anchor=anchor, offsets_ns=offsets)
            self._hints = anchor_hint(info, cameras, anchor)
        self._offsets = offsets
        self._judge = RecordingJudge(info, rig)
        self._ego = EgoTraceBuilder()
        self._anchors: list[int] = []
        self._offset_ms: dict[str, list[float]] = {name: [] for name in cameras}
        self._reasons: dict[str, Counter[str]] = defaultdict(Counter)
        expected = expected_sets(info, anchor or next(iter(cameras), ""))
        self._budget = picture_budget(expected, MAX_ANCHORS)
        self._frames = EvenSample[PageFrame](MAX_ANCHORS, self._budget.stride)
        stride = max(1, -(-expected // SHEET_SAMPLE))
        self._sheet = EvenSample[tuple[float, str, bytes]](SHEET_SAMPLE, stride)
        self._way = DrivenWay()
        self._notices: Counter[str] = Counter()
        self.lost = 0  # pictures and messages that could not be used

    def add_image(self, image: CameraImage) -> None:
        """Take one exposure. A torn one makes its camera missing, with the reason."""
        try:
            image_size(image)
        except BadImage as error:
            self._lose(image.camera, str(error))
            return
        times = self._judge.add_image(image)
        if times and self._sync:
            frozen = f"camera '{image.camera}': frozen: the same picture {times} times in a row"
            self._lose(image.camera, frozen)
            return
        for frames in self._sync.push(image) if self._sync else ():
            self._take(frames)

    def add_motion(self, motion: EgoMotion) -> None:
        """Take one measurement of the ego."""
        self._ego.add(motion)
        if np.isfinite(motion.world_from_ego).all():
            self._way.add(motion.stamp_ns, motion.world_from_ego)
        self._judge.add_motion(motion)

    def add_notice(self, notice: Notice) -> None:
        """Take what the recording has to say of a message; lost pictures make a camera missing."""
        if notice.kind is NoticeKind.BAD_IMAGE and notice.camera is not None:
            self._lose(notice.camera, notice.text)
            return
        self.lost += notice.kind in LOST
        self._notices[notice.text] += 1

    def _lose(self, camera: str, why: str) -> None:
        self.lost += 1
        self._notices[why] += 1
        if self._sync is not None:
            self._sync.spoil(camera, why)

    def finish(self) -> None:
        """Nothing more comes, or somebody interrupted."""
        if self._sync is None:
            return
        for frames in self._sync.flush():
            self._take(frames)
        for event in self._sync.take_events():
            self._notices[f"camera '{event.camera}': {event.text}"] += 1

    def _take(self, frames: FrameSet) -> None:
        """Count who is there, and paint if the page has a place for it."""
        self._anchors.append(frames.anchor_stamp_ns)
        for name, offsets in self._offset_ms.items():
            image = frames.images.get(name)
            shift = self._offsets.get(name, 0) + frames.anchor_stamp_ns
            offsets.append(np.nan if image is None else (image.stamp_ns - shift) / MS)
            if image is None:
                self._reasons[name][frames.missing.get(name, "unknown").split(":")[0]] += 1
        frame = self._painted(frames) if self._frames.wants_next() else None
        self._frames.offer(frame)
        self._sheet.offer(self._large(frames) if self._sheet.wants_next() else None)

    def _large(self, frames: FrameSet) -> tuple[float, str, bytes]:
        """For the contact sheet: time [s], caption, WebP."""
        boxes = self._boxes_at(frames.anchor_stamp_ns)
        picture = paint_cameras(frames, self._rig, Overlay(grid=True, boxes=boxes), MOSAIC_WIDTH)
        time_s = (frames.anchor_stamp_ns - self._anchors[0]) / SECOND_NS
        return time_s, self._caption(frames, boxes), drawing.webp(picture, SHEET_QUALITY)

    def _painted(self, frames: FrameSet) -> PageFrame:
        boxes = self._boxes_at(frames.anchor_stamp_ns)
        self._judge.add_boxes(boxes)
        overlay = Overlay(grid=True, boxes=boxes)
        budget = self._budget
        cameras = drawing.webp(
            paint_cameras(frames, self._rig, overlay, budget.width), budget.quality
        )
        above = None
        if boxes is not None:
            above = drawing.webp(paint_bev(overlay, BEV_HEIGHT), budget.quality)
        time_s = (frames.anchor_stamp_ns - self._anchors[0]) / SECOND_NS
        return PageFrame(
            time_s, self._caption(frames, boxes), cameras, above,
            "warn" if frames.missing else "ok", frames.anchor_stamp_ns, len(self._anchors),
            tiles=camera_boxes(frames, self._rig, budget.width),
        )  # fmt: skip

    def _caption(self, frames: FrameSet, boxes: Boxes3D | None) -> str:
        present, every = len(frames.images), len(self._offset_ms)
        count = f"{present} of {every} cameras"
        if present == every:
            count = "One camera" if every == 1 else f"All {every} cameras"
        seen = "" if boxes is None else f", {len(boxes)} boxes"
        lacks = "; ".join(f"{name}: {why}" for name, why in frames.missing.items())
        return f"{count}{seen}{f'. Missing {lacks}' if lacks else ''}"

    def _with_way(self, frame: PageFrame) -> PageFrame:
        """The frame with the ego's place and motion, and the way that it drove afterwards."""
        place = self._way.place(frame.stamp_ns)
        if place is None:
            return frame
        way = self._way.way(frame.stamp_ns)
        after = self._way.poses(frame.stamp_ns, SECOND_NS // 5, 1)
        motion = ""
        if len(after):
            speed, turn = 5 * float(np.hypot(*after[0, :2])), 5 * float(np.degrees(after[0, 2]))
            motion = f"{speed:.1f} m/s, yaw rate {turn:+.1f} °/s, by its poses"
        return replace(
            frame, place=(float(place[0, 3]), float(place[1, 3])), motion=motion,
            driven=over_cameras(way, self._rig, frame.tiles),
        )  # fmt: skip

    def page(self, warnings: tuple[str, ...]) -> ShowPage:
        """The page of what was taken in; call `finish` first. warnings: the source's own, after
        reading."""
        rig = None if self._rig is None else drawing.webp(paint_rig(self._rig), 90)
        return ShowPage(
            title=self._info.path.rstrip("/").split("/")[-1],
            facts=self._facts(),
            verdict=self._judge.verdict(),
            frames=tuple(self._with_way(frame) for frame in self._frames.kept),
            frames_note=budget_note(len(self._frames.kept), self._frames.seen, self._budget),
            rig=rig,
            plots=self._plots(),
            tables=(*self._missing_images(), *self._topics()),
            missing=self._missing(),
            warnings=self._warnings(warnings),
        )

    def sheet(self) -> U8:
        """Contact sheet of a few anchors, evenly spread; a plain statement where there are none."""
        kept = self._sheet.kept
        if not kept:
            return _statement(self._info.path, self._missing())
        chosen = sorted({round(i) for i in np.linspace(0, len(kept) - 1, SHEET_ANCHORS)})
        pictures = []
        for index in chosen:
            time_s, caption, encoded = kept[index]
            picture = _pixels(encoded)
            height = round(picture.shape[0] * SHEET_WIDTH / MOSAIC_WIDTH)
            width = round(picture.shape[1] * SHEET_WIDTH / MOSAIC_WIDTH)
            picture = drawing.resized(picture, width, height)
            line = np.full((26, picture.shape[1], 3), (17, 22, 29), np.uint8)
            drawing.write(line, f"{time_s:.1f} s   {caption}", 2, 5, 13, WHITE)
            pictures.append(np.vstack([line, picture]))
        return contact_sheet(pictures)

    def _facts(self) -> tuple[Fact, ...]:
        info = self._info
        return (
            Fact("source", info.path),
            Fact("storage", info.storage),
            Fact("duration", f"{info.duration_s:.1f} s"),
            Fact("messages", f"{info.messages}"),
            Fact("cameras", join_words(tuple(self._offset_ms)) or "none"),
            Fact("calibration", self._rig.name if self._rig else "none"),
            Fact("ego motion", info.motion or "none"),
            Fact("anchors", f"{len(self._anchors)}"),
        )

    def _plots(self) -> tuple[PageFigure, ...]:
        plots = []
        start = self._anchors[0] if self._anchors else None
        if self._anchors:
            stamps = np.array(self._anchors)
            offsets = {name: np.array(values) for name, values in self._offset_ms.items()}
            trace = SyncTrace(
                (stamps - stamps[0]) / SECOND_NS, offsets, self._reasons,
                self._spec.tolerance_ns / MS,
            )  # fmt: skip
            plots.append(plot_sync(trace))
        ego = self._ego.trace(start)
        if ego is not None:
            plots.append(plot_ego(ego))
        x, y = self._way.line
        if len(x) > 1:
            plots.append(plot_path(x, y))
        return tuple(plots)

    def _missing_images(self) -> list[PageTable]:
        total = len(self._anchors)
        rows = [
            (camera, reason.replace("_", " "), str(count), f"{100 * count / total:.1f}")
            for camera, reasons in self._reasons.items() for reason, count in reasons.most_common()
        ]  # fmt: skip
        columns = ("camera", "reason", "anchors", "% of all")
        return [PageTable("Missing images", columns, tuple(rows), columns[2:])] if rows else []

    def _topics(self) -> list[PageTable]:
        rows = [
            (
                topic.name, topic.msgtype, " ".join(filter(None, [topic.role.value, topic.camera])),
                str(topic.count), f"{topic.rate_hz:.1f}", f"{topic.largest_gap_s:.2f}", topic.why,
            )
            for topic in self._info.topics
        ]  # fmt: skip
        columns = ("topic", "type", "read as", "messages", "rate [Hz]", "largest gap [s]", "note")
        return [PageTable("Topics", columns, tuple(rows), columns[3:6])] if rows else []

    def _warnings(self, read: tuple[str, ...]) -> tuple[str, ...]:
        said = folded(self._notices)
        absent = [
            f"camera '{name}' of the rig is not in the recording"
            for name in (self._rig.names if self._rig else ()) if name not in self._info.cameras
        ]  # fmt: skip
        return tuple(dict.fromkeys([*read, *self._hints, *absent, *said]))

    def _missing(self) -> tuple[str, ...]:
        why = [self._why_no_rig] if self._why_no_rig else []
        return tuple(dict.fromkeys([*self._info.missing, *why]))


def _pixels(webp: bytes) -> U8:
    picture = cv2.imdecode(np.frombuffer(webp, np.uint8), cv2.IMREAD_COLOR)
    return np.asarray(cv2.cvtColor(picture, cv2.COLOR_BGR2RGB), np.uint8)


def _statement(path: str, lines: tuple[str, ...]) -> U8:
    image = np.full((90 + 26 * max(1, len(lines)), 1100, 3), (17, 22, 29), np.uint8)
    drawing.write(image, f"{path.rstrip('/').split('/')[-1]}: no pictures", 24, 22, 20)
    for row, line in enumerate(lines or ("This source has no camera images.",)):
        drawing.write(image, line, 24, 62 + 26 * row, 14)
    return image
