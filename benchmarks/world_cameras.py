"""How fast the built-in world is seen: pictures, masks, and finished training data per core.

    python benchmarks/world_cameras.py [--sets 40] [--seeds 3]

Pictures are 704x256, six cameras of nuscenes_like6, towns with at least AGENTS road users in view
of the six; haze, exposure and noise included. "Training data" is everything from the seed on: town,
traffic, 20 s of driving, ten scenes, each with two instants of six pictures as JPEG, boxes of the
road users, and the scoring scene. Rates are pictures per second of CPU time, which other programs
disturb less than the clock; the ratio of two processes to one is by the clock, and once more by CPU
time: what two would reach on cores of their own.
Prints a table and, as its last line, one JSON object.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import platform
import time
from pathlib import Path

import cv2
import numpy as np
from rich.console import Console
from rich.table import Table

from irl_vla.camera.preprocess import ImageSpec, fitted_cameras
from irl_vla.camera.rig import Rig, load_rig
from irl_vla.world.benchmark.scenes import Cutter
from irl_vla.world.build import episode_of
from irl_vla.world.render.renderer import Quality, Renderer

RIG = Path(__file__).parents[1] / "calibration" / "rigs" / "nuscenes_like6.yaml"
AGENTS = 20  # road users that can be seen in one set of six pictures, at least
FIRST, APART, SCENES = 20, 13, 10  # steps of an episode that become scenes
BEFORE = 5  # steps from the first instant of a scene to the second
JPEG_QUALITY = 90
BUDGETS = {"plain": 250.0, "full": 120.0, "training data": 100.0, "two processes": 1.8}


def rig_of() -> Rig:
    return Rig("six", fitted_cameras(load_rig(RIG), ImageSpec(704, 256)))


def crowded(seed: int, rig: Rig, sets: int) -> tuple[Renderer, list, int, float]:
    """The first town from `seed` on where enough can be seen: its renderer, moments, its seed and
    the mean number of road users in view."""
    while True:
        episode = episode_of(seed)
        renderer = Renderer(episode.town, episode.actors, rig, seed)
        steps = np.linspace(0, len(episode) - 1, 8).astype(int)
        counts = []
        for step in steps:
            truth = renderer.measure(episode.moment(int(step)))
            seen = np.unique(np.concatenate([np.unique(m.instance) for m in truth.values()]))
            counts.append(len(seen[seen >= 0]))
        if np.mean(counts) >= AGENTS:
            at = np.linspace(0, len(episode) - 1, sets).astype(int)
            return renderer, [episode.moment(int(k)) for k in at], seed, float(np.mean(counts))
        seed += 1


def pictures(quality: Quality, masks: bool, sets: int, seeds: int) -> tuple[float, float]:
    """Pictures per CPU second, and road users in view. Nothing is drawn twice."""
    rig, spent, made, users, seed = rig_of(), 0.0, 0, [], 0
    for _ in range(seeds):
        _, moments, seed, seen = crowded(seed, rig, sets)
        episode = episode_of(seed)
        renderer = Renderer(episode.town, episode.actors, rig, seed, quality)
        renderer.render(moments[0])
        begun = time.process_time()
        for moment in moments[1:]:
            made += len(renderer.render(moment))
            if masks:
                renderer.measure(moment)
        spent += time.process_time() - begun
        users.append(seen)
        seed += 1
    return made / spent, float(np.mean(users))


def shard(seed: int, rig: Rig) -> tuple[int, int]:
    """Everything of one seed that training reads; how many pictures and bytes."""
    episode = episode_of(seed)
    cutter, renderer = Cutter(episode), Renderer(episode.town, episode.actors, rig, seed)
    count = size = 0
    for step in range(FIRST, FIRST + APART * SCENES, APART):
        cutter.scene(step)
        for instant in (step - BEFORE, step):
            moment = episode.moment(instant)
            boxes = np.concatenate([moment.states, episode.actors.sizes], axis=1)[moment.present]
            size += boxes.astype(np.float32).nbytes
            for picture in renderer.render(moment).values():
                settings = [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY]
                good, data = cv2.imencode(".jpg", picture[..., ::-1], settings)
                assert good
                size += len(data)
                count += 1
    return count, size


def shards(first: int, seeds: int) -> tuple[int, float]:
    """Pictures made and CPU seconds spent on whole seeds."""
    cv2.setNumThreads(1)
    rig = rig_of()
    shard(first, rig)
    begun = time.process_time()
    made = sum(shard(first + 1 + k, rig)[0] for k in range(seeds))
    return made, time.process_time() - begun


def timed(seed: int, rig: Rig) -> tuple[int, float]:
    """Pictures of a seed, and CPU seconds spent on it."""
    begun = time.process_time()
    return shard(seed, rig)[0], time.process_time() - begun


def together(processes: int, seeds: int) -> tuple[float, float]:
    """Pictures a second by the clock, all processes together, warm; and per CPU second of one."""
    rig = rig_of()
    shard(0, rig)
    context = multiprocessing.get_context("fork")
    with context.Pool(processes) as pool:
        begun = time.perf_counter()
        made = pool.starmap(timed, [(10 + k, rig) for k in range(seeds * processes)], 1)
        count = sum(pictures for pictures, _ in made)
        return count / (time.perf_counter() - begun), count / sum(spent for _, spent in made)


def measured(console: Console, sets: int, seeds: int) -> dict[str, float]:
    """All of it, as a table on the console and as numbers."""
    cv2.setNumThreads(1)
    results: dict[str, float] = {}
    users = 0.0
    for quality in ("plain", "full"):
        results[quality], users = pictures(quality, False, sets, seeds)
        name = f"{quality} + depth, users, classes"
        results[name], _ = pictures(quality, True, sets, seeds)
    made, spent = shards(40, seeds)
    results["training data"] = made / spent
    one, two = together(1, seeds), together(2, seeds)
    results["two processes"] = two[0] / one[0]
    results["two processes, by CPU time"] = 2 * two[1] / one[1]
    table = Table("what", "pictures / s (ratio)", "budget")
    for what, value in results.items():
        table.add_row(what, f"{value:.2f}" if value < 5 else f"{value:.0f}",
                      f"{BUDGETS[what]:g}" if what in BUDGETS else "")  # fmt: skip
    console.print(table)
    return {**results, "users in view": users}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--sets", type=int, default=40)
    parser.add_argument("--seeds", type=int, default=3)
    given = parser.parse_args()
    results = measured(Console(), given.sets, given.seeds)
    held = all(results[what] >= budget for what, budget in BUDGETS.items())
    print(json.dumps({"results": {k: round(v, 2) for k, v in results.items()}, "held": held,
                      "machine": platform.processor() or platform.machine()}))  # fmt: skip


if __name__ == "__main__":
    main()
