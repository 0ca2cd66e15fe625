"""Every encoding of sensor_msgs/Image against a picture that can be checked by hand."""

from __future__ import annotations

import numpy as np
import pytest
from bag_maker import raw

from irl_vla.messages.images import pixels_of
from irl_vla.types import InputError

RED, GREEN, BLUE, GREY = (200, 10, 20), (10, 180, 30), (15, 25, 220), (90, 90, 90)
# Four blocks of 4x4 pixels: red, green / blue, grey.
BLOCKS = np.repeat(np.repeat(np.array([[RED, GREEN], [BLUE, GREY]], np.uint8), 4, 0), 4, 1)


def padded(rows: np.ndarray, padding: int) -> np.ndarray:
    flat = rows.reshape(len(rows), -1)
    return np.hstack([flat, np.full((len(flat), padding), 77, np.uint8)])


@pytest.mark.parametrize("padding", [0, 3])
@pytest.mark.parametrize(
    ("encoding", "channels"),
    [("rgb8", [0, 1, 2]), ("bgr8", [2, 1, 0]), ("8UC3", [2, 1, 0])],
)
def test_three_channels_come_in_the_order_of_their_name(
    encoding: str, channels: list[int], padding: int
) -> None:
    rows = padded(BLOCKS[..., channels], padding)
    message = raw(encoding, 8, 8, rows, step=24 + padding)
    np.testing.assert_array_equal(pixels_of(message), BLOCKS)


@pytest.mark.parametrize(("encoding", "channels"), [("rgba8", [0, 1, 2]), ("bgra8", [2, 1, 0])])
def test_the_fourth_channel_is_dropped(encoding: str, channels: list[int]) -> None:
    alpha = np.full((8, 8, 1), 7, np.uint8)
    rows = padded(np.concatenate([BLOCKS[..., channels], alpha], -1), 5)
    np.testing.assert_array_equal(pixels_of(raw(encoding, 8, 8, rows, step=37)), BLOCKS)


def test_grey_becomes_three_equal_channels() -> None:
    rows = np.arange(12, dtype=np.uint8).reshape(3, 4)
    picture = pixels_of(raw("mono8", 4, 3, padded(rows, 2), step=6))
    np.testing.assert_array_equal(picture, np.repeat(rows[..., None], 3, -1))


@pytest.mark.parametrize("big", [0, 1])
@pytest.mark.parametrize(("encoding", "channels"), [("rgb16", [0, 1, 2]), ("bgr16", [2, 1, 0])])
def test_sixteen_bits_keep_their_high_byte_in_either_byte_order(
    big: int, encoding: str, channels: list[int]
) -> None:
    values = (BLOCKS[..., channels].astype(np.uint16) << 8) + 0x5A
    stored = np.ascontiguousarray(values.astype(">u2" if big else "<u2"))
    rows = padded(stored.view(np.uint8), 4)
    np.testing.assert_array_equal(pixels_of(raw(encoding, 8, 8, rows, 52, big)), BLOCKS)


@pytest.mark.parametrize("pattern", ["rggb", "bggr", "gbrg", "grbg"])
def test_bayer_names_the_top_left_four_pixels(pattern: str) -> None:
    mosaic = np.zeros((8, 8), np.uint8)
    for place, letter in enumerate(pattern):
        y, x = divmod(place, 2)
        mosaic[y::2, x::2] = BLOCKS[y::2, x::2, "rgb".index(letter)]
    picture = pixels_of(raw(f"bayer_{pattern}8", 8, 8, padded(mosaic, 2), step=10))
    for y, x in [(1, 1), (1, 6), (6, 1), (6, 6)]:
        near = picture[y, x].astype(int) - BLOCKS[y, x]
        assert np.abs(near).max() <= 2, (pattern, y, x, picture[y, x])


def yuv(rgb: tuple[int, int, int]) -> tuple[int, int, int]:
    """BT.601, limited range (ITU-R BT.601-7, 2.5)."""
    r, g, b = (value / 255 for value in rgb)
    y = 0.299 * r + 0.587 * g + 0.114 * b
    return (
        round(16 + 219 * y),
        round(128 + 112 * (b - y) / 0.886),
        round(128 + 112 * (r - y) / 0.701),
    )


YUV_BLOCKS = np.array([[yuv(tuple(int(v) for v in pixel)) for pixel in row] for row in BLOCKS])
YUV_TOLERANCE = 4  # of 255: three roundings


@pytest.mark.parametrize(
    ("encoding", "order"),
    [("yuv422", "uyvy"), ("uyvy", "uyvy"), ("yuv422_yuy2", "yuyv"), ("yuyv", "yuyv")],
)
def test_yuv422_shares_colour_between_neighbours(encoding: str, order: str) -> None:
    y, u, v = (YUV_BLOCKS[..., i] for i in range(3))
    parts = {"uyvy": (u[:, ::2], y[:, ::2], v[:, ::2], y[:, 1::2]),
             "yuyv": (y[:, ::2], u[:, ::2], y[:, 1::2], v[:, ::2])}[order]  # fmt: skip
    rows = padded(np.stack(parts, -1).astype(np.uint8), 6)
    picture = pixels_of(raw(encoding, 8, 8, rows, step=22))
    assert np.abs(picture.astype(int) - BLOCKS).max() <= YUV_TOLERANCE


@pytest.mark.parametrize(("encoding", "order"), [("nv12", (1, 2)), ("nv21", (2, 1))])
def test_nv12_has_colour_behind_all_brightness(encoding: str, order: tuple[int, int]) -> None:
    chroma = np.stack([YUV_BLOCKS[::2, ::2, i] for i in order], -1).reshape(4, 8)
    rows = padded(np.vstack([YUV_BLOCKS[..., 0], chroma]).astype(np.uint8), 3)
    picture = pixels_of(raw(encoding, 8, 8, rows, step=11))
    assert np.abs(picture.astype(int) - BLOCKS).max() <= YUV_TOLERANCE


def test_the_last_row_may_lack_its_padding() -> None:
    rows = padded(BLOCKS, 3).reshape(-1)[:-3]
    np.testing.assert_array_equal(pixels_of(raw("rgb8", 8, 8, rows, step=27)), BLOCKS)


@pytest.mark.parametrize(
    ("message", "said"),
    [
        (raw("32FC1", 2, 2, np.zeros(16, np.uint8), 8), "32FC1.*not supported.*rgb8"),
        (raw("rgb8", 8, 8, BLOCKS[:4], 24), "96 bytes of pixels, expected 192"),
        (raw("rgb8", 8, 8, BLOCKS, 20), "step is 20 bytes.*needs 24"),
        (raw("rgb8", 0, 8, BLOCKS, 24), "picture of 0x8"),
        (raw("rgb8", 2**31, 2, BLOCKS, 0), "picture of 2147483648x2"),
        (raw("yuv422", 3, 2, BLOCKS, 0), "in pairs"),
        (raw("nv12", 4, 3, BLOCKS, 0), "2x2 blocks"),
        (raw("", 4, 3, BLOCKS, 0), "not supported"),
    ],
)
def test_pictures_that_cannot_be_are_refused_with_the_reason(message: object, said: str) -> None:
    with pytest.raises(InputError, match=said):
        pixels_of(message)
