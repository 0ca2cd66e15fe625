"""A hand-made street for the laws, and where the recorded cases lie."""

from __future__ import annotations

import gzip
import json
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from irl_vla.scoring.scene import (
    INTERSECTION,
    LANE,
    ROADBLOCK,
    Areas,
    Ego,
    Polygons,
    Previous,
    RedLights,
    Reference,
    Route,
    Scene,
    Tracks,
)
from irl_vla.scoring.scene_io import read_scenes

F64 = NDArray[np.float64]
CASES = Path(__file__).parents[2] / ".." / "shared" / "epdms"
PUBLIC = CASES / "public"

needs_cases = pytest.mark.skipif(
    not PUBLIC.is_dir(), reason="the EPDMS cases (../shared/epdms) are not on this machine"
)


@cache
def public_scenes() -> dict[str, Scene]:
    return {scene.id: scene for scene in read_scenes(PUBLIC / "scenes.json.gz")}


@cache
def expected() -> dict[str, Any]:
    with gzip.open(PUBLIC / "expected.json.gz") as file:
        return {result["scene_id"]: result for result in json.load(file)["results"]}


@cache
def intermediate(name: str) -> Any:
    with gzip.open(CASES / "intermediate" / f"{name}.json.gz") as file:
        return json.load(file)


def rectangle(x0: float, y0: float, x1: float, y1: float) -> F64:
    return np.array([[x0, y0], [x1, y0], [x1, y1], [x0, y1]], np.float64)


def tracks(*rows: tuple[str, int, float, float, float, float, float]) -> Tracks:
    """Boxes 4 x 2 m: id, type, x, y, heading, vx, vy at step 0, moving on at constant velocity."""
    t = np.arange(41)[:, None] * 0.1
    states = np.zeros((len(rows), 41, 5))
    for i, (_, _, x, y, heading, vx, vy) in enumerate(rows):
        states[i] = np.array([x, y, heading, vx, vy])
        states[i, :, :2] += t * np.array([vx, vy])
    return Tracks(
        tuple(row[0] for row in rows), np.array([row[1] for row in rows], np.int8),
        np.tile([4.0, 2.0], (len(rows), 1)), states, np.ones((len(rows), 41), np.bool_),
    )  # fmt: skip


def plan(speed: float, turn: float = 0.0, acceleration: float = 0.0) -> F64:
    """(8, 3) along an arc of curvature `turn` [1/m] at `speed` [m/s]."""
    t = np.arange(1, 9) * 0.5
    v = np.maximum(speed + acceleration * t, 0.0)
    s = np.cumsum((np.concatenate([[speed], v[:-1]]) + v) / 2.0 * 0.5)
    heading = s * turn
    x, y = (s, 0.0 * s) if turn == 0 else (np.sin(heading) / turn, (1 - np.cos(heading)) / turn)
    return np.stack([x, y, heading], axis=-1)


def change_lane(to: float) -> F64:
    """(8, 3) at 10 m/s, over to y = `to` within 2 s."""
    s = np.clip(np.arange(1, 9) / 4.0, 0.0, 1.0)
    poses = plan(10.0)
    poses[:, 1] = to * (3 * s**2 - 2 * s**3)
    poses[:, 2] = np.arctan2(to * (6 * s - 6 * s**2) / 2.0, 10.0)
    return poses


def street(speed: float = 10.0, agents: Tracks | None = None) -> Scene:
    """A street along x, 240 m long, ego at its origin: the route's lane y -1.75..1.75, left of it
    the oncoming lane up to 5.25, one roadblock under both, an intersection box at x 60..80.

    The reference drives straight on at 10 m/s, 40 m in 4 s.
    """
    rings = [
        rectangle(-60, -1.75, 180, 1.75), rectangle(-60, 1.75, 180, 5.25),
        rectangle(-60, -1.75, 180, 5.25), rectangle(60, -1.75, 80, 5.25),
    ]  # fmt: skip
    line = np.stack([np.arange(-60.0, 181.0), np.zeros(241), np.zeros(241)], axis=-1)
    initial = np.zeros(11)
    initial[3] = speed
    history = np.tile(initial, (4, 1))
    times = np.array([-1_500_000, -1_000_000, -500_000, 0])
    history[:, 0] = times * 1e-6 * speed
    reference = np.zeros((41, 3))
    reference[:, 0] = np.arange(41) * 1.0
    return Scene(
        id="street", t0_us=10_000_000, steps=41, scene_type="synthetic",
        traffic_policy="log_replay", ego=Ego(initial, history, times),
        areas=Areas(
            ("lane", "oncoming", "road", "crossing"),
            np.array([LANE, LANE, ROADBLOCK, INTERSECTION], np.int8), Polygons.of(rings),
            np.array([True, False, False, False]), np.array([1, -1, 0, 0], np.int8),
            np.array([13.9, 13.9, np.nan, np.nan]),
            (line, line[::-1].copy(), np.zeros((0, 3)), np.zeros((0, 3))),
        ),
        route=Route(("lane",), line),
        red_lights=RedLights((), Polygons.of([]), np.zeros((0, 41), np.bool_)),
        agents=agents or tracks(), human=None, candidates=(),
        reference=Reference("straight", reference),
        previous=Previous(500_000, history[2].copy(), np.zeros((0, 8, 3))),
    )  # fmt: skip


def turned(scene: Scene, angle: float, shift: tuple[float, float]) -> Scene:
    """The same scene, turned about the origin and then shifted."""
    cos, sin = np.cos(angle), np.sin(angle)
    rotation = np.array([[cos, -sin], [sin, cos]])

    def points(xy: F64) -> F64:
        return np.asarray(xy @ rotation.T + np.array(shift))

    def poses(p: F64) -> F64:
        out = p.copy()
        out[..., :2] = points(p[..., :2])
        out[..., 2] = (p[..., 2] + angle + np.pi) % (2 * np.pi) - np.pi
        return out

    def polygons(p: Polygons) -> Polygons:
        return Polygons(points(p.vertices), p.offsets)

    agents, states = scene.agents, poses(scene.agents.states)
    states[..., 3:] = agents.states[..., 3:] @ rotation.T
    before, lights, reference = scene.previous, scene.red_lights, scene.reference
    assert lights is not None and reference is not None and before is not None
    return replace(
        scene,
        ego=replace(scene.ego, initial=poses(scene.ego.initial), history=poses(scene.ego.history)),
        areas=replace(
            scene.areas, polygons=polygons(scene.areas.polygons),
            centerlines=tuple(poses(line) for line in scene.areas.centerlines),
        ),
        route=replace(scene.route, centerline=poses(scene.route.centerline)),
        red_lights=replace(lights, polygons=polygons(lights.polygons)),
        agents=replace(agents, states=states),
        reference=replace(reference, poses=poses(reference.poses)),
        previous=replace(before, initial=poses(before.initial)),
    )  # fmt: skip


def fan(scene: Scene, plans: int, seed: int = 0) -> F64:
    """(P, 8, 3) arcs of seeded curvature and acceleration from the scene's initial speed: some keep
    the lane, some leave the road, some run into others, some stop."""
    rng = np.random.default_rng(seed)
    speed = float(scene.ego.initial[3])
    turn = rng.uniform(-0.08, 0.08, plans) * rng.uniform(0, 1, plans)
    return np.stack(
        [plan(speed, k, a) for k, a in zip(turn, rng.uniform(-4, 3, plans), strict=True)]
    )
