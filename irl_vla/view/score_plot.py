"""Sub-scores over time as rows of cells, told by height and colour.

May import: types, palette, figure, report.
"""

from __future__ import annotations

from collections.abc import Mapping

from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure

from irl_vla.types import F64
from irl_vla.view.figure import cells, draw
from irl_vla.view.palette import GREEN, VERMILLION, YELLOW, hex_color
from irl_vla.view.plots import WIDTH
from irl_vla.view.report import PageFigure

FULL, THINNEST = 0.76, 0.1  # of a row: heights of the values 1 and 0
_SHADES = LinearSegmentedColormap.from_list(
    "scores", [hex_color(VERMILLION), hex_color(YELLOW), hex_color(GREEN)]
)


def plot_scores(time_s: F64, columns: Mapping[str, F64]) -> PageFigure:
    """columns: name -> (n,) values 0..1 of the plans made at time_s (n,)."""

    def paint(figure: Figure) -> None:
        axis = figure.subplots()
        start, width = cells(time_s)
        for row, values in enumerate(columns.values()):
            axis.bar(
                start, -(THINNEST + (FULL - THINNEST) * values), width, row + FULL / 2.0,
                align="edge", color=_SHADES(values), lw=0,
            )  # fmt: skip
            axis.text(1.01, row, f"{values.mean():.2f}", va="center",
                      transform=axis.get_yaxis_transform())  # fmt: skip
        axis.set_yticks(range(len(columns)), [name.upper() for name in columns])
        axis.set_ylim(len(columns) - 0.4, -0.6)
        axis.grid(axis="y", visible=False)
        axis.set_xlabel("time [s]")

    note = (
        "Each plan scored against what the others then did. Full height and green: 1; half height "
        "and yellow: 0.5; a thin red line: 0. Right: mean. The last 4 s have no score, their "
        "future was not driven."
    )
    height = 1.0 + 0.3 * len(columns)
    return PageFigure("EPDMS of the plans", draw("EPDMS of the plans", WIDTH, height, paint), note)
