"""The pictures are true: boxes, lenses, occlusion, depth, steadiness."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from render_cases import (
    LENSES,
    SIZES,
    edges_of_box,
    front_rig,
    look,
    mask_rectangle,
    moment,
    overlap,
    rectangle,
    seen_from,
    street,
    users,
)  # fmt: skip

from irl_vla.camera.camera import resized
from irl_vla.camera.preprocess import ImageSpec, fitted_cameras
from irl_vla.camera.projection import project, unproject
from irl_vla.camera.rig import Rig, ViewDirection, load_rig
from irl_vla.frames import inverse, move
from irl_vla.world.build import episode_of
from irl_vla.world.episode import MODELS
from irl_vla.world.render.quads import CLASSES, ROAD, SKY, VEHICLE
from irl_vla.world.render.renderer import Renderer, ego_pose
from irl_vla.world.render.vehicles import vehicle
from irl_vla.world.town import Prop

RIGS = Path(__file__).parents[2] / "calibration" / "rigs"
POSES = [
    (22.0, 0.5, 0.0),
    (26.0, -3.0, 3.1),
    (24.0, 2.0, 1.57),
    (30.0, 0.0, 0.7),
    (40.0, 3.0, -0.3),
]
VEHICLES = ("car", "suv", "van", "truck", "bus")


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
    camera = LENSES[lens].cameras[0]
    if lens == "fisheye":  # it sees them so small that half a pixel is two percent
        camera = resized(camera, camera.width * 2, camera.height * 2)
    for model in VEHICLES:
        for pose in POSES:
            assert box_overlap(Rig("one", (camera,)), model, pose) >= 0.95, (model, pose)


def box_overlap(rig: Rig, model: str, pose: tuple[float, float, float]) -> float:
    """IoU of the projected box of one road user with the rectangle around its pixels."""
    found, actors, states = look(rig, (model, pose))
    edges = edges_of_box(actors.sizes[0], states[0])
    pixels = seen_from(rig.cameras[0], edges, ego_pose(moment(states)))
    return overlap(mask_rectangle(found.instance == 0), rectangle(pixels))


@pytest.mark.parametrize("model", ["pedestrian", "bicycle"])
def test_people_are_as_tall_as_their_boxes_and_stand_in_them(model: str) -> None:
    """Their boxes are square on the ground, they are not: they do not fill them sideways."""
    rig = LENSES["no distortion"]
    for yaw in (0.0, 0.8, 1.57, 3.1):
        found, actors, states = look(rig, (model, (12.0, -1.0, yaw)))
        edges = edges_of_box(actors.sizes[0], states[0])
        box = rectangle(seen_from(rig.cameras[0], edges, ego_pose(moment(states))))
        mask = mask_rectangle(found.instance == 0)
        wide, high = box[2] - box[0], box[3] - box[1]
        assert abs(mask[1] - box[1]) < 0.03 * high and abs(mask[3] - box[3]) < 0.1 * high
        assert mask[0] > box[0] - 0.05 * wide and mask[2] < box[2] + 0.05 * wide
        assert abs((mask[0] + mask[2]) - (box[0] + box[2])) < 0.25 * wide


def test_boxes_of_a_drive_coincide_with_the_masks_of_whoever_is_wholly_seen() -> None:
    """Whose mask touches nobody else's, no edge, and nothing nearer than itself."""
    rig = Rig(
        "one", fitted_cameras(load_rig(RIGS / "nuscenes_like6.yaml"), ImageSpec(704, 256))[:1]
    )
    camera, areas = rig.cameras[0], []
    for seed in (1, 2, 9):
        episode = episode_of(seed)
        renderer = Renderer(episode.town, episode.actors, rig, seed)
        for step in range(0, len(episode), 10):
            now = episode.moment(step)
            found = renderer.measure(now)[camera.name]
            for index in np.unique(found.instance[found.instance >= 0]):
                if MODELS[episode.actors.models[index]] not in VEHICLES:
                    continue
                mask = found.instance == index
                x0, y0, x1, y1 = (round(v) for v in mask_rectangle(mask))
                if min(x0, y0) < 3 or x1 > 700 or y1 > 252 or y1 - y0 < 20:
                    continue
                rim = np.zeros_like(mask)
                rim[y0 - 2 : y1 + 3, x0 - 2 : x1 + 3] = True
                if (found.depth[rim & ~mask] < found.depth[mask].max() - 0.5).mean() > 0.35:
                    continue  # hidden: what is around it is not the ground that it stands on
                edges = edges_of_box(episode.actors.sizes[index], now.states[index])
                areas.append(
                    overlap(
                        mask_rectangle(mask), rectangle(seen_from(camera, edges, ego_pose(now)))
                    )
                )
    assert len(areas) > 15 and np.median(areas) > 0.95, areas


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
    rigs = [front_rig(look=ViewDirection(yaw_deg=3.0)), LENSES["fisheye"], LENSES["barrel"]]
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


def test_what_stands_keeps_its_colour_from_one_picture_to_the_next() -> None:
    """No flicker, no popping, no swapped textures: pixels are followed by their own depth."""
    rig = Rig(
        "one", fitted_cameras(load_rig(RIGS / "nuscenes_like6.yaml"), ImageSpec(704, 256))[:1]
    )
    camera, episode = rig.cameras[0], episode_of(2)
    v, u = np.mgrid[0 : camera.height, 0 : camera.width]
    rays = unproject(camera, np.stack([u, v], axis=-1).astype(float))
    renderer = Renderer(episode.town, episode.actors, rig, 2, "full")
    before = None
    for step in range(0, 60, 3):
        now = episode.moment(step)
        picture, truth = renderer.render(now)[camera.name].astype(int), renderer.measure(now)
        place, seen = ego_pose(now) @ camera.ego_from_cam, truth[camera.name]
        if before is not None:
            picture_0, seen_0, place_0 = before
            still = (seen_0.instance < 0) & np.isfinite(seen_0.depth) & (seen_0.semantic > 4)
            points = move(rays / rays[..., 2:] * np.where(still, seen_0.depth, 1.0)[..., None],
                          inverse(place) @ place_0)  # fmt: skip
            at = np.nan_to_num(project(camera, points[still]).pixels, nan=-9.0).round().astype(int)
            inside = (at > 1).all(axis=1) & (at[:, 0] < 702) & (at[:, 1] < 254)
            at, depth, old = at[inside], points[still][inside][:, 2], picture_0[still][inside]
            shown = np.abs(seen.depth[at[:, 1], at[:, 0]] - depth) < 0.02 * depth
            near = [np.abs(picture[at[:, 1] + y, at[:, 0] + x] - old).max(axis=1)
                    for y in (-1, 0, 1) for x in (-1, 0, 1)]  # fmt: skip
            changed = np.min(near, axis=0)[shown]
            assert shown.sum() > 3000 and shown.mean() > 0.85, step
            assert (changed > 40).mean() < 0.01 and np.median(changed) < 12, step
        before = picture, seen, place


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
