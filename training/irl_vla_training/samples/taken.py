"""Pictures that a real camera took, and things that people annotated, as samples have them.

May import: irl_vla, samples.
"""

from __future__ import annotations

import cv2
import numpy as np

from irl_vla.camera.preprocess import decode, fit
from irl_vla.camera.rig import Camera, Rig
from irl_vla.camera.tele import tele_fit
from irl_vla.perception.preset import AGENT_CLASSES
from irl_vla.types import U8, Boxes3D, FrameSet
from irl_vla.world.simulated_sensors import jpeg
from irl_vla_training.samples.sample import BoxTruth, Picture, Pictures
from irl_vla_training.samples.settings import SampleSettings

CLASS_OF = {  # names that recordings use -> class; what is not listed is left out, not guessed
    "vehicle": "vehicle", "car": "vehicle", "truck": "vehicle", "bus": "vehicle",
    "trailer": "vehicle", "construction_vehicle": "vehicle", "motorcycle": "bicycle",
    "pedestrian": "pedestrian", "person": "pedestrian", "bicycle": "bicycle",
    "cyclist": "bicycle", "traffic_cone": "obstacle", "barrier": "obstacle",
    "czone_sign": "obstacle", "generic_object": "obstacle", "obstacle": "obstacle",
}  # fmt: skip


def fitted_pictures(frames: FrameSet, rig: Rig, settings: SampleSettings) -> Pictures:
    """The pictures of a set, cut and resized as the prepared ones are; cameras without a picture
    are left out. Raises BadImage."""
    spec = settings.spec
    far = None if spec.tele is None else tele_fit(rig.cameras, spec.tele)
    wide, tele = [], None
    for index, camera in enumerate(rig.cameras):
        if camera.name not in frames.images:
            continue
        pixels = decode(frames.images[camera.name])
        how = fit(camera, spec)
        part = pixels[how.crop.top :, how.crop.left :][: how.crop.height, : how.crop.width]
        wide.append(_picture(how.camera, _resized(part, settings.image)))
        if far is not None and far.index == index:
            crop = far.crop
            tele = _picture(
                far.camera, pixels[crop.top :, crop.left :][: crop.height, : crop.width]
            )
    return Pictures(tuple(wide), tele)


def _resized(pixels: U8, size: tuple[int, int]) -> U8:
    shrinks = pixels.shape[1] > size[0]
    way = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(pixels, size, interpolation=way), np.uint8)


def _picture(camera: Camera, pixels: U8) -> Picture:
    return Picture(camera, jpeg(np.ascontiguousarray(pixels)))


def annotated(boxes: Boxes3D, pictures: int) -> BoxTruth:
    """Boxes that people drew, nearest first; how many pixels they have is not known."""
    kept = [k for k, name in enumerate(boxes.labels) if name in CLASS_OF]
    away = np.linalg.norm(boxes.centers[kept, :2], axis=1)
    kept = [kept[k] for k in np.argsort(away, kind="stable")]
    rows = np.hstack([boxes.centers, boxes.sizes, boxes.yaws[:, None], boxes.velocities])[kept]
    kinds = [AGENT_CLASSES.index(CLASS_OF[boxes.labels[k]]) for k in kept]
    unknown = np.full((len(kept), pictures), -1, np.int32)
    return BoxTruth(rows.reshape(-1, 9), np.array(kinds, np.int32), unknown)
