"""Does reading a long bag need more memory than reading a short one, and how fast is it?

    python benchmarks/bag.py [--gigabytes 2] [--folder DIR]

Two bags are written (six cameras, 160 kB a picture, odometry; no two pictures alike), each is read
in a process of its own, and both are removed. Prints a table and, as its last line, one JSON
object. Peak memory is the process's largest resident set, Python and libraries included.
"""

from __future__ import annotations

import argparse
import json
import platform
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from irl_vla.bag.bag import open_bag
from irl_vla.bag.bag_writer import BagWriter
from irl_vla.types import CameraImage, EgoMotion

CAMERAS = tuple(f"camera_{index}" for index in range(6))
PICTURE_BYTES = 160_000  # of a 1600x900 street scene at JPEG quality 72
SMALL_GB = 0.05
START_NS, STEP_NS = 1_700_000_000_000_000_000, 100_000_000
JPEG_START = b"\xff\xd8\xff\xe0"
KIB, MIB = 1024, 1024**2
GROWTH_LIMIT_MB = 20.0  # of peak memory from the short to the long bag


def write(path: Path, gigabytes: float) -> int:
    """A bag of that size; returns the number of pictures."""
    rng, noise = np.random.default_rng(0), b""
    count = round(gigabytes * 1e9 / PICTURE_BYTES / len(CAMERAS))
    with BagWriter(path) as writer:
        for index in range(count):
            stamp = START_NS + index * STEP_NS
            noise = rng.bytes(PICTURE_BYTES)
            for camera in CAMERAS:
                picture = CameraImage(camera, stamp, encoded=JPEG_START + noise)
                writer.write_image(picture)
            writer.write_motion(EgoMotion(stamp, np.eye(4), None, "benchmark"))
    return count * len(CAMERAS)


def read(path: Path) -> dict[str, float]:
    """Every event of a bag, as replay takes them, and what that cost this process."""
    before = time.process_time()
    pictures = content = 0
    with open_bag(path) as bag:
        messages = bag.info().messages
        scan_s = time.process_time() - before
        for event in bag.events():
            if isinstance(event, CameraImage) and event.encoded is not None:
                pictures += 1
                content += len(event.encoded)
    cpu_s = time.process_time() - before
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    peak_mb = peak / (MIB if sys.platform == "darwin" else KIB)
    return {
        "pictures": pictures, "messages": messages, "megabytes": content / 1e6,
        "scan_cpu_s": scan_s, "cpu_s": cpu_s, "peak_mb": peak_mb,
    }  # fmt: skip


def read_in_own_process(path: Path) -> dict[str, float]:
    """`read` where nothing else has used memory before."""
    command = [sys.executable, __file__, "--read", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return dict(json.loads(done.stdout))


def compare(folder: Path, gigabytes: float) -> dict[str, dict[str, float]]:
    """Write, read and remove a short and a long bag."""
    results = {}
    for name, size in [("short", SMALL_GB), ("long", gigabytes)]:
        path = folder / f"{name}.mcap"
        pictures = write(path, size)
        results[name] = read_in_own_process(path)
        path.unlink()
        if results[name]["pictures"] != pictures:
            raise RuntimeError(f"{name}: wrote {pictures} pictures, read {results[name]}")
    return results


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--gigabytes", type=float, default=2.0)
    parser.add_argument("--folder", type=Path, default=None, help="where the bags are written")
    parser.add_argument("--read", type=Path, default=None, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.read is not None:
        print(json.dumps(read(options.read)))
        return
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        results = compare(Path(folder), options.gigabytes)
    table = Table("bag", "MB", "pictures", "peak memory MB", "scan CPU s", "CPU s", "MB per CPU s")
    for name, r in results.items():
        table.add_row(
            name, f"{r['megabytes']:.0f}", f"{r['pictures']:.0f}", f"{r['peak_mb']:.1f}",
            f"{r['scan_cpu_s']:.2f}", f"{r['cpu_s']:.2f}", f"{r['megabytes'] / r['cpu_s']:.0f}",
        )  # fmt: skip
    Console().print(table)
    growth = results["long"]["peak_mb"] - results["short"]["peak_mb"]
    print(json.dumps({
        "benchmark": "bag", "machine": platform.machine(), **results,
        "growth_mb": growth, "growth_limit_mb": GROWTH_LIMIT_MB,
        "ok": growth <= GROWTH_LIMIT_MB,
    }))  # fmt: skip


if __name__ == "__main__":
    main()
