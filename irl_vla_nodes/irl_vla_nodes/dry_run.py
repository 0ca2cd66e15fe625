"""What a dry run says before a drive: each thing green or red, and what to do. No ROS here."""

from __future__ import annotations

import resource
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from irl_vla.types import SECOND_NS

RMEM_MAX = Path("/proc/sys/net/core/rmem_max")
RMEM_NEEDED = 4 * 2**20  # [B] as launch/dds/cyclone.xml asks for
SLOW_SHARE = 0.8  # of the expected rate
CLOCK_S = 0.5  # stamps may be so far from the car's clock
MIB = 2**20


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at. advice: what to do where it is not good, or "" """

    what: str
    text: str
    advice: str = ""

    @property
    def line(self) -> str:
        """For a terminal."""
        colour = "red  " if self.advice else "green"
        advice = f". {self.advice}" if self.advice else ""
        return f"{colour} {self.what}: {self.text}{advice}"


@dataclass
class Heard:
    """A topic while it was listened to. offered: reliability of each publisher, True: reliable;
    kinds: message types that are published; stamps_ns: of the messages; at_ns: when they came"""

    topic: str
    wanted: str
    offered: list[bool] = field(default_factory=list)
    kinds: list[str] = field(default_factory=list)
    stamps_ns: list[int] = field(default_factory=list)
    at_ns: list[int] = field(default_factory=list)


def topic_finding(heard: Heard, reliable: bool, seconds: float, expected_hz: float) -> Finding:
    """Whether a topic comes, of the right type, so that we can hear it, and often enough.
    expected_hz: 0 where one message is enough."""
    what = f"topic {heard.topic}"
    if not heard.kinds:
        return Finding(what, "nobody publishes it", "Start the sensor, or correct the topic's name")
    others = [kind for kind in heard.kinds if kind != heard.wanted]
    if others:
        advice = "Correct the topic's name, or convert it"
        return Finding(what, f"is {others[0]}, expected {heard.wanted}", advice)
    if reliable and not all(heard.offered):
        text = "is published best effort and asked for reliably: DDS never connects these"
        return Finding(what, text, "Launch with reliable:=false, or publish it reliably")
    if not heard.at_ns:
        text = f"has a publisher, and no message came in {seconds:.0f} s"
        return Finding(what, text, "Look at the sensor, and at the network (ROS_DOMAIN_ID, DDS)")
    rate = len(heard.at_ns) / seconds
    text = f"{rate:.1f} messages a second"
    if rate < SLOW_SHARE * expected_hz:
        advice = "Give period_s:= the cameras' period, or find out where messages are lost"
        return Finding(what, f"{text}, expected {expected_hz:.1f}", advice)
    return Finding(what, text)


def clock_finding(heard: Heard, now_ns: int) -> Finding | None:
    """Whether the stamps are of the car's clock; None where there are none."""
    if not heard.stamps_ns:
        return None
    apart = (now_ns - heard.stamps_ns[-1]) / SECOND_NS
    what = f"clock of {heard.topic}"
    if abs(apart) <= CLOCK_S:
        return Finding(what, f"stamps are {apart * 1e3:.0f} ms old")
    way = "behind" if apart > 0.0 else "ahead of"
    advice = "Synchronise the clocks (PTP, chrony); for a recording launch with use_sim_time:=true"
    return Finding(what, f"stamps are {abs(apart):.2f} s {way} the car's clock", advice)


def memory_finding(folder: Path, needed: int) -> Finding:
    """Whether the rings find room in memory."""
    there = next(path for path in (folder, *folder.parents) if path.exists())
    free = shutil.disk_usage(there).free
    text = f"{free / MIB:.0f} MiB free, the rings take {needed / MIB:.0f} MiB"
    advice = "Give the container a larger --shm-size, or set fewer ring_slots"
    return Finding(f"memory {there}", text, "" if free >= needed else advice)


def machine_findings() -> list[Finding]:
    """Receive buffer of the network, and whether nodes may run before everything else."""
    found = []
    if RMEM_MAX.is_file():
        size = int(RMEM_MAX.read_text())
        advice = "sudo sysctl -w net.core.rmem_max=16777216; otherwise pictures get lost"
        text = f"at most {size / MIB:.1f} MiB, large pictures need {RMEM_NEEDED / MIB:.0f}"
        found.append(Finding("receive buffer", text, "" if size >= RMEM_NEEDED else advice))
    most = resource.getrlimit(resource.RLIMIT_RTPRIO)[1]
    said = "allowed" if most else "not allowed: the nodes share the processors with everything else"
    found.append(Finding("real-time priority", said))
    return found


def summary(findings: Sequence[Finding]) -> str:
    """The last line."""
    red = sum(bool(finding.advice) for finding in findings)
    return f"{len(findings) - red} green, {red} red" + ("" if red else ": ready to drive")
