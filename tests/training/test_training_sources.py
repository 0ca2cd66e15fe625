"""Samples of recordings: what they know is told, and what they do not know is masked."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from irl_vla.camera.preprocess import ImageSpec, preprocess
from irl_vla.perception.preset import MAP_CLASSES, SEG_CLASSES, Preset
from irl_vla.types import CameraImage, FrameSet, InputError
from irl_vla_training.samples.bags import samples_of_bag
from irl_vla_training.samples.collate import collated, item_of
from irl_vla_training.samples.command import prepare_command
from irl_vla_training.samples.navsim_logs import shelf_of
from irl_vla_training.samples.rigs import draw_rig
from irl_vla_training.samples.sample import Sample
from irl_vla_training.samples.scenarios import samples_of_scenario
from irl_vla_training.samples.settings import SampleSettings
from irl_vla_training.samples.sources import scenario_source
from irl_vla_training.samples.stored import as_files, from_files
from irl_vla_training.samples.taken import fitted_pictures

SHARED = Path(__file__).parents[3] / "shared"


def shared(name: str) -> Path:
    path = SHARED / name
    if not path.exists():
        pytest.skip(f"{path} is not there: it holds recordings that are not part of the project")
    return path


def stays_the_same(sample: Sample) -> None:
    files = as_files(sample)
    assert as_files(from_files(sample.key, files)) == files


@pytest.fixture(scope="module")
def scenario(settings: SampleSettings) -> list[Sample]:
    path = shared("scenarios/scenarionet/sd_nuscenes_v1.0-mini_scene-0103.pkl")
    return list(samples_of_scenario(path, settings))


def test_a_recorded_scenario_masks_lights_walkways_and_reasons(scenario: list[Sample]) -> None:
    assert len(scenario) >= 4
    for sample in scenario:
        assert sample.ground is not None and sample.lines is not None
        assert sample.ground.closed is None and sample.answers.lamp == -1
        assert sample.answers.reason == -1 and not sample.other_ways and sample.scene is None
        walkway = SEG_CLASSES.index("walkway")
        assert not sample.ground.classes[walkway] and not (sample.ground.seg == walkway).any()
        for name in ("stop_line", "red_stop_line"):
            assert not sample.lines.classes[MAP_CLASSES.index(name)]
        assert sample.way is not None and np.isfinite(sample.way.future).all()
        stays_the_same(sample)


def test_a_bag_tells_pictures_motion_and_future(settings: SampleSettings, preset: Preset) -> None:
    found = list(samples_of_bag(shared("recordings/kitti_clip1"), settings))
    assert len(found) >= 8, "5 s at half a second's spacing"
    assert found[0].way is not None, "its next four seconds are recorded"
    assert found[-1].way is None, "after it the recording ends"
    for sample in found:
        assert sample.ground is None and sample.lines is None and set(sample.pixels) == {None}
        if sample.memory is not None:
            assert 0.2 <= sample.memory.age_s <= 0.8
            way = float(np.hypot(*sample.memory.ego_now_from_memory[:2]))
            assert way == pytest.approx(
                float(np.hypot(*sample.ego.velocity)) * sample.memory.age_s, abs=0.5
            )
    assert any(sample.memory is not None for sample in found)
    assert all(sample.ego.valid for sample in found[1:]), "its odometry begins after its pictures"
    batch = collated([item_of(sample, preset, settings) for sample in found[:2]], preset)
    assert not batch.seg_known.any() and not batch.boxes_known.any() and not batch.lines_known.any()
    assert (batch.pixels.kind == 255).all() and batch.lamp.tolist() == [-1, -1]


def test_known_boxes_of_a_recording_are_told_without_pixels(settings: SampleSettings) -> None:
    found = list(samples_of_bag(shared("recordings/dgp_scene02_6cam"), settings))
    boxes = [sample.boxes for sample in found if sample.boxes is not None]
    assert boxes and sum(len(known.kind) for known in boxes) > 0
    assert all((known.pixels == -1).all() for known in boxes)
    assert all(len(sample.pictures.wide) == 6 for sample in found)


def test_a_navsim_frame_knows_its_map_and_no_pixels(settings: SampleSettings) -> None:
    shelf = shelf_of(shared("navsim/data"), "syn_test")
    found = [sample for log in shelf.index.by_log() for sample in shelf.samples(log, settings)]
    assert found
    for sample in found:
        assert sample.ground is not None and sample.lines is not None and sample.boxes is not None
        assert (sample.ground.seg == SEG_CLASSES.index("road")).any()
        known = {MAP_CLASSES[k] for k in np.flatnonzero(sample.lines.classes)}
        assert known == {"centerline", "crosswalk"}
        assert set(sample.pixels) == {None} and sample.answers.lamp == -1
        stays_the_same(sample)


def test_stored_pictures_are_those_that_the_car_s_code_prepares(settings: SampleSettings) -> None:
    """A smooth picture, fitted here and there: the same pixels but for rounding."""
    rig = draw_rig(np.random.default_rng(4))
    images = {}
    for camera in rig.cameras:
        v, u = np.mgrid[: camera.height, : camera.width]
        smooth = np.stack([u * 200.0 / camera.width, v * 200.0 / camera.height, (u + v) * 0.05], -1)
        images[camera.name] = CameraImage(camera.name, 0, pixels=smooth.astype(np.uint8))
    frames = FrameSet(0, images)
    pictures = fitted_pictures(frames, rig, settings)
    plain = ImageSpec(*settings.image, (0.0,) * 3, (1.0,) * 3, settings.horizon)  # type: ignore[arg-type]
    ours = [picture.camera for picture in pictures.wide]
    theirs = preprocess(frames, rig, plain)
    assert [camera.intrinsics.tolist() for camera in ours] == [
        camera.intrinsics.tolist() for camera in theirs.cameras
    ]


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"source": "bag"}, "expected one or more recordings"),
        ({"source": "scenarionet", "paths": [Path("/no/such.pkl")]}, "no such file"),
        ({"source": "navsim", "paths": [Path("/")]}, "expected one folder and --split"),
        ({"source": "world", "paths": [Path("/")], "seeds": "0:1"}, "no files"),
    ],
)
def test_a_source_says_what_it_needs(given: dict[str, object], words: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=words):
        prepare_command(out=str(tmp_path / "out"), **given)  # type: ignore[arg-type]


def test_two_files_of_one_name_are_refused() -> None:
    with pytest.raises(InputError, match="two files are called 'a'"):
        _ = scenario_source((Path("x/a.pkl"), Path("y/a.pkl"))).units
