"""Memory does not depend on the length of a recording."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARK = Path(__file__).parents[2] / "benchmarks" / "bag.py"


def growth(folder: Path, gigabytes: float) -> dict[str, float]:
    if shutil.disk_usage(folder).free < (gigabytes + 1) * 1e9:
        pytest.skip(f"needs {gigabytes + 1:.1f} GB of free disk at {folder}")
    command = [sys.executable, str(BENCHMARK), "--gigabytes", str(gigabytes), "--folder", folder]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return dict(json.loads(done.stdout.splitlines()[-1]))


def test_a_quarter_gigabyte_is_read_in_a_few_megabytes_more_than_a_fifth_of_it(
    tmp_path: Path,
) -> None:
    assert growth(tmp_path, 0.25)["growth_mb"] < 20


@pytest.mark.slow
def test_ten_gigabytes_are_read_in_the_memory_of_fifty_megabytes(tmp_path: Path) -> None:
    result = growth(tmp_path, 10.0)
    assert result["growth_mb"] < result["growth_limit_mb"]
