"""Spoilt files of every kind: see fuzz.py, which `make fuzz` runs for as long as one likes."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from fuzz import fuzz, fuzz_reader
from fuzz_readers import READERS, FuzzedReader

FEW, MINUTE = 12, 60.0


@pytest.mark.parametrize("name", READERS)
def test_a_few_spoilt_files_are_answered_or_refused(name: str, tmp_path: Path) -> None:
    tried, broken = fuzz([name], 60.0, 1, tmp_path, FEW)
    assert tried > 0 and not broken, broken


@pytest.mark.slow
def test_a_minute_of_spoilt_files(tmp_path: Path) -> None:
    tried, broken = fuzz(list(READERS), MINUTE, 2, tmp_path)
    assert tried > 100 and not broken, broken


@pytest.mark.parametrize(
    ("deed", "said"),
    [
        ("__import__('os').system('true')", "ended with"),
        ("open('/tmp/elsewhere', 'w')", "ended with"),
        ("{}['x']", "KeyError"),
        ("__import__('os').kill(__import__('os').getpid(), 9)", "ended with 9"),
        ("bytearray(2**40)", "MemoryError"),
    ],
)
def test_the_fuzzer_sees_what_it_looks_for(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, deed: str, said: str
) -> None:
    sound = READERS["topics"]
    calls = iter([None])  # the first one is before the watch begins
    bad = FuzzedReader(sound.make, lambda _: next(calls, eval) and eval(deed))
    monkeypatch.setitem(READERS, "bad", bad)
    tried, broken = fuzz_reader("bad", ["1"], 1e18, tmp_path)
    assert tried == 1 and said in broken[0]
