"""One owner per output, on one host and beyond it. No ROS."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from irl_vla_nodes.ownership import FOUND_S, LEASE_S, OutputLock, Rivals

from irl_vla.types import InputError
from irl_vla_nodes import ownership

TOPIC = "/car/irl_vla/trajectory"
HOLD = """
import sys, time
from pathlib import Path
from irl_vla_nodes import ownership
ownership.LOCKS = Path(sys.argv[1])
lock = ownership.OutputLock(7, sys.argv[2], "/car/monitor_node")
print("held", flush=True)
time.sleep(60.0)
"""


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ownership, "LOCKS", tmp_path)


def holder(folder: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", HOLD, str(folder), TOPIC]
    paths = [str(Path(ownership.__file__).parents[1]), *sys.path]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(paths)},
    )  # fmt: skip
    assert process.stdout is not None and process.stdout.readline() == "held\n"
    return process


def test_who_comes_second_is_told_who_is_there(tmp_path: Path) -> None:
    process = holder(tmp_path)
    try:
        with pytest.raises(InputError, match=rf"process {process.pid} \(/car/monitor_node\) publi"):
            OutputLock(7, TOPIC, "/monitor_node")
        OutputLock(8, TOPIC, "/monitor_node").release()  # another domain is another car
        OutputLock(7, "/other/trajectory", "/monitor_node").release()
    finally:
        process.kill()
        process.wait()


def test_a_lock_is_free_the_moment_its_holder_is_killed(tmp_path: Path) -> None:
    process = holder(tmp_path)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    begin = time.monotonic()
    OutputLock(7, TOPIC, "/monitor_node").release()
    assert time.monotonic() - begin < 0.1


def test_two_nodes_of_one_process_cannot_both_have_it() -> None:
    first = OutputLock(7, TOPIC, "/a")
    with pytest.raises(InputError, match="this one"):
        OutputLock(7, TOPIC, "/b")
    first.release()
    first.release()
    OutputLock(7, TOPIC, "/b").release()


def test_nothing_is_left_behind(tmp_path: Path) -> None:
    OutputLock(7, TOPIC, "/a").release()
    assert not list(tmp_path.iterdir())


def test_what_others_have_written_into_the_file_is_not_repeated(tmp_path: Path) -> None:
    process = holder(tmp_path)
    (lock,) = tmp_path.iterdir()
    lock.write_text("1 \x1b[31m" + "x" * 1000)
    try:
        with pytest.raises(InputError, match="a process publishes it"):
            OutputLock(7, TOPIC, "/monitor_node")
    finally:
        process.kill()
        process.wait()


def test_another_publisher_is_named_at_once_and_who_came_second_goes_after_the_lease() -> None:
    second = Rivals(since_s=100.0)
    assert "1 other publisher, for 0 s" in second.look({TOPIC: 1}, 101.0)[0]
    assert second.to_obey(101.0 + LEASE_S - 1.0) == "", "it may be dead, and still in the graph"
    second.look({TOPIC: 1}, 101.0 + LEASE_S + 1.0)
    assert second.to_obey(101.0 + LEASE_S + 1.0) == TOPIC
    ghost = Rivals(since_s=100.0)
    ghost.look({TOPIC: 1}, 101.0)
    assert ghost.look({TOPIC: 0}, 110.0) == () and ghost.to_obey(200.0) == ""


def test_who_came_first_stays() -> None:
    first = Rivals(since_s=100.0)
    first.look({TOPIC: 0}, 101.0)
    first.look({TOPIC: 2}, 100.0 + FOUND_S + 1.0)
    assert "2 other publishers" in first.look({TOPIC: 2}, 500.0)[0] and not first.to_obey(500.0)
