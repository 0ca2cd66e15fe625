"""A bag with DGP box files beside it (TRI's Dataset Governance Policy) -> the bag, with boxes.

Layout: bounding_box_3d/<DATUM>/<microseconds>.json, calibration/<hash>.json (extrinsics: pose of
each datum in the ego frame). A camera's boxes are in its optical frame at its own stamp; LIDAR has
every box at the lidar's stamp. Sizes: length along the box's x, width y, height z.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from irl_vla.bag.bag import Bag
from irl_vla.bag.bag_files import Closing
from irl_vla.bag.bag_info import BagInfo
from irl_vla.bag.folder_recording import nearest_boxes
from irl_vla.bag.json_file import read_json, shape_of
from irl_vla.camera.rig import Rig
from irl_vla.frames import rigid_from_quaternion, yaw_of
from irl_vla.messages.events import Event
from irl_vla.types import F64, SECOND_NS, Boxes3D, CameraImage, InputError

NS_PER_US = 1000
# The ontology file does not come with the clips: named by their size (6.6 x 2.9 m, 4.6 x 2.0 m).
LABELS = {1: "truck", 2: "car"}


def is_dgp(folder: Path) -> bool:
    """Whether box and calibration files of DGP lie in a folder."""
    return (folder / "bounding_box_3d").is_dir() and (folder / "calibration").is_dir()


class DgpSource(Closing):
    """A bag whose boxes come from DGP files."""

    def __init__(self, folder: Path, bag: Bag) -> None:
        self.name = bag.name
        self._bag = bag
        self._folder = folder
        boxes = _read_boxes(folder)
        self._shift_ns = _shift(boxes, bag)
        self._boxes = {stamp + self._shift_ns: found for stamp, found in boxes.items()}

    def close(self) -> None:
        """Close the bag."""
        self._bag.close()

    def info(self) -> BagInfo:
        """The bag's."""
        return self._bag.info()

    def rig(self) -> Rig:
        """The bag's."""
        return self._bag.rig()

    def events(self) -> Iterator[Event]:
        """The bag's."""
        return self._bag.events()

    @property
    def warnings(self) -> tuple[str, ...]:
        """The bag's."""
        return self._bag.warnings

    def boxes_at(self, stamp_ns: int) -> Boxes3D | None:
        """Boxes nearest to a stamp of the bag, within 60 ms."""
        return nearest_boxes(self._boxes, stamp_ns)


def _shift(boxes: Mapping[int, Boxes3D], bag: Bag) -> int:
    """Recorders move whole seconds when they make a bag of a clip; the fractions stay. The first
    picture is the first stamp with boxes."""
    first = next((event.stamp_ns for event in bag.events() if isinstance(event, CameraImage)), None)
    if first is None or not boxes:
        return 0
    return round((first - min(boxes)) / SECOND_NS) * SECOND_NS


def _read_boxes(folder: Path) -> dict[int, Boxes3D]:
    """Stamp of the clip -> boxes in the ego frame, those of all cameras with that stamp joined."""
    ego_from = _calibration(folder)
    found: dict[int, dict[int, tuple[F64, dict[str, Any], int]]] = {}
    for path in sorted((folder / "bounding_box_3d").glob("*/*.json")):
        with shape_of(path, "a DGP box file"):
            if path.parent.name not in ego_from:
                raise InputError(f"the calibration does not know '{path.parent.name}'")
            stamp = int(path.stem) * NS_PER_US
            for annotation in read_json(path)["annotations"]:
                box = annotation["box"]
                ego_from_box = ego_from[path.parent.name] @ _pose(box["pose"])
                entry = (ego_from_box, box, int(annotation["class_id"]))
                found.setdefault(stamp, {})[int(annotation["instance_id"])] = entry
    return {stamp: _joined(entries) for stamp, entries in found.items()}


def _joined(entries: Mapping[int, tuple[F64, dict[str, Any], int]]) -> Boxes3D:
    poses = [pose for pose, _, _ in entries.values()]
    sizes = [[box["length"], box["width"], box["height"]] for _, box, _ in entries.values()]
    return Boxes3D(
        np.array([pose[:3, 3] for pose in poses]).reshape(-1, 3),
        np.array(sizes, np.float64).reshape(-1, 3),
        np.array([yaw_of(pose) for pose in poses]),
        np.full((len(poses), 2), np.nan),
        tuple(LABELS.get(kind, f"class {kind}") for _, _, kind in entries.values()),
        tuple(str(key) for key in entries),
    )


def _calibration(folder: Path) -> dict[str, F64]:
    """Datum name -> ego_from_datum."""
    files = sorted((folder / "calibration").glob("*.json"))
    if not files:
        raise InputError(f"{folder / 'calibration'}: expected one JSON file, found none")
    content = read_json(files[0])
    with shape_of(files[0], "a DGP calibration"):
        return {
            name: _pose(pose)
            for name, pose in zip(content["names"], content["extrinsics"], strict=True)
        }


def _pose(pose: Mapping[str, Mapping[str, float]]) -> F64:
    t, q = pose["translation"], pose["rotation"]
    return rigid_from_quaternion((t["x"], t["y"], t["z"]), (q["qx"], q["qy"], q["qz"], q["qw"]))
