"""Options that every command on a recording takes, spelled once."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

NS_PER_MS = 1_000_000

TopicsFile = Annotated[
    Path | None,
    typer.Option(
        "--topics", dir_okay=False, help="which topics to read (YAML); default: found by type"
    ),
]
Odometry = Annotated[
    str | None, typer.Option("--odometry", help="topic of the ego motion, of several")
]
CameraDelay = Annotated[
    float,
    typer.Option(
        "--camera-delay-ms",
        help="by how much pictures are stamped later than the ego motion; is taken from them",
    ),
]
Anchor = Annotated[
    str | None,
    typer.Option(
        "--anchor", help="camera that sets are built around; default: the first. If rates differ, "
        "the slowest gives whole sets"
    ),
]  # fmt: skip


def delay_ns(camera_delay_ms: float) -> int:
    """The option's value in nanoseconds."""
    return round(camera_delay_ms * NS_PER_MS)
