"""`irl-vla show`: look at a recording before anything drives on it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from irl_vla.bag.bag_info import BagInfo
from irl_vla.bag.source import Source, open_source
from irl_vla.camera.rig import Rig, load_rig
from irl_vla.cli.recording_options import Anchor, CameraDelay, Odometry, TopicsFile, delay_ns
from irl_vla.cli.show_world import drives_of, show_world
from irl_vla.drafts import refuse_unwritable
from irl_vla.messages.events import Notice
from irl_vla.messages.topic_roles import Role
from irl_vla.paths import file_name
from irl_vla.terminal.console import Console
from irl_vla.terminal.interruption import interruptible
from irl_vla.types import CameraImage, EgoMotion, InputError
from irl_vla.view.drawing import png
from irl_vla.view.recording_judge import checks_content
from irl_vla.view.report import ShowPage, replace_file, write_show_page
from irl_vla.view.show_page import ShowBuilder

EXIT_FAILURES = 4
OPTIONS_OF = {  # kind of source -> options that say something to it
    "a recording": {"rig", "topics", "odometry", "camera_delay_ms", "anchor"},
    "a world or scenario": {"animate"},
    "scoring scenes": {"scene", "trajectory"},
    "a NAVSIM token": {"navsim"},
}
EVENT_ROLES = (Role.CAMERA, Role.ODOMETRY, Role.TF, Role.INTENT, Role.BOXES)


def show(
    ctx: typer.Context,
    source: Annotated[
        Path,
        typer.Argument(
            help="rosbag; DGP, nuScenes or comma2k19 folder; scoring scenes (.json, .json.gz); "
            "world:SEED or world:FIRST:END of the built-in world; situation:NAME:SEED; a scenario "
            "of ScenarioNet (.pkl) or CommonRoad (.xml); with --navsim a token"
        ),
    ],
    rig: Annotated[
        Path | None,
        typer.Option(
            dir_okay=False, help="calibration to use instead of the recording's own (YAML)"
        ),
    ] = None,
    topics: TopicsFile = None,
    odometry: Odometry = None,
    camera_delay_ms: CameraDelay = 0.0,
    anchor: Anchor = None,
    out: Annotated[
        Path | None, typer.Option(help="folder for the results; default: out/show/NAME")
    ] = None,
    navsim: Annotated[
        Path | None, typer.Option(help="folder of NAVSIM data; the source is then a token")
    ] = None,
    scene: Annotated[str | None, typer.Option(help="for scoring scenes: id of one")] = None,
    trajectory: Annotated[
        Path | None, typer.Option(help="for scoring scenes: a plan (8, 3) (.npz or .json)")
    ] = None,
    animate: Annotated[
        bool, typer.Option("--animate", help="for worlds and scenarios: also a WebP animation")
    ] = False,
) -> None:
    """Draw a recording: cameras with ground grid and boxes, timing, ego motion, calibration, or,
    for the built-in world and for scenarios, the town and the drive from above."""
    if navsim is not None:
        _refuse_idle(ctx, "a NAVSIM token")
        from irl_vla.cli.navsim_show import show_navsim  # with pyarrow and pyproj

        picture = None if out is None else out / file_name(str(source), ending=".png")
        typer.echo(f"wrote  {show_navsim(navsim, str(source), picture)}")
        return
    drives = drives_of(source)
    if drives is not None:
        _refuse_idle(ctx, "a world or scenario")
        folder = out or Path("out") / "show" / drives.name
        refuse_unwritable(folder)
        _say_written(show_world(drives, folder, animate))
        return
    if source.name.endswith((".json", ".json.gz")):
        _refuse_idle(ctx, "scoring scenes")
        from irl_vla.cli.explain import explain  # with matplotlib

        explain(source, scene, None, trajectory, out or Path("out/show"))
        return
    _refuse_idle(ctx, "a recording")
    folder = out or Path("out") / "show" / source.resolve().stem
    delay = delay_ns(camera_delay_ms)
    with open_source(source, topics, odometry=odometry, camera_delay_ns=delay) as recording:
        info = recording.info()
        refuse_unwritable(folder)
        builder, interrupted = _look(recording, info, rig, anchor)
        page = builder.page(recording.info().warnings)
    _write(folder, builder, page, info, interrupted)
    if interrupted:
        raise typer.Exit(130)
    if builder.lost:
        raise typer.Exit(EXIT_FAILURES)


def _refuse_idle(ctx: typer.Context, kind: str) -> None:
    """Options that say nothing to this kind of source. Raises InputError."""
    for name in sorted(set().union(*OPTIONS_OF.values()) - OPTIONS_OF[kind]):
        given = ctx.get_parameter_source(name)
        if given is not None and given.name == "COMMANDLINE":
            kinds = " and ".join(k for k, names in OPTIONS_OF.items() if name in names)
            option = f"--{name.replace('_', '-')}"
            raise InputError(f"{option}: does nothing with {kind}, it is for {kinds}; leave it out")


def _write(
    folder: Path, builder: ShowBuilder, page: ShowPage, info: BagInfo, interrupted: bool
) -> None:
    """All results, and what came of it in the terminal."""
    paths = [folder / name for name in ("contact_sheet.png", "show.html", "checks.json")]
    sheet, html, checks = paths
    replace_file(sheet, png(builder.sheet()))
    write_show_page(page, html)
    warnings = [*page.warnings, *page.missing]
    content = checks_content(page.verdict, warnings, info.topics)
    replace_file(checks, (json.dumps(content, indent=2) + "\n").encode())
    _say(page, paths, interrupted, builder.lost)


def _say(page: ShowPage, written: list[Path], interrupted: bool, lost: int) -> None:
    console = Console()

    def line(label: str, text: str, style: str = "") -> None:
        console.print(f"{label:11s}  {text}", style=style, markup=False, highlight=False,
                      soft_wrap=True)  # fmt: skip

    if interrupted:
        line("stopped", "interrupted; the results show the recording up to that point", "yellow")
    for text in page.missing:
        line("missing", text, "yellow")
    for text in page.warnings:
        line("warning", text, "yellow")
    if lost:
        line("lost", f"{lost} pictures or messages could not be used (exit code 4)", "yellow")
    line("calibration", page.verdict.sentence)
    _say_written(written)


def _say_written(paths: list[Path]) -> None:
    for path in paths:
        typer.echo(f"{'wrote':11s}  {path}  ({path.stat().st_size / 1e6:.1f} MB)")


def _look(
    recording: Source, info: BagInfo, rig: Path | None, anchor: str | None
) -> tuple[ShowBuilder, bool]:
    """Read the recording once; (what was seen, whether somebody pressed Ctrl-C)."""
    calibration, why = _calibration(recording, info, rig)
    builder = ShowBuilder(info, calibration, recording.boxes_at, why, anchor)
    total = sum(topic.count for topic in info.topics if topic.role in EVENT_ROLES)
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(),
               TimeRemainingColumn())  # fmt: skip
    bar = Progress(*columns, console=Console(stderr=True), transient=True)
    with interruptible() as pressed, bar as progress:
        task = progress.add_task("reading", total=total or None)
        for event in recording.events():
            if isinstance(event, CameraImage):
                builder.add_image(event)
            elif isinstance(event, EgoMotion):
                builder.add_motion(event)
            elif isinstance(event, Notice):
                builder.add_notice(event)
            progress.advance(task)
            if pressed.is_set():
                break
    builder.finish()
    return builder, pressed.is_set()


def _calibration(recording: Source, info: BagInfo, rig: Path | None) -> tuple[Rig | None, str]:
    """The rig to paint with, or why there is none."""
    if rig is not None:
        return given_rig(rig, info), ""
    if not info.cameras:
        return None, ""
    try:
        return recording.rig(), ""
    except InputError as error:
        return None, f"{error}. The pictures are shown plain; a rig file can be given with --rig"


def given_rig(path: Path, info: BagInfo) -> Rig:
    """A rig file; InputError if it speaks of none of the recording's cameras."""
    rig = load_rig(path)
    if info.cameras and not set(rig.names) & set(info.cameras):
        raise InputError(
            f"{path}: none of its cameras is in the recording. It has {', '.join(rig.names)}; the "
            f"recording has {', '.join(info.cameras)}. Rename the cameras in the rig file, or give "
            "--topics"
        )
    return rig
