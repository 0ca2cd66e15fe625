"""The page of a scored split: averages, what was left out, the worst scenes and their reasons."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from irl_vla.cli.navsim_show import boxes_of, map_from_above, painted_plan
from irl_vla.navsim.evaluation import Evaluator, Scored, Skipped
from irl_vla.navsim.jobs import ScoringJob
from irl_vla.navsim.tables import Row, final_score
from irl_vla.navsim.worlds import reactive_world
from irl_vla.scoring.explain import explain
from irl_vla.scoring.prepare import prepare
from irl_vla.view.drawing import webp
from irl_vla.view.frame import Overlay
from irl_vla.view.report import Fact, PageTable, rendered, replace_file

WORST = 12  # scenes that are drawn
SKIPPED_SHOWN = 50
NOTE = (
    "Numbers follow the official devkit as of 2025-10-27; scores from before 2025-09-29 are not "
    "comparable with them. Pictures: ego frame, white car: the ego now; ribbon: the scored plan, "
    "its colour the planned speed; green: the route; red: closed by a light."
)


@dataclass(frozen=True)
class WorstScene:
    """One drawn scene. losses: a sentence per lost sub-score; picture: WebP"""

    title: str
    losses: tuple[str, ...]
    picture: bytes


@dataclass(frozen=True)
class ScorePage:
    """What the template shows."""

    title: str
    facts: tuple[Fact, ...]
    tables: tuple[PageTable, ...]
    worst: tuple[WorstScene, ...]
    warnings: tuple[str, ...]
    note: str = NOTE


def write_score_page(
    run: ScoringJob,
    scored: Sequence[Scored],
    skipped: Sequence[Skipped],
    rows: Sequence[Row],
    path: Path,
) -> None:
    """Writes the page; the worst scenes are prepared again (or read from the cache)."""
    split = run.index.split
    page = ScorePage(
        title=f"NAVSIM {split.name}: {run.agent}",
        facts=(
            Fact("scenes scored", str(len(scored))),
            Fact("scenes skipped", str(len(skipped))),
            Fact("traffic", "reactive (IDM)" if run.reactive else "log replay"),
            Fact("stages", "two" if split.is_two_stage else "one"),
        ),
        tables=(averages(rows[len(scored) :]), *skipped_table(skipped)),
        worst=worst_scenes(run, scored),
        warnings=tuple(run.index.notes()),
    )
    replace_file(path, rendered("navsim_scores.html.j2", page).encode())


def averages(means: Sequence[Row]) -> PageTable:
    """The average rows of the devkit, one line per sub-score."""
    names = tuple(str(row["token"]) for row in means)
    columns = [name for name in means[0] if name not in ("token", "valid")]
    lines = [
        (column.replace("_", " "), *(_number(row[column]) for row in means))
        for column in columns
        if any(row[column] is not None for row in means)
    ]
    return PageTable("Averages", ("", *names), tuple(lines), names)


def _number(value: object) -> str:
    return f"{value:.4f}" if isinstance(value, float) else ""


def skipped_table(skipped: Sequence[Skipped]) -> tuple[PageTable, ...]:
    """Scenes that are excluded from the means, if there are any."""
    if not skipped:
        return ()
    lines = tuple((entry.token, entry.log_name, entry.reason) for entry in skipped[:SKIPPED_SHOWN])
    rest = len(skipped) - len(lines)
    note = f"and {rest} more, see skipped.csv" if rest else ""
    return (PageTable("Excluded from the means", ("token", "log", "reason"), lines, (), note),)


def worst_scenes(run: ScoringJob, scored: Sequence[Scored]) -> tuple[WorstScene, ...]:
    """The scenes with the lowest score by themselves (without extended comfort), drawn."""
    no_pair = {"ec": float("nan")}
    ranked = sorted(scored, key=lambda scene: final_score({**scene.filtered, **no_pair}))
    evaluator = Evaluator(run.index, run.cache)
    return tuple(
        worst_scene(run, evaluator, scene, final_score({**scene.filtered, **no_pair}))
        for scene in ranked[:WORST]
    )


def worst_scene(run: ScoringJob, evaluator: Evaluator, scored: Scored, score: float) -> WorstScene:
    """One scene with its picture and a sentence per lost sub-score."""
    world = prepare(evaluator.prepare_scene(scored.token))
    if run.reactive:
        world = reactive_world(world, scored.plan, run.index.window(scored.token))
    losses = explain(world, scored.plan).losses
    sentences = tuple(f"{loss.sub_score.upper()} {loss.value:.2f}: {loss.text}" for loss in losses)
    window = run.index.window(scored.token)
    overlay = Overlay(boxes=boxes_of(window.now), plan=painted_plan(window, scored.plan, "scored"))
    picture = map_from_above(run.index.dataset, window, overlay, run.cache)
    title = f"{scored.token}: {100.0 * score:.1f} without extended comfort"
    return WorstScene(title, sentences or ("no point lost",), webp(picture))
