"""Compiled code: cached where possible, never stale, never compiled twice for the same call."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pytest
from scoring_cases import fan, street

import irl_vla.scoring.compiled as compiled
from irl_vla.scoring.compiled import plain
from irl_vla.scoring.epdms import score
from irl_vla.scoring.evaluate import judge_plans, judge_states
from irl_vla.scoring.prepare import prepare

F = TypeVar("F", bound=Callable[..., Any])
SMALL = "from irl_vla.scoring.geometry import wrap; print(wrap(4.0), wrap.stats.cache_hits)"


def run(code: str, cache: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True,
        env={**os.environ, "NUMBA_CACHE_DIR": str(cache)},
    )  # fmt: skip


def test_compiling_is_said_once_and_only_when_it_happens(tmp_path: Path) -> None:
    cold, warm = run(SMALL, tmp_path), run(SMALL, tmp_path)
    assert cold.stderr.count("irl-vla: compiling for this machine") == 1
    assert "compiling" not in warm.stderr
    assert cold.stdout.split()[0] == warm.stdout.split()[0]


def test_machine_code_older_than_what_it_was_made_from_is_forgotten(tmp_path: Path) -> None:
    run(SMALL, tmp_path)
    (index,) = tmp_path.rglob("geometry.wrap-*.nbi")
    os.utime(index, (1.0, 1.0))
    assert "compiling" in run(SMALL, tmp_path).stderr


def test_a_change_counts_for_those_who_import_it_and_for_no_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for source in compiled._PACKAGES.glob("irl_vla/**/*.py"):
        copy = tmp_path / source.relative_to(compiled._PACKAGES)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(source, copy)
        os.utime(copy, (1000.0, 1000.0))
    os.utime(tmp_path / "irl_vla/scoring/geometry.py", (2000.0, 2000.0))
    os.utime(tmp_path / "irl_vla/world/town.py", (3000.0, 3000.0))
    monkeypatch.setattr(compiled, "_PACKAGES", tmp_path)
    compiled._newest.cache_clear()
    rooms = {name: compiled._newest(f"irl_vla.{name}") for name in (
        "scoring.evaluate", "scoring.grid", "scoring.comfort", "world.routes",
    )}  # fmt: skip
    assert rooms["scoring.evaluate"] == rooms["scoring.grid"] == 2000.0
    assert rooms["scoring.comfort"] == 1000.0 and rooms["world.routes"] == 3000.0
    compiled._newest.cache_clear()


def test_where_no_cache_can_be_written_kernels_work_uncached(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def njit(cache: bool = False, **options: object) -> Callable[[F], F]:
        if cache:
            raise RuntimeError("cannot cache function: no locator available for file")
        return lambda function: function

    monkeypatch.setattr(compiled.numba, "njit", njit)
    assert compiled.kernel(abs)(-2.0) == compiled.lean_kernel(abs)(-2.0) == 2.0


def test_read_only_strided_and_float32_plans_are_not_compiled_anew() -> None:
    prepared = prepare(street())
    plans = fan(street(), 6)
    usual = score(prepared, plans).epdms
    kinds = len(judge_plans.signatures), len(judge_states.signatures)  # type: ignore[attr-defined]
    frozen = plans.copy()
    frozen.flags.writeable = False
    strided = np.repeat(plans, 2, axis=0)[::2]
    assert np.array_equal(score(prepared, frozen).epdms, usual)
    assert np.array_equal(score(prepared, strided).epdms, usual)
    score(prepared, plans.astype(np.float32))
    after = len(judge_plans.signatures), len(judge_states.signatures)  # type: ignore[attr-defined]
    assert after == kinds


def test_what_is_plain_already_is_not_copied() -> None:
    array = np.zeros((3, 2))
    assert plain(array) is array
