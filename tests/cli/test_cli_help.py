"""What a person sees who asks for help or mistypes."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from cli_bags import command

from irl_vla.cli.app import COMMANDS
from irl_vla.terminal.lazy import CommandEntry, GroupEntry, loaded

HEAVY = ["numpy", "numba", "scipy", "torch", "onnxruntime", "matplotlib", "cv2", "rosbags"]
HELP_CPU_S, BAG_INFO_CPU_S = 1.0, 2.0  # benchmarks/results.md: 0.15 and 0.7
RUN = """
import json, resource, sys
from irl_vla.cli.app import main
try:
    main()
except SystemExit:
    pass
used = resource.getrusage(resource.RUSAGE_SELF)
peak_mb = int(open("/proc/self/status").read().split("VmHWM:")[1].split()[0]) / 1024
print(json.dumps({"modules": sorted(sys.modules), "cpu_s": used.ru_utime + used.ru_stime,
                  "peak_mb": peak_mb}))
"""


def commands(
    table: Mapping[str, CommandEntry | GroupEntry] = COMMANDS, before: tuple[str, ...] = ()
) -> dict[tuple[str, ...], CommandEntry | GroupEntry]:
    """Every command there is, with those inside groups, by its words."""
    found = dict[tuple[str, ...], CommandEntry | GroupEntry]()
    for name, entry in table.items():
        found[(*before, name)] = entry
        if isinstance(entry, GroupEntry):
            found |= commands(entry.entries, (*before, name))
    return found


def run_alone(*words: str) -> dict[str, Any]:
    """What a Python of its own has imported after a command, and the processor time it took."""
    ran = subprocess.run(
        [sys.executable, "-c", RUN, *words], capture_output=True, text=True, check=True
    )
    return dict(json.loads(ran.stdout.splitlines()[-1]))


@pytest.mark.parametrize("words", [(), ("--help",), ("bag",), ("world", "--help"), ("--version",)])
def test_help_imports_nothing_heavy_and_comes_at_once(words: tuple[str, ...]) -> None:
    ran = run_alone(*words)
    assert not set(HEAVY) & set(ran["modules"])
    assert ran["cpu_s"] < HELP_CPU_S


def test_a_mistyped_command_imports_nothing_heavy() -> None:
    assert not set(HEAVY) & set(run_alone("repaly")["modules"])


def test_a_command_imports_itself_and_no_other_command() -> None:
    modules = set(run_alone("bag", "info", "--help")["modules"])
    assert "irl_vla.cli.bag" in modules
    others = {entry.target.split(":")[0] for entry in commands().values()
              if isinstance(entry, CommandEntry)} - {"irl_vla.cli.bag"}  # fmt: skip
    assert len(others) >= 10 and not others & modules


def test_bag_info_needs_neither_networks_nor_compiler_nor_plots(two_cameras: Path) -> None:
    ran = run_alone("bag", "info", str(two_cameras))
    assert not {"numba", "scipy", "torch", "onnxruntime", "matplotlib"} & set(ran["modules"])
    assert ran["cpu_s"] < BAG_INFO_CPU_S and ran["peak_mb"] < 150


@pytest.mark.parametrize("words", commands(), ids=" ".join)
def test_the_list_says_of_a_command_what_it_says_of_itself(words: tuple[str, ...]) -> None:
    entry = commands()[words]
    own = " ".join(loaded("irl-vla", words[-1], entry).help.split())
    assert entry.help.endswith(".") and own.startswith(entry.help)


def test_the_first_help_lists_every_command_with_a_sentence() -> None:
    ran = command("--help")
    assert ran.code == 0
    for words in commands():
        if len(words) == 1:
            row = next(line for line in ran.stdout.splitlines() if f" {words[0]} " in line)
            assert len(row.strip("│ \n").split()) >= 2, f"{words[0]} has no description"


@pytest.mark.parametrize("words", commands(), ids=" ".join)
def test_every_command_explains_itself_and_each_of_its_options(words: tuple[str, ...]) -> None:
    ran = command(*words, "--help")
    assert ran.code == 0
    assert f"irl-vla {' '.join(words)} [OPTIONS]" in ran.stdout and "Traceback" not in ran.stderr
    found = loaded("irl-vla", words[-1], commands()[words])
    assert found.help and len(found.help.split()) >= 1
    for option in found.params:
        if option.name != "help" and not getattr(option, "hidden", False):
            said = getattr(option, "help", None)
            assert said, f"irl-vla {' '.join(words)}: '{option.name}' has no help"


@pytest.mark.parametrize(
    "words",
    [
        ("--frobnicate",), ("frobnicate",), ("replay",), ("replay", "bag"),
        ("replay", "bag", "--bundle", "b", "--intent", "up"),
        ("replay", "bag", "--bundle", "b", "--seed", "x"), ("show", "--nonsense", "bag"),
        ("bag", "infos"), ("bag", "info"),
    ],
)  # fmt: skip
def test_wrong_usage_is_code_2_and_says_what_is_wrong(words: tuple[str, ...]) -> None:
    ran = command(*words)
    assert ran.code == 2
    assert "Usage: " in ran.stderr and "Error" in ran.stderr
    assert "Traceback" not in ran.stderr


def test_the_version_is_printed() -> None:
    ran = command("--version")
    assert (ran.code, ran.stdout.split()[0]) == (0, "irl-vla")


def test_bag_info_tells_what_a_replay_would_use(two_cameras: Path) -> None:
    ran = command("bag", "info", two_cameras)
    assert ran.code == 0
    for words in (
        "cameras     front, left",
        "calibrated  front, left",
        "ego motion  /localization/kinematic_state",
        "base frame  base_link",
    ):
        assert words in ran.stdout
    assert "warning" not in ran.stdout and "missing" not in ran.stdout
