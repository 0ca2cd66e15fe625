"""Coming to a halt along a path: v^2 / 2a, and no corner is cut."""

from __future__ import annotations

import numpy as np
import pytest
from guard_scenes import driven, ego_at

from irl_vla.drive.stops import present_arc, rest_of, stop_along
from irl_vla.frames import arc_lengths, to_outer


def test_the_comfortable_stop_from_10_m_s_takes_20_m_and_4_s() -> None:
    stop = stop_along(np.array([[0.0, 0.0, 0.0], [5.0, 0.0, 0.0]]), 10.0)
    assert stop.poses.shape == (8, 3) and stop.step_s == 0.5
    assert stop.poses[-1, 0] == pytest.approx(20.0)  # v^2 / 2a
    assert stop.poses[0, 0] == pytest.approx(10.0 * 0.5 - 0.5 * 2.5 * 0.25)
    assert not stop.poses[:, 1:].any()


@pytest.mark.parametrize(("speed", "braking", "way"), [(10.0, 5.0, 10.0), (6.0, 9.0, 2.0)])
def test_harder_braking_takes_less_way(speed: float, braking: float, way: float) -> None:
    assert stop_along(np.zeros((1, 3)), speed, braking).poses[-1, 0] == pytest.approx(way)


def test_a_stop_has_the_poses_that_are_asked_for() -> None:
    stop = stop_along(np.zeros((1, 3)), 10.0, 2.5, step_s=0.25, count=12)
    assert stop.poses.shape == (12, 3) and stop.step_s == 0.25
    assert stop.poses[0, 0] == pytest.approx(10.0 * 0.25 - 0.5 * 2.5 * 0.0625)
    assert stop.poses[-1, 0] == pytest.approx(10.0 * 3.0 - 0.5 * 2.5 * 9.0)


def test_who_rolls_backwards_stands() -> None:
    assert not stop_along(np.array([[0.0, 0.0, 0.0], [5.0, 0.0, 0.0]]), -1.0).poses.any()


def test_a_stop_follows_the_bend_of_the_path() -> None:
    stop = stop_along(present_arc(ego_at(5.0, yaw_rate=0.25)), 5.0).poses  # radius 20 m, 5 m
    np.testing.assert_allclose(
        stop[-1, :2], [20 * np.sin(0.25), 20 * (1 - np.cos(0.25))], atol=0.02
    )
    assert stop[-1, 2] == pytest.approx(0.25, abs=1e-3)


def test_behind_the_end_of_a_bent_path_it_goes_straight_on() -> None:
    end = np.array([3.0, 4.0, np.arctan2(4.0, 3.0)])
    stop = stop_along(np.array([[0.0, 0.0, end[2]], end]), 10.0).poses  # 5 m, then 15 m
    np.testing.assert_allclose(stop[-1], [12.0, 16.0, end[2]])


def test_yaw_turns_the_short_way_and_is_wrapped() -> None:
    path = np.array([[0.0, 0.0, 3.0], [4.0, 0.0, -3.0]])
    stop = stop_along(path, np.sqrt(2 * 2.5 * 2.0)).poses  # halts in the middle
    assert abs(abs(stop[-1, 2]) - np.pi) < 1e-9


def test_the_present_arc_is_as_long_as_four_seconds_and_never_tighter_than_5_m() -> None:
    arc = present_arc(ego_at(5.0, yaw_rate=0.25))
    assert arc_lengths(arc)[-1] == pytest.approx(20.0, abs=0.01) and not arc[0].any()
    spin = present_arc(ego_at(0.5, yaw_rate=1.0))  # noise near standstill: over 1 m/s at least
    assert spin[-1, 2] == pytest.approx(0.2 * 2.0)
    assert present_arc(ego_at(2.0, yaw_rate=-3.0))[-1, 2] == pytest.approx(-0.2 * 8.0)
    assert not present_arc(ego_at(-1.0, yaw_rate=0.1)).any()


def test_the_rest_of_a_path_starts_at_the_ego_and_leaves_out_what_is_behind() -> None:
    path = np.vstack([np.zeros(3), driven(10.0)])
    rest = rest_of(path, np.array([12.0, 0.5, 0.0]))
    np.testing.assert_allclose(rest[:2], [[0.0, 0.0, 0.0], [3.0, -0.5, 0.0]])
    assert len(rest) == 1 + 6
    np.testing.assert_allclose(rest_of(path, np.zeros(3))[-1], path[-1])
    np.testing.assert_allclose(rest_of(path, np.array([41.0, 0.0, 0.0])), np.zeros((1, 3)))
    np.testing.assert_allclose(rest_of(path[:1], np.array([1.0, 0.0, 0.0])), np.zeros((1, 3)))


def test_the_rest_of_a_turn_by_half_keeps_the_way_back() -> None:
    """The end of the way back lies behind the ego, and belongs to the path all the same."""
    turn = np.vstack([np.zeros(3), driven(6.0, 0.0, 0.2)])  # 24 m at a radius of 5 m
    ego = turn[2]
    rest = rest_of(turn, ego)
    assert len(rest) == 1 + 6 and (rest[1:, 0] < 0.0).any()
    np.testing.assert_allclose(to_outer(rest[1:], ego)[:, :2], turn[3:, :2], atol=1e-9)


def test_a_path_of_a_standing_car_has_no_length_and_leads_straight_on() -> None:
    standing = np.zeros((9, 3))
    assert arc_lengths(standing)[-1] == 0.0
    assert not rest_of(standing, np.array([0.5, 0.0, 0.0])).any()
    assert stop_along(standing, 5.0).poses[-1, 0] == pytest.approx(5.0)
