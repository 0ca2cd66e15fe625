"""Flat convex quads made ready to be met by a picture's own, exact rays (scan.py does that).

Symbols: d = (x, y, 1) the undistorted ray of a pixel in the camera frame; w = 1 / depth.
For a plane n . p = c the inverse depth is linear in the ray, w = (n / c) . d; a ray passes on the
inner side of the edge v_i v_j where d . (v_i x v_j) > 0 (homogeneous rasterisation, Olano and
Greer 1997). Nothing is projected but bounding boxes, so a lens bends pictures exactly, and what
reaches behind the camera needs no clipping.
May import: scoring.compiled.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from irl_vla.scoring.compiled import kernel
from irl_vla.world.render.quads import BALL, POST, TRAFFIC_LIGHT, WHEEL

NEAR_M = 0.05  # [m] nothing is nearer to a camera
FLOATS = 30  # of a placed quad: w 3, edges 12, u 3, v 3, colour 3, sun 3, texels, repeats 2
INTS = 10  # x0, x1, y0, y1, kind, tile, instance, class, variants, bits of a signal's lamps
LENS = 18  # numbers of a lens: model, fx, skew, cx, fy, cy, k1.., limits of the view
STEP_RAD = 0.09  # [rad] between samples along the border of a bounding box
LIGHT = 12  # numbers of light: sun rgb, sky rgb, ground rgb, 3 spare


@kernel
def bent_pixel(lens: Any, x: Any, y: Any) -> Any:
    """Pixel of an undistorted (x, y); beyond the lens's domain it moves straight outwards."""
    square = x * x + y * y
    radius = np.sqrt(square)
    limit = lens[14]
    stretch = 1.0
    if radius > limit:
        stretch = radius / limit
        x /= stretch
        y /= stretch
        radius = limit
        square = limit * limit
    if lens[0] > 0.5:
        theta = np.arctan(radius)
        t = theta * theta
        poly = 1.0 + t * (lens[6] + t * (lens[7] + t * (lens[8] + t * lens[9])))
        ratio = theta * poly / radius if radius > 1e-9 else 1.0
        bx, by = x * ratio, y * ratio
    else:
        top = 1.0 + square * (lens[6] + square * (lens[7] + square * lens[10]))
        low = 1.0 + square * (lens[11] + square * (lens[12] + square * lens[13]))
        ratio = top / low
        cross = 2.0 * x * y
        bx = x * ratio + lens[8] * cross + lens[9] * (square + 2.0 * x * x)
        by = y * ratio + lens[8] * (square + 2.0 * y * y) + lens[9] * cross
    bx *= stretch
    by *= stretch
    return lens[1] * bx + lens[2] * by + lens[3], lens[4] * by + lens[5]


@kernel
def bounds(lens: Any, corners: Any, size: Any, box: Any) -> Any:
    """Pixels that the hull of corners (n, 3), camera frame, may touch -> box x0, x1, y0, y1 (ends
    excluded); False where it is outside the view. size: width, height [px]."""
    left, right, top, low = 1e9, -1e9, 1e9, -1e9
    n = corners.shape[0]
    for i in range(n):
        for j in range(i, n):
            z0, z1 = corners[i, 2], corners[j, 2]
            if i == j and z0 >= NEAR_M:
                x, y = corners[i, 0] / z0, corners[i, 1] / z0
            elif (z0 < NEAR_M) != (z1 < NEAR_M):
                f = (NEAR_M - z0) / (z1 - z0)
                x = (corners[i, 0] + f * (corners[j, 0] - corners[i, 0])) / NEAR_M
                y = (corners[i, 1] + f * (corners[j, 1] - corners[i, 1])) / NEAR_M
            else:
                continue
            left, right = min(left, x), max(right, x)
            top, low = min(top, y), max(low, y)
    left, right = max(left, lens[15]), min(right, lens[16])
    top, low = max(top, -lens[17]), min(low, lens[17])
    if left >= right or top >= low:
        return False
    u0, u1, v0, v1 = 1e9, -1e9, 1e9, -1e9
    ax, bx, ay, by = np.arctan(left), np.arctan(right), np.arctan(top), np.arctan(low)
    nx, ny = 1 + int((bx - ax) / STEP_RAD), 1 + int((by - ay) / STEP_RAD)
    for k in range(nx + 1):
        x = np.tan(ax + (bx - ax) * k / nx)
        for y in (top, low):
            u, v = bent_pixel(lens, x, y)
            u0, u1, v0, v1 = min(u0, u), max(u1, u), min(v0, v), max(v1, v)
    for k in range(1, ny):
        y = np.tan(ay + (by - ay) * k / ny)
        for x in (left, right):
            u, v = bent_pixel(lens, x, y)
            u0, u1, v0, v1 = min(u0, u), max(u1, u), min(v0, v), max(v1, v)
    margin = 0.5 if nx + ny == 2 else 2.5  # [px] a border may bulge between its samples
    box[0] = max(0, int(np.ceil(u0 - margin)))
    box[1] = min(size[0], int(np.floor(u1 + margin)) + 1)
    box[2] = max(0, int(np.ceil(v0 - margin)))
    box[3] = min(size[1], int(np.floor(v1 + margin)) + 1)
    return box[0] < box[1] and box[2] < box[3]


@kernel
def _stand(shape: Any, kind: Any, eye: Any, phase: Any, corners: Any) -> Any:
    """Corners (4, 3) of a quad in its local frame: those given, or turned towards the eye."""
    if kind < BALL:
        for i in range(12):
            corners[i // 3, i % 3] = shape[i]
        return
    swing = shape[16] * np.sin(phase)
    sine, cosine, joint = np.sin(swing), np.cos(swing), shape[15]
    ax = cosine * shape[0] + sine * (shape[2] - joint)
    az = cosine * (shape[2] - joint) - sine * shape[0] + joint
    bx = cosine * shape[3] + sine * (shape[5] - joint)
    bz = cosine * (shape[5] - joint) - sine * shape[3] + joint
    ay, by, first, second = shape[1], shape[4], shape[6], shape[7]
    if kind != POST:  # a ball or crown: shape[3:5] are its half width and half height
        first = second = shape[3]
        ax, bx, by = shape[0], shape[0], ay
        az, bz = shape[2] - shape[4], shape[2] + shape[4]
    axis = (bx - ax, by - ay, bz - az)
    view = (eye[0] - 0.5 * (ax + bx), eye[1] - 0.5 * (ay + by), eye[2] - 0.5 * (az + bz))
    side = _unit(_cross(axis, view))
    for k in range(3):
        low = ax if k == 0 else ay if k == 1 else az
        high = bx if k == 0 else by if k == 1 else bz
        corners[0, k], corners[1, k] = low - side[k] * first, low + side[k] * first
        corners[2, k], corners[3, k] = high + side[k] * second, high - side[k] * second


@kernel
def _cross(a: Any, b: Any) -> Any:
    """Cross product of two triples."""
    return a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]


@kernel
def _dot(a: Any, b: Any) -> Any:
    """Scalar product of two triples."""
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]


@kernel
def _between(corners: Any, i: Any, j: Any) -> Any:
    """From corner i to corner j."""
    return (
        corners[j, 0] - corners[i, 0], corners[j, 1] - corners[i, 1], corners[j, 2] - corners[i, 2],
    )  # fmt: skip


@kernel
def _unit(a: Any) -> Any:
    """A triple at length 1."""
    length = max(np.sqrt(_dot(a, a)), 1e-12)
    return a[0] / length, a[1] / length, a[2] / length


@kernel
def _surface(seen: Any, row: Any) -> Any:
    """Plane, edges and the two measures across a quad (camera frame) -> row; width and height
    [m], height 0 where it shows its back."""
    first = (seen[0, 0], seen[0, 1], seen[0, 2])
    along, up = _between(seen, 0, 1), _between(seen, 0, 3)
    width = _dot(along, along)
    if width < 1e-12:
        along = _between(seen, 3, 2)
        width = max(_dot(along, along), 1e-12)
    slope = _dot(up, along) / width
    up = (up[0] - along[0] * slope, up[1] - along[1] * slope, up[2] - along[2] * slope)
    height = max(_dot(up, up), 1e-12)
    normal = _cross(along, up)
    c = _dot(normal, first)
    if c > -1e-12:
        return 0.0, 0.0
    u0, v0 = _dot(along, first) / width, _dot(up, first) / height
    for k in range(3):
        row[k] = normal[k] / c
        row[15 + k] = along[k] / width - u0 * normal[k] / c
        row[18 + k] = up[k] / height - v0 * normal[k] / c
    for i in range(4):
        j = (i + 1) % 4
        row[3 + 3 * i] = seen[j, 1] * seen[i, 2] - seen[j, 2] * seen[i, 1]
        row[4 + 3 * i] = seen[j, 2] * seen[i, 0] - seen[j, 0] * seen[i, 2]
        row[5 + 3 * i] = seen[j, 0] * seen[i, 1] - seen[j, 1] * seen[i, 0]
    return np.sqrt(width), np.sqrt(height)


@kernel
def _describe(
    seen: Any,
    local: Any,
    sun: Any,
    eye: Any,
    look: Any,
    kind: Any,
    focal: Any,
    light: Any,
    row: Any,
) -> Any:
    """Fills a row of FLOATS. seen, local: corners (4, 3) in the camera and in the local frame."""
    width, height = _surface(seen, row)
    if height == 0.0:
        return False
    side, rise = _unit(_between(local, 0, 1)), _unit(_between(local, 0, 3))
    toward = _unit((
        eye[0] - 0.25 * (local[0, 0] + local[1, 0] + local[2, 0] + local[3, 0]),
        eye[1] - 0.25 * (local[0, 1] + local[1, 1] + local[2, 1] + local[3, 1]),
        eye[2] - 0.25 * (local[0, 2] + local[1, 2] + local[2, 2] + local[3, 2]),
    ))  # fmt: skip
    outward = _unit(_cross(_between(local, 0, 2), _between(local, 1, 3)))
    row[24] = row[25] = row[26] = 0.0
    up, facing = 0.75, 0.0
    if kind >= BALL:
        gain = (light[0] + light[1] + light[2]) / (light[3] + light[4] + light[5])
        row[24], row[25] = gain * _dot(side, sun), gain * _dot(rise, sun)
        row[26] = gain * _dot(toward, sun)
    else:
        up, facing = 0.5 + 0.5 * outward[2], max(0.0, _dot(outward, sun))
    for k in range(3):
        around = up * light[3 + k] + (1.0 - up) * light[6 + k]
        row[21 + k] = look[k] * (around + facing * light[k]) / 255.0
    row[28], row[29] = look[7], look[8]
    slant = max(0.08, abs(_dot(outward, toward)))
    row[27] = 64.0 * max(look[7] / width, look[8] / height) / focal / slant**0.7
    return True


@kernel
def _in_sight(pose: Any, ball: Any, lens: Any, far: Any) -> Any:
    """Whether a ball (centre, radius; local frame) reaches into the view."""
    x = pose[0, 0] * ball[0] + pose[0, 1] * ball[1] + pose[0, 2] * ball[2] + pose[0, 3]
    y = pose[1, 0] * ball[0] + pose[1, 1] * ball[1] + pose[1, 2] * ball[2] + pose[1, 3]
    z = pose[2, 0] * ball[0] + pose[2, 1] * ball[1] + pose[2, 2] * ball[2] + pose[2, 3]
    reach, high = ball[3], lens[17]
    wide = max(abs(lens[15]), lens[16])  # tangent of half the view
    if z < -reach or x * x + y * y + z * z > (far + reach) ** 2:
        return False
    if abs(x) - wide * z > reach * np.sqrt(1.0 + wide * wide):
        return False
    return abs(y) - high * z <= reach * np.sqrt(1.0 + high * high)


@kernel
def place(
    shapes: Any,
    looks: Any,
    tags: Any,
    starts: Any,
    poses: Any,
    eyes: Any,
    suns: Any,
    balls: Any,
    bits: Any,
    instances: Any,
    phases: Any,
    lens: Any,
    size: Any,
    light: Any,
    far: Any,
    floats: Any,
    ints: Any,
) -> Any:
    """Quads that a camera may see -> floats (m, FLOATS), ints (m, INTS); returns how many.

    Batches (B): starts (B, 2) rows of shapes; poses (B, 3, 4) camera from local; eyes, suns
    (B, 3) in the local frame; balls (B, 4) centre and radius; bits: lamps that are lit
    """
    count = 0
    local, seen = np.empty((4, 3)), np.empty((4, 3))
    box = np.empty(4, np.int64)
    colour = np.empty(9)
    for b in range(starts.shape[0]):
        pose, eye, sun = poses[b], eyes[b], suns[b]
        if not _in_sight(pose, balls[b], lens, far):
            continue
        for q in range(starts[b, 0], starts[b, 1]):
            kind = tags[q, 0]
            shape = shapes[q]
            if kind < BALL:
                facing = (
                    (eye[0] - shape[0]) * shape[12]
                    + (eye[1] - shape[1]) * shape[13]
                    + (eye[2] - shape[2]) * shape[14]
                )
                if facing <= 0.0:
                    continue
            _stand(shape, kind, eye, phases[b], local)
            for i in range(4):
                for k in range(3):
                    seen[i, k] = (
                        pose[k, 0] * local[i, 0]
                        + pose[k, 1] * local[i, 1]
                        + pose[k, 2] * local[i, 2]
                        + pose[k, 3]
                    )
            if not bounds(lens, seen, size, box):
                continue
            for k in range(9):  # element by element: slices take seconds to compile
                colour[k] = looks[q, k]
            row = floats[count]
            if not _describe(seen, local, sun, eye, colour, kind, lens[1], light, row):
                continue
            if kind == WHEEL:  # cosine and sine of how far it has rolled, as seen from its side
                row[24], row[25] = np.cos(phases[b]), np.sin(phases[b])
                if local[1, 0] < local[0, 0]:
                    row[25] = -row[25]
            if tags[q, 1] > 0 and (bits[b] >> (tags[q, 1] - 1)) & 1:
                for k in range(3):
                    row[21 + k], row[24 + k] = colour[3 + k] / 255.0, 0.0
            for k in range(4):
                ints[count, k] = box[k]
            ints[count, 4] = kind
            ints[count, 5] = int(colour[6])
            ints[count, 6] = instances[b]
            ints[count, 7] = tags[q, 2]
            ints[count, 8] = tags[q, 3]
            signals = tags[q, 2] == TRAFFIC_LIGHT and tags[q, 1] > 0
            ints[count, 9] = bits[b] if signals else 0
            count += 1
            if count == floats.shape[0]:
                return count
    return count


@kernel
def cast(
    boxes: Any,
    shifts: Any,
    depth: Any,
    cam_from_ego: Any,
    lens: Any,
    size: Any,
    backdrop: Any,
    shadow: Any,
) -> Any:
    """Shadows of boxes on the ground -> shadow (H, W): share of light that is left, as it was or
    less. boxes: (n, 5) x, y, heading, half length, half width, ego frame; shifts: (n, 2) from a
    box to the shadow of its lid, in its own axes [m]; depth: light left in the sun's shadow"""
    outline, box = np.empty((8, 3)), np.empty(4, np.int64)
    point = np.empty(3)
    soft = np.float32(0.45)  # [m] reach of the dark edge under a car
    for b in range(boxes.shape[0]):
        c, s = np.cos(boxes[b, 2]), np.sin(boxes[b, 2])
        for i in range(8):
            x = (boxes[b, 3] + soft) * (1.0 if i & 1 else -1.0) + (shifts[b, 0] if i & 4 else 0.0)
            y = (boxes[b, 4] + soft) * (1.0 if i & 2 else -1.0) + (shifts[b, 1] if i & 4 else 0.0)
            point[0], point[1] = boxes[b, 0] + c * x - s * y, boxes[b, 1] + s * x + c * y
            for k in range(3):
                outline[i, k] = (
                    cam_from_ego[k, 0] * point[0]
                    + cam_from_ego[k, 1] * point[1]
                    + cam_from_ego[k, 3]
                )
        if not bounds(lens, outline, size, box):
            continue
        x0, y0 = np.float32(boxes[b, 0]), np.float32(boxes[b, 1])
        co, si = np.float32(c), np.float32(s)
        hx, hy = np.float32(boxes[b, 3]), np.float32(boxes[b, 4])
        tx, ty = np.float32(shifts[b, 0]), np.float32(shifts[b, 1])
        for v in range(box[2], box[3]):
            for u in range(box[0], box[1]):
                if not backdrop[0, v, u] > np.float32(0.0):
                    continue
                dx, dy = backdrop[1, v, u] - x0, backdrop[2, v, u] - y0
                x, y = co * dx + si * dy, co * dy - si * dx
                left = np.float32(1.0)
                if _swept(x, y, hx, hy, tx, ty):
                    left = np.float32(depth)
                gap = np.sqrt(max(abs(x) - hx, np.float32(0.0)) ** 2
                              + max(abs(y) - hy, np.float32(0.0)) ** 2) / soft  # fmt: skip
                if gap < np.float32(1.0):
                    left *= np.float32(0.42) + np.float32(0.58) * gap
                shadow[v, u] = min(shadow[v, u], left)


@kernel
def _swept(x: Any, y: Any, hx: Any, hy: Any, tx: Any, ty: Any) -> Any:
    """True where the segment from (x, y) back by (tx, ty) meets the rectangle: slab test."""
    low, high = np.float32(0.0), np.float32(1.0)
    if abs(tx) < np.float32(1e-6):
        if abs(x) > hx:
            return False
    else:
        a, b = (x - hx) / tx, (x + hx) / tx
        low, high = max(low, min(a, b)), min(high, max(a, b))
    if abs(ty) < np.float32(1e-6):
        if abs(y) > hy:
            return False
    else:
        a, b = (y - hy) / ty, (y + hy) / ty
        low, high = max(low, min(a, b)), min(high, max(a, b))
    return low <= high
