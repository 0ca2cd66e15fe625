"""The lens: normalised rays <-> normalised picture, for the three distortion models.

Symbols: (x, y) = (X/Z, Y/Z) of a point in the camera frame, r = |(x, y)| = tan(theta);
(xd, yd) what the lens makes of it, so that pixel = K (xd, yd, 1). Formulas: OpenCV, "Camera
Calibration and 3D Reconstruction" (plumb_bob, rational) and "Fisheye camera model" (equidistant).

A polynomial lens is only true up to the radius where its radial map stops growing; beyond, it
folds far points back into the picture. `domain_radius` is that radius.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from irl_vla.camera.camera import Camera, CameraModel
from irl_vla.types import F64

WIDEST = np.radians(89.9)  # [rad] off the axis: a plane in front of the camera ends at 90 degrees
TABLE_SIZE = 2048  # samples of the radial map from which the inverse starts
NEWTON_STEPS = 12
NO_TERM = 1e-12  # a smaller coefficient is none: it would only ruin the roots of the others
CONVERGED = 1e-9  # of normalised coordinates: a millionth of a pixel at 1000 px focal length


def distort(camera: Camera, flat: F64) -> F64:
    """(..., 2) undistorted (x, y) -> (..., 2) distorted. Only true inside `domain_radius`."""
    c = camera.distortion
    if not np.any(c) and camera.model is not CameraModel.EQUIDISTANT:
        return flat
    x, y = flat[..., 0], flat[..., 1]
    square = x * x + y * y
    if camera.model is CameraModel.EQUIDISTANT:
        radius = np.sqrt(square)
        theta = np.arctan(radius)
        with np.errstate(invalid="ignore"):
            ratio = np.where(radius > 1e-12, _equidistant(theta, c) / radius, 1.0)
        return flat * ratio[..., None]
    radial = _ratio(square, c)
    p1, p2 = c[2], c[3]
    cross = 2.0 * x * y
    return np.stack(
        [
            x * radial + p1 * cross + p2 * (square + 2.0 * x * x),
            y * radial + p1 * (square + 2.0 * y * y) + p2 * cross,
        ],
        axis=-1,
    )


def undistort(camera: Camera, bent: F64) -> F64:
    """(..., 2) distorted -> (..., 2) undistorted (x, y); NaN where no ray of the domain lands.

    A table of the (growing) radial map gives the start, Newton's method the rest.
    """
    if not np.any(camera.distortion) and camera.model is not CameraModel.EQUIDISTANT:
        return bent
    radii, bent_radii = _table(camera.model, tuple(camera.distortion))
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
    return _domain_radius(camera.model, tuple(camera.distortion))


@lru_cache(maxsize=64)
def _domain_radius(model: CameraModel, coefficients: tuple[float, ...]) -> float:
    c = np.array(coefficients)
    if model is CameraModel.EQUIDISTANT:  # d/d theta of theta (1 + k1 theta^2 + ...)
        slope = np.polynomial.Polynomial([1.0, *(c * [3, 5, 7, 9])])
        turn = np.sqrt(_first_root(slope))
        return float(np.tan(turn)) if turn < np.pi / 2 else np.inf
    top = np.polynomial.Polynomial([1.0, c[0], c[1], c[4]])
    bottom = np.polynomial.Polynomial([1.0, *c[5:8]])
    s = np.polynomial.Polynomial([0.0, 1.0])
    # r N(s)/D(s) with s = r^2 grows while N D + 2 s (N' D - N D') > 0 and D has no pole
    slope = top * bottom + 2.0 * s * (top.deriv() * bottom - top * bottom.deriv())
    return float(np.sqrt(min(_first_root(slope), _first_root(bottom))))


def _first_root(polynomial: np.polynomial.Polynomial) -> float:
    """Smallest positive real root, inf if there is none."""
    roots = polynomial.trim(NO_TERM).roots()
    real = roots.real[np.abs(roots.imag) <= 1e-9 * np.abs(roots)]
    return float(min(real[real > 0.0], default=np.inf))


def _ratio(square: F64, c: F64) -> F64:
    """Radial factor of plumb_bob and rational_polynomial at r^2."""
    top = 1.0 + square * (c[0] + square * (c[1] + square * c[4]))
    if len(c) == 5:
        return np.asarray(top)
    return np.asarray(top / (1.0 + square * (c[5] + square * (c[6] + square * c[7]))))


def _equidistant(theta: F64, c: F64) -> F64:
    square = theta * theta
    poly = 1.0 + square * (c[0] + square * (c[1] + square * (c[2] + square * c[3])))
    return np.asarray(theta * poly)


@lru_cache(maxsize=64)
def _table(model: CameraModel, coefficients: tuple[float, ...]) -> tuple[F64, F64]:
    """(r, distorted r), both growing, from the axis to the end of the domain."""
    c = np.array(coefficients)
    end = min(float(np.arctan(_domain_radius(model, coefficients))), WIDEST)
    end *= 1.0 - 1e-9  # the domain may end at a pole
    theta = np.linspace(0.0, end, TABLE_SIZE)
    radius = np.tan(theta)
    if model is CameraModel.EQUIDISTANT:
        return radius, _equidistant(theta, c)
    return radius, radius * _ratio(radius * radius, c)


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
