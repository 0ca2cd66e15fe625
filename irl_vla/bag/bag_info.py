"""What a person wants to know about a recording before replaying it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from irl_vla.messages.records import StoredTopic, TopicStats
from irl_vla.messages.topics import ChosenTopics, Role
from irl_vla.types import SECOND_NS


@dataclass(frozen=True)
class TopicInfo:
    """One row of the topic table, in log time. why: the reason where the topic is ignored."""

    name: str
    msgtype: str
    count: int
    rate_hz: float
    largest_gap_s: float
    first_ns: int
    last_ns: int
    role: Role
    camera: str | None = None
    why: str = ""


@dataclass(frozen=True)
class BagInfo:
    """A recording at a glance.

    storage: "mcap", "sqlite3", "rosbag1", "dgp", "nuscenes" or "comma2k19"
    warnings: what is damaged or odd; missing: what replay would need, as sentences
    calibrated: cameras whose place and lens are known; motion: the source of ego motion, or ""
    """

    path: str
    storage: str
    duration_s: float
    messages: int
    topics: tuple[TopicInfo, ...]
    cameras: tuple[str, ...]
    calibrated: tuple[str, ...]
    motion: str
    base_frame: str
    warnings: tuple[str, ...]
    missing: tuple[str, ...]


def topic_rows(
    topics: Mapping[str, StoredTopic], stats: Mapping[str, TopicStats], chosen: ChosenTopics
) -> tuple[TopicInfo, ...]:
    """The topic table, what is used first."""
    cameras = {camera.image: name for name, camera in chosen.cameras.items()}
    cameras |= {c.camera_info: name for name, c in chosen.cameras.items() if c.camera_info}
    rows = [
        TopicInfo(
            name, topic.msgtype or "unknown", stats[name].count, stats[name].rate_hz,
            stats[name].largest_gap_ns / SECOND_NS, stats[name].first_ns, stats[name].last_ns,
            chosen.role(name), cameras.get(name), chosen.why.get(name, ""),
        )
        for name, topic in topics.items()
    ]  # fmt: skip
    order = list(Role)
    return tuple(sorted(rows, key=lambda row: (order.index(row.role), row.name)))
