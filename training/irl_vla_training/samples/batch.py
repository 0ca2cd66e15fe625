"""What a training step reads: tensors of B samples, named and shaped as the networks take them.

Symbols: B samples, N cameras of the widest rig here (<= 8), P points of the sampling grid, R x S
cells, A road users and L lines of the fullest sample, h x w pixels of truth per picture (a quarter
of the picture's size each way). Unknown truth is masked by a `known` or `valid` beside it.
May import: torch, irl_vla, irl_vla_training.samples.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any

from torch import Tensor

PIXEL_STRIDE = 4  # pixels of a picture, each way, per pixel of truth
UNKNOWN_CLASS = 255


@dataclass(frozen=True)
class ViewBatch:
    """Pictures of one instant and where the BEV's points lie in them (tokens.bev_io).

    images: (B, N, 3, H, W) uint8 RGB, zeros where no camera is; present: (B, 8) bool
    sampling_grid: (B, 8, P, 2) float32; visible: (B, 8, P) bool
    tele_images: (B, 3, Ht, Wt) uint8; tele_present: (B,) bool; tele_grid: (B, P, 2);
    tele_visible: (B, P); Ht = Wt = 0 for a preset without tele crop
    """

    images: Tensor
    present: Tensor
    sampling_grid: Tensor
    visible: Tensor
    tele_images: Tensor
    tele_present: Tensor
    tele_grid: Tensor
    tele_visible: Tensor


@dataclass(frozen=True)
class MemoryBatch:
    """An earlier instant. ego_now_from_memory: (B, 3, 3) float32; age_s: (B, 1) float32;
    valid: (B, 1) bool."""

    views: ViewBatch
    ego_now_from_memory: Tensor
    age_s: Tensor
    valid: Tensor


@dataclass(frozen=True)
class PixelBatch:
    """Per-pixel truth of one kind of picture; leading dimensions (B, N) for wide, (B,) for tele.

    kind: (.., h, w) uint8 index into quads.CLASSES, UNKNOWN_CLASS where unknown; lamp: (.., h, w)
    uint8 index into LAMPS, likewise; log_depth: (.., h, w) float32 ln of metres, NaN where unknown
    or sky
    """

    kind: Tensor
    lamp: Tensor
    log_depth: Tensor


@dataclass(frozen=True)
class Batch:
    """See the module's text.

    keys, rigs, weathers: of the samples
    ego_vector: (B, E) as tokens.encode_ego makes it, whole; what is dropped in training is dropped
    by the loop
    seg: (B, R, S) int64 index into SEG_CLASSES; seg_known: (B, R, S) bool; seg_classes: (B, 7) bool
    seen: (B, R, S) bool: some camera that is present looks at the cell
    closed: (B, R, S) float32 0 or 1; closed_known: (B,) bool
    boxes: (B, A, 9) float32 x y z l w h yaw vx vy; box_kind: (B, A) int64; box_valid: (B, A) bool:
    seen, and within the grid; box_hidden: (B, A) bool: there, within the grid, and not seen;
    velocity_known: (B, A) bool; boxes_known: (B,) bool
    lines: (B, L, 20, 2) float32; line_kind: (B, L) int64; line_valid: (B, L) bool: enough of it is
    looked at; lines_known: (B, 6) bool, per class
    pixels, tele_pixels: see PixelBatch
    future: (B, 8, 3) float32; future_known: (B,) bool; commands: (B, 2) int64, -1 unknown
    lamp: (B,) int64 index into LAMPS, -1 unknown; lamp_m: (B,) float32 [m], NaN without a light
    answers: (B, 3) int64: pedestrian, lead, reason, each -1 unknown
    """

    keys: tuple[str, ...]
    rigs: tuple[str, ...]
    weathers: tuple[str, ...]
    views: ViewBatch
    memory: MemoryBatch
    ego_vector: Tensor
    seg: Tensor
    seg_known: Tensor
    seg_classes: Tensor
    seen: Tensor
    closed: Tensor
    closed_known: Tensor
    boxes: Tensor
    box_kind: Tensor
    box_valid: Tensor
    box_hidden: Tensor
    velocity_known: Tensor
    boxes_known: Tensor
    lines: Tensor
    line_kind: Tensor
    line_valid: Tensor
    lines_known: Tensor
    pixels: PixelBatch
    tele_pixels: PixelBatch
    future: Tensor
    future_known: Tensor
    commands: Tensor
    lamp: Tensor
    lamp_m: Tensor
    answers: Tensor

    def __len__(self) -> int:
        return len(self.keys)

    def to(self, device: Any) -> Batch:
        """The same with all tensors on a device."""
        moved: Batch = _moved(self, device)
        return moved


def _moved(value: Any, device: Any) -> Any:
    """A dataclass of tensors and such dataclasses on a device."""
    changed = {}
    for entry in fields(value):
        part = getattr(value, entry.name)
        if isinstance(part, Tensor):
            changed[entry.name] = part.to(device, non_blocking=True)
        elif hasattr(part, "__dataclass_fields__"):
            changed[entry.name] = _moved(part, device)
    return replace(value, **changed)
