"""All that stands and moves in a town as batches of quads, placed for one moment and one camera.

May import: types, frames, world.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from irl_vla.frames import inverse, rigid_from_pose
from irl_vla.scoring.scene import AGENT_TYPES
from irl_vla.types import F32, F64
from irl_vla.world.episode import BRAKE, LEFT_INDICATOR, MODELS, RIGHT_INDICATOR, Actors, WorldState
from irl_vla.world.render.people import cyclist, person, walked, way_gone
from irl_vla.world.render.quads import Quads, joined
from irl_vla.world.render.street import signal_head, thing
from irl_vla.world.render.textures import SPOKES, Atlas, atlas_of
from irl_vla.world.render.vehicles import vehicle
from irl_vla.world.render.weather import Weather
from irl_vla.world.town import OBSTACLE_KINDS, Light, Prop, Town

I64 = NDArray[np.int64]
BLINKS_HZ = 1.5  # of indicators
TYRE_M = 0.34  # [m] radius at which wheels roll
CELL_M = 32.0  # [m] side of the cells that props are batched by
SHADOWS_M = 50.0  # [m] around the ego road users cast shadows
LONGEST_M = 7.0  # [m] their shadows reach
WALKERS = ("pedestrian", "bicycle")


class Batches(NamedTuple):
    """Batches of quads as raster.place reads them, in its order."""

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


@dataclass(frozen=True)
class RenderScene:
    """One moment, in the world: what `Batches` needs beside the camera.

    rows: batches that are there; still: how many of them stand; local: (m, 4, 4) the frames of the
    others from the world; boxes, shifts: shadows, see raster.cast
    """

    rows: I64
    still: int
    local: F64
    world: F64
    world_from_ego: F64
    bits: I64
    instances: I64
    phases: F64
    boxes: F64
    shifts: F64


class TownGeometry:
    """A town's quads: what stands (by cells), signals (by heads), road users."""

    def __init__(self, town: Town, actors: Actors, weather: Weather) -> None:
        self.atlas: Atlas = atlas_of([p.text for p in town.props])
        self._actors, self._to_sun = actors, weather.to_sun
        props, cells = _cells(_only_props(town, actors), self.atlas)
        posts = [prop.pose[:2] for prop in town.props if prop.kind == "signal_post"]
        masts = np.array(posts, np.float64).reshape(-1, 2)
        signals = [(k, head) for k, signal in enumerate(town.signals) for head in signal.heads]
        heads = [signal_head(head, masts) for _, head in signals]
        stands = np.array([head[[0, 1, 3, 2]] for _, head in signals]).reshape(-1, 4)
        stands = np.repeat(stands, [len(head) for head in heads], axis=0)
        users = [_user(actors, k, self.atlas) for k in range(len(actors))]
        self._quads = joined([props, joined(heads).moved(stands), *users])
        counts = [*cells, *(len(part) for part in [*heads, *users])]
        ends = np.cumsum([0, *counts]).astype(np.int64)
        self._starts = np.stack([ends[:-1], ends[1:]], axis=1)
        self._balls = self._quads.balls(ends)
        self._signals = np.array([k for k, _ in signals], np.int64)
        self._still = len(cells) + len(heads)
        self._walks = np.isin(actors.models, [MODELS.index(name) for name in WALKERS])

    def __len__(self) -> int:
        return len(self._quads)

    def at(self, moment: WorldState) -> RenderScene:
        """Everything at one moment."""
        there = np.flatnonzero(moment.present)
        still, count = self._still, self._still + len(there)
        states = moment.states[there]
        local, world = _frames(states)
        bits = np.zeros(count, np.int64)
        lights = np.asarray(moment.lights, np.int64)[self._signals]
        heads = slice(still - len(self._signals), still)
        bits[heads] = np.where(lights == Light.OFF, 0, 1 << np.maximum(lights - 1, 0))
        bits[still:] = lamps_now(moment.lamps[there], moment.time_s)
        instances = np.full(count, -1, np.int64)
        instances[still:] = there
        phases = np.zeros(count)
        looks = self._actors.looks[there]
        phase, swing = walked(states, looks)
        # a swing of share s at phase p looks like sin(p') = s sin(p); wheels roll
        limbs, rolled = np.arcsin(swing * np.sin(phase)), way_gone(states, looks) / TYRE_M
        phases[still:] = np.where(self._walks[there], limbs, rolled)
        rows = np.concatenate([np.arange(still), still + there])
        return RenderScene(
            rows, still, local, world, rigid_from_pose(moment.ego[:3]), bits, instances, phases,
            *self._shadows(moment, there),
        )  # fmt: skip

    def seen(self, scene: RenderScene, cam_from_ego: F64) -> Batches:
        """The scene from one camera."""
        cam_from_world = cam_from_ego @ inverse(scene.world_from_ego)
        eye = inverse(cam_from_world)[:3, 3]
        still, count, turn = scene.still, len(scene.rows), scene.local[:, :3, :3]
        poses, eyes, suns = np.empty((count, 3, 4)), np.empty((count, 3)), np.empty((count, 3))
        poses[:still], eyes[:still], suns[:still] = cam_from_world[:3], eye, self._to_sun
        poses[still:] = cam_from_world[:3] @ scene.world
        eyes[still:] = turn @ eye + scene.local[:, :3, 3]
        suns[still:] = turn @ self._to_sun
        quads = self._quads
        return Batches(
            quads.shapes, quads.looks, quads.tags, self._starts[scene.rows], poses, eyes, suns,
            self._balls[scene.rows], scene.bits, scene.instances, scene.phases,
        )  # fmt: skip

    def _shadows(self, moment: WorldState, there: I64) -> tuple[F64, F64]:
        """Boxes (n, 5) that cast shadows, ego frame, and the shift (n, 2) of their lids' shadows
        in each box's axes."""
        offset = moment.states[there, :2] - moment.ego[:2]
        near = np.hypot(offset[:, 0], offset[:, 1]) < SHADOWS_M
        there, offset = there[near], offset[near]
        states, sizes = moment.states[there], self._actors.sizes[there]
        c, s = np.cos(moment.ego[2]), np.sin(moment.ego[2])
        boxes = np.empty((len(states), 5))
        boxes[:, 0] = c * offset[:, 0] + s * offset[:, 1]
        boxes[:, 1] = c * offset[:, 1] - s * offset[:, 0]
        boxes[:, 2] = states[:, 2] - moment.ego[2]
        boxes[:, 3:] = sizes[:, :2] / 2 * np.where(self._walks[there], 0.55, 0.97)[:, None]
        way = -self._to_sun[:2] / max(float(self._to_sun[2]), 1e-3) * sizes[:, 2:] * 0.9
        length = np.maximum(np.hypot(way[:, :1], way[:, 1:]), 1e-9)
        way *= np.minimum(1.0, LONGEST_M / length)
        c, s = np.cos(states[:, 2]), np.sin(states[:, 2])
        shifts = np.stack([c * way[:, 0] + s * way[:, 1], c * way[:, 1] - s * way[:, 0]], axis=1)
        return boxes, shifts


def lamps_now(lamps: NDArray[np.uint8], time_s: float) -> I64:
    """(n,) bits of lamps that are lit this instant: indicators blink."""
    dark = int(np.floor(time_s * BLINKS_HZ * 2.0 + 1e-6)) % 2
    steady = BRAKE if dark else BRAKE | LEFT_INDICATOR | RIGHT_INDICATOR
    return np.asarray(lamps, np.int64) & steady


def _frames(states: F64) -> tuple[F64, F64]:
    """(n, 4, 4) local from world and world from local of states (n, 5)."""
    c, s = np.cos(states[:, 2]), np.sin(states[:, 2])
    world = np.zeros((len(states), 4, 4))
    world[:, 0, 0], world[:, 0, 1], world[:, 1, 0], world[:, 1, 1] = c, -s, s, c
    world[:, 2, 2] = world[:, 3, 3] = 1.0
    local = world.transpose(0, 2, 1).copy()
    world[:, :2, 3] = states[:, :2]
    local[:, 0, 3] = -c * states[:, 0] - s * states[:, 1]
    local[:, 1, 3] = s * states[:, 0] - c * states[:, 1]
    return local, world


def _only_props(town: Town, actors: Actors) -> list[Prop]:
    """Props without those that are road users, too: cones, barriers and signs of a work zone are
    drawn once, as what pixels can be told to belong to."""
    objects = actors.types[actors.models == MODELS.index("object")]
    stand = {
        kind: sum(prop.kind == kind for prop in town.props)
        <= int((objects == AGENT_TYPES.index(kind)).sum())
        for kind in OBSTACLE_KINDS
    }
    return [prop for prop in town.props if not stand.get(prop.kind, False)]


def _cells(props: list[Prop], atlas: Atlas) -> tuple[Quads, list[int]]:
    """Props, ordered by the cell that they stand in, and the number of quads in each cell."""
    cells: dict[tuple[int, int], list[Prop]] = {}
    for prop in props:
        key = (int(prop.pose[0] // CELL_M), int(prop.pose[1] // CELL_M))
        cells.setdefault(key, []).append(prop)
    parts, poses, counts = [], [], []
    for key in sorted(cells):
        things = [thing(p.kind, p.size, p.look, p.text, atlas) for p in cells[key]]
        parts += things
        poses += [
            p.pose for p, made in zip(cells[key], things, strict=True) for _ in range(len(made))
        ]
        counts.append(sum(len(made) for made in things))
    flat = np.zeros((len(poses), 4))
    flat[:, :3] = np.array(poses).reshape(-1, 3)
    return joined(parts).moved(flat), counts


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
