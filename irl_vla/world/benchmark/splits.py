"""Which seeds belong to which benchmark split, and which instants of a seed are its scenes.

One seed is one town with one drive of 20.6 s; ten of its instants are scenes. The ranges are part
of the benchmark: they never change under this version. May import: types, config, scoring.scene.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from irl_vla.config import named
from irl_vla.scoring.scene import STEPS
from irl_vla.types import F64, InputError

VERSION = "world-splits/1"
SCENES = 10  # of a seed
CANDIDATES = tuple(range(25, 166, 5))  # steps of 0.1 s that may be scenes
MOVES_M = 5.0  # a driver who gets less far in 4 s stands, more or less
MOST_STANDING = 1  # scenes of a seed in which the driver stands, if enough others are there
HORIZON = STEPS - 1  # steps of a plan
GROUP_INSTANTS = tuple(range(30, 121, 15))  # where a group of two stages may begin
MOST_SEED = 2**31 - 1


@dataclass(frozen=True)
class SeedSplit:
    """A named set of seeds. groups: each seed gives one group of two stages instead of scenes."""

    name: str
    seeds: range
    groups: bool = False

    def __str__(self) -> str:
        what = "groups" if self.groups else "scenes"
        count = len(self.seeds) * (1 if self.groups else SCENES)
        return f"{self.name}: {count} {what}, seeds {self.seeds.start}:{self.seeds.stop}"


SPLITS = {
    split.name: split
    for split in (
        SeedSplit("world-train", range(1_000_000, 2_000_000)),
        SeedSplit("world-dev", range(2_000_000, 2_000_050)),
        SeedSplit("world-val", range(2_100_000, 2_100_200)),
        SeedSplit("world-hard", range(2_200_000, 2_200_200), groups=True),
    )
}


def instants_of(ego: F64) -> tuple[int, ...]:
    """The ten steps of a drive, ego (T, 11), that are scenes: evenly spread over those at which the
    driver is about to move, and at most one at which it is about to stand (waiting at a light says
    little about a plan), unless it hardly moves at all."""
    at = np.array(CANDIDATES)
    way = np.hypot(*(ego[at + HORIZON, :2] - ego[at, :2]).T)
    moving, standing = at[way > MOVES_M], at[way <= MOVES_M]
    waits = max(min(MOST_STANDING, len(standing)), SCENES - len(moving))
    chosen = [*_spread(moving, SCENES - waits), *_spread(standing, waits)]
    return tuple(sorted(int(step) for step in chosen))


def _spread(steps: NDArray[np.int64], count: int) -> NDArray[np.int64]:
    """`count` of the steps, evenly."""
    return steps[np.linspace(0, len(steps) - 1, count).round().astype(int)] if count else steps[:0]


def split_of(name: str | None, seeds: str | None) -> SeedSplit:
    """What was asked for: a named split, or any range A:B. Raises InputError."""
    if (name is None) == (seeds is None):
        raise InputError("give either a split or seeds, for example world-dev or 0:50")
    if name is None:
        return SeedSplit(f"seeds-{seeds}".replace(":", "-"), seed_range(str(seeds)))
    return named(SPLITS, name, "split")


def seed_range(text: str) -> range:
    """ "A:B" -> seeds A to B - 1. Raises InputError."""
    found = re.fullmatch(r"([0-9]{1,10}):([0-9]{1,10})", text)
    if found is None:
        raise InputError(f"seeds '{text}': expected A:B, for example 0:50 for the seeds 0 to 49")
    first, end = int(found[1]), int(found[2])
    if not first < end <= MOST_SEED:
        raise InputError(f"seeds '{text}': expected A < B <= {MOST_SEED}, got {first} and {end}")
    return range(first, end)
