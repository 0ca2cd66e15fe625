"""calibration/check_rig.py as a command: whatever the rig file holds, a sentence and code 3."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from cli_bags import ROOT

TINY = (ROOT / "calibration/rigs/tiny3.yaml").read_text(encoding="utf-8")


def check_rig(*words: str | Path) -> subprocess.CompletedProcess[str]:
    script = ROOT / "calibration/check_rig.py"
    return subprocess.run(
        [sys.executable, str(script), *map(str, words)], capture_output=True, text=True, timeout=60
    )


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        ("fx: 420.0", "fx: .nan", "camera 'front_left': intrinsics: expected finite numbers"),
        ("[640, 360]", "[0, 360]", "size 0x360 px, expected 1 to 16384"),
        ("name: front_left", "name: front", "camera name 'front' is given twice"),
    ],
)
def test_a_rig_that_cannot_be_is_refused_in_a_sentence(
    before: str, after: str, words: str, tmp_path: Path
) -> None:
    rig = tmp_path / "rig.yaml"
    rig.write_text(TINY.replace(before, after, 1), encoding="utf-8")
    ran = check_rig(rig)
    assert (ran.returncode, ran.stdout) == (3, "")
    assert words in ran.stderr and str(rig) in ran.stderr and "Traceback" not in ran.stderr


def test_a_folder_is_no_rig_and_a_file_no_folder_for_drawings(tmp_path: Path) -> None:
    tiny = ROOT / "calibration/rigs/tiny3.yaml"
    (tmp_path / "file").write_text("mine")
    for words in ([tmp_path], [tiny, "--out", tmp_path / "file"]):
        ran = check_rig(*words)
        assert ran.returncode == 3
        assert str(tmp_path) in ran.stderr and "cannot be" in ran.stderr
        assert "Errno" not in ran.stderr and "Traceback" not in ran.stderr
    assert (tmp_path / "file").read_text() == "mine"
