"""One drive in the built-in world: the closed loop, and everything that watches and judges it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn

from irl_vla.camera.rig import Rig, load_rig
from irl_vla.cli.interruption import interruptible
from irl_vla.drive.assemble import policy_stack_from_bundle
from irl_vla.drive.closed_loop import ClosedLoop, Tick
from irl_vla.drive.core import CoreConfig, DrivingCore
from irl_vla.engine.bundle import Bundle
from irl_vla.evaluation.drive_scores import plan_scores
from irl_vla.evaluation.plan_bag import PlanBag
from irl_vla.evaluation.plan_files import plan_line
from irl_vla.evaluation.world_bag import WorldBag
from irl_vla.scoring.bench2drive import efficiencies, succeeded
from irl_vla.shipped import shipped
from irl_vla.types import U8, Plan
from irl_vla.view.animation import write_webp
from irl_vla.view.drive_page import DrivePageBuilder, DrivePainter
from irl_vla.view.legend import banner_of
from irl_vla.view.report import Check, Fact, PageTable, Verdict, write_drive_page
from irl_vla.world.infractions import DriveScore
from irl_vla.world.render.renderer import Quality, Renderer
from irl_vla.world.routes import RoutePath
from irl_vla.world.simulation import Simulation

RESULTS = ("report.html", "drive.webp", "summary.json", "plans.jsonl", "plans.mcap")
FPS, EVERY = 5.0, 2  # of the animation; ticks per frame
DEFAULT_RIG = "calibration/rigs/tiny3.yaml"


@dataclass(frozen=True)
class DriveRequest:
    """What is to be driven. name: for titles; route_m: length, or None: as far as the route goes;
    animate: ."""

    name: str
    simulation: Simulation
    seed: int
    route_m: float | None = None
    quality: Quality = "plain"


@dataclass
class DriveRun:
    """One drive and what came of it."""

    drive: DriveRequest
    loop: ClosedLoop
    rig: Rig
    facts: dict[str, Any]
    banner: str
    ticks: list[Tick] = field(default_factory=list)  # without their pictures

    @staticmethod
    def prepare(drive: DriveRequest, bundle: Bundle, rig: Path | None) -> DriveRun:
        """Everything that can fail fails here, before anything is written."""
        cameras = load_rig(rig or shipped(DEFAULT_RIG))
        core = DrivingCore(policy_stack_from_bundle(bundle), cameras, CoreConfig(seed=drive.seed))
        simulation = drive.simulation
        assert simulation.driver is not None
        path = RoutePath.of(simulation.town, simulation.driver.route)
        render = Renderer(
            simulation.town, simulation.others.actors, cameras, drive.seed, drive.quality
        ).render
        loop = ClosedLoop(simulation, path, core, render, drive.route_m)
        manifest = bundle.manifest
        facts = {
            "drive": drive.name, "seed": drive.seed, "town": simulation.town.name,
            "bundle": manifest.name, "bundle_id": bundle.id, "trained": manifest.trained,
            "rig": cameras.name, "cameras": list(cameras.names),
            "route_m": round(loop.monitor.distance_m, 1),
        }  # fmt: skip
        return DriveRun(drive, loop, cameras, facts, banner_of(manifest.kind, manifest.trained))

    def go(self) -> Iterator[Tick]:
        """The ticks, each remembered without its pictures."""
        for tick in self.loop.ticks():
            self.ticks.append(tick.without_pictures())
            yield tick

    def score(self) -> DriveScore:
        """What it is worth so far."""
        return self.loop.monitor.score(self.drive.name)

    def film(self, folder: Path, bag: Path | None = None) -> bool:
        """Drives and writes everything into `folder`; True when somebody pressed Ctrl-C. bag: a
        rosbag2 to make of what the cameras saw."""
        loop, simulation = self.loop, self.drive.simulation
        painter = DrivePainter(simulation.town, simulation.others.actors, self.rig, loop.path)
        page = DrivePageBuilder(self.drive.name, _page_facts(self.facts), self.banner)
        with (
            interruptible() as pressed,
            (folder / "plans.jsonl").open("w", encoding="utf-8") as lines,
            PlanBag(folder / "plans.mcap") as plans,
            self._recorder(bag) as recorder,
            _progress() as bar,
        ):
            task = bar.add_task("driving", total=100.0)

            def frames() -> Iterator[U8]:
                for number, tick in enumerate(self.go()):
                    lines.write(plan_line(tick.step) + "\n")
                    plans.write(tick.step, loop.core)
                    if recorder is not None:
                        recorder.write(tick.moment, list(tick.step.frames.images.values()))
                    look = painter.paint(tick)
                    page.add(tick, look)
                    done = loop.monitor.completed * 100.0
                    bar.update(task, completed=done, description=_where(tick, loop))
                    if number % EVERY == 0:
                        yield look.together()
                    if pressed.is_set():
                        loop.stop()
                        return

            write_webp(folder / "drive.webp", frames(), FPS)
            interrupted = pressed.is_set()
        self._finish(folder, page)
        return interrupted

    def _recorder(self, bag: Path | None) -> AbstractContextManager[WorldBag | None]:
        if bag is None:
            return nullcontext()
        town, actors = self.drive.simulation.town, self.drive.simulation.others.actors
        return WorldBag(bag, self.rig, town, actors, self.loop.path)

    def _finish(self, folder: Path, page: DrivePageBuilder) -> None:
        score = self.score()
        scores = plan_scores(self.loop.episode(self.drive.seed), self.ticks)
        summary = self.facts | self.summary(score)
        (folder / "summary.json").write_text(json.dumps(summary, indent=2) + "\n", encoding="utf-8")
        animation = (folder / "drive.webp").read_bytes()
        drawn = page.page(verdict_of(summary), [_table(summary)], scores, animation)
        write_drive_page(drawn, folder / "report.html")

    def summary(self, score: DriveScore) -> dict[str, Any]:
        """The numbers of a drive."""
        record, loop = score.record, self.loop
        return {
            "ending": loop.ending.value if loop.ending else "",
            "route_completion": record.route_percent,
            "driving_score": record.composed,
            "success": succeeded(record),
            "efficiency": efficiencies([record])[1],
            "comfort": score.comfort,
            "comfort_published": score.comfort_published,
            "seconds": round(len(self.ticks) / 10.0, 1),
            "plans": sum(isinstance(t.step.outcome, Plan) for t in self.ticks),
            "refusals": sum(not isinstance(t.step.outcome, Plan) for t in self.ticks),
            "infractions": {kind: list(found) for kind, found in record.infractions.items()},
        }


def verdict_of(summary: dict[str, Any]) -> Verdict:
    """How it went, in a sentence and a check per number."""
    level = "ok" if summary["success"] else "bad"
    sentence = (
        f"{summary['ending'].capitalize()} after {summary['seconds']:.0f} s and "
        f"{summary['route_completion']:.0f} % of {summary['route_m']:.0f} m: "
        f"driving score {summary['driving_score']:.0f} of 100."
    )
    checks = []
    for kind, found in summary["infractions"].items():
        if kind == "min_speed_infractions":
            continue
        checks += [Check("bad", kind.replace("_", " "), text) for text in found]
    if not checks:
        checks = [Check("ok", "infractions", "none")]
    return Verdict(level, sentence, tuple(checks))


def _table(summary: dict[str, Any]) -> PageTable:
    rows = (
        ("route completion", f"{summary['route_completion']:.1f} %"),
        ("driving score", f"{summary['driving_score']:.1f}"),
        ("success", "yes" if summary["success"] else "no"),
        ("efficiency", f"{summary['efficiency']:.0f} % of the traffic's speed"),
        ("comfort", f"{100 * summary['comfort']:.0f} % of 2 s pieces"),
        ("comfort, as the published script counts", f"{100 * summary['comfort_published']:.0f} %"),
    )
    note = "Bench2Drive's formulas; a collision ends the drive, whoever is to blame."
    return PageTable("What the drive is worth", ("measure", "value"), rows, ("value",), note)


def _page_facts(facts: dict[str, Any]) -> list[Fact]:
    return [
        Fact("policy", facts["bundle"]),
        Fact("bundle", facts["bundle_id"][:12]),
        Fact("town", facts["town"]),
        Fact("rig", f"{facts['rig']}, {len(facts['cameras'])} cameras"),
        Fact("route", f"{facts['route_m']:.0f} m"),
        Fact("seed", str(facts["seed"])),
    ]


def _where(tick: Tick, loop: ClosedLoop) -> str:
    speed = float(tick.moment.ego[3]) * 3.6
    count = len(loop.monitor.infraction_monitor.infractions)
    return f"driving, {count} infractions, {speed:3.0f} km/h"


def _progress() -> Progress:
    return Progress(
        TextColumn("{task.description}"), BarColumn(),
        TextColumn("{task.percentage:3.0f} % of the route"),
        console=Console(stderr=True), transient=True,
    )  # fmt: skip
