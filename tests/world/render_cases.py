"""A short straight street to look at, road users placed on it by hand, and boxes in pictures."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from irl_vla.camera.camera import Camera, CameraModel
from irl_vla.camera.projection import project
from irl_vla.camera.rig import Rig, ViewDirection, ego_from_look
from irl_vla.frames import inverse, move, rigid_from_pose
from irl_vla.scoring.scene import Polygons
from irl_vla.types import F64
from irl_vla.world.episode import MODELS, Actors, WorldState
from irl_vla.world.render.renderer import PixelTruth, Renderer
from irl_vla.world.town import Lane, Marking, Prop, Signal, Town

SIZES = {
    "car": (4.5, 1.85, 1.45), "suv": (4.7, 1.95, 1.75), "van": (5.4, 2.0, 2.3),
    "truck": (8.5, 2.5, 3.4), "bus": (12.0, 2.55, 3.1), "bicycle": (1.8, 0.6, 1.75),
    "pedestrian": (0.6, 0.6, 1.75), "object": (1.5, 1.2, 1.1),
}  # fmt: skip
TYPES = {"pedestrian": 1, "bicycle": 2, "object": 6}  # index into AGENT_TYPES; the others: 0


def street(*props: Prop, heads: Sequence[tuple[float, float, float, float]] = ()) -> Town:
    """300 m of road along x, 7 m wide, with one signal of the given heads."""
    along = np.linspace(-150.0, 150.0, 151)
    centre = np.stack([along, np.full(151, -1.75), np.zeros(151)], axis=1)
    ring = np.array([(-150.0, -3.5), (150.0, -3.5), (150.0, 3.5), (-150.0, 3.5)])
    lane = Lane("lane", centre, ring, 3.5, 13.9, "block", ())
    signals = (Signal(np.array([(10.0, 1.0)]), 0.0, np.array(heads)),) if heads else ()
    line = Marking("dashed", np.array([(-150.0, 0.0), (150.0, 0.0)]), 0.15)
    return Town("street", 0, (lane,), Polygons.of([ring]), markings=(line,), props=props,
                signals=signals)  # fmt: skip


def users(*who: tuple[str, tuple[float, float, float]], looks: int = 5) -> tuple[Actors, F64]:
    """Actors of these models and their states (A, 5) at poses x, y, heading."""
    names = [name for name, _ in who]
    actors = Actors(
        tuple(f"{k}" for k in range(len(who))),
        np.array([TYPES.get(name, 0) for name in names], np.int8),
        np.array([SIZES[name] for name in names]).reshape(-1, 3),
        np.array([MODELS.index(name) for name in names], np.int8),
        np.arange(len(who), dtype=np.int64) + looks,
    )
    states = np.zeros((len(who), 5))
    states[:, :3] = np.array([pose for _, pose in who]).reshape(-1, 3)
    return actors, states


def moment(
    states: F64, *, lamps: int = 0, light: int = 1, time_s: float = 0.0,
    ego: tuple[float, float, float] = (0.0, -1.75, 0.0),
) -> WorldState:  # fmt: skip
    """An instant with everybody present."""
    count = len(states)
    place = np.zeros(11)
    place[:3] = ego
    return WorldState(
        time_s, place, 0, states, np.ones(count, np.bool_), np.full(count, lamps, np.uint8),
        np.array([light], np.int8),
    )  # fmt: skip


def front_rig(
    model: str = CameraModel.PLUMB_BOB, distortion: tuple[float, ...] = (),
    *, focal: float = 550.0, look: ViewDirection | None = None, name: str = "front",
    size: tuple[int, int] = (704, 400),
) -> Rig:  # fmt: skip
    """One camera behind the windscreen."""
    width, height = size
    intrinsics = np.array([[focal, 0, (width - 1) / 2], [0, focal, (height - 1) / 2], [0, 0, 1.0]])
    mounting = ego_from_look((1.7, 0.0, 1.5), look or ViewDirection())
    return Rig("one", (Camera(name, width, height, model, intrinsics, distortion, mounting),))


LENSES = {
    "no distortion": front_rig(),
    "barrel": front_rig(distortion=(-0.35, 0.17, -0.002, 0.0005, -0.05)),
    "rational": front_rig(
        CameraModel.RATIONAL_POLYNOMIAL, (0.9, 0.3, 0.001, -0.001, 0.02, 1.2, 0.5, 0.05)
    ),
    "fisheye": front_rig(CameraModel.EQUIDISTANT, (0.03, -0.01, 0.002, -0.0005), focal=330.0),
}


def box_corners(size: F64, state: F64) -> F64:
    """(8, 3) in the world."""
    signs = np.array([(x, y, z) for x in (-0.5, 0.5) for y in (-0.5, 0.5) for z in (0.0, 1.0)])
    return move(signs * size, rigid_from_pose(state[:3]))


def edges_of_box(size: F64, state: F64, count: int = 40) -> F64:
    """(12 count, 3) points along all edges: a bent lens bends them."""
    corners = box_corners(size, state)
    pairs = [(a, b) for a in range(8) for b in range(a) if (a ^ b).bit_count() == 1]
    share = np.linspace(0, 1, count)[:, None]
    return np.concatenate([corners[a] + share * (corners[b] - corners[a]) for a, b in pairs])


def seen_from(camera: Camera, points: F64, now_ego: F64) -> F64:
    """(n, 2) pixels of points in the world."""
    cam_from_world = inverse(now_ego @ camera.ego_from_cam)
    return project(camera, move(points, cam_from_world)).pixels


def rectangle(pixels: F64) -> tuple[float, float, float, float]:
    return (*pixels.min(axis=0), *pixels.max(axis=0))


def overlap(a: tuple[float, ...], b: tuple[float, ...]) -> float:
    """IoU of two rectangles."""
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    both = max(width, 0.0) * max(height, 0.0)
    areas = [(r[2] - r[0]) * (r[3] - r[1]) for r in (a, b)]
    return float(both / (sum(areas) - both))


def mask_rectangle(mask: np.ndarray) -> tuple[float, float, float, float]:
    """Outer edges of the pixels of a mask."""
    rows, columns = np.nonzero(mask)
    return columns.min() - 0.5, rows.min() - 0.5, columns.max() + 0.5, rows.max() + 0.5


def look(rig: Rig, *who: tuple[str, tuple[float, float, float]]) -> tuple[PixelTruth, Actors, F64]:
    actors, states = users(*who)
    now = moment(states)
    return Renderer(street(), actors, rig, 3).measure(now)[rig.names[0]], actors, states
