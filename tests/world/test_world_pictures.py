"""Pictures: lamps, weather, sameness, all shipped rigs; rigs that cannot see are refused."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from render_cases import LENSES, front_rig, moment, seen_from, street, users

from irl_vla.camera.camera import Camera, resized
from irl_vla.camera.rig import Rig, ViewDirection, load_rig
from irl_vla.types import InputError
from irl_vla.world.episode import BRAKE, LEFT_INDICATOR, RIGHT_INDICATOR
from irl_vla.world.render.renderer import Renderer, ego_pose
from irl_vla.world.render.weather import weather_of
from irl_vla.world.town import Light, Prop

RIGS = Path(__file__).parents[2] / "calibration" / "rigs"


@pytest.mark.parametrize("quality", ["plain", "full"])
def test_brake_lights_and_indicators_light(quality: str) -> None:
    actors, states = users(("car", (14.0, -1.75, 0.0)), looks=8)
    renderer = Renderer(street(), actors, front_rig(), 4, quality)  # type: ignore[arg-type]
    dark = renderer.render(moment(states))["front"].astype(int)
    braking = renderer.render(moment(states, lamps=BRAKE))["front"].astype(int)
    changed = np.abs(braking - dark).max(axis=-1) > 40
    rows, columns = np.nonzero(changed)
    assert len(rows) > 60 and (braking - dark)[changed][:, 0].mean() > 60, "redder"
    middle = (columns.min() + columns.max()) / 2
    assert abs(middle - 351.5) < 3, "both sides"
    for lamp, side in ((LEFT_INDICATOR, -1), (RIGHT_INDICATOR, 1)):
        lit = renderer.render(moment(states, lamps=lamp))["front"].astype(int)
        where = np.nonzero(np.abs(lit - dark).max(axis=-1) > 40)[1]
        assert len(where) > 10 and np.all(np.sign(where - middle) == side)


def test_indicators_blink_one_and_a_half_times_a_second() -> None:
    actors, states = users(("car", (14.0, -1.75, 0.0)))
    renderer = Renderer(street(), actors, front_rig(), 4)
    dark = renderer.render(moment(states))["front"].astype(int)
    lit = []
    for step in range(30):
        now = renderer.render(moment(states, lamps=LEFT_INDICATOR, time_s=step / 15))["front"]
        lit.append((np.abs(now.astype(int) - dark).max(axis=-1) > 60).sum() > 5)
    changes = np.count_nonzero(np.diff(np.array(lit, int)))
    assert lit[0] and changes in (5, 6)  # two seconds: three times on, three times off


def test_signals_show_their_light() -> None:
    actors, states = users()
    renderer = Renderer(street(heads=[(25.0, -3.0, 3.0, np.pi)]), actors, front_rig(), 5, "full")
    camera = front_rig().cameras[0]
    at = [
        seen_from(camera, np.array([[24.7, -3.0, 3.0 + dz]]), ego_pose(moment(states)))[0]
        for dz in (0.44, 0.0, -0.44)
    ]
    lamps = {}
    for light in (Light.RED, Light.AMBER, Light.GREEN):
        picture = renderer.render(moment(states, light=light))["front"].astype(int)
        lamps[light] = [picture[round(v), round(u)] for u, v in at]
    for place, light in enumerate((Light.RED, Light.AMBER, Light.GREEN)):
        brightness = [lamps[other][place].max() for other in lamps]
        assert brightness[place] > 180 and sorted(brightness)[1] < 130, light
    assert lamps[Light.RED][0][0] > lamps[Light.RED][0][1] + 80
    assert lamps[Light.GREEN][2][1] > lamps[Light.GREEN][2][0] + 80


SAME = """
import hashlib, sys
sys.path.insert(0, {here!r})
from test_world_pictures import drawn
print(drawn())
"""


def drawn() -> str:
    """A hash of several pictures."""
    actors, states = users(
        ("car", (12.0, 1.75, 3.1)), ("pedestrian", (9.0, -4.0, 1.0)), ("bus", (30.0, -1.75, 0.0))
    )
    house = Prop("building", np.array([20.0, 14.0, 0.0]), np.array([12.0, 9.0, 9.0]), 11)
    tree = Prop("tree", np.array([16.0, -8.0, 0.0]), np.array([4.0, 4.0, 6.0]), 12)
    digest = hashlib.sha256()
    renderer = Renderer(street(house, tree), actors, LENSES["barrel"], 21, "full")
    for step in range(3):
        now = moment(states, lamps=3, time_s=step / 10, ego=(0.4 * step, -1.75, 0.01))
        digest.update(renderer.render(now)["front"].tobytes())
    return digest.hexdigest()


def test_the_same_seed_gives_the_same_bytes_in_another_process() -> None:
    text = SAME.format(here=str(Path(__file__).parent))
    other = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, check=True)
    assert other.stdout.strip() == drawn()


def test_a_picture_does_not_depend_on_what_was_drawn_before() -> None:
    actors, states = users(("car", (60.0, 1.75, 3.1)))
    there, away = (moment(states, ego=(x, -1.75, 0.2)) for x in (40.0, -120.0))
    first = Renderer(street(), actors, front_rig(), 7)
    fresh = first.render(there)["front"]
    for x in range(-120, 121, 20):
        first.render(moment(states, ego=(float(x), 0.0, 0.0)))
    first.render(away)
    assert np.array_equal(first.render(there)["front"], fresh)


def test_seeds_differ_in_weather_and_the_noise_moves() -> None:
    actors, states = users()
    pictures = [
        Renderer(street(), actors, front_rig(), seed).render(moment(states))["front"].astype(int)
        for seed in range(6)
    ]
    means = np.array([picture.mean(axis=(0, 1)) for picture in pictures])
    assert np.ptp(means, axis=0).max() > 15
    renderer = Renderer(street(), actors, front_rig(), 3)
    a, b = (renderer.render(moment(states, time_s=t))["front"].astype(int) for t in (0.0, 0.1))
    assert 0.3 < (a - b).std() < 12, "only the noise differs while all stands still"


def test_full_quality_changes_nothing_but_edges() -> None:
    actors, states = users()
    plain, full = (
        Renderer(street(), actors, front_rig(), 9, quality).render(moment(states))["front"]
        for quality in ("plain", "full")  # type: ignore[arg-type]
    )
    assert np.array_equal(plain, full), "an empty street has no edges"


def test_a_car_throws_a_shadow_in_the_sun_and_none_in_the_shade() -> None:
    seed = next(k for k in range(99) if weather_of(k).sky.name == "clear")
    to_sun = weather_of(seed).to_sun[:2] / np.hypot(*weather_of(seed).to_sun[:2])
    house = Prop("building", np.array([*(14.0, -1.75) + 14.0 * to_sun, np.arctan2(*to_sun[::-1])]),
                 np.array([8.0, 30.0, 40.0]), 3)  # fmt: skip
    darker = []
    for town in (street(), street(house)):
        actors, states = users(("car", (14.0, -1.75, 0.0)))
        renderer = Renderer(town, actors, front_rig(), seed)
        away = states.copy()
        away[0, 0] = -50.0
        ground = renderer.measure(moment(states))["front"].instance < 0
        there, gone = (renderer.render(moment(s))["front"].astype(int) for s in (states, away))
        less = (gone - there).mean(axis=-1)[ground]
        darker.append(int((less > 12).sum()))
    assert darker[0] > 4 * darker[1], darker


def test_haze_is_never_brighter_than_a_picture_can_be() -> None:
    assert max(weather_of(seed).haze.max() for seed in range(300)) <= 255.0


@pytest.mark.parametrize("rig", ["tiny3", "nuscenes_like6", "navsim_like8"])
def test_all_shipped_rigs_can_be_drawn(rig: str) -> None:
    actors, states = users(("car", (12.0, 1.75, 3.1)))
    cameras = load_rig(RIGS / f"{rig}.yaml").cameras
    halved = Rig("half", tuple(resized(c, c.width // 2, c.height // 2) for c in cameras))
    pictures = Renderer(street(), actors, halved, 1).render(moment(states))
    for camera in halved.cameras:
        assert pictures[camera.name].shape == (camera.height, camera.width, 3)
        assert pictures[camera.name].std() > 5


@pytest.mark.parametrize(
    "look_at, words",
    [(ViewDirection(pitch_deg=-60.0), "only sky"), (ViewDirection(pitch_deg=-25.0), "only sky")],
)
def test_a_camera_that_sees_only_sky_is_refused(look_at: ViewDirection, words: str) -> None:
    actors, _ = users()
    with pytest.raises(InputError, match=words):
        Renderer(street(), actors, front_rig(look=look_at), 1)


def test_a_camera_below_the_ground_is_refused() -> None:
    actors, _ = users()
    mounted = front_rig().cameras[0].ego_from_cam.copy()
    mounted[2, 3] = -0.2
    camera = front_rig().cameras[0]
    low = Camera("low", 704, 400, camera.model, camera.intrinsics, (), mounted)
    with pytest.raises(InputError, match=r"'low'.*above the ground"):
        Renderer(street(), actors, Rig("low", (low,)), 1)


@pytest.mark.parametrize("size, focal", [((0, 256), 550.0), ((704, 256), 1.0), ((704, 256), 1e6)])
def test_empty_pictures_and_absurd_fields_of_view_are_refused(
    size: tuple[int, int], focal: float
) -> None:
    actors, _ = users()
    with pytest.raises(InputError):
        Renderer(street(), actors, front_rig(size=size, focal=focal), 1)
