"""How fast the built-in world makes scenes, and how fast it is seen (benchmarks/world_cameras.py).

    python benchmarks/world.py [--seeds N]

One seed is a town, a drive of 20.6 s with traffic, and ten scenes with their references. Times are
CPU time of one process, warm; the gain of two processes is wall time in the same run. Memory is
the process's resident size while it makes one seed after the other.
Prints a table and, as its last line, one JSON object.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from datetime import date
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table
from world_cameras import measured

from irl_vla.world.benchmark.scene_files import file_of_seed
from irl_vla.world.benchmark.scenes import Cutter
from irl_vla.world.benchmark.splits import SCENES, instants_of
from irl_vla.world.build import STEPS, simulation_of
from irl_vla.world.episode import Episode
from irl_vla.world.roads.build import build_town
from irl_vla.world.simulation import PACIFICA, record
from irl_vla.world.validity import check

FIRST_SEED = 3_000_000  # no split's
GOAL_SCENES_S, GOAL_TWO = 60.0, 1.8
SETS, CAMERA_SEEDS = 40, 3  # of pictures, and how many towns they are of


def timed(work: Callable[[], Any]) -> tuple[float, Any]:
    """CPU seconds and result."""
    begin = time.process_time()
    result = work()
    return time.process_time() - begin, result


def stages(seed: int) -> dict[str, float]:
    """CPU seconds of each stage of one seed. The town is built once more to time it alone."""
    town, _ = timed(lambda: build_town(seed))
    begin, simulation = timed(lambda: simulation_of(seed))
    drive, episode = timed(lambda: record(simulation, seed, PACIFICA, STEPS))
    cut, _ = timed(lambda: cut_all(episode))
    return {
        "town": town, "route, traffic, warm-up": begin - town, "drive of 20.6 s": drive,
        "10 scenes with PDM-Closed": cut, "all": begin + drive + cut,
    }  # fmt: skip


def scenes_of(seed: int) -> int:
    """Everything of one seed, in memory."""
    simulation = simulation_of(seed)
    return cut_all(record(simulation, seed, PACIFICA, STEPS))


def cut_all(episode: Episode) -> int:
    """The ten scenes of a drive; returns how many."""
    cutter = Cutter(episode)
    return len([cutter.scene(step) for step in instants_of(episode.ego)])


def resident_mb() -> float:
    """Resident memory of this process."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def memory(seeds: int) -> tuple[float, float]:
    """Resident megabytes after a third of the seeds and after all."""
    for seed in range(seeds // 3):
        scenes_of(FIRST_SEED + 500 + seed)
    third = resident_mb()
    for seed in range(seeds // 3, seeds):
        scenes_of(FIRST_SEED + 500 + seed)
    return third, resident_mb()


def gain_of_two(seeds: int) -> float:
    """Wall time of one process over that of two, for the same seeds."""
    wanted = [FIRST_SEED + 100 + k for k in range(seeds)]
    walls = []
    for processes in (1, 2):
        with ProcessPoolExecutor(processes, get_context("fork")) as pool:
            list(pool.map(scenes_of, wanted[:processes]))  # started, before the clock runs
            begin = time.perf_counter()
            list(pool.map(scenes_of, wanted, chunksize=2))
            walls.append(time.perf_counter() - begin)
    return walls[0] / walls[1]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=30)
    seeds = parser.parse_args().seeds
    console = Console()
    scenes_of(FIRST_SEED)  # compiles
    rows = [stages(FIRST_SEED + k) for k in range(seeds)]
    mean = {name: float(np.mean([row[name] for row in rows])) for name in rows[0]}
    per_s = SCENES / mean["all"]
    written, _ = timed(lambda: [file_of_seed(FIRST_SEED + k, False) for k in range(5)])
    gain = gain_of_two(seeds)
    third, whole = memory(2 * seeds)
    validity = check(record(simulation_of(FIRST_SEED), FIRST_SEED, PACIFICA, STEPS))
    table = Table("stage", "ms per seed", title=f"{seeds} seeds, CPU time of one process")
    for name, seconds in mean.items():
        table.add_row(name, f"{1e3 * seconds:.1f}")
    console.print(table)
    console.print(f"{per_s:.0f} scenes/s per core (goal {GOAL_SCENES_S:.0f})")
    console.print(f"{5 * SCENES / written:.0f} scenes/s per core written as files")
    console.print(f"2 processes: {gain:.2f} x (goal {GOAL_TWO})")
    console.print(f"memory: {third:.0f} MB after {2 * seeds // 3} seeds, {whole:.0f} after all")
    console.print(f"validity of one seed: {validity}")
    seen = measured(console, SETS, CAMERA_SEEDS)
    print(json.dumps({
        "date": date.today().isoformat(), "machine": platform.processor() or platform.machine(),
        "cores": os.cpu_count(), "seeds": seeds, "scenes_per_s": per_s,
        "scenes_per_s_as_files": 5 * SCENES / written,
        "ms_per_seed": {name: 1e3 * seconds for name, seconds in mean.items()},
        "two_processes": gain, "memory_mb": {"third": third, "all": whole},
        "cameras": seen,
    }))  # fmt: skip


if __name__ == "__main__":
    main()
