"""Repeating a schedule and noticing drift, on the drawn street with real network bundles."""

from __future__ import annotations

import json
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from drawn_street import write_street_bag
from typer.testing import CliRunner

from irl_vla.cli.app import app
from irl_vla.engine.bundle import Bundle
from irl_vla.evaluation.plan_comparison import compare_plans
from irl_vla.evaluation.read_ahead import DEPTH, read_ahead
from irl_vla.shipped import shipped
from irl_vla.types import InputError

RULE = shipped("models/rule")


@pytest.fixture(scope="module")
def street(tmp_path_factory: pytest.TempPathFactory) -> Path:
    bag = tmp_path_factory.mktemp("follow") / "street"
    write_street_bag(bag, seconds=2.0, seed=0)
    return bag


def replay(bag: Path, bundle: Path, out: Path, *more: str) -> tuple[int, str]:
    words = ["replay", str(bag), "--bundle", str(bundle), "--out", str(out), *more]
    done = CliRunner().invoke(app, words)
    if isinstance(done.exception, InputError):
        return 3, str(done.exception)
    return done.exit_code, done.output


def lines(folder: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in (folder / "plans.jsonl").read_text().splitlines()]


@pytest.fixture(scope="module")
def driven(street: Path, nano: Bundle, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("driven") / "out"
    assert replay(street, nano.root, out, "--seed", "7")[0] == 0
    return out


def test_following_a_drive_gives_the_same_plans_bit_for_bit(
    street: Path, nano: Bundle, driven: Path, tmp_path: Path
) -> None:
    """Also the seed comes from the drive, not from the command line."""
    again = tmp_path / "again"
    code, text = replay(
        street, nano.root, again, "--follow", str(driven / "plans.mcap"), "--check", str(driven)
    )
    assert code == 0 and "drift     0.000000 m" in text
    assert (again / "plans.jsonl").read_bytes() == (driven / "plans.jsonl").read_bytes()
    schedules = [line["schedule"] for line in lines(driven)]
    assert any(schedule["memory_stamp_ns"] is not None for schedule in schedules)  # type: ignore[index]


def test_another_seed_gives_other_plans_and_check_says_so(
    street: Path, nano: Bundle, driven: Path, tmp_path: Path
) -> None:
    code, text = replay(street, nano.root, tmp_path / "b", "--seed", "8", "--check", str(driven))
    assert code == 4 and "tolerated: 0.01 m" in text


def test_a_drive_of_another_bundle_cannot_be_followed(
    street: Path, driven: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    code, text = replay(street, RULE, out, "--follow", str(driven / "plans.mcap"))
    assert code == 3 and "was driven by bundle" in text
    assert not out.exists()


def test_a_reference_that_is_none_or_would_be_overwritten_is_refused_before_driving(
    street: Path, driven: Path, tmp_path: Path
) -> None:
    code, text = replay(street, RULE, tmp_path / "out", "--check", str(tmp_path))
    assert code == 3 and "has no plans.jsonl" in text and not (tmp_path / "out").exists()
    before = (driven / "plans.jsonl").read_bytes()
    code, text = replay(street, RULE, driven, "--check", str(driven))
    assert code == 3 and "would be overwritten" in text
    assert (driven / "plans.jsonl").read_bytes() == before


def test_drift_is_measured_in_metres_at_the_worst_pose(driven: Path, tmp_path: Path) -> None:
    other = tmp_path / "plans.jsonl"
    shutil.copy(driven / "plans.jsonl", other)
    changed = lines(driven)
    changed[3]["poses"][7][1] += 0.25  # type: ignore[index]
    del changed[-1]
    other.write_text("".join(json.dumps(line) + "\n" for line in changed))
    drift = compare_plans(other, driven / "plans.jsonl")
    assert drift.metres == pytest.approx(0.25)
    assert drift.worst_ns == changed[3]["anchor_stamp_ns"]
    assert drift.changed == [
        f"anchor {lines(driven)[-1]['anchor_stamp_ns']}: only in the reference"
    ]


def test_reading_ahead_keeps_the_order_and_raises_errors_where_they_belong() -> None:
    def events() -> Iterator[int]:
        yield from range(100)
        raise InputError("the recording breaks here")

    seen = []
    with pytest.raises(InputError, match="breaks here"):
        for value in read_ahead(events(), lambda value: 2 * value):
            seen.append(value)  # noqa: PERF402 - the error must come after these
    assert seen == [2 * value for value in range(100)]


def test_who_stops_reading_stops_the_thread_and_it_never_runs_far_ahead() -> None:
    produced = []

    def endless() -> Iterator[int]:
        while True:
            produced.append(len(produced))
            yield produced[-1]

    threads = threading.active_count()
    reading = read_ahead(endless(), lambda value: value)
    assert [next(reading) for _ in range(3)] == [0, 1, 2]
    reading.close()  # type: ignore[attr-defined]
    assert threading.active_count() == threads
    assert len(produced) <= 3 + DEPTH + 2
