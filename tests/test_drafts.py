"""What is not whole is removed by the next one, unless its maker still lives."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from irl_vla import drafts
from irl_vla.drafts import PREFIX, DraftFolder, sweep
from irl_vla.view.report import replace_file

HOLD = """
import sys, time
from pathlib import Path
from irl_vla.drafts import DraftFolder
draft = DraftFolder(Path(sys.argv[1]))
(draft.path / "half").write_text("x")
print(draft.path, flush=True)
time.sleep(100)
"""


def test_a_draft_of_a_living_process_stays_and_of_a_killed_one_goes(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, tmp_path], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    left = Path(process.stdout.readline().strip())
    sweep(tmp_path)
    assert (left / "half").is_file()
    process.kill()
    process.wait()
    assert left.exists()
    sweep(tmp_path)
    assert not left.exists()


def test_whoever_makes_a_draft_removes_what_was_left_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(drafts, "_swept", set())
    (tmp_path / f"{PREFIX}old").mkdir()
    (tmp_path / f"{PREFIX}old" / "half").write_text("x")
    (tmp_path / f"{PREFIX}link").symlink_to(tmp_path)
    replace_file(tmp_path / "whole", b"x")
    assert sorted(path.name for path in tmp_path.iterdir()) == [f"{PREFIX}link", "whole"]


def test_a_draft_that_fails_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError), DraftFolder(tmp_path) as folder:
        (folder / "half").write_text("x")
        raise RuntimeError
    assert not list(tmp_path.iterdir())


def test_only_one_holds_a_draft(tmp_path: Path) -> None:
    with DraftFolder(tmp_path) as folder:
        sweep(tmp_path)
        assert folder.is_dir()
    assert not folder.exists()
