"""The splits are frozen: these numbers never change under `world-splits/1`."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

from irl_vla.types import InputError
from irl_vla.world.benchmark.scenes import BEFORE, FIRST
from irl_vla.world.benchmark.splits import (
    CANDIDATES,
    GROUP_INSTANTS,
    SCENES,
    SPLITS,
    VERSION,
    instants_of,
    split_of,
)  # fmt: skip
from irl_vla.world.build import STEPS


def test_the_splits_are_as_published() -> None:
    assert VERSION == "world-splits/1"
    assert {name: (s.seeds.start, s.seeds.stop, s.groups) for name, s in SPLITS.items()} == {
        "world-train": (1_000_000, 2_000_000, False),
        "world-dev": (2_000_000, 2_000_050, False),
        "world-val": (2_100_000, 2_100_200, False),
        "world-hard": (2_200_000, 2_200_200, True),
    }
    assert tuple(range(25, 166, 5)) == CANDIDATES and SCENES == 10
    assert GROUP_INSTANTS == (30, 45, 60, 75, 90, 105, 120)


def test_dev_has_500_scenes_val_2000_and_hard_200_groups() -> None:
    assert len(SPLITS["world-dev"].seeds) * SCENES == 500
    assert len(SPLITS["world-val"].seeds) * SCENES == 2000
    assert len(SPLITS["world-hard"].seeds) == 200


def test_no_seed_is_in_two_splits() -> None:
    for a, b in combinations(SPLITS.values(), 2):
        assert a.seeds.stop <= b.seeds.start or b.seeds.stop <= a.seeds.start


def test_every_instant_has_its_past_and_future() -> None:
    assert CANDIDATES[0] - BEFORE >= FIRST and CANDIDATES[-1] + 41 <= STEPS
    assert GROUP_INSTANTS[0] - BEFORE >= FIRST and GROUP_INSTANTS[-1] + 81 <= STEPS


def ego_at(speeds: np.ndarray) -> np.ndarray:
    ego = np.zeros((len(speeds), 11))
    ego[:, 0] = np.cumsum(speeds) * 0.1
    return ego


def test_a_drive_that_never_stands_gives_ten_instants_evenly() -> None:
    steps = instants_of(ego_at(np.full(STEPS, 8.0)))
    assert len(steps) == 10 and steps[0] == 25 and steps[-1] == 165
    assert set(np.diff(steps)) <= {15, 20}


def test_of_a_long_wait_one_instant_is_kept() -> None:
    speeds = np.full(STEPS, 8.0)
    speeds[60:160] = 0.0
    steps = instants_of(ego_at(speeds))
    waits = [k for k in steps if speeds[k : k + 40].sum() * 0.1 <= 5.0]
    assert len(steps) == 10 and len(waits) == 1


def test_who_never_moves_still_gives_ten_instants() -> None:
    assert len(set(instants_of(ego_at(np.zeros(STEPS))))) == 10


def test_a_misspelt_split_is_named_with_what_was_meant() -> None:
    with pytest.raises(InputError, match="Did you mean 'world-dev'"):
        split_of("world-dve", None)


@pytest.mark.parametrize("text", ["5", "5:5", "7:3", "a:b", "-1:4", "0:99999999999"])
def test_a_range_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(InputError, match="expected A"):
        split_of(None, text)


def test_a_split_or_seeds_not_both_nor_neither() -> None:
    for pair in ((None, None), ("world-dev", "0:5")):
        with pytest.raises(InputError, match="either"):
            split_of(*pair)
