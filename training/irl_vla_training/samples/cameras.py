"""What a sample's cameras take in the built-in world.

Pictures are drawn in the size in which they are stored, through the fitted cameras: that gives what
drawing at full size and fitting would. The tele crop is drawn through the crop's own camera.
May import: irl_vla, samples.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from irl_vla.camera.preprocess import fitted_cameras
from irl_vla.camera.rig import Rig
from irl_vla.camera.tele import tele_fit
from irl_vla.types import InputError
from irl_vla.world.episode import WorldState
from irl_vla.world.render.renderer import PixelTruth, Renderer
from irl_vla.world.render.view import view_of
from irl_vla.world.simulated_sensors import jpeg
from irl_vla_training.samples.pixels import pixels_of
from irl_vla_training.samples.rigs import draw_rig
from irl_vla_training.samples.sample import I32, Mask, Picture, Pictures
from irl_vla_training.samples.settings import SampleSettings

TRIES = 20  # rigs drawn before one must do


@dataclass(frozen=True)
class CameraTruth:
    """all: of each picture, the tele crop's last; counts: (A, pictures) pixels of each road user;
    seen: (A,) by the settings' measure; pictures: of the same moment."""

    pictures: Pictures
    all: tuple[PixelTruth, ...]
    counts: I32
    seen: Mask


@dataclass(frozen=True)
class PreparedCameras:
    """native: the rig that is told; wide: its cameras as fitted; tele: a rig of the crop's camera
    alone, or None."""

    native: Rig
    wide: Rig
    tele: Rig | None
    settings: SampleSettings

    def observe(self, renderer: Renderer, moment: WorldState) -> CameraTruth:
        """The pictures of a moment and what every pixel is. renderer: of `wide`"""
        wide, told = _observed(renderer, moment)
        crop: tuple[Picture, ...] = ()
        if self.tele is not None:
            crop, more = _observed(renderer.through(self.tele), moment)
            told += more
        counts = np.stack([pixels_of(one, len(moment.present)) for one in told], axis=1)
        pictures = Pictures(wide, crop[0] if crop else None)
        return CameraTruth(pictures, told, counts, self.settings.is_seen(counts, len(wide)))

    def shot(self, renderer: Renderer, moment: WorldState) -> Pictures:
        """The pictures of a moment. renderer: of `wide`"""
        wide = _pictures(renderer, moment)
        tele = None if self.tele is None else _pictures(renderer.through(self.tele), moment)[0]
        return Pictures(wide, tele)


def prepared_cameras(rng: np.random.Generator, settings: SampleSettings) -> PreparedCameras:
    """A rig that can be drawn through, fitted."""
    for attempt in range(TRIES):
        native = draw_rig(rng)
        try:
            return fitted(native, settings)
        except InputError:  # a camera that sees no street
            if attempt == TRIES - 1:
                raise
    raise AssertionError("unreachable")


def fitted(native: Rig, settings: SampleSettings) -> PreparedCameras:
    """A rig's cameras as its pictures are stored. Raises InputError where one sees no street."""
    spec = settings.spec
    wide = Rig(native.name, fitted_cameras(native, spec))
    far = None if spec.tele is None else tele_fit(native.cameras, spec.tele)
    tele = None if far is None else Rig("tele", (far.camera,))
    for rig in (wide, *([] if tele is None else [tele])):
        for camera in rig.cameras:
            view_of(camera)
    return PreparedCameras(native, wide, tele, settings)


def _observed(
    renderer: Renderer, moment: WorldState
) -> tuple[tuple[Picture, ...], tuple[PixelTruth, ...]]:
    found = renderer.observe(moment)
    pictures = tuple(
        Picture(camera, jpeg(found[camera.name][0])) for camera in renderer.rig.cameras
    )
    return pictures, tuple(found[camera.name][1] for camera in renderer.rig.cameras)


def _pictures(renderer: Renderer, moment: WorldState) -> tuple[Picture, ...]:
    drawn = renderer.render(moment)
    return tuple(Picture(camera, jpeg(drawn[camera.name])) for camera in renderer.rig.cameras)
