"""What a dry run says of a car that is, or is not, ready. No ROS."""

from __future__ import annotations

from pathlib import Path

import pytest
from irl_vla_nodes.dry_run import (
    Finding,
    Heard,
    clock_finding,
    memory_finding,
    summary,
    topic_finding,
)

from irl_vla.types import SECOND_NS

IMAGE = "sensor_msgs/msg/Image"


def heard(messages: int = 40, kind: str = IMAGE, reliable: bool = True) -> Heard:
    stamps = [i * SECOND_NS // 10 for i in range(messages)]
    return Heard("/front", IMAGE, [reliable], [kind], stamps, stamps)


@pytest.mark.parametrize(
    ("topic", "reliable", "word"),
    [
        (Heard("/front", IMAGE), False, "nobody publishes it"),
        (heard(kind="sensor_msgs/msg/CompressedImage"), False, "expected sensor_msgs/msg/Image"),
        (heard(reliable=False), True, "DDS never connects these"),
        (heard(messages=0), False, "no message came in 4 s"),
        (heard(messages=20), False, "5.0 messages a second, expected 10.0"),
    ],
)
def test_a_topic_that_will_not_do_is_red_and_says_what_to_do(
    topic: Heard, reliable: bool, word: str
) -> None:
    found = topic_finding(topic, reliable, 4.0, 10.0)
    assert word in found.text and found.advice and found.line.startswith("red")


def test_a_topic_that_comes_is_green_best_effort_too_where_that_is_asked_for() -> None:
    for reliable in (True, False):
        assert not topic_finding(heard(reliable=reliable), False, 4.0, 10.0).advice
    assert not topic_finding(heard(messages=1), False, 4.0, 0.0).advice, "latched"


def test_stamps_of_another_clock_are_red() -> None:
    topic = heard()
    last = topic.stamps_ns[-1]
    good = clock_finding(topic, last + SECOND_NS // 20)
    assert good is not None and not good.advice and "50 ms old" in good.text
    for apart, word in ((2 * SECOND_NS, "2.00 s behind"), (-2 * SECOND_NS, "2.00 s ahead of")):
        found = clock_finding(topic, last + apart)
        assert found is not None and found.advice and word in found.text


def test_rings_that_do_not_fit_into_memory_are_red(tmp_path: Path) -> None:
    assert not memory_finding(tmp_path / "domain7" / "car", 1000).advice
    assert "shm-size" in memory_finding(tmp_path, 2**60).advice


def test_the_summary_counts() -> None:
    assert summary([Finding("a", "b")]) == "1 green, 0 red: ready to drive"
    assert summary([Finding("a", "b"), Finding("a", "b", "do")]) == "1 green, 1 red"
