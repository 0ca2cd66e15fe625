"""Recordings for the tests: made by the built-in world, thinned out, and compared."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from typing import cast

from irl_vla_nodes.convert import cdr
from rosbags.interfaces import ConnectionExtRosbag2
from rosbags.rosbag2 import Reader, StoragePlugin, Writer

from irl_vla.bag.bag import read_plans
from irl_vla.messages.messages import typestore
from irl_vla.messages.plan_messages import plan_to_message

RING6 = Path(__file__).with_name("ring6.yaml")


def irl_vla(*words: str) -> None:
    """A command, as a user calls it."""
    command = [sys.executable, "-m", "irl_vla.cli.app", *words]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def world_bag(out: Path, seconds: float, seed: int = 3, rig: Path | None = None) -> Path:
    """The expert's drive in the world of a seed."""
    words = ["world", "bag", str(out), "--seed", str(seed), "--seconds", str(seconds)]
    irl_vla(*words, *(["--rig", str(rig)] if rig else []))
    return out


def exported(preset: str, out: Path) -> Path:
    """An untrained bundle."""
    irl_vla("export", "--preset", preset, "--out", str(out))
    return out


def every_second_picture(bag: Path, out: Path) -> Path:
    """The same drive with cameras at half their rate."""
    store = typestore()
    with Reader(bag) as reader, Writer(out, version=9, storage_plugin=StoragePlugin.MCAP) as writer:
        topics = {
            c.id: writer.add_connection(
                c.topic, c.msgtype, typestore=store,
                offered_qos_profiles=cast(ConnectionExtRosbag2, c.ext).offered_qos_profiles,
            )
            for c in reader.connections
        }  # fmt: skip
        count: dict[str, int] = {}
        for connection, stamp, data in reader.messages():
            count[connection.topic] = count.get(connection.topic, 0) + 1
            if "/image/" not in connection.topic or count[connection.topic] % 2:
                writer.write(topics[connection.id], stamp, data)
    return out


def replayed(bag: Path, bundle: Path, out: Path, follow: Path | None = None) -> Path:
    """`irl-vla replay`; the folder with its plans."""
    shutil.rmtree(out, ignore_errors=True)
    words = ["replay", str(bag), "--bundle", str(bundle), "--out", str(out)]
    irl_vla(*words, *(["--follow", str(follow)] if follow else []))
    return out


def plan_bytes(bag: Path) -> dict[int, bytes]:
    """Everything of each plan but its latencies, by anchor stamp."""
    return {plan.anchor_stamp_ns: bytes(cdr(plan_to_message(plan, ""))) for plan in read_plans(bag)}
