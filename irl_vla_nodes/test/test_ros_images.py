"""Our decoder against cv_bridge, for every encoding that both know (cv_bridge 3.4)."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from real_graph import needs_ros

from irl_vla.messages.images import SUPPORTED, pixels_of

pytestmark = pytest.mark.ros
needs_ros()

WIDTH, HEIGHT = 64, 48
EXACT = [
    "rgb8", "bgr8", "rgba8", "bgra8", "mono8", "rgb16", "bgr16", "bayer_rggb8", "bayer_bggr8",
    "bayer_gbrg8", "bayer_grbg8", "yuv422", "yuv422_yuy2",
]  # fmt: skip


@pytest.fixture(scope="module")
def bridge() -> Any:
    cv_bridge = pytest.importorskip("cv_bridge")
    found = cv_bridge.CvBridge()
    try:
        found.cv2_to_imgmsg(np.zeros((2, 2, 3), np.uint8), "bgr8")
    except KeyError as error:
        pytest.skip(f"cv_bridge does not work with this OpenCV for Python: KeyError {error}")
    return found


def message(encoding: str) -> Any:
    """A picture of smooth colours: demosaicing differs at hard edges between versions."""
    from array import array

    from sensor_msgs.msg import Image

    assert encoding in SUPPORTED
    wide = 2 if encoding.endswith("16") else 1
    channels = {"rgb": 3, "bgr": 3, "rgba": 4, "bgra": 4}.get(encoding.rstrip("0123456789"), 1)
    rows = HEIGHT
    if encoding.startswith(("yuv", "uyvy", "yuyv")):
        channels = 2
    elif encoding.startswith("nv"):
        rows = HEIGHT * 3 // 2
    ramp = np.add.outer(np.arange(rows), np.arange(WIDTH * channels)) % 200
    made = Image(height=HEIGHT, width=WIDTH, encoding=encoding, step=WIDTH * channels * wide)
    made.data = array("B", ramp.astype(np.uint16 if wide == 2 else np.uint8).tobytes())
    return made


@pytest.mark.parametrize("encoding", EXACT)
def test_both_decoders_agree(bridge: Any, encoding: str) -> None:
    picture = message(encoding)
    ours = pixels_of(picture).astype(int)
    if encoding.endswith("16"):  # 16 bits: ours keeps the high byte
        theirs = bridge.imgmsg_to_cv2(picture, "rgb16") >> 8
    else:
        theirs = bridge.imgmsg_to_cv2(picture, "rgb8")
    assert np.abs(ours - theirs.astype(int)).max() <= 0
