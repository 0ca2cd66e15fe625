"""What the tests of the commands share: pages with few pictures, and folders of recordings."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest
from cli_bags import street, write

from irl_vla.view import drawing, replay_page, show_page
from irl_vla.view.report import PageFigure

FRAMES = 2  # with pictures on a page: the page has its own tests, under tests/view


@pytest.fixture(autouse=True)
def short_pages(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """A tenth of the time of a replay; tests marked with `whole_pages` get everything."""
    if "whole_pages" in request.fixturenames:
        return
    builder = partial(replay_page.ReplayPageBuilder, max_frames=FRAMES)
    monkeypatch.setattr("irl_vla.cli.replay_run.ReplayPageBuilder", builder)
    for name in ("plot_outcomes", "plot_plans", "plot_latency"):
        monkeypatch.setattr(replay_page, name, lambda *_: PageFigure("not drawn", ""))
    monkeypatch.setattr(show_page, "MAX_ANCHORS", FRAMES)
    encode = drawing.webp
    for module in (drawing, replay_page):
        monkeypatch.setattr(module, "webp", lambda image, q: encode(image[::8, ::8].copy(), q))
    for name in ("plot_ego", "plot_sync"):
        monkeypatch.setattr(show_page, name, lambda *_: PageFigure("not drawn", ""))


@pytest.fixture
def whole_pages() -> None:
    """Asked for by tests that want pages as a user gets them."""


@pytest.fixture(scope="session")
def two_cameras(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A whole recording: `street()` of 10 anchors as a folder."""
    return write(tmp_path_factory.mktemp("bags") / "street", street(anchors=10))
