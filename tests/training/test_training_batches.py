"""Reading and varying: the order is a function of seed and epoch, and pixels move with geometry."""

from __future__ import annotations

import json
import resource
import shutil
import subprocess
import sys
import time
from dataclasses import replace
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import torch
from lab_seeds import ENVIRONMENT, PER_SEED, SEEDS
from torch import Tensor

from irl_vla.camera.camera import Camera
from irl_vla.camera.lens_models import CameraModel
from irl_vla.camera.projection import project, sampling_grid
from irl_vla.camera.rig import ViewDirection, ego_from_look
from irl_vla.frames import inverse, move
from irl_vla.perception.preset import Preset, load_preset
from irl_vla.types import InputError
from irl_vla_training.recipe import AugmentRecipe
from irl_vla_training.samples.augment import (
    Variation,
    drawn_variation,
    mirrored_truth,
)
from irl_vla_training.samples.batch import Batch
from irl_vla_training.samples.collate import collated, item_of
from irl_vla_training.samples.decoded import Window, decoded, mirrored_camera, region
from irl_vla_training.samples.grids import grid_of
from irl_vla_training.samples.loader import Loader
from irl_vla_training.samples.sample import Sample
from irl_vla_training.samples.sample_set import SampleSet
from irl_vla_training.samples.settings import SampleSettings
from irl_vla_training.samples.shards import SampleStore

LENSES = {
    "barrel": (CameraModel.PLUMB_BOB, (-0.2, 0.05, -0.003, 0.004, 0.0)),
    "rational": (CameraModel.RATIONAL_POLYNOMIAL,
                 (0.9, 0.3, 0.001, -0.002, 0.02, 1.2, 0.5, 0.05)),
    "fisheye": (CameraModel.EQUIDISTANT, (0.03, -0.01, 0.002, -0.0005)),
}  # fmt: skip


def camera_of(lens: str) -> Camera:
    model, distortion = LENSES[lens]
    intrinsics = np.array([[300.0, 0.0, 190.0], [0.0, 310.0, 70.0], [0.0, 0.0, 1.0]])
    pose = ego_from_look((1.5, 0.4, 1.4), ViewDirection(40.0, 6.0, 2.0))
    return Camera("left", 396, 144, model, intrinsics, np.array(distortion), pose)


@pytest.mark.parametrize("lens", LENSES)
def test_a_mirrored_camera_sees_mirrored_points_in_the_mirrored_place(lens: str) -> None:
    camera = camera_of(lens)
    other = mirrored_camera(camera)
    points = np.random.default_rng(3).uniform([1, -15, -1], [30, 25, 4], (500, 3))
    flipped = points * [1.0, -1.0, 1.0]
    one = project(camera, move(points, inverse(camera.ego_from_cam)))
    two = project(other, move(flipped, inverse(other.ego_from_cam)))
    seen = one.visible
    assert seen.sum() > 50 and (two.visible == seen).all()
    assert np.allclose(two.pixels[seen, 0], camera.width - 1.0 - one.pixels[seen, 0], atol=1e-9)
    assert np.allclose(two.pixels[seen, 1], one.pixels[seen, 1], atol=1e-9)
    back = mirrored_camera(other)
    assert np.allclose(back.ego_from_cam, camera.ego_from_cam)
    assert np.allclose(back.intrinsics, camera.intrinsics)


@pytest.mark.parametrize("mirror", [False, True])
def test_the_grid_of_a_cut_picture_is_that_of_its_camera(
    samples: list[Sample], preset: Preset, mirror: bool
) -> None:
    for sample in samples[:6]:
        picture = decoded(sample.pictures.wide[0], None, Window(0.3, 0.9, 0.2), (64, 32))
        picture = picture.mirror() if mirror else picture
        at, visible = grid_of(picture, preset.bev)
        exact = sampling_grid([picture.camera], preset.bev)
        border = np.abs(np.abs(exact.grid[0]).max(axis=1) - 1.0) < 1e-4
        assert (visible == exact.visible[0])[~border].all()
        both = visible & exact.visible[0]
        assert np.allclose(at[both], exact.grid[0][both], atol=2e-5)


def test_a_cut_moves_pixels_as_its_camera_says(samples: list[Sample]) -> None:
    """A point's colour is found where the cut's camera puts it."""
    picture = next(s.pictures.wide[0] for s in samples if s.rig == "tiny3")
    whole = decoded(picture, None, Window(), (picture.camera.width, picture.camera.height))
    cut = decoded(picture, None, Window(0.0, 0.7, 0.4), (64, 32))
    part = region(picture.camera, Window(0.0, 0.7, 0.4), (64, 32))
    assert (part.width, part.height) == (64, 32)
    ray = np.array([0.1, 0.05, 1.0])
    a = np.round(project(whole.camera, ray).pixels).astype(int)
    b = np.round(project(cut.camera, ray).pixels).astype(int)
    assert (whole.pixels[a[1], a[0]] == cut.pixels[b[1], b[0]]).all()


def test_mirroring_twice_changes_nothing(
    samples: list[Sample], preset: Preset, settings: SampleSettings
) -> None:
    for sample in samples[:6]:
        twice = mirrored_truth(mirrored_truth(sample))
        one, two = (item_of(s, preset, settings) for s in (sample, twice))
        for name, value in one.truth.items():
            assert np.array_equal(value, two.truth[name], equal_nan=True), name
        assert np.array_equal(one.ego_vector, two.ego_vector)


def test_a_mirrored_batch_is_the_mirrored_world(
    samples: list[Sample], preset: Preset, settings: SampleSettings
) -> None:
    plain = collated([item_of(s, preset, settings) for s in samples[:4]], preset)
    flip = collated(
        [item_of(s, preset, settings, Variation(mirror=True)) for s in samples[:4]], preset
    )
    assert torch.equal(flip.seg, plain.seg.flip(2)) and torch.equal(flip.seen, plain.seen.flip(2))
    assert torch.equal(flip.closed, plain.closed.flip(2))
    assert torch.allclose(flip.boxes[..., 1], -plain.boxes[..., 1])
    assert torch.allclose(flip.boxes[..., 8], -plain.boxes[..., 8])
    assert torch.allclose(flip.lines[..., 1], -plain.lines[..., 1])
    assert torch.allclose(flip.future[..., 1:], -plain.future[..., 1:])
    assert torch.equal(flip.views.images, plain.views.images.flip(4))
    assert torch.equal(flip.pixels.kind, plain.pixels.kind.flip(3))
    assert torch.allclose(flip.memory.ego_now_from_memory[:, 1, 2],
                          -plain.memory.ego_now_from_memory[:, 1, 2])  # fmt: skip
    assert torch.equal(flip.box_valid, plain.box_valid)


def test_whole_pictures_are_what_the_car_would_see(samples: list[Sample], preset: Preset) -> None:
    """Fitted to the preset's size, the prepared camera is the one that the car's code fits."""
    from irl_vla.camera.preprocess import fitted_cameras
    from irl_vla.camera.rig import Rig
    from irl_vla_training.samples.rigs import draw_rig

    native = draw_rig(np.random.default_rng(8))
    settings = SampleSettings.of(preset)
    large = Rig("large", fitted_cameras(native, settings.spec))
    for wide, own in zip(large.cameras, fitted_cameras(native, preset.image), strict=True):
        cut = region(wide, Window(), (64, 32))
        assert (cut.left, cut.top, cut.width, cut.height) == (0, 0, wide.width, wide.height)
        assert abs(own.intrinsics[0, 0] / wide.intrinsics[0, 0] - 64 / wide.width) < 0.02


def test_batch_k_is_the_same_whatever_was_read_before(
    sample_set: SampleSet, preset: Preset
) -> None:
    loader = Loader(sample_set, preset, AugmentRecipe(), batch=2, seed=3)
    straight = list(islice(loader.batches(), loader.steps + 3))
    later = list(islice(loader.batches(loader.steps - 1), 4))
    for one, other in zip(straight[loader.steps - 1 :], later, strict=True):
        same(one, other)
    assert straight[0].keys != straight[loader.steps].keys, "the next epoch has another order"


def test_two_processes_share_what_one_would_read(sample_set: SampleSet, preset: Preset) -> None:
    both = Loader(sample_set, preset, AugmentRecipe(), batch=4, seed=3, ahead=0)
    parts = [replace(both, batch=2, rank=rank, world=2) for rank in (0, 1)]
    readers = [part.batches() for part in parts]
    for whole in islice(both.batches(), both.steps + 1):
        halves = [next(reader) for reader in readers]
        assert whole.keys == halves[0].keys + halves[1].keys
        assert torch.equal(whole.ego_vector, torch.cat([half.ego_vector for half in halves]))
        assert torch.equal(whole.seg, torch.cat([half.seg for half in halves]))


def test_evaluation_reads_every_sample_once_and_unvaried(
    sample_set: SampleSet, samples: list[Sample], preset: Preset
) -> None:
    found = [key for batch in Loader(sample_set, preset, None, batch=4).batches()
             for key in batch.keys]  # fmt: skip
    assert found == [sample.key for sample in samples]


def test_an_epoch_takes_every_sample_once(sample_set: SampleSet) -> None:
    order = sample_set.order(seed=1, epoch=0)
    assert len({tuple(row) for row in order.tolist()}) == len(order) == len(sample_set)


def test_a_dropped_camera_shows_nothing_and_its_road_users_do_not_count(
    samples: list[Sample], preset: Preset, settings: SampleSettings
) -> None:
    for sample in (s for s in samples if len(s.pictures.wide) > 1):
        whole = item_of(sample, preset, settings)
        for drop in range(len(sample.pictures.wide)):
            item = item_of(sample, preset, settings, Variation(drop=drop))
            assert not item.views.present[drop]
            assert (item.truth["box_valid"] <= whole.truth["box_valid"]).all()
            assert (item.truth["seen"] <= whole.truth["seen"]).all()


def test_variations_come_as_often_as_the_recipe_says() -> None:
    rng = np.random.default_rng(0)
    recipe = AugmentRecipe(mirror=0.5, blur=0.1, drop_memory=0.25)
    drawn = [drawn_variation(recipe, 3, rng) for _ in range(600)]
    assert abs(np.mean([how.mirror for how in drawn]) - 0.5) < 0.07
    assert abs(np.mean([how.blur > 0 for how in drawn]) - 0.1) < 0.05
    assert abs(np.mean([how.drop_memory for how in drawn]) - 0.25) < 0.06


def same(one: Batch, other: Batch) -> None:
    assert one.keys == other.keys
    for name, value in vars(one).items():
        if isinstance(value, Tensor):
            assert torch.equal(value.nan_to_num(), getattr(other, name).nan_to_num()), name
    assert torch.equal(one.views.images, other.views.images)


# ------------------------------------------------------------------------------- preparing

PREPARE = """
import sys
from rich.console import Console
from irl_vla.perception.preset import load_preset
from irl_vla_training.samples.prepare import prepare
from irl_vla_training.samples.settings import SampleSettings
from irl_vla_training.samples.sources import WorldSource
source = WorldSource(range({first}, {end}), per_shard=1)
prepare(sys.argv[1], SampleSettings.of(load_preset("nano"), {per_seed}), source, 1, None,
        Console(quiet=True))
"""


def test_a_killed_preparation_goes_on_and_gives_the_same_bytes(
    prepared: Path, tmp_path: Path
) -> None:
    """Killed once its first shard is whole; then the same command runs to its end."""
    code = PREPARE.format(first=SEEDS.start, end=SEEDS.stop, per_seed=PER_SEED)
    command, folder = [sys.executable, "-c", code, str(tmp_path / "set")], tmp_path / "set"
    first = subprocess.Popen(command, env=ENVIRONMENT)
    while not list(folder.glob("world-*.json")) and first.poll() is None:
        time.sleep(0.02)
    first.kill()
    first.wait()
    whole = len(list(folder.glob("world-*.json")))
    assert 0 < whole < len(SEEDS)
    subprocess.run(command, check=True, env=ENVIRONMENT)
    for path in sorted(prepared.glob("world-*")):
        assert (folder / path.name).read_bytes() == path.read_bytes(), path.name
    leftovers = {path.name for path in folder.iterdir()} - {p.name for p in prepared.iterdir()}
    assert all(name.startswith(".") for name in leftovers)


def test_a_disk_that_becomes_full_is_a_sentence_and_whole_shards_stay(
    settings: SampleSettings, samples: list[Sample], tmp_path: Path
) -> None:
    store = SampleStore.at(str(tmp_path / "set"))
    store.begin(settings)
    store.add("first", samples[:1])
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, hard))
    try:
        with pytest.raises(InputError, match=r"second.tar: cannot be written: File too large"):
            store.add("second", samples)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert [note.name for note in store.notes()] == ["first"]
    assert {path.name for path in (tmp_path / "set").iterdir()} == {
        "samples.json", "first.tar", "first.json",
    }  # fmt: skip


def test_a_set_that_was_begun_in_another_way_is_not_added_to(prepared: Path) -> None:
    store = SampleStore.at(str(prepared))
    with pytest.raises(InputError, match="begun with another per_seed"):
        store.begin(replace(store.settings(), per_seed=PER_SEED + 1))


# --------------------------------------------------------------------------------- bad input


def test_a_damaged_shard_is_named_and_skipped_only_when_asked(
    prepared: Path, preset: Preset, tmp_path: Path
) -> None:
    shutil.copytree(prepared, tmp_path / "set")
    shard = sorted((tmp_path / "set").glob("*.tar"))[1]
    shard.write_bytes(shard.read_bytes()[:-20_000])
    found = SampleSet.open(str(tmp_path / "set"))
    with pytest.raises(InputError, match=f"{shard.stem}.tar: damaged"):
        list(found.read(found.in_order()))
    tolerant = SampleSet.open(str(tmp_path / "set"), skip_broken=True)
    kept = list(tolerant.read(tolerant.in_order()))
    assert tolerant.broken == [shard.stem] and 0 < len(kept) < len(tolerant)
    keys = [
        key for batch in Loader(tolerant, preset, None, batch=2).batches() for key in batch.keys
    ]
    assert keys == [sample.key for sample in kept]


def test_a_missing_shard_is_named(prepared: Path, tmp_path: Path) -> None:
    shutil.copytree(prepared, tmp_path / "set")
    shard = min((tmp_path / "set").glob("*.tar"))
    shard.unlink()
    found = SampleSet.open(str(tmp_path / "set"))
    with pytest.raises(InputError, match=f"{shard.name}: no such file"):
        list(found.read(found.in_order()))


def test_an_empty_set_and_another_format_are_refused(prepared: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no set of samples"):
        SampleSet.open(str(tmp_path))
    (tmp_path / "set").mkdir()
    about = json.loads((prepared / "samples.json").read_text())
    (tmp_path / "set" / "samples.json").write_text(json.dumps(about))
    with pytest.raises(InputError, match="no samples in it"):
        SampleSet.open(str(tmp_path / "set"))
    about["format"] = "irl-vla-samples/0"
    (tmp_path / "set" / "samples.json").write_text(json.dumps(about))
    with pytest.raises(InputError, match="format irl-vla-samples/0, this version reads"):
        SampleSet.open(str(tmp_path / "set"))


def test_a_url_without_driver_is_a_sentence() -> None:
    with pytest.raises(InputError, match="fsspec cannot open"):
        SampleSet.open("nosuchprotocol://bucket/set")


def test_samples_of_another_preset_are_refused(sample_set: SampleSet) -> None:
    with pytest.raises(InputError, match="prepared for the preset 'nano', not for 'tiny'"):
        Loader(sample_set, load_preset("tiny"), None, batch=1)


def test_too_few_samples_for_a_batch_are_refused(sample_set: SampleSet, preset: Preset) -> None:
    with pytest.raises(InputError, match="do not fill one batch"):
        Loader(sample_set, preset, AugmentRecipe(), batch=500)
