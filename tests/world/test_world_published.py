"""A seed means the same world for as long as its version is the same."""

from __future__ import annotations

import json

import pytest
from published import (
    DRIVES,
    FILE,
    TOWNS,
    Numbers,
    drive_numbers,
    model_numbers,
    picture_numbers,
    prop_numbers,
    situation_numbers,
    town_numbers,
)

from irl_vla.world.benchmark.splits import VERSION as SPLITS
from irl_vla.world.episode import MODELS
from irl_vla.world.situations.situation import NAMES
from irl_vla.world.situations.situation import VERSION as SITUATIONS
from irl_vla.world.town import PROP_KINDS

PUBLISHED = json.loads(FILE.read_text(encoding="utf-8"))
DIGITS = 1e-10  # of the scale: machines differ in the last digits of sines, and drives add them up
EDGES = 2e-5  # of the scale of a picture: about two pixels on an edge


def differing(name: str, now: dict[str, Numbers], rounding: float = DIGITS) -> list[str]:
    """What differs from the published numbers by more than rounding."""
    then = PUBLISHED[name]
    assert then.keys() == now.keys()
    return [
        f"{name}, {part}: published {was}, now {now[part][0]}; if this seed is meant to be another "
        "world, raise its version and run tests/world/published.py"
        for part, (was, scale) in then.items()
        if abs(now[part][0] - was) > rounding * scale
    ]


def test_the_numbers_are_those_of_the_present_versions() -> None:
    assert PUBLISHED["versions"] == [SPLITS, SITUATIONS]


@pytest.mark.parametrize("seed", TOWNS)
def test_a_seed_is_the_published_town(seed: int) -> None:
    assert not differing(f"town {seed}", town_numbers(seed))


@pytest.mark.parametrize("seed", DRIVES)
def test_a_seed_is_the_published_drive(seed: int) -> None:
    assert not differing(f"drive {seed}", drive_numbers(seed))


@pytest.mark.parametrize("name", NAMES)
def test_a_name_is_the_published_situation(name: str) -> None:
    assert not differing(f"situation {name}", situation_numbers(name))


@pytest.mark.parametrize("seed", DRIVES)
def test_a_seed_looks_as_published(seed: int) -> None:
    assert not differing(f"pictures {seed}", picture_numbers(seed), EDGES)


@pytest.mark.parametrize("model", MODELS)
def test_road_users_look_as_published(model: str) -> None:
    assert not differing(f"model {model}", model_numbers(model), EDGES)


@pytest.mark.parametrize("kind", PROP_KINDS)
def test_what_stands_looks_as_published(kind: str) -> None:
    assert not differing(f"prop {kind}", prop_numbers(kind), EDGES)
