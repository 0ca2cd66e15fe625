"""How fast NAVSIM scenes are read, prepared and scored, and whether memory stays bounded.

    python benchmarks/navsim.py [DATA] [--tokens 100000]

DATA: a NAVSIM data set in the devkit's folders (default: ../shared/navsim/data beside the project).
Prints a table and, as the last line, one JSON object. Times per scene are CPU time of this process,
so that other work on the machine matters little; the speed-up of two processes is wall clock.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from irl_vla.navsim.city_map import CityMap
from irl_vla.navsim.dataset import Dataset, SplitIndex, index_split
from irl_vla.navsim.evaluation import Evaluator
from irl_vla.navsim.jobs import ScoringJob, ScoringWorker, units
from irl_vla.navsim.logs import LogShelf
from irl_vla.navsim.map_file import load_layers, map_file
from irl_vla.scoring.spread import spread

DEFAULT = Path(__file__).parents[1] / ".." / "shared" / "navsim" / "data"
PREPARE_LIMIT_MS = 20.0
WINDOW_LIMIT_MS = 0.42  # of the original, on the same data (SPEC, section 8)
ORIGINAL_PREPARE_MS = (230.0, 420.0)  # of the original, per scene of metric caching
SPEED_UP_LIMIT = 1.8  # two processes against one
GROWTH_LIMIT_MB = 40.0  # of resident memory, from the first tenth of the walk to its end
SPLIT = "syn_test"


@dataclass(frozen=True)
class Result:
    """name, measured value, its unit, the limit (None: information only)."""

    name: str
    value: float
    unit: str
    limit: float | None = None
    at_least: bool = False

    @property
    def passed(self) -> bool:
        if self.limit is None:
            return True
        return self.value >= self.limit if self.at_least else self.value <= self.limit


def cpu_ms(work: Callable[[], object]) -> float:
    start = time.process_time()
    work()
    return (time.process_time() - start) * 1e3


def resident_mb() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 1e6


def windows(index: SplitIndex) -> list[Result]:
    """A scene without sensors, from a log in memory: frames, agent input, human trajectory."""
    times = []
    for _ in range(5):
        for tokens in index.by_log().values():
            shelf = LogShelf()
            fresh = SplitIndex(**{**vars(index), "shelf": shelf})
            shelf.get(index.places[tokens[0]].path)  # reading the file is measured apart

            def walk(tokens: list[str] = tokens, fresh: SplitIndex = fresh) -> None:
                for token in tokens:
                    window = fresh.window(token)
                    window.agent_input()
                    window.human_trajectory()

            times.append(cpu_ms(walk) / len(tokens))
    return [Result("scene without sensors", float(np.median(times)), "ms", WINDOW_LIMIT_MS)]


def preparation(index: SplitIndex, rounds: int) -> list[Result]:
    """Everything up to a scoring scene, PDM-Closed included; the map is open, nothing is cached."""
    evaluator = Evaluator(index)
    tokens = list(index.places)
    for token in tokens:
        evaluator.prepare_scene(token)  # compiles, opens the map
    times = [
        cpu_ms(lambda token=token: evaluator.prepare_scene(token))
        for _ in range(rounds)
        for token in tokens
    ]
    return [
        Result("scene preparation, mean", float(np.mean(times)), "ms", PREPARE_LIMIT_MS),
        Result("scene preparation, 95 %", float(np.percentile(times, 95)), "ms"),
    ]


def opening(dataset: Dataset, index: SplitIndex, cache: Path) -> list[Result]:
    city = next(iter(index.places.values())).city
    path = map_file(dataset.maps, city)
    first = cpu_ms(lambda: load_layers(path, cache))
    mapped = cpu_ms(lambda: CityMap.open(dataset.maps, city, cache))
    return [
        Result("map from GeoPackage", first, "ms"),
        Result("map from our cache", mapped, "ms"),
    ]


def walking(index: SplitIndex, tokens: int) -> list[Result]:
    """Resident memory over a long walk; one log is held at a time, so files are read again."""
    walked = SplitIndex(**{**vars(index), "shelf": LogShelf(kept=1)})
    evaluator, names, early = Evaluator(walked), list(index.places), 0.0
    start = time.process_time()
    for count in range(tokens):
        token = names[count % len(names)]
        walked.window(token).agent_input()
        if count % 50 == 0:
            evaluator.prepare_scene(token)
        if count == tokens // 10:
            early = resident_mb()
    return [
        Result(f"memory growth over {tokens} scenes", resident_mb() - early, "MB", GROWTH_LIMIT_MB),
        Result("memory of the process", resident_mb(), "MB"),
        Result("walk, per scene", (time.process_time() - start) / tokens * 1e3, "ms"),
    ]


def two_processes(index: SplitIndex, rounds: int) -> list[Result]:
    """The same work in one and in two processes: wall clock, and what sharing costs in CPU time
    (which does not depend on what else the machine does)."""
    plan = ScoringJob(index=index, agent="constant_velocity", reactive=False)
    work = [tokens[i : i + 4] for tokens in units(index, list(index.places)) * rounds
            for i in range(0, len(tokens), 4)]  # fmt: skip
    worker = ScoringWorker(plan)
    worker(work[0])
    start, start_cpu = time.perf_counter(), time.process_time()
    list(map(worker, work))
    alone, alone_cpu = time.perf_counter() - start, time.process_time() - start_cpu
    start, start_cpu = time.perf_counter(), children_seconds()
    list(spread(work, ScoringWorker(plan), 2))
    shared, shared_cpu = time.perf_counter() - start, children_seconds() - start_cpu
    name = f"two processes against one ({os.cpu_count()} cores)"
    return [
        Result(name, alone / shared, "x", SPEED_UP_LIMIT, at_least=True),
        Result("two processes, by CPU time", 2.0 * alone_cpu / shared_cpu, "x"),
    ]


def children_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", nargs="?", type=Path, default=DEFAULT)
    parser.add_argument("--tokens", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--cache", type=Path, default=Path("out/benchmarks/navsim-cache"))
    arguments = parser.parse_args()
    dataset = Dataset(arguments.data)
    index = index_split(dataset, dataset.split(SPLIT))
    results = [
        *windows(index),
        *preparation(index, arguments.rounds),
        *opening(dataset, index, arguments.cache),
        *two_processes(index, 3 * arguments.rounds),
        *walking(index, arguments.tokens),
    ]
    low, high = ORIGINAL_PREPARE_MS
    print(f"original: {low:.0f} to {high:.0f} ms per prepared scene, {WINDOW_LIMIT_MS} ms without")
    for result in results:
        bound = (
            "" if result.limit is None else f"{'>=' if result.at_least else '<='} {result.limit}"
        )
        word = "" if result.limit is None else "ok" if result.passed else "MISSED"
        print(f"{result.name:45s} {result.value:10.3f} {result.unit:3s} {bound:10s} {word}")
    print(json.dumps({r.name: {**asdict(r), "passed": r.passed} for r in results}))


if __name__ == "__main__":
    main()
