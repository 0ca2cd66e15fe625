"""Pictures and plots are still those that somebody has looked at."""

from __future__ import annotations

import json

import pytest
from reviewed import BLOCKS, FILE, PICTURES, PLOTS, Reviewed, of_picture, of_plot

REVIEWED = {n: Reviewed(**v) for n, v in json.loads(FILE.read_text(encoding="utf-8")).items()}
LEVELS = 1  # of 255, by which the mean of a block may differ
EDGES = 2e-5  # of the scale of a picture: about two pixels on an edge
DIGITS = 1e-6  # of the scale of a plot: its numbers are rounded to 1/100
AGAIN = "if it is meant to, look at it and run tests/view/reviewed.py"


def other_blocks(then: Reviewed, now: Reviewed) -> list[str]:
    """Rows and columns of the blocks that have another colour."""
    was, seen = bytes.fromhex(then.blocks), bytes.fromhex(now.blocks)
    found = {k // 3 for k in range(len(was)) if abs(was[k] - seen[k]) > LEVELS}
    return [f"row {k // BLOCKS} column {k % BLOCKS}" for k in sorted(found)]


def differs(then: Reviewed, now: Reviewed, rounding: float) -> bool:
    return abs(then.total[0] - now.total[0]) > rounding * then.total[1]


@pytest.mark.parametrize("name", PICTURES)
def test_a_picture_looks_as_reviewed(name: str) -> None:
    then, now = REVIEWED[name], of_picture(PICTURES[name]())
    assert not other_blocks(then, now), f"{name} looks different; {AGAIN}"
    assert not differs(then, now, EDGES), f"{name} differs in a few pixels; {AGAIN}"


@pytest.mark.parametrize("name", PLOTS)
def test_a_plot_shows_what_was_reviewed(name: str) -> None:
    then, now = REVIEWED[name], of_plot(PLOTS[name]())
    assert now.words == then.words
    assert not differs(then, now, DIGITS), f"the plot {name} differs; {AGAIN}"


def test_nothing_is_reviewed_that_is_not_drawn() -> None:
    assert REVIEWED.keys() == PICTURES.keys() | PLOTS.keys()
