"""`irl-vla bag`: what is in a recording, without looking at a single picture."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from irl_vla.bag.bag_info import BagInfo
from irl_vla.bag.source import open_source
from irl_vla.cli.console import Console


def info(
    source: Annotated[Path, typer.Argument(help="rosbag, or a DGP, nuScenes or comma2k19 folder")],
    topics: Annotated[
        Path | None,
        typer.Option(dir_okay=False, help="which topics to read (YAML); default: found by type"),
    ] = None,
) -> None:
    """List topics with counts, rates and gaps, what is damaged, and what a replay would lack."""
    with open_source(source, topics) as recording:
        found = recording.info()
    console = Console()
    console.print(_table(found))
    for label, value in [
        ("format", found.storage),
        ("duration", f"{found.duration_s:.2f} s, {found.messages} messages"),
        ("cameras", ", ".join(found.cameras) or "none"),
        ("calibrated", ", ".join(found.calibrated) or "none"),
        ("ego motion", found.motion or "none"),
        ("base frame", found.base_frame),
    ]:
        console.print(f"{label:11s} {value}", markup=False, highlight=False, soft_wrap=True)
    for label, lines in [("warning", found.warnings), ("missing", found.missing)]:
        for line in lines:
            console.print(
                f"{label:11s} {line}", style="yellow", markup=False, highlight=False, soft_wrap=True
            )


def _table(found: BagInfo) -> Table:
    table = Table(title=Path(found.path).name, title_justify="left")
    for column in ("topic", "type", "role"):
        table.add_column(column, overflow="fold")
    for column in ("count", "rate [Hz]", "largest gap [s]"):
        table.add_column(column, justify="right")
    for row in found.topics:
        table.add_row(
            row.name, row.msgtype, row.camera or row.role.value,
            str(row.count), f"{row.rate_hz:.1f}", f"{row.largest_gap_s:.2f}",
        )  # fmt: skip
    return table
