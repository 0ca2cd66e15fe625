"""docs/epdms.md, section 8: what it prints of candidate c1 of p0022 is what the code computes."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

from irl_vla.scoring.epdms import PlanScores, score
from irl_vla.scoring.evaluate import (
    DDC_STEP,
    HC_BITS,
    LK_STEP,
    NC_STEP,
    NC_TRACK,
    TTC_STEP,
    TTC_TRACK,
    place,
    working_memory,
)
from irl_vla.scoring.explain import Explanation, explain, extended_differences
from irl_vla.scoring.prepare import PreparedScene, prepare
from irl_vla.scoring.road import driving_direction
from irl_vla.scoring.scene_io import read_scenes
from irl_vla.scoring.simulate import sample_plans, simulate
from irl_vla.scoring.tracker import command, fit_curvature, fit_speed
from irl_vla.types import F64

ROOT = Path(__file__).parents[2]
SCENES = ROOT / ".." / "shared" / "epdms" / "public" / "scenes.json.gz"
SCORING = ROOT / "irl_vla" / "scoring"
TEXT = (ROOT / "docs" / "epdms.md").read_text(encoding="utf-8")
SECTION = TEXT[TEXT.index("## 8 ") : TEXT.index("## 9 ")]


class Example(NamedTuple):
    prepared: PreparedScene
    plan: F64
    before: F64
    scores: PlanScores


@pytest.fixture(scope="module")
def example() -> Example:
    if not SCENES.is_file():
        pytest.skip("the public EPDMS cases are not at ../shared/epdms/public")
    scene = next(scene for scene in read_scenes(SCENES) if scene.id == "p0022")
    assert scene.previous is not None and scene.candidates[1].id == "c1"
    plan, before = scene.candidates[1].poses, scene.previous.trajectories[1]
    prepared = prepare(scene)
    return Example(prepared, plan, before, score(prepared, plan, before))


def row(name: str) -> list[str]:
    """Two cells of a row of the table: what is computed, and its value."""
    found = re.search(rf"^\| {re.escape(name)} \|(.*)\|(.*)\|$", SECTION, re.MULTILINE)
    assert found, f"section 8 has no row '{name}'"
    return [found[1].strip(), found[2].strip()]


def numbers(text: str) -> list[str]:
    return re.findall(r"-?\d+(?:\.\d+)?", text)


def printed(values: list[float], text: str) -> bool:
    """The numbers of the text are these values, each rounded to the digits printed."""
    found = numbers(text)
    digits = [len(number.partition(".")[2]) for number in found]
    return len(found) == len(values) and all(
        f"{value:.{d}f}" == number for value, d, number in zip(values, digits, found, strict=True)
    )


def lines_of(explanation: Explanation) -> list[str]:
    return [f"    {line}" for line in explanation.text().splitlines()]


def test_the_document_prints_how_c1_is_tracked(example: Example) -> None:
    scene = example.prepared.scene
    wheel_base = scene.ego.vehicle.wheel_base
    reference = sample_plans(example.plan, scene.ego.initial, scene.t0_us, scene.ego.vehicle)[0]
    states = simulate(scene.ego.initial, reference, wheel_base)[0]
    v, kappa = np.empty(40), np.empty(40)
    fit_speed(reference, v)
    fit_curvature(reference, v, kappa)
    first = command(0, reference, v, kappa, states[0], wheel_base)
    assert printed(reference[1].tolist(), row("reference")[1])
    assert printed([v[0], v[10]], row("speed profile")[1].replace("m/s", ""))
    assert f"{states[0, 3]:.4f}" in row("speed profile")[0]
    assert printed(list(first), units_away(row("first command")[1]))
    assert printed(states[1, [5, 3, 7]].tolist(), units_away(row("state 1")[1]))
    assert f"({first[0]:.4f} - {states[0, 5]:.4f})/3" in row("state 1")[0]


def units_away(cell: str) -> str:
    return re.sub(r"m/s²|m/s³|m/s|rad/s²|rad/s|rad", "", cell)


def test_the_document_prints_the_marks_of_c1(example: Example) -> None:
    raw = example.scores.raw
    for name in ("nc", "dac", "ddc", "tlc", "ep", "ttc", "lk", "hc"):
        assert printed([float(getattr(raw, name)[0])], row(name.upper())[1]), name
    assert printed(example.scores.ec.tolist(), row("EC")[1])
    best = float(np.ravel(example.scores.best_progress_m)[0])
    reached = f"{example.scores.progress_m[0]:.4f} m of the {best:.4f} m"
    assert reached in row("EP")[0]


def test_the_document_prints_what_cost_the_marks_of_c1(example: Example) -> None:
    seen, ids = example.scores.evidence[0], example.prepared.tracks.ids
    assert f"step {seen[NC_STEP]}:" in row("NC")[0] and ids[seen[NC_TRACK]] in row("NC")[0]
    assert f"step {seen[TTC_STEP]}:" in row("TTC")[0] and ids[seen[TTC_TRACK]] in row("TTC")[0]
    assert row("LK")[0].endswith(f"step {seen[LK_STEP]}")
    assert seen[HC_BITS] == 0
    told = explain(example.prepared, example.plan, example.before)
    trace = working_memory(example.prepared.arena, example.prepared.full_comfort)
    place(example.prepared.arena, told.states, trace)
    _, step, metres = driving_direction(trace.flags, trace.centres)
    assert step == seen[DDC_STEP]
    assert f"{metres:.2f} m off the route in the 1 s up to step {step}:" in row("DDC")[0]


def test_the_document_prints_how_c1_differs_from_the_plan_before(example: Example) -> None:
    told = explain(example.prepared, example.plan, example.before)
    rms = extended_differences(example.prepared, told.states, example.before)
    assert printed(rms.tolist(), units_away(row("EC")[0].partition(":")[0]))
    assert [value > limit for value, limit in zip(rms, (0.7, 0.5, 0.1, 0.1), strict=True)] == [
        False, True, False, True,
    ]  # fmt: skip


def test_the_document_prints_what_the_human_forgives_c1_and_its_number(example: Example) -> None:
    raw, filtered = example.scores.raw, example.scores.filtered
    changed = [n for n in ("nc", "dac", "ddc", "tlc", "ttc", "lk") if
               getattr(raw, n)[0] != getattr(filtered, n)[0]]  # fmt: skip
    assert changed == ["ttc"] and row("human filter")[1] == "TTC becomes 1"
    assert example.scores.epdms[0] == 0.0 and "/ 16 = 0\n" in SECTION
    weighted = 5 * filtered.ep[0] + 5 * filtered.ttc[0] + 2 * filtered.lk[0] + 2 * filtered.hc[0]
    worth = filtered.ddc[0] * weighted / 16
    assert f"0.5 · {weighted:.4f}/16 = **{worth:.4f}**" in SECTION
    assert f"{100 * worth:.1f}\npoints" in SECTION


def test_the_document_prints_what_explain_says_of_c1(example: Example) -> None:
    told = lines_of(explain(example.prepared, example.plan, example.before))
    assert "\n".join(told) in SECTION


def test_every_quirk_of_the_document_is_where_it_says() -> None:
    table = TEXT[TEXT.index("## 11 ") : TEXT.index("## 12 ")]
    rows = table[table.index("|---|") :].strip().splitlines()[1:]
    assert len(rows) > 20
    for line in rows:
        places = re.findall(r"`(\w+\.py)`: ([^;|]*)", line.rpartition(" | ")[2])
        assert places, line
        for file, names in places:
            source = (SCORING / file).read_text(encoding="utf-8")
            for name in re.findall(r"`(\w+)`", names):
                assert re.search(rf"^(def|class) {name}\b", source, re.MULTILINE), (file, name)


def test_every_section_that_the_code_refers_to_exists() -> None:
    headings = re.findall(r"^#+ (?:\d+ )?(.*)$", TEXT, re.MULTILINE)
    for file in SCORING.glob("*.py"):
        for line in re.findall(r"docs/epdms\.md, (\".*)", file.read_text(encoding="utf-8")):
            for name in re.findall(r'"([^"]+)"', line):
                assert any(heading.startswith(name) for heading in headings), (file.name, name)
