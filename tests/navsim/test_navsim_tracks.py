"""From what was seen twice a second to ten steps a second."""

from __future__ import annotations

import gzip
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from irl_vla.frames import wrap_angle
from irl_vla.navsim.records import TrackedObjects
from irl_vla.navsim.tracks import held, tracks_of

CASE = (
    Path(__file__).parents[2] / ".." / "shared" / "epdms" / "intermediate"
    / "observation_interp.json.gz"
)  # fmt: skip


def sight(*rows: Any) -> TrackedObjects:
    """id, x, y, heading, vx, vy each; vehicles of 4 x 2 m."""
    n = len(rows)
    states = np.array([row[1:] for row in rows], np.float64).reshape(-1, 5)
    ids = tuple(row[0] for row in rows)
    return TrackedObjects(ids, ("vehicle",) * n, states, np.tile([4.0, 2.0, 1.5], (n, 1)))


@pytest.mark.skipif(not CASE.is_file(), reason=f"there are no recorded cases at {CASE}")
def test_tracks_and_lights_are_those_of_the_original() -> None:
    with gzip.open(CASE) as file:
        cases = json.load(file)["cases"]
    for case in cases:
        found = tracks_of([sight(*frame) for frame in case["input_2hz"]])
        for step, rows in enumerate(case["output_10hz"]):
            here = {found.ids[i]: i for i in np.flatnonzero(found.present[:, step])}
            assert set(here) == {name for name, *_ in rows}
            ours = found.states[[here[name] for name, *_ in rows], step]
            difference = ours - np.array([rest for _, *rest in rows]).reshape(-1, 5)
            difference[:, 2] = wrap_angle(difference[:, 2])
            np.testing.assert_allclose(difference, 0.0, atol=1e-6)
        lights = [set(names) for names in held(case["lights_2hz"])]
        assert lights == [set(names) for names in case["lights_10hz"]]


def test_a_track_lasts_from_first_to_last_sight_and_gaps_are_bridged() -> None:
    frames = [sight() for _ in range(9)]
    frames[2] = sight(("a", 0.0, 0.0, 3.1, 2.0, 0.0))
    frames[4] = sight(("a", 2.0, 4.0, -3.1, 4.0, 0.0))
    found = tracks_of(frames)
    assert np.flatnonzero(found.present[0]).tolist() == list(range(10, 21))
    np.testing.assert_allclose(found.states[0, 15], [1.0, 2.0, -np.pi, 3.0, 0.0])  # half way
    assert np.isnan(found.states[0, 9]).all()


def test_what_was_seen_once_stands_there_all_the_time() -> None:
    frames = [sight() for _ in range(9)]
    frames[5] = sight(("a", 1.0, 2.0, 0.3, 4.0, 5.0))
    found = tracks_of(frames)
    np.testing.assert_array_equal(found.states[0], np.tile([1.0, 2.0, 0.3, 4.0, 5.0], (41, 1)))
    assert found.present.all()


def test_type_and_size_are_those_of_the_first_sight() -> None:
    frames = [sight(("a", 1.0, 2.0, 0.3, 4.0, 5.0)) for _ in range(9)]
    frames[0] = replace(frames[0], types=("bicycle",), sizes=np.array([[1.0, 0.5, 1.7]]))
    found = tracks_of(frames)
    assert found.types[0] == 2 and found.sizes[0].tolist() == [1.0, 0.5]


def test_who_is_there_first_comes_first_and_of_these_vehicles_before_pedestrians() -> None:
    frames = [sight() for _ in range(9)]
    frames[0] = sight(("p", *5 * [0.0]), ("v", *5 * [0.0]))
    frames[0] = replace(frames[0], types=("pedestrian", "vehicle"))
    frames[1] = sight(("p", *5 * [0.0]), ("late", *5 * [0.0]), ("v", *5 * [0.0]))
    frames[2] = sight(("late", *5 * [0.0]))
    frames[8] = sight(("once", *5 * [0.0]))
    assert tracks_of(frames).ids == ("v", "once", "p", "late")


def test_nobody_seen_is_no_track() -> None:
    assert len(tracks_of([sight()] * 9)) == 0


def test_a_light_holds_until_the_next_frame() -> None:
    shown = held([["r"], *[[]] * 7, ["s"]])
    assert [bool(step) for step in shown] == [True] * 5 + [False] * 35 + [True]
