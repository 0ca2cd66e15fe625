"""The colour of every pixel, once it is known what it sees: textures, light, haze, noise.

Packed colours are 32-bit numbers, red in the lowest byte; all textures lie in one flat array
(render_texels). Kernels take few arrays and index them without views, because both cost more than
the arithmetic. May import: scoring.compiled, world.
"""

from __future__ import annotations

import numpy as np

from irl_vla.scoring.compiled import kernel
from irl_vla.world.render_quads import CROWN, CUT, DISC, FLAT, PANEL, POST, WHEEL
from irl_vla.world.render_texels import (
    ATLAS_SIDE, ATLAS_START, ATLAS_TEXELS, SKY_HEIGHT, SKY_START, SKY_WIDTH, TEXEL_M,
)  # fmt: skip

_EVEN, _ODD = np.uint32(0xFF00FF), np.uint32(0x00FF00)  # red and blue; green
_ONE, _NONE, _TWO, _HALF = np.float32(1.0), np.float32(0.0), np.float32(2.0), np.float32(0.5)
_STEPS, _ALMOST = np.float32(256.0), np.float32(0.99999)
_PER_METRE = np.float32(1.0 / TEXEL_M)
_BYTE = np.float32(255.0)


@kernel
def _blend(texels, upper, lower, i, i1, fx, fy):  # type: ignore[no-untyped-def]
    """Bilinear mix of four texels, packed. upper, lower: where their rows begin; i, i1: columns;
    fx, fy: 0..256 from the first to the second."""
    a, b = texels[np.uint64(upper + i)], texels[np.uint64(upper + i1)]
    c, d = texels[np.uint64(lower + i)], texels[np.uint64(lower + i1)]
    both = np.uint32((fx * fy) >> 8)
    right, below = np.uint32(fx) - both, np.uint32(fy) - both
    rest = np.uint32(np.uint32(256) - np.uint32(fx) - below)
    even = np.uint32((a & _EVEN) * rest + (b & _EVEN) * right + (c & _EVEN) * below
                     + (d & _EVEN) * both)  # fmt: skip
    odd = np.uint32((a & _ODD) * rest + (b & _ODD) * right + (c & _ODD) * below
                    + (d & _ODD) * both)  # fmt: skip
    return np.int64(((even >> np.uint32(8)) & _EVEN) | ((odd >> np.uint32(8)) & _ODD))


@kernel
def _backdrop(a, b, w, level, here, levels, texels):  # type: ignore[no-untyped-def]
    """Packed colour of ground (w > 0) or sky. a, b: of View.backdrop; here: of `shade`."""
    if w > _NONE:
        scale = _PER_METRE / np.float32(np.int64(1) << level)
        x = (here[0] + here[2] * a - here[3] * b) * scale + np.float32(4095.5)
        y = (here[1] + here[3] * a + here[2] * b) * scale + np.float32(4095.5)
        i, j = np.int64(x), np.int64(y)
        fx, fy = np.int64((x - np.float32(i)) * _STEPS), np.int64((y - np.float32(j)) * _STEPS)
        i, j = i - 4096, j - 4096
        start, stride, mask = levels[level, 0], levels[level, 1], levels[level, 2]
        right, low = levels[level, 3], levels[level, 4]
        i1, j1 = min(max(i + 1, 0), right) & mask, min(max(j + 1, 0), low) & mask
        i, j = min(max(i, 0), right) & mask, min(max(j, 0), low) & mask
        return _blend(texels, start + j * stride, start + j1 * stride, i, i1, fx, fy)
    a += here[4]
    i, j = np.int64(a), np.int64(b)
    fx, fy = np.int64((a - np.float32(i)) * _STEPS), np.int64((b - np.float32(j)) * _STEPS)
    upper = SKY_START + j * SKY_WIDTH
    lower = SKY_START + min(j + 1, SKY_HEIGHT - 1) * SKY_WIDTH
    i1, i = (i + 1) & (SKY_WIDTH - 1), i & (SKY_WIDTH - 1)
    return _blend(texels, upper, lower, i, i1, fx, fy)


@kernel
def _pattern(floats, ints, quad, s, t, w, texels):  # type: ignore[no-untyped-def]
    """Packed colour of a quad's texture at (s, t) in 0..1, t upwards."""
    s = min(max(s, _NONE), _ALMOST) * floats[quad, 28]
    t = min(max(_ONE - t, _NONE), _ALMOST) * floats[quad, 29]
    across, down = np.int64(s), np.int64(t)
    tile, many = ints[quad, 5], ints[quad, 8]
    if many > 1:
        mixed = (across * 73856093) ^ (down * 19349663) ^ (tile * 83492791)
        tile += ((mixed >> 5) & 0xFFFF) % many
    size, start = np.int64(ATLAS_SIDE), np.int64(ATLAS_START) + tile * ATLAS_TEXELS
    dense = floats[quad, 27] / w
    while dense > np.float32(1.4) and size > 1:
        dense *= _HALF
        start += size * size
        size >>= 1
    x = max((s - np.float32(across)) * np.float32(size) - _HALF, _NONE)
    y = max((t - np.float32(down)) * np.float32(size) - _HALF, _NONE)
    i, j = np.int64(x), np.int64(y)
    fx, fy = np.int64((x - np.float32(i)) * _STEPS), np.int64((y - np.float32(j)) * _STEPS)
    lower = start + min(j + 1, size - 1) * size
    return _blend(texels, start + j * size, lower, i, min(i + 1, size - 1), fx, fy)


@kernel
def _surface(floats, ints, quad, x, y, w, texels):  # type: ignore[no-untyped-def]
    """Colour of a quad that has more than one, where the ray (x, y, 1) meets it."""
    kind = ints[quad, 4]
    r, g, b = floats[quad, 21], floats[quad, 22], floats[quad, 23]
    depth = _ONE / w
    s = (floats[quad, 15] * x + floats[quad, 16] * y + floats[quad, 17]) * depth
    t = (floats[quad, 18] * x + floats[quad, 19] * y + floats[quad, 20]) * depth
    if kind == PANEL or kind == CUT or kind == CROWN:
        packed = _pattern(floats, ints, quad, s, t, w, texels)
        r *= np.float32(packed & 255)
        g *= np.float32((packed >> 8) & 255)
        b *= np.float32((packed >> 16) & 255)
        if kind != CROWN:
            return r, g, b
    s, t = _TWO * s - _ONE, _TWO * t - _ONE
    if kind == POST:
        t = _NONE
    square = s * s + t * t
    tone = _ONE
    if kind == DISC:
        tone = _ONE - np.float32(0.15) * square
    elif kind == WHEEL:
        if square > np.float32(0.42):
            tone = np.float32(0.16)
        elif square > np.float32(0.34) or abs(s * t) < np.float32(0.012):
            tone = _HALF
    else:
        out = np.sqrt(max(_ONE - square, _NONE))
        tone += max(floats[quad, 24] * s + floats[quad, 25] * t + floats[quad, 26] * out, _NONE)
    return r * tone, g * tone, b * tone


@kernel
def paint(  # type: ignore[no-untyped-def]
    floats, ints, found, rays, backdrop, here, levels, texels, colours
):  # fmt: skip
    """Fills colours (H, W), packed, before shadows and haze. found: (H, W) quads; rays: (H, W, 2);
    backdrop: (H, W, 4) of the View; here: x, y of the ego on the ground's textures, cosine and
    sine of its heading, columns by which the sky turns"""
    for v in range(found.shape[0]):
        for u in range(found.shape[1]):
            quad = np.uint64(found[v, u])
            if found[v, u] < 0:
                colours[v, u] = _backdrop(
                    backdrop[v, u, 1], backdrop[v, u, 2], backdrop[v, u, 0],
                    np.int64(backdrop[v, u, 3]), here, levels, texels,
                )  # fmt: skip
                continue
            if ints[quad, 4] == FLAT:
                r, g, b = floats[quad, 21], floats[quad, 22], floats[quad, 23]
            else:
                x, y = rays[v, u, 0], rays[v, u, 1]
                w = floats[quad, 0] * x + floats[quad, 1] * y + floats[quad, 2]
                r, g, b = _surface(floats, ints, quad, x, y, w, texels)
            colours[v, u] = _packed(r, g, b)


@kernel
def _packed(r, g, b):  # type: ignore[no-untyped-def]
    """Three colours of at least 0 as one number."""
    low = np.uint32(np.int32(min(r, _BYTE))) | (np.uint32(np.int32(min(g, _BYTE))) << np.uint32(8))
    return low | (np.uint32(np.int32(min(b, _BYTE))) << np.uint32(16))


@kernel
def smooth(  # type: ignore[no-untyped-def]
    floats, ints, fine, rays, backdrop, here, levels, texels, shadow, haze, colours, far
):  # fmt: skip
    """Colours of pixels whose 2 x 2 samples in `fine` differ: the mean of all four, with their
    shadow and haze; their `far` becomes 0, so that neither comes again."""
    total = np.empty(3, np.float32)
    for v in range(colours.shape[0]):
        for u in range(colours.shape[1]):
            a, b = fine[2 * v, 2 * u], fine[2 * v, 2 * u + 1]
            c, d = fine[2 * v + 1, 2 * u], fine[2 * v + 1, 2 * u + 1]
            if a == b and a == c and a == d:
                continue
            total[:] = _NONE
            behind = backdrop[v, u, 0]
            packed = _backdrop(
                backdrop[v, u, 1], backdrop[v, u, 2], behind, np.int64(backdrop[v, u, 3]),
                here, levels, texels,
            )  # fmt: skip
            for k in range(4):
                j, i = 2 * v + (k >> 1), 2 * u + (k & 1)
                quad = fine[j, i]
                if quad < 0:
                    light, w = shadow[v, u], behind
                    r = np.float32(packed & 255) * light
                    g = np.float32((packed >> 8) & 255) * light
                    b = np.float32((packed >> 16) & 255) * light
                else:
                    x, y = rays[j, i, 0], rays[j, i, 1]
                    w = floats[quad, 0] * x + floats[quad, 1] * y + floats[quad, 2]
                    if ints[quad, 4] == FLAT:
                        r, g, b = floats[quad, 21], floats[quad, 22], floats[quad, 23]
                    else:
                        r, g, b = _surface(floats, ints, np.uint64(quad), x, y, w, texels)
                lost = _NONE
                if w > _NONE:
                    lost = _ONE / (_ONE + (w * haze[3]) * (w * haze[3]))
                total[0] += min(r, _BYTE) * (_ONE - lost) + haze[0] * lost
                total[1] += min(g, _BYTE) * (_ONE - lost) + haze[1] * lost
                total[2] += min(b, _BYTE) * (_ONE - lost) + haze[2] * lost
            share = np.float32(0.25)
            colours[v, u] = _packed(total[0] * share, total[1] * share, total[2] * share)
            far[v, u] = _NONE


@kernel
def develop(colours, found, far, shadow, haze, grain, top, left, picture):  # type: ignore[no-untyped-def]
    """Shadow on the ground, haze and noise on colours -> picture (H, W, 3). far: (H, W) inverse depth, 0: the
    colour stays as it is; grain: noise, of which this picture's part begins at (top, left)"""
    width = colours.shape[1]
    plain = np.empty((3, width), np.int16)
    for v in range(colours.shape[0]):
        row, near, lights, who = colours[v], far[v], shadow[v], found[v]
        red, green, blue = plain[0], plain[1], plain[2]
        for u in range(width):
            reach = near[u] * haze[3]
            lost = _ONE / (_ONE + reach * reach)
            here = near[u] > _NONE
            light = _ONE if who[u] >= 0 else lights[u]
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
        flat = picture[v].reshape(3 * width)
        noise = grain[top + v, 3 * left : 3 * (left + width)]
        for i in range(3 * width):
            value = np.int16(np.int16(flat[i]) + noise[i])
            flat[i] = np.uint8(min(max(value, np.int16(0)), np.int16(255)))


@kernel
def ground_classes(backdrop, here, levels, texels, kinds):  # type: ignore[no-untyped-def]
    """Fills kinds (H, W) with the class of the ground, as painted, that each pixel could see."""
    for v in range(kinds.shape[0]):
        for u in range(kinds.shape[1]):
            kinds[v, u] = 0
            w = backdrop[v, u, 0]
            if w > _NONE:
                a, b, level = backdrop[v, u, 1], backdrop[v, u, 2], int(backdrop[v, u, 3])
                scale = TEXEL_M * 2.0**level
                i = int(np.floor((here[0] + here[2] * a - here[3] * b) / scale))
                j = int(np.floor((here[1] + here[3] * a + here[2] * b) / scale))
                mask = levels[level, 2]
                i = min(max(i, 0), levels[level, 3]) & mask
                j = min(max(j, 0), levels[level, 4]) & mask
                texel = texels[levels[level, 0] + j * levels[level, 1] + i]
                kinds[v, u] = np.uint8(texel >> np.uint32(24))
