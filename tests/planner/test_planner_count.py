"""The documented sizes of the planner are those of the code."""

from __future__ import annotations

from pathlib import Path

import pytest

from irl_vla.perception.preset import load_preset
from irl_vla.planner.count import BEGIN, parameters, rewrite
from irl_vla.planner.sampler import build_planner

DOCUMENTS = Path(__file__).parents[2] / "docs"


def test_the_documents_tables_are_fresh() -> None:
    documents = [path for path in DOCUMENTS.glob("*.md") if BEGIN in path.read_text("utf-8")]
    assert documents, "one document shows the planner's tables"
    for path in documents:
        text = path.read_text("utf-8")
        assert rewrite(text) == text, f"run: python -m irl_vla.planner.count docs/{path.name}"


def test_a_document_without_marks_is_refused() -> None:
    with pytest.raises(ValueError, match="expected the marks"):
        rewrite("nothing here")


def test_the_paper_sized_planner_has_about_three_and_a_half_million_parameters() -> None:
    # per layer 3 attentions of 4 D^2, feed-forward 8 D^2, BEV and ego 3 D^2, time 2 D^2; D = 256
    dense = 2 * (3 * 4 + 8 + 3 + 2) * 256**2
    assert parameters(build_planner(load_preset("paper"), 0)) == pytest.approx(dense, rel=0.1)
