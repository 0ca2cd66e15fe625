"""Recordings for the tests: made by the built-in world, thinned out, and compared."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import cast

from irl_vla_nodes.convert import cdr
from rosbags.interfaces import Connection, ConnectionExtRosbag2
from rosbags.rosbag2 import Reader, StoragePlugin, Writer

from irl_vla.bag.bag import read_plans
from irl_vla.messages.messages import typestore
from irl_vla.messages.plan_messages import plan_to_message
from irl_vla.perception.preset import load_preset

CERTAIN = 4.0  # logit: score 0.98
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


def exported_crowded(preset: str, out: Path) -> Path:
    """An untrained bundle that reports every agent and every map element that it has room for, all
    over the grid, so that the guard has as much to check as it ever can have."""
    from irl_vla.engine.export import Provenance, export_bundle  # torch: not for every test
    from irl_vla.engine.networks import build_networks

    networks = build_networks(load_preset(preset), seed=0)
    heads = networks.perception.bev.decoder.heads
    for last in (heads.agent_class, heads.map_class):
        last.bias.data[0] = CERTAIN
    bundle = export_bundle(networks, out, Provenance(name=f"{preset}-crowded", seed=0), print)
    known = bundle.golden("bev", "fp32").outputs
    assert known["agent_valid"].all() and known["map_valid"].all()
    return out


def every_second_picture(bag: Path, out: Path) -> Path:
    """The same drive with cameras at half their rate."""
    count: Counter[str] = Counter()

    def kept(connection: Connection, stamp: int) -> int | None:
        count[connection.topic] += 1
        return stamp if "/image/" not in connection.topic or count[connection.topic] % 2 else None

    return copied(bag, out, kept)


def copied(bag: Path, out: Path, recorded: Callable[[Connection, int], int | None]) -> Path:
    """A bag with its messages recorded at other times [ns], or without them (None)."""
    store = typestore()
    with Reader(bag) as reader, Writer(out, version=9, storage_plugin=StoragePlugin.MCAP) as writer:
        topics = {
            c.id: writer.add_connection(
                c.topic, c.msgtype, typestore=store,
                offered_qos_profiles=cast(ConnectionExtRosbag2, c.ext).offered_qos_profiles,
            )
            for c in reader.connections
        }  # fmt: skip
        for connection, stamp, data in reader.messages():
            if (when := recorded(connection, stamp)) is not None:
                writer.write(topics[connection.id], when, data)
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
