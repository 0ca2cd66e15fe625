"""What was detected lies where its metres say, and an empty picture says that it is empty."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from irl_vla.camera.camera import Camera, CameraModel
from irl_vla.camera.projection import BevGrid
from irl_vla.camera.rig import Rig, ViewDirection, ego_from_look
from irl_vla.perception.classes import CLASSES, SceneClasses
from irl_vla.perception.preset import AGENT_CLASSES, MAP_CLASSES, SEG_CLASSES
from irl_vla.types import (
    Boxes3D,
    CameraImage,
    EgoStatus,
    FrameSet,
    Refusal,
    RefusalReason,
    SceneTokens,
)
from irl_vla.view import drawing
from irl_vla.view.bev import BevWindow, reach_of, window_for
from irl_vla.view.camera import paint_boxes
from irl_vla.view.detections import (
    CLOSED_COLOR,
    SEG_COLORS,
    detected_boxes,
    detected_words,
    finds_something,
    paint_ground,
    paint_map_found,
)
from irl_vla.view.frame import Overlay, paint_bev
from irl_vla.view.legend import RULE_BANNER, UNTRAINED_BANNER, banner_of
from irl_vla.view.palette import CANVAS, RED, SKY, class_color
from irl_vla.view.replay_page import BEV_HEIGHT, ReplayAnchor, ReplayPageBuilder, paint_anchor
from irl_vla.view.report import write_replay_page

AREA = BevGrid()
WINDOW = BevWindow(front=50.0, back=20.0, side=35.0, scale=4.0)
KINDS = ("vehicle", "pedestrian", "bicycle")


def tokens() -> SceneTokens:
    """A vehicle 20 m ahead and 6 m to the left, a pedestrian 10 m ahead and 4 m to the right, a red
    stop line 30 m ahead, a road 8 m wide; a second map line and a third box that are not valid."""
    lines = np.zeros((2, 20, 2), np.float16)
    lines[0] = np.stack([np.full(20, 30.0), np.linspace(-5, 5, 20)], -1)
    seg = np.zeros((len(SEG_CLASSES), *AREA.cells), np.float16)
    seg[SEG_CLASSES.index("nothing")] = 0.6
    seg[SEG_CLASSES.index("road")] = 0.4
    seg[:, :, 28:36] = seg[[1, 0, 2, 3, 4, 5, 6], :, 28:36]  # one cell is one metre
    boxes = [
        [20, 6, 0.8, 4.5, 1.9, 1.6, 0, 8, 0, 0.83],
        [10, -4, 0.9, 0.6, 0.6, 1.8, 0, 0, 0, 0.4],
        [5, 0, 0.8, 4.5, 1.9, 1.6, 0, 0, 0, 0.1],
    ]
    return replace(
        SceneTokens.blind(0, 0),
        boxes=np.array(boxes, np.float16),
        agent_class=np.array([AGENT_CLASSES.index(k) for k in KINDS]),
        agent_valid=np.array([True, True, False]),
        polylines=lines,
        map_class=np.array([MAP_CLASSES.index("red_stop_line"), 0]),
        map_valid=np.array([True, False]),
        seg=seg,
    )  # fmt: skip


def nothing() -> SceneTokens:
    found = tokens()
    seg = np.zeros_like(found.seg)
    seg[SEG_CLASSES.index("nothing")] = 1.0
    no = np.zeros_like
    return replace(found, seg=seg, agent_valid=no(found.agent_valid), map_valid=no(found.map_valid))


def camera() -> Camera:
    """90 degrees across, 1.5 m above the ground, looking ahead."""
    lens = np.array([[320.0, 0, 319.5], [0, 320.0, 159.5], [0, 0, 1]])
    pose = ego_from_look((0.0, 0.0, 1.5), ViewDirection())
    return Camera("front", 640, 320, CameraModel.PLUMB_BOB, lens, np.zeros(0), pose)


def anchor(found: SceneTokens | None, area: BevGrid | None = AREA) -> ReplayAnchor:
    pixels = np.zeros((320, 640, 3), np.uint8)
    frames = FrameSet(0, {"front": CameraImage("front", 0, pixels=pixels)})
    refusal = Refusal(0, RefusalReason.STALE_INPUT, "late")
    ego = EgoStatus(0, np.array([4.0, 0.0]), np.zeros(2), 0.0, True, "/odom")
    rig = Rig("one", (camera(),))
    return ReplayAnchor(frames, rig, refusal, ego, tokens=found, area=area)


def at(image: np.ndarray, window: BevWindow, x: float, y: float) -> tuple[int, ...]:
    u, v = np.round(window.pixels(np.array([x, y]))).astype(int)
    return tuple(int(value) for value in image[v, u])


def test_the_road_is_painted_where_its_cells_lie() -> None:
    image = WINDOW.canvas()
    paint_ground(image, WINDOW, tokens(), AREA, CLASSES)
    for x, y in ((47.4, 0.0), (-15.4, 0.0), (10.0, 3.4), (10.0, -3.4)):
        assert at(image, WINDOW, x, y) == SEG_COLORS["road"]
    for x, y in ((48.6, 0.0), (-16.6, 0.0), (10.0, 4.6), (10.0, -4.6)):
        assert at(image, WINDOW, x, y) == CANVAS


def test_what_a_red_light_closes_is_painted_over_the_road_and_told() -> None:
    closed = np.zeros((1, *AREA.cells), np.float16)
    closed[0, 40:44, 28:36] = 0.9  # x 24 to 28, the whole road
    found = replace(tokens(), closed=closed)
    image = WINDOW.canvas()
    paint_ground(image, WINDOW, found, AREA, CLASSES)
    assert at(image, WINDOW, 26.0, 0.0) == CLOSED_COLOR
    assert at(image, WINDOW, 22.0, 0.0) == SEG_COLORS["road"]
    assert "a lane closed by a red light" in detected_words(found, CLASSES)
    assert "closed" not in detected_words(tokens(), CLASSES)
    assert finds_something(replace(nothing(), closed=closed), CLASSES)


def test_left_of_the_car_is_left_in_the_picture() -> None:
    """A single cell, so that no swap or mirror of the axes goes unnoticed."""
    found = nothing()
    found.seg[:, 40, 50] = np.eye(len(SEG_CLASSES))[SEG_CLASSES.index("vehicle")]  # x 24, y 18
    image = WINDOW.canvas()
    paint_ground(image, WINDOW, found, AREA, CLASSES)
    rows, columns = np.nonzero((image == SEG_COLORS["vehicle"]).all(-1))
    middle = WINDOW.pixels(np.array([24.5, 18.5]))
    assert (columns.mean(), rows.mean()) == pytest.approx(tuple(middle), abs=0.6)
    assert len(rows) == 16  # one square metre at 4 px/m


def test_only_valid_map_lines_are_painted() -> None:
    image = WINDOW.canvas()
    paint_map_found(image, WINDOW, tokens(), CLASSES)
    rows, columns = np.nonzero((image == RED).all(-1))
    assert rows.mean() == pytest.approx(WINDOW.pixels(np.array([30.0, 0.0]))[1], abs=0.6)
    assert np.ptp(columns) == pytest.approx(10 * WINDOW.scale, abs=3)
    image[rows.min() - 2 : rows.max() + 3] = CANVAS
    assert (image == CANVAS).all()


def test_valid_agents_become_boxes_with_their_score() -> None:
    boxes = detected_boxes(tokens(), CLASSES)
    assert boxes.labels == ("vehicle 0.83", "pedestrian 0.40")
    assert boxes.centers[0].tolist() == pytest.approx([20, 6, 0.8], abs=1e-3)
    assert boxes.sizes[1].tolist() == pytest.approx([0.6, 0.6, 1.8], abs=1e-3)
    assert boxes.velocities[0].tolist() == [8.0, 0.0]


def test_the_birds_eye_shows_the_box_where_it_stands() -> None:
    bare = paint_bev(Overlay(tokens=nothing(), area=AREA), BEV_HEIGHT)
    full = paint_bev(Overlay(tokens=tokens(), area=AREA), BEV_HEIGHT)
    window = window_for(reach_of(AREA), BEV_HEIGHT)
    assert full.shape[0] == pytest.approx(BEV_HEIGHT, abs=1)
    tint = np.array(at(full, window, 19.0, 6.5)) - at(bare, window, 19.0, 6.5)
    assert tint[2] > 40  # a translucent sky blue
    assert at(full, window, 5.0, 1.5) == SEG_COLORS["road"]  # the box there is not valid


def test_a_bundle_is_drawn_and_told_by_its_own_words() -> None:
    """Another order, and a line, a ground and an agent that this version has no name for."""
    own = SceneClasses(
        agents=("scooter", "pedestrian", "vehicle"),
        map=("zipper", "red_stop_line"),
        seg=("road", "puddle", "nothing"),
    )
    known = tokens()
    order = [SEG_CLASSES.index(name) for name in ("road", "obstacle", "nothing")]
    found = replace(
        known, agent_class=np.array([2, 1, 0]), map_class=np.array([1, 0]), seg=known.seg[order]
    )
    first = paint_bev(Overlay(tokens=known, area=AREA), BEV_HEIGHT)
    second = paint_bev(Overlay(tokens=found, area=AREA, classes=own), BEV_HEIGHT)
    assert (first == second).all()
    words = "Detected: 1 pedestrian, 1 vehicle, 1 map line, 12 % of the ground."
    assert detected_words(found, own) == words
    odd = replace(found, agent_class=np.zeros(3, np.int64), map_class=np.zeros(2, np.int64))
    odd.seg[1] = 0.9
    paint_bev(Overlay(tokens=odd, area=AREA, classes=own), BEV_HEIGHT)
    assert detected_words(odd, own) == "Detected: 2 scooters, 1 map line, 100 % of the ground."


def test_the_window_shows_the_whole_observed_grid() -> None:
    for area in (AREA, BevGrid(x=(-32.0, 32.0)), BevGrid(x=(-8.0, 80.0), y=(-10.0, 20.0))):
        window = window_for(reach_of(area), BEV_HEIGHT)
        assert window.front > area.x[1]
        assert -window.back < area.x[0]
        assert window.side > max(-area.y[0], area.y[1])


def test_detected_boxes_are_painted_into_the_cameras() -> None:
    plain, _ = paint_anchor(anchor(nothing()), 640)
    painted, _ = paint_anchor(anchor(tokens()), 640)
    changed = np.argwhere((plain != painted).any(-1))
    scale = plain.shape[1] / 640
    vehicle = (319.5 - 320 * 6 / 20) * scale, (159.5 + 320 * 0.7 / 20) * scale
    pedestrian = (319.5 + 320 * 4 / 10) * scale, (159.5 + 320 * 0.6 / 10) * scale
    for u, v in (vehicle, pedestrian):
        assert np.min(np.hypot(changed[:, 1] - u, changed[:, 0] - v)) < 12


def test_known_boxes_are_dashed_beside_detected_ones() -> None:
    """Dashes cover about half of what whole lines cover, and carry no label."""
    box = Boxes3D(
        np.array([[12.0, 0.0, 0.8]]), np.array([[4.5, 1.9, 1.6]]), np.zeros(1),
        np.full((1, 2), np.nan), ("car",),
    )  # fmt: skip
    inked = []
    for dashed in (False, True):
        image = np.zeros((320, 640, 3), np.uint8)
        assert paint_boxes(image, camera(), box, dashed) == 1
        inked.append(np.count_nonzero(image.any(-1)))
    assert 0.05 * inked[0] < inked[1] < 0.5 * inked[0]


def test_dashes_are_half_of_the_line_and_lie_on_it() -> None:
    line = np.array([[0.0, 0.0], [30.0, 0.0], [30.0, 50.0]])
    pieces = drawing.dashes(line, 8.0)
    lengths = [np.linalg.norm(np.diff(piece, axis=0), axis=1).sum() for piece in pieces]
    assert sum(lengths) == pytest.approx(40.0)
    assert len(pieces) == 5
    assert all(((p[:, 0] == 30.0) | (p[:, 1] == 0.0)).all() for p in pieces)


def test_what_was_detected_is_said_in_words() -> None:
    assert detected_words(nothing(), CLASSES) == "Nothing detected."
    words = detected_words(tokens(), CLASSES)
    assert words == "Detected: 1 vehicle, 1 pedestrian, 1 map line, 12 % of the ground."


def page_of(*anchors: ReplayAnchor) -> tuple[str, list[str]]:
    """(caption of the first frame, titles and notes of the legends)."""
    builder = ReplayPageBuilder("drive", [])
    for one in anchors:
        builder.add(one)
    page = builder.page({})
    return page.frames[0].caption, [text for x in page.legends for text in (x.title, x.note)]


def test_the_page_says_that_nothing_was_detected() -> None:
    caption, legend = page_of(anchor(nothing()), anchor(nothing()))
    assert caption.endswith("late. Nothing detected.")
    assert any(text.startswith("Nothing was detected at any of the 2 anchors") for text in legend)
    _, legend = page_of(anchor(nothing()), anchor(tokens()))
    assert "Something was detected at 1 of 2 anchors." in legend


def test_a_policy_without_eyes_is_not_said_to_detect_nothing() -> None:
    caption, legend = page_of(anchor(SceneTokens.blind(0, 0), None))
    assert "detected" not in caption
    assert not any("etected" in text for text in legend)


def test_the_banner_says_what_the_plans_are_worth(tmp_path: Path) -> None:
    assert banner_of("rule", False) == RULE_BANNER
    assert banner_of("network", False) == UNTRAINED_BANNER
    assert banner_of("network", True) == ""
    assert banner_of("network", True, "run 7") == ""
    assert "eyes: run 7" in banner_of("network", False, "eyes: run 7")
    for text, shown in ((UNTRAINED_BANNER, 1), ("", 0)):
        page = ReplayPageBuilder("drive", [], banner=text).page({})
        write_replay_page(page, tmp_path / "report.html")
        written = (tmp_path / "report.html").read_text(encoding="utf-8")
        assert written.count('<p class="banner">') == shown
        assert written.count(UNTRAINED_BANNER) == shown


def test_labels_with_a_score_keep_the_colour_of_their_class() -> None:
    assert class_color("vehicle 0.83") == class_color("vehicle") == SKY
