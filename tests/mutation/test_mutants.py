"""The run of a sample of mutants: what is drawn, which tests are tried, what is said of each."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import mutants
import pytest
from mutants import Campaign, all_mutants, drawn, room_of, room_tests
from mutation_operators import Mutant
from mutation_reach import Reach, Sources
from mutation_trees import pytest_in, refresh

VITAL = mutants.VITAL[0]


def some(file: str, count: int) -> list[Mutant]:
    return [Mutant(file, 1, f"f{k}", "number", "0", "1", 0, 0, 0, "1") for k in range(count)]


def test_the_same_seed_draws_the_same_and_another_seed_others() -> None:
    universe = some("irl_vla/a/b.py", 400)
    first = drawn(universe, 1, 50, 0)
    assert first == drawn(universe[::-1], 1, 50, 0)
    assert len(first) == 50
    assert len({m.identity for m in first} & {m.identity for m in drawn(universe, 2, 50, 0)}) < 20


def test_a_new_mutant_takes_the_place_of_one_at_most() -> None:
    universe = some("irl_vla/a/b.py", 400)
    before = {m.identity for m in drawn(universe, 1, 50, 0)}
    after = {m.identity for m in drawn([*universe, *some("irl_vla/c/d.py", 1)], 1, 50, 0)}
    assert len(before & after) >= 49


def test_what_may_be_driven_has_its_share() -> None:
    sample = drawn(some("irl_vla/a/b.py", 400) + some(VITAL, 60), 1, 100, 40)
    assert len(sample) == 100
    assert sum(m.file == VITAL for m in sample) == 40


def test_a_small_house_is_drawn_whole() -> None:
    assert len(drawn(some("irl_vla/a/b.py", 7), 1, 150, 40)) == 7


def test_a_room_without_tests_is_named() -> None:
    assert room_tests("a", ["tests/a/test_b.py", "tests/c/test_a.py", "tests/test_d.py"]) == [
        "tests/a/test_b.py"
    ]
    both = ["tests/cli/test_a.py", "tests/evaluation/test_b.py"]
    assert room_tests("evaluation", both) == both
    assert room_tests("ground", ["tests/a/test_b.py", "tests/test_d.py"]) == ["tests/test_d.py"]
    with pytest.raises(SystemExit, match="irl_vla/c has no tests: expected tests/c/test_"):
        room_tests("c", ["tests/a/test_b.py"])


def test_the_nearest_folder_with_tests_is_the_room() -> None:
    tests = ["tests/a/test_b.py", "tests/c/test_d.py", "tests/test_e.py"]
    found = [room_of(f"irl_vla/{f}.py", tests) for f in ("a/x", "a/c/x", "a/b/x", "b/x", "x")]
    assert found == ["a", "c", "a", "b", "ground"]


def test_what_no_trace_sees_is_reached_by_whatever_mentions_it() -> None:
    source = b"""\
LIMIT = 3.0

@kernel
def inner(x):
    return x < LIMIT

def outer(x):
    return inner(x)

def lonely(x):
    return x + 1
"""
    record = {"places": ["a.py:7"], "tests": {
        "t.py::one": {"seconds": 2.0, "passed": True, "ran": [0]},
        "t.py::two": {"seconds": 1.0, "passed": True, "ran": []},
        "t.py::red": {"seconds": 1.0, "passed": False, "ran": [0]},
    }}  # fmt: skip
    reach = Reach.of([record], Sources({"a.py": source}))
    for line in (1, 5, 8):
        assert reach.tests("a.py", line) == ["t.py::one"]
    assert reach.tests("a.py", 11) == []
    assert [reach.sources.is_compiled_in("a.py", line) for line in (1, 5, 8, 11)] == [
        True, True, False, False,
    ]  # fmt: skip


SOURCE = """\
from functools import cache
SIDE = 2

def area(a, b):
    return a * b

def perimeter(a, b):
    return 2 * (a + b)

def is_wide(a, b):
    return a > b

@cache
def unit():
    return area(1, SIDE)

def unused(a):
    return -a
"""
TESTS = """\
from irl_vla.toy.shapes import area, is_wide, perimeter, unit

def test_the_area_of_a_square():
    assert area(3, 3) == 9

def test_a_square_has_four_sides():
    assert perimeter(1, 1) == 4

def test_a_bar_is_wide():
    assert is_wide(3, 1) and not is_wide(1, 3)

def test_the_unit_is_made_once():
    assert unit() is unit()

def test_the_unit_is_two():
    assert unit() == 2
"""


@pytest.fixture
def house(tmp_path: Path) -> Path:
    """A project of one room, with the recorder where it is looked for."""
    root = tmp_path / "house"
    for path, text in {
        "irl_vla/__init__.py": "", "irl_vla/toy/__init__.py": "", "irl_vla/toy/shapes.py": SOURCE,
        "tests/toy/test_shapes.py": TESTS, "pyproject.toml": "[tool.pytest.ini_options]\n",
    }.items():  # fmt: skip
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text)
    (root / "irl_vla" / "data").symlink_to("../tests")  # links to folders are part of a project
    (root / "tests" / "mutation").mkdir()
    shutil.copy(Path(__file__).with_name("mutation_plugin.py"), root / "tests" / "mutation")
    subprocess.run(["git", "init", "-q"], cwd=root, check=True)
    return root


def outcomes(root: Path, wanted: set[str]) -> dict[str, str]:
    """after -> what became of these mutants of a house."""
    scratch = root.parent / "scratch"
    scratch.mkdir(exist_ok=True)
    campaign = Campaign(scratch, refresh(root, scratch), scratch / "results.jsonl")
    campaign.record("toy")
    sample = [m for m in all_mutants(campaign.texts) if m.after in wanted]
    return {m.after: campaign.result(m).outcome for m in sample}


def test_faults_are_noticed_or_not_and_a_second_run_starts_where_the_first_ended(
    house: Path,
) -> None:
    expected = {"a / b": "killed", "area(SIDE, 1)": "survived", "a >= b": "survived",
                "a": "unreached", "3": "killed"}  # fmt: skip
    assert outcomes(house, set(expected)) == expected
    assert (house / "irl_vla/toy/shapes.py").read_text() == SOURCE
    assert (house.parent / "scratch/tree/irl_vla/data").readlink() == Path("../tests")

    results = house.parent / "scratch" / "results.jsonl"
    first = results.read_text()
    assert outcomes(house, set(expected)) == expected
    assert results.read_text() == first

    (house / "tests/toy/test_width.py").write_text(
        "from irl_vla.toy.shapes import is_wide\n\n"
        "def test_a_square_is_not_wide():\n    assert not is_wide(2, 2)\n"
    )
    assert outcomes(house, {"a >= b", "a / b"}) == {"a >= b": "killed", "a / b": "killed"}
    tried = [json.loads(line) for line in results.read_text().splitlines()]
    assert len(tried) == len(first.splitlines()) + 1, "what was killed stays so"
    assert tried[-1]["tests"] == 1, "and what lived has only the new test to pass"
    assert list(tried[-1]["files"]) == ["tests/toy/test_width.py"]


def test_who_finds_a_cache_filled_rests_on_what_filled_it(house: Path) -> None:
    scratch = house.parent / "scratch"
    scratch.mkdir()
    campaign = Campaign(scratch, refresh(house, scratch), scratch / "results.jsonl")
    campaign.record("toy")
    reached = campaign.reaches["toy"].tests("irl_vla/toy/shapes.py", 5)
    assert {name.split("::")[1] for name in reached} == {
        "test_the_area_of_a_square", "test_the_unit_is_made_once", "test_the_unit_is_two",
    }  # fmt: skip


def test_a_fault_that_never_ends_is_ended(house: Path) -> None:
    (house / "tests/toy/test_shapes.py").write_text("def test_it():\n    while True: pass\n")
    tests = house / "chosen.json"
    tests.write_text(json.dumps(["tests/toy/test_shapes.py::test_it"]))
    given = {"MUTATION_TESTS": str(tests)}
    assert pytest_in(house, ["tests/toy/test_shapes.py"], given, house / "log", seconds=3) is None
