"""Presets: what ships can be read, and what cannot be built is refused with the reason."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from irl_vla.perception.preset import load_preset, preset_names
from irl_vla.types import InputError


def test_the_four_shipped_presets_load_under_their_own_names() -> None:
    assert preset_names() == ("base", "nano", "paper", "tiny")
    assert all(load_preset(name).name == name for name in preset_names())


def test_paper_has_the_sizes_of_the_supplement() -> None:
    paper = load_preset("paper")
    assert (paper.backbone, paper.image.height, paper.image.width) == ("99", 256, 704)
    assert paper.bev.cells == (128, 128)
    assert np.ptp(paper.bev.x) == np.ptp(paper.bev.y) == 64.0


@pytest.mark.parametrize("name", ["nano", "tiny", "base", "paper"])
def test_heights_reach_from_below_the_ground_or_on_it_to_traffic_lights(name: str) -> None:
    heights = load_preset(name).bev.heights
    assert heights[0] <= 0.0
    assert heights[-1] >= 3.0


def test_an_unknown_preset_is_refused_with_the_known_ones() -> None:
    with pytest.raises(InputError, match=r"base, nano, paper, tiny.*got 'huge'"):
        load_preset("huge")


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("width: 64", "width: 60", "multiples of 32"),
        ("cells: [16, 16]", "cells: [16, 15]", "multiples of 2"),
        ("d_model: 16", "d_model: 0", "d_model: expected at least 1, got 0"),
        ("anchors: 8", "anchors: 0", "planner.anchors: expected at least 1"),
        ("x: [-16, 48]", "x: [48, -16]", "must grow from first to last"),
        ("decoder_heads: 2", "decoder_heads: 3", "must divide d_model 16, got 3"),
        ("map_queries: 8", "map_querys: 8", "Did you mean 'map_queries'"),
        ("backbone: nano", "backbone: resnet", "backbone 'resnet': expected one of nano, 19-slim"),
        ("backbone: nano", "backbone: 19-slim", "Did you mean '19-slim-dw'"),
    ],
)
def test_a_preset_that_cannot_be_built_is_refused(
    tmp_path: Path, old: str, new: str, reason: str
) -> None:
    text = (Path(__file__).parents[2] / "models" / "presets" / "nano.yaml").read_text()
    changed = tmp_path / "mine.yaml"
    changed.write_text(text.replace(old, new))
    with pytest.raises(InputError, match=reason):
        load_preset(str(changed))
