"""Parameters: one frozen dataclass per node says name, default, bounds and meaning.

A node declares them from the dataclass, reads them back into it when it is configured, and refuses
what the dataclass refuses, in a sentence. `ros2 param describe` shows the same words.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import Field, dataclass, field, fields
from pathlib import Path
from typing import Any, TypeVar, get_type_hints

from irl_vla.camera.rig import load_rig
from irl_vla.camera.sync import NS_PER_MS, SyncSpec
from irl_vla.messages.topics import CameraTopics
from irl_vla.types import FALLBACK_UNTIL_S, InputError
from irl_vla.vehicle import PACIFICA, Limits, Vehicle
from irl_vla_nodes.ring import FOLDER

P = TypeVar("P")
NOTICING_S = 0.040  # [s] from silence to the first stop on a topic, on a busy machine
TEXTS = tuple[str, ...]
CONTROLS = ("trajectory", "twist", "ackermann")
NAMES_OF_TYPES: dict[Any, str] = {
    bool: "true or false", int: "a whole number", float: "a number", str: "a text",
    TEXTS: "a list of texts",
}  # fmt: skip


def setting(
    default: Any, about: str, low: float | None = None, high: float | None = None, *,
    live: bool = False,
) -> Any:  # fmt: skip
    """A field of a parameter class: its meaning, and the bounds of a number (both included).

    live: it may be set while the node is configured, and counts from then on
    """
    words = {"about": about, "low": low, "high": high, "live": live}
    return field(default=default, metadata=words)


@dataclass(frozen=True, kw_only=True)
class Common:
    """What every node has."""

    autostart: bool = setting(True, "configure and activate by itself, also after a restart")
    ring_folder: str = setting(str(FOLDER), "folder in memory for pictures and tokens")
    base_frame: str = setting("base_link", "tf frame of the rear axle on the ground")


@dataclass(frozen=True, kw_only=True)
class EgoParams(Common):
    """What every node has that must know how the car moves."""

    odometry_topic: str = setting(
        "/localization/kinematic_state", "nav_msgs/Odometry; empty: the ego's motion comes from tf"
    )
    tf_topic: str = setting("/tf", "tf2_msgs/TFMessage")
    tf_static_topic: str = setting("/tf_static", "tf2_msgs/TFMessage, latched")
    reliable: bool = setting(
        False, "ask for reliable delivery of sensor topics; best effort works with any publisher"
    )


@dataclass(frozen=True, kw_only=True)
class CameraParams(Common):
    """camera_node."""

    bundle: str = setting("", "policy bundle (folder), which determines the size of the pictures")
    rig: str = setting("", "calibration file (YAML); empty: CameraInfo and tf_static")
    cameras: tuple[str, ...] = setting((), "names of the cameras, in the order of the rig")
    image_topics: tuple[str, ...] = setting(
        (), "sensor_msgs/Image or CompressedImage of each camera"
    )
    camera_info_topics: tuple[str, ...] = setting(
        (), "sensor_msgs/CameraInfo of each; empty with a rig"
    )
    tf_static_topic: str = setting("/tf_static", "tf2_msgs/TFMessage, latched")
    anchor: str = setting("", "camera that opens a frame set; empty: the first")
    reliable: bool = setting(False, "ask for reliable delivery of pictures")
    tolerance_ms: int = setting(
        60, "[ms] largest difference between an image's stamp and the anchor's", 0, 1000
    )
    deadline_ms: int = setting(100, "[ms] how long a frame set waits for a camera", 0, 2000)
    silence_ms: int = setting(
        1000, "[ms] silence after which a camera counts as missing", 0, 10_000
    )
    ring_slots: int = setting(8, "frame sets that are kept for readers", 2, 64)
    frozen_after: int = setting(
        5,
        "equal pictures in a row that make a camera count as frozen; 0: never",
        0,
        1000,
        live=True,
    )

    def __post_init__(self) -> None:
        if not self.cameras:
            raise ValueError("cameras: expected at least one name")
        for name in self.cameras:
            if name != name.strip():
                raise ValueError(f"cameras: the name '{name}' begins or ends with a blank")
        if len(set(self.cameras)) != len(self.cameras):
            raise ValueError(f"cameras: a name is given twice in {', '.join(self.cameras)}")
        if len(self.image_topics) != len(self.cameras):
            raise ValueError(
                f"image_topics: expected one for each of {len(self.cameras)} cameras, got "
                f"{len(self.image_topics)}"
            )
        if not self.rig and len(self.camera_info_topics) != len(self.cameras):
            raise ValueError(
                f"camera_info_topics: expected one for each of {len(self.cameras)} cameras, got "
                f"{len(self.camera_info_topics)}; or give a calibration file as 'rig'"
            )
        if self.anchor and self.anchor not in self.cameras:
            raise ValueError(f"anchor: '{self.anchor}' is none of {', '.join(self.cameras)}")
        if not self.tolerance_ms <= self.deadline_ms <= self.silence_ms:
            raise ValueError(
                "expected tolerance_ms <= deadline_ms <= silence_ms, got "
                f"{self.tolerance_ms}, {self.deadline_ms}, {self.silence_ms}"
            )

    @property
    def sync(self) -> SyncSpec:
        """The synchroniser's times."""
        return SyncSpec(
            tolerance_ns=self.tolerance_ms * NS_PER_MS,
            deadline_ns=self.deadline_ms * NS_PER_MS,
            silence_ns=self.silence_ms * NS_PER_MS,
            jump_ns=max(SyncSpec.jump_ns, 2 * self.silence_ms * NS_PER_MS),
        )

    @property
    def topics(self) -> dict[str, CameraTopics]:
        """Topics by camera."""
        infos = self.camera_info_topics or (None,) * len(self.cameras)
        return {
            name: CameraTopics(image, info)
            for name, image, info in zip(self.cameras, self.image_topics, infos, strict=True)
        }


@dataclass(frozen=True, kw_only=True)
class OverlayParams(Common):
    """overlay_node."""

    cameras: tuple[str, ...] = setting((), "names of the cameras")
    image_topics: tuple[str, ...] = setting(
        (), "sensor_msgs/Image or CompressedImage of each camera"
    )
    quality: int = setting(80, "[%] of the JPEG pictures", 1, 100)

    def __post_init__(self) -> None:
        if len(self.image_topics) != len(self.cameras):
            raise ValueError(
                f"image_topics: expected one for each of {len(self.cameras)} cameras, got "
                f"{len(self.image_topics)}"
            )


@dataclass(frozen=True, kw_only=True)
class CheckParams(CameraParams):
    """check_car: a dry run."""

    odometry_topic: str = setting(
        "/localization/kinematic_state", "nav_msgs/Odometry; empty: the ego's motion comes from tf"
    )
    period_s: float = setting(0.1, "[s] between pictures, as they are expected", 0.02, 2.0)
    listen_s: float = setting(4.0, "[s] how long it listens", 1.0, 60.0)


@dataclass(frozen=True, kw_only=True)
class PerceptionParams(EgoParams):
    """perception_node."""

    bundle: str = setting("", "policy bundle (folder)")
    threads: int = setting(1, "of the networks on the CPU", 1, 64)
    seed: int = setting(0, "of everything random", 0, 2**31 - 1)
    intent_topic: str = setting("/navigation/intent", "irl_vla_msgs/Intent")
    latest_only: bool = setting(
        True,
        "when late, perceive only the newest frame set; the others are counted as skipped",
        live=True,
    )
    ring_slots: int = setting(8, "sets of tokens that are kept for readers", 2, 64)


@dataclass(frozen=True, kw_only=True)
class CommandParams(Common):
    """command_node."""

    rate_hz: float = setting(2.0, "[1/s] rate of commands", 0.1, 10.0, live=True)
    intent_topic: str = setting("/navigation/intent", "irl_vla_msgs/Intent, for set_intent")


@dataclass(frozen=True, kw_only=True)
class PlannerParams(EgoParams):
    """planner_node."""

    bundle: str = setting("", "policy bundle (folder), the same as perception's")
    threads: int = setting(1, "of the networks on the CPU", 1, 64)
    seed: int = setting(0, "of the planner's noise", 0, 2**31 - 1)
    max_input_age_s: float = setting(0.5, "[s] older pictures are refused", 0.05, 10.0, live=True)
    fallback_until_s: float = setting(
        FALLBACK_UNTIL_S,
        "[s] after its pictures the monitor begins a plan's fallback at the latest", 0.1, 5.0,
    )  # fmt: skip
    sure_score: float = setting(
        0.7,
        "an agent seen only once must score so much to be braked for beyond comfort",
        0.01,
        1.0,
    )
    rig: str = setting(
        "", "calibration file (YAML) whose section `vehicle` is the car; empty: the following"
    )
    vehicle_width: float = setting(PACIFICA.width, "[m] over all", 0.5, 5.0)
    vehicle_front_length: float = setting(
        PACIFICA.front_length, "[m] from the rear axle to the front bumper", 0.5, 20.0
    )
    vehicle_rear_length: float = setting(
        PACIFICA.rear_length, "[m] from the rear axle to the rear bumper", 0.1, 10.0
    )
    max_speed: float = setting(PACIFICA.limits.max_speed, "[m/s] of any plan", 1.0, 70.0)
    max_acceleration: float = setting(
        PACIFICA.limits.max_acceleration, "[m/s^2] forwards, of any plan", 0.5, 15.0
    )
    max_braking: float = setting(
        PACIFICA.limits.max_braking, "[m/s^2] of any plan and of the emergency stop", 0.5, 15.0
    )
    max_lateral: float = setting(
        PACIFICA.limits.max_lateral, "[m/s^2] sideways, of any plan", 0.5, 15.0
    )
    max_curvature: float = setting(
        PACIFICA.limits.max_curvature, "[1/m] of any plan, at the rear axle", 0.02, 1.0
    )

    @property
    def vehicle(self) -> Vehicle:
        """Of the rig file where one is given. Raises InputError where it cannot be read."""
        if self.rig:
            return load_rig(self.rig).vehicle
        limits = Limits(
            max_speed=self.max_speed, max_acceleration=self.max_acceleration,
            max_braking=self.max_braking, max_lateral=self.max_lateral,
            max_curvature=self.max_curvature,
        )  # fmt: skip
        return Vehicle(
            self.vehicle_width, self.vehicle_front_length, self.vehicle_rear_length, limits=limits
        )


@dataclass(frozen=True, kw_only=True)
class MonitorParams(EgoParams):
    """monitor_node."""

    cameras: tuple[str, ...] = setting(
        (), "names of the cameras, so that silent ones can be reported"
    )
    period_s: float = setting(0.1, "[s] between plans, as the cameras deliver", 0.02, 2.0)
    max_plan_age_s: float = setting(1.0, "[s] older plans are not driven", 0.1, 10.0, live=True)
    good_plans: int = setting(
        5, "good plans in a row after which the planner drives again", 1, 100, live=True
    )
    diagnostics_hz: float = setting(2.0, "[1/s] of /diagnostics", 0.1, 20.0, live=True)

    @property
    def silence_s(self) -> float:
        """Without a good plan for longer than this, the monitor stops the car: 1.5 periods and
        150 ms, less what noticing and publishing take."""
        return 1.5 * self.period_s + 0.150 - NOTICING_S


@dataclass(frozen=True, kw_only=True)
class WorldParams(Common):
    """world_node."""

    seed: int = setting(0, "seed of the town, its traffic and the drive", 0, 2**31 - 1)
    rig: str = setting("", "cameras (YAML); empty: tiny3")
    route_m: float = setting(0.0, "[m] length of the route; 0: 200 m", 0.0, 5000.0)
    answer_s: float = setting(
        10.0, "[s of wall time] how long it waits for a trajectory", 0.1, 600.0
    )
    results: str = setting("", "JSON file for the result of the drive; empty: log only")
    control: str = setting(
        "trajectory",
        "what moves the car: trajectory (the driven trajectory itself), twist (cmd_vel), ackermann "
        "(ackermann_cmd) of a vehicle interface such as irl_vla_follower",
    )

    def __post_init__(self) -> None:
        if self.control not in CONTROLS:
            raise ValueError(f"control: '{self.control}', expected one of {', '.join(CONTROLS)}")


@dataclass(frozen=True, kw_only=True)
class LockstepParams(Common):
    """lockstep_node."""

    bag: str = setting("", "recording to play")
    bundle: str = setting("", "policy bundle (folder) that the graph drives with")
    seed: int = setting(0, "of the planner's noise", 0, 2**31 - 1)
    fallback_until_s: float = setting(
        FALLBACK_UNTIL_S, "[s] as of the planner_node that is compared", 0.1, 5.0
    )
    answer_s: float = setting(20.0, "[s of wall time] how long it waits for a plan", 0.1, 600.0)
    results: str = setting("", "JSON file for the differences; empty: log only")


def from_values(kind: type[P], values: Mapping[str, Any], where: str) -> P:
    """Values by name -> the node's parameters. Raises InputError that names node and parameter."""
    hints = get_type_hints(kind)
    given = {}
    for entry in _fields(kind):
        if entry.name not in values:
            continue
        value = fitting(kind, entry.name, values[entry.name], where)
        if hints[entry.name] == TEXTS:
            value = tuple(text for text in value if text)  # ROS has no empty list of text
        given[entry.name] = value
    try:
        return kind(**given)
    except (ValueError, TypeError) as error:
        raise InputError(f"{where}: {error}") from None


def fitting(kind: type, name: str, value: Any, where: str) -> Any:
    """The value as the parameter takes it: whole numbers are numbers, too. Raises InputError for
    another type, and outside the bounds."""
    wanted = get_type_hints(kind)[name]
    entry = next(e for e in _fields(kind) if e.name == name)
    if wanted == TEXTS:
        fits = all(isinstance(text, str) for text in value or ())
        value = list(value or ()) or [""]
    elif wanted is float:
        fits = isinstance(value, (int, float)) and not isinstance(value, bool)
        value = float(value) if fits else value
    else:
        fits = isinstance(value, wanted) and (wanted is bool or not isinstance(value, bool))
    if not fits:
        raise InputError(
            f"{where}: parameter '{name}' is {value!r}, expected {NAMES_OF_TYPES[wanted]}: "
            f"{entry.metadata['about']}"
        )
    _refuse_outside(entry, value, where)
    return value


def default_values(kind: type) -> dict[str, Any]:
    """What ROS declares: an empty list of texts is one empty text, for a list must have a type."""
    return {
        entry.name: (list(entry.default) or [""])
        if isinstance(entry.default, tuple)
        else entry.default
        for entry in _fields(kind)
    }


def about(kind: type) -> dict[str, tuple[str, float | None, float | None]]:
    """Meaning and bounds by name."""
    return {
        e.name: (e.metadata["about"], e.metadata["low"], e.metadata["high"]) for e in _fields(kind)
    }


def live_names(kind: type) -> frozenset[str]:
    """Parameters that may be set while the node is configured."""
    return frozenset(e.name for e in _fields(kind) if e.metadata["live"])


def folder_of(text: str, setting_name: str) -> Path:
    """A path that has to be given. Raises InputError where it is empty."""
    if not text:
        raise InputError(f"parameter '{setting_name}' is empty: expected a path")
    return Path(text)


def _fields(kind: Any) -> tuple[Field[Any], ...]:
    return fields(kind)


def _refuse_outside(entry: Field[Any], value: Any, where: str) -> None:
    low, high = entry.metadata["low"], entry.metadata["high"]
    if low is not None and not low <= value <= high:
        raise InputError(
            f"{where}: parameter '{entry.name}' is {value}, expected {low:g} to {high:g}: "
            f"{entry.metadata['about']}"
        )
