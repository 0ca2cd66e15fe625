"""All that stands and moves in a town as batches of quads, placed for one moment and one camera.

May import: types, frames, world.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from irl_vla.frames import inverse, rigid_from_pose
from irl_vla.scoring.scene import AGENT_TYPES
from irl_vla.types import F32, F64
from irl_vla.world.episode import BRAKE, LEFT_INDICATOR, MODELS, RIGHT_INDICATOR, Actors, Moment
from irl_vla.world.render_people import cyclist, person, walked
from irl_vla.world.render_quads import Quads, joined
from irl_vla.world.render_street import prop_quads, signal_head, thing
from irl_vla.world.render_textures import SPOKES, Atlas, atlas_of
from irl_vla.world.render_vehicles import vehicle
from irl_vla.world.render_weather import Weather
from irl_vla.world.town import Light, Town

I64 = NDArray[np.int64]
BLINKS_HZ = 1.5  # of indicators
CELL_M = 32.0  # [m] side of the cells that props are batched by
SHADOWS_M = 60.0  # [m] around the ego road users cast shadows
LONGEST_M = 7.0  # [m] their shadows reach
WALKERS = ("pedestrian", "bicycle")


class Batches(NamedTuple):
    """Batches of quads as render_raster.place reads them, in its order."""

    shapes: F64
    looks: F32
    tags: NDArray[np.int32]
    starts: I64
    poses: F64
    eyes: F64
    suns: F64
    balls: F64
    bits: I64
    instances: I64
    phases: F64


class Stage:
    """A town's quads: what stands (by cells), signals (by heads), road users."""

    def __init__(self, town: Town, actors: Actors, weather: Weather) -> None:
        self.atlas: Atlas = atlas_of(town.seed, [p.text for p in town.props])
        self._actors, self._to_sun = actors, weather.to_sun
        cells = _cells(town, self.atlas)
        posts = [prop.pose[:2] for prop in town.props if prop.kind == "signal_post"]
        masts = np.array(posts, np.float64).reshape(-1, 2)
        heads = [
            (index, signal_head(head, masts))
            for index, signal in enumerate(town.signals) for head in signal.heads
        ]  # fmt: skip
        users = [_user(actors, k, self.atlas) for k in range(len(actors))]
        parts = [*cells, *(quads for _, quads in heads), *users]
        whole = joined(parts)
        ends = np.cumsum([0, *(len(part) for part in parts)])
        self._starts = np.stack([ends[:-1], ends[1:]], axis=1).astype(np.int64)
        self._balls = np.array([part.ball for part in parts]).reshape(-1, 4)
        self._whole = whole
        self._signals = np.array([index for index, _ in heads], np.int64)
        self._still = len(cells) + len(heads)
        self._walks = np.isin(actors.models, [MODELS.index(name) for name in WALKERS])

    def at(self, moment: Moment, cam_from_ego: F64) -> Batches:
        """Everything at one moment, seen from one camera."""
        cam_from_world = cam_from_ego @ inverse(rigid_from_pose(moment.ego[:3]))
        eye = inverse(cam_from_world)[:3, 3]
        there = np.flatnonzero(moment.present)
        still, count = self._still, self._still + len(there)
        rows = np.concatenate([np.arange(still), still + there])
        poses, eyes = np.empty((count, 3, 4)), np.empty((count, 3))
        suns = np.empty((count, 3))
        poses[:still], eyes[:still], suns[:still] = cam_from_world[:3], eye, self._to_sun
        states = moment.states[there]
        local = _local_from_world(states)
        poses[still:] = cam_from_world[:3] @ np.linalg.inv(local)
        eyes[still:] = local[:, :3, :3] @ eye + local[:, :3, 3]
        suns[still:] = local[:, :3, :3] @ self._to_sun
        bits = np.zeros(count, np.int64)
        lights = np.asarray(moment.lights, np.int64)[self._signals]
        heads = slice(still - len(self._signals), still)
        bits[heads] = np.where(lights == Light.OFF, 0, 1 << np.maximum(lights - 1, 0))
        bits[still:] = lamps_now(moment.lamps[there], moment.time_s)
        instances = np.full(count, -1, np.int64)
        instances[still:] = there
        phases = np.zeros(count)
        phase, swing = walked(states, self._actors.looks[there])
        # a swing of share s at phase p looks like sin(p') = s sin(p)
        phases[still:] = np.where(self._walks[there], np.arcsin(swing * np.sin(phase)), 0.0)
        return Batches(
            self._whole.shapes, self._whole.looks, self._whole.tags, self._starts[rows], poses,
            eyes, suns, self._balls[rows], bits, instances, phases,
        )  # fmt: skip

    def shadows(self, moment: Moment) -> tuple[F64, F64]:
        """Boxes (n, 5) that cast shadows, ego frame, and the shift (n, 2) of their lids' shadows
        in each box's axes; see render_raster.cast."""
        there = np.flatnonzero(moment.present)
        states, sizes = moment.states[there], self._actors.sizes[there]
        offset = states[:, :2] - moment.ego[:2]
        near = np.hypot(offset[:, 0], offset[:, 1]) < SHADOWS_M
        states, sizes, offset = states[near], sizes[near], offset[near]
        c, s = np.cos(moment.ego[2]), np.sin(moment.ego[2])
        boxes = np.empty((len(states), 5))
        boxes[:, 0] = c * offset[:, 0] + s * offset[:, 1]
        boxes[:, 1] = c * offset[:, 1] - s * offset[:, 0]
        boxes[:, 2] = states[:, 2] - moment.ego[2]
        thin = np.where(self._walks[there][near], 0.55, 0.97)[:, None]
        boxes[:, 3:] = sizes[:, :2] / 2 * thin
        way = -self._to_sun[:2] / max(float(self._to_sun[2]), 1e-3) * sizes[:, 2:] * 0.9
        way *= np.minimum(1.0, LONGEST_M / np.maximum(np.hypot(way[:, 0], way[:, 1]), 1e-9))[
            :, None
        ]
        c, s = np.cos(states[:, 2]), np.sin(states[:, 2])
        shifts = np.stack([c * way[:, 0] + s * way[:, 1], c * way[:, 1] - s * way[:, 0]], axis=1)
        return boxes, shifts


def lamps_now(lamps: NDArray[np.uint8], time_s: float) -> I64:
    """(n,) bits of lamps that are lit this instant: indicators blink."""
    dark = int(np.floor(time_s * BLINKS_HZ * 2.0 + 1e-6)) % 2
    steady = BRAKE if dark else BRAKE | LEFT_INDICATOR | RIGHT_INDICATOR
    return np.asarray(lamps, np.int64) & steady


def _local_from_world(states: F64) -> F64:
    """(n, 4, 4) for states (n, 5)."""
    c, s = np.cos(states[:, 2]), np.sin(states[:, 2])
    out = np.zeros((len(states), 4, 4))
    out[:, 0, 0], out[:, 0, 1], out[:, 1, 0], out[:, 1, 1] = c, s, -s, c
    out[:, 2, 2] = out[:, 3, 3] = 1.0
    out[:, :2, 3] = -np.einsum("nij,nj->ni", out[:, :2, :2], states[:, :2])
    return out


def _cells(town: Town, atlas: Atlas) -> list[Quads]:
    """Props batched by the cell that they stand in."""
    cells: dict[tuple[int, int], list[Quads]] = {}
    for prop in town.props:
        key = (int(prop.pose[0] // CELL_M), int(prop.pose[1] // CELL_M))
        cells.setdefault(key, []).append(prop_quads(prop, atlas))
    return [joined(cells[key]) for key in sorted(cells)]


def _user(actors: Actors, index: int, atlas: Atlas) -> Quads:
    model, size = MODELS[int(actors.models[index])], actors.sizes[index]
    look = int(actors.looks[index])
    if model == "pedestrian":
        return person(size, look)
    if model == "bicycle":
        return cyclist(size, look, atlas.tiles[SPOKES])
    if model == "object":
        return thing(AGENT_TYPES[int(actors.types[index])], size, look, "", atlas)
    return vehicle(model, size, look)
