"""Pictures of a town for any rig: colour, and on request depth, road user and class of each pixel.

    renderer = Renderer(town, actors, rig, seed=7)
    pictures = renderer.render(episode.moment(12))          # {camera: (H, W, 3) uint8 RGB}
    truth = renderer.measure(episode.moment(12))            # {camera: Measured}
Software only and byte-identical for the same inputs: whatever was rendered before, in whichever
process. The lens is exact: surfaces are met by the very rays of camera.projection.
May import: types, frames, camera, scoring.compiled, world.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from irl_vla.camera.rig import Rig
from irl_vla.frames import rigid_from_pose
from irl_vla.types import F32, F64, U8
from irl_vla.world.episode import Actors, WorldState
from irl_vla.world.render.geometry import RenderScene, TownGeometry
from irl_vla.world.render.ground import GroundTextures
from irl_vla.world.render.quads import GROUND, SKY
from irl_vla.world.render.raster import FLOATS, INTS, cast, place
from irl_vla.world.render.scan import scan
from irl_vla.world.render.shade import develop, ground_classes, paint, smooth
from irl_vla.world.render.texels import (
    ATLAS_START,
    GROUND_START,
    SKY_START,
    SKY_WIDTH,
    WHITE,
)  # fmt: skip
from irl_vla.world.render.view import View, view_of
from irl_vla.world.render.weather import GRAIN_UNIT, NOISE_TILE, SALT, Weather, grain, weather_of
from irl_vla.world.town import Light, Town

Quality = Literal["plain", "full"]
MOST_QUADS = 24000  # that one camera sees
LIGHT_OF_BITS = np.array([Light.OFF, Light.RED, Light.AMBER, Light.OFF, Light.GREEN], np.uint8)
SIGHT_M = 450.0  # [m] farther things are not drawn; most towns are smaller


@dataclass(frozen=True)
class PixelTruth:
    """What is exactly known of each pixel's centre.

    depth: (H, W) along the optical axis [m], inf: sky; instance: (H, W) index of the road user,
    -1: none; semantic: (H, W) index into quads.CLASSES; lamp: (H, W) town.Light that the signal
    shows whose face (its lamps and the plate around them) the pixel sees, OFF elsewhere
    """

    depth: F32
    instance: NDArray[np.int32]
    semantic: U8
    lamp: U8


class Scanned(NamedTuple):
    """nearest: (H, W) inverse depth and found: (H, W) quad of each sample; quads: how many."""

    nearest: F32
    found: NDArray[np.int32]
    quads: int


class Renderer:
    """Draws moments of one town under the weather of one seed.

    quality: "plain" has one sample a pixel, "full" four at edges
    Raises InputError for a rig with a camera that cannot see the street.
    """

    def __init__(
        self, town: Town, actors: Actors, rig: Rig, seed: int, quality: Quality = "plain"
    ) -> None:
        self.seed, self._quality = seed, quality
        self._look_through(rig)
        self.weather: Weather = weather_of(seed)
        self._geometry = TownGeometry(town, actors, self.weather)
        self._ground = GroundTextures(town, self.weather)
        texels, atlas = self._ground.texels, self._geometry.atlas.texels.ravel()
        texels[ATLAS_START : ATLAS_START + atlas.size] = atlas
        texels[WHITE] = 0xFFFFFFFF
        texels[SKY_START:GROUND_START] = self.weather.panorama.ravel()
        air = [*self.weather.haze, self.weather.haze_m, 1.0 / self.weather.shade]
        self._haze = np.array(air, np.float32)
        self._floats = np.zeros((MOST_QUADS, FLOATS), np.float32)
        self._ints = np.zeros((MOST_QUADS, INTS), np.int64)

    def through(self, rig: Rig) -> Renderer:
        """The same town through other cameras; it shares all that is not theirs. The two are used
        in turns, never at the same time."""
        twin = object.__new__(Renderer)
        twin.__dict__.update(self.__dict__)
        twin._look_through(rig)
        return twin

    def _look_through(self, rig: Rig) -> None:
        self.rig = rig
        self._views = [view_of(camera) for camera in rig.cameras]
        fine = self._quality == "full"
        self._fine = [view_of(c, 2) if fine else None for c in rig.cameras]
        reaches = [view.reach for view in self._views]
        self._reach = tuple(max(reach) for reach in zip(*reaches, strict=True))

    def render(self, moment: WorldState) -> dict[str, U8]:
        """(H, W, 3) uint8 RGB of each camera, by its name."""
        self._ground.prepare(moment.ego[:2], self._reach)
        scene = self._geometry.at(moment)
        return {
            camera.name: self._picture(index, moment, scene)
            for index, camera in enumerate(self.rig.cameras)
        }

    def measure(self, moment: WorldState) -> dict[str, PixelTruth]:
        """Depth, road user and class of each camera's pixels, by its name."""
        self._ground.prepare(moment.ego[:2], self._reach)
        scene = self._geometry.at(moment)
        return {
            camera.name: self._truth(index, moment, scene)
            for index, camera in enumerate(self.rig.cameras)
        }

    def observe(self, moment: WorldState) -> dict[str, tuple[U8, PixelTruth]]:
        """What `render` and `measure` give, by each camera's name, for little more than one."""
        self._ground.prepare(moment.ego[:2], self._reach)
        scene = self._geometry.at(moment)
        found = {}
        for index, camera in enumerate(self.rig.cameras):
            scanned = self._scan(self._views[index], scene)
            truth = self._truth(index, moment, scene, scanned)
            same = scanned if self._fine[index] is None else None  # fine ones are scanned finer
            found[camera.name] = self._picture(index, moment, scene, same), truth
        return found

    def ground(self, places: F64) -> U8:
        """(n,) index into quads.CLASSES of the bare ground at places (n, 2), world [m]."""
        return self._ground.classes(places)

    def _scan(self, view: View, scene: RenderScene) -> Scanned:
        batches = self._geometry.seen(scene, view.cam_from_ego)
        size = np.array(view.size, np.int64)
        count = place(
            *batches, view.lens, size, self.weather.light, SIGHT_M, self._floats, self._ints
        )  # fmt: skip
        nearest = view.ground_w.copy()
        found = np.full(nearest.shape, -1, np.int32)
        scan(self._floats, self._ints, count, view.rays,
             self._geometry.atlas.finest, nearest, found)  # fmt: skip
        return Scanned(nearest, found, count)

    def _picture(
        self, index: int, moment: WorldState, scene: RenderScene, scanned: Scanned | None = None
    ) -> U8:
        view, fine = self._views[index], self._fine[index]
        far, found, _ = scanned or self._scan(fine or view, scene)
        shadow = np.ones(view.ground_w.shape, np.float32)
        cast(scene.boxes, scene.shifts, self.weather.shade, view.cam_from_ego, view.lens,
             np.array(view.size, np.int64), view.backdrop, shadow)  # fmt: skip
        colours = np.empty(shadow.shape, np.uint32)
        texture = (
            view.backdrop, self._floats, self._ints, self._standing(moment), self._ground.levels,
            self._ground.texels, colours,
        )  # fmt: skip
        samples = found
        if fine is not None:
            found = samples[::2, ::2].copy()
            far = np.where(found >= 0, far[::2, ::2], view.backdrop[0])
        paint(found, view.level, view.rays, *texture)
        if fine is not None:
            smooth(samples, fine.rays, shadow, self._haze, view.level, *texture, far)
        picture = np.empty((*shadow.shape, 3), np.uint8)
        cut = self._cut(index, moment)
        develop(colours, found, far, shadow, self._haze, grain(), cut, picture)
        return picture

    def _truth(
        self, index: int, moment: WorldState, scene: RenderScene, scanned: Scanned | None = None
    ) -> PixelTruth:
        view = self._views[index]
        nearest, found, count = scanned or self._scan(view, scene)
        kinds = np.empty(found.shape, np.uint8)
        ground_classes(
            view.level,
            view.backdrop,
            self._standing(moment),
            self._ground.levels,
            self._ground.texels,
            kinds,
        )
        owners = np.append(self._ints[:count, 6], -1).astype(np.int32)
        classes = np.append(self._ints[:count, 7], GROUND).astype(np.uint8)
        shown = LIGHT_OF_BITS[np.append(self._ints[:count, 9], 0)]
        with np.errstate(divide="ignore"):
            depth = np.where(np.isinf(nearest), np.inf, 1.0 / nearest).astype(np.float32)
        semantic = np.where(found >= 0, classes[found], kinds).astype(np.uint8)
        semantic[np.isinf(depth)] = SKY
        return PixelTruth(depth, owners[found], semantic, shown[found])

    def _standing(self, moment: WorldState) -> F32:
        """Where the ego stands on the ground's textures, and how the sky is turned."""
        x, y = moment.ego[:2] - self._ground.origin
        yaw = float(moment.ego[2])
        turn = round(yaw / (2 * np.pi) * SKY_WIDTH) % SKY_WIDTH
        return np.array([x, y, np.cos(yaw), np.sin(yaw), turn], np.float32)

    def _cut(self, index: int, moment: WorldState) -> NDArray[np.int64]:
        """Where in the field of noise this picture's begins, another place each time, and its
        gain; see shade.develop."""
        step = round(moment.time_s * 1000)
        rng = np.random.default_rng([self.seed, SALT, 10, step + (1 << 40), index])
        top, left = rng.integers(0, NOISE_TILE, 2)
        return np.array([top, left, round(self.weather.noise / GRAIN_UNIT * 65536)], np.int64)


def ego_pose(moment: WorldState) -> F64:
    """(4, 4) world_from_ego of a moment: rear axle on the ground."""
    return rigid_from_pose(moment.ego[:3])
