"""A replay, anchor by anchor, becomes one page of bounded size, however long the bag is.

In: one ReplayAnchor after the other   Out: ReplayPage   May import: everything but cli.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Generic, NamedTuple, TypeVar

import numpy as np

from irl_vla.camera.projection import BevGrid
from irl_vla.camera.rig import Rig
from irl_vla.frames import step_lengths, wrap_angle
from irl_vla.perception.classes import CLASSES, SceneClasses
from irl_vla.types import (
    F64,
    SECOND_NS,
    U8,
    Boxes3D,
    EgoStatus,
    FrameSet,
    Intent,
    Plan,
    PlanReason,
    Refusal,
    SceneTokens,
    Trajectory,
)
from irl_vla.vehicle import PACIFICA
from irl_vla.view.bev import BevWindow
from irl_vla.view.detections import detected_words, finds_something
from irl_vla.view.drawing import webp
from irl_vla.view.driven_way import DrivenWay, over_bev, over_cameras
from irl_vla.view.frame import Overlay, bev_window, camera_boxes, paint_bev, paint_cameras
from irl_vla.view.legend import detected_legends, plan_legend, recorded_legend
from irl_vla.view.page_budget import (
    MOST_FRAMES,
    PictureBudget,
    budget_note,
    picture_budget,
)
from irl_vla.view.plots import (
    MAX_FANS,
    SLOW,
    EgoTrace,
    PlanTrace,
    plot_latency,
    plot_outcomes,
    plot_path,
    plot_plans,
)
from irl_vla.view.report import Fact, Legend, PageFigure, PageFrame, PageTable, ReplayPage

T = TypeVar("T")

MAX_FRAMES = MOST_FRAMES  # frames with pictures on a page
MAX_ROWS = 30  # of a table
MOSAIC_WIDTH = 1440  # [px] of all cameras together on the page
BEV_HEIGHT = 560  # [px] of the bird's eye; pages show it at this very size


@dataclass(frozen=True)
class ReplayAnchor:
    """Everything about one anchor that the page shows.

    boxes: where known, ego frame; tokens: what was perceived, or None; area: the ground that the
    policy observes, or None where it has no perception; classes: by which its tokens are to be read
    place: world_from_ego (4, 4), or None where it is not known
    """

    frames: FrameSet
    rig: Rig | None
    outcome: Plan | Refusal
    ego: EgoStatus | None
    boxes: Boxes3D | None = None
    intent: Intent | None = None
    tokens: SceneTokens | None = None
    area: BevGrid | None = None
    classes: SceneClasses = CLASSES
    place: F64 | None = None


class EvenSample(Generic[T]):
    """Keeps every stride-th of a stream of unknown length: at most `limit`, at least half of it.

    When it is full, every second one is dropped and the stride doubles. stride: to begin with
    """

    def __init__(self, limit: int = MAX_FRAMES, stride: int = 1) -> None:
        self.limit = limit
        self.stride = stride
        self.seen = 0
        self.kept: list[T] = []

    def wants_next(self) -> bool:
        """Whether the next frame would be kept; if not, its pictures need not be painted."""
        return self.seen % self.stride == 0

    def offer(self, frame: T | None) -> None:
        """Hand in the next frame, or None where `wants_next` said no."""
        if self.wants_next() and frame is not None:
            self.kept.append(frame)
        self.seen += 1
        if len(self.kept) > self.limit:
            self.kept = self.kept[::2]
            self.stride *= 2


class _Painted(NamedTuple):
    """A painted frame, and what its driven way is drawn with when that is known."""

    frame: PageFrame
    rig: Rig | None
    window: BevWindow
    plan: Trajectory | None


class ReplayPageBuilder:
    """Takes anchors as they come, paints the few that the page will show, remembers numbers of all.

    title: of the page, for example the bag's name; facts: bundle, policy, rig, seed ...
    max_frames: with pictures, evenly sampled over the replay; expected: anchors, 0: not known
    banner: what a reader must know about the policy (see `legend.banner_of`)
    """

    def __init__(
        self, title: str, facts: Sequence[Fact], warnings: Sequence[str] = (),
        max_frames: int = MAX_FRAMES, banner: str = "", expected: int = 0,
    ) -> None:  # fmt: skip
        self._banner = banner
        self._title, self._facts, self._warnings = title, tuple(facts), tuple(warnings)
        self._budget = picture_budget(expected, max_frames)
        self._frames = EvenSample[_Painted](max_frames, self._budget.stride)
        self._way = DrivenWay()
        self._stamps: list[int] = []
        self._outcomes: list[str] = []
        self._refusals: Counter[tuple[str, str]] = Counter()
        self._missing: Counter[tuple[str, str]] = Counter()
        self._ego: list[tuple[int, float, float]] = []
        self._ego_source = ""
        self._plans = EvenSample[PlanTrace](MAX_FANS)
        self._looked, self._found = 0, 0  # anchors with perception, and of them with a detection
        self._classes = CLASSES  # of the last of them
        self._boxes = False  # whether the recording knows any

    def wants_pictures(self) -> bool:
        """Whether the next anchor's images will be painted; if not, they are not even decoded."""
        return self._frames.wants_next()

    def add(self, anchor: ReplayAnchor) -> None:
        """Take the next anchor. Its images may be forgotten by the caller afterwards."""
        stamp = anchor.frames.anchor_stamp_ns
        self._stamps.append(stamp)
        for camera, why in anchor.frames.missing.items():
            self._missing[camera, why.split(":")[0]] += 1
        outcome, ego = anchor.outcome, anchor.ego
        self._outcomes.append(outcome.reason.value)
        if isinstance(outcome, Refusal):
            self._refusals[outcome.reason.value, outcome.detail] += 1
        if ego is not None and ego.valid:
            self._ego.append((stamp, float(np.hypot(*ego.velocity)), ego.yaw_rate))
            self._ego_source = ego.source
        if anchor.area is not None and anchor.tokens is not None:
            self._looked, self._classes = self._looked + 1, anchor.classes
            self._found += finds_something(anchor.tokens, anchor.classes)
        self._boxes |= anchor.boxes is not None and len(anchor.boxes) > 0
        time_s = (stamp - self._stamps[0]) / SECOND_NS
        plan = isinstance(outcome, Plan) and self._plans.wants_next()
        self._plans.offer(plan_trace(time_s, outcome) if plan else None)
        if anchor.place is not None:
            self._way.add(stamp, anchor.place)
        self._frames.offer(self._painted(time_s, anchor) if self._frames.wants_next() else None)

    def _painted(self, time_s: float, anchor: ReplayAnchor) -> _Painted:
        frame = _paint(time_s, anchor, self._budget)
        frame = replace(
            frame, stamp_ns=anchor.frames.anchor_stamp_ns, number=len(self._stamps),
            motion=_motion_words(anchor.ego),
            tiles=camera_boxes(anchor.frames, anchor.rig, self._budget.width),
        )  # fmt: skip
        plan = anchor.outcome.trajectory if isinstance(anchor.outcome, Plan) else None
        return _Painted(frame, anchor.rig, bev_window(_overlay(anchor), BEV_HEIGHT), plan)

    def _with_way(self, painted: _Painted) -> PageFrame:
        """The frame with what was driven afterwards, now that it is known."""
        frame, plan = painted.frame, painted.plan
        way, place = self._way.way(frame.stamp_ns), self._way.place(frame.stamp_ns)
        words = ""
        if plan is not None:
            words = self._way.words(frame.stamp_ns, plan.poses, plan.step_s)
        return replace(
            frame, caption=frame.caption + words,
            place=None if place is None else (float(place[0, 3]), float(place[1, 3])),
            driven=over_cameras(way, painted.rig, frame.tiles),
            driven_above=over_bev(way, painted.window),
        )  # fmt: skip

    def page(self, timings: Mapping[str, Sequence[float]]) -> ReplayPage:
        """The page so far; also valid after an interruption. timings: stage -> [ms] per anchor."""
        return ReplayPage(
            self._title,
            facts=(*self._facts, *self._counts()),
            banner=self._banner,
            legends=tuple(self._legends()),
            frames=tuple(self._with_way(painted) for painted in self._frames.kept),
            frames_note=budget_note(len(self._frames.kept), self._frames.seen, self._budget),
            plots=tuple(self._plots(timings)),
            tables=(latency_table(timings), self._refusal_table(), *self._missing_tables()),
            warnings=self._warnings,
        )

    def _legends(self) -> list[Legend]:
        legends = [plan_legend()]
        if self._boxes:
            legends.append(recorded_legend(perceives=self._looked > 0))
        if self._looked:
            legends += detected_legends(self._looked, self._found, self._classes)
        return legends

    def _counts(self) -> list[Fact]:
        refused = sum(self._refusals.values())
        return [
            Fact("anchors", f"{len(self._stamps)}"),
            Fact("plans", f"{len(self._stamps) - refused}"),
            Fact("refusals", f"{refused}"),
        ]

    def _plots(self, timings: Mapping[str, Sequence[float]]) -> list[PageFigure]:
        if not self._stamps:
            return []
        time_s = (np.array(self._stamps) - self._stamps[0]) / SECOND_NS
        names = [reason.value for reason in PlanReason]
        names += sorted({name for name in self._outcomes if name not in names})
        plots = [plot_outcomes(time_s, self._outcomes, names)]
        ego = self._ego_trace()
        if self._plans.kept and ego is not None:
            plots.append(plot_plans(ego, self._plans.kept))
        x, y = self._way.line
        if len(x) > 1:
            plots.append(plot_path(x, y))
        if any(len(ms) for ms in timings.values()):
            plots.append(plot_latency(timings))
        return plots

    def _ego_trace(self) -> EgoTrace | None:
        if not self._ego:
            return None
        ego = sorted(self._ego)
        stamps = np.array([stamp for stamp, _, _ in ego])
        motion = np.array([values for _, *values in ego])
        time_s = (stamps - self._stamps[0]) / SECOND_NS
        return EgoTrace(time_s, motion[:, 0], motion[:, 1], self._ego_source)

    def _missing_tables(self) -> list[PageTable]:
        table = missing_table(self._missing, len(self._stamps))
        return [] if table is None else [table]

    def _refusal_table(self) -> PageTable:
        rows = [(why, detail, str(n)) for (why, detail), n in self._refusals.most_common(MAX_ROWS)]
        left = len(self._refusals) - len(rows)
        note = "none: every anchor has a plan" if not rows else ""
        note = f"{left} rarer ones are in plans.jsonl" if left else note
        columns = ("reason", "detail", "anchors")
        return PageTable("Refusals", columns, tuple(rows), ("anchors",), note)


def missing_table(missing: Mapping[tuple[str, str], int], anchors: int) -> PageTable | None:
    """missing: (camera, reason) -> sets without its picture; None where every set is whole."""
    rows = [
        (camera, reason.replace("_", " "), str(count), f"{100 * count / anchors:.1f}")
        for (camera, reason), count in sorted(missing.items(), key=lambda item: -item[1])
    ]
    columns = ("camera", "reason", "anchors", "% of all")
    return PageTable("Missing images", columns, tuple(rows), columns[2:]) if rows else None


def sampled_note(shown: int, total: int) -> str:
    """How many frames carry pictures, said on the page."""
    if total == 1:
        return "One frame."
    if shown == total:
        return f"All {total} frames."
    return f"{shown} of {total} frames are shown, evenly sampled; the plots use all of them."


def latency_table(timings: Mapping[str, Sequence[float]]) -> PageTable:
    """p50, p90, p99 and maximum per stage [ms]."""
    rows = []
    for name, ms in timings.items():
        if len(ms):
            values = (*np.percentile(ms, [50, 90, 99]), max(ms))
            rows.append((name, str(len(ms)), *(f"{value:.2f}" for value in values)))
    columns = ("stage", "count", "p50 [ms]", "p90 [ms]", "p99 [ms]", "max [ms]")
    inner = any(name.startswith("network") for name in timings)
    note = "The networks' times are parts of perceive and plan." if inner else ""
    return PageTable("Time per stage", columns, tuple(rows), columns[1:], note)


def _overlay(anchor: ReplayAnchor) -> Overlay:
    plan = anchor.outcome if isinstance(anchor.outcome, Plan) else None
    return Overlay(
        boxes=anchor.boxes, plan=plan, intent=anchor.intent, tokens=anchor.tokens,
        area=anchor.area, classes=anchor.classes,
        vehicle=PACIFICA if anchor.rig is None else anchor.rig.vehicle,
    )  # fmt: skip


def paint_anchor(anchor: ReplayAnchor, width: int = MOSAIC_WIDTH) -> tuple[U8, U8]:
    """(mosaic with the trajectory painted in, bird's eye), both RGB. width: of the mosaic [px]."""
    overlay = _overlay(anchor)
    cameras = paint_cameras(anchor.frames, anchor.rig, overlay, width)
    return cameras, paint_bev(overlay, BEV_HEIGHT)


def _paint(time_s: float, anchor: ReplayAnchor, budget: PictureBudget) -> PageFrame:
    cameras, above = (webp(p, budget.quality) for p in paint_anchor(anchor, budget.width))
    return PageFrame(time_s, _caption(anchor), cameras, above, _level(anchor))


def _motion_words(ego: EgoStatus | None) -> str:
    if ego is None or not ego.valid:
        return "no ego motion"
    speed, turn = float(np.hypot(*ego.velocity)), float(np.degrees(ego.yaw_rate))
    return f"{speed:.1f} m/s, yaw rate {turn:+.1f} °/s"


def _level(anchor: ReplayAnchor) -> str:
    if isinstance(anchor.outcome, Refusal):
        return "bad"
    return "ok" if anchor.outcome.reason is PlanReason.BEST_CANDIDATE else "warn"


def _caption(anchor: ReplayAnchor) -> str:
    outcome = anchor.outcome
    words = outcome.reason.value.replace("_", " ")
    seen = ""
    if anchor.area is not None and anchor.tokens is not None:
        seen = f" {detected_words(anchor.tokens, anchor.classes)}"
    if isinstance(outcome, Refusal):
        return f"No plan: {words}. {outcome.detail.rstrip('.')}.{seen}"
    speed = "" if anchor.ego is None else f" at {float(np.hypot(*anchor.ego.velocity)):.1f} m/s"
    intent = "" if anchor.intent is None else f" Intent: {anchor.intent.direction.value}."
    detail = f" {outcome.detail.rstrip('.')}." if outcome.detail else ""
    return f"{words[0].upper()}{words[1:]}{speed}.{detail}{seen}{intent}"


def plan_trace(time_s: float, outcome: Plan | Refusal) -> PlanTrace | None:
    """Planned speed and curvature over time; None for a refusal."""
    if isinstance(outcome, Refusal):
        return None
    poses = np.vstack([np.zeros(3), outcome.trajectory.poses])
    step_s = outcome.trajectory.step_s
    length = step_lengths(poses)
    turn = wrap_angle(np.diff(poses[:, 2]))
    moving = length > SLOW * step_s
    curvature: F64 = np.where(moving, turn / np.where(moving, length, 1.0), np.nan)
    middle = np.asarray(time_s + (np.arange(len(length)) + 0.5) * step_s, np.float64)
    speed = np.asarray(length / step_s, np.float64)
    return PlanTrace(middle, speed, curvature)
