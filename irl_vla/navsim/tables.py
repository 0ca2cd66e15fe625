"""Scores of scenes -> the rows of the devkit's CSV files, averages included.

One stage: a row per scene and the mean of all. A frame whose predecessor (0.5 s before, same log)
is in the split has an extended comfort (EC) with it; a frame without drops EC from its score.
Two stages: see scoring/two_stage.py; there both frames of a pair get the pair's EC.
"""

from __future__ import annotations

import csv
import io
import itertools
import math
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from irl_vla.navsim.evaluation import Scored, Skipped
from irl_vla.scoring.simulate import sample_plans, simulate
from irl_vla.scoring.two_stage import MAX_INTERVAL_US, SUB_SCORE_NAMES, pair_comfort, with_score
from irl_vla.types import F64

NAMES = {  # our sub-score -> the devkit's column
    "nc": "no_at_fault_collisions",
    "dac": "drivable_area_compliance",
    "ddc": "driving_direction_compliance",
    "tlc": "traffic_light_compliance",
    "ep": "ego_progress",
    "ttc": "time_to_collision_within_bound",
    "lk": "lane_keeping",
    "hc": "history_comfort",
    "ec": "two_frame_extended_comfort",
}
AVERAGE = "average_all_frames"

Row = dict[str, object]  # token, valid, one number or None per column, score


def one_stage_rows(scored: Sequence[Scored]) -> list[Row]:
    """A row per scene, in the given order, and the row of means."""
    before = predecessors(scored)
    rows: list[Row] = []
    for scene in scored:
        earlier = before.get(scene.token)
        ec = math.nan if earlier is None else comfort_of_pair(scene, earlier)
        sub_scores = {**scene.filtered, "ec": ec}
        rows.append(row_of(scene.token, sub_scores, final_score(sub_scores)))
    columns = [*NAMES.values(), "score"]
    means = {column: mean(row[column] for row in rows) for column in columns}
    rows.append({"token": AVERAGE, "valid": True, **means})
    return rows


def row_of(token: str, sub_scores: Mapping[str, float], score: float) -> Row:
    """One row: NaN is an empty cell."""
    cells = {NAMES[name]: blank(sub_scores[name]) for name in NAMES}
    return {"token": token, "valid": True, **cells, "score": score}


def blank(value: float) -> float | None:
    return None if math.isnan(value) else value


def mean(values: Iterable[object]) -> float | None:
    """Mean of the numbers; empty cells are left out."""
    numbers = [value for value in values if isinstance(value, float)]
    return float(np.mean(numbers)) if numbers else None


def final_score(sub_scores: Mapping[str, float]) -> float:
    """NC DAC DDC TLC (5 EP + 5 TTC + 2 LK + 2 HC + 2 EC) / 16; without EC the divisor is 14."""
    return float(
        with_score(np.array([sub_scores[name] for name in SUB_SCORE_NAMES]), sub_scores["ec"])[-1]
    )


def predecessors(scored: Sequence[Scored]) -> dict[str, Scored]:
    """token -> the scene of the same log within 0.55 s before it."""
    found = {}
    logs: dict[str, list[Scored]] = {}
    for scene in scored:
        if not scene.is_follow_up:
            logs.setdefault(scene.log_name, []).append(scene)
    for scenes in logs.values():
        for earlier, now in itertools.pairwise(sorted(scenes, key=lambda scene: scene.t0_us)):
            if is_pair(now, earlier):
                found[now.token] = earlier
    return found


def is_pair(now: Scored, earlier: Scored) -> bool:
    """Whether two scenes are consecutive frames."""
    return 0 < now.t0_us - earlier.t0_us < MAX_INTERVAL_US


def comfort_of_pair(now: Scored, earlier: Scored) -> float:
    """EC of two consecutive plans: 1 if they drive alike where they overlap, else 0."""
    return pair_comfort(driven(now), driven(earlier), now.t0_us - earlier.t0_us)


def driven(scene: Scored) -> F64:
    """(41, 11) simulated states of a scene's plan."""
    reference = sample_plans(scene.plan[None], scene.initial, scene.t0_us)[0]
    return np.asarray(simulate(scene.initial, reference)[0])


def as_csv(rows: Sequence[Row]) -> str:
    """Rows as the devkit writes them: an unnamed column of numbers first."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    columns = list(rows[0]) if rows else ["token", "valid", "score"]
    writer.writerow(["", *columns])
    for number, row in enumerate(rows):
        cells = ("" if row[column] is None else row[column] for column in columns)
        writer.writerow([number, *cells])
    return text.getvalue()


def skipped_csv(skipped: Sequence[Skipped]) -> str:
    """token, log_name, reason of every scene that counts in no average."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["token", "log_name", "reason"])
    writer.writerows([entry.token, entry.log_name, entry.reason] for entry in skipped)
    return text.getvalue()
