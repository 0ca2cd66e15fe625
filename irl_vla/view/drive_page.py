"""A drive in the built-in world: what the cameras saw and what happened, as pictures and as a page.

In: one Tick after the other, then what the drive is worth   Out: animation frames, DrivePage
May import: everything but cli.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np

from irl_vla.camera.rig import Rig
from irl_vla.drive.closed_loop import Tick, driven
from irl_vla.frames import rigid_from_pose
from irl_vla.scoring.scene import HEADING, OMEGA, VX, X, Y
from irl_vla.types import F64, U8, FrameSet, Plan, Refusal
from irl_vla.view.drawing import webp
from irl_vla.view.driven_way import DrivenWay
from irl_vla.view.frame import Overlay, paint_cameras
from irl_vla.view.legend import plan_legend
from irl_vla.view.plots import (
    MAX_FANS,
    EgoTrace,
    PlanTrace,
    plot_latency,
    plot_path,
    plot_plans,
)
from irl_vla.view.replay_page import EvenSample, latency_table, plan_trace, sampled_note
from irl_vla.view.report import DrivePage, Fact, PageFrame, PageTable, Verdict
from irl_vla.view.score_plot import plot_scores
from irl_vla.view.town import TownOverlay, TownPainter
from irl_vla.world.episode import Actors
from irl_vla.world.routes import RoutePath
from irl_vla.world.town import Town

CAMERAS_WIDTH, ABOVE_WIDTH, HEIGHT = 800, 480, 640  # [px] of an animation frame's parts
ABOVE_SCALE = 6.0  # [px/m]
AHEAD_M, BEHIND_M = 90.0, 25.0  # of the route that is drawn
LOOK_AHEAD_M = 14.0  # the view from above is centred so far in front of the ego
# A page of PAGE_FRAMES moments is smaller than 5 MB. Both: width [px], quality of WebP 0..100.
PAGE_FRAMES, PAGE_CAMERAS, PAGE_ABOVE = 180, (640, 28), (400, 22)
TICK_NS = 100_000_000  # between ticks
SIZE_NOTE = " They are stored small, so that the page stays below 5 MB; drive.webp is finer."
PLAN_STEP_S = 0.5  # between poses of a plan


@dataclass(frozen=True)
class TickPictures:
    """One tick as pictures. cameras: (h, CAMERAS_WIDTH, 3); above: (HEIGHT, ABOVE_WIDTH, 3)."""

    cameras: U8
    above: U8

    def together(self) -> U8:
        """(HEIGHT, CAMERAS_WIDTH + ABOVE_WIDTH, 3), one frame of an animation."""
        frame = np.full((HEIGHT, CAMERAS_WIDTH + ABOVE_WIDTH, 3), 17, np.uint8)
        cameras = self.cameras
        if cameras.shape[0] > HEIGHT:
            width = round(cameras.shape[1] * HEIGHT / cameras.shape[0])
            cameras = cv2.resize(cameras, (width, HEIGHT), interpolation=cv2.INTER_AREA)
        top = (HEIGHT - cameras.shape[0]) // 2
        left = (CAMERAS_WIDTH - cameras.shape[1]) // 2
        frame[top : top + cameras.shape[0], left : left + cameras.shape[1]] = cameras
        frame[:, CAMERAS_WIDTH:] = self.above
        return frame


class DrivePainter:
    """Paints the ticks of one drive: the front camera large, the others below, the town beside."""

    def __init__(self, town: Town, actors: Actors, rig: Rig, path: RoutePath) -> None:
        self.rig, self.path = rig, path
        self._above = TownPainter(
            town, actors, rig.vehicle, width=ABOVE_WIDTH, height=HEIGHT, scale=ABOVE_SCALE
        )
        facing = [float(np.arctan2(*camera.ego_from_cam[[1, 0], 2])) for camera in rig.cameras]
        self._front = rig.cameras[int(np.argmin(np.abs(facing)))].name

    def paint(self, tick: Tick) -> TickPictures:
        """See TickPictures."""
        return TickPictures(self._cameras(tick), self._town(tick))

    def _cameras(self, tick: Tick) -> U8:
        plan = tick.step.outcome if isinstance(tick.step.outcome, Plan) else None
        overlay = Overlay(plan=plan, intent=tick.step.intent, vehicle=self.rig.vehicle)
        rows = []
        for front in (True, False):
            names = [c.name for c in self.rig.cameras if (c.name == self._front) == front]
            if names:
                rows.append(self._row(tick.step.frames, names, overlay))
        return np.vstack(rows)

    def _row(self, frames: FrameSet, names: Sequence[str], overlay: Overlay) -> U8:
        images = {name: frames.images[name] for name in names if name in frames.images}
        missing = {name: frames.missing[name] for name in names if name in frames.missing}
        cameras = tuple(camera for camera in self.rig.cameras if camera.name in names)
        picture = paint_cameras(
            replace(frames, images=images, missing=missing), replace(self.rig, cameras=cameras),
            overlay, CAMERAS_WIDTH,
        )  # fmt: skip
        height = round(picture.shape[0] * CAMERAS_WIDTH / picture.shape[1])
        if picture.shape[1] == CAMERAS_WIDTH:
            return picture
        return np.asarray(
            cv2.resize(picture, (CAMERAS_WIDTH, height), interpolation=cv2.INTER_AREA), np.uint8
        )

    def _town(self, tick: Tick) -> U8:
        moment, outcome = tick.moment, tick.step.outcome
        pose = moment.ego[[X, Y, HEADING]]
        s, _ = self.path.place(pose)
        wanted = driven(outcome)
        plans: F64 = np.zeros((0, 8, 3)) if wanted is None else wanted.poses[None]
        if isinstance(outcome, Plan):
            plans = np.concatenate([plans, outcome.candidates.poses])
        overlay = TownOverlay(
            route=self.path.between(s - BEHIND_M, s + AHEAD_M)[:, :2], plans=plans,
            chosen=0 if len(plans) else None,
            note="" if tick.driving else "expert drives",
        )  # fmt: skip
        axis = np.array([np.cos(pose[2]), np.sin(pose[2])])
        return self._above.paint(moment, pose[:2] + LOOK_AHEAD_M * axis, overlay)


class DrivePageBuilder:
    """Takes ticks with their pictures, keeps a bounded number, and the numbers of all."""

    def __init__(self, title: str, facts: Sequence[Fact], banner: str) -> None:
        self._title, self._facts, self._banner = title, tuple(facts), banner
        self._frames = EvenSample[tuple[int, PageFrame]](PAGE_FRAMES)
        self._plans = EvenSample[PlanTrace](MAX_FANS)
        self._ego: list[tuple[float, float, float]] = []
        self._places: list[tuple[float, float]] = []
        self._way = DrivenWay()
        self._poses: dict[int, F64] = {}  # tick -> its plan
        self._timings: dict[str, list[float]] = {}

    def add(self, tick: Tick, look: TickPictures) -> None:
        """The next tick."""
        ego, step = tick.moment.ego, tick.step
        time_s = len(self._ego) / 10.0
        self._ego.append((time_s, float(ego[VX]), float(ego[OMEGA])))
        self._places.append((float(ego[X]), float(ego[Y])))
        self._way.add((len(self._ego) - 1) * TICK_NS, rigid_from_pose(ego[[X, Y, HEADING]]))
        if isinstance(step.outcome, Plan):
            self._poses[len(self._ego) - 1] = step.outcome.trajectory.poses
        for stage, ms in step.timings_ms.items():
            self._timings.setdefault(stage, []).append(ms)
        self._plans.offer(plan_trace(time_s, step.outcome) if self._plans.wants_next() else None)
        frame = None
        if self._frames.wants_next():
            frame = PageFrame(
                time_s, _caption(tick), _on_page(look.cameras, *PAGE_CAMERAS),
                _on_page(look.above, *PAGE_ABOVE), _level(tick), motion=_motion_words(tick),
            )  # fmt: skip
        self._frames.offer(None if frame is None else (len(self._ego) - 1, frame))

    def _words(self, index: int) -> str:
        """How far the plan of a tick was from the way that was driven then."""
        plan = self._poses.get(index)
        return "" if plan is None else self._way.words(index * TICK_NS, plan, PLAN_STEP_S)

    def page(
        self,
        verdict: Verdict,
        tables: Sequence[PageTable],
        scores: Mapping[int, Mapping[str, float]],
        warnings: Sequence[str] = (),
    ) -> DrivePage:
        """scores: tick -> name -> sub-score of the plan made then, where its 4 s were driven."""
        frames = [
            replace(
                frame, caption=frame.caption + score_words(scores.get(index)) + self._words(index),
                number=index + 1, place=self._places[index],
            )
            for index, frame in self._frames.kept
        ]  # fmt: skip
        time_s, speed, yaw_rate = np.array(self._ego).T
        plots = [plot_plans(EgoTrace(time_s, speed, yaw_rate, "world"), self._plans.kept)]
        if scores:
            plots.insert(0, plot_scores(np.array(sorted(scores)) / 10.0, _columns(scores)))
        if self._way.moved:
            plots.append(plot_path(*self._way.line))
        plots.append(plot_latency(self._timings))
        return DrivePage(
            self._title, self._facts, verdict, self._banner,
            legends=(plan_legend(),), frames=tuple(frames),
            frames_note=sampled_note(len(frames), self._frames.seen) + SIZE_NOTE,
            plots=tuple(plots), tables=(*tables, latency_table(self._timings)),
            warnings=tuple(warnings),
        )  # fmt: skip


def _on_page(picture: U8, width: int, quality: int) -> bytes:
    """WebP of a picture as wide as a page carries it."""
    height = round(picture.shape[0] * width / picture.shape[1])
    return webp(np.asarray(cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA),
                           np.uint8), quality)  # fmt: skip


def _columns(scores: Mapping[int, Mapping[str, float]]) -> dict[str, F64]:
    names = list(next(iter(scores.values())))
    return {name: np.array([scores[k][name] for k in sorted(scores)]) for name in names}


def score_words(scores: Mapping[str, float] | None) -> str:
    """A sentence on one plan's sub-scores: the total, and what lost points."""
    if scores is None:
        return ""
    lost = [f"{name.upper()} {value:.2f}" for name, value in scores.items() if value < 1.0]
    lost = [words for words in lost if not words.startswith("EPDMS")]
    total = scores["epdms"]
    return f" EPDMS {total:.2f}" + (f" ({', '.join(lost)})." if lost else ".")


def _motion_words(tick: Tick) -> str:
    ego = tick.moment.ego
    return f"{float(ego[VX]):.1f} m/s, yaw rate {np.degrees(float(ego[OMEGA])):+.1f} °/s"


def _level(tick: Tick) -> str:
    outcome = tick.step.outcome
    if isinstance(outcome, Refusal):
        return "bad"
    return "ok" if outcome.reason.value == "best_candidate" else "warn"


def _caption(tick: Tick) -> str:
    outcome = tick.step.outcome
    who = "" if tick.driving else "The expert drives, the policy watches. "
    words = outcome.reason.value.replace("_", " ")
    if isinstance(outcome, Refusal):
        return f"{who}No plan: {words}. {outcome.detail.rstrip('.')}."
    detail = f" {outcome.detail.rstrip('.')}." if outcome.detail else ""
    speed = float(tick.moment.ego[VX]) * 3.6
    intent = tick.step.intent.direction.value
    return f"{who}{words.capitalize()} at {speed:.0f} km/h.{detail} Intent: {intent}."
