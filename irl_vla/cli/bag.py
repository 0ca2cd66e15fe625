"""`irl-vla bag`: what is in a recording; of pictures the first few are looked at."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from irl_vla.bag.bag_info import BagInfo
from irl_vla.bag.source import open_source
from irl_vla.bag.topics_file import write_topics
from irl_vla.cli.recording_options import CameraDelay, Odometry, TopicsFile, delay_ns
from irl_vla.terminal.console import Console

PIPED_WIDTH = 200  # columns of the table where nobody looks at it in a terminal
ANSWERS = {"yes": "agree", "no": "CONTRADICT", "not enough": "not enough to say"}


def info(
    source: Annotated[Path, typer.Argument(help="rosbag, or a DGP, nuScenes or comma2k19 folder")],
    topics: TopicsFile = None,
    odometry: Odometry = None,
    camera_delay_ms: CameraDelay = 0.0,
    write: Annotated[
        Path | None,
        typer.Option("--write-topics", help="write a topics file to edit and give to --topics"),
    ] = None,
) -> None:
    """List topics with counts, rates and gaps, what is damaged, and what a replay would lack."""
    delay = delay_ns(camera_delay_ms)
    with open_source(source, topics, odometry=odometry, camera_delay_ns=delay) as recording:
        found = recording.info()
    if write is not None:
        write_topics(found, write)
    console = Console()
    if not console.is_terminal:
        console.width = PIPED_WIDTH
    console.print(_table(found))

    def line(label: str, value: str, style: str = "") -> None:
        console.print(f"{label:11s} {value}", style=style, markup=False, highlight=False,
                      soft_wrap=True)  # fmt: skip

    for label, value in [
        ("format", found.storage),
        ("duration", f"{found.duration_s:.2f} s, {found.messages} messages"),
        ("cameras", ", ".join(found.cameras) or "none"),
        ("calibrated", ", ".join(found.calibrated) or "none"),
        ("ego motion", found.motion or "none"),
        ("base frame", found.base_frame),
    ]:
        line(label, value)
    for one in found.comparisons:
        style = "yellow" if one.verdict == "no" else ""
        text = f"{one.name}: {ANSWERS[one.verdict]} ({one.value}, bound {one.bound}, {one.pairs} "
        line("compared", f"{text}pairs)", style)
    for label, lines in [("warning", found.warnings), ("missing", found.missing)]:
        for text in lines:
            line(label, text, "yellow")
    if write is not None:
        line("wrote", str(write))


def _table(found: BagInfo) -> Table:
    table = Table(title=Path(found.path).name, title_justify="left")
    for column in ("topic", "role"):
        table.add_column(column, overflow="fold")
    for column in ("count", "rate [Hz]", "largest gap [s]"):
        table.add_column(column, justify="right")
    table.add_column("why", overflow="fold")
    for row in found.topics:
        why = row.why if row.msgtype in row.why else f"{row.msgtype}: {row.why}"
        table.add_row(
            row.name, row.camera or row.role.value, str(row.count), f"{row.rate_hz:.1f}",
            f"{row.largest_gap_s:.2f}", why,
        )  # fmt: skip
    return table
