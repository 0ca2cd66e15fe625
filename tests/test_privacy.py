"""A command writes where it was told to, connects to nobody, and needs no home.

Every command that runs a network is watched with strace: which files it opens for writing, and
whether it ever opens a socket of the internet. Whoever loads ONNX Runtime otherwise would be heard
by its vendor: the last test shows that this test would notice.
"""

from __future__ import annotations

import ast
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from irl_vla.engine.bundle import Bundle
from irl_vla.resources import resource

ROOT = Path(__file__).parents[1]
STRACE = shutil.which("strace")
CALLS = (
    "connect,sendto,socket,openat,open,creat,mkdir,mkdirat,rename,renameat,renameat2,link,linkat"
)
WRITES = re.compile(r"O_WRONLY|O_RDWR|O_CREAT")
LIBRARY = "onnxruntime"
# Where one of these is set the library keeps quiet, and this test would see nothing.
BUILD_MACHINE = (
    "CI", "TF_BUILD", "GITHUB_ACTIONS", "GITLAB_CI", "CIRCLECI", "TRAVIS", "JENKINS_URL",
    "CODEBUILD_BUILD_ID", "BUILDKITE", "TEAMCITY_VERSION", "APPVEYOR", "BITBUCKET_BUILD_NUMBER",
)  # fmt: skip
ONLY_IMPORTER = "irl_vla/engine/onnx_runner.py"

watched = pytest.mark.skipif(STRACE is None, reason="strace is not installed")


@dataclass(frozen=True)
class Trace:
    """What a process did. code: its exit code; written: files and folders it made or opened for
    writing; internet: calls that reach for a network"""

    code: int
    output: str
    written: tuple[str, ...]
    internet: tuple[str, ...]


def traced(home: Path, *words: str, **variables: str) -> Trace:
    """Runs a command of its own under strace, with an empty home."""
    home.mkdir(exist_ok=True)
    log = home.parent / "strace.log"
    hidden = ("ORT_", "XDG_", *BUILD_MACHINE)
    kept = {k: v for k, v in os.environ.items() if not k.startswith(hidden)}
    ran = subprocess.run(
        [str(STRACE), "-f", "-qq", "-e", f"trace={CALLS}", "-o", str(log), *words],
        capture_output=True, text=True, check=False, timeout=580,
        env={**kept, "HOME": str(home), "PYTHONPATH": str(ROOT), **variables},
    )  # fmt: skip
    lines = [line for line in log.read_text(errors="replace").splitlines() if " = -1 " not in line]
    written = []
    for line in lines:
        names = re.findall(r'"([^"]*)"', line)
        if names and (WRITES.search(line) or re.search(r"\b(mkdir|rename|link|creat)", line)):
            written.append(names[-1])
    internet = tuple(line for line in lines if re.search(r"AF_INET|sin_addr|:53\)", line))
    return Trace(ran.returncode, ran.stdout + ran.stderr, tuple(written), internet)


def in_home(trace: Trace, home: Path) -> set[str]:
    """Below the home, without matplotlib's list of fonts, which names nobody."""
    found = {path for path in trace.written if path.startswith(str(home))}
    found |= {str(path) for path in home.rglob("*") if path.is_file()}
    around = {str(home / ".cache"), str(home / ".config")}
    return {path for path in found - around if "matplotlib" not in path}


def assert_private(trace: Trace, home: Path) -> None:
    assert trace.code == 0, trace.output
    assert not trace.internet
    assert not in_home(trace, home)


PYTHON = (sys.executable, "-c")
LOADS = f"from irl_vla.engine.onnx_runner import OnnxRunner; assert '{LIBRARY}' in sys.modules"


@watched
@pytest.mark.parametrize("asked", [{}, {"ORT_DISABLE_TELEMETRY": "0"}], ids=["plain", "asked for"])
def test_a_process_that_runs_a_graph_tells_nobody(
    tmp_path: Path, nano: Bundle, asked: dict[str, str]
) -> None:
    """What every command and every node does to drive a network bundle."""
    code = f"""
import sys, time
from irl_vla.drive.assemble import policy_stack_from_bundle
from irl_vla.engine.bundle import load_bundle
policy_stack_from_bundle(load_bundle({str(nano.root)!r}))
{LOADS}
time.sleep(1.0)
"""
    home = tmp_path / "home"
    assert_private(traced(home, *PYTHON, code, **asked), home)


@watched
@pytest.mark.slow
@pytest.mark.parametrize(
    "words",
    [
        ("bench", "NANO", "--repetitions", "1"),
        ("drive", "--bundle", "NANO", "--seed", "1", "--route-length", "5", "--out", "OUT"),
        ("drive", "--bundle", "NANO", "--suite", "--seeds", "0:1", "--situation", "red_light",
         "--out", "OUT"),
        ("world", "bag", "OUT", "--seed", "1", "--seconds", "0.3"),
        ("world", "scenes", "--seeds", "0:1", "--out", "OUT"),
        ("export", "--preset", "nano", "--out", "OUT"),
    ],
    ids=lambda words: " ".join(words[:2]),
)  # fmt: skip
def test_every_command_tells_nobody(tmp_path: Path, nano: Bundle, words: tuple[str, ...]) -> None:
    places = {"NANO": str(nano.root), "OUT": str(tmp_path / "out")}
    given = [places.get(word, word) for word in words]
    home = tmp_path / "home"
    assert_private(traced(home, sys.executable, "-m", "irl_vla.cli.app", *given), home)


@watched
def test_the_watch_sees_what_the_library_does_when_it_is_left_alone(tmp_path: Path) -> None:
    """This version of the library may be one that tells nobody; then there is nothing to see."""
    home = tmp_path / "home"
    trace = traced(home, *PYTHON, f"import {LIBRARY}, time; time.sleep(1.0)")
    libraries = Path(__import__(LIBRARY).__file__).parent.rglob("*.so*")
    if not any(b"ORT_DISABLE_TELEMETRY" in path.read_bytes() for path in libraries):
        pytest.skip("this onnxruntime has no telemetry")
    assert in_home(trace, home)


def importers(folder: str) -> set[str]:
    """Source files below a folder that import the library, at any depth."""
    found = set()
    for path in (ROOT / folder).rglob("*.py"):
        if "_shipped" in path.parts:
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom):
                names = [str(node.module)]
            if any(name.split(".")[0] == LIBRARY for name in names):
                found.add(path.relative_to(ROOT).as_posix())
    return found


def test_one_file_imports_the_library_so_that_its_telemetry_is_off_before() -> None:
    folders = ("irl_vla", "irl_vla_nodes", "training", "benchmarks", "calibration", "launch")
    assert set().union(*map(importers, folders)) == {ONLY_IMPORTER}


@pytest.mark.parametrize("home", [None, "/nonexistent"])
def test_no_command_needs_a_home(tmp_path: Path, home: str | None) -> None:
    variables = {k: v for k, v in os.environ.items() if k != "HOME" and not k.startswith("XDG_")}
    variables |= {"PYTHONPATH": str(ROOT)} | ({} if home is None else {"HOME": home})
    rule, out = resource("models/rule"), tmp_path / "out"
    ran = subprocess.run(
        [sys.executable, "-m", "irl_vla.cli.app", "drive", "--bundle", rule, "--seed", "1",
         "--route-length", "5", "--out", out],
        env=variables, capture_output=True, text=True, check=False, timeout=500,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    assert (out / "report.html").is_file() and "Traceback" not in ran.stderr
