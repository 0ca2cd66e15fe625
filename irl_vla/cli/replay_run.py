"""One replay: the loop, and everything that watches it and writes it down."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from irl_vla.bag.bag_info import BagInfo, anchor_hint, expected_sets
from irl_vla.bag.drive_record import (
    DriveRecord,
    read_drive_record,
    refuse_other_calibration,
)
from irl_vla.bag.recorded_inputs import RecordedInputs, read_recorded_inputs, rig_as_driven
from irl_vla.bag.source import Source
from irl_vla.camera.rig import Rig
from irl_vla.cli.followed import FollowCheck, read_followed
from irl_vla.cli.show import given_rig
from irl_vla.drive.assemble import policy_stack_from_bundle
from irl_vla.drive.core import CoreConfig, DrivingCore
from irl_vla.drive.stack import PolicyStack
from irl_vla.drive.step import Step
from irl_vla.engine.bundle import Bundle
from irl_vla.evaluation.foxglove_layout import foxglove_layout
from irl_vla.evaluation.plan_bag import PlanBag
from irl_vla.evaluation.plan_files import Tally, plan_line
from irl_vla.evaluation.replay_loop import ReplayLoop
from irl_vla.evaluation.rerun_file import RerunFile
from irl_vla.messages.events import Event
from irl_vla.messages.notices import folded
from irl_vla.messages.topic_roles import Role
from irl_vla.messages.topics import CameraTopics
from irl_vla.terminal.console import Console
from irl_vla.terminal.interruption import interruptible
from irl_vla.types import CameraImage, EgoMotion, InputError, IntentDirection, Plan
from irl_vla.view.drawing import png
from irl_vla.view.legend import banner_of
from irl_vla.view.recording_judge import RecordingJudge
from irl_vla.view.replay_page import ReplayAnchor, ReplayPageBuilder, paint_anchor
from irl_vla.view.report import Fact, Verdict, write_replay_page

RESULTS = (
    "plans.jsonl", "plans.mcap", "summary.json", "first.png", "report.html", "foxglove.json",
)  # fmt: skip
BAGS = ("mcap", "sqlite3", "rosbag1")  # storages that may hold a recorded drive
SHOWN_REASONS = 4  # in the sentence that says why nothing could be replayed
READ_ROLES = (Role.CAMERA, Role.CAMERA_INFO, Role.ODOMETRY, Role.TF, Role.INTENT, Role.BOXES)


@dataclass(frozen=True, kw_only=True)
class ReplayOptions:
    """What a user may choose. follow: a bag with plans whose schedule is repeated; anchor: camera
    that sets are built around; rerun: file to write for that viewer, too.

    follow_tolerance: metres by which its plans may differ; None: not a bit
    """

    rig: Path | None = None
    intent: IntentDirection | None = None
    seed: int | None = None
    follow: Path | None = None
    follow_tolerance: float | None = None
    anchor: str | None = None
    rerun: Path | None = None


@dataclass
class ReplayRun:
    """One replay: the loop and everything that watches it."""

    info: BagInfo
    loop: ReplayLoop
    facts: dict[str, Any]
    page: ReplayPageBuilder
    judge: RecordingJudge
    follow_check: FollowCheck | None = None
    viewer: RerunFile | None = None
    tally: Tally = field(default_factory=Tally)
    picture: bytes | None = None  # of the first plan, else of the first refusal
    picture_of_plan: bool = False
    warnings: list[str] = field(default_factory=list)  # known when the drive is over

    @staticmethod
    def prepare(source: Source, bundle: Bundle, options: ReplayOptions) -> ReplayRun:
        """Everything that can fail fails here, before anything is written."""
        info = source.info()
        if not info.cameras:
            raise InputError(f"{info.path}: there is nothing to replay: " + "; ".join(info.missing))
        record = drive_record_of(info)
        used = given_rig(options.rig, info) if options.rig else recorded_rig(source, record, info)
        driven: dict[int, RecordedInputs] = {}
        seed = options.seed if options.seed is not None else record.seed if record else 0
        check: FollowCheck | None = None
        stack: PolicyStack | None = None
        if options.follow is not None:
            followed = read_followed(options.follow)
            stack = policy_stack_from_bundle(bundle, variants=followed.variants(bundle))
            if options.follow_tolerance is None:
                followed.refuse_other_backend(stack.model)
            seed, check = followed.seed, FollowCheck(followed, options.follow_tolerance)
            driven = read_recorded_inputs(options.follow, seed)
            used = rig_as_driven(used, driven)
        core = DrivingCore(stack or policy_stack_from_bundle(bundle), used, CoreConfig(seed=seed))
        facts = {
            "recording": source.name,
            "bundle": bundle.manifest.name,
            "bundle_id": bundle.id,
            "trained": bundle.manifest.trained,
            "rig": used.name,
            "cameras": list(used.names),
            "ego_motion": info.motion,
            "seed": seed,
        }
        follow = {} if check is None else check.followed.schedules
        loop = ReplayLoop(
            core, options.intent, options.rig is not None, options.anchor, follow, driven
        )
        manifest = bundle.manifest
        banner = banner_of(manifest.kind, manifest.trained, manifest.training_run)
        page = ReplayPageBuilder(
            source.name, _page_facts(facts), banner=banner,
            expected=expected_sets(info, options.anchor or used.names[0]),
        )  # fmt: skip
        viewer = None if options.rerun is None else RerunFile(options.rerun, used)
        return ReplayRun(info, loop, facts, page, RecordingJudge(info, used), check, viewer)

    def drive(self, source: Source, folder: Path) -> bool:
        """Replay into `folder`; True when somebody pressed Ctrl-C (the results are valid). Raises
        InputError where no frame set came of the recording."""
        with (
            interruptible() as pressed,
            (folder / "plans.jsonl").open("w", encoding="utf-8") as lines,
            PlanBag(folder / "plans.mcap") as plans,
            _progress(self.info) as advance,
            self.viewer or nullcontext(),
        ):
            for event, step in self.loop.steps(source.events()):
                if step is not None:
                    lines.write(plan_line(step) + "\n")
                    plans.write(step, self.loop.core)
                    if self.viewer is not None:
                        self.viewer.write(step, self.loop.core)
                    self._watch(step, source)
                if event is not None:
                    self._judge(event)
                    advance(self.tally)
                if pressed.is_set():
                    break
            interrupted = pressed.is_set()
        if self.follow_check is not None and not interrupted:
            self.follow_check.finish()
        self.warnings = self._heard(source)
        if not self.tally.frames and not interrupted:
            why = "; ".join(self.warnings[:SHOWN_REASONS]) or "its cameras gave no picture"
            raise InputError(f"{self.info.path}: there is nothing to replay: {why}")
        self._finish(folder, interrupted)
        return interrupted

    def _judge(self, event: Event) -> None:
        if isinstance(event, CameraImage):
            self.judge.add_image(event)
        elif isinstance(event, EgoMotion):
            self.judge.add_motion(event)

    def _topics(self) -> dict[str, CameraTopics]:
        """Of the cameras that were driven with; a recording without topics has none."""
        parts = [t for t in self.info.topics if t.camera in self.loop.core.rig.names]
        infos = {t.camera: t.name for t in parts if t.role is Role.CAMERA_INFO}
        return {
            t.camera: CameraTopics(t.name, infos.get(t.camera))
            for t in parts if t.role is Role.CAMERA and t.camera
        }  # fmt: skip

    @property
    def verdict(self) -> Verdict:
        """Of the recording, as `irl-vla show` gives it."""
        return self.judge.verdict()

    @property
    def lost(self) -> int:
        """Pictures and messages that could not be used."""
        return max(self.loop.lost, sum(
            count for what, count in self.tally.missing.items() if what.endswith(": bad_image")
        ))  # fmt: skip

    @property
    def failed(self) -> bool:
        """Whether something of the recording could not be used: pictures, messages, or the ego
        motion that it has and that gave no plan."""
        unused = self.info.motion != "" and not sum(self.tally.plans.values())
        return bool(self.lost) or unused

    def _heard(self, source: Source) -> list[str]:
        """What a person should know: of the recording, of the rig, of what happened on the way."""
        rig = self.loop.core.rig
        about = _warnings(source.info(), rig, self.loop.rig_is_given)
        hints = anchor_hint(self.info, rig.names, self.loop.anchor or rig.names[0])
        return [*about, *hints, *folded(self.loop.notices)]

    def _watch(self, step: Step, source: Source) -> None:
        self.tally.add(step)
        if self.follow_check is not None:
            self.follow_check.add(step)
        stamp, core = step.outcome.anchor_stamp_ns, self.loop.core
        place = core.history.pose(stamp, step.ego.measured_ns) if step.ego.valid else None
        anchor = ReplayAnchor(
            step.frames,
            self.loop.core.rig,
            step.outcome,
            step.ego if step.ego.valid else None,
            source.boxes_at(step.outcome.anchor_stamp_ns) if self.page.wants_pictures() else None,
            step.intent,
            step.tokens,
            self.loop.core.stack.perception.area,
            self.loop.core.stack.classes,
            place,
        )
        planned = isinstance(step.outcome, Plan)
        if step.frames.images and (self.picture is None or (planned and not self.picture_of_plan)):
            self.picture, self.picture_of_plan = png(paint_anchor(anchor)[0]), planned
        self.judge.add_boxes(anchor.boxes)
        self.page.add(anchor)

    def _finish(self, folder: Path, interrupted: bool) -> None:
        facts = {
            **self.facts, "interrupted": interrupted, "verdict": self.verdict.answer,
            "verdict_sentence": self.verdict.sentence, "lost": self.lost, "warnings": self.warnings,
        }  # fmt: skip
        summary = json.dumps(self.tally.summary(facts), indent=2)
        (folder / "summary.json").write_text(summary + "\n", encoding="utf-8")
        layout = foxglove_layout(self._topics())
        (folder / "foxglove.json").write_text(layout + "\n", encoding="utf-8")
        if self.picture is not None:
            (folder / "first.png").write_bytes(self.picture)
        page = replace(
            self.page.page(self.tally.timings_ms), warnings=tuple(self.warnings),
            verdict=self.verdict,
        )  # fmt: skip
        write_replay_page(page, folder / "report.html")


def drive_record_of(info: BagInfo) -> DriveRecord | None:
    """What a recorded drive says of itself, if the recording is one."""
    return read_drive_record(Path(info.path)) if info.storage in BAGS else None


def recorded_rig(source: Source, record: DriveRecord | None, info: BagInfo) -> Rig:
    """The rig of the drive to the last bit where the recording has it, else that of its CameraInfo
    and tf. Raises InputError where there is none, or the two disagree."""
    rebuilt = source.rig()
    if record is None:
        return rebuilt
    rig = record.rig()
    refuse_other_calibration(rig, rebuilt, info.path)
    return rig


def _warnings(info: BagInfo, rig: Rig, given: bool) -> list[str]:
    """given: the rig is of a file, so what the recording lacks of calibration does not matter."""
    missing = [text for text in info.missing if not (given and "--rig" in text)]
    absent = [
        f"camera '{name}' of the rig is not in the recording"
        for name in rig.names
        if name not in info.cameras
    ]
    unused = [
        f"camera '{name}' of the recording is not in the rig; it is not used"
        for name in info.cameras
        if name not in rig.names
    ]
    return [*info.warnings, *missing, *absent, *unused]


def _page_facts(facts: dict[str, Any]) -> list[Fact]:
    return [
        Fact("policy", facts["bundle"]),
        Fact("bundle", facts["bundle_id"][:12]),
        Fact("rig", f"{facts['rig']}, {len(facts['cameras'])} cameras"),
        Fact("ego motion", facts["ego_motion"] or "none"),
        Fact("seed", str(facts["seed"])),
    ]


class _progress:
    """A bar over the messages, with what has happened so far."""

    def __init__(self, info: BagInfo) -> None:
        total = sum(topic.count for topic in info.topics if topic.role in READ_ROLES)
        self._bar = Progress(
            TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn(),
            console=Console(stderr=True), transient=True,
        )  # fmt: skip
        self._task = self._bar.add_task("driving", total=total or None)

    def __enter__(self) -> Callable[[Tally], None]:
        self._bar.start()
        return self._advance

    def _advance(self, tally: Tally) -> None:
        plans, refusals = sum(tally.plans.values()), sum(tally.refusals.values())
        self._bar.update(self._task, advance=1, description=f"{plans} plans, {refusals} refusals")

    def __exit__(self, *_: object) -> None:
        self._bar.stop()
