"""What a person wants to know about a recording before replaying it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone

from irl_vla.bag.comparisons import Comparison
from irl_vla.camera.rig import MAX_CAMERAS
from irl_vla.messages.records import StoredTopic, TopicStats
from irl_vla.messages.topics import ChosenTopics, Role
from irl_vla.types import SECOND_NS

EARLIEST_NS = 946_684_800 * SECOND_NS  # 2000-01-01: clocks that were never set start in 1970
YEAR_NS = 31_557_600 * SECOND_NS
FASTER = 1.5  # times the rate of the slowest camera: an anchor that most sets are too many for
GAP_NS = 3600 * SECOND_NS  # in one topic: longer than any stop that a recording goes through


@dataclass(frozen=True)
class TopicInfo:
    """One row of the topic table, in log time. why: the reason for its role."""

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
    comparisons: two sources of one fact, compared
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
    comparisons: tuple[Comparison, ...] = ()


def time_span(stats: Mapping[str, TopicStats]) -> tuple[int, int]:
    """First and last time of recording [ns]; topics that begin before there were cars with
    cameras do not count where others do not (see `odd_times`)."""
    filled = [s for s in stats.values() if s.count]
    real = [s for s in filled if s.first_ns >= EARLIEST_NS] or filled
    return min((s.first_ns for s in real), default=0), max((s.last_ns for s in filled), default=0)


def odd_times(stats: Mapping[str, TopicStats]) -> list[str]:
    """Times of recording that cannot be: near 1970 while other topics are not, or a gap of more
    than an hour inside a topic."""
    filled = {name: s for name, s in stats.items() if s.count}
    said = []
    latest = max((s.last_ns for s in filled.values()), default=0)
    if latest >= EARLIEST_NS:
        early = [name for name, s in filled.items() if s.first_ns < EARLIEST_NS]
        said += [
            f"topic {name}: its first message was recorded at {_date(filled[name].first_ns)}, "
            f"{(latest - filled[name].first_ns) / YEAR_NS:.1f} years before the end of the "
            "recording: a clock that was not set yet"
            for name in early
        ]
    longest = max(
        (s.largest_gap_ns for s in filled.values() if s.first_ns >= EARLIEST_NS), default=0
    )
    if longest > GAP_NS:
        said.append(
            f"nothing was recorded for {longest / 3600e9:.1f} hours: two recordings in one? The "
            "duration counts that gap"
        )
    return said


def _date(stamp_ns: int) -> str:
    return f"{datetime.fromtimestamp(stamp_ns / SECOND_NS, timezone.utc):%Y-%m-%d %H:%M:%S} UTC"


def too_many_cameras(names: tuple[str, ...]) -> str:
    """What to do about them."""
    return (
        f"{len(names)} cameras, a replay takes at most {MAX_CAMERAS}: name those to use in a "
        f"topics file (irl-vla bag info --write-topics T.yaml writes one with {', '.join(names)}) "
        "and give it with --topics; show draws all of them"
    )


def expected_sets(info: BagInfo, anchor: str) -> int:
    """How many sets of pictures there will be: one for each of the anchor; 0 where nobody knows."""
    counts = [t.count for t in info.topics if t.role is Role.CAMERA and t.camera == anchor]
    return counts[0] if counts else 0


def anchor_hint(info: BagInfo, cameras: Sequence[str], anchor: str) -> list[str]:
    """A sentence where the camera that every set is built around is faster than another: most sets
    then lack that one."""
    rates = {t.camera: t.rate_hz for t in info.topics if t.role is Role.CAMERA and t.camera}
    known = {name: rates[name] for name in cameras if rates.get(name)}
    if anchor not in known:
        return []
    slowest = min(known, key=lambda name: known[name])
    if known[anchor] < FASTER * known[slowest]:
        return []
    lacking = 100 * (1 - known[slowest] / known[anchor])
    return [
        f"the anchor '{anchor}' takes {known[anchor]:.0f} pictures a second, '{slowest}' "
        f"{known[slowest]:.0f}: {lacking:.0f} % of the sets lack '{slowest}'. Give --anchor "
        f"{slowest}"
    ]


def _why(topic: StoredTopic, chosen: ChosenTopics) -> str:
    """The reason for a topic's role, and what is unusual about how it is stored."""
    return "; ".join(filter(None, [chosen.why.get(topic.name, ""), topic.spelling]))


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
            chosen.role(name), cameras.get(name), _why(topic, chosen),
        )
        for name, topic in topics.items()
    ]  # fmt: skip
    order = list(Role)
    return tuple(sorted(rows, key=lambda row: (order.index(row.role), row.name)))
