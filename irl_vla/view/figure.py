"""A matplotlib figure as inline SVG that follows the page's light or dark theme.

Nothing here knows what is plotted. No date, no random id, no link: the same data give the same
text. May import: types, palette.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from typing import Any

import numpy as np
from matplotlib import rc_context
from matplotlib.figure import Figure

from irl_vla.types import F64

INK = "#010203"  # stands for the page's text colour
FAINT = "#040506"  # stands for the page's line colour
MAX_POINTS = 1200  # of one line in one plot; more cannot be seen and make the page heavy

_STYLE: dict[str, Any] = {
    "svg.fonttype": "none", "text.parse_math": False, "font.family": "sans-serif", "font.size": 10,
    "text.color": INK, "axes.labelcolor": INK, "axes.edgecolor": FAINT, "xtick.color": INK,
    "ytick.color": INK, "axes.grid": True, "grid.color": FAINT, "grid.linewidth": 0.6,
    "axes.spines.top": False, "axes.spines.right": False, "axes.axisbelow": True,
    "legend.frameon": False, "lines.linewidth": 1.6, "hatch.linewidth": 0.8,
}  # fmt: skip


def draw(
    title: str, width: float, height: float, paint: Callable[[Figure], None], kind: str = ""
) -> str:
    """Let `paint` fill a figure of width x height [inch]; returns inline SVG.

    kind: "time" or "path" tells the page's player what the first axis spans (report.PageFigure)
    """
    with rc_context({**_STYLE, "svg.hashsalt": title}):
        figure = Figure(figsize=(width, height), layout="constrained")
        paint(figure)
        sink = io.StringIO()
        nothing = dict.fromkeys(("Date", "Creator", "Format", "Type"))
        figure.savefig(sink, format="svg", transparent=True, metadata=nothing)
        spans = _spans(figure, kind) if kind else ""
    return _inline(sink.getvalue(), title).replace("<svg ", f"<svg {spans}", 1)


def _spans(figure: Figure, kind: str) -> str:
    """The attribute of the svg that places seconds, or metres, in it."""
    axis = figure.axes[0]
    box, across, along = axis.get_position(), axis.get_xlim(), axis.get_ylim()
    numbers = [box.x0, box.x1, *across]
    if kind == "path":
        numbers = [box.x0, box.x1, box.y0, box.y1, *across, *along]
    return f'data-{kind}="{" ".join(f"{number:.6g}" for number in numbers)}" '


def _inline(text: str, title: str) -> str:
    """Only the <svg> element, without namespaces and metadata (HTML knows them), themed."""
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = re.sub(r' xmlns(:\w+)?="[^"]*"', "", text)
    text = re.sub(r'(<svg[^>]*?) width="[^"]*"', r"\1", text, count=1)
    text = re.sub(r'(<svg[^>]*?) height="[^"]*"', r"\1", text, count=1)
    text = re.sub(r"<[^>]*>", _rounded, text)
    label = re.sub(r"[^\w ,.()/-]", "", title)
    text = text.replace("<svg ", f'<svg role="img" aria-label="{label}" ', 1)
    return text.replace(INK, "var(--ink)").replace(FAINT, "var(--line)")


def _rounded(tag: re.Match[str]) -> str:
    """Coordinates to 1/100 pt, which nobody can see; words between the tags stay as they are."""
    return re.sub(r"(\d+\.\d{2})\d+", r"\1", tag.group())


def thinned(time: F64, value: F64) -> tuple[F64, F64]:
    """At most MAX_POINTS of a line, with the least and the greatest value of every stretch kept."""
    if len(time) <= MAX_POINTS:
        return time, value
    kept: list[int] = []
    for part in np.array_split(np.arange(len(time)), MAX_POINTS // 2):
        filled = np.nan_to_num(value[part])
        kept += sorted({int(part[np.argmin(filled)]), int(part[np.argmax(filled)])})
    index = np.array(kept)
    return time[index], value[index]


def cells(time: F64) -> tuple[F64, F64]:
    """Left edge and width of each anchor's cell: up to its neighbour, but not across a gap."""
    if len(time) < 2:
        return time, np.full(len(time), 0.1)
    steps = np.diff(time)
    median = float(np.median(steps))
    width = np.minimum(np.append(steps, median), 1.5 * median)
    return time, width
