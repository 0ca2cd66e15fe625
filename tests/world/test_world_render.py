"""The pictures are true: boxes, lenses, occlusion, depth, lamps, sameness."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from render_cases import LENSES, SIZES, front_rig, moment, street, users

from irl_vla.camera.camera import Camera
from irl_vla.camera.projection import project, unproject
from irl_vla.camera.rig import Look, Rig, load_rig
from irl_vla.frames import inverse, move, rigid_from_pose
from irl_vla.types import F64, InputError
from irl_vla.world.episode import BRAKE, LEFT_INDICATOR, RIGHT_INDICATOR, Actors
from irl_vla.world.render.quads import CLASSES, ROAD, SKY, VEHICLE
from irl_vla.world.render.renderer import Measured, Renderer, ego_pose
from irl_vla.world.render.vehicles import vehicle
from irl_vla.world.town import Light, Prop

RIGS = Path(__file__).parents[2] / "calibration" / "rigs"
POSES = [
    (22.0, 0.5, 0.0),
    (26.0, -3.0, 3.1),
    (24.0, 2.0, 1.57),
    (30.0, 0.0, 0.7),
    (40.0, 3.0, -0.3),
]
VEHICLES = ("car", "suv", "van", "truck", "bus")


def box_corners(size: F64, state: F64) -> F64:
    """(8, 3) in the world."""
    signs = np.array([(x, y, z) for x in (-0.5, 0.5) for y in (-0.5, 0.5) for z in (0.0, 1.0)])
    return move(signs * size, rigid_from_pose(state[:3]))


def edges_of_box(size: F64, state: F64, count: int = 40) -> F64:
    """(12 count, 3) points along all edges: a bent lens bends them."""
    corners = box_corners(size, state)
    pairs = [(a, b) for a in range(8) for b in range(a) if (a ^ b).bit_count() == 1]
    share = np.linspace(0, 1, count)[:, None]
    return np.concatenate([corners[a] + share * (corners[b] - corners[a]) for a, b in pairs])


def seen_from(camera: Camera, points: F64, now_ego: F64) -> F64:
    """(n, 2) pixels of points in the world."""
    cam_from_world = inverse(now_ego @ camera.ego_from_cam)
    return project(camera, move(points, cam_from_world)).pixels


def rectangle(pixels: F64) -> tuple[float, float, float, float]:
    return (*pixels.min(axis=0), *pixels.max(axis=0))


def overlap(a: tuple[float, ...], b: tuple[float, ...]) -> float:
    """IoU of two rectangles."""
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    both = max(width, 0.0) * max(height, 0.0)
    areas = [(r[2] - r[0]) * (r[3] - r[1]) for r in (a, b)]
    return float(both / (sum(areas) - both))


def mask_rectangle(mask: np.ndarray) -> tuple[float, float, float, float]:
    """Outer edges of the pixels of a mask."""
    rows, columns = np.nonzero(mask)
    return columns.min() - 0.5, rows.min() - 0.5, columns.max() + 0.5, rows.max() + 0.5


def look(rig: Rig, *who: tuple[str, tuple[float, float, float]]) -> tuple[Measured, Actors, F64]:
    actors, states = users(*who)
    now = moment(states)
    return Renderer(street(), actors, rig, 3).measure(now)[rig.names[0]], actors, states


@pytest.mark.parametrize("lens", LENSES)
@pytest.mark.parametrize("yaw", [0.0, 0.6, 1.57, 2.5, 3.14])
def test_a_box_covers_exactly_the_pixels_that_its_corners_enclose(lens: str, yaw: float) -> None:
    rig = LENSES[lens]
    for place in ((9.0, 1.5), (14.0, -4.0), (20.0, 2.0)):
        found, actors, states = look(rig, ("object", (*place, yaw)))
        edges = seen_from(
            rig.cameras[0], edges_of_box(actors.sizes[0], states[0]), ego_pose(moment(states))
        )
        area = overlap(mask_rectangle(found.instance == 0), rectangle(edges))
        assert area >= 0.95, (place, area)


@pytest.mark.parametrize("lens", LENSES)
def test_vehicles_fill_their_ground_truth_boxes(lens: str) -> None:
    """Head-on the wheels stand behind the bumper: there a few percent of the box stay empty."""
    rig, areas = LENSES[lens], []
    for model in VEHICLES:
        for pose in POSES:
            found, actors, states = look(rig, (model, pose))
            edges = seen_from(
                rig.cameras[0], edges_of_box(actors.sizes[0], states[0]), ego_pose(moment(states))
            )
            areas.append(overlap(mask_rectangle(found.instance == 0), rectangle(edges)))
    assert np.median(areas) >= 0.95, areas
    assert min(areas) >= 0.88, areas


@pytest.mark.parametrize("model", VEHICLES)
def test_meshes_are_as_large_as_the_boxes_and_stand_on_the_ground(model: str) -> None:
    actors, _ = users((model, (0.0, 0.0, 0.0)))
    low, high = (bound for bound in vehicle(model, actors.sizes[0], 5).bounds)
    extent = high.max(axis=0) - low.min(axis=0)
    assert np.abs(extent - np.array(SIZES[model])).max() < 0.03
    assert abs(low[:, 2].min()) < 0.05, "a wheel gap"
    assert np.abs((high.max(axis=0) + low.min(axis=0))[:2]).max() < 0.03, "off its middle"


def test_wheels_touch_the_ground_in_the_picture() -> None:
    found, _, _ = look(front_rig(), ("car", (10.0, 0.0, 1.57)))
    mask = found.instance == 0
    rows = np.nonzero(mask.any(axis=1))[0]
    camera = front_rig().cameras[0]
    column = int(np.median(np.nonzero(mask[rows.max()])[0]))
    ray = unproject(camera, np.array([column, rows.max() + 0.5]))  # under the lowest pixel
    point = move(ray / ray[2] * found.depth[rows.max(), column], camera.ego_from_cam)
    assert abs(point[2]) < 0.05, "a wheel gap"


@pytest.mark.parametrize("lens", LENSES)
def test_depth_of_the_ground_is_where_the_ray_meets_it(lens: str) -> None:
    rig = LENSES[lens]
    camera = rig.cameras[0]
    found, _, _ = look(rig)
    v, u = np.mgrid[0 : camera.height : 7, 0 : camera.width : 7]
    rays = unproject(camera, np.stack([u, v], axis=-1).astype(float))
    depth = found.depth[v, u]
    there = np.isfinite(depth) & np.isfinite(rays).all(axis=-1)
    points = move(
        rays / rays[..., 2:] * np.where(there, depth, 1.0)[..., None], camera.ego_from_cam
    )
    assert np.abs(points[there][:, 2]).max() < 1e-3
    assert there.mean() > 0.3


def test_two_rigs_agree_where_things_stand() -> None:
    who = [("car", (18.0, 2.0, 0.2)), ("truck", (30.0, -3.0, 0.0)), ("pedestrian", (12.0, -4.0, 1))]
    rigs = [front_rig(look=Look(yaw_deg=3.0)), LENSES["fisheye"], LENSES["barrel"]]
    places = []
    for rig in rigs:
        found, _, states = look(rig, *who)
        camera, feet = rig.cameras[0], []
        for index in range(len(who)):
            v, u = np.nonzero(found.instance == index)
            rays = unproject(camera, np.stack([u, v], axis=-1).astype(float))
            points = rays / rays[:, 2:] * found.depth[v, u][:, None]
            world = move(points, ego_pose(moment(states)) @ camera.ego_from_cam)
            low = world[:, 2] < 0.3  # what touches the ground
            feet.append(world[low, :2].mean(axis=0))
        places.append(feet)
    for other in places[1:]:
        assert np.abs(np.array(other) - np.array(places[0])).max() < 0.35


def test_the_nearer_one_is_seen() -> None:
    for order in (("car", "truck"), ("truck", "car")):
        near, far = ((name, (x, 0.0, 0.0)) for name, x in zip(order, (10.0, 24.0), strict=True))
        for who, nearest in (((near, far), 0), ((far, near), 1)):
            found, _, _ = look(front_rig(), *who)
            hidden = [found.instance == k for k in (0, 1)]
            middle = found.depth[hidden[nearest]].mean()
            assert middle < found.depth[hidden[1 - nearest]].mean()
            rows, columns = np.nonzero(hidden[nearest])
            box = found.instance[rows.min() + 3 : rows.max() - 3, columns.min() : columns.max()]
            body = box[len(box) // 2 :]
            assert (body == 1 - nearest).mean() < 0.02, "the far one shines through"


def test_a_wall_hides_and_a_post_hides_little() -> None:
    wall = Prop("building", np.array([14.0, 0.0, 0.0]), np.array([2.0, 12.0, 6.0]), 3)
    actors, states = users(("car", (24.0, 0.0, 0.0)))
    found = Renderer(street(wall), actors, front_rig(), 3).measure(moment(states))["front"]
    assert not (found.instance == 0).any()
    assert CLASSES[int(found.semantic[200, 352])] == "building"


def test_classes_say_what_is_there() -> None:
    found, _, _ = look(front_rig(), ("car", (12.0, 0.0, 0.0)))
    assert found.semantic[5, 5] == SKY and np.isinf(found.depth[5, 5])
    assert (found.semantic[found.instance == 0] == VEHICLE).all()
    assert (found.semantic[330:, 200:500] == ROAD).mean() > 0.8


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
    for step in range(60):
        now = renderer.render(moment(states, lamps=LEFT_INDICATOR, time_s=step / 30))["front"]
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
from test_world_render import drawn
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


def test_legs_move_with_the_way_walked_and_rest_when_standing() -> None:
    actors, states = users(("pedestrian", (8.0, -1.0, 1.57)))
    renderer = Renderer(street(), actors, front_rig(), 3)

    def shape(along: float, speed: float) -> np.ndarray:
        moved = states.copy()
        moved[0, 1] += along
        moved[0, 4] = speed
        # the camera goes along, so that only the limbs move in the picture
        return renderer.measure(moment(moved, ego=(0.0, -1.75 + along, 0.0)))["front"].instance == 0

    walking = [shape(k * 0.36, 1.4) for k in range(3)]
    assert max((walking[0] != other).sum() for other in walking[1:]) > 60
    standing = [shape(k * 0.36, 0.0) for k in range(3)]
    assert max((standing[0] != other).sum() for other in standing[1:]) < 30


@pytest.mark.parametrize("rig", ["tiny3", "nuscenes_like6", "navsim_like8"])
def test_all_shipped_rigs_can_be_drawn(rig: str) -> None:
    actors, states = users(("car", (12.0, 1.75, 3.1)))
    loaded = load_rig(RIGS / f"{rig}.yaml")
    pictures = Renderer(street(), actors, loaded, 1).render(moment(states))
    for camera in loaded.cameras:
        assert pictures[camera.name].shape == (camera.height, camera.width, 3)
        assert pictures[camera.name].std() > 5


@pytest.mark.parametrize(
    "look_at, words",
    [(Look(pitch_deg=-60.0), "only sky"), (Look(pitch_deg=-25.0), "only sky")],
)
def test_a_camera_that_sees_only_sky_is_refused(look_at: Look, words: str) -> None:
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
