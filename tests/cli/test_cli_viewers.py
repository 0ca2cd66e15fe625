"""What a replay writes for other people's viewers."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from cli_bags import command, replay

from irl_vla.bag.bag import read_values
from irl_vla.bag.source import open_source


def test_the_plan_is_drawn_in_every_camera_and_the_layout_shows_it(
    two_cameras: Path, tmp_path: Path
) -> None:
    ran = replay(two_cameras, out=tmp_path / "out")
    layout = json.loads((ran.out / "foxglove.json").read_text(encoding="utf-8"))
    info = command("bag", "info", ran.out / "plans.mcap").stdout
    with open_source(two_cameras) as source:
        for name in source.rig().names:
            panel = layout["configById"][f"Image!{name}"]["imageMode"]
            assert panel["imageTopic"] == f"/sensing/{name}/image/compressed"
            (topic,) = panel["annotations"]
            assert topic in info
    kind = "foxglove_msgs/msg/ImageAnnotations"
    lines = [
        np.array([[p.x, p.y] for p in one.points])
        for message in read_values(ran.out / "plans.mcap", kind, lambda m: m)
        for one in message.points
    ]
    assert lines
    front = max(lines, key=len)
    assert front[0, 1] > front[-1, 1]  # from the bonnet towards the horizon


def test_a_rerun_file_has_one_moment_for_each_anchor(two_cameras: Path, tmp_path: Path) -> None:
    pytest.importorskip("rerun", reason="rerun-sdk is an extra (irl-vla[rerun])")
    file = tmp_path / "a.rrd"
    ran = replay(two_cameras, "--rerun", file, out=tmp_path / "out")
    assert ran.code == 0
    data = file.read_bytes()
    assert data.startswith(b"RRF")
    for entity in (b"world/ego/plan", b"world/ego/front/image", b"ego/speed"):
        assert entity.replace(b"world", b"/world")[:20] in data or entity in data


def test_without_rerun_the_option_says_what_to_install(
    two_cameras: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("irl_vla.evaluation.rerun_file.find_spec", lambda name: None)
    ran = replay(two_cameras, "--rerun", tmp_path / "a.rrd", out=tmp_path / "out")
    assert ran.code == 3 and "pip install 'irl-vla[rerun]'" in ran.stderr
