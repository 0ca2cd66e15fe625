"""How a lens maps rays to pixels: one entry in LENS_MODELS each.

Symbols: (x, y) = (X/Z, Y/Z) of a point in the camera frame, r = |(x, y)| = tan(theta); s = r^2;
(xd, yd) what the lens makes of it, so that pixel = K (xd, yd, 1); c the coefficients. Formulas:
OpenCV, "Camera Calibration and 3D Reconstruction" (plumb_bob, rational) and "Fisheye camera model"
(equidistant). Your own: `LENS_MODELS["mine"] = LensModel(...)` (docs/extending.md).
May import: types.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.polynomial import Polynomial

from irl_vla.types import F64

NO_TERM = 1e-12  # a smaller coefficient is none: it would only ruin the roots of the others


@dataclass(frozen=True)
class LensModel:
    """A nearly radial lens. Each function gets all `counts[-1]` coefficients.

    counts: how many coefficients may be given, besides none; missing ones are zeros, and zeros only
    mean no distortion: xd = x, or for a fisheye rd = theta
    distort: (..., 2) x, y -> (..., 2) xd, yd, true inside the domain
    radial: (n,) theta -> (n,) rd, without what is not radial; `undistort` starts from it
    domain: the r where rd stops growing (beyond, far points would fold back), inf if it never does
    fisheye: without coefficients rd = theta
    """

    counts: tuple[int, ...]
    distort: Callable[[F64, F64], F64]
    radial: Callable[[F64, F64], F64]
    domain: Callable[[F64], float]
    fisheye: bool = False


def first_root(polynomial: Polynomial) -> float:
    """Smallest positive real root, inf if there is none."""
    roots = polynomial.trim(NO_TERM).roots()
    real = roots.real[np.abs(roots.imag) <= 1e-9 * np.abs(roots)]
    return float(min(real[real > 0.0], default=np.inf))


def _distort_polynomial(flat: F64, c: F64) -> F64:
    if not np.any(c):
        return flat
    x, y = flat[..., 0], flat[..., 1]
    square = x * x + y * y
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


def _ratio(square: F64, c: F64) -> F64:
    """Radial factor of plumb_bob and rational_polynomial at s."""
    top = 1.0 + square * (c[0] + square * (c[1] + square * c[4]))
    if len(c) == 5:
        return np.asarray(top)
    return np.asarray(top / (1.0 + square * (c[5] + square * (c[6] + square * c[7]))))


def _radial_polynomial(theta: F64, c: F64) -> F64:
    radius = np.tan(theta)
    return radius * _ratio(radius * radius, c)


def _domain_polynomial(c: F64) -> float:
    """r N(s)/D(s) grows while N D + 2 s (N' D - N D') > 0 and D has no pole."""
    top = Polynomial([1.0, c[0], c[1], c[4]])
    bottom = Polynomial([1.0, *c[5:8]])
    s = Polynomial([0.0, 1.0])
    slope = top * bottom + 2.0 * s * (top.deriv() * bottom - top * bottom.deriv())
    return float(np.sqrt(min(first_root(slope), first_root(bottom))))


def _distort_equidistant(flat: F64, c: F64) -> F64:
    x, y = flat[..., 0], flat[..., 1]
    radius = np.sqrt(x * x + y * y)
    theta = np.arctan(radius)
    with np.errstate(invalid="ignore"):
        ratio = np.where(radius > 1e-12, _radial_equidistant(theta, c) / radius, 1.0)
    return flat * ratio[..., None]


def _radial_equidistant(theta: F64, c: F64) -> F64:
    square = theta * theta
    poly = 1.0 + square * (c[0] + square * (c[1] + square * (c[2] + square * c[3])))
    return np.asarray(theta * poly)


def _domain_equidistant(c: F64) -> float:
    """Where d/d theta of theta (1 + k1 theta^2 + ...) becomes 0."""
    turn = np.sqrt(first_root(Polynomial([1.0, *(c * [3, 5, 7, 9])])))
    return float(np.tan(turn)) if turn < np.pi / 2 else np.inf


class CameraModel:
    """Names of the models that come with the project; they are those of ROS CameraInfo."""

    PLUMB_BOB = "plumb_bob"  # k1 k2 p1 p2 k3
    RATIONAL_POLYNOMIAL = "rational_polynomial"  # k1 k2 p1 p2 k3 k4 k5 k6
    EQUIDISTANT = "equidistant"  # k1 k2 k3 k4 (Kannala-Brandt, cv2.fisheye)


_POLYNOMIAL = (_distort_polynomial, _radial_polynomial, _domain_polynomial)
LENS_MODELS: dict[str, LensModel] = {
    CameraModel.PLUMB_BOB: LensModel((4, 5), *_POLYNOMIAL),
    CameraModel.RATIONAL_POLYNOMIAL: LensModel((8,), *_POLYNOMIAL),
    CameraModel.EQUIDISTANT: LensModel(
        (4,), _distort_equidistant, _radial_equidistant, _domain_equidistant, fisheye=True
    ),
}
