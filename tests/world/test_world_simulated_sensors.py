"""What the world tells the car: stamps, motion and truth in the ego frame."""

from __future__ import annotations

import numpy as np
from hypothesis import example, given, settings
from hypothesis import strategies as st

from irl_vla.frames import pose_of, quaternion_xyzw, rigid_from_quaternion
from irl_vla.world.episode import Episode
from irl_vla.world.simulated_sensors import (
    START_NS,
    STEP_NS,
    TRUTH_REACH_M,
    as_messages_say,
    jpeg,
    motion_of,
    stamp_of,
    truth,
)

metres, radians = st.floats(-500.0, 500.0), st.floats(-np.pi, np.pi)


@settings(max_examples=200, deadline=None)
@given(metres, metres, radians)
@example(0.0, 0.0, 2.9055038097655775e-07)  # settles only after hundreds of nudges
def test_a_pose_survives_being_a_quaternion_bit_for_bit(x: float, y: float, yaw: float) -> None:
    transform = as_messages_say(np.array([x, y, yaw]))
    again = rigid_from_quaternion(transform[:3, 3].tolist(), quaternion_xyzw(transform))
    assert again.tobytes() == transform.tobytes()
    error = pose_of(transform) - [x, y, yaw]
    error[2] = (error[2] + np.pi) % (2 * np.pi) - np.pi
    assert np.abs(error).max() < 1e-9


def test_stamps_are_whole_tenths_of_seconds_after_the_beginning(episode: Episode) -> None:
    assert [stamp_of(episode.moment(k)) - START_NS for k in (0, 1, 77)] == [
        0,
        STEP_NS,
        77 * STEP_NS,
    ]


def test_motion_is_the_egos_own(episode: Episode) -> None:
    motion = motion_of(episode.moment(50))
    assert np.allclose(pose_of(motion.world_from_ego)[:2], episode.ego[50, :2], atol=1e-9)
    assert motion.twist is not None and motion.twist[0] == episode.ego[50, 3]


def test_the_truth_lies_where_the_others_are_seen_from_the_ego(episode: Episode) -> None:
    moment = episode.moment(50)
    boxes = truth(moment, episode.actors)
    away = np.hypot(boxes.centers[:, 0], boxes.centers[:, 1])
    assert len(boxes) > 5 and (np.diff(away) >= -1e-9).all() and away.max() <= TRUTH_REACH_M
    nearest = episode.actors.ids.index(boxes.ids[0])
    x, y, yaw = moment.ego[:3]
    turned = complex(*boxes.centers[0, :2]) * np.exp(1j * yaw) + complex(x, y)
    assert np.allclose([turned.real, turned.imag], moment.states[nearest, :2])


def test_the_same_pixels_give_the_same_jpeg() -> None:
    pixels = np.random.default_rng(0).integers(0, 255, (60, 80, 3), np.uint8)
    assert jpeg(pixels) == jpeg(pixels.copy()) and jpeg(pixels).startswith(b"\xff\xd8")
