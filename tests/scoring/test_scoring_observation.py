"""From what was seen twice a second to ten steps a second."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scoring_cases import intermediate, needs_cases

from irl_vla.frames import wrap_angle
from irl_vla.scoring.observation import Observation, held_lights, tracks_from_sights
from irl_vla.types import InputError


def sight(*rows: Any) -> Observation:
    """id, x, y, heading, vx, vy each; vehicles of 4 x 2 m."""
    n = len(rows)
    states = np.array([row[1:] for row in rows], np.float64).reshape(-1, 5)
    ids = tuple(row[0] for row in rows)
    return Observation(ids, np.zeros(n, np.int8), np.tile([4.0, 2.0], (n, 1)), states)


@needs_cases
def test_tracks_and_lights_are_those_of_the_original() -> None:
    for case in intermediate("observation_interp")["cases"]:
        found = tracks_from_sights([sight(*frame) for frame in case["input_2hz"]])
        for step, rows in enumerate(case["output_10hz"]):
            here = {found.ids[i]: i for i in np.flatnonzero(found.present[:, step])}
            assert set(here) == {name for name, *_ in rows}
            ours = found.states[[here[name] for name, *_ in rows], step]
            difference = ours - np.array([rest for _, *rest in rows]).reshape(-1, 5)
            difference[:, 2] = wrap_angle(difference[:, 2])
            np.testing.assert_allclose(difference, 0.0, atol=1e-6)
        assert list(held_lights(case["lights_2hz"])) == [set(x) for x in case["lights_10hz"]]


def test_a_track_lasts_from_first_to_last_sight_and_gaps_are_bridged() -> None:
    frames = [sight() for _ in range(9)]
    frames[2] = sight(("a", 0.0, 0.0, 3.1, 2.0, 0.0))
    frames[4] = sight(("a", 2.0, 4.0, -3.1, 4.0, 0.0))
    found = tracks_from_sights(frames)
    assert np.flatnonzero(found.present[0]).tolist() == list(range(10, 21))
    np.testing.assert_allclose(found.states[0, 15], [1.0, 2.0, -np.pi, 3.0, 0.0])  # half way
    assert np.isnan(found.states[0, 9]).all()


def test_what_was_seen_once_stands_there_all_the_time() -> None:
    frames = [sight() for _ in range(9)]
    frames[5] = sight(("a", 1.0, 2.0, 0.3, 4.0, 5.0))
    found = tracks_from_sights(frames)
    np.testing.assert_array_equal(found.states[0], np.tile([1.0, 2.0, 0.3, 4.0, 5.0], (41, 1)))


def test_type_and_size_are_those_of_the_first_sight() -> None:
    frames = [sight(("a", 1.0, 2.0, 0.3, 4.0, 5.0)) for _ in range(9)]
    frames[0] = Observation(
        ("a",), np.array([2], np.int8), np.array([[1.0, 0.5]]), frames[0].states
    )
    found = tracks_from_sights(frames)
    assert found.types[0] == 2 and found.sizes[0].tolist() == [1.0, 0.5]


def test_nobody_seen_is_no_track() -> None:
    assert len(tracks_from_sights([sight()] * 9)) == 0


def test_a_light_holds_until_the_next_frame() -> None:
    held = held_lights([["r"], *[[]] * 7, ["s"]])
    assert [bool(step) for step in held] == [True] * 5 + [False] * 35 + [True]


@pytest.mark.parametrize("frames", [0, 8, 10])
def test_another_number_of_frames_is_refused(frames: int) -> None:
    with pytest.raises(InputError, match=f"expected 9, .* got {frames}"):
        tracks_from_sights([sight()] * frames)
    with pytest.raises(InputError, match=f"expected 9, .* got {frames}"):
        held_lights([[]] * frames)
