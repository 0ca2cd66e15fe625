"""Animated WebP files: what is put in comes out, in time, and never half of it."""

from __future__ import annotations

import weakref
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from irl_vla.types import U8, InputError
from irl_vla.view.animation import THREADS, write_webp


def ball(step: int, height: int = 90, width: int = 120) -> U8:
    """A bright square that moves over a calm ground."""
    image = np.full((height, width, 3), (90, 120, 80), np.uint8)
    image[20:40, 10 + 3 * step : 30 + 3 * step] = (220, 60, 40)
    return image


def read(path: Path) -> tuple[list[U8], list[int]]:
    """(frames as a viewer shows them, how long each stays [ms])."""
    frames, times = [], []
    with Image.open(path) as file:
        for index in range(getattr(file, "n_frames", 1)):
            file.seek(index)
            frames.append(np.asarray(file.convert("RGB")))
            times.append(int(file.info["duration"]))
    return frames, times


@pytest.mark.parametrize("size", [(90, 120), (91, 121)])
def test_every_frame_is_shown_as_it_was_given(tmp_path: Path, size: tuple[int, int]) -> None:
    given = [ball(k, *size) for k in range(12)]
    assert write_webp(tmp_path / "a.webp", given, 10.0, 90) == 12
    shown, times = read(tmp_path / "a.webp")
    assert times == [100] * 12
    for before, after in zip(given, shown, strict=True):
        assert after.shape == before.shape
        assert np.abs(before.astype(int) - after).mean() < 3.0


def test_frames_that_change_nothing_cost_nothing_and_keep_their_time(tmp_path: Path) -> None:
    write_webp(tmp_path / "still.webp", [ball(0)] * 50 + [ball(1)], 30.0)
    write_webp(tmp_path / "short.webp", [ball(0), ball(1)], 30.0)
    shown, times = read(tmp_path / "still.webp")
    assert len(shown) == 2
    assert sum(times) == round(51 * 1000 / 30)
    assert (tmp_path / "still.webp").stat().st_size == (tmp_path / "short.webp").stat().st_size


def test_a_part_that_changes_is_stored_alone(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    ground = rng.integers(0, 255, (240, 320, 3), dtype=np.uint8)
    frames = []
    for k in range(10):
        frames.append(ground.copy())
        frames[-1][101:121, 33 + k : 53 + k] = 255
    one = write_webp(tmp_path / "one.webp", frames[:1], 10.0)
    ten = write_webp(tmp_path / "ten.webp", frames, 10.0)
    assert (one, ten) == (1, 10)
    extra = (tmp_path / "ten.webp").stat().st_size - (tmp_path / "one.webp").stat().st_size
    assert extra < 0.5 * (tmp_path / "one.webp").stat().st_size
    shown, _ = read(tmp_path / "ten.webp")
    np.testing.assert_array_equal(shown[0][:90], shown[9][:90])


def test_the_same_frames_give_the_same_bytes(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write_webp(tmp_path / f"{name}.webp", (ball(k) for k in range(9)), 10.0)
    assert (tmp_path / "a.webp").read_bytes() == (tmp_path / "b.webp").read_bytes()


def test_a_film_of_any_length_needs_the_memory_of_a_few_frames(tmp_path: Path) -> None:
    alive: weakref.WeakValueDictionary[int, U8] = weakref.WeakValueDictionary()
    most = 0

    def frames() -> Iterator[U8]:
        nonlocal most
        for k in range(30):
            alive[k] = image = ball(k)
            most = max(most, len(alive))
            yield image

    told: list[int] = []
    write_webp(tmp_path / "a.webp", frames(), 10.0, progress=told.append)
    assert told == list(range(1, 31))
    assert most <= 2 * THREADS + 4


def test_a_failure_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "a.webp"
    path.write_bytes(b"old")

    def breaks() -> Iterator[U8]:
        yield ball(0)
        raise RuntimeError("the world ended")

    with pytest.raises(RuntimeError, match="the world ended"):
        write_webp(path, breaks(), 10.0)
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(InputError, match="cannot be written"):
        write_webp(tmp_path / "file" / "a.webp", [ball(0)], 10.0)


@pytest.mark.parametrize(
    "frames",
    [
        [],
        [ball(0), ball(0, 80, 120)],
        [ball(0).astype(np.float32)],
        [ball(0)[..., 0]],
    ],
)
def test_what_is_no_film_is_refused(tmp_path: Path, frames: list[U8]) -> None:
    with pytest.raises(ValueError, match="frame"):
        write_webp(tmp_path / "a.webp", frames, 10.0)
    assert not list(tmp_path.iterdir())
