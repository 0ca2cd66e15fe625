"""Samples -> a Batch: decoded, varied, with the grids that belong to the cut pictures.

    item = item_of(sample, preset, settings, variation)    arrays of one sample
    batch = collated(items, preset)                        tensors of several
May import: torch, irl_vla, samples.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from irl_vla.camera.projection import BevGrid
from irl_vla.camera.rig import MAX_CAMERAS
from irl_vla.frames import rigid_from_pose
from irl_vla.perception.preset import POLYLINE_POINTS, SEG_CLASSES, Preset
from irl_vla.perception.tokens import encode_ego, planar
from irl_vla.types import F32, F64, U8, IntentDirection
from irl_vla_training.samples.augment import (
    PLAIN,
    Variation,
    mirrored_truth,
    varied_pixels,
)
from irl_vla_training.samples.batch import (
    PIXEL_STRIDE,
    UNKNOWN_CLASS,
    Batch,
    MemoryBatch,
    PixelBatch,
    ViewBatch,
)
from irl_vla_training.samples.decoded import DecodedPicture, decoded
from irl_vla_training.samples.grids import grid_of, grids_of
from irl_vla_training.samples.sample import (
    BoxTruth,
    LineTruth,
    Mask,
    Pictures,
    PictureTruth,
    Sample,
)
from irl_vla_training.samples.settings import SampleSettings

LOOKED_AT = 0.5  # of a line's points that must be looked at
NO_INTENT = IntentDirection.UNKNOWN
Arrays = dict[str, NDArray[Any]]


@dataclass(frozen=True)
class ViewItem:
    """One sample's part of ViewBatch. images: (n, H, W, 3) of all cameras; tele: (Ht, Wt, 3)."""

    images: U8
    present: Mask
    grid: F32
    visible: Mask
    tele: U8
    tele_present: bool
    tele_grid: F32
    tele_visible: Mask


@dataclass(frozen=True)
class Item:
    """One sample ready to be put beside others. truth: arrays by the names of Batch."""

    key: str
    rig: str
    weather: str
    views: ViewItem
    memory: ViewItem | None
    ego_now_from_memory: F32
    age_s: float
    ego_vector: F32
    pixels: tuple[PictureTruth | None, ...]
    tele_pixels: PictureTruth | None
    truth: Arrays


def item_of(
    sample: Sample, preset: Preset, settings: SampleSettings, how: Variation = PLAIN
) -> Item:
    """One sample, varied."""
    spec = preset.image
    size = (spec.width, spec.height)
    tele_size = None if spec.tele is None else (spec.tele.width, spec.tele.height)
    now = _decoded(sample.pictures, sample.pixels, how, size, tele_size)
    views = _views(now, preset, how)
    memory = None
    if sample.memory is not None and not how.drop_memory:
        then = _decoded(sample.memory.pictures, (), how, size, tele_size)
        memory = _views(then, preset, how, views)
    wide = len(sample.pictures.wide)
    there = np.array([(k < wide and bool(views.present[k])) or (k == wide and views.tele_present)
                      for k in range(len(sample.pictures.all))], np.bool_)  # fmt: skip
    told = mirrored_truth(sample) if how.mirror else sample
    pose = np.zeros(3) if told.memory is None else told.memory.ego_now_from_memory
    intent = None if told.way is None else told.way.intent
    tele = now.tele
    return Item(
        sample.key, sample.rig, sample.weather, views, memory, planar(rigid_from_pose(pose)),
        0.0 if told.memory is None else told.memory.age_s, encode_ego(told.ego, intent),
        tuple(picture.truth for picture in now.wide), None if tele is None else tele.truth,
        _truth(told, preset.bev, settings, views, there),
    )  # fmt: skip


@dataclass(frozen=True)
class DecodedPictures:
    """As Pictures, decoded."""

    wide: tuple[DecodedPicture, ...]
    tele: DecodedPicture | None


def _decoded(
    pictures: Pictures, truths: Sequence[PictureTruth | None], how: Variation,
    size: tuple[int, int], tele_size: tuple[int, int] | None,
) -> DecodedPictures:  # fmt: skip
    known = [*truths, *([None] * (len(pictures.all) - len(truths)))]
    found = [
        decoded(picture, known[k], how.window(k), size)
        for k, picture in enumerate(pictures.wide)
    ]  # fmt: skip
    if pictures.tele is not None and tele_size is not None:
        found.append(decoded(pictures.tele, known[-1], how.tele, tele_size))
    done = []
    for k, one in enumerate(found):
        picture = replace(one, pixels=varied_pixels(one.pixels, how, k))
        done.append(picture.mirror() if how.mirror else picture)
    wide = len(pictures.wide)
    return DecodedPictures(tuple(done[:wide]), done[wide] if len(done) > wide else None)


def _views(
    found: DecodedPictures, preset: Preset, how: Variation, same: ViewItem | None = None
) -> ViewItem:
    """same: an item of the same cameras, whose grids are taken."""
    spec, points = preset.image, preset.points
    present = np.zeros(MAX_CAMERAS, np.bool_)
    present[: len(found.wide)] = True
    if how.drop >= 0 and len(found.wide) > 1:
        present[how.drop] = False
    images = np.stack([picture.pixels for picture in found.wide])
    far = found.tele
    rows, columns = (0, 0) if spec.tele is None else (spec.tele.height, spec.tele.width)
    tele = np.zeros((rows, columns, 3), np.uint8) if far is None else far.pixels
    if same is not None and same.tele_present == (far is not None and not how.drop_tele):
        return ViewItem(
            images, present, same.grid, same.visible, tele, same.tele_present, same.tele_grid,
            same.tele_visible,
        )  # fmt: skip
    wide = grids_of(found.wide, preset.bev)
    if far is None or how.drop_tele:
        none = np.full((points, 2), -2.0, np.float32), np.zeros(points, np.bool_)
        return ViewItem(images, present, wide.grid, wide.visible, tele * 0, False, *none)
    crop = grid_of(far, preset.bev)
    return ViewItem(images, present, wide.grid, wide.visible, tele, True, *crop)


def _truth(
    sample: Sample, grid: BevGrid, settings: SampleSettings, views: ViewItem, there: Mask
) -> Arrays:
    """there: (pictures,) which were not dropped"""
    cells = grid.cells
    looked = (views.visible & views.present[:, None]).any(axis=0)
    looked = looked | (views.tele_visible & views.tele_present)
    seen = np.asarray(looked.reshape(*cells, -1).any(axis=-1), np.bool_)
    ground, answers, way = sample.ground, sample.answers, sample.way
    empty = np.zeros(cells, np.bool_)
    found: Arrays = {
        "seen": seen,
        "seg": np.zeros(cells, np.int64) if ground is None else ground.seg.astype(np.int64),
        "seg_known": empty if ground is None else ground.known,
        "seg_classes": np.zeros(len(SEG_CLASSES), np.bool_) if ground is None else ground.classes,
        "closed": np.zeros(cells, np.float32),
        "closed_known": np.array(ground is not None and ground.closed is not None),
        "future": np.zeros((8, 3), np.float32) if way is None else way.future.astype(np.float32),
        "future_known": np.array(way is not None),
        "commands": np.array(way.commands if way and way.commands else (-1, -1), np.int64),
        "lamp": np.array(answers.lamp, np.int64),
        "lamp_m": np.array(answers.lamp_m, np.float32),
        "answers": np.array([answers.pedestrian, answers.lead, answers.reason], np.int64),
    }  # fmt: skip
    if ground is not None and ground.closed is not None:
        found["closed"] = ground.closed.astype(np.float32)
    wide = len(sample.pictures.wide)
    return found | _box_arrays(sample.boxes, grid, settings, there, wide) | _line_arrays(
        sample.lines, grid, seen
    )  # fmt: skip


def _box_arrays(
    known: BoxTruth | None, grid: BevGrid, settings: SampleSettings, there: Mask, wide: int
) -> Arrays:
    if known is None:
        known = BoxTruth(np.zeros((0, 9)), np.zeros(0, np.int32),
                         np.zeros((0, len(there)), np.int32))  # fmt: skip
        count = np.array(False)
    else:
        count = np.array(True)
    inside = _inside(known.boxes[:, :2], grid)
    shown = np.where(there, known.pixels, 0)
    seen = settings.is_seen(shown, wide) | (known.pixels < 0).all(axis=1)
    velocity = np.asarray(np.isfinite(known.boxes[:, 7:9]).all(axis=1))
    return {
        "boxes": np.nan_to_num(known.boxes).astype(np.float32),
        "box_kind": known.kind.astype(np.int64), "box_valid": inside & seen,
        "box_hidden": inside & ~seen, "velocity_known": velocity, "boxes_known": count,
    }  # fmt: skip


def _line_arrays(known: LineTruth | None, grid: BevGrid, seen: Mask) -> Arrays:
    if known is None:
        return {
            "lines": np.zeros((0, POLYLINE_POINTS, 2), np.float32),
            "line_kind": np.zeros(0, np.int64), "line_valid": np.zeros(0, np.bool_),
            "lines_known": np.zeros(6, np.bool_),
        }  # fmt: skip
    looked = np.zeros(known.points.shape[:2], np.bool_)
    inside = _inside(known.points, grid)
    row, column = (
        ((known.points[inside][:, axis] - low) / (high - low) * count).astype(int)
        for axis, (low, high), count in zip((0, 1), (grid.x, grid.y), grid.cells, strict=True)
    )
    looked[inside] = seen[row, column]
    return {
        "lines": known.points.astype(np.float32), "line_kind": known.kind.astype(np.int64),
        "line_valid": looked.mean(axis=1) >= LOOKED_AT, "lines_known": known.classes,
    }  # fmt: skip


def _inside(points: F64, grid: BevGrid) -> Mask:
    x, y = points[..., 0], points[..., 1]
    return np.asarray(
        (grid.x[0] <= x) & (x < grid.x[1]) & (grid.y[0] <= y) & (y < grid.y[1]), np.bool_
    )


# -------------------------------------------------------------------------------- many of them

PADDED = ("boxes", "box_kind", "box_valid", "box_hidden", "velocity_known", "lines", "line_kind",
          "line_valid")  # fmt: skip


def collated(items: Sequence[Item], preset: Preset) -> Batch:
    """Tensors of several items, padded to the fullest of them."""
    views = [item.views for item in items]
    there = [item.memory is not None for item in items]
    now = _view_batch(views)
    then = [item.memory or _absent(item.views) for item in items]
    memory = _view_batch(then, _same_grids(then, views, now))
    truth = {
        name: torch.from_numpy(_stacked([item.truth[name] for item in items], name in PADDED))
        for name in items[0].truth
    }
    width = max(len(item.views.images) for item in items)
    spec = preset.image
    tele = (0, 0) if spec.tele is None else (spec.tele.height, spec.tele.width)
    wide_size, tele_size = ((h // PIXEL_STRIDE, w // PIXEL_STRIDE)
                            for h, w in ((spec.height, spec.width), tele))  # fmt: skip
    return Batch(
        keys=tuple(item.key for item in items), rigs=tuple(item.rig for item in items),
        weathers=tuple(item.weather for item in items), views=now,
        memory=MemoryBatch(
            memory, _tensor([item.ego_now_from_memory for item in items]),
            torch.tensor([[item.age_s] for item in items], dtype=torch.float32),
            torch.tensor([[known] for known in there]),
        ),
        ego_vector=_tensor([item.ego_vector for item in items]),
        pixels=_pixel_batch([item.pixels for item in items], width, wide_size),
        tele_pixels=_squeezed(_pixel_batch([(item.tele_pixels,) for item in items], 1, tele_size)),
        **truth,
    )  # fmt: skip


def _absent(like: ViewItem) -> ViewItem:
    """No camera at all."""
    return ViewItem(
        like.images[:0], like.present & False, like.grid, like.visible & False, like.tele * 0,
        False, like.tele_grid, like.tele_visible & False,
    )  # fmt: skip


def _same_grids(
    then: Sequence[ViewItem], now: Sequence[ViewItem], batch: ViewBatch
) -> Tensor | None:  # fmt: skip
    """The grids of a batch, if others have the very same: a megabyte a sample is not copied."""
    same = all(a.grid is b.grid for a, b in zip(then, now, strict=True))
    return batch.sampling_grid if same else None


def _view_batch(items: Sequence[ViewItem], grids: Tensor | None = None) -> ViewBatch:
    width = max([1, *(len(item.images) for item in items)])
    high, wide = items[0].images.shape[1:3]
    images = np.zeros((len(items), width, high, wide, 3), np.uint8)
    for k, item in enumerate(items):
        images[k, : len(item.images)] = item.images
    tele = np.stack([item.tele for item in items])
    return ViewBatch(
        torch.from_numpy(images).permute(0, 1, 4, 2, 3),
        _tensor([item.present for item in items]),
        _tensor([item.grid for item in items]) if grids is None else grids,
        _tensor([item.visible for item in items]), torch.from_numpy(tele).permute(0, 3, 1, 2),
        torch.tensor([item.tele_present for item in items]),
        _tensor([item.tele_grid for item in items]),
        _tensor([item.tele_visible for item in items]),
    )  # fmt: skip


def _pixel_batch(
    truths: Sequence[Sequence[PictureTruth | None]], width: int, size: tuple[int, int]
) -> PixelBatch:
    shape = (len(truths), width, *size)
    kind, lamp = (np.full(shape, UNKNOWN_CLASS, np.uint8) for _ in range(2))
    depth = np.full(shape, np.nan, np.float32)
    for b, row in enumerate(truths):
        for n, truth in enumerate(row):
            if truth is not None:
                kind[b, n], lamp[b, n], depth[b, n] = truth.kind, truth.lamp, truth.depth
    depth[np.isinf(depth)] = np.nan
    return PixelBatch(*(torch.from_numpy(part) for part in (kind, lamp, np.log(depth))))


def _squeezed(pixels: PixelBatch) -> PixelBatch:
    """(B, 1, ..) -> (B, ..)."""
    return PixelBatch(pixels.kind[:, 0], pixels.lamp[:, 0], pixels.log_depth[:, 0])


def _stacked(values: Sequence[NDArray[Any]], padded: bool) -> NDArray[Any]:
    if not padded:
        return np.stack(values)
    longest = max([1, *(len(value) for value in values)])
    out = np.zeros((len(values), longest, *values[0].shape[1:]), values[0].dtype)
    for k, value in enumerate(values):
        out[k, : len(value)] = value
    return out


def _tensor(values: Sequence[NDArray[Any]]) -> Tensor:
    return torch.from_numpy(np.stack(values))
