"""The curves of a run as one PNG: every logged number against the step, smoothed.

In: entries of log.jsonl   Out: a PNG   May import: matplotlib, irl_vla_training's ground floor.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from irl_vla.types import F64
from irl_vla_training.checkpoint import write_whole
from irl_vla_training.run import RunFolder

COLUMNS = 4
SMOOTH = 25  # entries that are averaged


def curves_png(entries: Iterable[Mapping[str, Any]]) -> bytes:
    """One panel per number that was logged at least twice."""
    series = _series(entries)
    rows = max(1, -(-len(series) // COLUMNS))
    figure = Figure(figsize=(4.0 * COLUMNS, 2.4 * rows), layout="constrained")
    for place, (name, points) in enumerate(series.items()):
        axes = figure.add_subplot(rows, COLUMNS, place + 1)
        axes.plot(points[:, 0], points[:, 1], color="0.8", linewidth=0.8)
        axes.plot(points[:, 0], smoothed(points[:, 1]), color="C0", linewidth=1.5)
        axes.set_title(name, fontsize=9)
        axes.tick_params(labelsize=7)
        axes.grid(alpha=0.3)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=80)
    return buffer.getvalue()


def smoothed(values: F64) -> F64:
    """Mean of the last SMOOTH values at each place, of fewer at the beginning."""
    total = np.concatenate([[0.0], np.cumsum(values)])
    end = np.arange(1, len(values) + 1)
    begin = np.maximum(end - SMOOTH, 0)
    return np.asarray((total[end] - total[begin]) / (end - begin))


def _series(entries: Iterable[Mapping[str, Any]]) -> dict[str, F64]:
    found: dict[str, list[tuple[float, float]]] = {}
    for entry in entries:
        for name, value in entry.items():
            if name != "step" and isinstance(value, (int, float)) and "step" in entry:
                found.setdefault(name, []).append((float(entry["step"]), float(value)))
    return {name: np.array(points) for name, points in found.items() if len(points) > 1}


def redraw(folder: RunFolder) -> None:
    """`curves.png` of a run."""
    write_whole(folder.path / "curves.png", curves_png(folder.entries()))
