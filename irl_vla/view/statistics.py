"""Two worlds side by side: how they move, and where plans lose points.

In: Statistics and lost shares of either   Out: PNG   May import: everything but cli.
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from irl_vla.types import F64
from irl_vla.view.palette import ORANGE, SKY, hex_color
from irl_vla.world.benchmark.statistics import (
    ACCELERATION_EDGES,
    AGENT_EDGES,
    CURVATURE_EDGES,
    GAP_EDGES,
    SPEED_EDGES,
    Statistics,
    histogram,
)

PANELS: tuple[tuple[str, str, F64], ...] = (
    ("speed", "speed of moving vehicles [m/s]", SPEED_EDGES),
    ("acceleration", "acceleration over 1 s [m/s²]", ACCELERATION_EDGES),
    ("curvature", "curvature [1/m]", CURVATURE_EDGES),
    ("gap", "gap to the vehicle ahead [m]", GAP_EDGES),
    ("vehicles", "vehicles within 50 m", AGENT_EDGES),
    ("pedestrians", "people within 50 m", AGENT_EDGES),
)
COLOURS = (hex_color(SKY), hex_color(ORANGE))


@dataclass(frozen=True)
class WorldStatistics:
    """One of the two. lost: driver -> sub-score -> percent of its points lost, mean."""

    name: str
    statistics: Statistics
    lost: Mapping[str, Mapping[str, float]]


def worlds_png(worlds: Sequence[WorldStatistics]) -> bytes:
    """Histograms of both, and how much of each sub-score drivers lose."""
    figure = Figure(figsize=(12.8, 8.4), dpi=100, facecolor="white", layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(3, 3).ravel()
    for axis, (field, label, edges) in zip(axes, PANELS, strict=False):
        _steps(axis, worlds, field, edges)
        axis.set_xlabel(label)
        axis.set_ylabel("share")
    drivers = list(worlds[0].lost)
    for axis, driver in zip(axes[len(PANELS) :], drivers, strict=False):
        _bars(axis, worlds, driver)
    for axis in axes[len(PANELS) + len(drivers) :]:
        axis.set_axis_off()
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=len(worlds))
    target = io.BytesIO()
    figure.savefig(target, format="png", metadata={"Software": None})
    return target.getvalue()


def _steps(axis: Axes, worlds: Sequence[WorldStatistics], field: str, edges: F64) -> None:
    for world, colour in zip(worlds, COLOURS, strict=True):
        shares = histogram(getattr(world.statistics, field), edges)
        axis.stairs(shares, edges, color=colour, fill=True, alpha=0.35, label=world.name)
        axis.stairs(shares, edges, color=colour, lw=1.6)
    axis.margins(x=0)


def _bars(axis: Axes, worlds: Sequence[WorldStatistics], driver: str) -> None:
    names = list(worlds[0].lost[driver])
    at = np.arange(len(names))
    for k, (world, colour) in enumerate(zip(worlds, COLOURS, strict=True)):
        values = [world.lost[driver][name] for name in names]
        axis.bar(at + 0.4 * k - 0.2, values, 0.38, color=colour)
    axis.set_xticks(at, [name.upper() for name in names], fontsize=8)
    axis.set_ylabel("points lost, mean [%]", fontsize=8)
    axis.set_title(driver.replace("_", " "), fontsize=10)
