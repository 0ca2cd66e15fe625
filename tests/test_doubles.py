"""What has one place stays in one place: each row is a piece of code that came back before."""

from __future__ import annotations

import re

import pytest
from test_house import ROOT, sources

PI = r"(np|math)\.pi"
FRAMES, KERNELS = "irl_vla/frames.py", "irl_vla/scoring/geometry.py"
ONE_PLACE = {  # what it is -> how it looks, where it may stand
    "an angle to [-pi, pi): frames.wrap_angle, in kernels scoring.geometry.wrap": (
        rf"\+ {PI}\) ?% ?(\(2(\.0)? ?\* ?{PI}\)|\w+) ?- ?{PI}", {FRAMES, KERNELS},
    ),
    "an angle to (-pi, pi]: frames.principal_angle, in kernels scoring.geometry.principal": (
        r"atan2\((np|math)\.sin\(|arctan2\((np|math)\.sin\(", {FRAMES, KERNELS},
    ),
    "lengths along a line: frames.step_lengths, frames.arc_lengths": (
        r"hypot\(\*np\.diff\(|cumsum\(np\.(hypot|linalg\.norm)\(|norm\(np\.diff\(", {FRAMES},
    ),
    "the four corners of a box: frames.box_corners, in kernels scoring.geometry.box_corners": (
        r"\[1, 1\], \[-1, 1\], \[-1, -1\]|\[1, 1\], \[1, -1\], \[-1, -1\]|\(1, 1\), \(-1, 1\)|"
        r"\[1, -1, -1, 1\]", {FRAMES},
    ),
    "work for several processes: scoring.spread": (
        r"ProcessPoolExecutor\(|ray\.init\(", {"irl_vla/scoring/spread.py"},
    ),
    "pages from templates: view.report.rendered": (r"Environment\(", {"irl_vla/view/report.py"}),
    "where a signal is in its cycle: world.phases": (
        r"\+ \S*offset\S*\) ?%", {"irl_vla/world/phases.py"},
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", ONE_PLACE)
def test_it_stands_in_one_place(what: str) -> None:
    look, places = ONE_PLACE[what]
    found = [
        f"{name}:{number}: {line.strip()}"
        for path in sources("irl_vla/") + sources("irl_vla_nodes/irl_vla_nodes/")
        if (name := path.relative_to(ROOT).as_posix()) not in places
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if re.search(look, line)
    ]
    assert not found, f"{what}\n" + "\n".join(found)


@pytest.mark.parametrize("what", ONE_PLACE)
def test_the_place_is_there_and_recognised(what: str) -> None:
    look, places = ONE_PLACE[what]
    for name in places:
        assert re.search(look, (ROOT / name).read_text(encoding="utf-8")), f"{what}: not in {name}"
