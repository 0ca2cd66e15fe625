"""Between our values and messages: pairs `x_to_message` and `x_from_message` that give back x.

The messages are those of `irl_vla.messages.messages`, the very ones that bags are written with, and
nodes publish their CDR bytes (`cdr`): a node, a bag and the desk speak through the same lines, no
number passes through an rclpy setter (Jazzy takes `x=1` and sends 5e-324), and no byte of a list is
checked one by one. `*_from_message` reads rclpy's messages just as well.
Plans, intents and commands: irl_vla/messages/plan_messages.py.
"""

from __future__ import annotations

from collections.abc import Container, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from irl_vla.camera.camera import Camera
from irl_vla.camera.preprocess import (
    CalibratedImages,
    ImageSpec,
    TeleImage,
    fitted_cameras,
    tele_camera,
)
from irl_vla.camera.projection import BevGrid
from irl_vla.camera.rig import Rig
from irl_vla.frames import rigid_from_quaternion
from irl_vla.messages.geometry_messages import path_message
from irl_vla.messages.messages import header, new, stamp_ns, typestore
from irl_vla.messages.plan_messages import (
    fallback_from_message,
    fallback_to_message,
    graphs_from_message,
    graphs_to_message,
    intent_from_message,
    intent_to_message,
)
from irl_vla.perception.classes import SceneClasses
from irl_vla.perception.tokens import TOKEN_ARRAYS, token_arrays
from irl_vla.types import (
    F64,
    SECOND_NS,
    Boxes3D,
    EgoStatus,
    GraphRecord,
    InputError,
    Intent,
    Refusal,
    RefusalReason,
    SceneTokens,
    Trajectory,
)
from irl_vla.vehicle import Limits, Vehicle
from irl_vla_nodes.ring import Handle

NOWHERE = Handle("", 0, 0)  # of a refusal: nothing lies in the ring
OCCUPIED = {"obstacle", "vehicle", "pedestrian"}  # classes of cells
FREE = {"road", "walkway", "centerline"}
UNSEEN = -1  # of nav_msgs/OccupancyGrid


def cdr(message: Any) -> memoryview:
    """The message as ROS 2 sends it."""
    return typestore().serialize_cdr(message, message.__msgtype__)


def from_cdr(data: bytes | memoryview, msgtype: str) -> Any:
    """And back. msgtype: "irl_vla_msgs/msg/Plan"."""
    return typestore().deserialize_cdr(data, msgtype)


@dataclass(frozen=True)
class FramesHandle:
    """Prepared pictures of one anchor that lie in the ring. stamps_ns: of the cameras that are
    there; missing: reasons of those that are not, as in FrameSet."""

    anchor_stamp_ns: int
    handle: Handle
    rig: str
    stamps_ns: Mapping[str, int]
    missing: Mapping[str, str]
    latencies_ms: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class TokensHandle:
    """What was perceived at one anchor. refusal: why there are no tokens, or None; graphs: the
    networks that made them."""

    anchor_stamp_ns: int
    handle: Handle
    refusal: tuple[RefusalReason, str] | None
    bundle_id: str
    epoch: int
    memory_stamp_ns: int | None
    missing: tuple[str, ...]
    ego: EgoStatus
    intent: Intent
    latencies_ms: Mapping[str, float] = field(default_factory=dict)
    graphs: tuple[GraphRecord, ...] = ()


def frames_to_message(value: FramesHandle, frame_id: str) -> Any:
    """FramesHandle -> irl_vla_msgs/FrameSet."""
    return new(
        "irl_vla_msgs/msg/FrameSet",
        header=header(value.anchor_stamp_ns, frame_id),
        **_handle_fields(value.handle),
        rig=value.rig,
        epoch=0,
        latencies=latencies_to_message(value.latencies_ms),
        cameras=list(value.stamps_ns),
        camera_stamps_ns=np.array(list(value.stamps_ns.values()), np.int64),
        missing_cameras=list(value.missing),
        missing_reasons=list(value.missing.values()),
    )


def frames_from_message(message: Any) -> FramesHandle:
    """irl_vla_msgs/FrameSet -> FramesHandle. Raises InputError where lists do not fit."""
    stamps = [int(stamp) for stamp in message.camera_stamps_ns]
    return FramesHandle(
        stamp_ns(message.header.stamp), _handle(message), str(message.rig),
        _paired("cameras", message.cameras, stamps),
        _paired("missing_cameras", message.missing_cameras, message.missing_reasons),
        latencies_from_message(message.latencies),
    )  # fmt: skip


def tokens_to_message(value: TokensHandle, frame_id: str) -> Any:
    """TokensHandle -> irl_vla_msgs/TokensHandle."""
    reason, detail = ("", "") if value.refusal is None else value.refusal
    return new(
        "irl_vla_msgs/msg/TokensHandle",
        header=header(value.anchor_stamp_ns, frame_id),
        refusal_reason=reason.value if isinstance(reason, RefusalReason) else reason,
        refusal_detail=detail,
        **_handle_fields(value.handle),
        bundle_id=value.bundle_id,
        epoch=value.epoch,
        has_memory=value.memory_stamp_ns is not None,
        memory_stamp_ns=value.memory_stamp_ns or 0,
        missing_cameras=list(value.missing),
        ego=ego_to_message(value.ego),
        intent=intent_to_message(value.intent, frame_id),
        latencies=latencies_to_message(value.latencies_ms),
        graphs=graphs_to_message(value.graphs),
    )


def tokens_from_message(message: Any) -> TokensHandle:
    """irl_vla_msgs/TokensHandle -> TokensHandle. Raises InputError for unknown reasons."""
    refusal = None
    if message.refusal_reason:
        refusal = _reason(message.refusal_reason), str(message.refusal_detail)
    return TokensHandle(
        stamp_ns(message.header.stamp), _handle(message), refusal, str(message.bundle_id),
        int(message.epoch), int(message.memory_stamp_ns) if message.has_memory else None,
        tuple(message.missing_cameras), ego_from_message(message.ego),
        intent_from_message(message.intent), latencies_from_message(message.latencies),
        graphs_from_message(message.graphs),
    )  # fmt: skip


def ego_to_message(ego: EgoStatus) -> Any:
    """EgoStatus -> irl_vla_msgs/EgoStatus."""
    return new(
        "irl_vla_msgs/msg/EgoStatus",
        stamp_ns=ego.stamp_ns,
        velocity_x=float(ego.velocity[0]),
        velocity_y=float(ego.velocity[1]),
        acceleration_x=float(ego.acceleration[0]),
        acceleration_y=float(ego.acceleration[1]),
        yaw_rate=float(ego.yaw_rate),
        valid=bool(ego.valid),
        source=ego.source,
        measured_ns=ego.measured_ns,
    )


def ego_from_message(message: Any) -> EgoStatus:
    """irl_vla_msgs/EgoStatus -> EgoStatus."""
    return EgoStatus(
        int(message.stamp_ns),
        np.array([message.velocity_x, message.velocity_y]),
        np.array([message.acceleration_x, message.acceleration_y]),
        float(message.yaw_rate), bool(message.valid), str(message.source),
        int(message.measured_ns),
    )  # fmt: skip


def refusal_to_message(
    refusal: Refusal, bundle_id: str, frame_id: str, latencies_ms: Mapping[str, float]
) -> Any:
    """Refusal -> irl_vla_msgs/Refusal."""
    return new(
        "irl_vla_msgs/msg/Refusal",
        header=header(refusal.anchor_stamp_ns, frame_id),
        reason=refusal.reason.value,
        detail=refusal.detail,
        has_fallback=refusal.fallback is not None,
        fallback=fallback_to_message(refusal.fallback),
        bundle_id=bundle_id,
        latencies=latencies_to_message(latencies_ms),
    )


def refusal_from_message(message: Any) -> Refusal:
    """irl_vla_msgs/Refusal -> Refusal. Raises InputError for unknown reasons."""
    fallback = fallback_from_message(message.fallback) if message.has_fallback else None
    return Refusal(
        stamp_ns(message.header.stamp), _reason(message.reason), str(message.detail), fallback
    )


def path_to_message(trajectory: Trajectory, anchor_ns: int, frame_id: str) -> Any:
    """Trajectory -> nav_msgs/Path; each pose is stamped with the time it is meant for."""
    return path_message(trajectory, anchor_ns, frame_id)


def path_from_message(message: Any) -> tuple[int, Trajectory]:
    """nav_msgs/Path -> anchor stamp and trajectory (yaw through a quaternion: to 1e-15)."""
    anchor, poses = stamp_ns(message.header.stamp), []
    for stamped in message.poses:
        p, q = stamped.pose.position, stamped.pose.orientation
        turn = rigid_from_quaternion((p.x, p.y, p.z), (q.x, q.y, q.z, q.w))
        poses.append([p.x, p.y, np.arctan2(turn[1, 0], turn[0, 0])])
    first = stamp_ns(message.poses[0].header.stamp) - anchor
    return anchor, Trajectory(np.array(poses), first / SECOND_NS)


def latencies_to_message(latencies_ms: Mapping[str, float]) -> list[Any]:
    """Milliseconds by stage -> irl_vla_msgs/StageLatency[]."""
    return [
        new("irl_vla_msgs/msg/StageLatency", stage=stage, milliseconds=float(value))
        for stage, value in latencies_ms.items()
    ]


def latencies_from_message(latencies: Any) -> dict[str, float]:
    """irl_vla_msgs/StageLatency[] -> milliseconds by stage."""
    return {str(entry.stage): float(entry.milliseconds) for entry in latencies}


def rig_to_notes(rig: Rig) -> dict[str, Any]:
    """A rig as JSON can write it; every number comes back as it was."""
    return {
        "name": rig.name,
        "vehicle": asdict(rig.vehicle),
        "cameras": [
            {
                "name": camera.name, "width": camera.width, "height": camera.height,
                "model": camera.model, "intrinsics": camera.intrinsics.tolist(),
                "distortion": camera.distortion.tolist(),
                "ego_from_cam": camera.ego_from_cam.tolist(), "offset_ns": camera.offset_ns,
            }
            for camera in rig.cameras
        ],
    }  # fmt: skip


def rig_from_notes(notes: Mapping[str, Any]) -> Rig:
    """And back."""
    outline = dict(notes["vehicle"])
    limits = Limits(**outline.pop("limits"))
    return Rig(
        notes["name"],
        tuple(
            Camera(
                entry["name"], entry["width"], entry["height"], entry["model"],
                np.array(entry["intrinsics"], np.float64),
                np.array(entry["distortion"], np.float64),
                np.array(entry["ego_from_cam"], np.float64), entry["offset_ns"],
            )
            for entry in notes["cameras"]
        ),
        Vehicle(**outline, limits=limits),
    )  # fmt: skip


def images_to_arrays(images: CalibratedImages) -> dict[str, Any]:
    """The pictures of one anchor, for the ring."""
    tele = {} if images.tele is None else {"tele": images.tele.pixels}
    return {"pixels": images.pixels, **tele}


def images_from_arrays(
    arrays: Mapping[str, Any], rig: Rig, spec: ImageSpec, there: Container[str]
) -> CalibratedImages:
    """Pictures out of the ring. spec: with which they were prepared; there: cameras that gave
    one."""
    present, camera = np.array([name in there for name in rig.names], np.bool_), None
    if "tele" in arrays:
        camera = tele_camera(rig, spec)
    tele = None if camera is None else TeleImage(camera, arrays["tele"])
    return CalibratedImages(fitted_cameras(rig, spec), arrays["pixels"], present, tele)


def tokens_to_arrays(tokens: SceneTokens) -> dict[str, Any]:
    """The arrays of SceneTokens, for the ring."""
    return token_arrays(tokens)


def tokens_from_arrays(value: TokensHandle, arrays: Mapping[str, Any]) -> SceneTokens:
    """SceneTokens out of the ring."""
    named = {name: arrays[name] for name in TOKEN_ARRAYS if name in arrays}
    return SceneTokens(
        value.anchor_stamp_ns, value.epoch, **named, memory_stamp_ns=value.memory_stamp_ns,
        computed_by=value.graphs,
    )  # fmt: skip


def boxes_of(tokens: SceneTokens, classes: SceneClasses) -> Boxes3D:
    """The agents that perception holds for real, under the names of its bundle."""
    rows = np.asarray(tokens.boxes, np.float64)[tokens.agent_valid]
    kinds = tokens.agent_class[tokens.agent_valid]
    return Boxes3D(
        rows[:, :3], rows[:, 3:6], rows[:, 6], rows[:, 7:9],
        tuple(classes.agents[int(kind)] for kind in kinds),
    )  # fmt: skip


def map_lines_of(tokens: SceneTokens) -> F64:
    """(K, 20, 3) polylines of the map elements that perception holds for real, on the ground."""
    lines = np.asarray(tokens.polylines, np.float64)[tokens.map_valid]
    return np.concatenate([lines, np.full((*lines.shape[:2], 1), 0.02)], axis=-1)


def segmentation_to_message(
    tokens: SceneTokens, area: BevGrid, classes: SceneClasses, frame_id: str
) -> Any:
    """BEV segmentation -> nav_msgs/OccupancyGrid: 0 drivable or walkable, 100 occupied, -1 not
    seen. Its columns run along x (forward), its rows along y (left), as ROS wants it."""
    names = np.array(classes.seg)[np.asarray(tokens.seg).argmax(axis=0)]  # (forward, left)
    cells = np.full(names.shape, UNSEEN, np.int8)
    cells[np.isin(names, list(FREE))] = 0
    cells[np.isin(names, list(OCCUPIED))] = 100
    rows, columns = names.shape
    pose = new(
        "geometry_msgs/msg/Pose",
        position=new("geometry_msgs/msg/Point", x=float(area.x[0]), y=float(area.y[0]), z=0.0),
        orientation=new("geometry_msgs/msg/Quaternion", x=0.0, y=0.0, z=0.0, w=1.0),
    )
    stamp = header(tokens.anchor_stamp_ns, frame_id)
    info = new(
        "nav_msgs/msg/MapMetaData",
        map_load_time=stamp.stamp, resolution=(area.x[1] - area.x[0]) / rows,
        width=rows, height=columns, origin=pose,
    )  # fmt: skip
    data = np.ascontiguousarray(cells.T).reshape(-1)
    return new("nav_msgs/msg/OccupancyGrid", header=stamp, info=info, data=data)


def _paired(what: str, names: Any, values: Any) -> dict[str, Any]:
    if len(names) != len(values):
        raise InputError(f"{len(names)} {what} for {len(values)} values")
    return dict(zip(names, values, strict=True))


def _reason(name: str) -> RefusalReason:
    try:
        return RefusalReason(name)
    except ValueError:
        known = ", ".join(reason.value for reason in RefusalReason)
        raise InputError(f"refusal for '{name}', expected one of {known}") from None


def _handle_fields(handle: Handle) -> dict[str, Any]:
    return {"ring": handle.ring, "slot": handle.slot, "generation": handle.generation}


def _handle(message: Any) -> Handle:
    return Handle(str(message.ring), int(message.slot), int(message.generation))
