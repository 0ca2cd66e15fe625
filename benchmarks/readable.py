"""Can a network of 128x352 pixels read the lamps? A linear probe says so.

    python benchmarks/readable.py [--seeds 60]

Traffic lights of built towns are looked at from 30 m, cars from 20 m behind, each under the weather
of its seed. The pixels of the lamp's (the car's) projected box, resized to a fixed size, are given
to a ridge regression that is trained on two thirds of the seeds and asked about the others: other
towns, other weather, other cars. Pictures come as they come in training: rendered at 704x256,
stored as JPEG, fitted to 352x128; and rendered at 352x128 directly.
Prints a table and, as its last line, one JSON object.
"""

from __future__ import annotations

import argparse
import json
import platform
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from rich.console import Console
from rich.table import Table

from irl_vla.camera.camera import Camera
from irl_vla.camera.preprocess import ImageSpec, fitted_cameras
from irl_vla.camera.projection import project
from irl_vla.camera.rig import Rig, load_rig
from irl_vla.frames import inverse, move, rigid_from_pose
from irl_vla.types import F64, U8
from irl_vla.world.episode import MODELS, Actors, WorldState
from irl_vla.world.render.renderer import Renderer
from irl_vla.world.render.street import HEAD_FRONT_M, HEAD_M
from irl_vla.world.roads.build import build_town
from irl_vla.world.town import NONE, Light, Town

RIG = Path(__file__).parents[1] / "calibration" / "rigs" / "nuscenes_like6.yaml"
NETWORK, STORED = ImageSpec(352, 128), ImageSpec(704, 256)
LAMP_M, BRAKE_M = 30.0, 20.0  # [m] from the camera
BUDGETS = {"lamp": 0.98, "brake": 0.95}  # share of right answers
PATCH = {"lamp": (6, 14), "brake": (16, 12)}  # width, height of what the probe sees [px]
COLOURS = (Light.RED, Light.AMBER, Light.GREEN)
JPEG_QUALITY = 90
SIZES = {"car": (4.5, 1.85, 1.46), "suv": (4.7, 1.94, 1.72), "van": (5.3, 2.0, 2.2),
         "truck": (8.2, 2.5, 3.3), "bus": (11.8, 2.55, 3.1)}  # fmt: skip
WAYS = ("stored as JPEG", "rendered directly")
RIDGE = 0.03  # weight of the probe's numbers against its misses


@dataclass(frozen=True)
class ObjectView:
    """One thing to look at: where the ego stands, what is there, and the box around it, world."""

    ego: F64
    actors: Actors
    states: F64
    corners: F64
    signal: int = NONE


@dataclass(frozen=True)
class Patches:
    """pixels: (n, features); labels: (n,) 0, 1, ..; seeds: (n,)."""

    pixels: F64
    labels: np.ndarray
    seeds: np.ndarray


def nobody() -> tuple[Actors, F64]:
    empty = np.zeros(0)
    actors = Actors((), empty.astype(np.int8), np.zeros((0, 3)), empty.astype(np.int8),
                    empty.astype(np.int64))  # fmt: skip
    return actors, np.zeros((0, 5))


def box(low: tuple[float, ...], high: tuple[float, ...], pose: F64, z: float = 0.0) -> F64:
    """(8, 3) corners in the world of a box in the frame of a pose."""
    unit = np.array([(x, y, h) for x in (0, 1) for y in (0, 1) for h in (0, 1)], np.float64)
    return move(np.array(low) + unit * (np.array(high) - np.array(low)), rigid_from_pose(pose, z))


def lamp_view(town: Town, rng: np.random.Generator) -> ObjectView | None:
    """A signal of the town from LAMP_M away, on the lane that it is for."""
    lanes = [lane for lane in town.lanes if lane.signal != NONE]
    if not lanes:
        return None
    lane = lanes[int(rng.integers(len(lanes)))]
    head = town.signals[lane.signal].heads[0]
    gate = lane.centre[0]
    c, s = np.cos(gate[2]), np.sin(gate[2])
    ahead = float((head[:2] - gate[:2]) @ [c, s])
    back = LAMP_M + 1.7 - ahead  # the camera sits 1.7 m before the rear axle
    ego = np.array([gate[0] - c * back, gate[1] - s * back, gate[2] + rng.uniform(-0.03, 0.03)])
    half = HEAD_M[0] / 2, HEAD_M[1] / 2
    corners = box((HEAD_FRONT_M, -half[0], -half[1]), (HEAD_FRONT_M, half[0], half[1]),
                  head[[0, 1, 3]], head[2])  # fmt: skip
    return ObjectView(ego, *nobody(), corners, lane.signal)


def brake_view(town: Town, rng: np.random.Generator) -> ObjectView:
    """A vehicle BRAKE_M ahead on a street, about as one follows it."""
    streets = [lane for lane in town.lanes if lane.junction == NONE and len(lane.centre) > 20]
    lane = streets[int(rng.integers(len(streets)))]
    gate = lane.centre[int(rng.integers(2, len(lane.centre) - 12))]
    model = str(rng.choice(list(SIZES), p=(0.5, 0.2, 0.1, 0.1, 0.1)))
    size = np.array(SIZES[model])
    turn = rng.uniform(-0.15, 0.15)
    along = BRAKE_M + 1.7 + size[0] / 2
    c, s = np.cos(gate[2]), np.sin(gate[2])
    side = rng.uniform(-0.6, 0.6)
    state = np.array([[gate[0] + c * along - s * side, gate[1] + s * along + c * side,
                       gate[2] + turn, 0.0, 0.0]])  # fmt: skip
    actors = Actors(("it",), np.zeros(1, np.int8), size[None], np.array([MODELS.index(model)],
                    np.int8), rng.integers(0, 1 << 30, 1))  # fmt: skip
    corners = box((-size[0] / 2, -size[1] / 2, 0.0), (-size[0] / 2, size[1] / 2, size[2]),
                  state[0, :3])  # fmt: skip
    return ObjectView(gate.copy(), actors, state, corners)


def instants(
    what: str, view: ObjectView, town: Town, rng: np.random.Generator
) -> Iterator[WorldState]:
    """The same view with each label in turn."""
    ego = np.zeros(11)
    ego[:3] = view.ego
    count = len(view.states)
    for label in range(3 if what == "lamp" else 2):
        lights = rng.choice([int(c) for c in COLOURS], len(town.signals)).astype(np.int8)
        if what == "lamp":
            lights[view.signal] = COLOURS[label]
        lamps = np.full(count, label | int(rng.choice([0, 0, 2, 4])), np.uint8)
        yield WorldState(float(rng.integers(0, 100)) / 10, ego, 0, view.states,
                     np.ones(count, np.bool_), lamps, lights)  # fmt: skip


def patch(picture: U8, camera: Camera, view: ObjectView, size: tuple[int, int]) -> F64 | None:
    """Pixels of the box, resized; None where it is not wholly in the picture."""
    pixels = project(camera, move(view.corners, inverse(
        rigid_from_pose(view.ego) @ camera.ego_from_cam))).pixels  # fmt: skip
    low, high = pixels.min(axis=0), pixels.max(axis=0)
    if not (low.min() >= 1 and high[0] < camera.width - 2 and high[1] < camera.height - 2):
        return None
    scale = (high - low) / np.array(size)
    grid = [low[k] + (np.arange(size[k]) + 0.5) * scale[k] for k in (0, 1)]
    at = np.meshgrid(grid[0].astype(np.float32), grid[1].astype(np.float32))
    return cv2.remap(picture, at[0], at[1], cv2.INTER_LINEAR).astype(np.float64).ravel() / 255.0


def collect(what: str, way: str, seeds: int) -> Patches:
    """All patches of one kind of lamp."""
    whole = load_rig(RIG)
    rig = Rig("front", whole.cameras[:1])
    network = fitted_cameras(rig, NETWORK)[0]
    direct = way == WAYS[1]
    drawn = Rig("drawn", fitted_cameras(rig, NETWORK if direct else STORED))
    rows, labels, owners = [], [], []
    for seed in range(seeds):
        town = build_town(seed)
        rng = np.random.default_rng([seed, 77])
        for _ in range(3):
            view = lamp_view(town, rng) if what == "lamp" else brake_view(town, rng)
            if view is None:
                break
            renderer = Renderer(town, view.actors, drawn, seed)
            for label, moment in enumerate(instants(what, view, town, rng)):
                picture = renderer.render(moment)[drawn.names[0]]
                if not direct:
                    picture = stored(picture)
                pixels = patch(picture, network, view, PATCH[what])
                if pixels is not None and seen(renderer, moment, view, drawn, what):
                    rows.append(pixels)
                    labels.append(label)
                    owners.append(seed)
    return Patches(np.array(rows), np.array(labels), np.array(owners))


def stored(picture: U8) -> U8:
    """Through JPEG and down to the network's size."""
    good, data = cv2.imencode(".jpg", picture[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
    assert good
    back = cv2.imdecode(data, cv2.IMREAD_COLOR)[..., ::-1]
    return cv2.resize(back, (NETWORK.width, NETWORK.height), interpolation=cv2.INTER_LINEAR)


def seen(renderer: Renderer, moment: WorldState, view: ObjectView, rig: Rig, what: str) -> bool:
    """Whether nothing stands before the thing: what is hidden cannot be read."""
    camera = rig.cameras[0]
    points = move(view.corners, inverse(rigid_from_pose(view.ego) @ camera.ego_from_cam))
    at = np.round(project(camera, points).pixels.mean(axis=0)).astype(int)
    depth = renderer.measure(moment)[camera.name].depth[at[1], at[0]]
    return bool(abs(depth - points[:, 2].mean()) < (1.5 if what == "lamp" else 4.0))


def probe(data: Patches) -> tuple[float, int]:
    """Share of right answers about the seeds that it was not trained on, and their number."""
    test = data.seeds % 3 == 0
    design = np.concatenate([data.pixels, np.ones((len(data.pixels), 1))], axis=1)
    wanted = np.eye(data.labels.max() + 1)[data.labels]
    train = design[~test]
    weights = np.linalg.solve(
        train.T @ train + RIDGE * np.eye(design.shape[1]), train.T @ wanted[~test]
    )
    answers = (design[test] @ weights).argmax(axis=1)
    return float((answers == data.labels[test]).mean()), int(test.sum())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seeds", type=int, default=60)
    seeds = parser.parse_args().seeds
    table = Table("what", "pictures", "right", "asked", "budget")
    results: dict[str, float] = {}
    for what, budget in BUDGETS.items():
        for way in WAYS:
            share, asked = probe(collect(what, way, seeds))
            results[f"{what}, {way}"] = round(share, 4)
            table.add_row(what, way, f"{100 * share:.1f} %", str(asked), f"{100 * budget:.0f} %")
    Console().print(table)
    held = all(results[f"{what}, {way}"] >= b for what, b in BUDGETS.items() for way in WAYS)
    print(json.dumps({"results": results, "held": held, "seeds": seeds,
                      "machine": platform.processor() or platform.machine()}))  # fmt: skip


if __name__ == "__main__":
    main()
