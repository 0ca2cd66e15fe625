"""The house rules: who may import whom, where an __init__.py may stand, how long a file or a
function may be."""

from __future__ import annotations

import ast
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
GROUND = {"types", "frames", "config", "unpickle"}
ROOMS = {  # room -> what it may import besides the ground floor and itself, as door plates say
    "camera": set[str](),
    "perception": {"camera"},
    "language": {"perception", "camera"},
    "planner": {"perception", "language"},
    "scoring": set[str](),
    "reward": {"perception", "language", "planner", "scoring"},
    "rl": {"planner", "reward"},
    "world": {"camera", "scoring", "language.labels"},
    "data": {"camera", "scoring", "language.labels", "world"},
    "engine": {"perception", "language", "planner", "reward"},
    "drive": {"engine", "camera", "scoring", "reward", "perception", "language", "planner"},
}
EVERYTHING = {
    "view",
    "cli",
}  # may import everything; only the commands import the view, nobody imports the commands
NO_PACKAGE = ["launch", "models", "calibration", "training", "tests"]
CAR = {"rclpy", "launch", "launch_ros", "tf2_ros", "cv_bridge"}


def sources(folder: str = "") -> list[Path]:
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", f"{folder}*.py"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    ).stdout.split()  # fmt: skip
    return [ROOT / name for name in listed if (ROOT / name).is_file()]


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def imports(path: Path) -> Iterator[tuple[int, str]]:
    """(line, dotted module) of every import, also those inside functions; `from a.b import c`
    yields a.b.c."""
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: write imports in full"
            yield from ((node.lineno, f"{node.module}.{alias.name}") for alias in node.names)


def room_of(path: Path) -> str:
    parts = path.relative_to(ROOT / "irl_vla").with_suffix("").parts
    return parts[0]


def allowed(room: str, path: Path, target: str) -> bool:
    first = target.split(".")[0]
    if first in GROUND:
        return room not in GROUND or first == "types"
    if room in EVERYTHING:
        return first != "cli" or room == "cli"
    if first == room:
        return True
    if path.name == "closed_loop.py" and room == "drive" and first == "world":
        return True
    return any(target == way or target.startswith(f"{way}.") for way in ROOMS.get(room, set()))


def test_imports_go_one_way() -> None:
    wrong = []
    for path in sources("irl_vla/"):
        room = room_of(path)
        for line, module in imports(path):
            if module == "irl_vla" or not module.startswith("irl_vla."):
                continue
            target = module.removeprefix("irl_vla.")
            if target != "__version__" and not allowed(room, path, target):
                wrong.append(f"{path.relative_to(ROOT)}:{line}: {room} may not import {target}")
    assert not wrong, "\n".join(wrong)


def test_every_room_is_known() -> None:
    rooms = {room_of(path) for path in sources("irl_vla/")} - {"__init__"}
    assert rooms <= GROUND | EVERYTHING | set(ROOMS)


def test_the_core_and_the_lab_know_no_ros_and_the_wings_not_each_other() -> None:
    for folder, forbidden in [
        ("irl_vla/", {"irl_vla_nodes", "irl_vla_training"}),
        ("training/", {"irl_vla_nodes"}),
    ]:
        for path in sources(folder):
            for line, module in imports(path):
                first = module.split(".")[0]
                bad = first in CAR | forbidden or first.endswith("_msgs")
                assert not bad, f"{path.relative_to(ROOT)}:{line}: imports {module}"


def test_scoring_knows_no_torch() -> None:
    for path in sources("irl_vla/scoring/"):
        assert all(module.split(".")[0] != "torch" for _, module in imports(path)), path


@pytest.mark.parametrize("folder", NO_PACKAGE)
def test_generic_folders_are_no_packages(folder: str) -> None:
    assert not (ROOT / folder / "__init__.py").exists(), "it would shadow other packages"


def test_every_room_has_a_door_plate() -> None:
    for path in sources("irl_vla/"):
        if path.name == "__init__.py":
            assert ast.get_docstring(tree(path)), f"{path.relative_to(ROOT)} has no door plate"


def test_files_and_functions_stay_readable() -> None:
    lengths, wrong = [], []
    for path in sources():
        name = path.relative_to(ROOT)
        lines = path.read_text(encoding="utf-8").count("\n")
        if lines > 400:
            wrong.append(f"{name}: {lines} lines, at most 400")
        for node in ast.walk(tree(path)):
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                length = (node.end_lineno or node.lineno) - node.lineno + 1
                lengths.append(length)
                if length > 80:
                    wrong.append(f"{name}:{node.lineno}: {node.name} {length} lines, at most 80")
    assert not wrong, "\n".join(wrong)
    assert sorted(lengths)[int(0.9 * len(lengths))] <= 40, (
        "nine of ten functions have at most 40 lines"
    )
