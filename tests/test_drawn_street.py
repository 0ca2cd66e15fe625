"""The drawn street: what is painted lies where its geometry says."""

from __future__ import annotations

import numpy as np
from drawn_street import PAINT, DrawnStreet

from irl_vla.camera.camera import Camera, CameraModel
from irl_vla.camera.projection import project
from irl_vla.camera.rig import Rig
from irl_vla.frames import inverse, move, pose_of, rigid_from_pose
from irl_vla.types import SECOND_NS

FRONT = Camera(
    name="front", width=640, height=360, model=CameraModel.PLUMB_BOB,
    intrinsics=np.array([[460.0, 0, 319.5], [0, 460.0, 179.5], [0, 0, 1]]),
    distortion=np.zeros(5),
    ego_from_cam=np.array(
        [[0, 0, 1, 1.7], [-1.0, 0, 0, 0], [0, -1, 0, 1.5], [0, 0, 0, 1]]
    ),
)  # fmt: skip


def test_the_edge_line_is_painted_where_the_lane_ends() -> None:
    street = DrawnStreet(bend=0.0)
    image = street.paint(FRONT, inverse(rigid_from_pose(street.pose(0.0))))
    left_edge = 3.5 + 1.75 - 0.025  # middle of the left edge line, from the ego's lane
    for ahead in (10.0, 20.0):
        point = move(np.array([ahead, left_edge, 0.0]), inverse(FRONT.ego_from_cam))
        u, v = np.round(project(FRONT, point).pixels).astype(int)
        np.testing.assert_allclose(image[v, u], PAINT, atol=40)


def test_the_odometry_is_the_derivative_of_the_poses() -> None:
    street, start = DrawnStreet(), 5 * SECOND_NS
    first = street.motion(start + 2 * SECOND_NS, start)
    later = street.motion(start + 2 * SECOND_NS + 20_000_000, start)
    step = pose_of(inverse(first.world_from_ego) @ later.world_from_ego)
    assert first.twist is not None
    # the road is a chain of 1 m chords: their ends are off the heading by up to k v 1 m = 0.16
    np.testing.assert_allclose(step[:2] / 0.02, first.twist[:2], atol=0.17)
    np.testing.assert_allclose(step[2] / 0.02, first.twist[2], atol=0.02)


def test_the_same_street_gives_the_same_pictures() -> None:
    rig = Rig("one", (FRONT,))
    first, again, other = (
        next(DrawnStreet(seed=seed).pictures(rig, SECOND_NS, 0)).encoded for seed in (1, 1, 2)
    )
    assert first == again != other


def test_parked_cars_stand_beside_the_road_not_on_it() -> None:
    street = DrawnStreet()
    cars = street.parked[0]
    distance = np.linalg.norm(cars[:, None, :2] - street.centre[None, :, :2], axis=-1).min(axis=1)
    assert distance.min() > 4.0 + 0.9  # half of the asphalt and of the car
