"""SceneTokens/2 as the two perception graphs speak it: names, types and shapes of every tensor.

Legend: C feature channels, h x w feature cells, P points = rows * cols * heights, D token width,
M map elements, Hp x Wp pooled grid. The export writes these names into the graphs and the runners
check them. No torch here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from irl_vla.camera.rig import MAX_CAMERAS
from irl_vla.frames import pose_of
from irl_vla.perception.classes import CLASSES, SceneClasses
from irl_vla.perception.preset import (
    AGENT_QUERIES,
    POLYLINE_POINTS,
    Preset,
)
from irl_vla.types import (
    F32,
    F64,
    EgoStatus,
    GraphRecord,
    InputError,
    Intent,
    IntentDirection,
    SceneTokens,
)

SCENE_TOKENS = "SceneTokens/2"  # what this version exports
FIRST_TOKENS = "SceneTokens/1"  # without `closed`
READABLE_TOKENS = (SCENE_TOKENS, FIRST_TOKENS)  # and what it drives with
TOKEN_ARRAYS = (  # of SceneTokens; an optional one is None where a bundle does not have it
    "bev", "agents", "boxes", "agent_class", "agent_valid", "ego", "map", "polylines", "map_class",
    "map_valid", "seg", "closed",
)  # fmt: skip
BOX_FIELDS = ("x", "y", "z", "l", "w", "h", "yaw", "vx", "vy", "score")

ROUTE_POINTS = 20
EGO_STATUS_SCALE = (10.0, 10.0, 3.0, 3.0, 0.5)  # vx, vy [m/s], ax, ay [m/s^2], yaw rate [rad/s]
ROUTE_SCALE_M = 32.0  # half the side of the observed square
EGO_VECTOR_SIZE = len(EGO_STATUS_SCALE) + 1 + len(IntentDirection) + 3 * ROUTE_POINTS

Tensors = Mapping[str, NDArray[Any]]


@dataclass(frozen=True)
class TensorSpec:
    """One tensor of a graph. shape: a name such as "images" is a dynamic dimension."""

    name: str
    dtype: str  # NumPy's name
    shape: tuple[int | str, ...]


@dataclass(frozen=True)
class GraphIo:
    """What enters and what leaves one graph, in the order of its arguments.

    optional: tensors that a bundle may lack, because it is older than they are; they come last
    """

    graph: str
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    optional: frozenset[str] = frozenset()


def camera_io(preset: Preset) -> GraphIo:
    """The `camera` graph: the batch of images, 1..8, is the only dynamic dimension."""
    image = preset.image
    return GraphIo(
        "camera",
        (TensorSpec("images", "float32", ("images", 3, image.height, image.width)),),
        (
            TensorSpec(
                "features", "float32", ("images", preset.feature_channels, *preset.feature_size)
            ),
        ),
    )


def bev_io(preset: Preset, classes: SceneClasses = CLASSES) -> GraphIo:
    """The `bev` graph: everything has a fixed size; a missing camera is a mask."""
    points, width = preset.points, preset.d_model
    agents, elements = AGENT_QUERIES, preset.map_queries
    bev = (width, *preset.pooled)
    features = (MAX_CAMERAS, preset.feature_channels, *preset.feature_size)
    return GraphIo(
        "bev",
        (
            TensorSpec("features", "float32", features),
            TensorSpec("sampling_grid", "float32", (MAX_CAMERAS, points, 2)),
            TensorSpec("visible", "bool", (MAX_CAMERAS, points)),
            TensorSpec("present", "bool", (MAX_CAMERAS,)),
            TensorSpec("memory_bev", "float16", bev),
            TensorSpec("ego_now_from_memory", "float32", (3, 3)),
            TensorSpec("memory_age_s", "float32", (1,)),
            TensorSpec("memory_valid", "bool", (1,)),
            TensorSpec("ego_vector", "float32", (EGO_VECTOR_SIZE,)),
        ),
        (
            TensorSpec("bev", "float16", bev),
            TensorSpec("agents", "float16", (agents, width)),
            TensorSpec("boxes", "float16", (agents, len(BOX_FIELDS))),
            TensorSpec("agent_class", "int64", (agents,)),
            TensorSpec("agent_valid", "bool", (agents,)),
            TensorSpec("ego", "float16", (1, width)),
            TensorSpec("map", "float16", (elements, width)),
            TensorSpec("polylines", "float16", (elements, POLYLINE_POINTS, 2)),
            TensorSpec("map_class", "int64", (elements,)),
            TensorSpec("map_valid", "bool", (elements,)),
            TensorSpec("seg", "float16", (len(classes.seg), *preset.bev.cells)),
            TensorSpec("closed", "float16", (1, *preset.bev.cells)),
        ),
        optional=frozenset({"closed"}),
    )


def encode_ego(ego: EgoStatus | None, intent: Intent | None) -> F32:
    """EgoStatus and Intent -> (EGO_VECTOR_SIZE,), each with its mask; None = not known.

    Order: status over EGO_STATUS_SCALE, its validity, one-hot intent, route x y over ROUTE_SCALE_M,
    one validity per route point. The intent's route must already be in the anchor's ego frame.
    """
    intent = intent or Intent()
    status, known = np.zeros(len(EGO_STATUS_SCALE)), ego is not None and ego.valid
    if ego is not None and ego.valid:
        status = np.array([*ego.velocity, *ego.acceleration, ego.yaw_rate]) / EGO_STATUS_SCALE
    one_hot = [float(direction is intent.direction) for direction in IntentDirection]
    route, there = np.zeros((ROUTE_POINTS, 2)), np.zeros(ROUTE_POINTS)
    if intent.route is not None:
        route[: len(intent.route)] = intent.route / ROUTE_SCALE_M
        there[: len(intent.route)] = 1.0
    parts = (status, [float(known)], one_hot, route.ravel(), there)
    return np.concatenate(parts).astype(np.float32)


@dataclass(frozen=True)
class BevMemory:
    """An earlier `bev` output, and where and when it was.

    bev: (D, Hp, Wp) float16; ego_now_from_memory: (4, 4); age_s: anchor now minus anchor then
    """

    bev: NDArray[np.float16]
    ego_now_from_memory: F64
    age_s: float


def memory_inputs(preset: Preset, memory: BevMemory | None) -> dict[str, NDArray[Any]]:
    """The four memory tensors of the `bev` graph; None = invalid, and then without influence."""
    if memory is None:
        return {
            "memory_bev": np.zeros((preset.d_model, *preset.pooled), np.float16),
            "ego_now_from_memory": np.eye(3, dtype=np.float32),
            "memory_age_s": np.zeros(1, np.float32),
            "memory_valid": np.zeros(1, np.bool_),
        }
    return {
        "memory_bev": memory.bev,
        "ego_now_from_memory": planar(memory.ego_now_from_memory),
        "memory_age_s": np.array([memory.age_s], np.float32),
        "memory_valid": np.ones(1, np.bool_),
    }


def planar(target_from_source: F64) -> F32:
    """(4, 4) transform -> its part in the ground plane as a (3, 3) SE(2) matrix."""
    x, y, yaw = pose_of(target_from_source)
    cos, sin = np.cos(yaw), np.sin(yaw)
    return np.array([[cos, -sin, x], [sin, cos, y], [0.0, 0.0, 1.0]], np.float32)


def to_slots(values: NDArray[Any], slots: NDArray[np.bool_]) -> NDArray[Any]:
    """(n, ...) values of the cameras that exist -> (8, ...), zero elsewhere.

    slots: (cameras,) bool with n times True, in the rig's order: which camera each value is of
    """
    if len(slots) > MAX_CAMERAS:
        raise InputError(
            f"rig: expected at most {MAX_CAMERAS} cameras, got {len(slots)}. Leave some out"
        )
    filled = np.zeros((MAX_CAMERAS, *values.shape[1:]), values.dtype)
    filled[np.flatnonzero(slots)] = values
    return filled


def scene_tokens(
    outputs: Tensors, anchor_stamp_ns: int, epoch: int, memory_stamp_ns: int | None,
    computed_by: tuple[GraphRecord, ...] = (),
) -> SceneTokens:  # fmt: skip
    """Outputs of the `bev` graph -> SceneTokens; the arrays are taken as they are, not copied.

    An output that this version does not know is left out: a newer bundle may say more.
    """
    known = {name: np.asarray(outputs[name]) for name in TOKEN_ARRAYS if name in outputs}
    return SceneTokens(
        anchor_stamp_ns, epoch, memory_stamp_ns=memory_stamp_ns, computed_by=computed_by, **known
    )


def token_arrays(tokens: SceneTokens) -> dict[str, NDArray[Any]]:
    """The arrays of tokens by name, without optional ones that are not there."""
    found = {name: getattr(tokens, name) for name in TOKEN_ARRAYS}
    return {name: value for name, value in found.items() if value is not None}
