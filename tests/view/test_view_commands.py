"""The drawn examples of the commands carry the names they are drawn under."""

from __future__ import annotations

from pathlib import Path

import cv2

from irl_vla.language.labels import PathCommand, SpeedCommand, label
from irl_vla.view.commands import main, path_example, speed_example


def test_every_example_is_of_its_class() -> None:
    for speed_name in SpeedCommand:
        shown = speed_example(speed_name)
        assert label(shown.poses, shown.speed[0]).speed is speed_name
    for path_name in PathCommand:
        shown = path_example(path_name)
        assert label(shown.poses, shown.speed[0]).path is path_name


def test_the_pictures_are_written_and_the_same_twice(tmp_path: Path) -> None:
    names = ("commands_speed.png", "commands_path.png")
    written = []
    for _ in range(2):
        main(tmp_path)
        written.append([(tmp_path / name).read_bytes() for name in names])
        for name in names:
            image = cv2.imread(str(tmp_path / name))
            assert image is not None and min(image.shape[:2]) > 900 and image.std() > 20
    assert written[0] == written[1]
