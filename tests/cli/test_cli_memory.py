"""The memory of a replay does not grow with the recording."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from cli_bags import (
    INFO,
    RULE,
    STREET,
    TF_STATIC,
    at,
    jpeg,
    odometry,
    picture,
    street,
)

from irl_vla.bag.bag_writer import BagWriter

PEAK = """
import resource, sys
from irl_vla.cli.app import main
try:
    main()
except SystemExit as end:
    assert not end.code
print("peak", resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""
GROWTH_KIB = 30 * 1024  # 1/3 of what the long bag has more than the short one; measured: 1.7 MiB


def long_bag(path: Path, anchors: int) -> Path:
    """One camera at 10 Hz, written message by message; splits would hide a reader that hoards."""
    with BagWriter(path) as writer:
        for entry in street(("front",), anchors=1):
            if entry.topic == TF_STATIC or entry.msgtype == INFO:
                writer.write(entry.topic, entry.msgtype, entry.message, entry.log_ns)
        for n in range(anchors):
            motion = STREET.motion(at(n % 300), at(0))
            moved = type(motion)(at(n), motion.world_from_ego, motion.twist, motion.source)
            for entry in (odometry(moved), picture("front", at(n), jpeg() + b"\0" * 30_000)):
                writer.write(entry.topic, entry.msgtype, entry.message, entry.log_ns)
    return path


def peak_kib(bag: Path, out: Path) -> int:
    words = ["replay", bag, "--bundle", RULE, "--out", out]
    ran = subprocess.run(
        [sys.executable, "-c", PEAK, *map(str, words)],
        capture_output=True, text=True, timeout=300, check=True,
    )  # fmt: skip
    assert (out / "plans.jsonl").read_text().count("\n") > 100
    return int(ran.stdout.split("peak")[-1])


@pytest.mark.slow
def test_ten_times_the_anchors_take_the_same_memory(tmp_path: Path) -> None:
    short, long = (long_bag(tmp_path / f"{n}", n) for n in (300, 3000))
    assert sum(p.stat().st_size for p in long.iterdir()) > 90e6
    peaks = [peak_kib(bag, tmp_path / f"out{bag.name}") for bag in (short, long)]
    assert peaks[1] - peaks[0] < GROWTH_KIB, peaks
