"""Lines of /diagnostics, and what each node says there of itself: its state, why it is not what it
should be, and what it was sent and could not use. No ROS here.

Levels are those of diagnostic_msgs/DiagnosticStatus.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from irl_vla.messages.messages import header, new

OK, WARN, ERROR, STALE = 0, 1, 2, 3
HARDWARE_ID = "irl_vla"
SAY_AGAIN_S = 5.0  # between two log lines about dropped messages of one kind
RECENT_S = 10.0  # so long something that was dropped is a warning


@dataclass(frozen=True)
class Status:
    """One line of /diagnostics."""

    name: str
    level: int
    message: str
    values: Mapping[str, str] = field(default_factory=dict)


def title(namespace: str, what: str) -> str:
    """Name of a line. namespace: of the node, so that two cars on one network have lines of their
    own."""
    return f"{namespace.strip('/')}/{HARDWARE_ID}: {what}".lstrip("/")


@dataclass
class DroppedMessages:
    """Messages of one kind that were of no use."""

    count: int = 0
    why: str = ""
    at_s: float = 0.0  # the last one
    said_s: float | None = None  # when the log last had a line of it
    unsaid: int = 0  # since then


class NodeReport:
    """What a node says of itself. Times are in seconds of a clock that never jumps.

    failure: why the last transition failed, or "" since one has succeeded
    rivals: others that publish what this node alone should, in sentences
    """

    def __init__(self, name: str, namespace: str = "/") -> None:
        self._title = title(namespace, name)
        self.state = "unconfigured"
        self.failure = ""
        self.rivals: tuple[str, ...] = ()
        self.dropped: dict[str, DroppedMessages] = {}

    def drop(self, kind: str, why: str, now_s: float) -> str:
        """A message could not be used; the line for the log, or "" where it was said just now."""
        entry = self.dropped.setdefault(kind, DroppedMessages())
        entry.count += 1
        entry.unsaid += 1
        entry.why, entry.at_s = why, now_s
        if entry.said_s is not None and now_s - entry.said_s < SAY_AGAIN_S:
            return ""
        more = f" ({entry.unsaid} such messages)" if entry.unsaid > 1 else ""
        entry.said_s, entry.unsaid = now_s, 0
        return f"{kind} not used: {why}{more}"

    def status(self, now_s: float) -> Status:
        """The line of this node, now."""
        recent = {
            kind: entry for kind, entry in self.dropped.items() if now_s - entry.at_s <= RECENT_S
        }
        values = {"state": self.state}
        values |= {f"dropped: {kind}": str(e.count) for kind, e in self.dropped.items()}
        values |= {f"why dropped: {kind}": entry.why for kind, entry in recent.items()}
        return Status(self._title, *self._judged(recent), values)

    def _judged(self, recent: Mapping[str, DroppedMessages]) -> tuple[int, str]:
        if self.failure:
            return ERROR, f"{self.state}: {self.failure}"
        if self.rivals:
            return ERROR, "; ".join(self.rivals)
        if self.state != "active":
            return WARN, self.state
        if recent:
            last = max(recent, key=lambda kind: recent[kind].at_s)
            return WARN, f"active; {last} not used: {recent[last].why}"
        return OK, "active"


def counted(reasons: Sequence[str]) -> str:
    """ "3 x late, 1 x bad_image": the most frequent first."""
    return ", ".join(f"{n} x {reason}" for reason, n in Counter(reasons).most_common())


def diagnostics_message(statuses: Sequence[Status], now_ns: int) -> Any:
    """Statuses -> diagnostic_msgs/DiagnosticArray."""
    return new(
        "diagnostic_msgs/msg/DiagnosticArray",
        header=header(max(now_ns, 0), ""),
        status=[
            new(
                "diagnostic_msgs/msg/DiagnosticStatus",
                level=status.level, name=status.name, message=status.message,
                hardware_id=HARDWARE_ID,
                values=[
                    new("diagnostic_msgs/msg/KeyValue", key=key, value=value)
                    for key, value in status.values.items()
                ],
            )
            for status in statuses
        ],
    )  # fmt: skip
