"""The anchor synchroniser: what it promises to whoever plans from its sets."""

from __future__ import annotations

from collections.abc import Iterable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from irl_vla.camera.sync import MAX_OPEN, MAX_WAITING, AnchorSynchroniser, Missing, SyncSpec
from irl_vla.types import CameraImage, FrameSet, InputError

MS = 1_000_000
SIX = ("front", "front_left", "front_right", "back", "back_left", "back_right")


def shot(camera: str, ms: float) -> CameraImage:
    return CameraImage(camera, round(ms * MS), encoded=b"")


def run(sync: AnchorSynchroniser, images: Iterable[CameraImage]) -> list[FrameSet]:
    sets = [frames for image in images for frames in sync.push(image)]
    return sets + list(sync.flush())


def drive(
    hz: float, seconds: float, cameras: tuple[str, ...] = SIX, spread_ms: float = 0.0
) -> list[CameraImage]:
    """All cameras at one rate, each a bit later than the one before, in the order of time."""
    step = 1000 / hz
    return [
        shot(camera, 1000 + tick * step + index * spread_ms / max(len(cameras) - 1, 1))
        for tick in range(round(seconds * hz))
        for index, camera in enumerate(cameras)
    ]


def reason(frames: FrameSet, camera: str) -> str:
    return frames.missing[camera].split(":")[0]


@pytest.mark.parametrize(("hz", "spread_ms"), [(1, 50), (2, 50), (10, 45), (20, 20), (30, 15)])
def test_every_image_of_a_healthy_car_is_in_exactly_one_set(hz: float, spread_ms: float) -> None:
    images = drive(hz, 6.0, spread_ms=spread_ms)
    sets = run(AnchorSynchroniser(SIX), images)
    assert len(sets) == 6 * hz
    for tick, frames in enumerate(sets):
        expected = images[tick * 6 : tick * 6 + 6]
        assert frames.images == {image.camera: image for image in expected}
        assert not frames.missing


def test_the_anchor_in_the_middle_of_the_exposures_takes_images_before_and_after_it() -> None:
    sync = AnchorSynchroniser(SIX, anchor="back")
    sets = run(sync, drive(10, 3.0, spread_ms=40))
    assert len(sets) == 30
    assert all(len(frames.images) == 6 for frames in sets)


def test_a_set_leaves_with_its_last_image_and_not_later() -> None:
    sync = AnchorSynchroniser(("a", "b"))
    assert sync.push(shot("a", 0)) == ()
    (frames,) = sync.push(shot("b", 20))
    assert frames.anchor_stamp_ns == 0 and set(frames.images) == {"a", "b"}


def test_one_camera_alone_gives_a_set_at_once() -> None:
    sync = AnchorSynchroniser(("only",))
    for image in drive(10, 2.0, ("only",)):
        (frames,) = sync.push(image)
        assert frames.images == {"only": image}


def test_images_out_of_order_across_cameras_give_the_same_sets() -> None:
    images = drive(10, 3.0, spread_ms=30)
    delay = {name: 10 * index for index, name in enumerate(reversed(SIX))}
    late = sorted(images, key=lambda image: image.stamp_ns + delay[image.camera] * MS)
    assert late != images
    assert run(AnchorSynchroniser(SIX), late) == run(AnchorSynchroniser(SIX), images)


def test_an_offset_is_taken_off_before_stamps_are_compared() -> None:
    images = drive(10, 1.0, ("a", "b"), spread_ms=80)
    sets = run(AnchorSynchroniser(("a", "b"), offsets_ns={"b": 80 * MS}), images)
    assert [set(frames.images) for frames in sets] == [{"a", "b"}] * 10
    assert sets[3].images["b"].stamp_ns - sets[3].anchor_stamp_ns == 80 * MS  # stamps are kept


def test_of_several_images_near_the_anchor_the_nearest_is_taken() -> None:
    fast = [shot("b", 1000 + 33 * tick) for tick in range(60)]
    slow = [shot("a", 1000 + 100 * tick) for tick in range(18)]
    images = sorted(fast + slow, key=lambda image: image.stamp_ns)
    for frames in run(AnchorSynchroniser(("a", "b")), images)[2:]:
        gap = abs(frames.images["b"].stamp_ns - frames.anchor_stamp_ns)
        assert gap == min(abs(image.stamp_ns - frames.anchor_stamp_ns) for image in fast)


def test_a_set_waits_for_a_nearer_image_and_only_for_a_nearer_one() -> None:
    """b comes every 50 ms: 20 ms before the anchor nothing nearer can come, 30 ms before it can."""
    for early, waits in ((20, False), (30, True)):
        sync = AnchorSynchroniser(("a", "b"))
        ready: tuple[FrameSet, ...] = ()
        for tick in range(11):  # anchors every 100 ms, b at 50 ms and 100 ms less `early`
            sync.push(shot("b", 100 * tick - 50 - early))
            sync.push(shot("b", 100 * tick - early))
            ready = sync.push(shot("a", 100 * tick))
        assert (ready == ()) is waits
        assert bool(sync.push(shot("b", 1050 - early))) is waits


def test_an_image_of_the_default_tolerance_away_belongs_and_one_farther_does_not() -> None:
    for away, belongs in ((60, True), (61, False)):
        images = drive(1, 5.0, ("a", "b"), spread_ms=away)
        sets = run(AnchorSynchroniser(("a", "b")), images)
        assert ["b" in frames.images for frames in sets] == [belongs] * 5


def test_a_camera_that_loses_one_image_does_not_lag_from_then_on() -> None:
    images = drive(30, 3.0, ("a", "b"), spread_ms=5)
    lost = [image for image in images if image.camera == "b"][40]
    sets = run(AnchorSynchroniser(("a", "b")), [image for image in images if image is not lost])
    missing = [index for index, frames in enumerate(sets) if frames.missing]
    assert missing == [40]
    assert sets[40].missing["b"].startswith("outside_tolerance: its nearest image is")
    assert all(
        frames.images["b"].stamp_ns - frames.anchor_stamp_ns == 5 * MS
        for frames in sets[:40] + sets[41:]
    )


def test_a_camera_that_was_never_there_is_named_and_soon_not_waited_for() -> None:
    sync = AnchorSynchroniser(SIX)
    images = [image for image in drive(10, 4.0) if image.camera != "back"]
    sets = run(sync, images)
    assert len(sets) == 40
    assert {reason(frames, "back") for frames in sets} == {"never_seen"}
    sync = AnchorSynchroniser(("a", "b"))
    ready = [sync.push(shot("a", 100 * tick)) for tick in range(30)]
    assert ready[0] == () and [len(sets) for sets in ready[12:]] == [1] * 18


def test_a_camera_that_dies_is_late_then_stopped_and_after_its_return_used_again() -> None:
    images = [
        image for image in drive(10, 6.0)
        if image.camera != "back" or not 3000 <= image.stamp_ns / MS < 5000
    ]  # fmt: skip
    sets = run(AnchorSynchroniser(SIX), images)
    names = [reason(frames, "back") if frames.missing else "" for frames in sets]
    assert names[:20] == [""] * 20 and names[41:] == [""] * 19
    assert names[20] == "late" and names[39] == "stopped"
    assert sorted(set(names[20:40])) == ["late", "stopped"]


def test_an_image_after_the_deadline_is_late_and_says_by_how_much() -> None:
    images = drive(10, 3.0, ("a", "b"))
    order = sorted(images, key=lambda i: i.stamp_ns + (i.camera == "b") * 230 * MS)
    sets = run(AnchorSynchroniser(("a", "b")), order)
    late = [frames for frames in sets[4:-4] if frames.missing]
    assert late and {reason(frames, "b") for frames in late} == {"late"}
    assert "200.0 ms after the others'" in late[-1].missing["b"]


def test_an_image_outside_the_tolerance_is_named_with_its_distance() -> None:
    images = drive(1, 5.0, ("a", "b"), spread_ms=80)
    sets = run(AnchorSynchroniser(("a", "b")), images)
    assert "outside_tolerance: its nearest image is 80.0 ms away" in sets[1].missing["b"]


def test_a_repeated_stamp_is_used_once_and_named() -> None:
    sync = AnchorSynchroniser(("a", "b"))
    run(sync, [shot("a", 0), shot("b", 0), shot("b", 0), shot("b", 0)])
    (frames,) = run(sync, [shot("a", 100), shot("b", 0)])
    assert reason(frames, "b") == "duplicate_stamp"
    assert "its stamp came twice" in sync.take_events()[0].text
    assert sync.take_events() == ()


def test_a_stamp_that_runs_back_is_not_used_and_named() -> None:
    sync = AnchorSynchroniser(("a", "b"))
    run(sync, [shot("a", 1000), shot("b", 1000)])
    (frames,) = run(sync, [shot("a", 1100), shot("b", 950)])
    assert frames.missing == {"b": "stamp_backwards: its stamp ran back by 50.0 ms"}


def test_when_the_anchor_dies_another_camera_takes_over_and_gives_way_on_its_return() -> None:
    images = [
        image for image in drive(10, 8.0, spread_ms=20)
        if image.camera != "front" or not 3000 <= image.stamp_ns / MS < 6000
    ]  # fmt: skip
    sync = AnchorSynchroniser(SIX)
    sets = run(sync, images)
    stamps = [frames.anchor_stamp_ns for frames in sets]
    assert stamps == sorted(set(stamps))
    blind = [frames for frames in sets if "front" in frames.missing]
    assert {reason(frames, "front") for frames in blind} == {"stopped"}
    assert "'front_left' is the anchor instead" in blind[0].missing["front"]
    assert 19 <= len(blind) <= 30  # all but the second in which the silence grew
    assert all(len(frames.images) == 5 for frames in blind)
    assert sync.anchor == "front" and len(sets[-1].images) == 6
    texts = [event.text for event in sync.take_events()]
    assert len(texts) == 2 and "'front_left' is the anchor now" in texts[0]
    assert texts[1].startswith("is back")


def test_an_anchor_that_never_comes_costs_no_recording_its_sets() -> None:
    images = [image for image in drive(10, 0.5) if image.camera != "front"]
    sets = run(AnchorSynchroniser(SIX), images)
    assert len(sets) == 5 and {reason(frames, "front") for frames in sets} == {"never_seen"}


@pytest.mark.parametrize("leap_s", [-60.0, 60.0])
def test_a_time_jump_starts_anew_and_loses_no_image(leap_s: float) -> None:
    first = drive(10, 2.0)
    second = [shot(i.camera, i.stamp_ns / MS + leap_s * 1000) for i in drive(10, 2.0)]
    sync = AnchorSynchroniser(SIX)
    sets = run(sync, first + second)
    assert len(sets) == 40 and all(len(frames.images) == 6 for frames in sets)
    assert sync.resets == 1
    assert any("time jump" in event.text for event in sync.take_events())


def test_one_camera_with_a_wrong_clock_disturbs_no_other() -> None:
    images = [
        shot(i.camera, i.stamp_ns / MS + 3_600_000 * (i.camera == "back")) for i in drive(10, 4.0)
    ]
    sync = AnchorSynchroniser(SIX)
    sets = run(sync, images)
    assert len(sets) == 40 and sync.resets == 0
    assert all(set(frames.images) == set(SIX) - {"back"} for frames in sets)
    assert {reason(frames, "back") for frames in sets} == {"clock_apart"}


def test_the_first_image_of_all_may_be_the_wrong_one() -> None:
    sync = AnchorSynchroniser(SIX)
    sets = run(sync, [shot("back", 9_000_000), *drive(10, 2.0)])
    assert len(sets[0].images) == 1
    assert [len(frames.images) for frames in sets[1:]] == [6] * 20


def test_a_timer_closes_a_set_that_no_image_closes() -> None:
    sync = AnchorSynchroniser(("a", "b"))
    assert sync.push(shot("a", 1000)) == ()
    assert sync.advance(1099 * MS) == ()
    (frames,) = sync.advance(1101 * MS)
    assert set(frames.images) == {"a"}


def test_cameras_that_do_not_belong_are_not_looked_at_and_unknown_names_refused() -> None:
    sync = AnchorSynchroniser(("a",))
    assert sync.push(shot("z", 5)) == ()
    with pytest.raises(InputError, match="no camera 'z', there are a"):
        AnchorSynchroniser(("a",), anchor="z")
    with pytest.raises(ValueError, match="tolerance <= deadline"):
        SyncSpec(tolerance_ns=5, deadline_ns=4)


def test_memory_is_bounded_while_the_anchor_is_silent_and_while_time_stands_still() -> None:
    sync = AnchorSynchroniser(("a", "b"), SyncSpec(silence_ns=10**12, jump_ns=10**13))
    for tick in range(500):
        sync.push(shot("b", 33 * tick))
    assert len(sync._streams["b"].waiting) <= MAX_WAITING
    sync = AnchorSynchroniser(("a", "b"))
    for tick in range(500):
        sync.push(shot("a", tick * 0.001))
    assert len(sync._open) <= MAX_OPEN + 1


STREAMS = st.lists(  # (camera, step since its last image [ms], lag of its arrival [ms])
    st.tuples(st.sampled_from("abc"), st.integers(-20, 400), st.integers(0, 90)), max_size=80
)


def arrivals(steps: list[tuple[str, int, int]]) -> list[CameraImage]:
    clock = dict.fromkeys("abc", 1000)
    timed = []
    for camera, step, lag in steps:
        clock[camera] += step
        timed.append((clock[camera] + lag, shot(camera, clock[camera])))
    return [image for _, image in sorted(timed, key=lambda pair: pair[0])]


@settings(max_examples=200, deadline=None)
@given(STREAMS)
def test_no_image_is_used_twice_and_all_are_within_tolerance(
    steps: list[tuple[str, int, int]],
) -> None:
    spec = SyncSpec()
    sync = AnchorSynchroniser("abc", spec)
    images = arrivals(steps)
    sets = run(sync, images)
    used = [id(image) for frames in sets for image in frames.images.values()]
    assert len(used) == len(set(used)) and set(used) <= {id(image) for image in images}
    for frames in sets:
        assert frames.images and set(frames.images) | set(frames.missing) == set("abc")
        assert not set(frames.images) & set(frames.missing)
        for camera, image in frames.images.items():
            assert image.camera == camera
            assert abs(image.stamp_ns - frames.anchor_stamp_ns) <= spec.tolerance_ns
    stamps = [frames.anchor_stamp_ns for frames in sets]
    assert sync.resets or stamps == sorted(set(stamps))
    assert run(AnchorSynchroniser("abc", spec), images) == sets


LEAPS = st.one_of(st.integers(-20, 400), st.sampled_from([-10_000, -3_200, 3_200, 10_000]))


@settings(max_examples=300, deadline=None)
@given(st.lists(st.tuples(st.sampled_from("abc"), LEAPS), max_size=80))
def test_whatever_the_stamps_do_sets_stay_true_and_every_loss_has_a_name(
    steps: list[tuple[str, int]],
) -> None:
    clock = dict.fromkeys("abc", 1000)
    images = []
    for camera, step in steps:  # in this order, whatever their stamps say
        clock[camera] += step
        images.append(shot(camera, clock[camera]))
    sync = AnchorSynchroniser("abc")
    sets = run(sync, images)
    used = [id(image) for frames in sets for image in frames.images.values()]
    assert len(used) == len(set(used))
    for frames in sets:
        assert set(frames.images) | set(frames.missing) == set("abc")
        spread = [image.stamp_ns - frames.anchor_stamp_ns for image in frames.images.values()]
        assert max(map(abs, spread)) <= sync.spec.tolerance_ns
        for camera in frames.missing:
            Missing(reason(frames, camera))  # a ValueError where the reason has no known name


@settings(max_examples=100, deadline=None)
@given(
    st.sampled_from([10, 15, 30]),
    st.lists(st.integers(0, 29), max_size=8),
    st.lists(st.floats(-4.0, 4.0), min_size=90, max_size=90),
)
def test_what_one_camera_loses_changes_nothing_for_the_others(
    hz: int, lost: list[int], jitter: list[float]
) -> None:
    images = [
        shot(image.camera, image.stamp_ns / MS + jitter[index])
        for index, image in enumerate(drive(hz, 30 / hz, ("a", "b", "c"), spread_ms=12))
    ]
    images.sort(key=lambda image: image.stamp_ns)
    of_b = [image for image in images if image.camera == "b"]
    gone = {id(of_b[index]) for index in lost}
    whole = run(AnchorSynchroniser("abc"), images)
    holes = run(AnchorSynchroniser("abc"), [image for image in images if id(image) not in gone])
    assert len(whole) == len(holes) == 30
    for before, after in zip(whole, holes, strict=True):
        assert before.anchor_stamp_ns == after.anchor_stamp_ns
        assert before.images.get("a") is after.images.get("a")
        assert before.images.get("c") is after.images.get("c")
        kept = before.images.get("b")
        if kept is not None and id(kept) not in gone:
            assert after.images.get("b") is kept
