"""Exact agreement with the values that the original code yields on the synthetic data set."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

DUMP = Path(__file__).with_name("dump.py")
READING = ("loader", "scenes", "map")
SCORING = ("metric_cache", "scores", "script_csv")


def agreement(navsim_folder: Path, out: Path, parts: tuple[str, ...]) -> dict[str, str]:
    """Our dump against the expected values: part -> the line (and examples) of compare.py."""
    data, root = navsim_folder / "data", str(Path(__file__).parents[2])
    environment = {**os.environ, "PYTHONPATH": root}
    subprocess.run(
        [sys.executable, str(DUMP), str(data), str(out), *parts], check=True, env=environment
    )
    compared = subprocess.run(
        [sys.executable, str(navsim_folder / "compare.py"), str(data / "expected"), str(out)],
        check=False, capture_output=True, text=True,
    ).stdout  # fmt: skip
    lines: dict[str, str] = {}
    for line in compared.splitlines():
        name = line.split()[0]
        if not line.startswith(" "):
            lines[name] = line
        elif lines:
            lines[list(lines)[-1]] += "\n" + line
    return {part: lines[part] for part in parts}


def assert_all_right(lines: dict[str, str]) -> None:
    for line in lines.values():
        words = line.split()
        assert int(words[2]) > 0, f"nothing was compared: {line}"
        assert words[3:7] == ["wrong", "0", "missing", "0"], line


def test_logs_windows_sensors_and_maps_are_read_as_the_original_reads_them(
    navsim_folder: Path, tmp_path: Path
) -> None:
    assert_all_right(agreement(navsim_folder, tmp_path, READING))


@pytest.mark.skipif(
    find_spec("irl_vla.scoring.reference") is None or find_spec("irl_vla.scoring.traffic") is None,
    reason="the scorer has no PDM-Closed reference or no reactive traffic yet",
)
def test_caches_scores_and_script_rows_are_those_of_the_original(
    navsim_folder: Path, tmp_path: Path
) -> None:
    assert_all_right(agreement(navsim_folder, tmp_path, SCORING))
