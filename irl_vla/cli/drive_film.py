"""A drive as a film and a page: everything that watches the closed loop and writes it down."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

from rich.progress import BarColumn, Progress, TextColumn

from irl_vla.drive.closed_loop import ClosedLoop, Tick
from irl_vla.evaluation.drive_run import LEAST_POLICY_S, DriveRun
from irl_vla.evaluation.drive_scores import plan_scores
from irl_vla.evaluation.plan_bag import PlanBag
from irl_vla.evaluation.plan_files import plan_line
from irl_vla.evaluation.world_bag import WorldBag
from irl_vla.terminal.console import Console
from irl_vla.terminal.interruption import interruptible
from irl_vla.types import U8
from irl_vla.view.animation import write_webp
from irl_vla.view.drive_page import DrivePageBuilder, DrivePainter
from irl_vla.view.report import Check, Fact, PageTable, Verdict, write_drive_page

RESULTS = ("report.html", "drive.webp", "summary.json", "plans.jsonl", "plans.mcap")
FPS, EVERY = 5.0, 2  # of the animation; ticks per frame


def film(run: DriveRun, folder: Path, banner: str, bag: Path | None = None) -> bool:
    """Drives and writes everything into `folder`; True when somebody pressed Ctrl-C. banner: of the
    page; bag: a rosbag2 to make of what the cameras saw."""
    loop, simulation = run.loop, run.drive.simulation
    painter = DrivePainter(simulation.town, simulation.others.actors, run.rig, loop.path)
    page = DrivePageBuilder(run.drive.name, _page_facts(run.facts), banner)
    with (
        interruptible() as pressed,
        (folder / "plans.jsonl").open("w", encoding="utf-8") as lines,
        PlanBag(folder / "plans.mcap") as plans,
        _recorder(run, bag) as recorder,
        _progress() as bar,
    ):
        task = bar.add_task("driving", total=100.0)

        def frames() -> Iterator[U8]:
            for number, tick in enumerate(run.go()):
                lines.write(plan_line(tick.step) + "\n")
                plans.write(tick.step, loop.core)
                if recorder is not None:
                    recorder.write(tick.moment, list(tick.step.frames.images.values()))
                    recorder.write_plan(tick.step)
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
    _finish(run, folder, page)
    return interrupted


def _recorder(run: DriveRun, bag: Path | None) -> AbstractContextManager[WorldBag | None]:
    if bag is None:
        return nullcontext()
    town, actors = run.drive.simulation.town, run.drive.simulation.others.actors
    return WorldBag(bag, run.rig, town, actors, run.loop.path, run.drive.seed)


def _finish(run: DriveRun, folder: Path, page: DrivePageBuilder) -> None:
    score = run.score()
    scores = plan_scores(run.loop.episode(run.drive.seed), run.ticks)
    summary = run.facts | run.summary(score)
    (folder / "summary.json").write_text(json.dumps(summary, indent=2) + "\n", encoding="utf-8")
    drawn = page.page(verdict_of(summary), [_table(summary)], scores)
    write_drive_page(drawn, folder / "report.html")


def too_short(summary: dict[str, Any]) -> str:
    """Why a drive without a fault is no success."""
    return (
        f"not judged: the expert drives first, and the policy drove only "
        f"{summary['policy_seconds']:g} s; at least {LEAST_POLICY_S:g} s are needed. Ask for a "
        "longer route: --route-length"
    )


def verdict_of(summary: dict[str, Any]) -> Verdict:
    """How it went, in a sentence and a check per number."""
    if not summary["judged"]:
        return Verdict("unknown", too_short(summary), (Check("unknown", "driving", "too short"),))
    level = "ok" if summary["success"] else "bad"
    sentence = (
        f"{summary['ending'].capitalize()} after {summary['seconds']:.0f} s and "
        f"{summary['route_completion']:.0f} % of {summary['route_m']:.0f} m, the policy driving "
        f"for {summary['policy_seconds']:.0f} s: driving score {summary['driving_score']:.0f} of "
        "100."
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
        ("the policy drove", f"{summary['policy_seconds']:g} s"),
        ("success", "yes" if summary["success"] else "no" if summary["judged"] else "not judged"),
        ("efficiency", f"{summary['efficiency']:.0f} % of the traffic's speed"),
        ("comfort", f"{100 * summary['comfort']:.0f} % of 2 s segments"),
        ("comfort by the published script", f"{100 * summary['comfort_published']:.0f} %"),
    )
    note = "Bench2Drive's formulas; a collision ends the drive, whoever is at fault."
    return PageTable("Results of the drive", ("measure", "value"), rows, ("value",), note)


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
