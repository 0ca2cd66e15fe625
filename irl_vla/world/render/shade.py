"""The colour of every pixel, once it is known what it sees: textures, light, haze, noise.

Packed colours are 32-bit numbers, red in the lowest byte; all textures lie in one flat array
(texels.py). Kernels take few arrays and index them without views, because both cost more than
the arithmetic. May import: scoring.compiled, world.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from irl_vla.scoring.compiled import kernel
from irl_vla.world.render.quads import CROWN, CUT, DISC, FLAT, PANEL, POST, WHEEL
from irl_vla.world.render.texels import (
    ATLAS_SIDE,
    ATLAS_START,
    ATLAS_TEXELS,
    SKY_START,
    SKY_WIDTH,
    TEXEL_M,
    WHITE,
)
from irl_vla.world.render.view import SEES_NOTHING, SEES_SKY

_EVEN, _ODD = np.uint32(0xFF00FF), np.uint32(0x00FF00)  # red and blue; green
_ONE, _NONE, _TWO, _HALF = np.float32(1.0), np.float32(0.0), np.float32(2.0), np.float32(0.5)
_STEPS, _ALMOST, _THIRD = np.float32(256.0), np.float32(0.99999), np.float32(1.0 / 3.0)
_PER_METRE = np.float32(1.0 / TEXEL_M)
_BYTE = np.float32(255.0)
_I0, _I1, _SIDE = np.int32(0), np.int32(1), np.int32(ATLAS_SIDE)
_SHADED = np.uint32(0x80000000)  # bit of a ground texel, and of its pixel, that no sun falls on
_EDGE = np.float32(0.01)  # [texels] kept from the last column and row, so that there is a next one
_DENSE = np.float32(1.2)  # texels a pixel from which the next coarser size of a picture serves
_FRACTION_X, _FRACTION_Y = 4, 5  # rows of `where`; 0..3: the four texels' places


@kernel
def _ground_run(
    u0: Any, u1: Any, v: Any, level: Any, backdrop: Any, here: Any, levels: Any, where: Any
) -> Any:
    """Where pixels u0..u1 of row v, all of one texture level, find the ground's four texels."""
    scale = _PER_METRE / np.float32(1 << level)
    p, q = here[2] * scale, here[3] * scale
    x0, y0 = here[0] * scale - _HALF, here[1] * scale - _HALF
    start, stride = np.int32(levels[level, 0]), np.int32(levels[level, 1])
    mask = np.int32(levels[level, 2])
    right, low = np.float32(levels[level, 3]) - _EDGE, np.float32(levels[level, 4]) - _EDGE
    for i in range(np.uint64(u0), np.uint64(u1)):
        a, b = backdrop[1, v, i], backdrop[2, v, i]
        x = min(max(x0 + p * a - q * b, _NONE), right)
        y = min(max(y0 + q * a + p * b, _NONE), low)
        xi, yi = np.int32(x), np.int32(y)
        where[4, i] = np.int32((x - np.float32(xi)) * _STEPS)
        where[5, i] = np.int32((y - np.float32(yi)) * _STEPS)
        i0, i1 = np.int32(xi & mask), np.int32(np.int32(xi + _I1) & mask)
        j0 = np.int32(start + np.int32(np.int32(yi & mask) * stride))
        j1 = np.int32(start + np.int32(np.int32(np.int32(yi + _I1) & mask) * stride))
        where[0, i], where[1, i] = np.int32(j0 + i0), np.int32(j0 + i1)
        where[2, i], where[3, i] = np.int32(j1 + i0), np.int32(j1 + i1)


@kernel
def _sky_run(u0: Any, u1: Any, v: Any, backdrop: Any, here: Any, where: Any) -> Any:
    """The same for the sky."""
    mask, start, stride = np.int32(SKY_WIDTH - 1), np.int32(SKY_START), np.int32(SKY_WIDTH)
    for i in range(np.uint64(u0), np.uint64(u1)):
        x, y = backdrop[1, v, i] + here[4], backdrop[2, v, i]
        xi, yi = np.int32(x), np.int32(y)
        where[4, i] = np.int32((x - np.float32(xi)) * _STEPS)
        where[5, i] = np.int32((y - np.float32(yi)) * _STEPS)
        i0, i1 = np.int32(xi & mask), np.int32(np.int32(xi + _I1) & mask)
        j0 = np.int32(start + np.int32(yi * stride))
        j1 = np.int32(j0 + stride)
        where[0, i], where[1, i] = np.int32(j0 + i0), np.int32(j0 + i1)
        where[2, i], where[3, i] = np.int32(j1 + i0), np.int32(j1 + i1)


@kernel
def _picture_run(
    u0: Any, u1: Any, v: Any, quad: Any, floats: Any, ints: Any, rays: Any, where: Any
) -> Any:
    """The same for a quad with a picture. rays: (2, H, W)."""
    a0, a1, a2 = floats[quad, 0], floats[quad, 1], floats[quad, 2]
    b0, b1, b2 = floats[quad, 15], floats[quad, 16], floats[quad, 17]
    c0, c1, c2 = floats[quad, 18], floats[quad, 19], floats[quad, 20]
    dense, wide, high = floats[quad, 27], floats[quad, 28], floats[quad, 29]
    tile, many = np.int32(ints[quad, 5]), np.int32(ints[quad, 8] - 1)
    start, texels = np.int32(ATLAS_START), np.int32(ATLAS_TEXELS)
    for i in range(np.uint64(u0), np.uint64(u1)):
        x, y = rays[0, v, i], rays[1, v, i]
        depth = _ONE / (a0 * x + a1 * y + a2)
        s = min(max((b0 * x + b1 * y + b2) * depth, _NONE), _ALMOST) * wide
        t = min(max(_ONE - (c0 * x + c1 * y + c2) * depth, _NONE), _ALMOST) * high
        across, down = np.int32(s), np.int32(t)
        mixed = np.int32(np.int32(across * np.int32(7919)) ^ np.int32(down * np.int32(104729)))
        which = np.int32(tile + np.int32(np.int32(mixed >> np.int32(3)) & many))
        d, level = dense * depth, _I0
        for k in range(6):
            level = np.int32(level + np.int32(d > _DENSE * np.float32(1 << k)))
        size = np.int32(_SIDE >> level)
        # 4096 + 1024 + ..: where the level begins in its tile
        before = np.float32(np.int32(16384) - np.int32(np.int32(16384) >> (level + level)))
        first = np.int32(start + np.int32(which * texels) + np.int32(before * _THIRD + _HALF))
        px = max((s - np.float32(across)) * np.float32(size) - _HALF, _NONE)
        py = max((t - np.float32(down)) * np.float32(size) - _HALF, _NONE)
        xi, yi = np.int32(px), np.int32(py)
        where[4, i] = np.int32((px - np.float32(xi)) * _STEPS)
        where[5, i] = np.int32((py - np.float32(yi)) * _STEPS)
        last = np.int32(size - _I1)
        x1, y1 = min(np.int32(xi + _I1), last), min(np.int32(yi + _I1), last)
        j0, j1 = np.int32(first + np.int32(yi * size)), np.int32(first + np.int32(y1 * size))
        where[0, i], where[1, i] = np.int32(j0 + xi), np.int32(j0 + x1)
        where[2, i], where[3, i] = np.int32(j1 + xi), np.int32(j1 + x1)


@kernel
def _tone(kind: Any, quad: Any, x: Any, y: Any, floats: Any) -> Any:
    """How bright a disc, wheel, ball, post or crown is where the ray (x, y, 1) meets it."""
    depth = _ONE / (floats[quad, 0] * x + floats[quad, 1] * y + floats[quad, 2])
    s = (floats[quad, 15] * x + floats[quad, 16] * y + floats[quad, 17]) * depth
    t = (floats[quad, 18] * x + floats[quad, 19] * y + floats[quad, 20]) * depth
    s, t = _TWO * s - _ONE, _TWO * t - _ONE
    if kind == POST:
        t = _NONE
    square = s * s + t * t
    if kind == DISC:
        return _ONE - np.float32(0.15) * square
    if kind == WHEEL:
        if square > np.float32(0.42):
            return np.float32(0.16)
        cosine, sine = floats[quad, 24], floats[quad, 25]
        s, t = cosine * s - sine * t, cosine * t + sine * s
        if square > np.float32(0.34) or abs(s * t) < np.float32(0.012):
            return _HALF
        return _ONE
    out = np.sqrt(max(_ONE - square, _NONE))
    light = floats[quad, 24] * s + floats[quad, 25] * t + floats[quad, 26] * out
    return _ONE + max(light, _NONE)


@kernel
def _quad_run(
    u0: Any, u1: Any, v: Any, quad: Any, floats: Any, ints: Any, rays: Any, where: Any, gains: Any
) -> Any:
    """Texels and gains of pixels u0..u1 of row v, which all see one quad."""
    kind = ints[quad, 4]
    if kind in (PANEL, CUT, CROWN):
        _picture_run(u0, u1, v, quad, floats, ints, rays, where)
    else:
        for i in range(np.uint64(u0), np.uint64(u1)):
            where[0, i] = where[1, i] = where[2, i] = where[3, i] = np.int32(WHITE)
            where[4, i] = where[5, i] = _I0
    r, g, b = floats[quad, 21], floats[quad, 22], floats[quad, 23]
    if kind in (FLAT, PANEL, CUT):
        for i in range(np.uint64(u0), np.uint64(u1)):
            gains[0, i], gains[1, i], gains[2, i] = r, g, b
    else:
        for i in range(np.uint64(u0), np.uint64(u1)):
            tone = _tone(kind, quad, rays[0, v, i], rays[1, v, i], floats)
            gains[0, i], gains[1, i], gains[2, i] = r * tone, g * tone, b * tone


@kernel
def _fetch(count: Any, texels: Any, where: Any, four: Any) -> Any:
    """The four texels of each of `count` pixels of a row."""
    for i in range(np.uint64(count)):
        four[0, i] = texels[np.uint32(where[0, i])]
        four[1, i] = texels[np.uint32(where[1, i])]
        four[2, i] = texels[np.uint32(where[2, i])]
        four[3, i] = texels[np.uint32(where[3, i])]


@kernel
def _blend(count: Any, where: Any, four: Any, gains: Any, row: Any) -> Any:
    """Bilinear mixes of a row's texels times their gains, packed."""
    for i in range(np.uint64(count)):
        fx, fy = np.uint32(where[_FRACTION_X, i]), np.uint32(where[_FRACTION_Y, i])
        both = np.uint32(np.uint32(fx * fy) >> np.uint32(8))
        right, below = np.uint32(fx - both), np.uint32(fy - both)
        rest = np.uint32(np.uint32(256) - fx - below)
        a, b, c, d = four[0, i], four[1, i], four[2, i], four[3, i]
        even = np.uint32((a & _EVEN) * rest + (b & _EVEN) * right + (c & _EVEN) * below
                         + (d & _EVEN) * both) >> np.uint32(8)  # fmt: skip
        odd = np.uint32((a & _ODD) * rest + (b & _ODD) * right + (c & _ODD) * below
                        + (d & _ODD) * both) >> np.uint32(16)  # fmt: skip
        red = np.float32(np.int32(even & np.uint32(255))) * gains[0, i]
        green = np.float32(np.int32(odd & np.uint32(255))) * gains[1, i]
        blue = np.float32(np.int32((even >> np.uint32(16)) & np.uint32(255))) * gains[2, i]
        row[i] = np.uint32(_packed(red, green, blue) | (a & _SHADED))


@kernel
def _packed(r: Any, g: Any, b: Any) -> Any:
    """Three colours of at least 0 as one number."""
    low = np.uint32(np.int32(min(r, _BYTE)))
    middle = np.uint32(np.uint32(np.int32(min(g, _BYTE))) << np.uint32(8))
    return np.uint32(low | middle | np.uint32(np.uint32(np.int32(min(b, _BYTE))) << np.uint32(16)))


@kernel
def _row_of(
    v: Any, width: Any, found: Any, level: Any, rays: Any, backdrop: Any, floats: Any, ints: Any,
    here: Any, levels: Any, where: Any, gains: Any,
) -> Any:  # fmt: skip
    """Texels and gains of row v, run by run of pixels that see the same."""
    u = np.int64(0)  # a plain 0 would be a type of its own, and all below compiled twice
    while u < width:
        quad, end = found[v, u], u + 1
        if quad >= 0:
            while end < width and found[v, end] == quad:
                end += 1
            _quad_run(u, end, v, np.uint64(quad), floats, ints, rays, where, gains)
        else:
            depth = level[v, u]
            while end < width and found[v, end] < 0 and level[v, end] == depth:
                end += 1
            if depth >= 0:
                _ground_run(u, end, v, np.int64(depth), backdrop, here, levels, where)
            elif depth == SEES_SKY:
                _sky_run(u, end, v, backdrop, here, where)
            light = _NONE if depth == SEES_NOTHING else _ONE
            for i in range(np.uint64(u), np.uint64(end)):
                gains[0, i] = gains[1, i] = gains[2, i] = light
        u = end


@kernel
def paint(
    found: Any, level: Any, rays: Any, backdrop: Any, floats: Any, ints: Any, here: Any,
    levels: Any, texels: Any, colours: Any,
) -> Any:  # fmt: skip
    """Fills colours (H, W), packed, before shadows and haze. found: (H, W) quads; level, rays,
    backdrop: of the View; here: x, y of the ego on the ground's textures, cosine and sine of its
    heading, columns by which the sky turns. A row is made in steps, each simple enough for the
    compiler to do many pixels at once."""
    width = found.shape[1]
    where, gains = np.zeros((6, width), np.int32), np.zeros((3, width), np.float32)
    four = np.zeros((4, width), np.uint32)
    for v in range(found.shape[0]):
        _row_of(v, width, found, level, rays, backdrop, floats, ints, here, levels, where, gains)
        _fetch(width, texels, where, four)
        _blend(width, where, four, gains, colours[v])


@kernel
def smooth(
    fine: Any, fine_rays: Any, shadow: Any, haze: Any, level: Any, backdrop: Any, floats: Any,
    ints: Any, here: Any, levels: Any, texels: Any, colours: Any, far: Any,
) -> Any:  # fmt: skip
    """Colours of pixels whose 2 x 2 samples in `fine` differ: the mean of all four, with their
    shadow and haze; their `far` becomes 0, so that neither comes again. The samples of a row are
    lined up and painted like a row of pixels."""
    height, width = colours.shape
    many = 4 * width
    where, gains = np.zeros((6, many), np.int32), np.zeros((3, many), np.float32)
    four, mixed = np.zeros((4, many), np.uint32), np.zeros(many, np.uint32)
    found, depths = np.zeros((1, many), np.int32), np.zeros((1, many), np.int8)
    rays, behind = np.zeros((2, 1, many), np.float32), np.zeros((3, 1, many), np.float32)
    columns, top = np.zeros(width, np.int64), np.int64(0)
    for v in range(height):
        count = 0
        for u in range(width):
            a, b = fine[2 * v, 2 * u], fine[2 * v, 2 * u + 1]
            c, d = fine[2 * v + 1, 2 * u], fine[2 * v + 1, 2 * u + 1]
            if a == b and a == c and a == d:
                continue
            for k in range(4):
                j, i, at = 2 * v + (k >> 1), 2 * u + (k & 1), 4 * count + k
                found[0, at], depths[0, at] = fine[j, i], level[v, u]
                rays[0, 0, at], rays[1, 0, at] = fine_rays[0, j, i], fine_rays[1, j, i]
                for m in range(3):
                    behind[m, 0, at] = backdrop[m, v, u]
            columns[count] = u
            count += 1
        _row_of(
            top, 4 * count, found, depths, rays, behind, floats, ints, here, levels, where, gains
        )
        _fetch(4 * count, texels, where, four)
        _blend(4 * count, where, four, gains, mixed)
        for n in range(count):
            u = columns[n]
            colours[v, u] = _mean(n, found, rays, behind, floats, mixed, haze, shadow[v, u])
            far[v, u] = _NONE


@kernel
def _mean(
    n: Any, found: Any, rays: Any, behind: Any, floats: Any, mixed: Any, haze: Any, light: Any
) -> Any:
    """Mean of the samples at columns 4 n .., packed. light: share that is left on the ground."""
    red = green = blue = _NONE
    share = np.float32(0.25)
    for at in range(4 * n, 4 * n + 4):
        quad, w, keep = found[0, at], behind[0, 0, at], _left(light, mixed[at], haze)
        if quad >= 0:
            x, y, keep = rays[0, 0, at], rays[1, 0, at], _ONE
            w = floats[quad, 0] * x + floats[quad, 1] * y + floats[quad, 2]
        lost = _NONE
        if w > _NONE:
            lost = _ONE / (_ONE + (w * haze[3]) * (w * haze[3]))
        keep *= (_ONE - lost) * share
        lost *= share
        red += np.float32(mixed[at] & np.uint32(255)) * keep + haze[0] * lost
        green += np.float32((mixed[at] >> np.uint32(8)) & np.uint32(255)) * keep + haze[1] * lost
        blue += np.float32((mixed[at] >> np.uint32(16)) & np.uint32(255)) * keep + haze[2] * lost
    return _packed(red, green, blue)


@kernel
def _left(light: Any, colour: Any, haze: Any) -> Any:
    """Share of light left on ground on which shadows of road users leave `light`: where there is no
    sun anyway, only the dark beneath them counts."""
    shaded = np.float32(np.int32(colour >> np.uint32(31)))  # 0 or 1: branches would cost more
    return min(light * (_ONE + shaded * (haze[4] - _ONE)), _ONE)


@kernel
def develop(
    colours: Any, found: Any, far: Any, shadow: Any, haze: Any, grain: Any, cut: Any, picture: Any
) -> Any:
    """Shadow on the ground, haze and noise on colours -> picture (H, W, 3). far: (H, W) inverse
    depth, 0: the colour stays as it is; grain: noise, of which this picture's part begins at row
    cut[0], pixel cut[1] and is scaled by cut[2] / 65536"""
    width = colours.shape[1]
    plain = np.empty((3, width), np.int16)
    for v in range(colours.shape[0]):
        row, near, lights, who = colours[v], far[v], shadow[v], found[v]
        red, green, blue = plain[0], plain[1], plain[2]
        for u in range(width):
            reach = near[u] * haze[3]
            lost = _ONE / (_ONE + reach * reach)
            here = near[u] > _NONE
            light = _ONE if who[u] >= 0 else _left(lights[u], row[u], haze)
            keep = (_ONE - lost) * light if here else _ONE
            lost = lost if here else _NONE
            r = np.float32(np.int32(row[u] & np.uint32(255)))
            g = np.float32(np.int32((row[u] >> np.uint32(8)) & np.uint32(255)))
            b = np.float32(np.int32((row[u] >> np.uint32(16)) & np.uint32(255)))
            red[u] = np.int16(np.int32(r * keep + haze[0] * lost))
            green[u] = np.int16(np.int32(g * keep + haze[1] * lost))
            blue[u] = np.int16(np.int32(b * keep + haze[2] * lost))
        for u in range(width):
            picture[v, u, 0], picture[v, u, 1], picture[v, u, 2] = red[u], green[u], blue[u]
        _add_noise(picture[v].reshape(3 * width), grain[(cut[0] + v) % len(grain)], cut)


@kernel
def _add_noise(row: Any, noise: Any, cut: Any) -> Any:
    """Adds to a row of bytes noise that repeats, from pixel cut[1] on, scaled by cut[2] / 65536."""
    gain, done = np.int32(cut[2]), 0
    while done < len(row):
        begin = (3 * cut[1] + done) % len(noise)
        count = min(len(row) - done, len(noise) - begin)
        part, added = row[done : done + count], noise[begin : begin + count]
        for i in range(count):
            value = np.int32(np.int32(added[i]) * gain + np.int32(32768)) >> np.int32(16)
            value = np.int32(np.int32(part[i]) + value)
            part[i] = np.uint8(min(max(value, np.int32(0)), np.int32(255)))
        done += count


@kernel
def ground_classes(
    level: Any, backdrop: Any, here: Any, levels: Any, texels: Any, kinds: Any
) -> Any:
    """Fills kinds (H, W) with the class of the ground, as painted, that each pixel could see."""
    for v in range(kinds.shape[0]):
        for u in range(kinds.shape[1]):
            kinds[v, u] = 0
            which = level[v, u]
            if which >= 0:
                a, b = backdrop[1, v, u], backdrop[2, v, u]
                scale = TEXEL_M * 2.0**which
                i = int(np.floor((here[0] + here[2] * a - here[3] * b) / scale))
                j = int(np.floor((here[1] + here[3] * a + here[2] * b) / scale))
                mask = levels[which, 2]
                i = min(max(i, 0), levels[which, 3]) & mask
                j = min(max(j, 0), levels[which, 4]) & mask
                texel = texels[levels[which, 0] + j * levels[which, 1] + i]
                kinds[v, u] = np.uint8((texel & ~_SHADED) >> np.uint32(24))
