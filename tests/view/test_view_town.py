"""A town from above: what is where, in which colour, and the same every time."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from irl_vla.frames import to_outer
from irl_vla.scoring.scene import AGENT_TYPES, Polygons
from irl_vla.types import F64, U8
from irl_vla.vehicle import Vehicle
from irl_vla.view import town_ground
from irl_vla.view.palette import Rgb
from irl_vla.view.town import LIT, TownOverlay, TownPainter
from irl_vla.view.town_actors import AMBER, BLINK_S, BRAKING, EGO, GLASS
from irl_vla.view.town_film import camera_path, many_drives, moments
from irl_vla.view.town_ground import GRASS, TILE_PX
from irl_vla.view.town_shapes import ASPHALT
from irl_vla.world.episode import BRAKE, LEFT_INDICATOR, MODELS, Actors, Episode
from irl_vla.world.town import (
    NONE,
    Crosswalk,
    Junction,
    Lane,
    Light,
    Marking,
    ParkingSpace,
    Prop,
    Signal,
    Town,
)

WIDTH_M, REACH_M = 3.5, 100.0


def lane(
    name: str,
    begin: F64,
    end: F64,
    ahead: tuple[int, ...] = (),
    junction: int = NONE,
    signal: int = NONE,
) -> Lane:
    """A straight lane."""
    count = int(np.ceil(np.linalg.norm(end - begin) / 2.0)) + 1
    points = begin + (end - begin) * np.linspace(0, 1, count)[:, None]
    yaw = np.arctan2(*(end - begin)[::-1])
    aside = np.array([-np.sin(yaw), np.cos(yaw)]) * WIDTH_M / 2
    ring = np.stack([begin + aside, end + aside, end - aside, begin - aside])
    centre = np.column_stack([points, np.full(count, yaw)])
    return Lane(
        name, centre, ring, WIDTH_M, 13.9, f"block {name}", ahead, junction=junction, signal=signal
    )


def crossroads() -> Town:
    """An east-west street with one lane each way, and a signal for those who drive east."""
    y, gap = WIDTH_M / 2, 8.0
    lanes = (
        lane("west", np.array([-REACH_M, -y]), np.array([-gap, -y]), (1,)),
        lane("through", np.array([-gap, -y]), np.array([gap, -y]), (2,), junction=0, signal=0),
        lane("east", np.array([gap, -y]), np.array([REACH_M, -y])),
        lane("back", np.array([REACH_M, y]), np.array([-REACH_M, y])),
    )
    road = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]]) * [REACH_M, WIDTH_M + 0.5]
    markings = (
        Marking("dashed", np.array([[-REACH_M, 0.0], [-gap, 0.0]]), 0.12),
        Marking("solid", np.array([[-REACH_M, 3.6], [REACH_M, 3.6]]), 0.12),
        Marking("stop", np.array([[-gap - 0.5, -WIDTH_M], [-gap - 0.5, 0.0]]), 0.5),
        Marking("arrow", np.array([[-20.0, -y], [-16.0, -y]]), 0.15),
        Marking("zebra", np.array([[12.0, -4.0], [12.0, 4.0], [16.0, 4.0], [16.0, -4.0]]), 0.5),
    )
    props = (
        Prop("building", np.array([-30.0, 22.0, 0.1]), np.array([20.0, 14.0, 9.0]), 3),
        Prop("building", np.array([30.0, 24.0, 0.0]), np.array([12.0, 10.0, 6.0]), 4),
        Prop("tree", np.array([4.0, 14.0, 0.0]), np.array([6.0, 6.0, 8.0]), 1),
        Prop("bush", np.array([-8.0, -12.0, 0.0]), np.array([2.0, 2.0, 1.5]), 2),
        Prop("lamp_post", np.array([10.0, 7.0, -1.6]), np.array([0.2, 0.2, 6.0])),
        Prop("sign", np.array([-12.0, -6.0, 3.1]), np.array([0.1, 0.6, 2.2]), 0, "50"),
        Prop("traffic_cone", np.array([40.0, -3.0, 0.0]), np.array([0.4, 0.4, 0.7])),
        Prop("barrier", np.array([46.0, -3.0, 0.0]), np.array([2.0, 0.5, 1.0])),
    )
    signal = Signal(
        np.array([[10.0, Light.GREEN], [3.0, Light.AMBER], [10.0, Light.RED]]), 0.0,
        np.array([[-gap, -5.0, 3.0, np.pi]]),
    )  # fmt: skip
    walk = Crosswalk(markings[-1].line, np.array([[14.0, -4.0], [14.0, 4.0]]), (2, 3))
    return Town(
        "crossroads", 5, lanes, Polygons.of([road]),
        (Junction("crossing", road / [10.0, 1.0], (1,)),), (signal,), (walk,),
        carparks=Polygons.of([np.array([[20.0, 4.0], [60.0, 4.0], [60.0, 9.0], [20.0, 9.0]])]),
        spots=(ParkingSpace(np.array([30.0, 6.5, np.pi / 2]), 5.0, 2.5),),
        footpaths=(np.array([[-REACH_M, -6.0], [REACH_M, -6.0]]),),
        kerbs=(np.array([[-REACH_M, -4.0], [REACH_M, -4.0]]),), markings=markings, props=props,
    )  # fmt: skip


USERS = (  # type, model, length, width, height, x, y, heading, speed
    ("vehicle", "car", 4.4, 1.8, 1.5, -25.0, -1.75, 0.0, 8.0),
    ("vehicle", "suv", 4.8, 1.95, 1.8, 10.0, 1.75, np.pi, 6.0),
    ("vehicle", "van", 5.6, 2.1, 2.3, 24.0, 1.75, np.pi, 6.0),
    ("vehicle", "truck", 9.0, 2.5, 3.5, 40.0, 1.75, np.pi, 6.0),
    ("vehicle", "bus", 12.0, 2.55, 3.2, -12.0, 1.75, np.pi, 6.0),
    ("bicycle", "bicycle", 1.8, 0.6, 1.7, 22.0, -3.0, 0.0, 4.0),
    ("pedestrian", "pedestrian", 0.6, 0.6, 1.75, 14.0, -2.0, np.pi / 2, 1.2),
    ("traffic_cone", "object", 0.4, 0.4, 0.7, 36.0, -3.2, 0.0, 0.0),
    ("generic_object", "object", 1.0, 1.0, 1.0, 50.0, -6.0, 0.0, 0.0),
)


def drive(steps: int = 20) -> Episode:
    """The ego follows the street eastwards; everybody keeps speed and direction."""
    a = len(USERS)
    actors = Actors(
        tuple(f"user {i}" for i in range(a)),
        np.array([AGENT_TYPES.index(u[0]) for u in USERS], np.int8),
        np.array([u[2:5] for u in USERS]),
        np.array([MODELS.index(u[1]) for u in USERS], np.int8), np.arange(a) * 5,
    )  # fmt: skip
    time = np.arange(steps)[:, None] * 0.1
    x, y, yaw, v = np.array([u[5:] for u in USERS]).T
    vx, vy = v * np.cos(yaw), v * np.sin(yaw)
    states = np.stack(
        [x + vx * time, y + vy * time, yaw + 0 * time, vx + 0 * time, vy + 0 * time], -1
    )
    ego = np.zeros((steps, 11))
    ego[:, 0], ego[:, 1], ego[:, 3] = -40.0 + 9.0 * time[:, 0], -WIDTH_M / 2, 9.0
    lamps = np.zeros((steps, a), np.uint8)
    lamps[:, 0], lamps[:, 1] = BRAKE, LEFT_INDICATOR
    return Episode(
        crossroads(), 5, Vehicle(), actors, ego, np.zeros(steps, np.uint8), states,
        np.ones((steps, a), bool), lamps,
        np.full((steps, 1), Light.RED, np.int8), (0, 1, 2),
    )  # fmt: skip


QUIET = TownOverlay(words=False)
EAST = np.array([20.0, 0.0])
SCALE = 8.0


def painter(episode: Episode) -> TownPainter:
    return TownPainter(episode.town, episode.actors, episode.vehicle, scale=SCALE)


def at(image: U8, x: float, y: float, centre: F64 = EAST) -> tuple[int, ...]:
    """Colour of a place [m] in a frame around a centre."""
    u, v = (
        image.shape[1] // 2 + (x - centre[0]) * SCALE,
        image.shape[0] // 2 - (y - centre[1]) * SCALE,
    )
    return tuple(int(c) for c in image[int(v), int(u)])


def near(color: tuple[int, ...], wanted: Rgb, margin: int = 14) -> bool:
    return max(abs(a - b) for a, b in zip(color, wanted, strict=True)) <= margin


def count(image: U8, color: Rgb) -> int:
    """Pixels of exactly one colour."""
    return int((image == color).all(axis=-1).sum())


def test_a_place_is_where_north_up_and_the_scale_say() -> None:
    episode = drive()
    image = painter(episode).paint(episode.moment(0), EAST, QUIET)
    assert near(at(image, 60.0, -1.75), ASPHALT)
    assert near(at(image, 60.0, 25.0), GRASS, 30)
    assert near(at(image, 60.0, -15.0), GRASS, 30)
    assert image.shape == (640, 960, 3)


def test_a_frame_is_a_window_onto_one_sheet() -> None:
    episode = drive()
    still, one = painter(episode), episode.moment(0)
    left, right = (
        still.paint(one, EAST, QUIET),
        still.paint(one, EAST + np.array([10.0, 5.0]), QUIET),
    )
    np.testing.assert_array_equal(left[:-40, 80:], right[40:, :-80])


def test_moving_a_town_moves_its_picture_so_tiles_have_no_seams(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(town_ground, "SPREAD", 0.0)
    town, step = crossroads(), TILE_PX / 2 / SCALE
    aside = np.array([step, step])
    moved = replace(
        town, lanes=(), signals=(), crosswalks=(), spots=(), footpaths=(), kerbs=(), markings=(),
        drivable=Polygons(town.drivable.vertices + aside, town.drivable.offsets),
        carparks=Polygons(town.carparks.vertices + aside, town.carparks.offsets),
        props=tuple(replace(p, pose=p.pose + np.append(aside, 0.0)) for p in town.props),
    )  # fmt: skip
    here = replace(moved, drivable=town.drivable, carparks=town.carparks, props=town.props)
    half = TILE_PX // 2
    before = town_ground.GroundImage(here, SCALE).crop(-400, -300, 800, 600)
    after = town_ground.GroundImage(moved, SCALE).crop(-400 + half, -300 - half, 800, 600)
    assert np.abs(before.astype(int) - after).max() <= 12, "of 255: strokes are cut at the border"


def test_brake_lamps_and_indicators_light_on_the_car_that_uses_them() -> None:
    episode = drive()
    dark = replace(episode, lamps=np.zeros_like(episode.lamps))
    lit = painter(episode).paint(episode.moment(0), np.zeros(2), QUIET)
    unlit = painter(dark).paint(dark.moment(0), np.zeros(2), QUIET)
    assert near(at(lit, -27.1, -1.15, np.zeros(2)), BRAKING, 60)
    assert count(unlit, BRAKING) == 0 < count(lit, BRAKING)
    assert count(unlit, AMBER) == 0
    west = lit[:, :, :].copy()
    rows, columns = np.nonzero((west == AMBER).all(axis=-1))
    assert len(rows)
    assert (rows > 640 // 2 - 1.75 * SCALE).all(), "it drives west: its left is in the south"
    assert (abs((columns - 480) / SCALE - 10.0) < 3.0).all()


def test_an_indicator_blinks() -> None:
    episode = drive()
    later = episode.moment(round(BLINK_S / 0.1))
    image = painter(episode).paint(later, np.zeros(2), QUIET)
    assert count(image, AMBER) == 0


@pytest.mark.parametrize("light", [Light.RED, Light.AMBER, Light.GREEN])
def test_a_stop_line_shows_its_signal(light: Light) -> None:
    episode = drive()
    moment = replace(episode.moment(0), lights=np.array([light], np.int8))
    image = painter(episode).paint(moment, np.zeros(2), QUIET)
    assert near(at(image, -8.3, -1.75, np.zeros(2)), LIT[light])


def test_the_ego_is_the_one_in_its_colour_and_its_windscreen_is_in_front() -> None:
    episode = drive()
    pose = np.array([0.0, -12.0, np.pi / 2])
    ego = episode.moment(0).ego.copy()
    ego[:3] = pose
    image = painter(episode).paint(replace(episode.moment(0), ego=ego), np.zeros(2), QUIET)
    bonnet, screen = to_outer(np.array([[3.2, 0, 0], [2.1, 0, 0]]), pose)
    assert near(at(image, *bonnet[:2], np.zeros(2)), EGO, 30)
    assert near(at(image, *screen[:2], np.zeros(2)), GLASS, 30)


def test_the_absent_are_not_drawn() -> None:
    episode = drive()
    one = episode.moment(0)
    gone = replace(one, present=np.zeros_like(one.present), states=np.full_like(one.states, np.nan))
    empty = replace(
        one, states=np.zeros((0, 5)), present=np.zeros(0, bool), lamps=np.zeros(0, np.uint8)
    )
    nobody = Actors((), np.zeros(0, np.int8), np.zeros((0, 3)), np.zeros(0, np.int8),
                    np.zeros(0, np.int64))  # fmt: skip
    alone = TownPainter(episode.town, nobody).paint(empty, EAST)
    np.testing.assert_array_equal(painter(episode).paint(gone, EAST), alone)
    assert (painter(episode).paint(one, EAST) != alone).any()


def test_the_same_moment_gives_the_same_picture_whatever_was_painted_before() -> None:
    episode = drive()
    used = painter(episode)
    for centre in ([300.0, 0.0], [-80.0, 70.0]):
        used.paint(episode.moment(3), np.array(centre))
    np.testing.assert_array_equal(
        used.paint(episode.moment(1), EAST), painter(episode).paint(episode.moment(1), EAST)
    )


def test_route_trail_and_plans_lie_where_they_lead() -> None:
    episode = drive()
    straight = np.column_stack([np.arange(1, 9) * 4.0, np.zeros(8), np.zeros(8)])
    plans = np.stack([straight, straight + np.array([0.0, 6.0, 0.0])])
    overlay = TownOverlay(
        route=np.array([[0.0, -30.0], [40.0, -30.0]]), trail=np.array([[0.0, 30.0], [40.0, 30.0]]),
        plans=plans, chosen=0, words=False,
    )  # fmt: skip
    still, one = painter(episode), episode.moment(0)
    with_it, without = still.paint(one, np.zeros(2), overlay), still.paint(one, np.zeros(2), QUIET)
    changed = (with_it != without).any(axis=-1)
    for x, y in ((20.0, -30.0), (20.0, 30.0), (-24.0, -1.75), (-24.0, 4.25)):
        u, v = int(480 + x * SCALE), int(320 - y * SCALE)
        assert changed[v - 3 : v + 3, u - 3 : u + 3].any(), (x, y)
    assert not changed[:60].any()


def test_a_town_that_knows_lanes_alone_is_drawn_on_neutral_ground() -> None:
    town = crossroads()
    bare = Town("bare", 0, town.lanes, Polygons.of([]), derived=("everything",))
    episode = replace(drive(), town=replace(bare, signals=town.signals))
    image = painter(episode).paint(episode.moment(0), EAST, QUIET)
    assert near(at(image, 60.0, -1.75), ASPHALT)
    red, green, blue = at(image, 60.0, 30.0)
    assert max(red, green, blue) - min(red, green, blue) < 20


def test_the_overview_shows_the_whole_town() -> None:
    picture = painter(drive()).overview(800)
    assert max(picture.shape[:2]) in (800, 801)


def test_the_camera_glides_and_stands_where_the_ego_stands() -> None:
    ego = np.zeros((60, 11))
    np.testing.assert_allclose(camera_path(ego), 0.0)
    ego[:, 3] = np.where(np.arange(60) < 30, 10.0, 0.0)  # stops dead
    ego[:, 0] = np.concatenate([[0.0], np.cumsum(ego[:-1, 3]) * 0.1])
    steps = np.linalg.norm(np.diff(camera_path(ego), axis=0), axis=1)
    assert steps.max() < 1.1
    assert np.abs(np.diff(steps)).max() < 1.1, "the car itself leaps by 10 m/s"


def test_sheets_show_every_drive() -> None:
    episode = drive(8)
    assert moments(episode, 2).shape == (640, 2 * 960 + 6, 3)
    sheet = next(many_drives([episode, drive(3)], ["a", "b"], [5]))
    assert sheet.shape == (214, 2 * 320 + 6, 3)
    assert (sheet[:, :320] != sheet[:, -320:]).any(), "the shorter one stands at its last moment"
