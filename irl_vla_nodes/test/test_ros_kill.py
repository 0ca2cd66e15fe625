"""`kill -9` of each node while the real graph drives: the car is stopped in time, the graph comes
back by itself, and nothing old is published as new."""

from __future__ import annotations

import json
import os
import signal
import time
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from irl_vla_nodes.convert import TOKEN_ARRAYS
from irl_vla_nodes.params import NOTICING_S, MonitorParams
from irl_vla_nodes.payload import unpack
from irl_vla_nodes.ring import FOLDER, Handle, PayloadExpired, RingReader
from real_graph import (
    NODES,
    ROOT,
    RULE,
    ProbeNode,
    ReceivedMessage,
    TopicListener,
    domain,
    launched,
    needs_ros,
    pids_of,
    until,
)
from sensors import PICTURES_JPEG, RIG, Sensors

from irl_vla.camera.preprocess import PreparedImage, prepared
from irl_vla.drive.perception_model import NullPerception
from irl_vla.types import CameraImage

pytestmark = pytest.mark.ros
needs_ros()

NAMES = "front_left,front,front_right"
PERIOD_S = 0.1
STOP_WITHIN_S = 1.5 * PERIOD_S + 0.150  # from the last good plan to the first stop
RECOVER_S = 20.0
TIMES = 20  # of the slow test
OLDEST_S = MonitorParams().max_plan_age_s  # older plans are not driven
DISPATCH_S = 0.02  # between the same moment seen here and in the monitor, on a busy machine
OPTIONAL = {"closed"}  # of the tokens: a policy without networks does not say it
RING = FOLDER / f"domain{domain()}"
TABLE = ROOT / "out" / "ros" / "kills.json"


@dataclass
class DrivingGraph:
    """A driving graph and what is heard of it."""

    plans: TopicListener
    paths: TopicListener
    ring: RingListener

    def kill(self, node: str) -> Killed:
        """Kill a node while the planner drives, and wait until it drives again."""
        self.settle()
        (pid,) = pids_of(node)
        os.kill(pid, signal.SIGKILL)
        begin = time.monotonic()
        until(lambda: pids_of(node) not in ([], [pid]), RECOVER_S, f"{node} is started again")
        self.settle(since=begin + 0.5)
        return Killed(begin, self.plans.since(begin - 5.0), self.paths.since(begin - 1.0))

    def settle(self, since: float = 0.0) -> None:
        """Until the last ten trajectories, after a moment, were the planner's."""
        until(lambda: self._driven(since), RECOVER_S, "the planner drives")

    def _driven(self, since: float) -> bool:
        recent = self.paths.since(max(since, time.monotonic() - 1.5))
        plans = {stamp(entry) for entry in self.plans.since(time.monotonic() - 3.0)}
        return len(recent) >= 10 and all(stamp(entry) in plans for entry in recent[-10:])


@dataclass
class RingListener:
    """Reads what lies in the ring for every handle that is published."""

    read: int = 0
    gone: int = 0
    wrong: list[str] = field(default_factory=list)

    def listen(self, probe: ProbeNode) -> None:
        """From now on."""
        self._reader = RingReader(RING)
        self._known = known_pictures()
        probe.subscribe("irl_vla_msgs/msg/FrameSet", "/irl_vla/frames", take=self._frames)
        probe.subscribe("irl_vla_msgs/msg/TokensHandle", "/irl_vla/tokens", take=self._tokens)

    def _frames(self, message: Any) -> None:
        arrays = self._arrays(message)
        for index, name in enumerate(message.cameras if arrays else ()):
            if zlib.crc32(arrays["pixels"][index].data) not in self._known:
                self.wrong.append(f"{name}: a picture that no camera has taken")

    def _tokens(self, message: Any) -> None:
        arrays = self._arrays(message) if not message.refusal_reason else {}
        lacking = set(TOKEN_ARRAYS) - OPTIONAL - set(arrays) if arrays else set()
        self.wrong += [f"tokens lack {name}" for name in sorted(lacking)]

    def _arrays(self, message: Any) -> dict[str, Any]:
        if not message.ring:
            return {}
        try:
            arrays, _ = unpack(
                self._reader.read(Handle(message.ring, message.slot, message.generation))
            )
        except PayloadExpired:
            self.gone += 1
            return {}
        except ValueError as error:
            self.wrong.append(str(error))
            return {}
        self.read += 1
        return arrays


def known_pictures() -> set[int]:
    """Checksums of all pictures that the sensors show, as the graph prepares them."""
    spec, rows = NullPerception().image, set()
    for camera in RIG.cameras:
        for data in PICTURES_JPEG:
            image = prepared(CameraImage(camera.name, 1, encoded=data), RIG, spec)
            assert isinstance(image, PreparedImage)
            rows.add(zlib.crc32(np.ascontiguousarray(image.ready).data))
    return rows


@dataclass
class Killed:
    """What was heard from before a kill until the planner drives again."""

    at_s: float
    plans: list[ReceivedMessage]
    paths: list[ReceivedMessage]

    @property
    def stops(self) -> list[ReceivedMessage]:
        """Trajectories after the kill that are no plan's: the monitor's."""
        return [e for e in self.paths if e.at_s > self.at_s and not self._planned(e)]

    @property
    def stopped_after_s(self) -> float | None:
        """From the last plan that the monitor can have heard to its first stop."""
        if not self.stops:
            return None
        first = self.stops[0].at_s
        before = [entry.at_s for entry in self.plans if entry.at_s < first]
        return first - before[-1]

    @property
    def longest_silence_s(self) -> float:
        """Between two plans: on a machine that others use it may be long without a fault."""
        return float(np.max(np.diff([entry.at_s for entry in self.plans]), initial=0.0))

    @property
    def recovered_after_s(self) -> float:
        """From the kill until a plan is driven again, after the last stop or silence."""
        driven = [entry.at_s for entry in self.paths if self._planned(entry)]
        gaps = np.diff([self.at_s, *[t for t in driven if t > self.at_s]])
        return float(np.max(gaps, initial=0.0))

    def _planned(self, path: ReceivedMessage) -> bool:
        return stamp(path) in {stamp(entry) for entry in self.plans}

    def faults(self) -> list[str]:
        """What must never be heard: old pictures as new, stamps that run back."""
        ages_s = [(e.at_ns - stamp(e)) / 1e9 for e in self.paths if self._planned(e)]
        found = [f"driven by pictures of {age:.2f} s ago" for age in ages_s if age > OLDEST_S]
        for planned in (True, False):  # a stop is stamped with now, a plan with its pictures
            stamps = [stamp(entry) for entry in self.paths if self._planned(entry) is planned]
            if any(later < earlier for earlier, later in pairwise(stamps)):
                found.append("a trajectory's stamp runs back")
        found += [
            "a trajectory with numbers that are none"
            for entry in self.paths
            if not np.isfinite([p.pose.position.x for p in entry.message.poses]).all()
        ]
        return found


def stamp(entry: ReceivedMessage) -> int:
    """Of the header [ns]."""
    time_ = entry.message.header.stamp
    return int(time_.sec) * 10**9 + int(time_.nanosec)


@pytest.fixture(scope="module")
def car(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DrivingGraph]:
    folder = tmp_path_factory.mktemp("kill")
    arguments = {"bundle": RULE, "cameras": NAMES, "period_s": PERIOD_S}
    with ProbeNode() as probe, launched(folder, "drive.launch.py", **arguments):
        found = DrivingGraph(
            probe.subscribe("irl_vla_msgs/msg/Plan", "/irl_vla/plan"),
            probe.subscribe("nav_msgs/msg/Path", "/irl_vla/trajectory"),
            RingListener(),
        )
        found.ring.listen(probe)
        sensors = Sensors(probe)
        found.settle()
        yield found
        sensors.stop()


def judge(car: DrivingGraph, node: str) -> dict[str, Any]:
    """One kill, judged; numbers for the table."""
    killed = car.kill(node)
    assert not killed.faults(), killed.faults()
    if node == "command_node":
        late = killed.longest_silence_s > STOP_WITHIN_S - DISPATCH_S - NOTICING_S
        assert late or not killed.stops, "nobody waits for advice"
    elif node == "monitor_node":
        begin, end = killed.at_s + DISPATCH_S, killed.at_s + 0.2
        assert not [e for e in killed.paths if begin < e.at_s < end], "nobody else publishes"
    else:
        assert killed.stopped_after_s is not None, "the monitor stops the car"
        assert killed.stopped_after_s <= STOP_WITHIN_S + DISPATCH_S
    assert not car.ring.wrong, car.ring.wrong[:3]
    files = sorted(path.name.split(".")[0] for path in RING.iterdir() if path.is_file())
    assert files == ["frames", "tokens"], "one ring of each, no leftovers"
    return {"stop_s": killed.stopped_after_s, "recovery_s": killed.recovered_after_s}


@pytest.mark.parametrize("node", NODES)
def test_a_killed_node_comes_back_and_the_car_was_stopped_meanwhile(
    car: DrivingGraph, node: str
) -> None:
    judge(car, node)


@pytest.mark.slow
@pytest.mark.parametrize("node", NODES)
def test_twenty_times(car: DrivingGraph, node: str) -> None:
    car.ring.read = car.ring.gone = 0
    rows = [judge(car, node) for _ in range(TIMES)]
    stops = [row["stop_s"] for row in rows if row["stop_s"] is not None]
    back = [row["recovery_s"] for row in rows]
    TABLE.parent.mkdir(parents=True, exist_ok=True)
    table = json.loads(TABLE.read_text()) if TABLE.exists() else {}
    table[node] = {
        "kills": len(rows),
        "stop_s_max": max(stops, default=None),
        "stop_s_median": float(np.median(stops)) if stops else None,
        "without_plan_s_max": max(back),
        "without_plan_s_median": float(np.median(back)),
        "ring_read": car.ring.read,
        "ring_gone": car.ring.gone,
        "ring_wrong": len(car.ring.wrong),
    }
    TABLE.write_text(json.dumps(table, indent=2) + "\n")
