"""The topics file that a user edits, written from what was chosen by itself."""

from __future__ import annotations

from pathlib import Path

import yaml

from irl_vla.bag.bag_info import BagInfo
from irl_vla.messages.topic_roles import Role
from irl_vla.types import InputError

HEAD = """# Topics of {name}, for --topics. What is left out is found by type.
# At most 8 cameras can be replayed: take away those that are not needed.
"""


def topics_text(info: BagInfo) -> str:
    """YAML with what was chosen; topics that are not read follow as comments, with the reason."""
    content: dict[str, object] = {}
    cameras: dict[str, dict[str, str]] = {}
    for topic in info.topics:
        if topic.camera and topic.role in (Role.CAMERA, Role.CAMERA_INFO):
            key = "image" if topic.role is Role.CAMERA else "camera_info"
            cameras.setdefault(topic.camera, {})[key] = topic.name
    if cameras:
        content["cameras"] = {name: cameras[name] for name in info.cameras if name in cameras}
    for role, key in (
        (Role.ODOMETRY, "odometry"), (Role.INTENT, "intent"), (Role.BOXES, "boxes"),
    ):  # fmt: skip
        found = [topic.name for topic in info.topics if topic.role is role]
        if found:
            content[key] = found[0]
    moving = [topic.name for topic in info.topics if topic.role is Role.TF]
    if moving:
        content["tf"] = moving
    content["base_frame"] = info.base_frame
    body = yaml.safe_dump(content, sort_keys=False, default_flow_style=None, width=100)
    unread = [topic for topic in info.topics if topic.role is Role.IGNORED]
    rest = "".join(f"# not read: {topic.name}  ({topic.why})\n" for topic in unread)
    return HEAD.format(name=Path(info.path).name) + body + rest


def write_topics(info: BagInfo, path: Path) -> None:
    """Write a new file. Raises InputError where there is one already, or where none can be."""
    if path.exists():
        raise InputError(f"{path}: exists already; remove it or choose another name")
    try:
        path.write_text(topics_text(info), encoding="utf-8")
    except OSError as error:
        raise InputError(f"{path}: cannot be written: {error.strerror}") from None
