"""What the guard costs: 64 candidates, 30 near agents, a full map, everything refused; one core.

    python benchmarks/guard.py [--repetitions 40]

CPU time of this process. `guard_ms_64`: surroundings from tokens and all checks of all candidates,
the dearer of two scenes: candidates that are refused where the seen road ends (every check of every
pose is done), and candidates that the last of the agents blocks. `guard_and_fallback_ms_64`: with
the search for the stop where no braking is enough, too. `plan_ms_free`: the whole of a plan whose
first candidate is free, fallback included. Prints a table and, as its last line, one JSON object.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
from rich.console import Console
from rich.table import Table

from irl_vla.drive.checks import Surroundings, surroundings
from irl_vla.drive.fallback import Known, best_stop, lead_of, standing_start
from irl_vla.drive.guard import Choice, GuardConfig, best_first, choose
from irl_vla.drive.stops import present_arc
from irl_vla.drive.warm import warm_guard
from irl_vla.perception.classes import CLASSES
from irl_vla.types import Trajectory
from irl_vla.vehicle import PACIFICA

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "drive"))
from guard_scenes import SPEED, GuardScene, busy, rows, tokens_of

CONFIG = GuardConfig()


def blocked() -> GuardScene:
    """The busy bend with one more car across it: the last of the agents refuses everything."""
    scene = busy(agents=29)
    boxes = np.vstack([scene.tokens.boxes.astype(float), rows((14.0, 2.0, 0.0, 0.0))])
    tokens = tokens_of(boxes)
    return replace(scene, tokens=replace(
        scene.tokens, boxes=tokens.boxes, agent_valid=tokens.agent_valid,
        agent_class=tokens.agent_class,
    ))  # fmt: skip


def seen_of(scene: GuardScene) -> Surroundings:
    return surroundings(scene.tokens, scene.area, CLASSES, PACIFICA, CONFIG.sure_score)


def guarded(scene: GuardScene) -> Choice:
    order = best_first(scene.candidates.confidence)
    return choose(scene.candidates, order, scene.ego, seen_of(scene), PACIFICA, CONFIG)


def with_stop(scene: GuardScene) -> Choice:
    """All candidates, then the search for a stop along the last path and the present arc."""
    choice = guarded(scene)
    path = np.vstack([np.zeros(3), scene.candidates.poses[0]])
    paths = [path, present_arc(scene.ego)]
    best_stop(paths, standing_start(SPEED), Known.now(seen_of(scene)), PACIFICA)
    return choice


def with_fallback(scene: GuardScene) -> None:
    """One candidate, and the fallback of its plan for each moment of the silence."""
    order = best_first(scene.candidates.confidence)[:1]
    seen = seen_of(scene)
    choose(scene.candidates, order, scene.ego, seen, PACIFICA, CONFIG)
    poses = scene.candidates.poses[int(order[0])]
    lead = lead_of(Trajectory(poses), SPEED, CONFIG.fallback_until_s)
    path = np.vstack([np.zeros(3), poses])
    best_stop([path], lead, Known.now(seen), PACIFICA)


def hemmed_in() -> GuardScene:
    """A car so near that no braking is enough: every level is tried for every begin."""
    scene = busy(agents=29)
    near = tokens_of(rows((7.5, 0.0, 0.0, 0.0)), stamp_ns=0)
    boxes = np.vstack([scene.tokens.boxes, near.boxes])
    mask, kinds = np.ones(30, np.bool_), np.zeros(30, np.int64)
    return replace(
        scene, tokens=replace(scene.tokens, boxes=boxes, agent_valid=mask, agent_class=kinds)
    )


def cpu_ms(work: Callable[[], object], repetitions: int) -> tuple[float, float]:
    """(least, median) milliseconds of CPU time of one call."""
    times = []
    for _ in range(repetitions):
        start = time.process_time()
        work()
        times.append((time.process_time() - start) * 1e3)
    return min(times), float(np.median(times))


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--repetitions", type=int, default=40)
    repetitions = parser.parse_args().repetitions
    start = time.process_time()
    warm_guard()
    warm_ms = (time.process_time() - start) * 1e3
    end, across, near = busy(), blocked(), hemmed_in()
    for scene in (end, across, near):
        choice = guarded(scene)
        assert choice.chosen is None and len(choice.rejected) == 64, "everything is refused"
    figures = {
        "the road ends": cpu_ms(lambda: guarded(end), repetitions),
        "the last agent blocks": cpu_ms(lambda: guarded(across), repetitions),
        "no braking is enough, with the search": cpu_ms(lambda: with_stop(near), repetitions),
        "one candidate and its fallback": cpu_ms(lambda: with_fallback(end), repetitions),
        "one candidate, no braking is enough": cpu_ms(lambda: with_fallback(near), repetitions),
    }
    table = Table("64 candidates, 30 agents, 50 map elements", "least [ms]", "median [ms]")
    for name, (least, median) in figures.items():
        table.add_row(name, f"{least:.2f}", f"{median:.2f}")
    Console().print(table)
    medians = {name: round(median, 3) for name, (_, median) in figures.items()}
    print(json.dumps({
        "guard_ms_64": max(medians["the road ends"], medians["the last agent blocks"]),
        "guard_ms_64_least": round(
            max(figures["the road ends"][0], figures["the last agent blocks"][0]), 3
        ),
        "guard_and_fallback_ms_64": medians["no braking is enough, with the search"],
        "plan_ms_free": medians["one candidate and its fallback"],
        "plan_ms_hemmed_in": medians["one candidate, no braking is enough"],
        "warm_ms": round(warm_ms, 1), "python": platform.python_version(),
        "machine": platform.machine(),
    }))  # fmt: skip


if __name__ == "__main__":
    main()
