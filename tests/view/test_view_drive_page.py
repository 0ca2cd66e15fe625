"""A drive as pictures and as a page: who stands where in a frame, and what is said of a tick."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from reviewed import drive_painter, drive_tick, planned

from irl_vla.drive.fallback import unchecked_stop
from irl_vla.types import (
    PlanReason,
    Refusal,
    RefusalReason,
)
from irl_vla.vehicle import PACIFICA
from irl_vla.view.drive_page import (
    ABOVE_SCALE,
    ABOVE_WIDTH,
    CAMERAS_WIDTH,
    HEIGHT,
    LOOK_AHEAD_M,
    PAGE_ABOVE,
    PAGE_CAMERAS,
    DrivePageBuilder,
    TickPictures,
    score_words,
)
from irl_vla.view.palette import ORANGE
from irl_vla.view.report import Verdict, webp_aspect

STOP = unchecked_stop(np.zeros((1, 3)), 5.0, PACIFICA)
LATE = Refusal(0, RefusalReason.STALE_INPUT, "0.6 s.", STOP)


def flat(height: int, width: int, value: int) -> np.ndarray:
    return np.full((height, width, 3), value, np.uint8)


def test_cameras_stand_on_the_left_and_in_the_middle_of_a_frame() -> None:
    above = flat(HEIGHT, ABOVE_WIDTH, 200)
    frame = TickPictures(flat(600, CAMERAS_WIDTH, 90), above).together()
    assert frame.shape == (HEIGHT, CAMERAS_WIDTH + ABOVE_WIDTH, 3)
    assert (frame[20:620, :CAMERAS_WIDTH] == 90).all() and (frame[:, CAMERAS_WIDTH:] == 200).all()
    assert (frame[:20, :CAMERAS_WIDTH] == 17).all() and (frame[620:, :CAMERAS_WIDTH] == 17).all()


def test_cameras_that_are_too_high_become_smaller_and_keep_their_shape() -> None:
    frame = TickPictures(flat(1280, CAMERAS_WIDTH, 90), flat(HEIGHT, ABOVE_WIDTH, 200)).together()
    assert (frame[:, 200:600] == 90).all()
    assert (frame[:, :200] == 17).all() and (frame[:, 600:CAMERAS_WIDTH] == 17).all()


def test_the_front_camera_is_large_and_the_others_are_below() -> None:
    cameras = drive_painter().paint(drive_tick(0, planned())).cameras
    assert cameras.shape[1] == CAMERAS_WIDTH
    top, below = cameras[:400].astype(int), cameras[460:]
    assert top[300, 60].sum() < top[300, 700].sum(), "the front camera's picture fades to the right"
    assert below.shape[0] > 150


def test_the_town_is_seen_from_in_front_of_the_ego_with_its_plan() -> None:
    above = drive_painter().paint(drive_tick(0, planned())).above
    row, column = HEIGHT // 2, round(ABOVE_WIDTH / 2 - LOOK_AHEAD_M * ABOVE_SCALE)
    green = above[row - 6 : row + 6, column : column + 24].astype(int)
    assert (green[..., 1] > green[..., 0] + 60).any(), "the ego"
    ahead = above[:, column + 30 :]
    assert ((ahead == ORANGE).all(axis=-1)).sum() > 20, "its plan"
    stop = drive_painter().paint(drive_tick(0, LATE)).above
    assert ((stop == ORANGE).all(axis=-1)).sum() > 5, "and the stop of a refusal"
    nothing = drive_painter().paint(drive_tick(0, replace(LATE, fallback=None))).above
    assert not (nothing == ORANGE).all(axis=-1).any()


def test_a_page_tells_every_tick() -> None:
    builder = DrivePageBuilder("town", (), "untrained")
    other = replace(planned(), reason=PlanReason.NEXT_BEST_CANDIDATE, detail="0 hits a car.")
    ticks = [
        drive_tick(0, planned(), False),
        drive_tick(1, other),
        drive_tick(2, LATE),
        drive_tick(3, planned()),
    ]
    for one in ticks:
        builder.add(one, drive_painter().paint(one))
    scores = {0: {"epdms": 0.625, "nc": 1.0, "ttc": 0.5}, 3: {"epdms": 1.0, "nc": 1.0, "ttc": 1.0}}
    page = builder.page(Verdict("ok", "Yes.", ()), (), scores)
    assert [frame.time_s for frame in page.frames] == [0.0, 0.1, 0.2, 0.3]
    assert [frame.level for frame in page.frames] == ["ok", "warn", "bad", "ok"]
    assert [frame.number for frame in page.frames] == [1, 2, 3, 4]
    said = [frame.caption for frame in page.frames]
    first = "The expert drives, the policy watches. Best candidate at 32 km/h. Intent: left."
    assert said[0].startswith(f"{first} EPDMS 0.62 (TTC 0.50).")
    assert said[1].startswith("Next best candidate at 32 km/h. 0 hits a car. Intent: left.")
    assert said[2] == "No plan: stale input. 0.6 s."
    assert " EPDMS 1.00." in said[3]
    assert page.frames[0].motion == "9.0 m/s, yaw rate +0.0 °/s"
    np.testing.assert_allclose([f.place for f in page.frames][1], [-39.1, -1.75])
    titles = [plot.title for plot in page.plots]
    assert titles == ["EPDMS of the plans", "Plans", "Way from above", "Time per stage"]
    assert page.frames_note.startswith("All 4 ")
    (latency,) = page.tables
    assert [row[0] for row in latency.rows] == ["plan", "guard"]
    bev = page.frames[0].bev
    assert bev is not None
    assert webp_aspect(bev) == pytest.approx(ABOVE_WIDTH / HEIGHT, rel=0.01)
    assert PAGE_ABOVE[0] < ABOVE_WIDTH and PAGE_CAMERAS[0] < CAMERAS_WIDTH, "a page is smaller"


def test_without_scores_there_is_no_plot_of_them() -> None:
    builder = DrivePageBuilder("town", (), "untrained")
    one = drive_tick(0, planned())
    builder.add(one, drive_painter().paint(one))
    page = builder.page(Verdict("ok", "Yes.", ()), (), {})
    assert [plot.title for plot in page.plots] == ["Plans", "Time per stage"]
    assert score_words(None) == ""
