"""What a recording stores: messages, the topics they belong to, and their counts and stamps."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from irl_vla.types import SECOND_NS


class Record(NamedTuple):
    """One stored message, not yet deserialised. log_ns: when it was recorded."""

    log_ns: int
    topic: str
    data: bytes | memoryview


@dataclass(frozen=True)
class StoredTopic:
    """A topic as the file declares it.

    msgtype: ROS 2 spelling, "sensor_msgs/msg/Image"; encoding: "cdr", "ros1", or one that we
    cannot read; definition: the embedded .msg or .idl text with its format, "" where none is
    """

    name: str
    msgtype: str
    encoding: str = "cdr"
    definition: str = ""
    definition_format: str = ""


@dataclass
class TopicStats:
    """Counts and stamps [ns] of one topic, in log time."""

    count: int = 0
    first_ns: int = 0
    last_ns: int = 0
    largest_gap_ns: int = 0

    def add(self, log_ns: NDArray[np.int64]) -> None:
        """Take in some more stamps, at least one; later pieces follow earlier ones."""
        times = np.sort(log_ns)
        if self.count == 0:
            self.first_ns = self.last_ns = int(times[0])
        gaps = np.diff(times, prepend=times.dtype.type(self.last_ns))
        self.largest_gap_ns = max(self.largest_gap_ns, int(gaps.max()))
        self.count += len(times)
        self.first_ns = min(self.first_ns, int(times[0]))
        self.last_ns = max(self.last_ns, int(times[-1]))

    def join(self, later: TopicStats) -> None:
        """Take in the same topic of the next file of a split bag."""
        if later.count == 0:
            return
        if self.count == 0:
            self.first_ns = later.first_ns
            self.last_ns = later.first_ns
        self.largest_gap_ns = max(
            self.largest_gap_ns, later.largest_gap_ns, later.first_ns - self.last_ns
        )
        self.count += later.count
        self.first_ns = min(self.first_ns, later.first_ns)
        self.last_ns = max(self.last_ns, later.last_ns)

    @property
    def rate_hz(self) -> float:
        """Mean rate between the first and the last message, 0 where there is only one."""
        span = self.last_ns - self.first_ns
        return (self.count - 1) * SECOND_NS / span if span > 0 else 0.0
