"""One training sample: pictures of two instants, what the car knew, and the truth about them.

The same type for every source. What a source does not know is None (or `known` says so) and is
masked in losses; nothing is ever guessed. Frames: ego frame at the sample's instant, x forward,
y left, metres, radians. May import: irl_vla.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from irl_vla.camera.camera import Camera
from irl_vla.types import F32, F64, U8, EgoStatus, Intent

Mask = NDArray[np.bool_]
I32 = NDArray[np.int32]

LAMPS = ("none", "red", "amber", "green")  # answers: what the light ahead shows; of pixels, too
LEADS = ("none", "goes on", "brakes", "stands")  # answers: the vehicle ahead in the ego's way
REASONS = (  # answers: what the expert's speed is bound by
    "free road", "bend or limit", "vehicle ahead", "crossing road user", "light or right of way",
    "lane change", "end of route",
)  # fmt: skip
LIGHT_WITHIN_M = 60.0  # [m] to the stop line: beyond it a light is no answer
UNKNOWN = 255  # of per-pixel classes and lamps where nothing is known


@dataclass(frozen=True)
class Picture:
    """One picture as a JPEG file, and the camera of these very pixels."""

    camera: Camera
    jpeg: bytes


@dataclass(frozen=True)
class Pictures:
    """Of one instant. wide: 1 to 8 cameras in the order of the rig; tele: the crop at full
    resolution of the picture ahead, None where no camera looks ahead."""

    wide: tuple[Picture, ...]
    tele: Picture | None = None

    @property
    def all(self) -> tuple[Picture, ...]:
        """The wide ones, then the crop where there is one."""
        return self.wide if self.tele is None else (*self.wide, self.tele)


@dataclass(frozen=True)
class Memory:
    """An earlier instant. ego_now_from_memory: (3,) pose of the ego then, in the ego frame now;
    age_s: 0.2 to 0.8 [s]."""

    pictures: Pictures
    ego_now_from_memory: F64
    age_s: float


@dataclass(frozen=True)
class PictureTruth:
    """Of one picture, (h, w) each, half of its size.

    kind: index into world.render.quads.CLASSES; lamp: what the signal shows whose face the pixel
    sees, index into LAMPS; both UNKNOWN where that is so
    depth: [m] along the optical axis, float32, inf for the sky, NaN where unknown
    """

    kind: U8
    lamp: U8
    depth: F32


@dataclass(frozen=True)
class GroundTruth:
    """Cells of the preset's BEV grid, row i along x, column j along y.

    seg: (R, S) index into perception.preset.SEG_CLASSES, later ones painted over earlier ones;
    bicycles are `vehicle`; road users that no picture shows are not painted
    known: (R, S) False where the cell must not count: under road users that are there and hidden,
    and where the source has no map
    classes: (7,) whether the source knows the class at all; where not, cells of that class are told
    as "nothing", so no loss may tell the two apart
    closed: (R, S) lanes through junctions that a red light keeps the ego from entering; None where
    lights are not known
    """

    seg: U8
    known: Mask
    classes: Mask
    closed: Mask | None


@dataclass(frozen=True)
class BoxTruth:
    """All road users and obstacles around, seen or not, nearest first.

    boxes: (n, 9) x y z l w h yaw vx vy, centres [m], over ground in ego axes [m/s], NaN where
    unknown; kind: (n,) index into perception.preset.AGENT_CLASSES
    pixels: (n, pictures) how many pixels of it each of `pictures.all` shows; -1 where unknown
    """

    boxes: F64
    kind: I32
    pixels: I32


@dataclass(frozen=True)
class LineTruth:
    """Map elements within the grid, red stop lines first, then stop lines, then the nearest.

    points: (m, 20, 2) [m], cut to the grid, evenly spaced; kind: (m,) index into MAP_CLASSES
    classes: (6,) whether the source knows the class
    """

    points: F64
    kind: I32
    classes: Mask


@dataclass(frozen=True)
class Way:
    """Where an intent led: the driver's next 4 s.

    future: (8, 3) poses, 0.5 s apart, ego frame, as in types.Trajectory
    commands: index into SpeedCommand and into PathCommand, or None where the future has no label
    """

    intent: Intent
    future: F64
    commands: tuple[int, int] | None


@dataclass(frozen=True)
class Answers:
    """To the questions about a scene, by what can be seen.

    lamp: index into LAMPS: the light that the ego's way leads to within LIGHT_WITHIN_M, "none"
    without one, -1 unknown; lamp_m: [m] from the front bumper to its stop line, NaN without
    pedestrian: 1 where somebody on foot is seen in or beside the next 30 m of the way, else 0
    lead: index into LEADS; reason: index into REASONS; each -1 where unknown
    """

    lamp: int = -1
    lamp_m: float = float("nan")
    pedestrian: int = -1
    lead: int = -1
    reason: int = -1


@dataclass(frozen=True)
class SceneReference:
    """The scoring scene of the sample's instant, by which it is made again: seed and step of the
    built-in world (`Cutter(episode_of(seed)).prepared(step)`)."""

    seed: int
    step: int


@dataclass(frozen=True)
class Sample:
    """See the module's text.

    key: unique within a set, without dots and slashes; source: "world", "scenarionet", ..
    ego: fitted over half a second, as the core does it; way: what the intent led to, None for a
    source without future; other_ways: what other intents would have led to from here
    pixels: one entry per picture of `pictures.all`
    scene: None for samples that are no instant of a benchmark drive (recovery, other sources)
    recovery: begins off the drive; foreseen: the driver knew what no camera could see, and it
    changed the next 4 s: "" or "hidden road user" or "light's clock"
    weather, rig: names, for evaluation
    """

    key: str
    source: str
    pictures: Pictures
    memory: Memory | None
    ego: EgoStatus
    way: Way | None
    other_ways: tuple[Way, ...] = ()
    ground: GroundTruth | None = None
    boxes: BoxTruth | None = None
    lines: LineTruth | None = None
    pixels: tuple[PictureTruth | None, ...] = ()
    answers: Answers = field(default_factory=Answers)
    scene: SceneReference | None = None
    recovery: bool = False
    foreseen: str = ""
    weather: str = ""
    rig: str = ""

    def __post_init__(self) -> None:
        if self.pixels and len(self.pixels) != len(self.pictures.all):
            raise ValueError(
                f"sample {self.key}: {len(self.pixels)} entries of pixel truth for"
                f" {len(self.pictures.all)} pictures"
            )
