"""How many plans a second are simulated and scored, and what a scene costs before that.

    python benchmarks/scoring.py [--cold]

Scenes: p0022 (5 agents) of ../shared/epdms, and scene-0061 of ../shared/scenarios/scenarionet with
all tracks and lanes within 100 m. Plans: a seeded fan of arcs and speeds from the scene's own
speed; some keep the lane, some leave the road, some run into others, some stop. Rates are CPU time,
best of five, one thread, warm; only the gain of threads is wall time. --cold also compiles
everything anew, as after an installation (half a minute).
Prints tables and, as its last line, one JSON object.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from irl_vla.scoring.arena import pack_tracks
from irl_vla.scoring.epdms import score
from irl_vla.scoring.evaluate import NO_COMFORT, evaluate_states
from irl_vla.scoring.prepare import PreparedScene, prepare
from irl_vla.scoring.reference import pdm_closed, with_reference
from irl_vla.scoring.scene import STEPS, VX, Scene
from irl_vla.scoring.scene_io import read_scenes
from irl_vla.scoring.simulate import sample_plans, simulate
from irl_vla.types import F64

SHARED = Path(__file__).parents[2] / "shared"
PUBLIC = SHARED / "epdms" / "public" / "scenes.json.gz"
CITY = SHARED / "scenarios" / "scenarionet" / "sd_nuscenes_v1.0-mini_scene-0061.pkl"
BATCHES = (1, 8, 64, 1024, 8192)
ORIGINAL = {1: 34, 8: 75, 64: 82, 1024: 85, 8192: 86}  # plans/s, p0022, one EPYC core; epdms.md 15
GOALS = {"p0022": {1: 3000, 1024: 8600, 8192: 8600}, "scene-0061": {1024: 3000, 8192: 3000}}
FRESH_GOAL_MS, THREADS_GOAL, COLD_GOAL_S = 50.0, 1.8, 60.0
CALIBRATION_ROUNDS = 3_000_000


def fan(speed: float, plans: int, seed: int = 0) -> F64:
    """(P, 8, 3) arcs from `speed` [m/s]: curvature up to 0.08 1/m, acceleration -4..3 m/s²."""
    rng = np.random.default_rng(seed)
    turn = (rng.uniform(-0.08, 0.08, plans) * rng.uniform(0, 1, plans))[:, None]
    t = np.arange(0, 9) * 0.5
    v = np.maximum(speed + rng.uniform(-4, 3, plans)[:, None] * t, 0.0)
    steps = (v[:, 1:] + v[:, :-1]) / 2.0 * 0.5
    heading = np.cumsum(steps * turn, axis=1)
    middle = heading - steps * turn / 2.0
    x, y = np.cumsum(steps * np.cos(middle), axis=1), np.cumsum(steps * np.sin(middle), axis=1)
    return np.stack([x, y, heading], axis=-1)


def cpu_s(work: Callable[[], object], at_least: float = 0.2, best_of: int = 5) -> float:
    """CPU seconds of one call: best of several rounds of at least `at_least` seconds each."""
    work()
    begin = time.process_time()
    work()
    calls = max(1, int(at_least / max(time.process_time() - begin, 1e-6)))
    best = np.inf
    for _ in range(best_of):
        begin = time.process_time()
        for _ in range(calls):
            work()
        best = min(best, (time.process_time() - begin) / calls)
    return float(best)


def calibration_s() -> float:
    """CPU seconds of a fixed loop of plain Python, to compare machines by."""

    def loop() -> float:
        total = 0.0
        for i in range(CALIBRATION_ROUNDS):
            total += i * 0.5
        return total

    return cpu_s(loop, at_least=0.0, best_of=3)


def rates(prepared: PreparedScene) -> dict[str, float]:
    """Plans per second by batch size."""
    plans = fan(float(prepared.scene.ego.initial[VX]), max(BATCHES))
    found = {}
    for batch in BATCHES:
        starts = iter(range(0, 1 << 60, batch))

        def work(batch: int = batch, starts: Any = starts) -> None:
            first = next(starts) % (len(plans) - batch + 1)  # another part of the fan each time
            score(prepared, plans[first : first + batch])

        found[str(batch)] = round(batch / cpu_s(work))
    return found


def stages(prepared: PreparedScene) -> dict[str, float]:
    """Microseconds per plan and stage, batches of 1024; scoring is split by leaving parts out."""
    scene, arena = prepared.scene, prepared.arena
    initial, vehicle = scene.ego.initial, scene.ego.vehicle
    plans = fan(float(initial[VX]), 1024)
    refs = sample_plans(plans, initial, scene.t0_us, vehicle)
    states = simulate(initial, refs, vehicle.wheel_base)
    empty = arena._replace(
        traffic=pack_tracks(scene.agents.pick(np.zeros(len(scene.agents), bool)))
    )

    def micro(work: Callable[[], object]) -> float:
        return cpu_s(work) / 1024 * 1e6

    alone = micro(lambda: evaluate_states(empty, NO_COMFORT, states))
    traffic = micro(lambda: evaluate_states(arena, NO_COMFORT, states))
    full = micro(lambda: evaluate_states(arena, prepared.history_comfort, states))
    return {
        "sample": micro(lambda: sample_plans(plans, initial, scene.t0_us, vehicle)),
        "track and drive": micro(lambda: simulate(initial, refs, vehicle.wheel_base)),
        "areas, DAC, DDC, TLC, LK, EP": alone,
        "NC and TTC": traffic - alone,
        "HC": full - traffic,
    }


def fresh_ms(scene: Scene) -> dict[str, float]:
    """Milliseconds of what a scene costs once: preparation with the human, then PDM-Closed."""
    prepared = prepare(scene)
    return {
        "prepare + human": 1e3 * cpu_s(lambda: prepare(scene)),
        "PDM-Closed": 1e3 * cpu_s(lambda: with_reference(prepared, pdm_closed(prepared))),
    }


def gain_of_two_threads(prepared: PreparedScene) -> float:
    """Wall time of one thread over that of two, 8192 plans; interleaved, median of rounds."""
    plans = fan(float(prepared.scene.ego.initial[VX]), 8192)
    ratios = []
    for _ in range(7):
        walls = []
        for threads in (1, 2):
            begin = time.perf_counter()
            score(prepared, plans, threads=threads)
            walls.append(time.perf_counter() - begin)
        ratios.append(walls[0] / walls[1])
    return float(np.median(ratios))


def memory_mb(prepared: PreparedScene) -> dict[str, float]:
    """Megabytes of a prepared scene's arrays, and of this process at its largest."""

    def size(value: Any) -> int:
        if isinstance(value, np.ndarray):
            return value.nbytes
        return sum(size(part) for part in value) if isinstance(value, tuple) else 0

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024.0
    return {"prepared scene": size(prepared.arena) / 1e6, "process": peak}


def cold_s() -> float:
    """Wall seconds of the first call after an installation: an empty cache, import included."""
    code = (
        "import sys; sys.path.insert(0, 'benchmarks'); import scoring;"
        "scene = scoring.read_scenes(scoring.PUBLIC)[0]; scoring.score(scene, scoring.fan(9.0, 8))"
    )
    with tempfile.TemporaryDirectory() as cache:
        begin = time.perf_counter()
        subprocess.run(
            [sys.executable, "-c", code], check=True, cwd=Path(__file__).parents[1],
            env={**os.environ, "NUMBA_CACHE_DIR": cache},
        )  # fmt: skip
        return time.perf_counter() - begin


def scenes(console: Console) -> dict[str, Scene]:
    """The scenes that are on this machine."""
    found: dict[str, Scene] = {}
    if PUBLIC.is_file():
        found["p0022"] = next(scene for scene in read_scenes(PUBLIC) if scene.id == "p0022")
    else:
        console.print(f"p0022 is not measured: {PUBLIC} is not here")
    try:
        importer = importlib.import_module("irl_vla.world.scenarionet")
        found["scene-0061"] = importer.scoring_scene(CITY)
    except (ModuleNotFoundError, FileNotFoundError) as error:
        console.print(f"scene-0061 is not measured: {error}")
    return found


def show(console: Console, title: str, rows: dict[str, str]) -> None:
    """One small table."""
    table = Table("", title, show_header=True)
    for name, value in rows.items():
        table.add_row(name, value)
    console.print(table)


def measure(console: Console, name: str, scene: Scene) -> dict[str, Any]:
    """Everything about one scene, as a table and as values."""
    prepared = prepare(scene)
    result: dict[str, Any] = {
        "agents": len(scene.agents), "areas": len(scene.areas), "steps": STEPS,
        "trajectories_per_s": rates(prepared),
        "stage_us": {k: round(v, 2) for k, v in stages(prepared).items()},
        "fresh_scene_ms": {k: round(v, 2) for k, v in fresh_ms(scene).items()},
        "two_threads_gain": round(gain_of_two_threads(prepared), 2),
        "memory_mb": {k: round(v, 1) for k, v in memory_mb(prepared).items()},
    }  # fmt: skip
    goals = GOALS[name]
    rows = {}
    for batch in BATCHES:
        rate = result["trajectories_per_s"][str(batch)]
        goal = f", goal {goals[batch]}" if batch in goals else ""
        times = f", {rate / ORIGINAL[batch]:.0f} x the original" if name == "p0022" else ""
        rows[f"plans/s at {batch} a call"] = f"{rate}{goal}{times}"
    rows |= {f"us a plan: {k}": f"{v:.2f}" for k, v in result["stage_us"].items()}
    fresh = result["fresh_scene_ms"]
    rows |= {f"ms a scene: {k}": f"{v:.2f}" for k, v in fresh.items()}
    rows["ms a scene: all"] = f"{sum(fresh.values()):.2f}, goal {FRESH_GOAL_MS:.0f}"
    rows["gain of 2 threads (wall)"] = f"{result['two_threads_gain']} x, goal {THREADS_GOAL}"
    rows |= {f"MB: {k}": f"{v}" for k, v in result["memory_mb"].items()}
    show(console, f"{name}: {len(scene.agents)} agents, {len(scene.areas)} areas", rows)
    return result


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cold", action="store_true", help="also the first call ever (compiles)")
    cold = parser.parse_args().cold
    console = Console()
    result: dict[str, Any] = {
        "machine": f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores",
        "date": date.today().isoformat(),
        "calibration_s": round(calibration_s(), 4),
    }
    show(console, "this machine", {k: str(v) for k, v in result.items()})
    measured = {name: measure(console, name, scene) for name, scene in scenes(console).items()}
    result["scenes"] = measured
    if cold:
        result["first_call_s"] = round(cold_s(), 1)
        console.print(f"first call ever: {result['first_call_s']} s, goal {COLD_GOAL_S:.0f}")
    if "p0022" in measured:
        result["trajectories_per_s"] = measured["p0022"]["trajectories_per_s"]
    print(json.dumps(result))


if __name__ == "__main__":
    main()
