"""What policies are worth over many seeds: means, intervals, the filter, tables.

The filter (fixed before any learnt policy was scored, NAVSIM's idea): a scene is *easy* where going
straight on at constant speed scores above 0.8, and *broken* where the expert itself scores below
0.8; every table is printed with and without. Intervals: percentiles of a bootstrap that draws whole
seeds, because scenes of one seed resemble each other. May import: types, scoring, world.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from irl_vla.scoring.scene import Mask
from irl_vla.scoring.two_stage import COLUMNS, two_stage
from irl_vla.types import F64
from irl_vla.world.benchmark.hard import frames_of, group_of
from irl_vla.world.benchmark.plans import PlanMaker
from irl_vla.world.benchmark.scenes import Cutter, ground_of
from irl_vla.world.benchmark.scored_scenes import STANDS_M, reference_moves, score_episode
from irl_vla.world.benchmark.splits import SeedSplit, instants_of
from irl_vla.world.build import episode_of

EASY, BROKEN = 0.8, 0.8
SCALE = 100.0  # tables are in percent
RESAMPLES, BOOTSTRAP_SEED, CONFIDENCE = 2000, 5, 95.0
SCORE = COLUMNS.index("score")
NAMES = tuple("epdms" if name == "score" else name for name in COLUMNS)

Row = dict[str, Any]  # what one seed gives, as JSON


def row_of_seed(seed: int, groups: bool, makers: Mapping[str, PlanMaker]) -> Row:
    """Columns of every driver on the scenes, or on the group, of one seed."""
    if groups:
        return _group_row(seed, makers)
    episode = episode_of(seed)
    judged = score_episode(episode, instants_of(episode.ego), makers, str(seed))
    straight, expert = (judged.columns[name][:, SCORE] for name in ("constant_velocity", "expert"))
    return {
        "drivers": {name: values.tolist() for name, values in judged.columns.items()},
        "stands": (judged.moved <= STANDS_M).tolist(),
        "easy": (straight > EASY).tolist(),
        "broken": (expert < BROKEN).tolist(),
    }


def _group_row(seed: int, makers: Mapping[str, PlanMaker]) -> Row:
    group = group_of(seed)
    ground = ground_of(group.first.town)
    drivers = {}
    for name, make in makers.items():
        stages = two_stage(frames_of(group, make, ground), [group.tokens])
        drivers[name] = [stages.overall.combined.tolist()]
    first = Cutter(group.first).prepared(group.step).scene
    return {
        "drivers": drivers, "stands": [reference_moves(first) <= STANDS_M], "easy": [group.easy],
        "broken": [group.broken],
    }  # fmt: skip


@dataclass(frozen=True)
class Summary:
    """Over many scenes of one driver, in percent. mean: (10,) NAMES; low, high: (10,) of the 95 %
    interval; lost: (10,) share of scenes that lost something there."""

    mean: F64
    low: F64
    high: F64
    lost: F64


def summarised(values: F64, seeds: F64) -> Summary:
    """values: (n, 10), 0..1; seeds: (n,) which seed each comes from."""
    known, group = np.unique(seeds, return_inverse=True)
    sums = np.stack([np.bincount(group, column) for column in values.T], axis=1)
    counts = np.bincount(group).astype(np.float64)
    rng = np.random.default_rng(BOOTSTRAP_SEED)
    drawn = rng.integers(len(known), size=(RESAMPLES, len(known)))
    means = sums[drawn].sum(axis=1) / counts[drawn].sum(axis=1)[:, None]
    tail = (100.0 - CONFIDENCE) / 2.0
    low, high = np.percentile(means, [tail, 100.0 - tail], axis=0)
    lost = (values < 1.0).mean(axis=0)
    return Summary(SCALE * values.mean(axis=0), SCALE * low, SCALE * high, SCALE * lost)


@dataclass(frozen=True)
class BenchmarkTable:
    """drivers: name -> Summary over the kept scenes; unfiltered: over all; dropped: shares;
    scenes, kept: how many; stands: share whose reference moves at most 5 m, of all"""

    split: str
    drivers: Mapping[str, Summary]
    unfiltered: Mapping[str, Summary]
    dropped: Mapping[str, float]
    scenes: int
    kept: int
    stands: float


def table_of(split: SeedSplit, rows: Mapping[int, Row]) -> BenchmarkTable:
    """The tables of a split from the rows of its seeds."""
    order = sorted(rows)
    seeds = np.array([seed for seed in order for _ in rows[seed]["stands"]], np.float64)
    easy, broken, stands = (
        np.array([flag for seed in order for flag in rows[seed][name]], np.bool_)
        for name in ("easy", "broken", "stands")
    )
    kept = ~(easy | broken)
    drivers = {
        name: np.array([line for seed in order for line in rows[seed]["drivers"][name]])
        for name in rows[order[0]]["drivers"]
    }
    dropped = {
        "constant_velocity_above_0.8": float(easy.mean()),
        "expert_below_0.8": float(broken.mean()),
        "either": float((easy | broken).mean()),
    }
    return BenchmarkTable(
        split.name, _summaries(drivers, seeds, kept),
        _summaries(drivers, seeds, np.ones(len(seeds), np.bool_)), dropped, len(seeds),
        int(kept.sum()), float(stands.mean()),
    )  # fmt: skip


def _summaries(drivers: Mapping[str, F64], seeds: F64, keep: Mask) -> dict[str, Summary]:
    if not keep.any():
        return {}
    return {name: summarised(values[keep], seeds[keep]) for name, values in drivers.items()}


def as_json(table: BenchmarkTable, split: SeedSplit, version: str) -> dict[str, Any]:
    """Everything by name."""

    def named(summaries: Mapping[str, Summary]) -> dict[str, Any]:
        return {
            driver: {
                name: {
                    "mean": float(s.mean[i]), "ci95": [float(s.low[i]), float(s.high[i])],
                    "below_full": float(s.lost[i]),
                }
                for i, name in enumerate(NAMES)
            }
            for driver, s in summaries.items()
        }  # fmt: skip

    return {
        "version": version, "split": split.name, "scale": SCALE,
        "seeds": [split.seeds.start, split.seeds.stop],
        "unit": "group of two stages" if split.groups else "scene",
        "scenes": table.scenes, "kept": table.kept,
        "drivers": named(table.drivers), "drivers_unfiltered": named(table.unfiltered),
        "dropped": dict(table.dropped), "reference_moves_at_most_5_m": table.stands,
    }  # fmt: skip


def as_markdown(table: BenchmarkTable, split: SeedSplit, version: str) -> str:
    """Both tables for people."""
    unit = "groups of two stages" if split.groups else "scenes"
    parts = [
        f"# {split.name} ({version}, seeds {split.seeds.start}:{split.seeds.stop})", "",
        "In percent, with 95 % intervals (bootstrap over seeds), without the human filter.", "",
        f"Dropped: {_percent(table.dropped['constant_velocity_above_0.8'])} because constant "
        f"velocity scores above 0.8, {_percent(table.dropped['expert_below_0.8'])} because the "
        f"expert scores below 0.8, {_percent(table.dropped['either'])} in all. "
        f"The reference moves at most 5 m in {_percent(table.stands)}.", "",
        f"## Kept: {table.kept} of {table.scenes} {unit}", "", *_lines(table.drivers), "",
        f"## All {table.scenes} {unit}", "", *_lines(table.unfiltered), "",
    ]  # fmt: skip
    return "\n".join(parts)


def _percent(share: float) -> str:
    return f"{100.0 * share:.1f} %"


def _lines(summaries: Mapping[str, Summary]) -> Sequence[str]:
    if not summaries:
        return ["No scene is left."]
    order = [NAMES.index("epdms"), *(i for i, name in enumerate(NAMES) if name != "epdms")]
    head = "| driver | EPDMS | " + " | ".join(NAMES[i].upper() for i in order[1:]) + " |"
    rule = "|---|" + "---|" * len(order)
    rows = []
    for driver, s in summaries.items():
        cells = [f"**{s.mean[order[0]]:.1f}** [{s.low[order[0]]:.1f}, {s.high[order[0]]:.1f}]"]
        cells += [f"{s.mean[i]:.1f} [{s.low[i]:.1f}, {s.high[i]:.1f}]" for i in order[1:]]
        rows.append(f"| {_cell(driver)} | " + " | ".join(cells) + " |")
    return [head, rule, *rows]


def _cell(driver: str) -> str:
    """A driver's name in a table of Markdown."""
    return driver.replace("_", " ").replace("\\", "\\\\").replace("|", "\\|").replace("<", "&lt;")
