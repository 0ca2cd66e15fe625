"""Rows of scenes -> the figures of a report, with 95 % intervals by seed (bootstrap).

May import: numpy, measures, irl_vla_training.samples.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from irl_vla.types import F64
from irl_vla_training.evaluate.measures import AREAS, ERRORS, SceneRow
from irl_vla_training.samples.sample import LAMPS

DRAWS = 500
CALLED_RED = 0.5  # of the closed plane
VALID = 0.3  # score from which a box is valid (Preset.score_threshold)

Figure = Callable[[Sequence[SceneRow]], float | None]


def summary(rows: Sequence[SceneRow]) -> dict[str, Any]:
    """The interface's figures, then more of them. None: nothing of the kind was there."""
    lamps = [row for row in rows if row.lamp is not None]
    return {
        "scenes": len(rows), "seeds": len({row.seed for row in rows}),
        "iou": {name: iou(rows, name) for name in AREAS},
        "vehicles": {
            "recall_2m": recall(rows, "vehicle"), "precision_2m": precision(rows, "vehicle"),
        },
        "lamps": {
            "red_recall": called_red(lamps, "red"), "false_red": called_red(lamps, "green"),
            "reds": _count(lamps, "red"), "greens": _count(lamps, "green"),
        },
        "velocity_error": velocity(rows),
        "closed_iou": iou(rows, "closed"),
        "ap_2m": {
            name: average_precision(rows, name)
            for name in ("vehicle", "pedestrian", "bicycle", "obstacle")
        },
        "map": {
            name.removeprefix("map "): {
                "recall": recall(rows, name, 0.0), "precision": precision(rows, name, 0.0),
                "there": sum(row.there[name] for row in rows),
            }
            for name in _names(rows, "map ")
        },
    }  # fmt: skip


def intervals(rows: Sequence[SceneRow], seed: int = 0) -> dict[str, tuple[float, float] | None]:
    """95 % of the main figures, whole seeds drawn with replacement."""
    figures: dict[str, Figure] = {
        f"iou {name}": _iou_of(name) for name in AREAS
    }  # fmt: skip
    figures["vehicle recall_2m"] = lambda some: recall(some, "vehicle")
    figures["vehicle precision_2m"] = lambda some: precision(some, "vehicle")
    figures["red_recall"] = lambda some: called_red(some, "red")
    figures["false_red"] = lambda some: called_red(some, "green")
    figures["velocity with_memory"] = lambda some: velocity(some)["with_memory"]
    figures["velocity without"] = lambda some: velocity(some)["without"]
    return {name: _interval(rows, figure, seed) for name, figure in figures.items()}


def _iou_of(name: str) -> Figure:
    return lambda rows: iou(rows, name)


def _interval(rows: Sequence[SceneRow], figure: Figure, seed: int) -> tuple[float, float] | None:
    by_seed: dict[int, list[SceneRow]] = {}
    for row in rows:
        by_seed.setdefault(row.seed, []).append(row)
    groups, rng, found = list(by_seed.values()), np.random.default_rng(seed), []
    for _ in range(DRAWS):
        drawn = rng.integers(0, len(groups), len(groups)).tolist()
        value = figure([row for index in drawn for row in groups[index]])
        found += [] if value is None else [value]
    if not found:
        return None
    low, high = np.percentile(found, [2.5, 97.5])
    return round(float(low), 4), round(float(high), 4)


def by_group(rows: Sequence[SceneRow], of: Callable[[SceneRow], str]) -> dict[str, Any]:
    """Main figures of each weather or rig."""
    names = sorted({of(row) for row in rows})
    return {
        name: {
            "scenes": len(some), **{area: iou(some, area) for area in AREAS},
            "vehicle recall_2m": recall(some, "vehicle"),
            "vehicle precision_2m": precision(some, "vehicle"),
        }
        for name in names
        for some in [[row for row in rows if of(row) == name]]
    }  # fmt: skip


def iou(rows: Iterable[SceneRow], name: str) -> float | None:
    """Over all cells of all scenes together."""
    counts = np.array([row.iou[name] for row in rows], np.int64).reshape(-1, 2).sum(axis=0)
    return _share(float(counts[0]), float(counts[1]))


def recall(rows: Iterable[SceneRow], name: str, valid: float = VALID) -> float | None:
    """Share of what is there that a valid guess hits."""
    hits, there = 0, 0
    for row in rows:
        hits += sum(hit for score, hit in row.found[name] if score >= valid)
        there += row.there[name]
    return _share(min(hits, there), there)


def precision(rows: Iterable[SceneRow], name: str, valid: float = VALID) -> float | None:
    """Share of the valid guesses that hit."""
    judged = [hit for row in rows for score, hit in row.found[name] if score >= valid]
    return _share(sum(judged), len(judged))


def average_precision(rows: Sequence[SceneRow], name: str) -> float | None:
    """Area under precision over recall, precision made to fall."""
    there = sum(row.there[name] for row in rows)
    guesses = sorted((pair for row in rows for pair in row.found[name]), reverse=True)
    if not there or not guesses:
        return None if not there else 0.0
    hits = np.cumsum([hit for _, hit in guesses])
    precise = np.maximum.accumulate((hits / np.arange(1, len(hits) + 1))[::-1])[::-1]
    gained = np.diff(hits, prepend=0) / there
    return round(float((precise * gained).sum()), 4)


def called_red(rows: Iterable[SceneRow], truth: str) -> float | None:
    """Of the lights that show so, the share whose lane is called closed."""
    index = LAMPS.index(truth)
    asked = [row.lamp[2] > CALLED_RED for row in rows if row.lamp and row.lamp[0] == index]
    return _share(sum(asked), len(asked))


def velocity(rows: Iterable[SceneRow]) -> dict[str, float | None]:
    """Mean error [m/s] of movers, the same ones for all: with memory, without, in the car's own
    loop where that was asked for, and of the best linear guess from the ego's speed."""
    found = np.array([one for row in rows for one in row.velocity], np.float64)
    found = found.reshape(-1, 4 + ERRORS)
    looped = found[np.isfinite(found[:, 6])]
    return {
        "with_memory": _mean(found[:, 4]), "without": _mean(found[:, 5]),
        "constant": round(_constant_error(found), 3) if len(found) else None,
        "movers": len(found), "in_the_loop": _mean(looped[:, 6]), "movers_in_the_loop": len(looped),
    }  # fmt: skip


def _mean(values: F64) -> float | None:
    return round(float(values.mean()), 3) if len(values) else None


def _constant_error(found: F64) -> float:
    """Least squares of (vx, vy) on 1 and the ego's speed, judged on the very data."""
    inputs = np.column_stack([np.ones(len(found)), found[:, 3]])
    guess, *_ = np.linalg.lstsq(inputs, found[:, 1:3], rcond=None)
    return float(np.linalg.norm(inputs @ guess - found[:, 1:3], axis=1).mean())


def _names(rows: Sequence[SceneRow], prefix: str) -> list[str]:
    return [name for name in rows[0].found if name.startswith(prefix)] if rows else []


def _count(rows: Sequence[SceneRow], truth: str) -> int:
    return sum(row.lamp is not None and row.lamp[0] == LAMPS.index(truth) for row in rows)


def _share(part: float, whole: float) -> float | None:
    return round(part / whole, 4) if whole else None
