"""The house rules: who may import whom, where an __init__.py may stand, how long a file or a
function may be, and that a class name means one thing."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
GROUND = {
    "types",
    "drafts",
    "frames",
    "config",
    "foreign",
    "pickle_scan",
    "paths",
    "resources",
    "unpack",
    "unpickle",
    "vehicle",
}
GROUND_STEPS = {  # what bounds foreign values lies under what reads them
    "config": {"foreign"}, "paths": {"foreign"}, "unpickle": {"foreign", "pickle_scan"},
}  # fmt: skip
ROOMS = {  # room -> what it may import besides the ground floor and itself, as door plates say
    "terminal": set[str](),
    "camera": set[str](),
    "perception": {"camera"},
    "language": {"perception", "camera"},
    "planner": {"perception", "language"},
    "scoring": set[str](),
    "reward": {"perception", "language", "planner", "scoring"},
    "world": {"camera", "scoring", "language.labels"},
    "messages": {"camera"},
    "bag": {"messages", "camera"},
    "navsim": {"camera", "scoring", "language.labels"},
    "engine": {"perception", "language", "planner", "reward"},
    "evaluation": {
        "camera",
        "perception",
        "language",
        "planner",
        "scoring",
        "reward",
        "world",
        "data",
        "engine",
        "drive",
    },
    "drive": {"engine", "camera", "scoring", "reward", "perception", "language", "planner"},
}
EVERYTHING = {  # may import everything but these
    "evaluation": {"view", "cli"},
    "view": {"cli"},
    "cli": set[str](),
}
OUTSIDE = ["irl_vla_nodes/", "launch/", "benchmarks/", "calibration/", "tests/", "training/"]
COMMANDS = ("tests/cli/", "tests/fuzz/")  # what outside imports the commands: their tests
LIVE = {"camera", "perception", "command", "planner", "monitor"}  # nodes that run in a car
LAUNCHING = ("graph", "restart", "topics")  # of the nodes' package: what launch files import
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
        return room not in GROUND or first == "types" or first in GROUND_STEPS.get(room, set())
    if first == room:
        return True
    if room in EVERYTHING:
        return first not in EVERYTHING[room]
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


def test_nobody_outside_imports_the_commands() -> None:
    for folder in OUTSIDE:
        for path in sources(folder):
            name = path.relative_to(ROOT)
            for line, module in imports(path):
                bad = f"{module}.".startswith("irl_vla.cli.")
                assert not bad or str(name).startswith(COMMANDS), f"{name}:{line}: {module}"


def test_launch_files_import_what_needs_launch_alone() -> None:
    """The Python of `ros2 launch` may have none of ours but that."""
    own = [ROOT / f"irl_vla_nodes/irl_vla_nodes/{name}.py" for name in LAUNCHING]
    allowed = tuple(f"irl_vla_nodes.{name}." for name in LAUNCHING)
    for path in [*sources("launch/"), *own]:
        for line, module in imports(path):
            ours = module.startswith("irl_vla") and not module.startswith(allowed)
            assert not ours, f"{path.relative_to(ROOT)}:{line}: imports {module}"


def test_a_live_node_reads_no_recording() -> None:
    """Nor does what it imports of the nodes' own package."""
    package = "irl_vla_nodes/irl_vla_nodes/"
    waiting, seen = [f"{name}_node" for name in LIVE], set[str]()
    while waiting:
        name = waiting.pop()
        path = ROOT / package / f"{name}.py"
        if name in seen or not path.exists():
            continue
        seen.add(name)
        for line, module in imports(path):
            first, _, rest = module.partition(".")
            waiting += [rest.split(".")[0]] if first == "irl_vla_nodes" else []
            room = rest.split(".")[0] if first == "irl_vla" else ""
            assert room not in {"bag", "evaluation", "view"}, f"{package}{name}.py:{line}: {module}"
    assert len(seen) > len(LIVE)


def test_a_class_name_means_one_thing() -> None:
    places: dict[str, list[str]] = {}
    for path in [
        *sources("irl_vla/"), *sources("irl_vla_nodes/irl_vla_nodes/"), *sources("training/"),
    ]:  # fmt: skip
        for node in ast.walk(tree(path)):
            if isinstance(node, ast.ClassDef):
                where = f"{path.relative_to(ROOT)}:{node.lineno}"
                places.setdefault(node.name, []).append(where)
    twice = {name: found for name, found in places.items() if len(found) > 1}
    assert not twice, "\n".join(f"{name}: {', '.join(found)}" for name, found in twice.items())


def test_every_room_is_known() -> None:
    rooms = {room_of(path) for path in sources("irl_vla/")} - {"__init__"}
    assert rooms <= GROUND | set(EVERYTHING) | set(ROOMS)


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


HEAVY = {"onnxruntime", "torch", "tensorrt"}


def module_file(module: str) -> Path | None:
    """Our file behind a dotted name of an import, or None."""
    parts = module.split(".")
    for count in (len(parts), len(parts) - 1):
        for root in (ROOT, ROOT / "irl_vla_nodes"):
            path = root.joinpath(*parts[:count])
            for file in (path.with_suffix(".py"), path / "__init__.py"):
                if count and file.is_file():
                    return file
    return None


def imported_at_once(path: Path) -> Iterator[str]:
    """Dotted names that a file imports when it is imported itself, not inside its functions."""
    for node in tree(path).body:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def loaded_with(path: Path) -> dict[str, Path]:
    """Everything that comes with a file: first names of packages, and which file imports them."""
    found, seen, left = dict[str, Path](), {path}, [path]
    while left:
        here = left.pop()
        for module in imported_at_once(here):
            found.setdefault(module.split(".")[0], here)
            file = module_file(module)
            if file is not None and file not in seen:
                seen.add(file)
                left.append(file)
    return found


@pytest.mark.parametrize(
    "name",
    ["irl_vla/cli/app.py", "irl_vla/drive/assemble.py"]
    + [f"irl_vla_nodes/irl_vla_nodes/{node}_node.py"
       for node in ("camera", "perception", "command", "planner", "monitor", "world")],
)  # fmt: skip
def test_an_engine_is_imported_only_where_a_network_runs(name: str) -> None:
    """ONNX Runtime takes 117 MB, torch more; a policy without networks needs neither."""
    found = loaded_with(ROOT / name)
    heavy = {module: str(path.relative_to(ROOT)) for module, path in found.items()}
    assert not HEAVY & set(heavy), {module: heavy[module] for module in HEAVY & set(heavy)}


def test_the_commands_start_without_an_engine() -> None:
    code = f"import sys, irl_vla.cli.app; sys.exit({HEAVY} & sys.modules.keys() or None)"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


OUR_NAMES = {"irl_vla", "irl_vla_nodes", "irl_vla_training"}
DISTRIBUTIONS = {  # where the package is called otherwise than what is imported
    "cv2": "opencv-python-headless", "rerun": "rerun-sdk", "yaml": "pyyaml", "PIL": "pillow",
}  # fmt: skip


def test_every_package_that_we_import_is_declared() -> None:
    """So that an installed wheel brings what it needs."""
    declared = set(re.findall(r'"([\w.-]+)>=', (ROOT / "pyproject.toml").read_text()))
    for path in sources("irl_vla/"):
        for line, module in imports(path):
            first = module.split(".")[0]
            if first in sys.stdlib_module_names | OUR_NAMES:
                continue
            where = f"{path.relative_to(ROOT)}:{line}: {first} is not declared in pyproject.toml"
            assert DISTRIBUTIONS.get(first, first) in declared, where


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


# ------------------------------------------------------------------------------------ the lab

LAB = "training/irl_vla_training/"
LAB_GROUND = {  # under the stages
    "recipe", "run", "checkpoint", "curves", "events", "interrupt", "optimiser", "origin",
}  # fmt: skip
STAGES = ("samples", "perception", "language", "imitation", "reward", "reinforce", "evaluate")
LOOPS = {"lightning_fabric"}  # who imports it holds a training loop


def test_the_lab_is_laid_out_by_stage() -> None:
    """The ground floor knows no stage, a stage only those before it; the commands know all."""
    wrong = []
    for path in sources(LAB):
        parts = path.relative_to(ROOT / LAB).with_suffix("").parts
        if parts[0] in {"app", "__init__", "navsim_agent", "ship"}:
            continue
        stage = STAGES.index(parts[0]) if parts[0] in STAGES else -1
        assert stage >= 0 or parts[0] in LAB_GROUND, f"{path}: neither a stage nor ground floor"
        for line, module in imports(path):
            first = module.removeprefix("irl_vla_training.").split(".")[0]
            ours = module.startswith("irl_vla_training.") and first in STAGES
            if ours and STAGES.index(first) > stage:
                wrong.append(f"{path.relative_to(ROOT)}:{line}: may not import {first}")
    assert not wrong, "\n".join(wrong)


def test_formulas_stand_in_files_without_loops_and_loops_without_formulas() -> None:
    for path in sources(LAB):
        name = path.relative_to(ROOT)
        modules = {module for _, module in imports(path)}
        if path.stem.endswith("_losses"):
            loops = [n.lineno for n in ast.walk(tree(path)) if isinstance(n, (ast.For, ast.While))]
            assert not loops, f"{name}:{loops[0]}: a loop among formulas"
        if LOOPS & {module.split(".")[0] for module in modules}:
            formulas = {m for m in modules if m.startswith("torch.nn.functional")}
            assert not formulas, f"{name}: a formula beside a loop: {formulas}"
