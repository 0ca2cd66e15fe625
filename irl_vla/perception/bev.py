"""Images' features -> bird's-eye view, with memory. The BEV is pulled: each point reads cameras.

Symbols: B batch, N camera slots (8), C feature channels, h x w feature cells, Z heights,
R x S sampled cells (x forward, y left), P = R * S * Z points, Hp x Wp pooled cells, D width.
Sampling coordinates are grid_sample's with align_corners=False: -1 and 1 are the outer edges of the
first and the last pixel; (u, v) = (right, down) in the image, (y, x) = (column, row) in the BEV.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from irl_vla.camera.projection import BevGrid
from irl_vla.camera.rig import MAX_CAMERAS
from irl_vla.perception.camera_net import ChannelNorm
from irl_vla.perception.preset import POOL, Preset
from irl_vla.perception.vovnet import conv_block

_UNSEEN = -1e4  # centrality of a camera that does not see a point; a seen one has 0..1


@dataclass(frozen=True)
class BevInputs:
    """Inputs of the BEV network, with a batch; names and meanings as in tokens.bev_io.

    features: (B, N, C, h, w); sampling_grid: (B, N, P, 2); visible: (B, N, P) bool; present: (B, N)
    bool; memory_bev: (B, D, Hp, Wp); ego_now_from_memory: (B, 3, 3); memory_age_s: (B, 1)
    memory_valid: (B, 1) bool; ego_vector: (B, E)
    """

    features: Tensor
    sampling_grid: Tensor
    visible: Tensor
    present: Tensor
    memory_bev: Tensor
    ego_now_from_memory: Tensor
    memory_age_s: Tensor
    memory_valid: Tensor
    ego_vector: Tensor


@dataclass(frozen=True)
class PointViews:
    """Where each point reads. pixel: (B, 2, P, 2) in the column of stacked images, -1..1;
    seen: (B, 2, P) bool, False where fewer cameras see the point."""

    pixel: Tensor
    seen: Tensor


def central_views(sampling_grid: Tensor, seen: Tensor, height: int) -> PointViews:
    """Of all cameras that see a point, the two that see it nearest to the middle of their image.

    Two are enough for the overlap of a ring of cameras and cost a quarter of reading all eight.
    sampling_grid: (B, N, P, 2), seen: (B, N, P) bool, height: h of one feature map [cells]
    """
    cameras = sampling_grid.shape[1]
    centrality = torch.where(seen, 1.0 - sampling_grid.abs().amax(dim=-1), _UNSEEN)
    first = centrality.argmax(dim=1, keepdim=True)
    index = torch.arange(cameras, device=first.device)[None, :, None]
    rest = torch.where(index == first, _UNSEEN, centrality)
    chosen = torch.cat([first, rest.argmax(dim=1, keepdim=True)], dim=1)  # (B, 2, P)
    best = torch.cat([centrality.amax(1, keepdim=True), rest.amax(1, keepdim=True)], dim=1)
    uv = sampling_grid.gather(1, chosen[..., None].expand(-1, -1, -1, 2))
    uv = torch.where((best > _UNSEEN)[..., None], uv, 0.0)  # a hidden point may hold NaN
    # Row in the stack of N images; the clamp keeps bilinear reading inside the point's own image.
    row = (((uv[..., 1] + 1.0) * height - 1.0) / 2.0).clamp(0.0, height - 1.0)
    stacked = (2.0 * (row + chosen * height) + 1.0) / (cameras * height) - 1.0
    return PointViews(torch.stack([uv[..., 0], stacked], dim=-1), best > _UNSEEN)


def lift(
    features: Tensor, sampling_grid: Tensor, visible: Tensor, present: Tensor, bev: BevGrid
) -> tuple[Tensor, Tensor]:
    """Mean over the views of each point -> (B, C * Z, R, S), heights of one
    channel side by side, and whether seen (B, Z, R, S) as 0/1.

    A camera that is not present, and a point that no camera sees, gives 0 whatever the tensors
    hold there, NaN included.
    """
    batch, cameras, channels, height, width = features.shape
    levels, cells = len(bev.heights), bev.cells[0] * bev.cells[1]
    features = torch.where(present[:, :, None, None, None], features, 0.0)
    stack = features.transpose(1, 2).reshape(batch, channels, cameras * height, width)
    views = central_views(sampling_grid, visible & present[:, :, None], height)
    pixel = views.pixel.reshape(batch, 2, cells, levels, 2).transpose(2, 3)
    seen = views.seen.reshape(batch, 2, cells, levels).transpose(2, 3)
    read = nn.functional.grid_sample(
        stack, pixel.reshape(batch, 2, levels * cells, 2), "bilinear", "border", align_corners=False
    )
    share = seen.reshape(batch, 1, 2, levels * cells).to(read.dtype)  # a hidden point reads 0, 0
    count = share.sum(dim=2)
    share = share / count.clamp(min=1.0)[:, :, None]
    mean = read[:, :, 0] * share[:, :, 0] + read[:, :, 1] * share[:, :, 1]  # (B, C, Z * R * S)
    lifted = mean.reshape(batch, channels * levels, *bev.cells)
    return lifted, (count > 0.0).to(read.dtype).reshape(batch, levels, *bev.cells)


def pooled_centers(bev: BevGrid) -> Tensor:
    """(Hp, Wp, 2) x, y of the pooled cells' centres, ego frame [m]."""
    x, y = (
        first + (torch.arange(count // POOL) + 0.5) * (last - first) * POOL / count
        for (first, last), count in zip((bev.x, bev.y), bev.cells, strict=True)
    )
    return torch.stack(torch.meshgrid(x, y, indexing="ij"), dim=-1)


def bev_coordinates(points: Tensor, bev: BevGrid) -> Tensor:
    """(..., 2) x, y in the ego frame [m] -> (..., 2) sampling coordinates (column, row), -1..1."""
    row = (points[..., 0] - bev.x[0]) / (bev.x[1] - bev.x[0]) * 2.0 - 1.0
    col = (points[..., 1] - bev.y[0]) / (bev.y[1] - bev.y[0]) * 2.0 - 1.0
    return torch.stack([col, row], dim=-1)


def warp_memory(inputs: BevInputs, centers: Tensor, bev: BevGrid) -> tuple[Tensor, Tensor]:
    """Memory as seen from where the ego stands now: (B, D, Hp, Wp) and covered (B, 1, Hp, Wp) bool.

    An invalid memory covers nothing and has no influence, whatever its four tensors hold.
    point_then = R^T (point_now - t) for ego_now_from_memory = [R t; 0 1]
    """
    valid = inputs.memory_valid[:, :, None]
    identity = torch.eye(3, device=centers.device)
    transform = torch.where(valid, inputs.ego_now_from_memory, identity)
    offset = centers.reshape(1, -1, 2) - transform[:, None, :2, 2]
    then = (offset @ transform[:, :2, :2]).reshape(-1, *centers.shape)
    grid = bev_coordinates(then, bev)
    memory = inputs.memory_bev.to(grid.dtype)
    warped = nn.functional.grid_sample(memory, grid, "bilinear", "border", align_corners=False)
    covered = (grid.abs().amax(dim=-1) <= 1.0)[:, None] & valid[..., None]
    return torch.where(covered, warped, 0.0), covered


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions around an identity."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first = conv_block(width, width, 3)
        self.second = nn.Sequential(
            nn.Conv2d(width, width, 3, padding=1, bias=False), nn.BatchNorm2d(width)
        )

    def forward(self, maps: Tensor) -> Tensor:
        """(B, D, Hp, Wp) -> the same shape."""
        return torch.relu(maps + self.second(self.first(maps)))


class BevEncoder(nn.Module):
    """Lifted features and warped memory -> the BEV, on the pooled grid."""

    centers: Tensor

    def __init__(self, preset: Preset) -> None:
        super().__init__()
        self.bev = preset.bev
        width, levels = preset.d_model, len(preset.bev.heights)
        self.collapse = conv_block((preset.feature_channels + 1) * levels, width, 1)
        self.pool = conv_block(width, width, 3, POOL)
        self.fuse = conv_block(2 * width + 2, width, 1)  # and: covered by memory, its age
        self.blocks = nn.Sequential(*(ResidualBlock(width) for _ in range(preset.bev_blocks)))
        self.norm = ChannelNorm(width)
        self.register_buffer("centers", pooled_centers(preset.bev), persistent=False)

    def forward(self, inputs: BevInputs) -> tuple[Tensor, Tensor]:
        """-> (B, D, Hp, Wp) BEV and (B, D, R, S) fine map for the segmentation."""
        assert inputs.features.shape[1] <= MAX_CAMERAS  # training may leave empty slots away
        lifted, seen = lift(
            inputs.features, inputs.sampling_grid, inputs.visible, inputs.present, self.bev
        )
        fine = self.collapse(torch.cat([lifted, seen], dim=1))
        warped, covered = warp_memory(inputs, self.centers, self.bev)
        age = torch.where(covered, inputs.memory_age_s[:, :, None, None], 0.0)
        known = covered.to(fine.dtype)
        fused = self.fuse(torch.cat([self.pool(fine), warped, known, age], dim=1))
        return self.norm(self.blocks(fused)), fine
