"""How much the driving core costs besides its networks: a replay beside plain ONNX Runtime.

    python benchmarks/replay.py [--preset tiny] [--threads 2] [--frames 40]

Six cameras of the built-in world. All times come from one run; the ratios are what counts. Prints a
table and, as its last line, one JSON object.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import numpy as np
from rich.console import Console
from rich.table import Table

from irl_vla.bag.bag_writer import BagWriter
from irl_vla.bag.source import open_source
from irl_vla.camera.preprocess import CalibratedImages, prepared
from irl_vla.camera.rig import Rig, load_rig
from irl_vla.drive.assemble import policy_stack_from_bundle
from irl_vla.drive.core import CoreConfig, DrivingCore
from irl_vla.drive.perception_model import PerceptionContext, PerceptionModel
from irl_vla.drive.step import Step
from irl_vla.engine.bundle import Bundle, load_bundle
from irl_vla.engine.onnx_runner import BACKEND, OnnxRunner
from irl_vla.evaluation.replay_loop import ReplayLoop
from irl_vla.perception.example import example_bev, example_camera
from irl_vla.planner.example import example_planner
from irl_vla.resources import resource
from irl_vla.types import CameraImage, SceneTokens
from irl_vla.world.build import EpisodeRequest, simulation_of
from irl_vla.world.render.renderer import Renderer
from irl_vla.world.simulated_sensors import exposures, motion_of, stamp_of

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "drive"))
from guard_scenes import busy

DISTINCT = 10  # frames with pictures of their own
WARM = 3  # first frames that do not count
NETWORKS = ("network camera", "network bev", "network planner")


def write_bag(path: Path, rig: Rig, frames: int) -> None:
    """A drive of the built-in world; after DISTINCT frames the pictures repeat."""
    simulation = simulation_of(0, EpisodeRequest(steps=max(frames, 1)))
    render = Renderer(simulation.town, simulation.others.actors, rig, 0).render
    pictures: list[list[CameraImage]] = []
    with BagWriter(path, overwrite=True) as writer:
        writer.write_rig(rig, stamp_of(simulation.moment))
        for tick in range(frames):
            moment, stamp = simulation.moment, stamp_of(simulation.moment)
            if tick < DISTINCT:
                pictures.append(exposures(moment, render))
            writer.write_motion(motion_of(moment))
            for image in pictures[tick % DISTINCT]:
                writer.write_image(CameraImage(image.camera, stamp, image.encoded))
            simulation.step()


def replay(bag: Path, bundle: Bundle, threads: int) -> tuple[list[Step], float]:
    """Every step, and the wall seconds of the whole replay without its reports."""
    with open_source(bag) as source:
        core = DrivingCore(policy_stack_from_bundle(bundle, threads), source.rig(), CoreConfig())
        start = time.perf_counter()
        steps = [step for _, step in ReplayLoop(core).steps(source.events()) if step is not None]
        return steps, time.perf_counter() - start


class CrowdedPerception:
    """Perception that does all its work and then says: 30 agents around, and a map element in every
    place. What the guard costs in a busy street, whatever the weights see."""

    def __init__(self, perception: PerceptionModel, elements: int) -> None:
        self._model, self.image = perception, perception.image
        self._scene = busy(elements=elements)
        self.area = self._scene.area

    def perceive(self, images: CalibratedImages, moment: PerceptionContext) -> SceneTokens:
        """See PerceptionModel. The tensors that the planner network reads stay the network's."""
        seen, crowd = self._model.perceive(images, moment), self._scene.tokens
        return replace(
            seen, boxes=crowd.boxes, agent_valid=crowd.agent_valid, agent_class=crowd.agent_class,
            polylines=crowd.polylines, map_valid=crowd.map_valid, map_class=crowd.map_class,
            seg=crowd.seg,
        )  # fmt: skip


def crowded_ms(bag: Path, bundle: Bundle, threads: int) -> tuple[float, float]:
    """(median, p99) milliseconds of planning besides the planner network, in a crowd."""
    with open_source(bag) as source:
        stack = policy_stack_from_bundle(bundle, threads)
        perception = CrowdedPerception(stack.perception, bundle.network.preset.map_queries)
        core = DrivingCore(replace(stack, perception=perception), source.rig(), CoreConfig())
        steps = [step for _, step in ReplayLoop(core).steps(source.events()) if step is not None]
    timed = [step.timings_ms for step in steps[WARM:]]
    besides = [ms["plan"] - ms.get("network planner", 0.0) for ms in timed]
    return float(np.median(besides)), float(np.percentile(besides, 99))


def decode_seconds(bag: Path, bundle: Bundle) -> float:
    """Decode and fit every picture once, alone."""
    with open_source(bag) as source:
        rig, spec = source.rig(), bundle.network.preset.image
        images = [event for event in source.events() if isinstance(event, CameraImage)]
    start = time.perf_counter()
    for image in images:
        prepared(image, rig, spec)
    return time.perf_counter() - start


def plain_ms(bundle: Bundle, threads: int, cameras: int, repetitions: int) -> float:
    """Median milliseconds of the three graphs in plain ONNX Runtime on tensors of these shapes."""
    preset, rng = bundle.network.preset, np.random.default_rng(0)
    runner = OnnxRunner(bundle, threads)
    inputs = {
        "camera": example_camera(preset, rng, cameras),
        "bev": example_bev(preset, rng, cameras),
        "planner": example_planner(preset, rng),
    }
    ticks = []
    for _ in range(repetitions):
        start = time.perf_counter()
        for graph, values in inputs.items():
            runner.run(graph, values)
        ticks.append((time.perf_counter() - start) * 1e3)
    return float(np.median(ticks[1:]))


def peak_mb(bundle: Path, frames: int, threads: int) -> float:
    """Peak memory of a process that does nothing but one replay."""
    command = [sys.executable, __file__, "--alone", str(bundle), "--frames", str(frames),
               "--threads", str(threads)]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return float(done.stdout.split()[-1])


def alone(bundle: Path, frames: int, threads: int) -> None:
    """The child of `peak_mb`: small pictures, so that a long bag is quickly made."""
    rig = load_rig(resource("calibration/rigs/tiny3.yaml"))
    with tempfile.TemporaryDirectory() as folder:
        bag = Path(folder) / "bag"
        write_bag(bag, rig, frames)
        with open_source(bag) as source:
            core = DrivingCore(
                policy_stack_from_bundle(load_bundle(bundle), threads), rig, CoreConfig()
            )
            for _ in ReplayLoop(core).steps(source.events()):
                pass
    status = Path("/proc/self/status").read_text()  # ru_maxrss would hold the parent's peak
    kilobytes = next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM"))
    print(int(kilobytes) / 1024)


def measure(bundle_path: Path, threads: int, frames: int) -> dict[str, float]:
    """All figures of one run."""
    bundle, rig = (
        load_bundle(bundle_path),
        load_rig(resource("calibration/rigs/nuscenes_like6.yaml")),
    )
    with tempfile.TemporaryDirectory() as folder:
        bag = Path(folder) / "bag"
        write_bag(bag, rig, frames)
        steps, wall = replay(bag, bundle, threads)
        crowd_p50, crowd_p99 = crowded_ms(bag, bundle, threads)
        decode = decode_seconds(bag, bundle) * 1e3 / frames
    timed = [step.timings_ms for step in steps[WARM:]]
    networks = np.array([sum(ms.get(name, 0.0) for name in NETWORKS) for ms in timed])
    whole = np.array([ms["step"] for ms in timed])
    plain = plain_ms(bundle, threads, len(rig.cameras), max(4, frames // 2))
    serial_s = (decode + float(np.mean(whole))) * frames / 1e3
    return {
        "frames": len(steps),
        "step_p50_ms": float(np.median(whole)),
        "step_p99_ms": float(np.percentile(whole, 99)),
        "networks_p50_ms": float(np.median(networks)),
        "plain_onnxruntime_p50_ms": plain,
        "decode_ms_per_frame": decode,
        "besides_networks_ratio": float(np.median((whole - networks) / networks)),
        "frames_per_s": len(steps) / wall,
        "plain_frames_per_s": 1e3 / plain,
        "wall_over_serial": wall / serial_s,
        "plan_besides_network_p50_ms": float(
            np.median([ms["plan"] - ms.get("network planner", 0.0) for ms in timed])
        ),
        "the_same_with_30_agents_and_full_map_p50_ms": crowd_p50,
        "the_same_with_30_agents_and_full_map_p99_ms": crowd_p99,
    }


def main() -> None:
    """Parse, export if needed, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--preset", default="tiny")
    parser.add_argument("--bundle", type=Path, help="an exported bundle, instead of --preset")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--frames", type=int, default=40)
    parser.add_argument("--memory", action="store_true", help="also peak memory by bag length")
    parser.add_argument("--alone", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.alone is not None:
        alone(options.alone, options.frames, options.threads)
        return
    with tempfile.TemporaryDirectory() as folder:
        bundle = options.bundle or _exported(options.preset, Path(folder) / "bundle")
        name = load_bundle(bundle).manifest.name
        figures = measure(bundle, options.threads, options.frames)
        if options.memory:
            short, long = (peak_mb(bundle, n, options.threads) for n in (50, 500))
            figures |= {"peak_mb_50_frames": short, "peak_mb_500_frames": long}
    _print(name, options.threads, figures)


def _exported(preset: str, path: Path) -> Path:
    subprocess.run(
        [sys.executable, "-m", "irl_vla.cli.app", "export", "--preset", preset, "--out", str(path)],
        check=True, stdout=subprocess.DEVNULL,
    )  # fmt: skip
    return path


def _print(name: str, threads: int, figures: dict[str, float]) -> None:
    table = Table("figure", "value", title=f"replay: {name}, 6 cameras, {threads} threads")
    for figure, value in figures.items():
        table.add_row(figure.replace("_", " "), f"{value:.3f}")
    Console().print(table)
    facts = {"bundle": name, "threads": threads, "backend": BACKEND,
             "python": platform.python_version(), "machine": platform.machine()}  # fmt: skip
    print(json.dumps(facts | figures))


if __name__ == "__main__":
    main()
