"""Every fenced block of Python in README and docs/ runs, as a reader would type it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from irl_vla.bag import source
from irl_vla.bag.bag_writer import BagWriter
from irl_vla.camera import lens_models
from irl_vla.camera.rig import load_rig
from irl_vla.frames import rigid_from_pose
from irl_vla.perception import backbones
from irl_vla.planner import policies
from irl_vla.types import CameraImage, EgoMotion
from irl_vla.world.benchmark.scene_files import file_of_seed
from irl_vla.world.situations import situation

ROOT = Path(__file__).parents[1]
NOT_RUN = {
    "docs/navsim.md": "needs the NAVSIM devkit",
    "docs/training.md": "needs samples, which take minutes to prepare",
}
TABLES = (
    source.READERS, lens_models.LENS_MODELS, backbones.BACKBONES, policies.POLICIES,
    situation.KINDS,
)  # fmt: skip


def blocks() -> Iterator[Any]:
    """One case per block: its document, the line where it begins, and its code."""
    for path in [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]:
        text = path.read_text(encoding="utf-8")
        for found in re.finditer(r"^```python\n(.*?)^```", text, re.MULTILINE | re.DOTALL):
            name, line = str(path.relative_to(ROOT)), text.count("\n", 0, found.start()) + 2
            why = NOT_RUN.get(name)
            marks = [pytest.mark.skip(reason=why)] if why else []
            yield pytest.param(name, line, found[1], id=f"{name}:{line}", marks=marks)


def bag_of_a_drive(path: Path) -> None:
    """A second at 5 m/s with black pictures."""
    rig = load_rig(ROOT / "calibration/rigs/tiny3.yaml")
    writer = BagWriter(path)
    writer.write_rig(rig, 0)
    for tenth in range(10):
        stamp = 1_000_000_000 + tenth * 100_000_000
        pose = rigid_from_pose(np.array([0.5 * tenth, 0.0, 0.0]))
        writer.write_motion(EgoMotion(stamp, pose, np.array([5.0, 0.0, 0.0]), "/odom"))
        for camera in rig.cameras:
            picture = np.zeros((camera.height, camera.width, 3), np.uint8)
            encoded = cv2.imencode(".jpg", picture)[1].tobytes()
            writer.write_image(CameraImage(camera.name, stamp, encoded))
    writer.close()


def readme() -> dict[str, Any]:
    bag_of_a_drive(Path("MY_BAG"))
    return {}


def scenes() -> dict[str, Any]:
    Path("scenes.json.gz").write_bytes(file_of_seed(7, groups=False))
    return {"plans": np.zeros((3, 8, 3)), "previous_plans": np.zeros((3, 8, 3))}


def futures() -> dict[str, Any]:
    poses = np.zeros((8, 3))
    poses[:, 0] = 2.5 * np.arange(1, 9)
    centre = np.column_stack([np.arange(-20.0, 80.0), np.zeros((100, 2))])
    return {"poses": poses, "speed": 5.0, "centre": centre, "width": 3.5}


def chain() -> dict[str, Any]:
    camera = load_rig(ROOT / "calibration/rigs/tiny3.yaml").cameras[0]
    return {"camera": camera, "points_ego": np.zeros((4, 3)), "world_from_ego": np.eye(4)}


GIVEN: dict[str, Callable[[], dict[str, Any]]] = {  # what the text around a block takes for granted
    "README.md": readme, "docs/epdms.md": scenes, "docs/commands.md": futures,
    "docs/frames.md": chain,
}  # fmt: skip


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A folder like the checkout that may be written to; afterwards the tables are as they were."""
    for name in ("models", "calibration"):
        (tmp_path / name).symlink_to(ROOT / name)
    monkeypatch.chdir(tmp_path)
    before = [dict(table) for table in TABLES]
    yield
    for table, entries in zip(TABLES, before, strict=True):
        table.clear()
        table.update(entries)  # type: ignore[arg-type]


@pytest.mark.usefixtures("checkout")
@pytest.mark.parametrize(("document", "line", "code"), list(blocks()))
def test_the_python_of_the_documents_runs(document: str, line: int, code: str) -> None:
    space: dict[str, Any] = {"__name__": "snippet"}
    if document in GIVEN:
        space |= GIVEN[document]()
    exec(compile("\n" * (line - 1) + code, document, "exec", dont_inherit=True), space)
