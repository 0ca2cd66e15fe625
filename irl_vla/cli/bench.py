"""`irl-vla bench`: how long each graph of a bundle takes on this machine, by ONNX Runtime."""

from __future__ import annotations

import json
import platform
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from rich.progress import track
from rich.table import Table

from irl_vla.camera.rig import MAX_CAMERAS
from irl_vla.engine.bundle import load_bundle
from irl_vla.engine.latency import Latency, latency
from irl_vla.engine.manifest import GRAPHS
from irl_vla.engine.runner import DEFAULT_THREADS, verify_golden
from irl_vla.perception.example import example_bev, example_camera
from irl_vla.perception.preset import Preset
from irl_vla.planner.example import example_planner
from irl_vla.terminal.console import Console


@dataclass(frozen=True)
class Row:
    """One graph: wall clock, CPU time [ms] per run, and its share of the median tick."""

    graph: str
    wall: Latency
    cpu_ms: float
    share: float


def bench(
    bundle: Annotated[Path, typer.Argument(help="folder of a network bundle")],
    cameras: Annotated[int, typer.Option(min=1, max=MAX_CAMERAS, help="number of cameras")] = 6,
    threads: Annotated[int, typer.Option(min=1, help="threads of ONNX Runtime")] = DEFAULT_THREADS,
    repetitions: Annotated[int, typer.Option(min=1, help="runs of each graph")] = 30,
) -> None:
    """Measure the latency of each graph on random scenes; the last line printed is one JSON
    object."""
    from irl_vla.engine.onnx_runner import OnnxRunner  # takes a while to import

    console = Console()
    opened = load_bundle(bundle)
    runner = OnnxRunner(opened, threads)
    verify_golden(runner, opened)
    inputs = _inputs(opened.network.preset, cameras)
    measured = [
        _measure(partial(runner.run, graph, inputs[graph]), repetitions)
        for graph in track(GRAPHS, "measuring", console=Console(stderr=True), transient=True)
    ]
    total = sum(wall.p50 for wall, _ in measured)
    rows = [
        Row(graph, wall, cpu, wall.p50 / total)
        for graph, (wall, cpu) in zip(GRAPHS, measured, strict=True)
    ]
    console.print(_table(rows, f"{opened.manifest.name}: {cameras} cameras, {threads} threads"))
    line = {
        "bundle": opened.id, "name": opened.manifest.name, "cameras": cameras,
        "threads": threads, "machine": platform.machine(), "processor": _processor(),
        "backend": runner.record(GRAPHS[0]).backend, "tick_p50_ms": total,
        "graphs": {row.graph: {**asdict(row.wall), "cpu_ms": row.cpu_ms, "share": row.share}
                   for row in rows},
    }  # fmt: skip
    print(json.dumps(line, sort_keys=True))


def _inputs(preset: Preset, cameras: int) -> dict[str, dict[str, Any]]:
    rng = np.random.default_rng(0)
    return {
        "camera": example_camera(preset, rng, cameras),
        "bev": example_bev(preset, rng, cameras),
        "planner": example_planner(preset, rng),
    }


def _measure(call: Callable[[], object], repetitions: int) -> tuple[Latency, float]:
    """Wall percentiles and mean CPU time [ms] of a call that has run once before."""
    call()
    walls, cpu = [], time.process_time()
    for _ in range(repetitions):
        begin = time.perf_counter()
        call()
        walls.append(time.perf_counter() - begin)
    return latency(walls), (time.process_time() - cpu) / repetitions * 1e3


def _table(rows: list[Row], title: str) -> Table:
    table = Table(title=title)
    for name in ("graph", "p50 ms", "p90 ms", "p99 ms", "CPU ms", "share"):
        table.add_column(name, justify="left" if name == "graph" else "right")
    for row in rows:
        numbers = (row.wall.p50, row.wall.p90, row.wall.p99, row.cpu_ms)
        table.add_row(row.graph, *(f"{value:.2f}" for value in numbers), f"{row.share:.0%}")
    return table


def _processor() -> str:
    """The processor's name where the system tells it (Linux), else what Python knows."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.is_file() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()
