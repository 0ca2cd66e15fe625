"""What samples of the built-in world say is so in the world, and survives being stored."""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from irl_vla.camera.projection import project
from irl_vla.camera.rig import load_rig
from irl_vla.frames import inverse, move
from irl_vla.perception.preset import AGENT_CLASSES, MAP_CLASSES, SEG_CLASSES
from irl_vla.resources import resource
from irl_vla.vehicle import PACIFICA
from irl_vla.world.benchmark.scenes import Cutter
from irl_vla.world.build import episode_of
from irl_vla.world.episode import WorldState
from irl_vla.world.town import Light
from irl_vla_training.samples.answers import light_ahead, stop_ahead
from irl_vla_training.samples.foresight import _driven
from irl_vla_training.samples.instants import Instants, instants_of_drive, steps_to_relight
from irl_vla_training.samples.lights import relit
from irl_vla_training.samples.pixels import depth_as_bytes, depth_from_bytes
from irl_vla_training.samples.rigs import draw_rig
from irl_vla_training.samples.sample import LAMPS, Sample
from irl_vla_training.samples.settings import SampleSettings
from irl_vla_training.samples.stored import as_files, from_files
from irl_vla_training.samples.world import ASIDE_M, FASTER, displaced, samples_of_seed


def equal(one: Any, other: Any, where: str = "") -> None:
    """Raises where two values of one type differ."""
    assert type(one) is type(other), where
    if is_dataclass(one):
        for entry in fields(one):
            equal(getattr(one, entry.name), getattr(other, entry.name), f"{where}.{entry.name}")
    elif isinstance(one, tuple):
        assert len(one) == len(other), where
        for k, (a, b) in enumerate(zip(one, other, strict=True)):
            equal(a, b, f"{where}[{k}]")
    elif isinstance(one, np.ndarray):
        assert one.dtype == other.dtype and np.array_equal(one, other, equal_nan=True), where
    else:
        assert one == other or (one != one and other != other), where


def test_a_stored_sample_is_stored_again_as_the_same_bytes(samples: list[Sample]) -> None:
    for sample in samples[:4]:
        files = as_files(sample)
        again = from_files(sample.key, files)
        assert as_files(again) == files
        equal(again, sample)


def test_the_same_seed_gives_the_same_bytes(
    samples: list[Sample], settings: SampleSettings
) -> None:
    anew = [from_files(s.key, as_files(s)) for s in samples_of_seed(1_990_000, settings)]
    first = [sample for sample in samples if sample.key.startswith("1990000")]
    assert len(anew) == len(first) >= 5
    for one, other in zip(anew, first, strict=True):
        equal(one, other)


def test_depth_keeps_its_digits_and_knows_the_sky() -> None:
    depth = np.array([0.6, 1.0, 7.3, 55.0, 290.0, np.inf, np.nan], np.float32)
    back = depth_from_bytes(depth_as_bytes(depth))
    assert np.allclose(back[:5], depth[:5], rtol=0.014)
    assert np.isinf(back[5]) and np.isnan(back[6])


def test_pixels_of_a_seen_road_user_lie_within_its_box(samples: list[Sample]) -> None:
    """The box of whoever has many pixels is where pixels of that class are, at that depth."""
    checked = 0
    for sample in samples:
        assert sample.boxes is not None
        for row, kind, counts in zip(*vars(sample.boxes).values(), strict=True):
            picture = int(np.argmax(counts))
            if counts[picture] < 150 or AGENT_CLASSES[kind] != "vehicle":
                continue
            camera = sample.pictures.all[picture].camera
            at = project(camera, move(row[:3], inverse(camera.ego_from_cam)))
            truth = sample.pixels[picture]
            if not at.visible or truth is None:
                continue
            u, v = (at.pixels / 2).astype(int)
            depth = float(truth.depth[min(v, len(truth.depth) - 1), u])
            along = float(move(row[:3], inverse(camera.ego_from_cam))[2])
            checked += 1
            assert depth < along + row[3], "nothing behind it is seen through it"
    assert checked > 3


def test_the_seen_are_painted_and_the_hidden_do_not_count(
    samples: list[Sample], settings: SampleSettings
) -> None:
    vehicle, grid, hidden_cells = SEG_CLASSES.index("vehicle"), settings.grid, 0
    for sample in samples:
        assert sample.boxes is not None and sample.ground is not None
        seen = settings.is_seen(sample.boxes.pixels, len(sample.pictures.wide))
        for row, kind, shows in zip(sample.boxes.boxes, sample.boxes.kind, seen, strict=True):
            i = int((row[0] - grid.x[0]) / (grid.x[1] - grid.x[0]) * grid.cells[0] // 1)
            j = int((row[1] - grid.y[0]) / (grid.y[1] - grid.y[0]) * grid.cells[1] // 1)
            if not (0 <= i < grid.cells[0] and 0 <= j < grid.cells[1]):
                continue
            if AGENT_CLASSES[kind] == "pedestrian" and shows:
                assert sample.ground.seg[i, j] == SEG_CLASSES.index("pedestrian")
            if AGENT_CLASSES[kind] == "vehicle" and not shows:
                hidden_cells += 1
                assert not sample.ground.known[i, j] or sample.ground.seg[i, j] >= vehicle - 1
    assert hidden_cells > 0


def test_lines_end_at_the_grid_and_are_red_only_where_a_lamp_says_so(
    samples: list[Sample], settings: SampleSettings
) -> None:
    grid, red = settings.grid, MAP_CLASSES.index("red_stop_line")
    for sample in samples:
        assert sample.lines is not None
        low, high = np.array([grid.x[0], grid.y[0]]), np.array([grid.x[1], grid.y[1]])
        assert (sample.lines.points >= low - 1e-3).all()
        assert (sample.lines.points <= high + 1e-3).all()
        if sample.answers.lamp == LAMPS.index("red") and sample.answers.lamp_m < 30.0:
            assert (sample.lines.kind == red).any()


def test_the_memory_is_a_fifth_to_four_fifths_of_a_second_old(samples: list[Sample]) -> None:
    ages = [sample.memory.age_s for sample in samples if sample.memory is not None]
    assert len(ages) == len(samples) and min(ages) >= 0.2 and max(ages) <= 0.8
    assert len(set(ages)) > 3
    for sample in samples:
        assert sample.memory is not None
        way = float(np.hypot(*sample.memory.ego_now_from_memory[:2]))
        speed = float(sample.ego.velocity[0])
        assert abs(way - speed * sample.memory.age_s) < 0.5, "as far behind as the speed says"


def test_a_scene_reference_leads_to_the_same_future(samples: list[Sample]) -> None:
    sample = next(s for s in samples if s.scene is not None)
    assert sample.scene is not None and sample.way is not None
    cutter = Cutter(episode_of(sample.scene.seed))
    assert np.allclose(cutter.driven(sample.scene.step), sample.way.future, atol=1e-9)


def test_a_drive_with_everybody_seen_is_driven_again_as_it_was() -> None:
    """So whatever differs without the hidden ones differs because of them."""
    from irl_vla.world.build import simulation_of
    from irl_vla.world.simulation import episode_from

    simulation = simulation_of(1_990_001)
    moments, begin = [simulation.moment], None
    for step in range(75):
        if step == 30:
            begin = simulation.copy().driver
        moments.append(simulation.step())
    episode = episode_from(simulation, moments, 1_990_001)
    everybody = np.ones(len(episode.actors), np.bool_)
    end = _driven(begin, Cutter(episode), 30, everybody)  # type: ignore[arg-type]
    assert np.array_equal(end, episode.ego[70, :2])


def test_lit_lamps_ahead_are_taken_more_often() -> None:
    found = Instants(
        np.arange(0, 1000, 4), np.column_stack([np.arange(250) * 5.0, np.zeros(250)]),
        np.repeat([0, LAMPS.index("red")], 125), np.repeat([1.0, 4.0], 125),
    )  # fmt: skip
    steps = instants_of_drive(found, np.random.default_rng(1), 60)
    assert len(steps) == 60 == len(set(steps))
    red = sum(step >= 500 for step in steps)
    assert 40 <= red <= 56


def test_two_instants_of_a_standing_ego_are_not_both_taken() -> None:
    still = Instants(np.arange(20, 60, 2), np.zeros((20, 2)), np.zeros(20, np.int64), np.ones(20))
    steps = instants_of_drive(still, np.random.default_rng(1), 20)
    assert len(steps) <= 3 and all(b - a >= 14 for a, b in pairwise(steps))


def test_a_light_behind_the_bumper_or_far_away_is_no_answer() -> None:
    """Seeds are tried until a route has a light."""
    for seed in range(1_990_010, 1_990_030):
        cutter = Cutter(episode_of(seed))
        stops = [s for s in cutter.path.stops if s.signal >= 0 and s.crosswalk < 0]
        if stops:
            break
    path, lights = cutter.path, np.ones(len(cutter.episode.town.signals), np.int8)
    line, front = stops[0].s, PACIFICA.front_length
    lamp, gap = light_ahead(path, line - front - 20.0, front, lights)
    assert LAMPS[lamp] == "red" and gap == pytest.approx(20.0)
    assert light_ahead(path, line - front - 70.0, front, lights)[0] == LAMPS.index("none")
    _, passed = light_ahead(path, line - front + 5.0, front, lights)
    assert np.isnan(passed) or passed > 0.0


def test_a_displaced_ego_has_a_past_that_leads_to_it() -> None:
    episode = episode_of(1_990_000)
    past = tuple(episode.moment(k) for k in range(40, 50))
    now, then = displaced(episode.moment(50), past, np.array([1.0, -1.0, 1.0]))
    moved = now.ego[:2] - episode.ego[50, :2]
    assert np.hypot(*moved) == pytest.approx(ASIDE_M)
    assert now.ego[3] == pytest.approx(episode.ego[50, 3] * (1.0 + FASTER))

    def way(moments: tuple[WorldState, ...]) -> float:
        return float(np.hypot(*(moments[-1].ego[:2] - moments[0].ego[:2])))

    assert way((*then, now)) == pytest.approx((1.0 + FASTER) * way((*past, episode.moment(50))))


def test_rigs_are_varied_and_the_kept_ones_are_never_drawn() -> None:
    rng = np.random.default_rng(5)
    rigs = [draw_rig(rng) for _ in range(400)]
    home = sum(rig.name == "tiny3" for rig in rigs) / len(rigs)
    eight = sum(len(rig.cameras) == 8 for rig in rigs) / len(rigs)
    assert 0.52 < home < 0.68 and 0.02 < eight < 0.09
    assert {len(rig.cameras) for rig in rigs} == {1, 2, 3, 4, 5, 6, 8}
    assert len({rig.fingerprint for rig in rigs}) == len(rigs)
    for name in ("nuscenes_like6", "navsim_like8"):
        kept = load_rig(resource(f"calibration/rigs/{name}.yaml"))
        assert kept.fingerprint not in {rig.fingerprint for rig in rigs}


def test_another_light_changes_lamp_closed_ground_and_nothing_else() -> None:
    for seed in range(1_990_010, 1_990_030):
        cutter = Cutter(episode_of(seed))
        found = Instants.of(cutter, range(20, 166, 2))
        steps = steps_to_relight(found, found.steps.tolist(), 22)
        if steps:
            break
    moment = cutter.episode.moment(steps[0])
    stop = stop_ahead(cutter.path, float(cutter.places[steps[0]]), PACIFICA.front_length)
    assert stop is not None and len(steps) <= 7
    rng, colours = np.random.default_rng(1), set()
    for _ in range(30):
        (other,) = relit([moment], cutter, steps[0], rng)
        colours.add(int(other.lights[stop.signal]))
        changed = np.flatnonzero(other.lights != moment.lights)
        assert set(changed.tolist()) <= {stop.signal}
        assert np.array_equal(other.states, moment.states, equal_nan=True)
    assert colours == {Light.RED, Light.AMBER, Light.GREEN}


def test_nobody_is_told_what_a_driver_would_do_under_another_light(samples: list[Sample]) -> None:
    for sample in samples:
        if sample.key.endswith("l"):
            assert sample.way is None and sample.scene is None and sample.answers.reason == -1
