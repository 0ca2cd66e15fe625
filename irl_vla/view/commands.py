"""One drawn example of each class of Command, for docs/commands.md.

    python -m irl_vla.view.commands docs/images      commands_speed.png, commands_path.png
Every example is a future that `language.labels` gives the name it is drawn under. May import:
types, language, palette.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.patches import Polygon

from irl_vla.language.labels import PathCommand, SpeedCommand
from irl_vla.types import F64, HORIZON_POSES, PLAN_DT_S
from irl_vla.view import palette
from irl_vla.view.palette import Rgb, hex_color

FINE_S = 0.005  # [s] between the points of a drawn line; a hundred of them make a pose's step
DPI = 130
LANE_M = 3.5  # [m] width of a lane
STANDING, SLOWER, KEPT, FASTER = palette.PURPLE, palette.VERMILLION, palette.SKY, palette.GREEN
STYLE: dict[str, Any] = {
    "font.family": "sans-serif", "font.size": 9, "text.color": hex_color(palette.WHITE),
    "axes.facecolor": hex_color((27, 33, 41)), "axes.edgecolor": hex_color(palette.FAINT),
    "axes.labelcolor": hex_color(palette.MUTED), "xtick.color": hex_color(palette.MUTED),
    "ytick.color": hex_color(palette.MUTED), "axes.spines.top": False, "axes.spines.right": False,
    "axes.titlesize": 10.5, "axes.titleweight": "bold", "axes.titlelocation": "left",
    "figure.facecolor": hex_color(palette.CANVAS), "axes.axisbelow": True,
}  # fmt: skip


@dataclass(frozen=True)
class CommandTrace:
    """What is drawn and what is judged. time: (n,) [s]; speed: (n,) [m/s]; line: (n, 3) ego
    frame; poses: (8, 3)."""

    time: F64
    speed: F64
    line: F64

    @property
    def poses(self) -> F64:
        """Every half second."""
        every = round(PLAN_DT_S / FINE_S)
        return self.line[every::every]


def future(speed: Callable[[F64], F64], heading: Callable[[F64], F64]) -> CommandTrace:
    """speed: [m/s] over time [s]; heading: [rad] over the way [m]."""
    count = round(HORIZON_POSES * PLAN_DT_S / FINE_S)
    time = np.linspace(0.0, HORIZON_POSES * PLAN_DT_S, count + 1)
    v = speed(time)
    way = _sum(np.asarray((v[1:] + v[:-1]) / 2 * FINE_S))
    yaw = heading(way) - heading(way[:1])
    mid, step = (yaw[1:] + yaw[:-1]) / 2, np.diff(way)
    line = np.stack([_sum(step * np.cos(mid)), _sum(step * np.sin(mid)), yaw], axis=1)
    return CommandTrace(time, v, line)


def _sum(parts: F64) -> F64:
    """(n,) running sum of (n - 1,), from 0."""
    return np.concatenate([[0.0], np.cumsum(parts)])


def _through(*knots: tuple[float, float]) -> Callable[[F64], F64]:
    """Straight from knot to knot."""
    at, values = np.array(knots).T
    return lambda x: np.interp(x, at, values)


def _aside(offset: float, begin: float, end: float) -> Callable[[F64], F64]:
    """Heading of a smooth move to the side (left positive) between two places along the way."""

    def heading(s: F64) -> F64:
        t = np.clip((s - begin) / (end - begin), 0.0, 1.0)
        return np.arctan(offset / (end - begin) * 30.0 * t**2 * (1.0 - t) ** 2)

    return heading


Speed, Path_ = SpeedCommand, PathCommand
SPEED_EXAMPLES: dict[SpeedCommand, tuple[Callable[[F64], F64], str, Rgb]] = {
    Speed.FULL_STOP: (
        _through((0, 8.0), (0.4, 7.5), (2.9, 0.7), (3.4, 0.0), (4, 0.0)), "stands at the end",
        STANDING,
    ),
    Speed.CREEPING: (lambda t: 1.2 + 0.4 * np.sin(1.8 * t), "never above 2 m/s", STANDING),
    Speed.CONSTANT_SPEED_STRICT: (lambda t: 11.0 + 0.0 * t, "within 0.3 m/s", KEPT),
    Speed.CONSTANT_SPEED_LOOSE: (
        lambda t: 10.6 + 0.24 * t, "below 0.3 m/s² over 2 s", KEPT,
    ),
    Speed.REGENERATIVE_BRAKING: (lambda t: 12.0 - 0.7 * t, "slower by 0.3 to 1 m/s²", SLOWER),
    Speed.MILD_DECEL_LINEAR: (lambda t: 12.5 - 1.5 * t, "1 to 2 m/s², evenly", SLOWER),
    Speed.MILD_DECEL: (
        _through((0, 11.5), (1.0, 11.4), (3.2, 8.0), (4, 7.8)), "1 to 2 m/s², unevenly", SLOWER,
    ),
    Speed.CONTROLLED_DECEL: (lambda t: 14.0 - 2.6 * t, "2 m/s² and more", SLOWER),
    Speed.EMERGENCY_DECEL: (
        _through((0, 14.0), (0.5, 13.6), (2.6, 0.0), (4, 0.0)), "3.4 m/s² for a second", SLOWER,
    ),
    Speed.MILD_ACCEL_LINEAR: (lambda t: 5.0 + 1.0 * t, "0.3 to 1.5 m/s², evenly", FASTER),
    Speed.MILD_ACCEL: (lambda t: 6.0 + 0.17 * t**2, "in between", FASTER),
    Speed.MILD_ACCEL_NONLINEAR: (
        _through((0, 7.0), (1.9, 7.0), (4.0, 9.8)), "0.3 to 1.5 m/s², in parts", FASTER,
    ),
    Speed.AGGRESSIVE_ACCEL: (lambda t: 3.0 + 2.6 * t, "1.5 m/s² and more", FASTER),
}  # fmt: skip
PATH_EXAMPLES: dict[PathCommand, tuple[float, Callable[[F64], F64], str]] = {
    Path_.SLIGHT_LEFT_TURN: (9.0, lambda s: s / 70.0, "5° to 45°"),
    Path_.STRAIGHT_STRICT: (9.0, lambda s: 0.0 * s, "within 0.25 m and 2° of the lane"),
    Path_.SLIGHT_RIGHT_TURN: (9.0, lambda s: -s / 70.0, "5° to 45°"),
    Path_.SHARP_LEFT_TURN: (
        7.0, lambda s: np.clip((s - 9.0) / 12.0, 0, np.pi / 2), "45°, or 15° tighter than 20 m",
    ),
    Path_.LANE_MICRO_ADJUST: (
        9.0, _aside(0.7, 4.0, 30.0), "inside the lane, but not strictly straight",
    ),
    Path_.SHARP_RIGHT_TURN: (
        6.5, lambda s: -np.clip((s - 9.0) / 8.0, 0, np.pi / 2), "45°, or 15° tighter than 20 m",
    ),
    Path_.LEFT_LANE_CHANGE: (9.0, _aside(LANE_M, 2.0, 34.0), "half a lane to the left"),
    Path_.SWERVING: (
        9.0, lambda s: _aside(1.4, 2.0, 18.0)(s) + _aside(-1.4, 18.0, 34.0)(s),
        "0.8 m out, and back",
    ),
    Path_.RIGHT_LANE_CHANGE: (9.0, _aside(-LANE_M, 2.0, 34.0), "half a lane to the right"),
}  # fmt: skip
TURNS = (
    Path_.SLIGHT_LEFT_TURN, Path_.SLIGHT_RIGHT_TURN, Path_.SHARP_LEFT_TURN, Path_.SHARP_RIGHT_TURN,
)  # fmt: skip


def speed_example(name: SpeedCommand) -> CommandTrace:
    """A straight drive of this class."""
    return future(SPEED_EXAMPLES[name][0], lambda s: 0.0 * s)


def path_example(name: PathCommand) -> CommandTrace:
    """A steady drive of this class."""
    pace, heading, _ = PATH_EXAMPLES[name]
    return future(lambda t: pace + 0.0 * t, heading)


def paint_speeds(figure: Figure) -> None:
    """Speed over time, in rows: standing and keeping, slower, faster."""
    grid = figure.add_gridspec(3, 5)
    cells = [*range(4), *range(5, 14)]
    for cell, (name, (_, rule, color)) in zip(cells, SPEED_EXAMPLES.items(), strict=True):
        axis = figure.add_subplot(grid[cell // 5, cell % 5])
        shown, paint = speed_example(name), hex_color(color)
        axis.fill_between(shown.time, shown.speed, color=paint, alpha=0.18, lw=0)
        axis.plot(shown.time, shown.speed, color=paint, lw=2.2)
        every = round(PLAN_DT_S / FINE_S)
        axis.plot(shown.time[::every], shown.speed[::every], "o", color=paint, ms=3.2)
        axis.set(xlim=(0, 4.1), ylim=(0, 15), xticks=range(5), yticks=(0, 5, 10, 15))
        axis.grid(color=hex_color(palette.FAINT), lw=0.6)
        _heads(axis, name.value, rule)
        if cell % 5 == 0:
            axis.set_ylabel("speed [m/s]")
        if cell // 5 == 2:
            axis.set_xlabel("time [s]")


def paint_paths(figure: Figure) -> None:
    """Paths from above, the way ahead upwards; sideways is magnified where lanes matter."""
    for number, (name, (_, _, rule)) in enumerate(PATH_EXAMPLES.items()):
        axis = figure.add_subplot(3, 3, number + 1)
        shown = path_example(name)
        turns = name in TURNS
        _road(axis, shown.line if turns else np.zeros((0, 3)))
        x, y = shown.line[:, 0], shown.line[:, 1]
        axis.plot(y, x, color=hex_color(palette.GREEN), lw=2.4)
        axis.plot(shown.poses[:, 1], shown.poses[:, 0], "o", color=hex_color(palette.GREEN), ms=4)
        _car(axis)
        reach = 24.0 if turns else 7.0
        axis.set(xlim=(reach, -reach), ylim=(-6, 42), yticks=(0, 10, 20, 30, 40))
        axis.set_xticks((-20, -10, 0, 10, 20) if turns else (-5.25, -1.75, 1.75, 5.25))
        _heads(axis, name.value, rule)
        if number % 3 == 0:
            axis.set_ylabel("ahead [m]")
        if number // 3 == 2:
            axis.set_xlabel("to the left [m]")


def _heads(axis: Axes, name: str, rule: str) -> None:
    axis.set_title(name, pad=17)
    axis.text(0.0, 1.03, rule, transform=axis.transAxes, fontsize=8.5,
              color=hex_color(palette.MUTED))  # fmt: skip


def _road(axis: Axes, line: F64) -> None:
    """Asphalt and edges of the lane that is followed, or, without a line, of three lanes."""
    if len(line):
        behind = np.array([[-8.0, 0.0, 0.0]])
        ahead = line[-1] + 60.0 * np.array([[np.cos(line[-1, 2]), np.sin(line[-1, 2]), 0.0]])
        whole = np.concatenate([behind, line, ahead])
        count, dashed = 1, False
    else:
        whole, count, dashed = np.array([[-8.0, 0, 0], [60.0, 0, 0]]), 3, True
    aside = np.stack([-np.sin(whole[:, 2]), np.cos(whole[:, 2])], axis=1)
    edges = [whole[:, :2] + aside * (k - count / 2) * LANE_M for k in range(count + 1)]
    ring = np.concatenate([edges[0], edges[-1][::-1]])[:, ::-1]
    axis.add_patch(Polygon(ring, color=hex_color((58, 64, 73)), lw=0))
    for k, edge in enumerate(edges):
        inner = dashed and 0 < k < count
        style = (0, (6, 5)) if inner else "solid"
        axis.plot(edge[:, 1], edge[:, 0], color="white", alpha=0.65, lw=1.2, ls=style)


def _car(axis: Axes) -> None:
    """Where its rear axle is now; a mark, because a true outline would be magnified sideways."""
    axis.plot(0.0, 0.0, "^", color=hex_color(palette.ORANGE), ms=13, mec="white", mew=0.8)


def main(folder: Path) -> None:
    """Write both pictures into a folder that exists."""
    for name, size, paint in (
        ("commands_speed", (14.0, 7.6), paint_speeds),
        ("commands_path", (11.0, 11.5), paint_paths),
    ):
        with rc_context(STYLE):
            figure = Figure(figsize=size, layout=ConstrainedLayoutEngine(w_pad=0.16, h_pad=0.16))
            paint(figure)
            figure.savefig(folder / f"{name}.png", dpi=DPI, metadata={"Software": None})


if __name__ == "__main__":
    main(Path(sys.argv[1]))
