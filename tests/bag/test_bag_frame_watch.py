"""Which car of several in one recording is read."""

from __future__ import annotations

from irl_vla.bag.frame_watch import namespace_of, other_robots

LINKS = frozenset({"base_link", "front"})


def test_the_car_with_most_pictures_stays_and_one_without_any_has_none() -> None:
    frames = {"a": LINKS, "b": LINKS, "": LINKS}
    assert other_robots(frames, {"b": 1}).keys() == {"a"}
    assert other_robots(frames, {"a": 3, "b": 2}).keys() == {"b"}
    assert other_robots(frames, {}).keys() == {"b"}, "by name where pictures do not tell"


def test_what_has_other_frames_is_no_other_car() -> None:
    assert other_robots({"a": LINKS, "b": frozenset({"lidar"})}, {"a": 1}) == {}
    assert other_robots({"a": LINKS, "": LINKS}, {"a": 1}) == {}
    (why,) = other_robots({"a": LINKS, "b": LINKS}, {"a": 1}).values()
    assert "'b'" in why and "(base_link, front)" in why and "'a', which is read" in why


def test_a_namespace_is_what_stands_before_the_topic() -> None:
    names = ("/car1/tf_static", "/fleet/car1/tf", "/tf", "tf")
    assert [namespace_of(name) for name in names] == ["car1", "fleet/car1", "", ""]
