"""A graph that has nothing to do costs next to nothing, and leaves nothing behind."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
from irl_vla_nodes.ownership import LOCKS
from irl_vla_nodes.ring import FOLDER
from real_graph import NODES, RULE, domain, launched, needs_ros, pids_of, until

pytestmark = pytest.mark.ros
needs_ros()

NAMES = "front_left,front,front_right"
WATCH_S = 20.0
IDLE_SHARE = 0.02  # of a core, each node
RULE_BYTES = 16 * 2**20  # of rings: three pictures and empty tokens, 8 times


def processor_s(pid: int) -> float:
    """Processor time that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def test_idle_nodes_take_at_most_two_percent_of_a_core_and_clean_up(tmp_path: Path) -> None:
    ring = FOLDER / f"domain{domain()}"
    with launched(tmp_path, "drive.launch.py", bundle=RULE, cameras=NAMES) as graph:
        until(lambda: graph.text().count(" is active") == len(NODES), 60.0, "all are active")
        time.sleep(3.0)
        pids = {name: pids_of(name)[0] for name in NODES}
        before = {name: processor_s(pid) for name, pid in pids.items()}
        time.sleep(WATCH_S)
        shares = {n: (processor_s(pid) - before[n]) / WATCH_S for n, pid in pids.items()}
        size = sum(path.stat().st_size for path in ring.iterdir())
    print(f"idle shares: {shares}; rings: {size / 2**20:.1f} MiB")
    assert max(shares.values()) <= IDLE_SHARE, shares
    assert size <= RULE_BYTES
    assert not ring.exists() and not list(LOCKS.glob(f"irl_vla.domain{domain()}.*"))
