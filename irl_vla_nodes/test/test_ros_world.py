"""The built-in world as a live car: the graph drives it as `irl-vla drive` does."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from real_graph import ROOT, RULE, launched, needs_ros

from irl_vla.engine.bundle import load_bundle
from irl_vla.evaluation.drive_run import DriveRun, drive_request

pytestmark = pytest.mark.ros
needs_ros()

SEEDS = range(5)
SHORT_M = 40.0
SAME_M = 1e-6  # headings travel as quaternions: the last bits of a drive differ
TABLE = ROOT / "out" / "ros" / "world.json"


def by_the_graph(seed: int, folder: Path, route_m: float = 0.0) -> dict[str, Any]:
    results = folder / f"{seed}.json"
    arguments = {"bundle": RULE, "seed": seed, "results": results, "route_m": route_m}
    with launched(folder, "world.launch.py", **arguments) as graph:
        assert graph.wait(550.0) == 0, graph.text()
    return dict(json.loads(results.read_text()))


def at_the_desk(seed: int, route_m: float | None = None) -> dict[str, Any]:
    run = DriveRun.prepare(drive_request(seed, None, route_m), load_bundle(RULE), None)
    list(run.go())
    end = run.ticks[-1].moment.ego.tolist()
    return {"seed": seed, **run.summary(run.score()), "end": end}


def assert_same(graph: dict[str, Any], desk: dict[str, Any]) -> None:
    """All that is said of a drive; numbers to a millionth."""
    assert graph.keys() == desk.keys() | {"control", "cross_track_m"}
    for name, value in desk.items():
        if isinstance(value, (float, list)) and name != "infractions":
            assert np.allclose(graph[name], value, atol=SAME_M), name
        else:
            assert graph[name] == value, name


def test_a_short_drive_ends_as_at_the_desk(tmp_path: Path) -> None:
    driven = by_the_graph(1, tmp_path, SHORT_M)
    assert driven["ending"] == "route completed" and driven["refusals"] == 0
    assert_same(driven, at_the_desk(1, SHORT_M))


@pytest.mark.slow
@pytest.mark.parametrize("seed", SEEDS)
def test_a_whole_drive_ends_as_at_the_desk(seed: int, tmp_path: Path) -> None:
    """At the end of the route or at an honest infraction."""
    driven = by_the_graph(seed, tmp_path)
    assert_same(driven, at_the_desk(seed))
    TABLE.parent.mkdir(parents=True, exist_ok=True)
    table = json.loads(TABLE.read_text()) if TABLE.exists() else {}
    table[str(seed)] = driven
    TABLE.write_text(json.dumps(table, indent=2) + "\n")
