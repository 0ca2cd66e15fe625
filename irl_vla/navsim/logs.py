"""One log pickle -> frames.

A log is a list of dicts at 2 Hz. A Frame is made when it is first asked for and then kept with its
log; a `LogShelf` keeps the last few logs, so that memory stays bounded over any number of tokens.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from irl_vla.navsim.records import Annotations, LogFrame
from irl_vla.types import InputError
from irl_vla.unpickle import load_pickle

LOG_KEYS = (
    "token", "timestamp", "log_name", "scene_token", "map_location", "roadblock_ids",
    "traffic_lights", "driving_command", "ego2global_translation", "ego2global_rotation",
    "ego_dynamic_state", "cams",
)  # fmt: skip


def heading_of(quaternion: Sequence[float]) -> float:
    """Heading [rad] of a quaternion (w, x, y, z), as NAVSIM takes it.

    atan2(2(wz - xy), 1 - 2(y^2 + z^2)) of the normalised quaternion: the usual ZYX yaw has
    wz + xy. The two differ by about roll times pitch; the scores follow this one.
    """
    w, x, y, z = (float(value) for value in quaternion)
    norm = float(np.sqrt(w * w + x * x + y * y + z * z))
    if not norm > 0.0:
        raise InputError(f"quaternion {list(quaternion)}: expected a rotation, got zero or NaN")
    w, x, y, z = w / norm, x / norm, y / norm, z / norm
    return float(np.arctan2(2.0 * (w * z - x * y), 1.0 - 2.0 * (y * y + z * z)))


def annotations_from(
    boxes: Any, names: Any, velocities: Any, tracks: Any, instances: Any
) -> Annotations:
    """Annotations of one frame; frames without things keep the shape (0, 7)."""
    return Annotations(
        np.asarray(boxes, np.float64).reshape(-1, 7),
        tuple(str(name) for name in names),
        np.asarray(velocities, np.float64).reshape(-1, 3),
        tuple(tracks),
        tuple(instances),
    )


def frame_from_log(raw: Mapping[str, Any], where: str) -> LogFrame:
    """A dict of a log -> LogFrame. where: file and index, for errors."""
    place, motion, found = raw["ego2global_translation"], raw["ego_dynamic_state"], raw.get("anns")
    return LogFrame(
        token=raw["token"],
        timestamp_us=int(raw["timestamp"]),
        pose=np.array([place[0], place[1], heading_of(raw["ego2global_rotation"])]),
        velocity=np.array(motion[:2], np.float32),
        acceleration=np.array(motion[2:], np.float32),
        command=np.asarray(raw["driving_command"]),
        roadblock_ids=tuple(raw["roadblock_ids"]),
        traffic_lights=tuple((int(lane), bool(red)) for lane, red in raw["traffic_lights"]),
        annotations=None if found is None else annotations_from(
            found["gt_boxes"], found["gt_names"], found["gt_velocity_3d"],
            found["track_tokens"], found["instance_tokens"],
        ),
        cameras={name.lower(): camera for name, camera in raw["cams"].items()},
        where=where,
    )  # fmt: skip


class Log:
    """The frames of one log file, made when asked for.

    name: the file name without ".pkl", which the filters compare with
    """

    def __init__(self, path: Path) -> None:
        self.path, self.name = path, path.stem
        self.raw = _checked(path, load_pickle(path, "log"))
        self._frames: dict[int, LogFrame] = {}

    def __len__(self) -> int:
        return len(self.raw)

    def frame(self, index: int) -> LogFrame:
        """Frame `index`; raises InputError if its values cannot be used."""
        if index not in self._frames:
            where = f"{self.path}: frame {index}"
            try:
                self._frames[index] = frame_from_log(self.raw[index], where)
            except (ValueError, TypeError, KeyError, IndexError) as error:
                raise InputError(
                    f"{where} (token {self.raw[index]['token']}) cannot be used: {error}. Is this "
                    "an OpenScene log?"
                ) from None
        return self._frames[index]


def _checked(path: Path, raw: Any) -> list[dict[str, Any]]:
    if not isinstance(raw, list) or not all(isinstance(frame, dict) for frame in raw):
        raise InputError(f"{path}: expected a list of frames (an OpenScene log), got {type(raw)}")
    for index, frame in enumerate(raw):
        absent = [key for key in LOG_KEYS if key not in frame]
        if absent:
            raise InputError(
                f"{path}: frame {index} has no {', '.join(absent)}. Is this an OpenScene log "
                "(navsim_logs), or an older one?"
            )
    return raw


class LogShelf:
    """The last few logs that were read.

    The devkit keeps every log of a split in memory; walking tokens in log order needs one.
    """

    def __init__(self, kept: int = 2) -> None:
        self._kept = kept
        self._logs: OrderedDict[Path, Log] = OrderedDict()

    def get(self, path: Path) -> Log:
        """The log at `path`, read once while it stays on the shelf."""
        if path in self._logs:
            self._logs.move_to_end(path)
            return self._logs[path]
        log = Log(path)
        self._logs[path] = log
        while len(self._logs) > self._kept:
            self._logs.popitem(last=False)
        return log
