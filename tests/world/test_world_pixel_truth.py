"""What every pixel is known to be: whose obstacle, which lamp, and through whose eyes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from render_cases import front_rig, moment, seen_from, street, users

from irl_vla.camera.rig import ViewDirection
from irl_vla.scoring.scene import AGENT_TYPES
from irl_vla.world.closed_lanes import closed_lanes
from irl_vla.world.render.quads import OBSTACLE, ROAD
from irl_vla.world.render.renderer import Quality, Renderer, ego_pose
from irl_vla.world.town import Light, Prop

CONE = Prop("traffic_cone", np.array([9.0, -1.0, 0.0]), np.array([0.35, 0.35, 0.75]))
HEAD = (25.0, -3.0, 3.0, np.pi)  # faces the ego


def test_an_obstacle_that_is_a_road_user_too_has_pixels_of_its_own() -> None:
    """Drawn as a prop as well, it would hide itself: no pixel would tell whose it is."""
    actors, states = users(("object", (9.0, -1.0, 0.0)))
    sizes, kind = CONE.size[None], AGENT_TYPES.index("traffic_cone")
    actors = replace(actors, sizes=sizes, types=np.array([kind], np.int8))
    found = Renderer(street(CONE), actors, front_rig(), 3).measure(moment(states))["front"]
    mine = found.instance == 0
    assert mine.sum() > 100
    assert (mine == (found.semantic == OBSTACLE)).all()


def test_a_prop_that_is_nobody_is_still_drawn() -> None:
    actors, states = users()
    found = Renderer(street(CONE), actors, front_rig(), 3).measure(moment(states))["front"]
    assert (found.semantic == OBSTACLE).sum() > 100 and (found.instance < 0).all()


def test_pixels_of_a_signal_s_face_say_what_it_shows() -> None:
    actors, states = users()
    renderer, camera = (
        Renderer(street(heads=[HEAD]), actors, front_rig(), 5),
        front_rig().cameras[0],
    )
    middle = seen_from(camera, np.array([[24.7, -3.0, 3.0]]), ego_pose(moment(states)))[0]
    u, v = (round(float(at)) for at in middle)
    counts = []
    for light in (Light.RED, Light.AMBER, Light.GREEN, Light.OFF):
        lamp = renderer.measure(moment(states, light=light))["front"].lamp
        assert lamp[v, u] == light
        assert set(np.unique(lamp)) <= {Light.OFF, light}, "no other pixel shows anything"
        counts.append(int((lamp == light).sum()))
    assert counts[0] == counts[1] == counts[2] > 40, "the whole face, whichever lamp is lit"


def test_a_signal_seen_from_behind_shows_nothing() -> None:
    actors, states = users()
    renderer = Renderer(street(heads=[(25.0, -3.0, 3.0, 0.0)]), actors, front_rig(), 5)
    assert not renderer.measure(moment(states, light=Light.RED))["front"].lamp.any()


def test_another_rig_s_pictures_are_those_of_a_renderer_of_its_own() -> None:
    actors, states = users(("car", (14.0, 1.0, 0.3)))
    other = front_rig(focal=700.0, look=ViewDirection(yaw_deg=8.0), size=(320, 200))
    town, now = street(CONE, heads=[HEAD]), moment(states)
    shared = Renderer(town, actors, front_rig(), 5)
    shared.render(now)
    twin, alone = shared.through(other), Renderer(town, actors, other, 5)
    assert np.array_equal(twin.render(now)["front"], alone.render(now)["front"])
    assert np.array_equal(twin.measure(now)["front"].depth, alone.measure(now)["front"].depth)
    assert shared.render(now)["front"].shape == (400, 704, 3)


@pytest.mark.parametrize("quality", ["plain", "full"])
def test_observing_gives_what_rendering_and_measuring_give(quality: Quality) -> None:
    actors, states = users(("car", (14.0, 1.0, 0.3)))
    renderer = Renderer(street(CONE, heads=[HEAD]), actors, front_rig(), 5, quality)
    now = moment(states)
    picture, truth = renderer.observe(now)["front"]
    assert np.array_equal(picture, renderer.render(now)["front"])
    for name, value in vars(renderer.measure(now)["front"]).items():
        assert np.array_equal(getattr(truth, name), value), name


def test_bare_ground_is_told_at_any_place() -> None:
    actors, _ = users()
    renderer = Renderer(street(), actors, front_rig(), 5)
    kinds = renderer.ground(np.array([(0.0, -1.75), (50.0, 2.0), (0.0, 30.0), (0.0, 1e5)]))
    assert kinds[0] == kinds[1] == ROAD and (kinds[2:] != ROAD).all()


def test_a_red_light_closes_what_lies_ahead_and_is_entered_this_way() -> None:
    town = street(heads=[HEAD])
    lane = replace(town.lanes[0], signal=0, junction=0)
    back = replace(lane, id="back", centre=lane.centre[::-1] + np.array([0.0, 3.5, np.pi]))
    town, (_, states) = replace(town, lanes=(lane, back)), users()

    def closed(x: float, yaw: float, light: int) -> tuple[int, ...]:
        return closed_lanes(town, moment(states, ego=(x, -1.75, yaw), light=light))

    assert closed(-160.0, 0.0, Light.RED) == (0,)
    assert closed(-160.0, 0.0, Light.GREEN) == closed(-160.0, 0.0, Light.AMBER) == ()
    assert closed(-140.0, 0.0, Light.RED) == (), "it is entered already"
    assert closed(160.0, np.pi, Light.RED) == (1,), "the oncoming lane, for who comes that way"
    assert closed(-160.0, np.pi / 2, Light.RED) == (), "others enter it"
