"""Messages about the ego's motion -> EgoMotion: odometry, tf, poses, GNSS fixes, twists.

One source is read (motion_source.MotionSource); what completes it is joined: a twist is that
measured last, a heading likewise. Where a source's two facts contradict each other, the trusted one
counts and every measurement's `source` says so.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np

from irl_vla.frames import rigid_from_pose, rigid_from_quaternion
from irl_vla.messages.calibration import (
    frame_of,
    pose_matrix,
    put_transforms,
    transform_of,
    world_frame,
)
from irl_vla.messages.geometry_messages import UNKNOWN_TWIST
from irl_vla.messages.messages import stamp_ns
from irl_vla.messages.motion_source import MotionKind, MotionSource, Trust
from irl_vla.messages.notices import Notice, NoticeKind
from irl_vla.messages.records import Record
from irl_vla.messages.tf_tree import TransformTree, frame_name
from irl_vla.messages.twist_check import TwistAgainstPoses
from irl_vla.types import F64, SECOND_NS, EgoMotion, InputError

JOIN_NS = SECOND_NS // 5  # a twist or heading counts for a pose at most so much later
LONGEST_STEP_NS = SECOND_NS  # twists farther apart cannot be summed up to a way
EARTH_M = 6_378_137.0  # equatorial radius of WGS 84
FLATTENING = 1 / 298.257223563  # of WGS 84

MotionEvent = EgoMotion | Notice
Reading = Callable[[Any, Record], Iterator[MotionEvent]]


class PlacedEgo(NamedTuple):
    """Where the ego was: world_from_ego (4, 4) in the frame `world`."""

    world: str
    world_from_ego: F64
    stamp_ns: int


class MotionReader:
    """Knows the moving frames and the little that joining needs."""

    def __init__(self, tree: TransformTree, base: str, source: MotionSource) -> None:
        self.tree, self._base, self._source = tree, base, source
        self._world = world_frame(tree, base)
        self.pose: PlacedEgo | None = None  # the newest
        self._twist_filled = False
        self._moving: set[str] = set()  # child frames that /tf has moved
        self._check = TwistAgainstPoses()
        self._contradiction_said = source.trust is not Trust.BOTH
        self._joined_twist: tuple[int, F64] | None = None
        self._heading: tuple[int, F64] | None = None  # (3, 3) world_from_body
        self._origin: F64 | None = None  # latitude, longitude [rad], height [m] of the first fix
        self._way = np.eye(4)  # summed up from twists
        self._way_ns = 0

    def parts(self) -> dict[str, Reading]:
        """Topic -> who reads it; tf is read by `take_tf`."""
        source = self._source
        main: dict[MotionKind, Reading] = {
            MotionKind.ODOMETRY: self._odometry, MotionKind.POSE: self._pose_stamped,
            MotionKind.FIX: self._fix, MotionKind.TWIST: self._twist_alone,
        }  # fmt: skip
        found: dict[str, Reading] = {}
        if source.kind in main:
            found[source.topic] = main[source.kind]
        if source.twist and source.twist != source.topic:
            found[source.twist] = self._twist_beside
        if source.heading:
            found[source.heading] = self._heading_message
        return found

    def _stamp(self, message: Any, record: Record) -> int:
        """A zero stamp means "not set" in ROS, then the time of recording."""
        return header_stamp_ns(message) or record.log_ns

    def _odometry(self, message: Any, record: Record) -> Iterator[MotionEvent]:
        child = frame_name(message.child_frame_id) or self._base
        child_from_base = self.tree.find(child, self._base)
        if child_from_base is None:
            yield Notice(
                self._stamp(message, record), NoticeKind.MOTION_UNPLACED, record.topic,
                f"topic {record.topic}: the odometry moves frame '{child}', and tf does not say "
                f"where that is from '{self._base}'; it is not used",
            )  # fmt: skip
            return
        world_from_ego = _pose(message.pose.pose) @ child_from_base
        twist = None
        if message.twist.covariance[0] != UNKNOWN_TWIST:
            twist = self._filled(twist_of(message.twist.twist, child_from_base))
        world = frame_name(message.header.frame_id)
        yield from self._measured(self._stamp(message, record), world, world_from_ego, twist)

    def _filled(self, twist: F64) -> F64 | None:
        """Exact zeros that never change are a field nobody filled."""
        self._twist_filled = self._twist_filled or bool(np.any(twist))
        return twist if self._twist_filled else None

    def _measured(
        self, stamp: int, world: str, world_from_ego: F64, twist: F64 | None
    ) -> Iterator[MotionEvent]:
        """A pose and, where there is one, its twist: what is trusted of them."""
        source = self._source
        if twist is not None:
            yield from self._compared(stamp, world_from_ego, twist)
        if source.trust is Trust.TWIST and twist is not None:
            world_from_ego = self._summed(stamp, twist)
        if source.trust is Trust.POSES:
            twist = None
        self.pose = PlacedEgo(world, world_from_ego, stamp)
        yield EgoMotion(stamp, world_from_ego, twist, source.says())

    def _compared(self, stamp: int, pose: F64, twist: F64) -> Iterator[MotionEvent]:
        """Says once where the twist leaves the poses later than the start of the recording."""
        self._check.add(stamp, pose, twist)
        if self._contradiction_said:
            return
        found = self._check.result()
        if found.contradicts:
            self._contradiction_said = True
            topic = self._source.topic
            yield Notice(stamp, NoticeKind.CONTRADICTION, topic, found.sentence(topic))

    def _pose_stamped(self, message: Any, record: Record) -> Iterator[MotionEvent]:
        """PoseStamped, PoseWithCovarianceStamped, TransformStamped, foxglove's PoseInFrame."""
        if hasattr(message, "transform"):
            world_from_body = transform_of(message.transform)
            child = frame_name(message.child_frame_id)
        else:
            pose = message.pose
            world_from_body = _pose(pose.pose if hasattr(pose, "pose") else pose)
            child = self._base
        body_from_base = self.tree.find(child, self._base) if child else None
        if body_from_base is not None:
            world_from_body = world_from_body @ body_from_base
        stamp = self._stamp(message, record)
        world = frame_name(frame_of(message))
        yield from self._measured(stamp, world, world_from_body, self._recent_twist(stamp))

    def _recent_twist(self, stamp: int) -> F64 | None:
        if self._joined_twist is None or abs(stamp - self._joined_twist[0]) > JOIN_NS:
            return None
        return self._filled(self._joined_twist[1])

    def _twist_beside(self, message: Any, record: Record) -> Iterator[MotionEvent]:
        self._joined_twist = (self._stamp(message, record), self._twist_in_base(message))
        yield from ()

    def _twist_alone(self, message: Any, record: Record) -> Iterator[MotionEvent]:
        """A way summed up from speed and yaw rate: good for seconds, which is what is needed."""
        stamp, twist = self._stamp(message, record), self._twist_in_base(message)
        way = self._summed(stamp, twist)
        self.pose = PlacedEgo("", way, stamp)
        yield EgoMotion(stamp, way, twist, f"{self._source.says()}, summed up")

    def _twist_in_base(self, message: Any) -> F64:
        """TwistStamped or TwistWithCovarianceStamped -> (3,) in the base frame."""
        twist = message.twist.twist if hasattr(message.twist, "twist") else message.twist
        frame = frame_name(frame_of(message))
        body_from_base = self.tree.find(frame, self._base) if frame else None
        return twist_of(twist, np.eye(4) if body_from_base is None else body_from_base)

    def _summed(self, stamp: int, twist: F64) -> F64:
        seconds = (stamp - self._way_ns) / SECOND_NS
        if self._way_ns and 0 < stamp - self._way_ns <= LONGEST_STEP_NS:
            half = rigid_from_pose((0.0, 0.0, twist[2] * seconds / 2))
            step = rigid_from_pose((twist[0] * seconds, twist[1] * seconds, 0.0))
            self._way = self._way @ half @ step @ half
        self._way_ns = stamp
        return np.asarray(self._way)

    def _heading_message(self, message: Any, record: Record) -> Iterator[MotionEvent]:
        """Imu or QuaternionStamped: how the body is turned against east, north, up (REP 103)."""
        q = message.orientation if hasattr(message, "orientation") else message.quaternion
        turned = rigid_from_quaternion((0.0, 0.0, 0.0), (q.x, q.y, q.z, q.w))[:3, :3]
        frame = frame_name(frame_of(message))
        body_from_base = self.tree.find(frame, self._base) if frame else None
        if body_from_base is not None:
            turned = turned @ body_from_base[:3, :3]
        self._heading = (self._stamp(message, record), turned)
        yield from ()

    def _fix(self, message: Any, record: Record) -> Iterator[MotionEvent]:
        """NavSatFix: metres east, north and up of the first fix, at the antenna; with the heading
        that makes a pose of the base frame."""
        stamp = self._stamp(message, record)
        if self._heading is None or abs(stamp - self._heading[0]) > JOIN_NS:
            return
        here = np.array([
            np.radians(message.latitude), np.radians(message.longitude), message.altitude
        ])  # fmt: skip
        if not np.isfinite(here[:2]).all() or int(message.status.status) < 0:
            return  # no fix
        here[2] = np.nan_to_num(here[2])
        self._origin = here if self._origin is None else self._origin
        world_from_ego = np.eye(4)
        world_from_ego[:3, :3] = self._heading[1]
        antenna = self.tree.find(self._base, frame_name(frame_of(message)))
        offset = np.zeros(3) if antenna is None else antenna[:3, 3]
        world_from_ego[:3, 3] = east_north_up(here, self._origin) - self._heading[1] @ offset
        yield from self._measured(stamp, "map", world_from_ego, self._recent_twist(stamp))

    def take_tf(self, message: Any, record: Record) -> Iterator[MotionEvent]:
        """A TFMessage into the tree; gives the ego's pose where that is what is read."""
        moved = put_transforms(self.tree, message)
        if self._source.kind is not MotionKind.TF or not moved:
            return
        chain = self.tree.chain(self._base)
        if self._world not in chain:
            self._world = world_frame(self.tree, self._base)
        if self._world is None:
            return
        below = chain[: chain.index(self._world)]
        # The lowest moving edge is the fastest one: a pose is complete when that one comes.
        headers = dict(moved)
        nearest = next((name for name in below if name in headers), None)
        world_from_ego = self.tree.find(self._world, self._base)
        if nearest is None or world_from_ego is None or nearest != self._lowest(below, headers):
            return
        stamp = stamp_ns(headers[nearest].stamp) or record.log_ns
        self.pose = PlacedEgo(self._world, world_from_ego, stamp)
        source = f"{record.topic} {self._world} -> {self._base}"
        yield EgoMotion(stamp, world_from_ego, None, source)

    def _lowest(self, below: tuple[str, ...], headers: dict[str, Any]) -> str | None:
        """The moving edge nearest to the base frame, of all that have been seen to move."""
        self._moving |= headers.keys()
        return next((name for name in below if name in self._moving), None)


def header_stamp_ns(message: Any) -> int:
    """Of a ROS message with a header, or of a foxglove one with a timestamp; 0: not set."""
    stamp = message.header.stamp if hasattr(message, "header") else message.timestamp
    return stamp_ns(stamp)


def _pose(pose: Any) -> F64:
    try:
        return pose_matrix(pose)
    except InputError:  # NaN or no quaternion: passed on, the guard names it
        return np.full((4, 4), np.nan)


def twist_of(twist: Any, child_from_base: F64) -> F64:
    """vx, vy, yaw rate of the base frame out of the child frame's geometry_msgs/Twist (rigid body:
    v_base = v_child + omega x r); NaN where it holds any, which the guard names."""
    v, w = twist.linear, twist.angular
    linear, angular = np.array([v.x, v.y, v.z]), np.array([w.x, w.y, w.z])
    if not (np.isfinite(linear).all() and np.isfinite(angular).all()):
        return np.full(3, np.nan)
    base_from_child = child_from_base[:3, :3].T
    linear = base_from_child @ (linear + np.cross(angular, child_from_base[:3, 3]))
    return np.array([linear[0], linear[1], (base_from_child @ angular)[2]])


def east_north_up(here: F64, origin: F64) -> F64:
    """(3,) metres from `origin` to `here`, both latitude, longitude [rad] and height [m], on the
    WGS 84 ellipsoid."""
    up = np.array([
        np.cos(origin[0]) * np.cos(origin[1]), np.cos(origin[0]) * np.sin(origin[1]),
        np.sin(origin[0]),
    ])  # fmt: skip
    east = np.array([-np.sin(origin[1]), np.cos(origin[1]), 0.0])
    axes = np.stack([east, np.cross(up, east), up])
    return np.asarray(axes @ (_earth_centred(here) - _earth_centred(origin)))


def _earth_centred(place: F64) -> F64:
    latitude, longitude, height = place
    eccentric = FLATTENING * (2 - FLATTENING)
    radius = EARTH_M / np.sqrt(1 - eccentric * np.sin(latitude) ** 2)
    return np.array([
        (radius + height) * np.cos(latitude) * np.cos(longitude),
        (radius + height) * np.cos(latitude) * np.sin(longitude),
        (radius * (1 - eccentric) + height) * np.sin(latitude),
    ])  # fmt: skip
