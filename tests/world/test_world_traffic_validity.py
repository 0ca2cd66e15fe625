"""The world keeps its own rules: nobody overlaps, leaves the road, jumps, or runs a red light,
unless a script says so. And the checker that says this sees every one of these faults."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from irl_vla.scoring.scene import PEDESTRIAN, VEHICLE
from irl_vla.world.build import EpisodeRequest, episode_of
from irl_vla.world.episode import Episode, Note
from irl_vla.world.town import Light
from irl_vla.world.traffic.traffic import TrafficRequest
from irl_vla.world.validity import ValidityReport, check, sum_of


@cache
def drive(seed: int, seconds: int) -> Episode:
    request = EpisodeRequest(
        steps=10 * seconds + 1, traffic=TrafficRequest(spare=26 + seconds // 2)
    )
    return episode_of(seed, request)


def driver(episode: Episode) -> int:
    """Some vehicle that drives all the time."""
    speeds = np.hypot(episode.states[..., 3], episode.states[..., 4])
    always = episode.present.all(axis=0) & (episode.actors.types == VEHICLE)
    return int(np.argmax(np.where(always, np.nan_to_num(speeds).min(axis=0), -1.0)))


def test_a_few_worlds_are_honest() -> None:
    found = sum_of(check(drive(seed, 15)) for seed in range(4))
    assert found.minutes == pytest.approx(1.0)
    assert found.faults == 0, found.where


def test_traffic_flows() -> None:
    for seed in range(4):
        episode = drive(seed, 15)
        moving = episode.actors.types == VEHICLE
        moving &= (np.nan_to_num(episode.states[..., 3:]) != 0.0).any(axis=(0, 2))
        speeds = np.hypot(episode.states[:, moving, 3], episode.states[:, moving, 4])
        assert 2.0 < np.nanmean(speeds) < 14.0


@pytest.mark.slow
def test_an_hour_on_twenty_seeds_is_honest() -> None:
    found = sum_of(check(episode_of(seed, EpisodeRequest(
        steps=1801, traffic=TrafficRequest(spare=100)))) for seed in range(20))  # fmt: skip
    print(replace(found, where=()), *found.where, sep="\n")
    assert found.minutes == pytest.approx(60.0)
    assert found.faults == 0, found.where


def spoilt(episode: Episode, k: int, step: int, column: int, by: float) -> ValidityReport:
    """What is found where one number of a recording is wrong from a step on."""
    states = episode.states.copy()
    states[step:, k, column] += by
    return check(replace(episode, states=states))


def test_the_checker_sees_overlaps_teleports_hard_braking_and_who_leaves_the_road() -> None:
    episode = drive(0, 15)
    k, clean = driver(episode), check(drive(0, 15))
    assert spoilt(episode, k, 50, 0, 0.5).teleports == clean.teleports + 1
    assert spoilt(episode, k, 50, 3, 1.5).hard == clean.hard + 1
    assert spoilt(episode, k, 50, 0, 5000.0).off_surface == clean.off_surface + 1
    other = int(np.flatnonzero(episode.present.all(axis=0) & (episode.actors.types == 0))[-1])
    states = episode.states.copy()
    states[70, other] = states[70, k]
    assert check(replace(episode, states=states)).overlaps > clean.overlaps


def test_the_checker_sees_people_on_the_road_unless_they_are_noted_as_jaywalkers() -> None:
    episode = drive(0, 15)
    person = int(np.flatnonzero((episode.actors.types == PEDESTRIAN) & episode.present.all(0))[0])
    street = max(
        (lane for lane in episode.town.lanes if lane.junction < 0),
        key=lambda lane: len(lane.centre),
    )
    states = episode.states.copy()
    states[60, person, :2] = street.centre[len(street.centre) // 2, :2]
    on_road = replace(episode, states=states)
    assert check(on_road).off_surface == check(episode).off_surface + 1
    noted = replace(on_road, notes=(Note("jaywalk", 5.0, (person,)),))
    assert check(noted).off_surface == check(replace(episode, notes=noted.notes)).off_surface


def test_the_checker_sees_who_enters_on_red_unless_it_is_noted() -> None:
    episode = next(
        drive(seed, 15)
        for seed in range(4)
        if any(lane.signal >= 0 for lane in drive(seed, 15).town.lanes)
    )
    lane = next(lane for lane in episode.town.lanes if lane.signal >= 0)
    k, length = driver(episode), episode.actors.sizes[driver(episode), 0]
    x, y, heading = lane.centre[0]
    states, lights = episode.states.copy(), np.full_like(episode.lights, Light.RED)
    for step, along in enumerate((-0.5, 0.5)):
        back = along - length / 2.0
        states[step, k, :3] = x + back * np.cos(heading), y + back * np.sin(heading), heading
    runs = replace(episode, states=states, lights=lights)
    noted = replace(runs, notes=(Note("red light run", 0.0, (k,)),))
    assert check(runs).red_lights == check(noted).red_lights + 1


def test_counts_add_up() -> None:
    one = check(drive(0, 15))
    two = sum_of([one, one])
    assert two.moments == 2 * one.moments and two.minutes == pytest.approx(2 * one.minutes)
