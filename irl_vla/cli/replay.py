"""`irl-vla replay`: a recording through the very same driving core as in the car."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from irl_vla.bag.source import open_source
from irl_vla.cli.followed import FollowCheck
from irl_vla.cli.recording_options import Anchor, CameraDelay, Odometry, TopicsFile, delay_ns
from irl_vla.cli.replay_run import RESULTS, ReplayOptions, ReplayRun
from irl_vla.cli.results import Results
from irl_vla.engine.bundle import load_bundle
from irl_vla.evaluation.plan_comparison import PLANS, PlanDifference, compare_plans
from irl_vla.terminal.console import Console
from irl_vla.terminal.lazy import only_with
from irl_vla.types import InputError, IntentDirection
from irl_vla.world.benchmark.splits import MOST_SEED

EXIT_FAILURES = 4
SHOWN = 10  # changed anchors and warnings that are printed


@only_with(follow_tolerance="follow", tolerance="check", seed="!follow")
def replay(
    bag: Annotated[Path, typer.Argument(help="rosbag, or a DGP or nuScenes folder")],
    bundle: Annotated[Path, typer.Option(help="policy bundle, for example models/rule")],
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
    rerun: Annotated[
        Path | None,
        typer.Option(dir_okay=False, help="also write a .rrd file for the rerun viewer"),
    ] = None,
    intent: Annotated[
        IntentDirection | None,
        typer.Option(help="navigation intent to use instead of the recording's"),
    ] = None,
    seed: Annotated[
        int | None,
        typer.Option(
            min=0, max=MOST_SEED, help="seed of the planner's noise; default: the recording's, or 0"
        ),
    ] = None,
    follow: Annotated[
        Path | None,
        typer.Option(help="plans.mcap, or a bag of a drive: repeat its schedule, expect its plans"),
    ] = None,
    follow_tolerance: Annotated[
        float | None,
        typer.Option(
            help="metres by which plans of --follow may differ; default: not at all", min=0.0
        ),
    ] = None,
    check: Annotated[
        Path | None, typer.Option(help="folder of an earlier replay: fail if the plans differ")
    ] = None,
    tolerance: Annotated[
        float, typer.Option(help="for --check: metres; in radians a tenth of it", min=0.0)
    ] = 0.01,
    out: Annotated[
        Path | None, typer.Option(help="folder for the results; default: out/replay/NAME")
    ] = None,
) -> None:
    """Run a policy over a recording: plans, pictures, latency, refusals. The same input gives the
    same plans, byte for byte."""
    loaded = load_bundle(bundle)
    folder = out or Path("out") / "replay" / bag.resolve().stem
    if folder.resolve() == bag.resolve():
        raise InputError(f"{folder}: is the recording itself. Choose another --out")
    if check is not None:
        _refuse_bad_reference(check, folder)
    delay = delay_ns(camera_delay_ms)
    with open_source(bag, topics, odometry=odometry, camera_delay_ns=delay) as source:
        options = ReplayOptions(
            rig=rig, intent=intent, seed=seed, follow=follow, follow_tolerance=follow_tolerance,
            anchor=anchor, rerun=rerun,
        )  # fmt: skip
        run = ReplayRun.prepare(source, loaded, options)
        with Results(folder, RESULTS) as results:
            interrupted = run.drive(source, results.folder)
        _say(run, folder, interrupted)
    if interrupted:
        raise typer.Exit(130)
    failed = run.failed
    failed |= run.follow_check is not None and _followed(run.follow_check)
    if check is not None:
        failed |= _drifted(folder, check, tolerance)
    if failed:
        raise typer.Exit(EXIT_FAILURES)


def _refuse_bad_reference(reference: Path, folder: Path) -> None:
    if not (reference / PLANS).is_file():
        raise InputError(
            f"{reference}: has no {PLANS}. Give the --out folder of an earlier replay to --check"
        )
    if reference.resolve() == folder.resolve():
        raise InputError(
            f"{folder}: is the reference of --check and would be overwritten. Give another --out"
        )


def _followed(check: FollowCheck) -> bool:
    """Say whether the drive's plans came again; True where they did not."""
    _say_changed(check.drift)
    for line in check.lacks():
        typer.echo(f"lacking   {line}")
    typer.echo(f"followed  {check.sentence()}")
    return check.failed


def _say_changed(drift: PlanDifference) -> None:
    for line in drift.changed[:SHOWN]:
        typer.echo(f"changed   {line}")
    if len(drift.changed) > SHOWN:
        typer.echo(f"changed   ... and {len(drift.changed) - SHOWN} more")


def _drifted(folder: Path, reference: Path, tolerance: float) -> bool:
    """Compare with an earlier replay; True where the plans have drifted."""
    drift = compare_plans(folder / PLANS, reference / PLANS)
    _say_changed(drift)
    where = "" if drift.worst_ns is None else f" (largest at anchor {drift.worst_ns})"
    typer.echo(
        f"drift     {drift.metres:.6f} m, {drift.radians:.6f} rad over {drift.anchors} anchors"
        f"{where}; tolerated: {tolerance:g} m, {tolerance / 10:g} rad"
    )
    return drift.exceeds(tolerance, tolerance / 10)


def _say(run: ReplayRun, folder: Path, interrupted: bool) -> None:
    console = Console()

    def line(label: str, text: str, style: str = "") -> None:
        console.print(f"{label:9s} {text}", style=style, markup=False, highlight=False,
                      soft_wrap=True)  # fmt: skip

    if interrupted:
        line("stopped", "interrupted; the results are valid up to that point", "yellow")
    plans, refusals = sum(run.tally.plans.values()), sum(run.tally.refusals.values())
    line("replayed", f"{plans + refusals} anchors: {plans} plans, {refusals} refusals")
    for reason, count in run.tally.refusals.most_common():
        line("refused", f"{count} x {reason}", "yellow")
    if run.lost:
        line("lost", f"{run.lost} pictures or messages could not be used (exit code 4)", "yellow")
    line("verdict", run.verdict.sentence)
    for text in run.warnings[:SHOWN]:
        line("warning", text, "yellow")
    if len(run.warnings) > SHOWN:
        line("warning", f"... and {len(run.warnings) - SHOWN} more in summary.json", "yellow")
    for name in sorted(RESULTS, key="report.html".__ne__):
        if (folder / name).exists():
            line("wrote", str(folder / name))
