"""The real nodes on a real ROS 2, a car's sensors for them, and listeners for what they publish.

Everything runs in a ROS domain of its own; nodes are started by the shipped launch files, and what
is started here is ended here.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from irl_vla.resources import resource

ROOT = Path(__file__).resolve().parents[2]
RULE = resource("models/rule")
NODES = ("camera_node", "perception_node", "command_node", "planner_node", "monitor_node")
MISSING = "no real ROS 2 here: `source` its setup.bash and the workspace's (docs/car.md)"
END_S = 15.0  # a launch has so long to end after SIGINT


def needs_ros() -> None:
    """Skip a module where the nodes cannot run. To be called at its top."""
    for package in ("rclpy", "launch_ros", "irl_vla_msgs.msg"):
        pytest.importorskip(package, reason=f"{MISSING}; missing: {package}")


def domain() -> int:
    """A ROS domain of this process; ROS 2 knows 0 to 101 everywhere."""
    return 1 + os.getpid() % 100


def environment(folder: Path) -> dict[str, str]:
    """For processes of the graph."""
    return os.environ | {
        "ROS_DOMAIN_ID": str(domain()),
        "ROS_LOG_DIR": str(folder / "log"),
        "ROS_PYTHON_CHECK_FIELDS": "1",
        "RCUTILS_COLORIZED_OUTPUT": "0",
        "OMP_WAIT_POLICY": "PASSIVE",
        "PYTHONUNBUFFERED": "1",
    }


def ros2(folder: Path, *words: str, timeout_s: float = 30.0) -> subprocess.CompletedProcess[str]:
    """`ros2 WORDS` to its end; after `timeout_s` it is asked to end, as with Ctrl-C."""
    process = subprocess.Popen(
        ["ros2", *words], env=environment(folder), stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, text=True, start_new_session=True,
    )  # fmt: skip
    try:
        output, _ = process.communicate(timeout=timeout_s)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGINT)
        output, _ = process.communicate(timeout=END_S)
    return subprocess.CompletedProcess(process.args, process.returncode, output)


@dataclass
class Launched:
    """A running launch file. log: what it prints."""

    process: subprocess.Popen[bytes]
    log: Path

    def text(self) -> str:
        """What was printed so far."""
        return self.log.read_text(encoding="utf-8", errors="replace")

    def wait(self, timeout_s: float) -> int:
        """The exit code of a launch that ends by itself."""
        return self.process.wait(timeout_s)


@contextmanager
def launched(folder: Path, file: str, **arguments: object) -> Iterator[Launched]:
    """`ros2 launch irl_vla_bringup FILE`; ended with everything that it has started."""
    log = folder / f"{file}.{time.monotonic_ns()}.log"
    words = [f"{key}:={value}" for key, value in {"python": sys.executable, **arguments}.items()]
    with log.open("wb") as file_out:
        process = subprocess.Popen(
            ["ros2", "launch", "irl_vla_bringup", file, *words], env=environment(folder),
            stdout=file_out, stderr=subprocess.STDOUT, start_new_session=True,
        )  # fmt: skip
    try:
        yield Launched(process, log)
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
        with suppress(subprocess.TimeoutExpired):
            process.wait(END_S)
        for pid in pids_of(""):
            if _session(pid) == process.pid:  # another launch of the domain goes on
                os.kill(pid, signal.SIGKILL)
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _session(pid: int) -> int:
    with suppress(ProcessLookupError):
        return os.getsid(pid)
    return -1


def pids_of(node: str) -> list[int]:
    """Processes of this domain's graph that run a node; of any node for an empty name."""
    found, mark = [], f"ROS_DOMAIN_ID={domain()}".encode()
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            words = (folder / "cmdline").read_bytes().split(b"\0")
            ours = mark in (folder / "environ").read_bytes().split(b"\0")
        except OSError:
            continue  # gone in the meantime
        named = any(word.startswith(f"__node:={node}".encode()) for word in words)
        if ours and named and int(folder.name) != os.getpid():
            found.append(int(folder.name))
    return found


@dataclass(frozen=True)
class ReceivedMessage:
    """One message, and when it came (monotonic seconds; nanoseconds of the wall clock)."""

    at_s: float
    at_ns: int
    message: Any


@dataclass
class TopicListener:
    """Remembers what a topic says."""

    heard: list[ReceivedMessage] = field(default_factory=list)

    def take(self, message: Any) -> None:
        """The next message."""
        self.heard.append(ReceivedMessage(time.monotonic(), time.time_ns(), message))

    def since(self, at_s: float) -> list[ReceivedMessage]:
        """What came after a moment."""
        return [entry for entry in list(self.heard) if entry.at_s >= at_s]


def until(what: Callable[[], Any], timeout_s: float, why: str) -> Any:
    """Wait for something to become true."""
    end = time.monotonic() + timeout_s
    while time.monotonic() < end:
        found = what()
        if found:
            return found
        time.sleep(0.01)
    raise AssertionError(f"not within {timeout_s} s: {why}")


class ProbeNode:
    """An rclpy node of the test, spun in a thread, in this process's domain."""

    def __init__(self, name: str = "test_desk") -> None:
        import rclpy
        from rclpy.executors import SingleThreadedExecutor

        self.context = rclpy.Context()
        rclpy.init(context=self.context, domain_id=domain())
        self.node = rclpy.create_node(name, context=self.context)
        self._executor = SingleThreadedExecutor(context=self.context)
        self._executor.add_node(self.node)
        self._thread = threading.Thread(target=self._spin, daemon=True)
        self._thread.start()

    def subscribe(
        self, msgtype: str, topic: str, *, take: Callable[[Any], None] | None = None
    ) -> TopicListener:
        """Hear a topic from now on. take: what to do with each message, in place of keeping it."""
        from irl_vla_nodes.ros_io import qos
        from rosidl_runtime_py.utilities import get_message

        listener = TopicListener()
        kind = get_message(msgtype)
        self.node.create_subscription(kind, topic, take or listener.take, qos(100))
        return listener

    def __enter__(self) -> ProbeNode:
        return self

    def __exit__(self, *_: object) -> None:
        import rclpy

        self._executor.shutdown(5.0)
        self._thread.join(5.0)
        self.node.destroy_node()  # or what it has latched is heard by the next test
        rclpy.shutdown(context=self.context)

    def _spin(self) -> None:
        from rclpy.executors import ExternalShutdownException

        with suppress(ExternalShutdownException):  # the test is over
            self._executor.spin()
