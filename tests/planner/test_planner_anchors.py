"""Anchors cover driving, are drivable, and are the same every time."""

from __future__ import annotations

import numpy as np
import pytest

from irl_vla.planner.actions import actions_of, poses_of
from irl_vla.planner.anchors import kmeans_anchors, synthetic_driving
from irl_vla.planner.rule import arc


def test_the_same_seed_gives_the_same_anchors_and_another_seed_others() -> None:
    driving = synthetic_driving(0)
    one, two, other = (kmeans_anchors(driving, 16, seed) for seed in (0, 0, 1))
    assert one.tobytes() == two.tobytes() != other.tobytes()


def test_as_many_distinct_trajectories_as_anchors_are_found_one_by_one() -> None:
    speeds = np.array([0.0, 4.0, 8.0, 16.0])
    distinct = np.stack([arc(0.0, v * 0.5 * np.arange(1, 9)) for v in speeds])
    anchors = kmeans_anchors(np.repeat(distinct, 5, axis=0), 4, 0)
    np.testing.assert_allclose(poses_of(anchors), distinct, atol=1e-4)


@pytest.mark.parametrize("count", [8, 32, 64])
def test_every_synthetic_drive_has_an_anchor_nearby_and_more_anchors_are_nearer(count: int) -> None:
    driving = synthetic_driving(0)
    anchors = poses_of(kmeans_anchors(driving, count, 0))[..., :2]
    apart = np.linalg.norm(anchors[None] - driving[:, None, :, :2], axis=-1).mean(axis=-1)
    allowed = {8: 5.0, 32: 2.2, 64: 1.6}[count]  # [m] mean over the poses
    assert apart.min(axis=1).mean() < allowed


def test_anchors_hold_standing_turning_both_ways_and_fast_driving() -> None:
    final = poses_of(kmeans_anchors(synthetic_driving(0), 32, 0))[:, -1]
    assert np.hypot(final[:, 0], final[:, 1]).min() < 1.0
    assert final[:, 2].min() < -0.9 and final[:, 2].max() > 0.9
    assert final[:, 0].max() > 55.0


def test_the_synthetic_drives_are_drivable() -> None:
    driving = synthetic_driving(7)
    np.testing.assert_allclose(poses_of(actions_of(driving)), driving, atol=0.02)
    speed = np.hypot(*np.diff(driving[..., :2], axis=1).T).T / 0.5
    turn = np.diff(driving[..., 2], axis=1) / 0.5
    assert speed.max() < 17.1 and np.abs(speed * turn).max() < 4.89


def test_too_few_trajectories_are_refused() -> None:
    with pytest.raises(ValueError, match="expected at least 8"):
        kmeans_anchors(synthetic_driving(0, 7), 8, 0)
