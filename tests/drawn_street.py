"""A drawn street: one car on a bending road with parked cars, seen by any rig.

It serves tests that need pictures with known geometry: flat ground, flat colours, no traffic,
nobody reacts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np

from irl_vla.bag.bag_writer import BagWriter
from irl_vla.camera.camera import Camera
from irl_vla.camera.projection import project
from irl_vla.camera.rig import Rig, load_rig
from irl_vla.frames import inverse, move, rigid_from_pose, to_inner, to_outer
from irl_vla.resources import resource
from irl_vla.types import F64, SECOND_NS, U8, Boxes3D, CameraImage, EgoMotion

Rgb = tuple[int, int, int]

TYRE: Rgb = (26, 27, 30)
LEAVES, TRUNK, WALLS = (
    (62, 104, 58),
    (92, 72, 54),
    ((190, 170, 142), (168, 148, 138), (204, 196, 182)),
)
GRASS, ASPHALT, KERB, PAINT = (96, 124, 78), (84, 86, 90), (150, 150, 146), (232, 232, 224)
SKY_TOP, SKY_LOW = (104, 150, 206), (206, 222, 236)
CAR_COLOURS = ((176, 58, 46), (40, 84, 140), (222, 224, 226), (58, 62, 68), (196, 152, 60))
LANE_M, HALF_ROAD_M = 3.5, 4.0  # lane width; half of the asphalt
STEP_M = 1.0  # length of the pieces that the road is painted with
SEAM_M = 0.05  # by which they overlap
FAR_M, BEHIND_M = 90.0, 30.0  # how much of the road is painted, from the ego
CAR_SIZE = (4.4, 1.8, 1.5)  # [m] length, width, height
NEAR_M = 0.3  # nothing closer to a camera's plane is painted


@dataclass(frozen=True, kw_only=True)
class DrawnStreet:
    """Road whose curvature swings left and right; the ego drives in its right lane.

    speed: of the ego [m/s]; bend: greatest curvature [1/m]; wavelength: of the bends [m]
    """

    seed: int = 0
    speed: float = 9.0
    bend: float = 0.018
    wavelength: float = 160.0
    length: float = 600.0

    @cached_property
    def centre(self) -> F64:
        """(n, 3) poses of the road's middle, STEP_M apart; the ego starts BEHIND_M along it."""
        along = np.arange(0.0, self.length, STEP_M)
        curvature = self.bend * np.sin(2 * np.pi * (along - BEHIND_M) / self.wavelength)
        yaw = np.cumsum(curvature) * STEP_M
        x, y = np.cumsum(np.cos(yaw)) * STEP_M, np.cumsum(np.sin(yaw)) * STEP_M
        return np.stack([x, y, yaw], axis=-1)

    def pose(self, time_s: float) -> F64:
        """(3,) the ego in the world, in the middle of the right lane."""
        return to_outer(np.array([0.0, -LANE_M / 2, 0.0]), self._at(BEHIND_M + self.speed * time_s))

    def motion(self, stamp_ns: int, start_ns: int) -> EgoMotion:
        """What an odometry would measure, exactly."""
        time_s = (stamp_ns - start_ns) / SECOND_NS
        before, after = self.pose(time_s - 0.05), self.pose(time_s + 0.05)
        step = to_inner(after, before)
        velocity = (np.hypot(step[0], step[1]) / 0.1, 0.0, step[2] / 0.1)
        world_from_ego = rigid_from_pose(self.pose(time_s))
        return EgoMotion(stamp_ns, world_from_ego, np.array(velocity), "drawn street")

    def _at(self, along: float) -> F64:
        """Pose of the middle at a distance along it; piecewise linear."""
        index = np.arange(len(self.centre)) * STEP_M
        return np.array([np.interp(along, index, column) for column in self.centre.T])

    @cached_property
    def parked(self) -> tuple[F64, tuple[Rgb, ...]]:
        """(n, 3) poses of parked cars in the world, and their colours."""
        rng = np.random.default_rng(self.seed)
        along = np.arange(BEHIND_M + 14.0, self.length - 10.0, 11.0)
        along = along[rng.random(len(along)) < 0.55]
        side = np.where(rng.random(len(along)) < 0.6, -1.0, 1.0)
        poses = np.stack([
            to_outer(np.array([0.0, s * (HALF_ROAD_M + 1.2), np.pi * (s > 0)]), self._at(a))
            for a, s in zip(along, side, strict=True)
        ])  # fmt: skip
        picked = rng.integers(0, len(CAR_COLOURS), len(along))
        return poses, tuple(CAR_COLOURS[k] for k in picked)

    @cached_property
    def scenery(self) -> tuple[F64, F64]:
        """(n, 3) poses of trees and (m, 3) of houses beside the road, in the world."""
        rng = np.random.default_rng([self.seed, 1])
        trees, houses = [], []
        for along in np.arange(0.0, self.length, 9.0):
            side = rng.choice([-1.0, 1.0])
            trees.append(to_outer(np.array([0, side * rng.uniform(8.0, 11.0), 0]), self._at(along)))
            if rng.random() < 0.35:
                away = -side * rng.uniform(17.0, 22.0)
                houses.append(to_outer(np.array([0, away, 0]), self._at(along)))
        return np.array(trees), np.array(houses)

    def boxes(self, time_s: float) -> Boxes3D:
        """Parked cars within 60 m, in the ego frame."""
        poses = to_inner(self.parked[0], self.pose(time_s))
        near = np.flatnonzero(np.hypot(poses[:, 0], poses[:, 1]) < 60.0)
        middle = np.column_stack([poses[near, :2], np.full(len(near), CAR_SIZE[2] / 2)])
        return Boxes3D(
            middle, np.tile(CAR_SIZE, (len(near), 1)), poses[near, 2], np.zeros((len(near), 2)),
            ("car",) * len(near), tuple(f"car{k}" for k in near),
        )  # fmt: skip

    def pictures(self, rig: Rig, stamp_ns: int, start_ns: int) -> Iterator[CameraImage]:
        """One JPEG per camera of the rig."""
        ego_from_world = inverse(rigid_from_pose(self.pose((stamp_ns - start_ns) / SECOND_NS)))
        for camera in rig.cameras:
            image = self.paint(camera, ego_from_world)
            done, data = cv2.imencode(".jpg", cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
            assert done
            yield CameraImage(camera.name, stamp_ns + camera.offset_ns, encoded=bytes(data))

    def paint(self, camera: Camera, ego_from_world: F64) -> U8:
        """What one camera sees: far to near, later paint covers earlier."""
        canvas = _Canvas(camera, inverse(camera.ego_from_cam) @ ego_from_world)
        canvas.background()
        near = self._near(ego_from_world)
        canvas.ribbon(near, -HALF_ROAD_M - 0.3, HALF_ROAD_M + 0.3, KERB)
        canvas.ribbon(near, -HALF_ROAD_M, HALF_ROAD_M, ASPHALT)
        for offset in (-LANE_M - 0.1, LANE_M - 0.1):
            canvas.ribbon(near, offset, offset + 0.15, PAINT)
        dashed = near[(near[:, 3] % 9.0) < 4.0]
        canvas.ribbon(dashed, -0.08, 0.08, PAINT)
        trees, houses = self.scenery
        parked, colours = self.parked
        canvas.things(
            [(pose, canvas.house) for pose in houses] + [(pose, canvas.tree) for pose in trees]
            + [(pose, partial(canvas.car, c)) for pose, c in zip(parked, colours, strict=True)]
        )  # fmt: skip
        return canvas.image

    def _near(self, ego_from_world: F64) -> F64:
        """(n, 4) x, y, yaw of the middle and distance along it, of what can be seen."""
        along = np.arange(len(self.centre)) * STEP_M
        points = np.column_stack([self.centre[:, :2], np.zeros(len(along))])
        ego = move(points, ego_from_world)
        keep = np.hypot(ego[:, 0], ego[:, 1]) < FAR_M
        return np.column_stack([self.centre, along])[keep]


class _Canvas:
    """A picture and the camera that looks at the world."""

    def __init__(self, camera: Camera, cam_from_world: F64) -> None:
        self.camera, self.cam_from_world = camera, cam_from_world
        self.image: U8 = np.zeros((camera.height, camera.width, 3), np.uint8)

    def background(self) -> None:
        """Sky above the horizon, grass below it, a little hazier towards it."""
        ys = np.arange(self.camera.height, dtype=np.float64)
        rays = (ys - self.camera.intrinsics[1, 2]) / self.camera.intrinsics[1, 1]
        up = -(self.cam_from_world[:3, 2])  # world's up in the camera, y points down
        rise = rays * up[1] + up[2]  # > 0 below the horizon, for an upright camera
        share = np.clip(np.abs(rise) * 3.0, 0.0, 1.0)[:, None]
        sky = np.array(SKY_LOW) * (1 - share) + np.array(SKY_TOP) * share
        ground = np.array(GRASS) * (0.8 + 0.2 * share)
        rows = np.where((rise > 0)[:, None], ground, sky)
        self.image[:] = rows[:, None, :].astype(np.uint8)

    def ribbon(self, middle: F64, right: float, left: float, colour: Rgb) -> None:
        """A band along the road. middle: (n, 4), right, left: offsets to the left of it [m]."""
        edges = np.linspace(right, left, max(2, int(np.ceil(left - right)) + 1))
        for index in np.argsort(-self._depth(middle)):
            outer = rigid_from_pose(middle[index, :3])
            for low, high in pairwise(edges):
                x = np.array([0, 0, 1, 1]) * (STEP_M + SEAM_M)
                y = np.array([low, high + SEAM_M, high + SEAM_M, low])
                self.fill(move(np.column_stack([x, y, np.zeros(4)]), outer), colour)

    def _depth(self, poses: F64) -> F64:
        points = np.column_stack([poses[:, :2], np.zeros(len(poses))])
        return np.asarray(move(points, self.cam_from_world)[:, 2])

    def fill(self, points_world: F64, colour: Rgb) -> None:
        """One flat polygon; left out where a corner is behind the camera or bent out of sight."""
        points = move(points_world, self.cam_from_world)
        if points[:, 2].min() < NEAR_M:
            return
        pixels = project(self.camera, points).pixels
        if np.isfinite(pixels).all() and np.abs(pixels).max() < 1e5:
            corners = np.round(pixels * 8).astype(np.int32)  # 3 bits below the pixel
            cv2.fillPoly(self.image, [corners], colour, cv2.LINE_AA, shift=3)

    def things(self, placed: Sequence[tuple[F64, Callable[[F64], None]]]) -> None:
        """Everything that stands on the ground, the farthest first."""
        depth = self._depth(np.array([pose for pose, _ in placed]))
        for index in np.argsort(-depth):
            if NEAR_M < depth[index] < FAR_M:
                pose, paint = placed[index]
                paint(rigid_from_pose(pose))

    def car(self, colour: Rgb, outer: F64) -> None:
        """Wheels, a body and a cabin."""
        length, width, height = CAR_SIZE
        for axle in (-1.35, 1.35):
            self._block(outer, (axle - 0.32, axle + 0.32), width, (0.0, 0.5), TYRE)
        self._block(outer, (-length / 2, length / 2), width, (0.25, 0.85), colour)
        self._block(outer, (-1.6, 0.9), width * 0.9, (0.85, height), (44, 54, 64))

    def house(self, outer: F64) -> None:
        """Walls and a flat roof."""
        colour = WALLS[int(abs(outer[0, 3])) % len(WALLS)]
        self._block(outer, (-6.0, 6.0), 9.0, (0.0, 5.0 + abs(outer[1, 3]) % 3.0), colour)

    def tree(self, outer: F64) -> None:
        """A trunk under a ball of leaves."""
        self._block(outer, (-0.15, 0.15), 0.3, (0.0, 2.0), TRUNK)
        centre = move(move(np.array([0.0, 0.0, 3.2]), outer), self.cam_from_world)
        pixel = project(self.camera, centre).pixels
        radius = 1.6 * self.camera.intrinsics[0, 0] / centre[2]  # [px]
        if np.isfinite(pixel).all() and np.abs(pixel).max() < 1e5:
            middle = (round(float(pixel[0])), round(float(pixel[1])))
            cv2.circle(self.image, middle, round(radius), LEAVES, -1, cv2.LINE_AA)

    def _block(
        self, outer: F64, x: tuple[float, float], width: float, z: tuple[float, float], colour: Rgb
    ) -> None:
        (x0, x1), (z0, z1), y = x, z, width / 2
        faces = [
            ([(x0, -y, z0), (x0, y, z0), (x0, y, z1), (x0, -y, z1)], 0.62),
            ([(x1, -y, z0), (x1, y, z0), (x1, y, z1), (x1, -y, z1)], 0.7),
            ([(x0, -y, z0), (x1, -y, z0), (x1, -y, z1), (x0, -y, z1)], 0.8),
            ([(x0, y, z0), (x1, y, z0), (x1, y, z1), (x0, y, z1)], 0.8),
            ([(x0, -y, z1), (x1, -y, z1), (x1, y, z1), (x0, y, z1)], 1.0),
        ]
        placed = [(move(np.array(corners), outer), shade) for corners, shade in faces]
        placed.sort(key=lambda face: -float(move(face[0], self.cam_from_world)[:, 2].mean()))
        for corners, shade in placed:
            r, g, b = (int(c * shade) for c in colour)
            self.fill(corners, (r, g, b))


def write_street_bag(path: Path, seconds: float, seed: int) -> None:
    """A rosbag2 of the street, 3 cameras at 5 Hz: pictures, calibration, odometry and boxes."""
    street, rig = DrawnStreet(seed=seed), load_rig(resource("calibration/rigs/tiny3.yaml"))
    start_ns, motion_hz, every = 1_700_000_000 * SECOND_NS, 50, 10
    with BagWriter(path, overwrite=True) as writer:
        writer.write_rig(rig, start_ns)
        for tick in range(int(seconds * motion_hz) + 1):
            stamp = start_ns + tick * SECOND_NS // motion_hz
            writer.write_motion(street.motion(stamp, start_ns))
            if tick % every == 0:
                for image in street.pictures(rig, stamp, start_ns):
                    writer.write_image(image)
                writer.write_boxes(street.boxes(tick / motion_hz), stamp)
