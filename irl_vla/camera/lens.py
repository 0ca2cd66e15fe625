"""The lens: normalised rays <-> normalised picture, for every model in LENS_MODELS.

Symbols as in lens_models.py. A lens model is only true up to the radius where its radial map stops
growing; beyond, it folds far points back into the picture. `domain_radius` is that radius.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from irl_vla.camera.camera import Camera
from irl_vla.camera.lens_models import LensModel
from irl_vla.types import F64

WIDEST = np.radians(89.9)  # [rad] off the axis: a plane in front of the camera ends at 90 degrees
TABLE_SIZE = 2048  # samples of the radial map from which the inverse starts
NEWTON_STEPS = 12
CONVERGED = 1e-9  # of normalised coordinates: a millionth of a pixel at 1000 px focal length


def distort(camera: Camera, flat: F64) -> F64:
    """(..., 2) undistorted (x, y) -> (..., 2) distorted. Only true inside `domain_radius`."""
    return camera.lens.distort(flat, camera.distortion)


def undistort(camera: Camera, bent: F64) -> F64:
    """(..., 2) distorted -> (..., 2) undistorted (x, y); NaN where no ray of the domain lands.

    A table of the (growing) radial map gives the start, Newton's method the rest.
    """
    if not np.any(camera.distortion) and not camera.lens.fisheye:
        return bent
    radii, bent_radii = _table(camera.lens, tuple(camera.distortion))
    bent_radius = np.linalg.norm(bent, axis=-1)
    start = np.interp(bent_radius, bent_radii, radii)
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        flat = bent * np.where(bent_radius > 1e-12, start / bent_radius, 1.0)[..., None]
        for _ in range(NEWTON_STEPS):
            flat = flat - _newton_step(camera, flat, distort(camera, flat) - bent)
        missed = np.abs(distort(camera, flat) - bent).max(axis=-1)
        limit = domain_radius(camera)
        known = (missed < CONVERGED * (1.0 + bent_radius)) & (
            np.linalg.norm(flat, axis=-1) <= min(limit, np.tan(WIDEST))
        )
    return np.asarray(np.where(known[..., None], flat, np.nan))


def domain_radius(camera: Camera) -> float:
    """Largest r up to which the radial map grows; inf if it always does."""
    return _domain_radius(camera.lens, tuple(camera.distortion))


@lru_cache(maxsize=64)
def _domain_radius(lens: LensModel, coefficients: tuple[float, ...]) -> float:
    return lens.domain(np.array(coefficients))


@lru_cache(maxsize=64)
def _table(lens: LensModel, coefficients: tuple[float, ...]) -> tuple[F64, F64]:
    """(r, distorted r), both growing, from the axis to the end of the domain."""
    end = min(float(np.arctan(_domain_radius(lens, coefficients))), WIDEST)
    end *= 1.0 - 1e-9  # the domain may end at a pole
    theta = np.linspace(0.0, end, TABLE_SIZE)
    return np.tan(theta), lens.radial(theta, np.array(coefficients))


def _newton_step(camera: Camera, flat: F64, miss: F64) -> F64:
    """Solve J step = miss, with J by central differences: exact to 1e-9, enough for Newton."""
    columns = []
    for axis in range(2):
        width = 1e-6 * (1.0 + np.abs(flat[..., axis]))
        shift = np.zeros_like(flat)
        shift[..., axis] = width
        rise = distort(camera, flat + shift) - distort(camera, flat - shift)
        columns.append(rise / (2.0 * width[..., None]))
    (a, c), (b, d) = ((col[..., 0], col[..., 1]) for col in columns)
    determinant = a * d - b * c
    return np.stack(
        [
            (d * miss[..., 0] - b * miss[..., 1]) / determinant,
            (a * miss[..., 1] - c * miss[..., 0]) / determinant,
        ],
        axis=-1,
    )
