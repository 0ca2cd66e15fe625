"""What a recording stores: messages, the topics they belong to, and their counts and stamps."""

from __future__ import annotations

import re
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

    msgtype: ROS 2 spelling, "sensor_msgs/msg/Image" (see `ros2_type`); encoding: "cdr", "ros1",
    "protobuf", "json", or one that we cannot read; definition: the embedded text with its format,
    "" where none is; declared: the type as the file spells it, "" where that is ROS 2's way
    """

    name: str
    msgtype: str
    encoding: str = "cdr"
    definition: str = ""
    definition_format: str = ""
    declared: str = ""

    @property
    def spelling(self) -> str:
        """What is unusual about type and encoding, for people; "" where nothing is."""
        unusual = [f"declared as {self.declared}"] if self.declared else []
        if self.encoding not in ("cdr", "ros1"):
            unusual.append(f"encoded as {self.encoding or 'the file does not say what'}")
        if self.definition_format not in ("", "ros2msg", "ros1msg", "ros2idl", self.encoding):
            unusual.append(f"schema in {self.definition_format}")
        return ", ".join(unusual)


def ros2_type(name: str) -> str:
    """The ROS 2 spelling of a type: recorders write sensor_msgs/Image (ROS 1),
    sensor_msgs::msg::dds_::Image_ (DDS), with dots, or foxglove.CompressedImage. A name that is
    none of these comes back as it is."""
    parts = [part for part in re.split(r"::|[/.]", name) if part]
    if "dds_" in parts:
        parts = [part for part in parts if part != "dds_"]
        parts[-1] = parts[-1].removesuffix("_")
    if len(parts) == 2:
        package = "foxglove_msgs" if parts[0] == "foxglove" else parts[0]
        parts = [package, "msg", parts[1]]
    return "/".join(parts) if len(parts) == 3 and parts[1] == "msg" else name


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
