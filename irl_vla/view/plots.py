"""The plots of the pages: synchronisation, ego motion, plans, latency, outcomes.

In: arrays over bag time [s]   Out: PageFigure (inline SVG)   May import: types, palette, figure,
report.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from irl_vla.types import F64
from irl_vla.view.figure import FAINT, INK, cells, draw, thinned
from irl_vla.view.palette import GREEN, ORANGE, SKY, VERMILLION, YELLOW, hex_color
from irl_vla.view.report import PageFigure

SLOW = 1.0  # [m/s] below this, curvature = yaw rate / speed is noise and is not drawn
MAX_FANS = 40  # plans drawn over bag time; more would hide each other
FAN_ALPHA = 0.7  # so that the driven line shows through plans that jump about
FAN_TAILS = 2.0  # [%] of planned values, at either end, that may leave the plot
MAX_CELLS = 500  # per row of a timeline
WIDTH = 7.4  # [inch] of every plot: one width, one text size

IN_TIME, LATE, MISSING = "in time", "late", "missing"
_SYNC_COLORS = {IN_TIME: GREEN, LATE: YELLOW, MISSING: VERMILLION}
_OUTCOME_COLORS = (GREEN, YELLOW, ORANGE)  # best candidate, next best, comfortable stop


@dataclass(frozen=True)
class EgoTrace:
    """Ego motion over bag time: time_s, speed [m/s], yaw_rate [rad/s], each (n,)."""

    time_s: F64
    speed: F64
    yaw_rate: F64
    source: str

    @property
    def curvature(self) -> F64:
        """(n,) [1/m], NaN where the car is too slow to tell."""
        moving = np.abs(self.speed) > SLOW
        return np.where(moving, self.yaw_rate / np.where(moving, self.speed, 1.0), np.nan)


@dataclass(frozen=True)
class SyncTrace:
    """Which camera had an image for which anchor.

    time_s: (n,) anchors; offset_ms: camera -> (n,) image stamp minus anchor, NaN where missing
    reasons: camera -> reason -> how often
    tolerance_ms: an image further away than half of it counts as late
    """

    time_s: F64
    offset_ms: Mapping[str, F64]
    reasons: Mapping[str, Mapping[str, int]]
    tolerance_ms: float


@dataclass(frozen=True)
class PlanTrace:
    """Planned motion of one anchor. time_s: (T,) bag time; speed [m/s], curvature [1/m]: (T,)."""

    time_s: F64
    speed: F64
    curvature: F64


def plot_ego(trace: EgoTrace) -> PageFigure:
    """Speed, yaw rate and curvature over time, one above the other."""

    def paint(figure: Figure) -> None:
        axes = figure.subplots(3, 1, sharex=True)
        for axis, value, label in zip(
            axes, (trace.speed, np.degrees(trace.yaw_rate), trace.curvature),
            ("speed [m/s]", "yaw rate [°/s]", "curvature [1/m]"), strict=True,
        ):  # fmt: skip
            _line(axis, trace.time_s, value, hex_color(SKY))
            axis.set_ylabel(label)
        _calm(axes[0], trace.speed, 1.0)
        _calm(axes[1], np.degrees(trace.yaw_rate), 1.0)
        _calm(axes[2], trace.curvature, 0.005)
        axes[2].set_xlabel("time [s]")
        figure.align_ylabels(axes)

    note = f"From {trace.source}. Left turns are positive; no curvature below {SLOW:g} m/s."
    return PageFigure("Ego motion", draw("Ego motion", WIDTH, 4.6, paint, "time"), note)


def plot_path(x: F64, y: F64) -> PageFigure:
    """The ego's way from above, x and y of its world [m]."""

    def paint(figure: Figure) -> None:
        axis = figure.subplots()
        axis.plot(*thinned(x, y), color=hex_color(SKY))
        axis.plot(x[:1], y[:1], "o", color=INK, ms=4)
        reach = max(5.0, float(np.ptp(x)), float(np.ptp(y))) * 0.55
        middle = (float(x.max() + x.min()) / 2, float(y.max() + y.min()) / 2)
        axis.set_xlim(middle[0] - reach, middle[0] + reach)
        axis.set_ylim(middle[1] - reach, middle[1] + reach)
        axis.set_aspect("equal")
        axis.set_xlabel("x [m]")
        axis.set_ylabel("y [m]")

    note = "The small dot is the start, the large one the frame that is shown."
    return PageFigure("Way from above", draw("Way from above", 5.0, 5.0, paint, "path"), note)


def _line(axis: Axes, time: F64, value: F64, color: str) -> None:
    """A line, with dots where there are so few points that a line would invent the rest."""
    axis.plot(*thinned(time, value), color=color, marker="o" if len(time) < 12 else None, ms=4)


def _calm(axis: Axes, value: F64, least: float) -> None:
    """No axis narrower than `least`: noise about a constant must not look like motion."""
    seen = value[np.isfinite(value)]
    if len(seen) == 0:
        axis.set_ylim(-least, least)
        axis.text(0.5, 0.5, "too slow to tell", transform=axis.transAxes, ha="center", va="center")
        return
    low, high = float(seen.min()), float(seen.max())
    spare = max(0.08 * (high - low), (least - (high - low)) / 2)
    axis.set_ylim(low - spare, high + spare)


def plot_sync(trace: SyncTrace) -> PageFigure:
    """Per camera: state over time, and how far its images lie from the anchor."""
    cameras = list(trace.offset_ms)
    order = np.argsort(trace.time_s, kind="stable")  # a recording's clock may run backwards

    def paint(figure: Figure) -> None:
        left, right = figure.subplots(1, 2, sharey=True, width_ratios=(3, 1))
        for row, camera in enumerate(cameras):
            offset = trace.offset_ms[camera][order]
            late = np.abs(offset) > trace.tolerance_ms / 2
            states = np.select([np.isnan(offset), late], [2, 1], 0)
            _timeline(left, row, trace.time_s[order], states, list(_SYNC_COLORS.values()))
            _spread(right, row, offset)
        left.set_yticks(range(len(cameras)), cameras)
        left.set_ylim(len(cameras) - 0.4, -0.6)
        left.grid(axis="y", visible=False)
        left.set_xlabel("time [s]")
        right.axvline(0, color=INK, lw=0.8)
        right.set_xlabel("image - anchor [ms]")
        reach = max(1.0, *(np.nanmax(np.abs(v), initial=0) for v in trace.offset_ms.values()))
        right.set_xlim(-1.15 * reach, 1.15 * reach)
        patches = [Patch(color=hex_color(c), label=name) for name, c in _SYNC_COLORS.items()]
        figure.legend(handles=patches, loc="outside upper left", ncols=3)

    note = (
        f"Late: further than {trace.tolerance_ms / 2:.0f} ms from the anchor; missing: no image "
        f"within {trace.tolerance_ms:.0f} ms. Right: dot = median, bar = 5th to 95th percentile."
    )
    height = 1.3 + 0.34 * len(cameras)
    return PageFigure(
        "Synchronisation", draw("Synchronisation", WIDTH, height, paint, "time"), note
    )


def _timeline(
    axis: Axes, row: int, time: F64, states: np.ndarray, colors: Sequence[tuple[int, int, int]]
) -> None:
    """One row of coloured cells; where there are too many, the worst of each stretch is shown."""
    parts = np.array_split(np.arange(len(time)), min(len(time), MAX_CELLS))
    worst = np.array([states[part].max() for part in parts])
    start, width = cells(time)
    left = np.array([start[part[0]] for part in parts])
    right = np.array([start[part[-1]] + width[part[-1]] for part in parts])
    for state in np.unique(worst):
        mine = worst == state
        _bars(axis, row, left[mine], (right - left)[mine], colors[int(state)])


def _spread(axis: Axes, row: int, offset: F64) -> None:
    seen = offset[np.isfinite(offset)]
    if len(seen):
        low, middle, high = np.percentile(seen, [5, 50, 95])
        axis.plot([low, high], [row, row], color=FAINT, lw=5, solid_capstyle="round")
        axis.plot([middle], [row], "o", color=hex_color(SKY), ms=5)


def plot_plans(ego: EgoTrace, plans: Sequence[PlanTrace]) -> PageFigure:
    """Planned speed and curvature as fans that start where the ego was, over the ego's own."""

    def paint(figure: Figure) -> None:
        top, bottom = figure.subplots(2, 1, sharex=True)
        style: dict[str, Any] = {"color": hex_color(ORANGE), "lw": 0.9, "alpha": FAN_ALPHA}
        for index, plan in enumerate(plans):
            label = "plans" if index == 0 else None
            top.plot(plan.time_s, plan.speed, label=label, **style)
            bottom.plot(plan.time_s, plan.curvature, **style)
        for axis, value in ((top, ego.speed), (bottom, ego.curvature)):
            axis.plot(*thinned(ego.time_s, value), color=INK, lw=2.0, label="driven")
        top.set_ylabel("speed [m/s]")
        bottom.set_ylabel("curvature [1/m]")
        bottom.set_xlabel("time [s]")
        figure.legend(*top.get_legend_handles_labels(), loc="outside upper left", ncols=2)
        _calm(bottom, _mostly(ego.curvature, [plan.curvature for plan in plans]), 0.005)
        _calm(top, _mostly(ego.speed, [plan.speed for plan in plans]), 1.0)
        figure.align_ylabels((top, bottom))

    note = (
        f"Each fan is one plan of 4 s, evenly sampled, at most {MAX_FANS}; wild ends may leave the "
        "plot. The dark line is what the ego really did."
    )
    return PageFigure("Plans", draw("Plans", WIDTH, 3.8, paint, "time"), note)


def _mostly(driven: F64, planned: Sequence[F64]) -> F64:
    """What an axis must show: all that was driven, and the planned values without their tails, so
    that one wild plan does not flatten all others."""
    values = np.concatenate(planned)
    values = values[np.isfinite(values)]
    tails = np.percentile(values, [FAN_TAILS, 100 - FAN_TAILS]) if len(values) else np.zeros(0)
    return np.concatenate([driven, tails])


def plot_latency(timings: Mapping[str, Sequence[float]]) -> PageFigure:
    """Milliseconds per stage: bar to the median, marks at the 90th and 99th percentile."""
    stages = [(name, np.percentile(ms, [50, 90, 99])) for name, ms in timings.items() if len(ms)]

    def paint(figure: Figure) -> None:
        axis = figure.subplots()
        for row, (_, (p50, p90, p99)) in enumerate(stages):
            axis.barh(row, p50, 0.6, color=hex_color(SKY), label="p50" if row == 0 else None)
            axis.plot([p50, p99], [row, row], color=INK, lw=1.0)
            for value, mark, name in ((p90, "|", "p90"), (p99, "D", "p99")):
                axis.plot([value], [row], mark, color=INK, ms=10 if mark == "|" else 4, mew=1.4,
                          ls="none", label=name if row == 0 else None)  # fmt: skip
        axis.set_yticks(range(len(stages)), [name for name, _ in stages])
        axis.set_ylim(len(stages) - 0.4, -0.6)
        axis.set_xlim(left=0)
        axis.grid(axis="y", visible=False)
        axis.set_xlabel("time per anchor [ms]")
        figure.legend(loc="outside upper left", ncols=3)

    height = 1.3 + 0.34 * max(1, len(stages))
    return PageFigure("Time per stage", draw("Time per stage", WIDTH, height, paint))


def plot_outcomes(time_s: F64, outcomes: Sequence[str], names: Sequence[str]) -> PageFigure:
    """What became of each anchor, over time. names: every outcome, the three kinds of
    plan first, then refusals, which share vermillion."""
    colors = [*_OUTCOME_COLORS[: len(names)]]
    colors += [VERMILLION] * (len(names) - len(colors))
    order = np.argsort(time_s, kind="stable")  # a recording's clock may run backwards
    states = np.array([names.index(outcome) for outcome in outcomes])[order]

    def paint(figure: Figure) -> None:
        axis = figure.subplots()
        for row in range(len(names)):
            mine = states == row
            if mine.any():
                start, width = cells(time_s[order])
                _bars(axis, row, start[mine], width[mine], colors[row])
            axis.text(1.01, row, f"{int(mine.sum())}", va="center",
                      transform=axis.get_yaxis_transform())  # fmt: skip
        axis.set_yticks(range(len(names)), [name.replace("_", " ") for name in names])
        axis.set_ylim(len(names) - 0.4, -0.6)
        axis.grid(axis="y", visible=False)
        axis.set_xlabel("time [s]")

    height = 0.9 + 0.34 * max(1, len(names))
    note = "One mark per anchor, with their number."
    return PageFigure(
        "Outcome of each anchor", draw("Outcomes", WIDTH, height, paint, "time"), note
    )


def _bars(axis: Axes, row: int, start: F64, width: F64, color: tuple[int, int, int]) -> None:
    """Cells that touch become one bar."""
    new = np.flatnonzero(np.r_[True, start[1:] - (start + width)[:-1] > 1e-6])
    last = np.r_[new[1:] - 1, len(start) - 1]
    spans = [(start[a], start[b] + width[b] - start[a]) for a, b in zip(new, last, strict=True)]
    axis.broken_barh(spans, (row - 0.34, 0.68), color=hex_color(color), lw=0)
