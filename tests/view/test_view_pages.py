"""A page is one file that needs no network, stays small, and is the same for the same input."""

from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from irl_vla.drive.fallback import unchecked_stop
from irl_vla.types import (
    SECOND_NS,
    CameraImage,
    Candidates,
    EgoStatus,
    FrameSet,
    Plan,
    PlanReason,
    Refusal,
    RefusalReason,
    Rejection,
    Schedule,
    Trajectory,
)
from irl_vla.vehicle import PACIFICA
from irl_vla.view.plots import (
    EgoTrace,
    PlanTrace,
    SyncTrace,
    plot_ego,
    plot_plans,
    plot_sync,
)
from irl_vla.view.replay_page import BEV_HEIGHT, EvenSample, ReplayAnchor, ReplayPageBuilder
from irl_vla.view.report import (
    Check,
    Fact,
    PageFrame,
    PageTable,
    ReplayPage,
    ShowPage,
    Verdict,
    replace_file,
    write_replay_page,
    write_show_page,
)

STEP = SECOND_NS // 10


def anchor(index: int) -> ReplayAnchor:
    stamp = index * STEP
    pixels = np.full((90, 160, 3), 40 + index % 100, np.uint8)
    frames = FrameSet(
        stamp, {"front": CameraImage("front", stamp, pixels=pixels)}, {"left": "stopped: no image"}
    )
    poses = np.stack([2.0 * np.arange(1, 9), np.zeros(8), np.zeros(8)], -1)
    plan = Plan(
        stamp, Trajectory(poses), Candidates(np.stack([poses, poses]), np.ones(2)), 0,
        PlanReason.BEST_CANDIDATE, "", (Rejection(1, "too_fast", "31 m/s"),), 20.0,
        Schedule(stamp, stamp, None, None, 0, 0), "abc",
        unchecked_stop(np.zeros((1, 3)), 0.0, PACIFICA),
    )  # fmt: skip
    refusal = Refusal(stamp, RefusalReason.STALE_EGO_MOTION, "0.6 s <old> & cold")
    ego = EgoStatus(stamp, np.array([4.0, 0.0]), np.zeros(2), 0.01, True, "/odom twist")
    return ReplayAnchor(frames, None, refusal if index % 5 == 4 else plan, ego)


def replay_page(count: int, limit: int = 60) -> ReplayPage:
    builder = ReplayPageBuilder("a <drive>", [Fact("bundle", "rule")], max_frames=limit)
    for index in range(count):
        builder.add(anchor(index))
    return builder.page({"plan": [1.0, 2.0, 3.0], "guard": []})


def show_page() -> ShowPage:
    time_s = np.arange(0, 10, 0.1)
    ego = EgoTrace(time_s, 5 + np.sin(time_s), 0.1 * np.cos(time_s), "/odom twist")
    offsets = np.where(np.arange(100) % 7 == 0, np.nan, 35.0 * np.sin(time_s))
    sync = SyncTrace(time_s, {"front <wide>": offsets}, {}, 60.0)
    return ShowPage(
        "a & b", (Fact("source", "/bag"),), Verdict("ok", "Yes.", (Check("ok", "Size", "1x1"),)),
        plots=(plot_sync(sync), plot_ego(ego)),
        tables=(PageTable("Topics", ("topic", "rate"), (("/a<b>", "10"),), ("rate",)),),
        missing=("no <rig>",), warnings=("truncated",),
    )  # fmt: skip


class Balance(HTMLParser):
    """Collects what a browser would fetch, and whether every element is closed."""

    VOID = frozenset({"meta", "img", "input", "br", "link"})

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.links: list[str] = []
        self.pictures = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in self.VOID:
            self.open.append(tag)
        for name, value in attrs:
            if name in {"src", "href", "xlink:href", "action", "data"} and value:
                self.pictures += value.startswith("data:image/webp;base64,")
                if not value.startswith(("data:", "#")):
                    self.links.append(value)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in self.VOID:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag, f"</{tag}> closes something else"


def read(path: Path) -> tuple[str, Balance]:
    text = path.read_text(encoding="utf-8")
    balance = Balance()
    balance.feed(text)
    assert not balance.open
    return text, balance


def test_a_show_page_is_one_closed_file_without_links(tmp_path: Path) -> None:
    write_show_page(show_page(), tmp_path / "show.html")
    text, balance = read(tmp_path / "show.html")
    assert not balance.links
    assert not re.search(r"https?:|//[a-z]+\.|@import|url\((?!#)", text)
    assert text.count("<svg") == 2
    for escaped in ("a &amp; b", "/a&lt;b&gt;", "no &lt;rig&gt;", "front &lt;wide&gt;"):
        assert escaped in text


def test_a_replay_page_is_one_closed_file_with_a_picture_per_frame(tmp_path: Path) -> None:
    write_replay_page(replay_page(7), tmp_path / "replay.html")
    text, balance = read(tmp_path / "replay.html")
    assert not balance.links
    assert not re.search(r"https?:|//[a-z]+\.|@import|url\((?!#)", text)
    assert balance.pictures == 14  # cameras and bird's eye
    assert "0.6 s &lt;old&gt; &amp; cold" in text
    assert "All 7 frames." in text


def test_the_strip_says_what_its_shapes_mean(tmp_path: Path) -> None:
    """Not by colour alone, and only where there is more than one."""
    write_replay_page(replay_page(7), tmp_path / "mixed.html")
    text, _ = read(tmp_path / "mixed.html")
    assert '<i class="ok"></i><span>best candidate</span><i class="bad">' in text
    assert re.search(r"\.marks i\.bad[^{]*{ background:repeating-linear-gradient", text)
    write_replay_page(replay_page(4), tmp_path / "good.html")
    assert 'class="levels"' not in read(tmp_path / "good.html")[0]


def test_an_empty_replay_still_gives_a_page(tmp_path: Path) -> None:
    write_replay_page(replay_page(0), tmp_path / "replay.html")
    read(tmp_path / "replay.html")


def test_the_same_input_gives_the_same_bytes(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write_show_page(show_page(), tmp_path / f"{name}.show.html")
        write_replay_page(replay_page(6), tmp_path / f"{name}.replay.html")
    for kind in ("show", "replay"):
        one = (tmp_path / f"a.{kind}.html").read_bytes()
        assert one == (tmp_path / f"b.{kind}.html").read_bytes()
        assert len(one) > 10_000


def test_a_long_replay_keeps_a_bounded_even_sample() -> None:
    page = replay_page(100, limit=8)
    times = [frame.time_s for frame in page.frames]
    assert 4 <= len(times) <= 8
    assert np.ptp(np.diff(times)) == pytest.approx(0.0, abs=1e-9)
    assert "evenly sampled" in page.frames_note
    assert page.tables[1].rows == (("stale_ego_motion", "0.6 s <old> & cold", "20"),)


@pytest.mark.parametrize("count", [1, 59, 60, 61, 1000, 12345])
def test_an_even_sample_holds_every_stride_th(count: int) -> None:
    sample = EvenSample[int](60)
    for index in range(count):
        sample.offer(index if sample.wants_next() else None)
    assert sample.kept == list(range(0, count, sample.stride))
    assert len(sample.kept) <= 60
    assert count <= 60 or len(sample.kept) >= 30


def test_pictures_nobody_will_see_are_not_painted(monkeypatch: pytest.MonkeyPatch) -> None:
    painted: list[float] = []

    def paint(time_s: float, _: ReplayAnchor) -> PageFrame:
        painted.append(time_s)
        return PageFrame(time_s, "", None, None)

    monkeypatch.setattr("irl_vla.view.replay_page._paint", paint)
    replay_page(800, limit=8)
    assert len(painted) <= 8 * (2 + np.log2(800 / 8))


def test_numbers_that_are_read_keep_their_digits() -> None:
    trace = EgoTrace(np.arange(3.0), np.full(3, 5.0), np.full(3, 0.02), "odom")
    labels = re.findall(r">([−\d.]+)</text>", plot_ego(trace).svg)
    assert any(len(label.split(".")[-1]) >= 3 for label in labels)  # curvature near 0.004


def test_one_wild_plan_does_not_flatten_the_others() -> None:
    ego = EgoTrace(np.arange(10.0), np.full(10, 5.0), np.zeros(10), "odom")
    plans = [PlanTrace(i + np.arange(8.0) / 2, np.full(8, 6.0), np.zeros(8)) for i in range(60)]
    plans[7] = replace(plans[7], speed=np.array([6, 6, 6, 6, 6, 6, 6, 900.0]))
    labels = re.findall(r">(\d+\.\d+)</text>", plot_plans(ego, plans).svg)
    assert 5 < max(float(label) for label in labels) < 10


@pytest.mark.parametrize("names", [["a"], ["a", "b", "c"], list("abcdef")])
def test_the_birds_eye_has_one_size_whatever_the_cameras(names: list[str], tmp_path: Path) -> None:
    """It stands beside the cameras, or under them where they are one flat row."""
    pixels = np.zeros((90, 160, 3), np.uint8)
    images = {name: CameraImage(name, 0, pixels=pixels) for name in names}
    builder = ReplayPageBuilder("drive", [])
    builder.add(replace(anchor(0), frames=FrameSet(0, images)))
    page = builder.page({})
    bev = page.frames[0].bev
    assert bev is not None
    assert int.from_bytes(bev[28:30], "little") == pytest.approx(BEV_HEIGHT, abs=1)
    write_replay_page(page, tmp_path / "report.html")
    written = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert ('class="stage flat"' in written) == (len(names) == 3)


def test_a_failed_write_leaves_the_old_page(tmp_path: Path) -> None:
    page = tmp_path / "show.html"
    replace_file(page, b"old")
    with pytest.raises(TypeError):
        replace_file(page, "not bytes")  # type: ignore[arg-type]
    assert page.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [page]


def test_an_unknown_level_is_refused() -> None:
    with pytest.raises(ValueError, match="level"):
        replace(Check("ok", "a", "b"), level="fine")
