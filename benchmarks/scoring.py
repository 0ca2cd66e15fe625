"""How many plans a second are simulated and scored, and what a scene costs before that.

    python benchmarks/scoring.py [--cold]

Scenes: p0022 (5 agents) of ../shared/epdms, and scene-0061 of ../shared/scenarios/scenarionet with
all tracks and lanes within 100 m. Plans: a seeded fan of arcs and speeds from the scene's own
speed; some keep the lane, some leave the road, some run into others, some stop: the share of each
outcome is printed. A rate is plans simulated and scored per second by one thread, warm, best of
five rounds; `trajectories_per_s` is by CPU time (others may use the machine too),
`trajectories_per_s_wall` by wall time. The gain of threads is wall time. --cold also compiles
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
from typing import Any, NamedTuple

import numba
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
# NAVSIM 0a380a9 on p0022 [plans/s of CPU time], measured on one EPYC core of ANOTHER machine
ORIGINAL = {1: 34, 8: 75, 64: 82, 1024: 85, 8192: 86}
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


class ScoringCost(NamedTuple):
    """Seconds of one call."""

    cpu: float
    wall: float


def cost(work: Callable[[], object], at_least: float = 0.2, best_of: int = 5) -> ScoringCost:
    """One call's cost: best of several rounds of at least `at_least` seconds each."""
    work()
    begin = time.process_time()
    work()
    calls = max(1, int(at_least / max(time.process_time() - begin, 1e-6)))
    rounds = []
    for _ in range(best_of):
        cpu, wall = time.process_time(), time.perf_counter()
        for _ in range(calls):
            work()
        rounds.append((time.process_time() - cpu, time.perf_counter() - wall))
    cpu_best, wall_best = np.min(rounds, axis=0) / calls
    return ScoringCost(float(cpu_best), float(wall_best))


def calibration_s() -> float:
    """CPU seconds of a fixed loop of plain Python, to compare machines by."""

    def loop() -> float:
        total = 0.0
        for i in range(CALIBRATION_ROUNDS):
            total += i * 0.5
        return total

    return cost(loop, at_least=0.0, best_of=3).cpu


def rates(prepared: PreparedScene) -> dict[str, dict[str, int]]:
    """Plans per second by batch size, by CPU and by wall time."""
    plans = fan(float(prepared.scene.ego.initial[VX]), max(BATCHES))
    by_cpu, by_wall = {}, {}
    for batch in BATCHES:
        starts = iter(range(0, 1 << 60, batch))

        def work(batch: int = batch, starts: Any = starts) -> None:
            first = next(starts) % (len(plans) - batch + 1)  # another part of the fan each time
            score(prepared, plans[first : first + batch])

        seconds = cost(work)
        by_cpu[str(batch)] = round(batch / seconds.cpu)
        by_wall[str(batch)] = round(batch / seconds.wall)
    return {"trajectories_per_s": by_cpu, "trajectories_per_s_wall": by_wall}


def rate_with_ec(prepared: PreparedScene) -> int | None:
    """Plans per second of CPU time, 1024 a call, when each has a plan of the frame before, so that
    two are simulated for every score; None where the scene has no such frame."""
    before = prepared.scene.previous
    if before is None:
        return None
    plans = fan(float(prepared.scene.ego.initial[VX]), 1024)
    earlier = fan(float(before.initial[VX]), 1024)
    return round(1024 / cost(lambda: score(prepared, plans, earlier)).cpu)


def outcomes(prepared: PreparedScene) -> dict[str, float]:
    """Shares of the fan's plans by what becomes of them, before the human filter; one plan may
    lose several sub-scores."""
    found = score(prepared, fan(float(prepared.scene.ego.initial[VX]), max(BATCHES)))
    raw = found.raw
    lost = {
        "at-fault collision": raw.nc < 1, "off the drivable area": raw.dac < 1,
        "off the route (DDC)": raw.ddc < 1, "red light": raw.tlc < 1,
        "too close (TTC)": raw.ttc < 1, "lane left (LK)": raw.lk < 1,
        "uncomfortable (HC)": raw.hc < 1,
    }  # fmt: skip
    clean = ~np.any(list(lost.values()), axis=0)
    return {name: round(float(np.mean(mask)), 3) for name, mask in {**lost, "none": clean}.items()}


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
        return cost(work).cpu / 1024 * 1e6

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
        "prepare + human": 1e3 * cost(lambda: prepare(scene)).cpu,
        "PDM-Closed": 1e3 * cost(lambda: with_reference(prepared, pdm_closed(prepared))).cpu,
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
    """Megabytes of a prepared scene's arrays, and of this process at its largest (VmHWM)."""

    def size(value: Any) -> int:
        if isinstance(value, np.ndarray):
            return value.nbytes
        return sum(size(part) for part in value) if isinstance(value, tuple) else 0

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024.0
    return {"prepared scene": size(prepared.arena) / 1e6, "process, VmHWM": peak}


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
        importer = importlib.import_module("irl_vla.world.recorded.scenarionet")
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
        **rates(prepared),
        "trajectories_per_s_with_ec_1024": rate_with_ec(prepared),
        "plans_that_lose": outcomes(prepared),
        "stage_us": {k: round(v, 2) for k, v in stages(prepared).items()},
        "fresh_scene_ms": {k: round(v, 2) for k, v in fresh_ms(scene).items()},
        "two_threads_gain": round(gain_of_two_threads(prepared), 2),
        "memory_mb": {k: round(v, 1) for k, v in memory_mb(prepared).items()},
    }  # fmt: skip
    goals = GOALS[name]
    rows = {}
    for batch in BATCHES:
        rate = result["trajectories_per_s"][str(batch)]
        wall = result["trajectories_per_s_wall"][str(batch)]
        goal = f", goal {goals[batch]}" if batch in goals else ""
        times = f", {rate / ORIGINAL[batch]:.0f} x the original*" if name == "p0022" else ""
        rows[f"plans/s at {batch} a call"] = f"{rate} by CPU, {wall} by wall time{goal}{times}"
    if result["trajectories_per_s_with_ec_1024"] is not None:
        rows["plans/s at 1024, with EC"] = f"{result['trajectories_per_s_with_ec_1024']} by CPU"
    rows |= {f"lose a sub-score: {k}": f"{v:.1%}" for k, v in result["plans_that_lose"].items()}
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
        "python": platform.python_version(), "numba": numba.__version__,
        "date": date.today().isoformat(),
        "load_average": [round(load, 2) for load in os.getloadavg()],
        "calibration_s": round(calibration_s(), 4),
    }  # fmt: skip
    show(console, "this machine", {k: str(v) for k, v in result.items()})
    measured = {name: measure(console, name, scene) for name, scene in scenes(console).items()}
    result["scenes"] = measured
    if cold:
        result["first_call_s"] = round(cold_s(), 1)
        console.print(f"first call ever: {result['first_call_s']} s, goal {COLD_GOAL_S:.0f}")
    if "p0022" in measured:
        result["trajectories_per_s"] = measured["p0022"]["trajectories_per_s"]
        console.print("* the original's rates were measured on another machine (an EPYC core)")
    print(json.dumps(result))


if __name__ == "__main__":
    main()
