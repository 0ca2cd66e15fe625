"""A bundle on the world's scenes: its core sees pictures of any state, also of follow-ups."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from typer.testing import CliRunner

from irl_vla.camera.rig import load_rig
from irl_vla.cli.app import app
from irl_vla.drive.assemble import policy_stack_from_bundle
from irl_vla.drive.core import CoreConfig, DrivingCore
from irl_vla.engine.bundle import Bundle
from irl_vla.evaluation.bundle_plans import BundlePlanMaker, steps_until
from irl_vla.types import Plan
from irl_vla.world.benchmark.hard import group_of
from irl_vla.world.benchmark.scenes import Cutter
from irl_vla.world.benchmark.splits import HORIZON

RIG = Path(__file__).parents[2] / "calibration/rigs/tiny3.yaml"


def test_follow_ups_are_seen_from_their_own_start_states(nano: Bundle) -> None:
    group = group_of(5)
    core = DrivingCore(policy_stack_from_bundle(nano), load_rig(RIG), CoreConfig())
    pictures = []
    for branch in group.branches[:2]:
        cutter = Cutter(branch.episode)
        before, now = steps_until(cutter, group.step + HORIZON, core)
        assert isinstance(now.outcome, Plan) and now.tokens is not None
        assert now.tokens.memory_stamp_ns == before.outcome.anchor_stamp_ns
        assert np.allclose(
            now.ego.velocity[0], branch.episode.ego[group.step + HORIZON, 3], atol=0.3
        )
        pictures.append(now.frames.images["front"].encoded)
    assert pictures[0] != pictures[1]


def test_the_same_instant_gives_the_same_plan(nano: Bundle) -> None:
    group, make = group_of(5), BundlePlanMaker(nano.root, nano.id, load_rig(RIG))
    cutter = Cutter(group.first)
    prepared = cutter.prepared(group.step)
    first = make(cutter, group.step, prepared)
    assert first.shape == (8, 3)
    assert make(cutter, group.step, prepared).tobytes() == first.tobytes()


def test_a_table_gets_a_row_for_the_bundle(nano: Bundle, tmp_path: Path) -> None:
    result = CliRunner().invoke(
        app,
        ["world", "table", "--seeds", "20:21", "--bundle", str(nano.root), "--out", str(tmp_path)],
        catch_exceptions=False,
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    data = json.loads((tmp_path / "table.json").read_text())
    assert nano.manifest.name in data["drivers_unfiltered"]
