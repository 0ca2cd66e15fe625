"""Cameras that fail, lie or are missing: the others go on, and every frame names the reason."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cli_bags import (
    HEIGHT,
    INFO,
    RAW,
    WIDTH,
    CommandResult,
    Entry,
    at,
    info,
    jpeg,
    picture,
    replay,
    rig_of,
    show,
    street,
    without,
    write,
)

from irl_vla.camera.rig import Rig, save_rig
from irl_vla.messages.messages import header, new
from irl_vla.types import SECOND_NS


def drive(entries: list[Entry], tmp_path: Path, *more: str | Path) -> CommandResult:
    return replay(write(tmp_path / "bag", entries), *more, out=tmp_path / "out")


def shot(camera: str, after: float = -1.0) -> Any:
    """Whether an entry is a picture of this camera, later than an anchor."""
    return lambda e: e.is_picture and f"/{camera}/" in e.topic and e.stamp_ns > at(after)


def rig_file(folder: Path, rig: Rig) -> Path:
    save_rig(rig, folder / "rig.yaml")
    return folder / "rig.yaml"


def test_a_camera_that_dies_leaves_the_others_driving_and_is_named_in_every_frame(
    tmp_path: Path,
) -> None:
    ran = drive(without(street(anchors=18), shot("left", after=3)), tmp_path)
    assert ran.code == 0
    assert ran.reasons() == ["best_candidate"] * 18
    names = [line["missing"].get("left", "").split(":")[0] for line in ran.lines]
    assert names[:4] == [""] * 4
    assert set(names[4:14]) <= {"late", "stopped"}
    assert set(names[14:]) == {"stopped"}  # a second without an image
    assert ran.summary["missing_cameras"].keys() == {"left: late", "left: stopped"}


def test_when_the_anchor_camera_dies_another_takes_over_and_old_pictures_are_refused_as_old(
    tmp_path: Path,
) -> None:
    ran = drive(without(street(anchors=24), shot("front", after=4)), tmp_path)
    assert ran.code == 0
    late = [line for line in ran.lines if line["anchor_stamp_ns"] > at(4)]
    assert [line["anchor_stamp_ns"] for line in late][-14:] == [at(n) for n in range(10, 24)]
    assert all(line["missing"]["front"].startswith("stopped: ") for line in late)
    for line in late:  # the takeover was 1.1 s after the last picture, at anchor 15
        age_s = (at(14) - line["anchor_stamp_ns"]) / SECOND_NS
        assert line["reason"] == ("stale_input" if age_s > 0.5 else "best_candidate")
    assert late[0]["reason"] == "stale_input"
    assert "'left' is the anchor now" in ran.summary["warnings"][0]


def test_when_all_cameras_die_the_summary_and_the_page_say_so(tmp_path: Path) -> None:
    ran = drive(
        without(street(anchors=24), lambda e: e.is_picture and e.stamp_ns > at(4)), tmp_path
    )
    assert (ran.code, len(ran.lines)) == (0, 5)
    assert ran.summary["warnings"] == ["all cameras stopped 2.0 s before the ego motion"]
    assert "all cameras stopped 2.0 s before the ego motion" in ran.page


@pytest.mark.parametrize("data", [b"\1\2\3" * 50, jpeg()[:300], jpeg(0, 32, 24), b""])
def test_pictures_that_cannot_be_used_are_named_and_the_other_camera_drives(
    data: bytes, tmp_path: Path
) -> None:
    entries = [picture("left", e.stamp_ns, data) if shot("left")(e) else e for e in street()]
    ran = drive(entries, tmp_path)
    assert (ran.code, ran.reasons()) == (4, ["best_candidate"] * 8)
    assert all(line["cameras"] == ["front"] for line in ran.lines)
    assert all(line["missing"]["left"].startswith("bad_image: ") for line in ran.lines)
    seen = show(tmp_path / "bag", out=tmp_path / "seen")
    if data == jpeg(0, 32, 24):  # of another size: shown, and the verdict names it
        assert seen.code == 4 and "image size" in seen.stdout  # and always the same: frozen
        return
    assert seen.code == 4
    page = (seen.out / "show.html").read_text(encoding="utf-8")
    assert "1 of 2 cameras" in page and "Missing images" in page and "bad image" in page
    checks = json.loads((seen.out / "checks.json").read_text(encoding="utf-8"))
    assert any("camera 'left'" in text and "(8 times)" in text for text in checks["warnings"])


def raw(entry: Entry, encoding: str) -> Entry:
    message = new(
        RAW, header=header(entry.stamp_ns, "x"), height=HEIGHT, width=WIDTH, encoding=encoding,
        is_bigendian=0, step=3 * WIDTH, data=np.zeros(3 * WIDTH * HEIGHT, np.uint8),
    )  # fmt: skip
    return replace(entry, topic=entry.topic.removesuffix("/compressed"), msgtype=RAW,
                   message=message)  # fmt: skip


def test_an_unknown_encoding_is_named_in_every_frame(tmp_path: Path) -> None:
    ran = drive([raw(e, "32FC7") if shot("left")(e) else e for e in street()], tmp_path)
    assert (ran.code, ran.reasons()) == (4, ["best_candidate"] * 8)
    assert all("encoding '32FC7' is not supp" in line["missing"]["left"] for line in ran.lines)


def test_where_no_picture_at_all_can_be_read_the_replay_says_why_and_keeps_old_results(
    tmp_path: Path,
) -> None:
    assert drive(street(), tmp_path).code == 0
    before = {p.name: p.read_bytes() for p in (tmp_path / "out").iterdir()}
    ran = drive([raw(e, "32FC7") if e.is_picture else e for e in street()], tmp_path)
    assert ran.code == 3
    assert "nothing to replay" in ran.stderr and "32FC7" in ran.stderr
    assert {p.name: p.read_bytes() for p in (tmp_path / "out").iterdir()} == before
    assert show(tmp_path / "bag", out=tmp_path / "seen").code == 4


def test_a_camera_without_calibration_is_left_out_and_said(tmp_path: Path) -> None:
    ran = drive(without(street(), lambda e: e.msgtype == INFO and "left" in e.topic), tmp_path)
    assert (ran.code, ran.summary["cameras"]) == (0, ["front"])
    assert any(text.startswith("no CameraInfo for camera left") for text in ran.summary["warnings"])
    assert "no CameraInfo for camera left" in ran.page


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (lambda e: e.msgtype == INFO, "no CameraInfo for camera front"),
        (lambda e: e.topic == "/tf_static", "Publish it on /tf_static. Or give a rig file"),
    ],
)
def test_missing_calibration_is_code_3_and_a_rig_file_helps(
    wrong: Any, words: str, tmp_path: Path
) -> None:
    bag = write(tmp_path / "bag", without(street(), wrong))
    ran = replay(bag, out=tmp_path / "out")
    assert ran.code == 3
    assert words in ran.stderr and "--rig" in ran.stderr
    assert not (tmp_path / "out").exists()
    assert show(bag, out=tmp_path / "seen").code == 0
    rig = rig_file(tmp_path, rig_of(["front", "left"]))
    helped = replay(bag, "--rig", rig, out=tmp_path / "out")
    assert (helped.code, helped.reasons()) == (0, ["best_candidate"] * 8)
    assert helped.summary["warnings"] == []


def test_calibration_that_changes_is_followed_and_noted(tmp_path: Path) -> None:
    camera = rig_of(["front", "left"]).cameras[0]
    other = replace(camera, width=2 * WIDTH, height=2 * HEIGHT)
    entries = sorted([*street(), info(other, at(3.5))], key=lambda e: e.log_ns)
    ran = drive(entries, tmp_path)
    assert (ran.code, ran.reasons()) == (4, ["best_candidate"] * 8)
    bad = [line["missing"].get("front", "") for line in ran.lines]
    assert bad[:4] == [""] * 4
    assert all("image is 64x48, rig says 128x96" in text for text in bad[4:])
    assert ran.summary["warnings"] == ["calibration_changed: camera 'front': CameraInfo changed"]


@pytest.mark.parametrize("count", [1, 8])
def test_one_camera_and_eight_cameras_drive(count: int, tmp_path: Path) -> None:
    names = [f"camera{k}" for k in range(count)]
    ran = drive(street(names, anchors=4), tmp_path)
    assert (ran.code, ran.reasons()) == (0, ["best_candidate"] * 4)
    assert all(line["cameras"] == names for line in ran.lines)


def test_nine_cameras_are_refused_in_a_sentence(tmp_path: Path) -> None:
    eight = street([f"camera{k}" for k in range(8)], anchors=2)
    ninth = [replace(e, topic=e.topic.replace("7", "8")) for e in eight if "camera7" in e.topic]
    ran = drive(sorted([*eight, *ninth], key=lambda e: e.log_ns), tmp_path)
    assert ran.code == 3
    assert "9 cameras, expected 1 to 8. Leave some out" in ran.stderr


def test_a_rig_file_with_other_names_is_refused_with_both_lists(
    two_cameras: Path, tmp_path: Path
) -> None:
    rig = rig_file(tmp_path, rig_of(["a", "b"]))
    for ran in (
        replay(two_cameras, "--rig", rig, out=tmp_path / "out"),
        show(two_cameras, "--rig", rig, out=tmp_path / "out"),
    ):
        assert ran.code == 3
        assert "It has a, b; the recording has front, left. Rename the cameras" in ran.stderr


def test_a_rig_file_of_another_size_gives_no_plan_and_both_sizes(
    two_cameras: Path, tmp_path: Path
) -> None:
    rig = rig_file(tmp_path, rig_of(["front", "left"], 2 * WIDTH, 2 * HEIGHT))
    ran = replay(two_cameras, "--rig", rig, out=tmp_path / "out")
    assert (ran.code, set(ran.reasons())) == (4, {"bad_image"})
    assert "image is 64x48, rig says 128x96" in ran.lines[0]["missing"]["front"]
    assert not (ran.out / "first.png").exists()


def test_a_rig_file_with_fewer_or_more_cameras_drives_with_those_it_shares(
    two_cameras: Path, tmp_path: Path
) -> None:
    fewer = replay(two_cameras, "--rig", rig_file(tmp_path, rig_of(["front"])), out=tmp_path / "a")
    assert (fewer.code, set(fewer.reasons())) == (0, {"best_candidate"})
    assert fewer.summary["warnings"] == [
        "camera 'left' of the recording is not in the rig; it is not used"
    ]
    rig = rig_file(tmp_path, rig_of(["front", "left", "right"]))
    more = replay(two_cameras, "--rig", rig, out=tmp_path / "b")
    assert (more.code, set(more.reasons())) == (0, {"best_candidate"})
    assert all(line["missing"]["right"].startswith("never_seen") for line in more.lines)
    assert more.summary["warnings"] == ["camera 'right' of the rig is not in the recording"]


def test_a_thousand_different_complaints_are_counted_and_not_all_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("irl_vla.evaluation.replay_loop.MAX_NOTICES", 3)
    entries = [
        picture("left", e.stamp_ns, b"?" * (1 + n)) if shot("left")(e) else e
        for n, e in enumerate(street())
    ]
    ran = drive(entries, tmp_path)
    assert (ran.code, ran.reasons()) == (4, ["best_candidate"] * 8)
    first, further = ran.summary["warnings"]
    assert first.startswith("bad_image: camera 'left'") and first.endswith("(3 times)")
    assert further == "further notices, each of them different (5 times)"
