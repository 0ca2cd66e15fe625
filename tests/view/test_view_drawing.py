"""Strokes, letters and lines of plots: where they are, and what is left out."""

from __future__ import annotations

import numpy as np
import pytest

from irl_vla.frames import rigid_from_pose
from irl_vla.types import F64, SECOND_NS, U8, EgoMotion
from irl_vla.view import drawing
from irl_vla.view.ego_trace import THIN_NS, EgoTraceBuilder
from irl_vla.view.figure import MAX_POINTS, cells, thinned
from irl_vla.view.page_budget import MOST_FRAMES, STEPS, budget_note, picture_budget

GAP = np.array([[np.nan, np.nan]])


def black() -> U8:
    return np.zeros((40, 60, 3), np.uint8)


def line(*points: tuple[float, float]) -> F64:
    return np.array(points)


def test_a_line_is_cut_where_points_are_missing_and_lone_points_are_no_line() -> None:
    two, three = line((1, 1), (2, 2)), line((5, 5), (6, 6), (7, 7))
    parts = np.vstack([two, GAP, line((3, 3)), GAP, three])
    found = drawing.runs(parts)
    assert [run.tolist() for run in found] == [two.tolist(), three.tolist()]
    assert drawing.runs(np.vstack([GAP, line((3, 3))])) == []
    image = black()
    drawing.stroke(image, np.vstack([line((20, 20)), GAP]), (255, 255, 255))
    assert not image.any()


def test_dashes_and_gaps_are_equally_long_and_the_last_ends_with_the_line() -> None:
    pieces = drawing.dashes(line((0, 0), (10, 0), (25, 0)), 4.0)
    assert [(p[0, 0], p[-1, 0]) for p in pieces] == [(0, 4), (8, 12), (16, 20), (24, 25)]
    assert pieces[1].tolist() == [[8, 0], [10, 0], [12, 0]], "it bends where the line does"


def test_sixteenths_of_a_pixel_are_kept_and_far_points_do_not_overflow() -> None:
    assert drawing.fixed(np.array([1.0625, -0.5])).tolist() == [17, -8]
    assert drawing.fixed(np.array([1e9, -1e9])).tolist() == [320_000, -320_000]


def test_blending_is_by_cover_times_alpha() -> None:
    image, cover = black(), np.zeros((40, 60), np.uint8)
    image[:] = 100
    cover[10:12, 20:23] = 255
    cover[30, 50] = 51
    drawing.blend(image, cover, (200, 0, 100), 0.5)
    assert image[10, 20].tolist() == [150, 50, 100] == image[11, 22].tolist()
    assert image[30, 50].tolist() == [110, 90, 100]
    assert (image != 100).any(axis=-1).sum() == 7


@pytest.mark.parametrize(("left", "top"), [(-4, -3), (50, 30), (0, 0)])
def test_letters_are_cut_off_at_the_border(left: int, top: int) -> None:
    large = np.zeros((200, 200, 3), np.uint8)
    drawing.write(large, "Wide", 80 + left, 80 + top, 13)
    image = black()
    drawing.write(image, "Wide", left, top, 13)
    np.testing.assert_array_equal(image, large[80:120, 80:140])
    assert image.any()


def test_letters_beyond_the_border_are_not_drawn() -> None:
    image = black()
    for left, top in ((60, 5), (5, 40), (-500, 5), (5, -500)):
        drawing.write(image, "Wide", left, top, 13)
    assert not image.any()


def test_a_plate_says_where_it_lies() -> None:
    image = black()
    box = drawing.chip(image, "a", 10.4, 5.6, 12, (200, 10, 10), 1.0)
    letters = drawing.letters("a", 12)
    assert box == (10, 6, 10 + letters.shape[1] + 8, 6 + letters.shape[0] + 2)
    rows, columns = np.nonzero(image.any(axis=-1))
    assert (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1) == box


def test_letters_are_as_large_as_the_picture_asks_within_bounds() -> None:
    assert [drawing.text_size(e) for e in (100, 630, 2000)] == [11, 15, 18]


# ---- lines of plots


def test_a_line_of_few_points_is_drawn_whole_and_extremes_of_many_are_kept() -> None:
    time = np.arange(MAX_POINTS * 10.0)
    value = np.sin(time)
    value[[777, 5003]] = 9.0, -9.0
    shown, kept = thinned(time, value)
    assert len(shown) <= MAX_POINTS and set(np.diff(shown) > 0) == {True}
    assert kept[shown == 777.0] == 9.0 and kept[shown == 5003.0] == -9.0
    few = time[:MAX_POINTS]
    assert thinned(few, few)[0] is few


def test_a_cell_reaches_to_its_neighbour_but_not_across_a_gap() -> None:
    start, width = cells(np.array([0.0, 0.1, 0.2, 0.33, 2.0, 2.1]))
    assert start[4] == 2.0
    np.testing.assert_allclose(width, [0.1, 0.1, 0.13, 0.15, 0.1, 0.1])
    np.testing.assert_allclose(cells(np.array([0.0, 0.5]))[1], [0.5, 0.5])
    np.testing.assert_allclose(cells(np.array([3.0]))[1], [0.1])


def motion(time_s: float, x: float, yaw: float, twist: tuple[float, ...] | None) -> EgoMotion:
    speed = None if twist is None else np.array(twist)
    return EgoMotion(
        round(time_s * SECOND_NS), rigid_from_pose(np.array([x, 0.0, yaw])), speed, "/odom"
    )


def traced(turn: float, twist: tuple[float, ...] | None) -> EgoTraceBuilder:
    builder = EgoTraceBuilder()
    for k in range(40):
        builder.add(motion(k / 20, 0.4 * k, turn * k / 20, twist))
    return builder


def test_without_a_twist_poses_tell_speed_and_turn() -> None:
    trace = traced(0.3, None).trace(None)
    assert trace is not None and trace.source == "/odom, pose differences over 0.4 s"
    np.testing.assert_allclose(trace.speed, 8.0)
    np.testing.assert_allclose(trace.yaw_rate, 0.3)
    np.testing.assert_allclose(trace.time_s, np.arange(40) / 20)


def test_poses_are_differenced_over_a_window_on_both_sides() -> None:
    builder = EgoTraceBuilder()
    for k in range(21):
        builder.add(motion(k / 20, 1.0 if k > 10 else 0.0, 0.0, None))
    trace = builder.trace(SECOND_NS // 2)
    assert trace is not None
    np.testing.assert_allclose(trace.time_s[[0, 10]], [-0.5, 0.0])
    np.testing.assert_allclose(trace.speed[[6, 7, 10, 14, 15]], [0, 2.5, 2.5, 2.5, 0], atol=1e-9)


def test_a_yaw_rate_that_is_never_filled_in_is_taken_from_poses_that_turn() -> None:
    turning = traced(0.3, (8.5, 0.0, 0.0)).trace(None)
    assert turning is not None and turning.source == "/odom, yaw rate from its poses"
    np.testing.assert_allclose(turning.yaw_rate, 0.3)
    np.testing.assert_allclose(turning.speed, 8.5)
    for turn, rate in ((0.0, 0.0), (0.3, 0.25), (0.0, 0.25)):
        trace = traced(turn, (3.0, 4.0, rate)).trace(None)
        assert trace is not None and trace.source == "/odom"
        np.testing.assert_allclose(trace.yaw_rate, rate)
        np.testing.assert_allclose(trace.speed, 5.0)


def test_one_sample_per_40_ms_is_kept_and_one_is_no_motion() -> None:
    builder = EgoTraceBuilder()
    for k in range(100):
        builder.add(motion(k / 100, 0.1 * k, 0.0, None))
        if k == 3:
            assert builder.trace(None) is None
    trace = builder.trace(None)
    assert trace is not None
    np.testing.assert_allclose(np.diff(trace.time_s), THIN_NS / SECOND_NS)


# ---- how many pictures a page carries


def test_a_page_carries_every_frame_as_fine_as_its_number_allows() -> None:
    assert STEPS[1] == (60, 1440, 75) and STEPS[3] == (300, 960, 52), "sizes of published pages"
    for most, width, quality in STEPS:
        assert picture_budget(most) == (1, width, quality)
        assert picture_budget(most, MOST_FRAMES).stride == 1
    assert picture_budget(13)[1:] == (1440, 75) and picture_budget(61)[1:] == (1200, 62)
    assert picture_budget(MOST_FRAMES + 1)[:2] == (2, 800), "every second of them"
    assert picture_budget(1_000_000).stride == -(-1_000_000 // 600)
    assert picture_budget(0) == (1, 1440, 75), "nobody knows how many"
    assert picture_budget(0, 12) == (1, 1920, 84)


def test_a_page_says_how_many_frames_it_shows() -> None:
    budget = picture_budget(1000)
    assert budget_note(1, 1, budget) == "One frame."
    assert budget_note(60, 60, picture_budget(60)) == "All 60 frames."
    assert budget_note(61, 61, picture_budget(61)).startswith("All 61 frames at 1200 px and")
    assert budget_note(500, 1000, budget).startswith("500 of 1000 frames are shown, evenly")
