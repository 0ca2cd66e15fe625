"""Sizes and costs: the documentation says what the networks are."""

from __future__ import annotations

from pathlib import Path

import pytest

from irl_vla.perception.count import costs, rewrite
from irl_vla.perception.preset import load_preset

POLICY = Path(__file__).parents[2] / "docs" / "policy.md"


def test_the_documentation_states_the_present_sizes() -> None:
    text = POLICY.read_text(encoding="utf-8")
    assert rewrite(text) == text, "run: python -m irl_vla.perception.count docs/policy.md"


def test_vovnet_99_costs_59_billion_mac_an_image() -> None:
    backbone = costs(load_preset("paper"))["backbone"]
    assert backbone.macs / 1e9 == pytest.approx(59.2, abs=0.1)
    assert backbone.parameters / 1e6 == pytest.approx(69.5, abs=0.03)


def test_a_document_without_marks_is_refused() -> None:
    with pytest.raises(ValueError, match="expected the marks"):
        rewrite("nothing here")
