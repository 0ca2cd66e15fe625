"""Damaged logs: a clear error, never a traceback."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from irl_vla.navsim.dataset import Dataset
from irl_vla.types import InputError
from irl_vla.unpickle import load_pickle


def test_every_truncation_of_a_log_is_a_clear_error(tmp_path: Path, dataset: Dataset) -> None:
    whole = sorted(dataset.logs("test").glob("*.pkl"))[3].read_bytes()
    path = tmp_path / "log.pkl"
    for size in [0, 1, 2, 100, *range(1000, len(whole), len(whole) // 40), len(whole) - 1]:
        path.write_bytes(whole[:size])
        with pytest.raises(InputError, match=str(path)):
            load_pickle(path, "log")


def test_flipped_bytes_never_end_in_a_traceback(tmp_path: Path, dataset: Dataset) -> None:
    whole = bytearray(sorted(dataset.logs("test").glob("*.pkl"))[3].read_bytes())
    generator, path = np.random.default_rng(5), tmp_path / "log.pkl"
    for _ in range(60):
        damaged = bytearray(whole)
        for place in generator.integers(0, len(whole), 20):
            damaged[place] = generator.integers(256)
        path.write_bytes(damaged)
        try:
            load_pickle(path, "log")
        except InputError as error:
            assert str(path) in str(error)
