"""What one scene says about the eyes, as counts that can be added over scenes.

Symbols: R x S cells, n guesses, m true things. All places in the ego frame [m].
    IoU of a class = cells that both call so / cells that either does, over the cells that some
    camera sees and whose truth is known
    a guess is a hit where a true thing of its class, not yet taken by a better guess, lies near
May import: numpy, scipy, irl_vla, irl_vla_training.samples.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from irl_vla.camera.projection import BevGrid
from irl_vla.perception.preset import AGENT_CLASSES, MAP_CLASSES, SEG_CLASSES
from irl_vla.types import F64, SceneTokens
from irl_vla.vehicle import PACIFICA
from irl_vla_training.samples.batch import Batch
from irl_vla_training.samples.sample import LAMPS

Mask = NDArray[np.bool_]

AREAS = {  # what IoU is told of -> classes of cells that belong to it
    "drivable": ("road", "centerline"), "walkway": ("walkway",), "vehicle": ("vehicle",),
    "pedestrian": ("pedestrian",), "centerline": ("centerline",), "obstacle": ("obstacle",),
}  # fmt: skip
HIT_M, WITHIN_M = 2.0, 30.0  # a box is found; how far boxes count
LINE_HIT_M = 1.5  # mean distance of a line's points
MOVES_M_S = 2.0
ERRORS = 3  # of a mover: with memory, without, in the car's own loop
BEYOND_M, ASIDE_M = (1.5, 3.0, 4.5), (-0.7, 0.0, 0.7)  # where the closed plane is read
LIGHT_M = 40.0  # lights nearer than this are asked for


@dataclass
class SceneRow:
    """seed, weather, rig: of the scene; iou: class -> (both, either); found: class -> (score, hit)
    of each guess; there: class -> how many there are; velocity: one row per mover that was found
    in all tokens: distance, true vx and vy, ego's speed, error with memory, without, and in the
    car's own loop (NaN where that was not asked for);
    lamp: (truth, metres to the line, how closed the lane behind it is called), or None"""

    key: str
    seed: int
    weather: str
    rig: str
    iou: dict[str, tuple[int, int]] = field(default_factory=dict)
    found: dict[str, list[tuple[float, bool]]] = field(default_factory=dict)
    there: dict[str, int] = field(default_factory=dict)
    velocity: list[tuple[float, ...]] = field(default_factory=list)
    lamp: tuple[int, float, float] | None = None


def scene_row(
    tokens: SceneTokens, without: SceneTokens, batch: Batch, grid: BevGrid,
    looped: SceneTokens | None = None,
) -> SceneRow:  # fmt: skip
    """Of a batch of one. without: the memory masked; looped: in the car's own loop, or None."""
    key = batch.keys[0]
    row = SceneRow(key, int(key.split("-")[0]), batch.weathers[0], batch.rigs[0])
    known = (batch.seg_known & batch.seen)[0].numpy()
    row.iou = area_counts(tokens.seg, batch.seg[0].numpy(), known)
    row.iou["closed"] = both_and_either(
        _closed(tokens) > 0.5, batch.closed[0].numpy() > 0.5,
        batch.seen[0].numpy() & bool(batch.closed_known[0]),
    )  # fmt: skip
    boxes = TrueBoxes.of(batch)
    for name in AGENT_CLASSES:
        row.found[name], row.there[name] = found_boxes(tokens, boxes, name)
    for name in MAP_CLASSES:
        row.found[f"map {name}"], row.there[f"map {name}"] = found_lines(tokens, batch, name)
    seen = [tokens, without] if looped is None else [tokens, without, looped]
    row.velocity = velocity_rows(seen, boxes, float(batch.ego_vector[0, 0]) * 10.0)
    row.lamp = lamp_row(tokens, batch, grid)
    return row


def area_counts(
    seg: NDArray[np.float16], truth: NDArray[np.int64], known: Mask
) -> dict[str, tuple[int, int]]:
    """seg: (K, R, S) probabilities; truth, known: (R, S)."""
    called = seg.astype(np.float32).argmax(axis=0)
    counts = {}
    for name, parts in AREAS.items():
        index = [SEG_CLASSES.index(part) for part in parts]
        counts[name] = both_and_either(np.isin(called, index), np.isin(truth, index), known)
    return counts


def both_and_either(called: Mask, truth: Mask, known: Mask) -> tuple[int, int]:
    """Cells."""
    return int((called & truth & known).sum()), int(((called | truth) & known).sum())


@dataclass(frozen=True)
class TrueBoxes:
    """Rows x y z l w h yaw vx vy, kinds, and whether pictures show them; only what is there."""

    boxes: F64
    kind: NDArray[np.int64]
    shown: Mask

    @staticmethod
    def of(batch: Batch) -> TrueBoxes:
        """Of a batch of one."""
        shown, hidden = batch.box_valid[0].numpy(), batch.box_hidden[0].numpy()
        there = shown | hidden
        boxes = batch.boxes[0].numpy().astype(np.float64)
        return TrueBoxes(boxes[there], batch.box_kind[0].numpy()[there], shown[there])


def found_boxes(
    tokens: SceneTokens, truth: TrueBoxes, name: str
) -> tuple[list[tuple[float, bool]], int]:
    """Guesses of a class within WITHIN_M, best first, and how many are to be found. A guess near
    somebody who is there and not shown does not count."""
    mine = truth.kind == AGENT_CLASSES.index(name)
    near = np.hypot(truth.boxes[:, 0], truth.boxes[:, 1]) <= WITHIN_M
    guesses = tokens.boxes[tokens.agent_class == AGENT_CLASSES.index(name)].astype(np.float64)
    guesses = guesses[np.argsort(-guesses[:, 9], kind="stable")]
    wanted = truth.boxes[mine & truth.shown, :2]
    excused = truth.boxes[~truth.shown, :2]
    taken, rows = np.zeros(len(wanted), np.bool_), []
    for guess in guesses:
        away = np.where(taken, np.inf, _distances(wanted, guess[:2]))
        hit = bool(len(away)) and float(away.min()) <= HIT_M
        if hit:
            taken[away.argmin()] = True
        elif (_distances(excused, guess[:2]) <= HIT_M).any():
            continue
        if np.hypot(*guess[:2]) <= WITHIN_M:
            rows.append((float(guess[9]), hit))
    return rows, int((mine & truth.shown & near).sum())


def found_lines(
    tokens: SceneTokens, batch: Batch, name: str
) -> tuple[list[tuple[float, bool]], int]:
    """Likewise for map elements of a class. Scores of lines are not carried by SceneTokens: valid
    ones alone are guesses, all alike."""
    index = MAP_CLASSES.index(name)
    lines, kind = batch.lines[0].numpy(), batch.line_kind[0].numpy()
    there = np.abs(lines).max(axis=(1, 2), initial=0.0) > 0.0
    valid = batch.line_valid[0].numpy()
    wanted = lines[valid & (kind == index)].astype(np.float64)
    excused = lines[there & ~valid & (kind == index)].astype(np.float64)
    guesses = tokens.polylines[tokens.map_valid & (tokens.map_class == index)].astype(np.float64)
    taken, rows = np.zeros(len(wanted), np.bool_), []
    for guess in guesses:
        away = np.where(taken, np.inf, _line_distances(wanted, guess))
        hit = bool(len(away)) and float(away.min()) <= LINE_HIT_M
        if hit:
            taken[away.argmin()] = True
        elif (_line_distances(excused, guess) <= LINE_HIT_M).any():
            continue
        rows.append((1.0, hit))
    return rows, len(wanted)


def velocity_rows(
    seen: Sequence[SceneTokens], truth: TrueBoxes, ego_m_s: float
) -> list[tuple[float, ...]]:
    """Movers within WITHIN_M that are found in all of `seen` (at most 3): one row each."""
    speed = np.hypot(truth.boxes[:, 7], truth.boxes[:, 8])
    away = np.hypot(truth.boxes[:, 0], truth.boxes[:, 1])
    rows = []
    for index in np.flatnonzero(truth.shown & (speed > MOVES_M_S) & (away <= WITHIN_M)):
        true = truth.boxes[index]
        found = [_velocity_near(one, true[:2], int(truth.kind[index])) for one in seen]
        errors = [float(np.hypot(*(v - true[7:9]))) for v in found if v is not None]
        if len(errors) == len(seen):
            errors += [np.nan] * (ERRORS - len(errors))
            rows.append((float(away[index]), float(true[7]), float(true[8]), ego_m_s, *errors))
    return rows


def _velocity_near(tokens: SceneTokens, place: F64, kind: int) -> F64 | None:
    """Of the valid agent of that class nearest to a place, if it is a hit."""
    mine = tokens.agent_valid & (tokens.agent_class == kind)
    boxes = tokens.boxes[mine].astype(np.float64)
    away = _distances(boxes[:, :2], place)
    if not len(away) or away.min() > HIT_M:
        return None
    return np.asarray(boxes[away.argmin(), 7:9])


def lamp_row(tokens: SceneTokens, batch: Batch, grid: BevGrid) -> tuple[int, float, float] | None:
    """The light ahead within LIGHT_M, and how closed the lane behind its stop line is called."""
    lamp, metres = int(batch.lamp[0]), float(batch.lamp_m[0])
    if lamp <= LAMPS.index("none") or not 0.0 <= metres <= LIGHT_M:
        return None
    line = _own_stop_line(batch, metres + PACIFICA.front_length)
    if line is None:
        return None
    middle = line.mean(axis=0)
    across = line[-1] - line[0]
    across = across / max(float(np.hypot(*across)), 1e-6)
    along = np.array([across[1], -across[0]])
    along = along if along[0] > 0.0 else -along
    places = np.array([middle + d * along + a * across for d in BEYOND_M for a in ASIDE_M])
    return lamp, metres, _read(_closed(tokens), places, grid)


def _own_stop_line(batch: Batch, distance: float) -> F64 | None:
    """The stop line that lies so far ahead and most nearly before the ego."""
    kinds = [MAP_CLASSES.index(name) for name in ("stop_line", "red_stop_line")]
    lines = batch.lines[0].numpy().astype(np.float64)
    stop = np.isin(batch.line_kind[0].numpy(), kinds)
    stop &= np.abs(lines).max(axis=(1, 2), initial=0.0) > 0.0
    middles = lines.mean(axis=1)
    off = np.abs(np.hypot(middles[:, 0], middles[:, 1]) - distance) + 0.5 * np.abs(middles[:, 1])
    off = np.where(stop & (middles[:, 0] > 0.0), off, np.inf)
    if not len(off) or off.min() > 6.0:
        return None
    return np.asarray(lines[off.argmin()])


def _read(plane: NDArray[np.float32], places: F64, grid: BevGrid) -> float:
    """Mean of a plane (R, S) at places (n, 2) inside the grid; 0 where none is."""
    rows, columns = (
        np.floor((places[:, axis] - low) / (high - low) * count).astype(int)
        for axis, (low, high), count in zip((0, 1), (grid.x, grid.y), grid.cells, strict=True)
    )
    inside = (rows >= 0) & (rows < grid.cells[0]) & (columns >= 0) & (columns < grid.cells[1])
    return float(plane[rows[inside], columns[inside]].mean()) if inside.any() else 0.0


def _closed(tokens: SceneTokens) -> NDArray[np.float32]:
    """(R, S); nowhere for networks that do not say."""
    if tokens.closed is None:
        return np.zeros(tokens.seg.shape[1:], np.float32)
    return np.asarray(tokens.closed[0], np.float32)


def _distances(places: F64, place: F64) -> F64:
    return np.asarray(np.hypot(places[:, 0] - place[0], places[:, 1] - place[1]))


def _line_distances(lines: F64, line: F64) -> F64:
    """(m,) mean distance of the points, the better of both directions."""
    ways = [np.linalg.norm(lines - way, axis=-1).mean(axis=-1) for way in (line, line[::-1])]
    return np.asarray(np.minimum(*ways))


def as_json(row: SceneRow) -> dict[str, Any]:
    """For rows.jsonl."""
    return vars(row)
