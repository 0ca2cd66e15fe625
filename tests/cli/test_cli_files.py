"""Files that are no bags, folders that cannot be written, bundles that were touched: one sentence,
exit code 3, and old results stay as they were."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from shutil import copytree

import pytest
from cli_bags import ROOT, RULE, command, replay, show, street, write

from irl_vla.bag.bag import read_plans

BAD_BAGS = [
    (b"", "the file is empty (0 bytes)"),
    (b"hello, this is no recording", "not a bag: expected an mcap"),
    (None, "no bag in this directory"),
]


@pytest.mark.parametrize(("content", "words"), BAD_BAGS)
def test_what_is_no_bag_is_code_3_for_every_command_and_writes_nothing(
    content: bytes | None, words: str, tmp_path: Path
) -> None:
    bag, out = tmp_path / "x.mcap", tmp_path / "out"
    bag.mkdir() if content is None else bag.write_bytes(content)
    for ran in (replay(bag, out=out), show(bag, out=out), command("bag", "info", bag)):
        assert ran.code == 3
        assert words in ran.stderr and str(bag) in ran.stderr
        assert "Traceback" not in ran.stderr
    assert not out.exists()


def test_what_does_not_exist_is_code_3(tmp_path: Path) -> None:
    gone, out = tmp_path / "gone", tmp_path / "out"
    for ran in (replay(gone, out=out), show(gone, out=out), command("bag", "info", gone)):
        assert ran.code == 3
        assert f"{gone}: no such file or directory" in ran.stderr


def test_a_cut_recording_drives_up_to_the_break_and_names_it_everywhere(
    tmp_path: Path,
) -> None:
    whole = write(tmp_path / "whole.mcap", street(anchors=10))
    data = whole.read_bytes()
    cut = tmp_path / "cut.mcap"
    cut.write_bytes(data[: len(data) * 6 // 10])
    ran, entire = replay(cut, out=tmp_path / "a"), replay(whole, out=tmp_path / "b")
    assert ran.code == 0
    assert 4 <= len(ran.lines) <= 7
    assert ran.lines[:-1] == entire.lines[: len(ran.lines) - 1]
    warning = ran.summary["warnings"][0]
    assert "broken at byte" in warning and "everything before it is used" in warning
    assert warning in ran.page and warning in ran.stdout
    seen = show(cut, out=tmp_path / "c")
    assert seen.code == 0 and warning in seen.stdout
    assert warning in (tmp_path / "c/show.html").read_text(encoding="utf-8")
    assert "broken at byte" in command("bag", "info", cut).stdout


def test_damage_that_is_found_only_while_reading_is_on_the_page_too(tmp_path: Path) -> None:
    bag = write(tmp_path / "a.mcap", street(anchors=6))
    data = bytearray(bag.read_bytes())
    first = data.index(b"\xff\xd8\xff")
    second = data.index(b"\xff\xd8\xff", first + 3)  # of the left camera
    data[second : second + 4] = b"\0\0\0\0"
    bag.write_bytes(data)
    ran = replay(bag, out=tmp_path / "out")
    assert ran.code == 4
    assert ran.lines[0]["missing"]["left"].startswith("bad_image: ")
    assert ran.reasons() == ["best_candidate"] * 6
    (warning,) = ran.summary["warnings"]
    assert warning.startswith("bad_image: camera 'left': neither JPEG nor PNG")
    assert "neither JPEG nor PNG" in ran.page


def test_results_that_cannot_be_written_are_said_before_anything_is_read(
    two_cameras: Path, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("mine")
    for ran in (
        replay(two_cameras, out=tmp_path / "file"),
        replay(two_cameras, out=tmp_path / "file" / "below"),
        show(two_cameras, out=tmp_path / "file"),
        show(two_cameras, out=tmp_path / "file" / "below"),
    ):
        assert ran.code == 3
        assert str(tmp_path / "file") in ran.stderr and "another --out" in ran.stderr
    assert (tmp_path / "file").read_text() == "mine"


def test_a_folder_where_a_result_belongs_is_said_and_stays(
    two_cameras: Path, tmp_path: Path
) -> None:
    (tmp_path / "out/report.html").mkdir(parents=True)
    ran = replay(two_cameras, out=tmp_path / "out")
    assert ran.code == 3
    assert "report.html: is a folder" in ran.stderr
    assert [p.name for p in (tmp_path / "out").iterdir()] == ["report.html"]


FULL_DISK = """
import resource, signal, sys
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[1]), resource.RLIM_INFINITY))
del sys.argv[1]
from irl_vla.cli.app import main
main()
"""


@pytest.mark.parametrize("allowed", [60_000])
def test_a_disk_that_fills_up_is_code_3_and_keeps_the_old_results(
    allowed: int, two_cameras: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    assert replay(two_cameras, out=out).code == 0
    before = {p.name: p.read_bytes() for p in out.iterdir()}
    words = ["replay", two_cameras, "--bundle", RULE, "--out", out]
    ran = subprocess.run(
        [sys.executable, "-c", FULL_DISK, str(allowed), *map(str, words)],
        capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert ran.returncode == 3, ran.stderr
    assert "File too large" in ran.stderr and "Traceback" not in ran.stderr
    assert {p.name: p.read_bytes() for p in out.iterdir()} == before


def test_a_picture_of_an_older_replay_does_not_stay_beside_newer_results(
    two_cameras: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    assert replay(two_cameras, out=out).code == 0
    assert (out / "first.png").exists()
    (out / "notes.txt").write_text("mine")
    (tmp_path / "rig.yaml").write_text(
        (ROOT / "calibration/rigs/tiny3.yaml").read_text().replace("front_left", "left")
    )  # 640x360: no picture of the recording fits
    assert replay(two_cameras, "--rig", tmp_path / "rig.yaml", out=out).code == 4
    assert not (out / "first.png").exists()
    assert (out / "notes.txt").read_text() == "mine"


def test_a_bundle_that_is_absent_a_file_or_changed_by_one_bit_is_refused(
    two_cameras: Path, tmp_path: Path
) -> None:
    flipped = copytree(RULE, tmp_path / "flipped")
    content = bytearray((flipped / "rule.yaml").read_bytes())
    content[10] ^= 1
    (flipped / "rule.yaml").write_bytes(content)
    for bundle, words in [
        (tmp_path / "gone", "expected a folder with manifest.json"),
        (RULE / "rule.yaml", "expected a folder with manifest.json"),
        (flipped, "'rule.yaml' is damaged or was changed"),
    ]:
        ran = replay(two_cameras, out=tmp_path / "out", bundle=bundle)
        assert ran.code == 3
        assert words in ran.stderr
    assert not (tmp_path / "out").exists()


def test_rig_and_topic_files_that_cannot_be_used_never_end_in_a_traceback(
    two_cameras: Path, tmp_path: Path
) -> None:
    (tmp_path / "bytes.yaml").write_bytes(b"\xff\xfe\0")
    (tmp_path / "list.yaml").write_text("- 1\n- 2\n")
    (tmp_path / "typo.yaml").write_text("name: a\ncamera: []\n")
    for name, code in [("", 2), ("gone.yaml", 3), ("bytes.yaml", 3), ("list.yaml", 3),
                       ("typo.yaml", 3)]:  # fmt: skip
        for option in ("--rig", "--topics"):
            ran = replay(two_cameras, option, tmp_path / name, out=tmp_path / "out")
            assert ran.code == code, (name, option, ran.stderr)
    assert not (tmp_path / "out").exists()


def test_without_a_plan_the_bag_of_plans_can_still_be_opened(tmp_path: Path) -> None:
    bag = write(tmp_path / "bag", [e for e in street() if "kinematic" not in e.topic])
    assert replay(bag, out=tmp_path / "out").code == 0
    assert command("bag", "info", tmp_path / "out/plans.mcap").code == 0
    with pytest.raises(ValueError, match="no plans in this bag"):
        list(read_plans(tmp_path / "out/plans.mcap"))
