"""The page in a real browser: keys, jumps, links to a moment, nothing that overflows or phones."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from headless import Page, browser
from test_view_pages import STEP, anchor

from irl_vla.frames import rigid_from_pose
from irl_vla.view.driven_way import DrivenWay
from irl_vla.view.page_budget import MOST_FRAMES, picture_budget
from irl_vla.view.replay_page import ReplayPageBuilder
from irl_vla.view.report import Fact, write_replay_page

FRAMES = 30
needs_browser = pytest.mark.skipif(
    browser() is None, reason="no Chromium or Chrome on this machine"
)
SHOWN = "document.querySelector('output').textContent"
TIME = "Number(document.querySelector('.frame:not([hidden])').dataset.t)"


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A replay of 3 s at 4 m/s."""
    builder = ReplayPageBuilder("a drive", [Fact("bundle", "rule")], expected=FRAMES)
    for index in range(FRAMES):
        place = rigid_from_pose((0.4 * index, 0.0, 0.0))
        builder.add(replace(anchor(index), place=place))
    path = tmp_path_factory.mktemp("page") / "report.html"
    write_replay_page(builder.page({"plan": [1.0, 2.0]}), path)
    return path


@pytest.fixture(scope="module")
def page(file: Path) -> Iterator[Page]:
    with Page(file) as opened:
        yield opened


@needs_browser
def test_keys_step_and_jump(page: Page) -> None:
    for key, shift, frame in [
        ("Home", False, 1), ("ArrowRight", False, 2), ("ArrowRight", True, 12),
        ("ArrowLeft", False, 11), ("End", False, FRAMES), ("ArrowLeft", True, FRAMES - 10),
        ("Home", False, 1), ("ArrowLeft", False, 1),
    ]:  # fmt: skip
        page.press(key, shift)
        assert f"frame {frame} " in page.run(SHOWN), key


@needs_browser
def test_space_plays_in_real_time_and_pauses(page: Page) -> None:
    page.press("Home")
    page.press(" ")
    wait = "new Promise(done => setTimeout(() => done(performance.now()), 1000))"
    begin = page.run("performance.now()")
    passed = (page.run(wait) - begin) / 1000
    shown = page.run(TIME)
    page.press(" ")
    assert shown == pytest.approx(passed, abs=0.35)
    still = page.run(TIME)
    page.run(wait)
    assert page.run(TIME) == still
    assert page.run("location.hash").startswith("#t=")


@needs_browser
def test_a_click_in_a_plot_or_on_the_strip_goes_there(page: Page) -> None:
    place = page.run(
        "(() => { const svg = document.querySelector('svg[data-time]'); svg.scrollIntoView();"
        " const a = svg.getBoundingClientRect(), p = svg.dataset.time.split(' ').map(Number);"
        " const x = p[0] + (1.5 - p[2]) / (p[3] - p[2]) * (p[1] - p[0]);"
        " return [a.left + x * a.width, a.top + a.height / 2]; })()"
    )
    page.click(*place)
    assert page.run(TIME) == pytest.approx(1.5, abs=0.051)
    assert page.run("document.querySelector('.cursor').offsetLeft") > 0
    page.run("document.querySelectorAll('.marks i')[7].click()")
    assert page.run(TIME) == pytest.approx(0.7)


@needs_browser
def test_a_link_opens_at_its_moment_and_says_what_time_it_is(file: Path) -> None:
    with Page(file, at="#t=2.100") as page:
        assert page.run(TIME) == pytest.approx(2.1)
        assert "frame 22 (22 of 30 shown)" in page.run(SHOWN)
        assert f"{21 * STEP} ns" in page.run("document.querySelector('.moment').textContent")
        assert page.run("document.querySelector('.link').getAttribute('href')") == "#t=2.100"


@needs_browser
@pytest.mark.parametrize("width", [390, 1280, 1920])
def test_nothing_overflows_at_any_width(page: Page, width: int) -> None:
    page.resize(width, 900)
    wide = page.run("document.documentElement.scrollWidth")
    page.resize(1280, 900)
    assert wide <= width


@needs_browser
def test_on_a_narrow_screen_cameras_stand_one_under_another(file: Path) -> None:
    with Page(file, 390, 800) as page:
        boxes = page.run(
            "Array.from(document.querySelectorAll('.frame:not([hidden]) .stack canvas'))"
            ".map(c => [c.getBoundingClientRect().top, c.getBoundingClientRect().width])"
        )
        assert len(boxes) == 2 and boxes[0][0] < boxes[1][0]
        assert all(width > 300 for _, width in boxes)
        assert page.run("document.querySelector('svg[data-time]').clientWidth") >= 540


@needs_browser
def test_the_page_asks_nobody_for_anything_and_reports_no_error(page: Page) -> None:
    page.press("End")
    assert page.complaints() == []
    assert page.run("[...document.images].every(i => i.alt.length > 0)")


def test_ade_and_fde_are_distances_to_what_was_driven() -> None:
    way = DrivenWay()
    for index in range(61):
        way.add(index * STEP, rigid_from_pose((0.5 * index, 0.0, 0.0)))  # 5 m/s straight on
    plan = np.zeros((8, 3))
    plan[:, 0] = 2.5 * np.arange(1, 9)
    assert "ADE 0.00 m, FDE 0.00 m over 4 s" in way.words(0, plan, 0.5)
    plan[:, 1] = np.arange(1, 9)  # one metre more to the left at each pose
    assert "ADE 4.50 m, FDE 8.00 m over 4 s" in way.words(0, plan, 0.5)
    assert "over 2 s" in way.words(40 * STEP, plan, 0.5)
    assert way.words(60 * STEP, plan, 0.5) == ""


@pytest.mark.parametrize("frames", [0, 1, 12, 60, 61, 600, 601, 40000])
def test_a_page_shows_every_frame_as_long_as_it_stays_small(frames: int) -> None:
    budget = picture_budget(frames)
    assert budget.stride == max(1, -(-frames // MOST_FRAMES))
    more = picture_budget(frames + 100)
    assert more.width <= budget.width and more.quality <= budget.quality
