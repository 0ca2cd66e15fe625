"""A short straight street to look at, and road users placed on it by hand."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from irl_vla.camera.camera import Camera, CameraModel
from irl_vla.camera.rig import Look, Rig, ego_from_look
from irl_vla.scoring.scene import Polygons
from irl_vla.types import F64
from irl_vla.world.episode import MODELS, Actors, Moment
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
) -> Moment:  # fmt: skip
    """An instant with everybody present."""
    count = len(states)
    place = np.zeros(11)
    place[:3] = ego
    return Moment(
        time_s, place, 0, states, np.ones(count, np.bool_), np.full(count, lamps, np.uint8),
        np.array([light], np.int8),
    )  # fmt: skip


def front_rig(
    model: CameraModel = CameraModel.PLUMB_BOB, distortion: tuple[float, ...] = (),
    *, focal: float = 550.0, look: Look | None = None, name: str = "front",
    size: tuple[int, int] = (704, 400),
) -> Rig:  # fmt: skip
    """One camera behind the windscreen."""
    width, height = size
    intrinsics = np.array([[focal, 0, (width - 1) / 2], [0, focal, (height - 1) / 2], [0, 0, 1.0]])
    mounting = ego_from_look((1.7, 0.0, 1.5), look or Look())
    return Rig("one", (Camera(name, width, height, model, intrinsics, distortion, mounting),))


LENSES = {
    "no distortion": front_rig(),
    "barrel": front_rig(distortion=(-0.35, 0.17, -0.002, 0.0005, -0.05)),
    "rational": front_rig(
        CameraModel.RATIONAL_POLYNOMIAL, (0.9, 0.3, 0.001, -0.001, 0.02, 1.2, 0.5, 0.05)
    ),
    "fisheye": front_rig(CameraModel.EQUIDISTANT, (0.03, -0.01, 0.002, -0.0005), focal=330.0),
}
