"""Tables: means, intervals over seeds, and the filter, with numbers that can be checked by hand."""

from __future__ import annotations

import numpy as np

from irl_vla.scoring.two_stage import COLUMNS
from irl_vla.world.benchmark.splits import VERSION, SeedSplit
from irl_vla.world.benchmark.table import (
    NAMES,
    SCORE,
    Row,
    as_json,
    as_markdown,
    summarised,
    table_of,
)


def row(expert: list[float], straight: list[float], stands: list[bool]) -> Row:
    def lines(values: list[float]) -> list[list[float]]:
        return [[1.0] * SCORE + [v] + [1.0] * (len(COLUMNS) - SCORE - 1) for v in values]

    return {
        "drivers": {"expert": lines(expert), "constant_velocity": lines(straight)},
        "stands": stands, "easy": [v > 0.8 for v in straight], "broken": [v < 0.8 for v in expert],
    }  # fmt: skip


ROWS = {
    7: row([1.0, 0.5], [0.2, 0.4], [False, False]),
    8: row([0.9, 0.9], [0.9, 0.0], [True, False]),
}
SPLIT = SeedSplit("seeds-7-9", range(7, 9))


def test_the_filter_drops_easy_and_broken_scenes_and_says_how_many() -> None:
    table = table_of(SPLIT, ROWS)
    assert table.dropped == {
        "constant_velocity_above_0.8": 0.25, "expert_below_0.8": 0.25, "either": 0.5,
    }  # fmt: skip
    assert (table.scenes, table.kept, table.stands) == (4, 2, 0.25)
    assert np.isclose(table.drivers["expert"].mean[SCORE], 95.0)
    assert np.isclose(table.unfiltered["expert"].mean[SCORE], 100 * (1.0 + 0.5 + 0.9 + 0.9) / 4)


def test_an_interval_draws_whole_seeds() -> None:
    values = np.ones((40, len(COLUMNS)))
    values[:20] = 0.0
    seeds = np.repeat([0.0, 1.0], 20)
    found = summarised(values, seeds)
    assert found.low[SCORE] == 0.0 and found.high[SCORE] == 100.0  # two seeds say next to nothing
    assert found.lost[SCORE] == 50.0


def test_the_order_of_seeds_does_not_matter() -> None:
    turned = dict(reversed(ROWS.items()))
    assert as_json(table_of(SPLIT, ROWS), SPLIT, VERSION) == as_json(
        table_of(SPLIT, turned), SPLIT, VERSION
    )


def test_the_json_names_every_driver_and_sub_score() -> None:
    data = as_json(table_of(SPLIT, ROWS), SPLIT, VERSION)
    assert data["scale"] == 100.0
    assert set(data["drivers"]["expert"]) == set(NAMES) and "epdms" in NAMES
    low, high = data["drivers"]["expert"]["epdms"]["ci95"]
    assert low <= data["drivers"]["expert"]["epdms"]["mean"] <= high


def test_where_the_filter_leaves_nothing_the_table_says_so() -> None:
    rows = {7: row([1.0], [1.0], [False])}
    split = SeedSplit("seeds-7-8", range(7, 8))
    table = table_of(split, rows)
    assert table.kept == 0 and table.drivers == {}
    assert "No scene is left" in as_markdown(table, split, VERSION)
