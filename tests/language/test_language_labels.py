"""Rules that name a future: exactly one class each, the same in a mirror, and what a driver would
say of plain cases whose numbers can be checked by hand."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from irl_vla.language.commands import PATH_COMMANDS, SPEED_COMMANDS
from irl_vla.language.labels import (
    RARE_BOOST,
    OwnLane,
    PathCommand,
    SpeedCommand,
    balance,
    label,
    label_many,
)
from irl_vla.types import F64, InputError

MIRROR = np.array([1.0, -1.0, -1.0])
IN_THE_MIRROR = {
    PathCommand.SHARP_LEFT_TURN: PathCommand.SHARP_RIGHT_TURN,
    PathCommand.SLIGHT_LEFT_TURN: PathCommand.SLIGHT_RIGHT_TURN,
    PathCommand.LEFT_LANE_CHANGE: PathCommand.RIGHT_LANE_CHANGE,
}
IN_THE_MIRROR |= {right: left for left, right in IN_THE_MIRROR.items()}

numbers = st.floats(-1e300, 1e300)
any_poses = arrays(np.float64, (8, 3), elements=numbers)
speeds = st.floats(0.0, 30.0)


@st.composite
def drives(draw: st.DrawFn) -> tuple[F64, float]:
    """A car-like future: a speed and a turn rate that change a little every half second."""
    speed = draw(speeds)
    changes = draw(arrays(np.float64, (8, 2), elements=st.floats(-1.0, 1.0)))
    v = np.clip(speed + np.cumsum(changes[:, 0] * 2.0), 0.0, None)
    yaw = np.cumsum(np.cumsum(changes[:, 1]) * draw(st.floats(0.0, 0.4)) * 0.5)
    xy = np.cumsum(np.stack([v * np.cos(yaw), v * np.sin(yaw)], axis=1) * 0.5, axis=0)
    return np.column_stack([xy, yaw]), speed


@st.composite
def lanes(draw: st.DrawFn) -> OwnLane:
    """A lane that bends steadily, with the car somewhere in it."""
    curvature, aside = draw(st.floats(-0.1, 0.1)), draw(st.floats(-2.0, 2.0))
    s = np.arange(-10.0, draw(st.floats(10.0, 120.0)), 2.0)
    yaw = curvature * s
    x = np.cumsum(2.0 * np.cos(yaw)) - 10.0
    y = np.cumsum(2.0 * np.sin(yaw)) + aside
    return OwnLane(np.column_stack([x, y, yaw]), draw(st.floats(2.5, 5.0)))


def mirrored(lane: OwnLane) -> OwnLane:
    return OwnLane(lane.centre * MIRROR, lane.width)


def straight(at: Callable[[F64], F64]) -> F64:
    """(8, 3) straight ahead; at: way [m] over time [s]."""
    x = at(np.arange(1, 9) * 0.5)
    return np.column_stack([x, np.zeros((8, 2))])


def sideways(y: Callable[[F64], F64], speed: float = 10.0) -> F64:
    """(8, 3) at a steady speed ahead; y: [m] to the left over time [s]."""
    t = np.arange(1, 9) * 0.5
    yaw = np.arctan2(y(t + 1e-4) - y(t - 1e-4), speed * 2e-4)
    return np.column_stack([speed * t, y(t), yaw])


def arc(radius: float, speed: float) -> F64:
    """(8, 3) to the left round a circle."""
    angle = np.arange(1, 9) * 0.5 * speed / radius
    return np.column_stack([radius * np.sin(angle), radius * (1 - np.cos(angle)), angle])


def smooth(t: F64, begin: float = 0.5, end: float = 3.5) -> F64:
    """0 before, 1 after, without a jerk between."""
    u = np.clip((t - begin) / (end - begin), 0.0, 1.0)
    return np.asarray(u**3 * (10 - 15 * u + 6 * u * u))


def lane_of(radius: float, width: float = 3.5) -> OwnLane:
    """Bends to the left, the car in its middle."""
    angle = np.arange(-5, 60) * 2.0 / radius
    line = [radius * np.sin(angle), radius * (1 - np.cos(angle)), angle]
    return OwnLane(np.column_stack(line), width)


# --------------------------------------------------------------------------- laws


@given(any_poses, numbers)
@settings(max_examples=200, deadline=None)
def test_every_finite_future_has_exactly_one_class_each(poses: F64, speed: float) -> None:
    found = label(poses, speed)
    assert found.speed.value in SPEED_COMMANDS and found.path.value in PATH_COMMANDS
    assert found == label(poses.copy(), speed)


@given(drives(), st.none() | lanes())
@settings(max_examples=300, deadline=None)
def test_in_the_mirror_left_is_right_and_the_speed_is_the_same(
    drive: tuple[F64, float], lane: OwnLane | None
) -> None:
    poses, speed = drive
    seen = label(poses, speed, lane)
    other = label(poses * MIRROR, speed, None if lane is None else mirrored(lane))
    assert other.speed is seen.speed
    assert other.path is IN_THE_MIRROR.get(seen.path, seen.path)


@given(st.lists(drives(), min_size=1, max_size=20))
@settings(max_examples=50, deadline=None)
def test_many_at_once_are_labelled_as_one_by_one(several: list[tuple[F64, float]]) -> None:
    poses = np.stack([poses for poses, _ in several])
    many = label_many(poses, [speed for _, speed in several])
    for (one, speed), (speed_index, path_index) in zip(several, many, strict=True):
        found = label(one, speed)
        assert found.speed.value == SPEED_COMMANDS[speed_index]
        assert found.path.value == PATH_COMMANDS[path_index]


# --------------------------------------------------------------------------- speed


@pytest.mark.parametrize(
    ("name", "speed", "way"),
    [
        ("Full Stop", 0.0, lambda t: 0.0 * t),  # stands and stays
        ("Full Stop", 6.0, lambda t: np.where(t < 3, 6 * t - t * t, 9.0)),  # 2 m/s2 to a stand
        ("Full Stop", 0.1, lambda t: 0.05 * t),  # a recorder's noise is no driving
        ("Creeping", 1.5, lambda t: 1.5 * t),
        ("Creeping", 0.0, lambda t: 0.2 * t * t),  # to 1.6 m/s
        ("Emergency Decel", 15.0, lambda t: np.where(t < 3, 15 * t - 2.5 * t * t, 22.5)),
        ("Emergency Decel", 20.0, lambda t: 20 * t - 2.0 * t * t),  # 4 m/s2, still moving
        ("Controlled Decel", 15.0, lambda t: 15 * t - 1.25 * t * t),  # 2.5 m/s2
        ("Mild Decel Linear", 12.0, lambda t: 12 * t - 0.75 * t * t),  # 1.5 m/s2
        ("Mild Decel", 12.0, lambda t: 12 * t - 0.75 * np.maximum(t - 2, 0) ** 2),
        ("Regenerative Braking", 12.0, lambda t: 12 * t - 0.3 * t * t),  # 0.6 m/s2
        ("Constant Speed Strict", 12.0, lambda t: 12 * t),
        ("Constant Speed Loose", 12.0, lambda t: 12 * t + 0.1 * t * t),  # 0.2 m/s2
        ("Mild Accel Linear", 5.0, lambda t: 5 * t + 0.5 * t * t),  # 1 m/s2
        ("Mild Accel", 5.0, lambda t: 5 * t + 0.1 * t**3 / 1.5),  # 0 to 1.6 m/s2
        ("Mild Accel NonLinear", 5.0, lambda t: 5 * t + 0.6 * np.maximum(t - 2, 0) ** 2),
        ("Aggressive Accel", 5.0, lambda t: 5 * t + t * t),  # 2 m/s2
        ("Mild Accel", 0.0, lambda t: 0.1 * t**3 / 1.5),  # pulls away
    ],
)
def test_a_speed_is_called_what_a_driver_calls_it(
    name: str, speed: float, way: Callable[[F64], F64]
) -> None:
    assert label(straight(way), speed).speed.value == name


def test_stopping_on_the_way_is_a_full_stop_and_only_pulling_away_is_not() -> None:
    def speed_of(v: list[float]) -> SpeedCommand:
        steps = np.cumsum(np.array(v) * 0.5)
        return label(np.column_stack([steps, np.zeros((8, 2))]), 4.0).speed

    assert speed_of([3.5, 2.2, 0.8, 0.0, 0.0, 0.0, 0.5, 1.2]) is SpeedCommand.FULL_STOP
    assert speed_of([4.5, 5.0, 5.5, 6.0, 6.5, 7.0, 7.5, 8.0]) is not SpeedCommand.FULL_STOP


@given(st.floats(0.0, 6.0), st.floats(0.0, 6.0))
@settings(max_examples=100, deadline=None)
def test_braking_harder_is_never_called_softer(first: float, second: float) -> None:
    order = [
        "Constant Speed Strict", "Constant Speed Loose", "Regenerative Braking",
        "Mild Decel Linear", "Controlled Decel", "Emergency Decel",
    ]  # fmt: skip
    soft, hard = sorted((first, second))
    names = [label(straight(lambda t, a=a: 28 * t - a / 2 * t * t), 28.0).speed.value
             for a in (soft, hard)]  # fmt: skip
    assert order.index(names[0]) <= order.index(names[1])


# --------------------------------------------------------------------------- path


@pytest.mark.parametrize(
    ("name", "poses"),
    [
        ("Straight Strict", straight(lambda t: 10 * t)),
        ("Straight Strict", np.zeros((8, 3))),
        ("Slight Left Turn", arc(80.0, 10.0)),  # 29 deg
        ("Sharp Left Turn", arc(40.0, 10.0)),  # 57 deg
        ("Sharp Left Turn", arc(10.0, 1.0)),  # 23 deg, tight
        ("Sharp Left Turn", arc(6.0, 5.0)),  # 191 deg: a U-turn
        ("Left LaneChange", sideways(lambda t: 3.5 * smooth(t))),
        ("Swerving", sideways(lambda t: 1.2 * (smooth(t, 0, 2) - smooth(t, 2, 4)))),
        ("Lane Micro Adjust", sideways(lambda t: 0.6 * smooth(t))),
    ],
)
def test_a_path_is_called_what_a_driver_calls_it(name: str, poses: F64) -> None:
    assert label(poses, 10.0).path.value == name


@pytest.mark.parametrize("radius", [120.0, 300.0, 600.0])
def test_following_a_bend_is_no_lane_change_and_leaving_it_is(radius: float) -> None:
    follows = arc(radius, 15.0)
    assert label(follows, 15.0, lane_of(radius)).path in (
        PathCommand.SLIGHT_LEFT_TURN, PathCommand.STRAIGHT_STRICT,
    )  # fmt: skip
    shift = 3.5 * smooth(np.arange(1, 9) * 0.5)
    left = np.stack([-np.sin(follows[:, 2]), np.cos(follows[:, 2])], axis=1)
    changes = follows.copy()
    changes[:, :2] += shift[:, None] * left
    assert label(changes, 15.0, lane_of(radius)).path is PathCommand.LEFT_LANE_CHANGE


def test_a_bend_that_begins_late_is_no_lane_change_even_without_a_lane() -> None:
    """30 m straight, then 30 m round a circle of 400 m: 4.3 deg, 1.1 m; half as wide: 8.6 deg."""
    s = np.arange(1, 9) * 7.5
    for radius, name in ((400.0, "Lane Micro Adjust"), (200.0, "Slight Left Turn")):
        yaw = np.maximum(s - 30, 0) / radius
        poses = np.column_stack([s, np.maximum(s - 30, 0) ** 2 / (2 * radius), yaw])
        assert label(poses, 15.0).path.value == name


def test_straight_on_in_a_bending_lane_leaves_it() -> None:
    poses = straight(lambda t: 10 * t)
    assert label(poses, 10.0, lane_of(300.0)).path is PathCommand.RIGHT_LANE_CHANGE
    assert label(poses, 10.0).path is PathCommand.STRAIGHT_STRICT


def test_a_wide_lane_is_changed_later_than_a_narrow_one() -> None:
    poses, line = sideways(lambda t: 1.9 * smooth(t)), lane_of(1e6).centre
    assert label(poses, 10.0, OwnLane(line, 3.5)).path is PathCommand.LEFT_LANE_CHANGE
    assert label(poses, 10.0, OwnLane(line, 4.5)).path is PathCommand.LANE_MICRO_ADJUST


def test_turning_off_at_the_end_of_the_known_lane_is_a_turn() -> None:
    short = OwnLane(np.array([[-20.0, 0, 0], [0.0, 0, 0], [8.0, 0, 0]]), 3.5)
    assert label(arc(9.0, 4.0), 4.0, short).path is PathCommand.SHARP_LEFT_TURN


# --------------------------------------------------------------------------- refusals, balance


def test_what_cannot_be_named_is_refused() -> None:
    good = np.zeros((8, 3))
    for poses, speed in ((good + np.nan, 1.0), (good, np.inf), (good[:7], 1.0), (good[:, :2], 1.0)):
        with pytest.raises(InputError, match="labels"):
            label(poses, speed)
    with pytest.raises(InputError, match="labels"):
        label_many(np.zeros((2, 8, 3)), [1.0])
    for centre, width in ((np.zeros((1, 3)), 3.5), (np.full((4, 3), np.nan), 3.5),
                          (np.zeros((4, 3)), 0.0)):  # fmt: skip
        with pytest.raises(InputError, match="lane"):
            OwnLane(centre, width)
    with pytest.raises(InputError, match="balance"):
        balance(np.zeros((0, 2), np.int64), np.random.default_rng(0), 3)


def test_balanced_draws_see_every_class_about_as_often() -> None:
    labels = np.array([[0, 0]] * 800 + [[1, 0]] * 150 + [[2, 1]] * 50)
    drawn = labels[balance(labels, np.random.default_rng(3), 30_000)]
    # speed: a third each of one half; path: a half each of the other
    #   class 0: 1/6 + 800/950 / 4;  class 2: 1/6 + 1/4
    shares = np.bincount(drawn[:, 0]) / len(drawn)
    expected = [1 / 6 + 800 / 950 / 4, 1 / 6 + 150 / 950 / 4, 1 / 6 + 1 / 4]
    np.testing.assert_allclose(shares, expected, atol=0.01)


def test_the_only_one_of_its_kind_is_not_drawn_all_the_time() -> None:
    labels = np.array([[0, 0]] * 9_999 + [[1, 1]])
    drawn = balance(labels, np.random.default_rng(4), 50_000)
    assert 0 < np.mean(drawn == 9_999) < 1.5 * RARE_BOOST / 9_999


def test_the_same_generator_draws_the_same() -> None:
    labels = np.array([[0, 0], [1, 3], [1, 3]])
    first, second = (balance(labels, np.random.default_rng(5), 20) for _ in range(2))
    np.testing.assert_array_equal(first, second)
