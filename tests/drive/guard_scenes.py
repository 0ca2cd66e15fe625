"""Hand-made and random scenes for the guard: tokens, candidates and ego motion. The benchmark
`benchmarks/guard.py` drives through the same ones."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from irl_vla.camera.projection import BevGrid
from irl_vla.perception.preset import MAP_CLASSES, SEG_CLASSES
from irl_vla.types import F64, Candidates, EgoStatus, SceneTokens

TIMES = 0.5 * np.arange(1, 9)
AREA = BevGrid(x=(-16.0, 48.0), y=(-32.0, 32.0), cells=(128, 128), heights=(0.0,))
ROAD, NOTHING = SEG_CLASSES.index("road"), SEG_CLASSES.index("nothing")
BEND = 0.02  # [1/m] of the busy road
SPEED = 10.0  # [m/s]


@dataclass(frozen=True)
class GuardScene:
    """What the guard is asked about."""

    candidates: Candidates
    ego: EgoStatus
    tokens: SceneTokens
    area: BevGrid


def ego_at(speed: float, yaw_rate: float = 0.0, stamp_ns: int = 0) -> EgoStatus:
    """An ego that moves straight on."""
    return EgoStatus(
        stamp_ns, np.array([speed, 0.0]), np.zeros(2), yaw_rate, valid=True, source="test",
        measured_ns=stamp_ns,
    )  # fmt: skip


def driven(
    speed: float, acceleration: float = 0.0, curvature: float = 0.0, times: F64 = TIMES
) -> F64:
    """(T, 3) poses on an arc at constant acceleration, never backwards."""
    until = np.minimum(times, speed / -acceleration) if acceleration < 0.0 else times
    s = speed * until + 0.5 * acceleration * until**2
    yaw = curvature * s
    if curvature == 0.0:
        return np.stack([s, np.zeros_like(s), yaw], axis=-1)
    x, y = np.sin(yaw) / curvature, (1.0 - np.cos(yaw)) / curvature
    return np.stack([x, y, yaw], axis=-1)


def rows(*agents: tuple[float, ...]) -> F64:
    """Agents (x, y, vx, vy[, yaw[, score]]) -> (n, 10) boxes of cars, 4 m by 2 m."""
    boxes = np.zeros((len(agents), 10))
    for row, (x, y, vx, vy, *more) in zip(boxes, agents, strict=True):
        yaw = more[0] if more else 0.0
        score = more[1] if len(more) > 1 else 0.9
        row[:] = [x, y, 0.8, 4.0, 2.0, 1.6, yaw, vx, vy, score]
    return boxes


def tokens_of(
    boxes: F64 | None = None, lines: F64 | None = None, kinds: tuple[str, ...] = (),
    road: F64 | None = None, stamp_ns: int = 0,
) -> SceneTokens:  # fmt: skip
    """Tokens of a perception that saw this. boxes: (n, 10); lines: (m, 20, 2) of classes `kinds`;
    road: (nx, ny) probabilities, or None: no segmentation."""
    blind = SceneTokens.blind(stamp_ns, 0)
    boxes = np.zeros((0, 10)) if boxes is None else boxes
    lines = np.zeros((0, 20, 2)) if lines is None else lines
    seg = blind.seg
    if road is not None:
        seg = np.zeros((len(SEG_CLASSES), *road.shape), np.float16)
        seg[ROAD], seg[NOTHING] = road, 1.0 - road
    return replace(
        blind, boxes=boxes.astype(np.float16), agent_valid=np.ones(len(boxes), np.bool_),
        agent_class=np.zeros(len(boxes), np.int64), polylines=lines.astype(np.float16),
        map_valid=np.ones(len(lines), np.bool_),
        map_class=np.array([MAP_CLASSES.index(kind) for kind in kinds], np.int64), seg=seg,
    )  # fmt: skip


def beside(y: float, x0: float = -16.0, x1: float = 48.0, bend: float = BEND) -> F64:
    """(20, 2) a line along the bent road, `y` metres left of the ego's path."""
    s = np.linspace(x0, x1, 20)
    radius = 1.0 / bend
    return np.stack([(radius - y) * np.sin(s * bend), radius - (radius - y) * np.cos(s * bend)], -1)


def busy(agents: int = 30, elements: int = 50, count: int = 64) -> GuardScene:
    """A bend full of cars beside the ego's lane, with every map element along it; the seen road
    ends ahead, so each candidate is checked to its end before it is refused."""
    fan = [
        driven(SPEED, acceleration, BEND + aside)
        for acceleration in np.linspace(-0.4, 0.8, 8)
        for aside in np.linspace(-1.5e-3, 1.5e-3, count // 8)
    ]
    cars = []
    for i in range(agents):
        s, y = -12.0 + 4.0 * (i // 2), 4.4 if i % 2 else -4.4
        x, left = beside(y, s, s + 1.0)[0]
        speed = 0.0 if i % 2 else SPEED  # parked inside the bend: who goes straight on cuts it
        cars.append((x, left, speed * np.cos(s * BEND), speed * np.sin(s * BEND), s * BEND))
    lines = np.stack(
        [beside((2.6 + 0.02 * i) * (1 if i % 2 else -1)) for i in range(elements)]
    )  # fmt: skip
    kinds = tuple("boundary" if i % 3 else "red_stop_line" for i in range(elements))
    road = np.zeros(AREA.cells)
    road[: round((33.0 - AREA.x[0]) / 0.5)] = 1.0
    tokens = tokens_of(rows(*cars), lines, kinds, road)
    confidence = np.linspace(1.0, 0.1, len(fan))
    return GuardScene(
        Candidates(np.stack(fan), confidence), ego_at(SPEED, SPEED * BEND), tokens, AREA
    )
