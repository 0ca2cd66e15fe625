"""Compiled code: cached where possible, never stale, never compiled twice for the same call."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from scoring_cases import fan, street

import irl_vla.scoring.compiled as compiled
from irl_vla.scoring.compiled import plain
from irl_vla.scoring.epdms import score
from irl_vla.scoring.evaluate import judge_plans, judge_states
from irl_vla.scoring.prepare import prepare

PACKAGES = Path(compiled.__file__).parents[2]
SMALL = "from irl_vla.scoring.geometry import wrap; print(wrap(4.0), wrap.stats.cache_hits)"


def run(code: str, cache: Path, packages: Path = PACKAGES) -> subprocess.CompletedProcess[str]:
    """packages: the folder that holds irl_vla."""
    paths = {"NUMBA_CACHE_DIR": str(cache), "PYTHONPATH": str(packages)}
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=packages,
        env=os.environ | paths,
    )  # fmt: skip


def test_compiling_is_said_once_and_only_when_it_happens(tmp_path: Path) -> None:
    cold, warm = run(SMALL, tmp_path), run(SMALL, tmp_path)
    assert cold.stderr.count("irl-vla: compiling for this machine") == 1
    assert "compiling" not in warm.stderr
    assert cold.stdout.split()[0] == warm.stdout.split()[0]


@pytest.fixture
def own_sources(tmp_path: Path) -> Path:
    """A copy of the package that a test may change."""
    return Path(shutil.copytree(PACKAGES / "irl_vla", tmp_path / "copy" / "irl_vla"))


def test_machine_code_counts_only_while_all_that_it_was_made_from_is_unchanged(
    tmp_path: Path, own_sources: Path
) -> None:
    cache = tmp_path / "cache"

    def compiles() -> bool:
        return "compiling" in run(SMALL, cache, own_sources.parent).stderr

    assert compiles() and not compiles()
    (own_sources / "types.py").write_text((own_sources / "types.py").read_text() + "CHANGED = 1\n")
    assert compiles() and not compiles(), "geometry imports types"
    (own_sources / "world" / "town.py").write_text("CHANGED = 1\n")
    assert not compiles(), "geometry does not import the world"


def test_a_change_counts_for_those_who_import_it_and_for_no_others(
    own_sources: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rooms = ("scoring.evaluate", "scoring.grid", "scoring.comfort", "world.routes")

    def digests() -> list[str]:
        compiled._digest.cache_clear()
        compiled._imports.cache_clear()
        return [compiled._digest(f"irl_vla.{room}") for room in rooms]

    monkeypatch.setattr(compiled, "_PACKAGES", own_sources.parent)
    known = [digests()]
    for changed in ("scoring/geometry.py", "world/town.py"):
        with (own_sources / changed).open("a") as file:
            file.write("CHANGED = 1\n")
        known.append(digests())
    seen = [[old != new for old, new in zip(*pair, strict=True)] for pair in pairwise(known)]
    assert seen == [[True, True, False, False], [False, False, False, True]]
    monkeypatch.undo()
    digests()


def test_importing_a_module_that_is_taken_by_name_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`from irl_vla.scoring import collision as touch` imports a module, not only the package."""
    room = tmp_path / "irl_vla" / "scoring"
    room.mkdir(parents=True)
    for name in ("__init__", "collision"):
        (room / f"{name}.py").write_text("")
    (room / "taker.py").write_text("from irl_vla.scoring import collision as touch, NAME\n")
    monkeypatch.setattr(compiled, "_PACKAGES", tmp_path)
    assert compiled._imports("irl_vla.scoring.taker") == (
        "irl_vla.scoring", "irl_vla.scoring.collision",
    )  # fmt: skip
    compiled._imports.cache_clear()


def files_in(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*.nb?")}


def test_importing_kernels_neither_deletes_nor_writes_cache_files(
    tmp_path: Path, own_sources: Path
) -> None:
    """Also stale and damaged ones: another process may be using them."""
    cache = tmp_path / "cache"
    run(SMALL, cache, own_sources.parent)
    with (own_sources / "scoring" / "geometry.py").open("a") as file:
        file.write("CHANGED = 1\n")
    (next(cache.rglob("*.nbc"))).write_bytes(b"damaged")
    before = files_in(cache)
    assert len(before) >= 2
    run(SMALL.split(";")[0], cache, own_sources.parent)
    assert files_in(cache) == before


@pytest.mark.parametrize("kind", ["nbi", "nbc"])
@pytest.mark.parametrize("keep", [0.0, 0.5, 0.99])
def test_a_cut_cache_file_is_compiled_again_and_mended(
    tmp_path: Path, kind: str, keep: float
) -> None:
    whole = run(SMALL, tmp_path)
    for path in tmp_path.rglob(f"geometry.*.{kind}"):
        data = path.read_bytes()
        path.write_bytes(data[: int(keep * len(data))])
    mended = run(SMALL, tmp_path)
    assert "compiling" in mended.stderr and mended.stdout == whole.stdout
    assert mended.stderr.count("is damaged; it is compiled again") == 1, "said, and said once"
    assert "compiling" not in run(SMALL, tmp_path).stderr


def test_a_cache_file_of_nonsense_is_compiled_again(tmp_path: Path) -> None:
    whole = run(SMALL, tmp_path)
    for nonsense in (b"\x80\x05nonsense", b"\x00" * 4000, b"no pickle at all"):
        for path in tmp_path.rglob("geometry.*.nb?"):
            path.write_bytes(nonsense)
        assert run(SMALL, tmp_path).stdout.split()[0] == whole.stdout.split()[0]


def test_one_changed_bit_of_machine_code_is_seen(tmp_path: Path) -> None:
    """pickle would not mind it, and the processor would run it."""
    whole = run(SMALL, tmp_path)
    for path in tmp_path.rglob("geometry.*.nbc"):
        data = bytearray(path.read_bytes())
        data[len(data) // 2] ^= 1
        path.write_bytes(data)
    mended = run(SMALL, tmp_path)
    assert mended.stdout == whole.stdout and "is damaged; it is compiled again" in mended.stderr


def test_where_no_cache_can_be_written_kernels_work_uncached(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def nowhere(function: object) -> object:
        raise RuntimeError("cannot cache function: no locator available for file")

    monkeypatch.setattr(compiled, "KernelCache", nowhere)
    assert compiled.kernel(twice)(2.0) == compiled.lean_kernel(twice)(2.0) == 4.0


def test_a_full_disk_costs_the_cache_and_not_the_result(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("numba.core.caching.IndexDataCacheFile.save", full)
    assert compiled.kernel(twice)(3.0) == 6.0
    assert "cannot be written" in caplog.text and "No space left" in caplog.text


def twice(number: float) -> float:
    return 2.0 * number


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
