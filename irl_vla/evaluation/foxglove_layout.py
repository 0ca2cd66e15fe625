"""A Foxglove layout for one replay: the recording's cameras with the plan drawn in, the plan in
space, speed and the reasons. It is imported once and opens with `plans.mcap` and the recording.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from irl_vla.evaluation.plan_bag import CANDIDATES, TRAJECTORY, annotation_topic
from irl_vla.messages.topics import CameraTopics

PLAN = "/irl_vla/plan"
SPEED = "/localization/kinematic_state.twist.twist.linear.x"


def foxglove_layout(cameras: Mapping[str, CameraTopics]) -> str:
    """The layout as JSON. cameras: name -> topics of the recording."""
    panels: dict[str, Any] = {
        "3D!plan": {
            "followTf": "base_link",
            "followMode": "follow-pose",
            "topics": {
                TRAJECTORY: {"visible": True, "type": "line", "lineWidth": 0.3},
                CANDIDATES: {"visible": True},
            },
        },
        "RawMessages!plan": {"topicPath": f"{PLAN}.reason"},
        "Plot!speed": {
            "title": "speed [m/s]",
            "paths": [{"value": SPEED, "enabled": True, "timestampMethod": "headerStamp"}],
        },
    }
    for name, topics in cameras.items():
        panels[f"Image!{name}"] = {
            "imageMode": {
                "imageTopic": topics.image,
                "calibrationTopic": topics.camera_info,
                "annotations": {annotation_topic(name): {"visible": True}},
            }
        }
    return json.dumps({"configById": panels, "globalVariables": {}, "userNodes": {},
                       "layout": _columns(list(panels))}, indent=2)  # fmt: skip


def _columns(panels: list[str]) -> Any:
    """Halves of halves: the first panels largest."""
    if len(panels) == 1:
        return panels[0]
    middle = (len(panels) + 1) // 2
    direction = "row" if len(panels) > 2 else "column"
    return {
        "first": _columns(panels[:middle]),
        "second": _columns(panels[middle:]),
        "direction": direction,
        "splitPercentage": 50,
    }
