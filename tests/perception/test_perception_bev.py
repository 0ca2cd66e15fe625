"""The lift and the memory: geometry that can be checked by hand, and masks that hold."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from irl_vla.camera.camera import Camera, CameraModel
from irl_vla.camera.projection import BevGrid, sampling_grid
from irl_vla.frames import rigid, rigid_from_pose
from irl_vla.perception.bev import BevInputs, central_views, lift, pooled_centers, warp_memory
from irl_vla.perception.tokens import planar

BEV = BevGrid(x=(-16.0, 16.0), y=(-16.0, 16.0), cells=(16, 16), heights=(0.0, 3.0))
OPTICAL = np.array([[0.0, 0.0, 1.0], [-1.0, 0.0, 0.0], [0.0, -1.0, 0.0]])  # ego_from_cam, ahead
SIZE = (48, 96)  # rows, columns of a picture and, here, of its feature map


def look(yaw: float, name: str) -> Camera:
    """A camera 1.5 m above the rear axle, 90 degrees wide, looking along `yaw`."""
    turn = rigid_from_pose((0.0, 0.0, yaw))[:3, :3]
    intrinsics = np.array([[48.0, 0.0, 47.5], [0.0, 48.0, 12.0], [0.0, 0.0, 1.0]])
    return Camera(
        name, SIZE[1], SIZE[0], CameraModel.PLUMB_BOB, intrinsics, np.zeros(0),
        rigid(turn @ OPTICAL, (0.0, 0.0, 1.5)),
    )  # fmt: skip


def ground_seen_by(camera: Camera) -> np.ndarray:
    """(2, rows, columns): x and y [m] of the ground in each pixel, 0 above the horizon."""
    v, u = np.mgrid[: SIZE[0], : SIZE[1]].astype(np.float64)
    rays = np.stack([u, v, np.ones_like(u)], -1) @ np.linalg.inv(camera.intrinsics).T
    rays = rays @ camera.ego_from_cam[:3, :3].T
    down = np.minimum(rays[..., 2], -1e-9)
    hit = camera.position + rays * (-camera.position[2] / down)[..., None]
    return np.where(rays[..., 2] < 0.0, np.moveaxis(hit[..., :2], -1, 0), 0.0)


RING = tuple(look(yaw, f"cam{i}") for i, yaw in enumerate(np.radians([0, 60, 120, 180, -120, -60])))


def ring_inputs() -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Features (the ground's own coordinates), grid, visibility, presence for eight slots."""
    grid = sampling_grid(RING, BEV, pad_to=8)
    features = torch.zeros(1, 8, 2, *SIZE)
    for index, camera in enumerate(RING):
        features[0, index] = torch.from_numpy(ground_seen_by(camera))
    present = torch.zeros(1, 8, dtype=torch.bool)
    present[0, : len(RING)] = True
    return (
        features,
        torch.from_numpy(grid.grid.copy())[None],
        torch.from_numpy(grid.visible.copy())[None],
        present,
    )


def test_a_cell_on_the_ground_reads_the_ground_that_lies_there() -> None:
    lifted, seen = lift(*ring_inputs(), BEV)
    centers = np.arange(16) * 2.0 - 15.0
    near = np.hypot(*np.meshgrid(centers, centers, indexing="ij")) < 9.0  # pixels still small
    known = seen[0, 0].numpy().astype(bool) & near
    assert known.sum() > 30
    x, y = lifted[0].reshape(2, 2, 16, 16)[:, 0].numpy()  # channel, height
    expected_x, expected_y = np.meshgrid(centers, centers, indexing="ij")
    np.testing.assert_allclose(x[known], expected_x[known], atol=0.6)
    np.testing.assert_allclose(y[known], expected_y[known], atol=0.6)


def test_heights_and_their_visibility_are_kept_apart() -> None:
    features, grid, visible, present = ring_inputs()
    points = visible.reshape(1, 8, 256, 2).clone()
    points[..., 1] = False  # nobody sees the upper height
    lifted, seen = lift(features, grid, points.reshape(1, 8, -1), present, BEV)
    assert seen[0, 0].any()
    assert not seen[0, 1].any()
    read = lifted.reshape(2, 2, 16, 16)  # channel, height
    assert read[:, 0].any()
    assert not read[:, 1].any()


def test_nan_of_a_missing_camera_or_a_hidden_point_goes_nowhere() -> None:
    features, grid, visible, present = ring_inputs()
    present[0, 2] = False
    expected = lift(features, grid, visible, present, BEV)
    features[0, 2] = float("nan")
    features[0, 6:] = float("inf")
    grid[~visible] = float("nan")
    grid[0, 2] = float("nan")
    poisoned = lift(features, grid, visible, present, BEV)
    assert all(torch.equal(a, b) for a, b in zip(expected, poisoned, strict=True))


def test_cameras_may_stand_in_any_slot() -> None:
    features, grid, visible, present = ring_inputs()
    order = torch.tensor([7, 3, 0, 6, 5, 1, 4, 2])
    permuted = (features[:, order], grid[:, order], visible[:, order], present[:, order])
    for a, b in zip(lift(*permuted, BEV), lift(*ring_inputs(), BEV), strict=True):
        torch.testing.assert_close(a, b, atol=1e-3, rtol=1e-3)


def test_a_point_reads_the_two_cameras_that_see_it_most_centrally() -> None:
    grid = torch.tensor([0.9, 0.1, -0.5, 0.3])[None, :, None, None].expand(1, 4, 1, 2)
    seen = torch.tensor([True, True, True, False])[None, :, None]
    views = central_views(grid, seen, height=4)
    torch.testing.assert_close(views.pixel[0, :, 0, 0], torch.tensor([0.1, -0.5]))
    assert views.seen.all()
    assert central_views(grid, seen & (grid[..., 0] < 0.0), 4).seen[0, :, 0].tolist() == [
        True,
        False,
    ]


def test_reading_at_the_rim_of_an_image_does_not_touch_its_neighbour() -> None:
    features = torch.zeros(1, 2, 1, 4, 4)
    features[0, 1] = 1e6
    grid = torch.tensor([[[-0.2, 1.0]], [[0.0, 0.0]]])[None].repeat(1, 1, 2, 1)
    visible = torch.tensor([[[True, True], [False, False]]])
    small = BevGrid(cells=(1, 1), heights=(0.0, 1.0))
    lifted, _ = lift(features, grid, visible, torch.ones(1, 2, dtype=torch.bool), small)
    assert lifted.abs().max() < 1.0  # a millionth of the neighbour is rounding


def memory(ego_now_from_memory: np.ndarray, valid: bool = True) -> BevInputs:
    """A memory on an 8 x 8 grid of 4 m cells that holds its own cell centres, x and y."""
    unused = torch.zeros(0)
    return BevInputs(
        unused, unused, unused, unused,
        memory_bev=pooled_centers(BEV).permute(2, 0, 1)[None].half(),
        ego_now_from_memory=torch.from_numpy(planar(ego_now_from_memory))[None],
        memory_age_s=torch.tensor([[0.5]]),
        memory_valid=torch.tensor([[valid]]),
        ego_vector=unused,
    )  # fmt: skip


def test_standing_still_leaves_the_memory_as_it_was() -> None:
    inputs = memory(np.eye(4))
    warped, covered = warp_memory(inputs, pooled_centers(BEV), BEV)
    torch.testing.assert_close(warped, inputs.memory_bev.float(), atol=1e-4, rtol=0.0)
    assert covered.all()


@pytest.mark.parametrize("pose", [(4.0, 0.0, 0.0), (0.0, -4.0, 0.0), (2.0, 1.0, 0.3)])
def test_after_a_move_each_cell_reads_where_it_was_before(pose: tuple[float, ...]) -> None:
    memory_from_now = rigid_from_pose(pose)  # the ego drove to `pose`
    inputs = memory(np.linalg.inv(memory_from_now))
    warped, covered = warp_memory(inputs, pooled_centers(BEV), BEV)
    points = np.concatenate([pooled_centers(BEV).numpy(), np.zeros((8, 8, 1))], axis=-1)
    then = (points @ memory_from_now[:3, :3].T + memory_from_now[:3, 3])[..., :2]
    known = covered[0, 0].numpy()
    np.testing.assert_array_equal(known, np.abs(then).max(-1) <= 16.0)
    inner = np.abs(then).max(-1) <= 14.0  # between centres: bilinear is exact there
    read = warped[0].permute(1, 2, 0).numpy()
    np.testing.assert_allclose(read[inner], then[inner], atol=1e-3)
    assert not warped[0, :, ~covered[0, 0]].any()


def test_an_invalid_memory_covers_nothing_whatever_it_holds() -> None:
    inputs = memory(np.eye(4), valid=False)
    nan = float("nan")
    inputs = replace(
        inputs,
        memory_bev=torch.full_like(inputs.memory_bev, nan),
        ego_now_from_memory=torch.full((1, 3, 3), nan),
    )
    warped, covered = warp_memory(inputs, pooled_centers(BEV), BEV)
    assert not covered.any()
    assert torch.equal(warped, torch.zeros_like(warped))
