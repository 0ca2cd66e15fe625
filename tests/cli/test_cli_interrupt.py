"""Ctrl-C, as a person presses it: what was written until then is whole."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from cli_bags import RULE, street, write

from irl_vla.bag.bag import open_bag, read_plans

RUN = "from irl_vla.cli.app import main; main()"
INTERRUPTED = 130
PATIENCE_S = 60


@pytest.fixture(scope="module")
def long_recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("long") / "street", street(anchors=1500))


def started(
    words: list[str | Path], until: Callable[[], bool], ignored: bool = False
) -> subprocess.Popen[str]:
    """The command in a process of its own, running until something is true. ignored: as a script
    starts what it puts into the background."""
    how = signal.SIG_IGN if ignored else signal.SIG_DFL
    process = subprocess.Popen(
        [sys.executable, "-c", RUN, *map(str, words)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, how),
    )  # fmt: skip
    begin = time.monotonic()
    while not until() and process.poll() is None and time.monotonic() - begin < PATIENCE_S:
        time.sleep(0.02)
    assert process.poll() is None, process.communicate()
    return process


def planning(out: Path) -> Callable[[], bool]:
    """Whether some plans are written already."""
    return lambda: any(p.stat().st_size > 20_000 for p in out.glob(".unfinished-*/plans.jsonl"))


@pytest.mark.parametrize("ignored", [False, True])
def test_ctrl_c_leaves_plans_bag_summary_and_page_whole(
    long_recording: Path, tmp_path: Path, ignored: bool
) -> None:
    out = tmp_path / "out"
    words = ["replay", long_recording, "--bundle", RULE, "--out", out]
    process = started(words, planning(out), ignored)
    process.send_signal(signal.SIGINT)
    stdout, stderr = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == INTERRUPTED, stderr
    assert "interrupted; the results are valid" in stdout and "Traceback" not in stderr
    pages = {"report.html", "first.png", "foxglove.json"}
    names = {"plans.jsonl", "plans.mcap", "summary.json", *pages}
    assert {p.name for p in out.iterdir()} == names
    lines = [json.loads(text) for text in (out / "plans.jsonl").read_text().splitlines()]
    plans = list(read_plans(out / "plans.mcap"))
    summary = json.loads((out / "summary.json").read_text())
    assert summary["interrupted"] is True
    assert 0 < len(lines) == len(plans) == summary["frames"] < 1500
    assert [p.anchor_stamp_ns for p in plans] == [line["anchor_stamp_ns"] for line in lines]
    with open_bag(out / "plans.mcap") as bag:
        assert bag.info().warnings == ()
    assert (out / "report.html").read_text().rstrip().endswith("</html>")


def test_ctrl_c_while_looking_leaves_a_whole_page(long_recording: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    begin: list[float] = []

    def reading() -> bool:
        if not begin and out.exists():  # made right before the recording is read
            begin.append(time.monotonic())
        return bool(begin) and time.monotonic() - begin[0] > 0.7

    process = started(["show", long_recording, "--out", out], reading)
    process.send_signal(signal.SIGINT)
    stdout, stderr = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == INTERRUPTED, stderr
    assert "interrupted; the results show the recording up to that point" in stdout, stderr
    assert "Traceback" not in stderr
    assert {p.name for p in out.iterdir()} == {
        "show.html", "contact_sheet.png", "checks.json",
    }  # fmt: skip
    assert (out / "show.html").read_text().rstrip().endswith("</html>")


@pytest.mark.parametrize("ignored", [False, True])
def test_a_second_ctrl_c_stops_at_once_and_leaves_older_results_alone(
    long_recording: Path, tmp_path: Path, ignored: bool
) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "plans.jsonl").write_text("old\n")
    words = ["replay", long_recording, "--bundle", RULE, "--out", out]
    process = started(words, planning(out), ignored)
    process.send_signal(signal.SIGINT)
    time.sleep(0.1)  # finishing takes longer: the page is drawn
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == INTERRUPTED, stderr
    assert "Traceback" not in stderr
    assert (out / "plans.jsonl").read_text() == "old\n"
    assert not list(out.glob(".unfinished-*"))
