"""`ros2 run irl_vla_nodes bag_params BAG`: what the graph must know to play it, as JSON."""

from __future__ import annotations

import json
import sys

from irl_vla.bag.bag import open_bag
from irl_vla.types import InputError


def main() -> None:
    """Prints one JSON object, or ends with a sentence."""
    try:
        with open_bag(sys.argv[1]) as bag:
            info = bag.info()
            calibrated = {
                name: topics for name, topics in bag.chosen.cameras.items()
                if name in bag.calibration.cameras
            }  # fmt: skip
            if not calibrated:
                sys.exit(f"{sys.argv[1]}: no calibrated camera: {'; '.join(info.missing)}")
            odometry = bag.chosen.odometry if info.motion == bag.chosen.odometry else ""
            found = {
                "cameras": {n: [t.image, t.camera_info or ""] for n, t in calibrated.items()},
                "odometry_topic": odometry or "",
                "base_frame": info.base_frame,
                "intent_topic": bag.chosen.intent or "/navigation/intent",
            }
    except InputError as error:
        sys.exit(str(error))
    print(json.dumps(found))
