"""The score by hand: what each sub-score is worth, and what the human filter forgives."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scoring_cases import change_lane, plan, street, tracks

from irl_vla.scoring.epdms import SubScores, combine, human_filter, score
from irl_vla.scoring.evaluate import DAC, DDC, EC, HC, LK, NC, PROGRESS, TLC, TTC
from irl_vla.scoring.scene import PEDESTRIAN, VEHICLE, NamedPlan, Scene

COLUMNS = {"nc": NC, "dac": DAC, "ddc": DDC, "tlc": TLC, "ttc": TTC, "lk": LK}
MULTIPLIERS = ("nc", "dac", "ddc", "tlc")


def sub_scores(**values: float) -> SubScores:
    """Of one plan: 1 where nothing else is said."""
    names = ("nc", "dac", "ddc", "tlc", "ep", "ttc", "lk", "hc")
    given = {name: values.get(name, 1.0) for name in names}
    mult = float(np.prod([given[name] for name in MULTIPLIERS]))
    arrays = {name: np.array([value]) for name, value in given.items()}
    return SubScores(**arrays, mult=np.array([mult]), pdm_score_no_ec=np.array([-1.0]))


def total(ec: float = 1.0, **values: float) -> float:
    return float(combine(sub_scores(**values), np.array([ec]))[0])


@pytest.mark.parametrize(("name", "weight"), [("ep", 5.0), ("ttc", 5.0), ("lk", 2.0), ("hc", 2.0)])
def test_losing_a_sub_score_costs_its_weight(name: str, weight: float) -> None:
    """Weights 5, 5, 2, 2, 2 of 16; without extended comfort 5, 5, 2, 2 of 14."""
    assert total(**{name: 0.0}) == pytest.approx(1.0 - weight / 16.0, abs=1e-15)
    assert total(**{name: 0.5}) == pytest.approx(1.0 - weight / 32.0, abs=1e-15)
    assert total(np.nan, **{name: 0.0}) == pytest.approx(1.0 - weight / 14.0, abs=1e-15)


def test_losing_extended_comfort_costs_two_sixteenths_and_not_knowing_it_nothing() -> None:
    assert total(0.0) == pytest.approx(14.0 / 16.0, abs=1e-15)
    assert total(np.nan) == total(1.0) == 1.0


@pytest.mark.parametrize("name", MULTIPLIERS)
def test_a_multiplier_scales_everything(name: str) -> None:
    rest = (5 * 0.2 + 5 * 1.0 + 2 * 0.0 + 2 * 1.0 + 2 * 1.0) / 16.0
    assert total(ep=0.2, lk=0.0, **{name: 0.5}) == pytest.approx(0.5 * rest, abs=1e-15)
    assert total(**{name: 0.0}) == 0.0


def human(**values: float) -> np.ndarray:
    """Terms of the human's own plan: 1 where nothing else is said."""
    terms = np.ones(9)
    for name, value in values.items():
        terms[{**COLUMNS, "hc": HC, "ec": EC, "progress": PROGRESS}[name]] = value
    return terms


@pytest.mark.parametrize("name", COLUMNS)
def test_what_the_human_fails_is_forgiven_and_nothing_else_is(name: str) -> None:
    failed = sub_scores(**dict.fromkeys(COLUMNS, 0.0))
    filtered = human_filter(failed, human(**{name: 0.0}))
    for other in COLUMNS:
        assert getattr(filtered, other)[0] == (1.0 if other == name else 0.0)
    half = human_filter(sub_scores(**{name: 0.0}), human(**{name: 0.5}))
    assert getattr(half, name)[0] == 0.0, "half a failure forgives nothing"


@pytest.mark.parametrize("name", COLUMNS)
def test_forgiving_mends_the_product_or_the_weighted_mean(name: str) -> None:
    """A plan that fails one sub-score alone is whole again."""
    lost = sub_scores(**{name: 0.0})
    weight = {"ttc": 5.0, "lk": 2.0}.get(name, 16.0)
    assert float(combine(lost, np.array([1.0]))[0]) == pytest.approx(1.0 - weight / 16.0)
    filtered = human_filter(lost, human(**{name: 0.0}))
    assert filtered.mult[0] == 1.0 and float(combine(filtered, np.array([1.0]))[0]) == 1.0
    assert filtered.pdm_score_no_ec[0] == -1.0, "is not refreshed"


@pytest.mark.parametrize("kept", MULTIPLIERS)
def test_what_is_not_forgiven_stays_in_the_product(kept: str) -> None:
    """The human fails the three other multipliers; the plan fails all four, this one by half."""
    others = dict.fromkeys([name for name in MULTIPLIERS if name != kept], 0.0)
    filtered = human_filter(sub_scores(**others, **{kept: 0.5}), human(**others))
    assert filtered.mult[0] == 0.5 and getattr(filtered, kept)[0] == 0.5
    assert float(combine(filtered, np.array([1.0]))[0]) == 0.5


def test_progress_and_comfort_are_never_forgiven() -> None:
    lost = sub_scores(ep=0.3, hc=0.0)
    filtered = human_filter(lost, human(hc=0.0, ec=0.0, progress=0.0))
    assert filtered.ep[0] == 0.3 and filtered.hc[0] == 0.0
    assert human_filter(lost, None) is lost and human_filter(lost, human()) is lost


def recorded(scene: Scene, poses: np.ndarray) -> Scene:
    """The scene with a human who drove these poses."""
    return replace(scene, scene_type="original", human=NamedPlan("", "log", poses))


def test_who_leaves_the_lane_like_the_human_keeps_direction_and_lane() -> None:
    """Over into the oncoming lane, off the route: DDC 0, LK 0; the human did the same."""
    poses = change_lane(3.5)
    alone = score(street(), poses)
    assert (alone.raw.ddc[0], alone.raw.lk[0], alone.epdms[0]) == (0.0, 0.0, 0.0)
    found = score(recorded(street(), poses), poses)
    assert (found.filtered.ddc[0], found.filtered.lk[0]) == (1.0, 1.0)
    assert (found.raw.ddc[0], found.raw.lk[0], found.epdms_raw[0]) == (0.0, 0.0, 0.0)
    ep, hc = found.raw.ep[0], found.raw.hc[0]
    assert found.epdms[0] == pytest.approx((5 * ep + 5 + 2 + 2 * hc) / 14, abs=1e-15)


def test_who_alone_leaves_the_lane_is_not_forgiven() -> None:
    found = score(recorded(street(), plan(10.0)), change_lane(3.5))
    assert (found.filtered.ddc[0], found.filtered.lk[0], found.epdms[0]) == (0.0, 0.0, 0.0)


def test_a_human_who_brakes_hard_forgives_nobodys_discomfort() -> None:
    hard = plan(10.0, acceleration=-6.0)
    found = score(recorded(street(), hard), hard)
    assert found.raw.hc[0] == found.filtered.hc[0] == 0.0
    ep = found.raw.ep[0]
    assert found.epdms[0] == pytest.approx((5 * ep + 5 + 2) / 14, abs=1e-15)


@pytest.mark.parametrize("kind", [VEHICLE, PEDESTRIAN])
def test_who_hits_what_the_human_hits_is_forgiven_the_collision(kind: int) -> None:
    ahead = tracks(("ahead", kind, 20.0, 0.0, 0.0, 2.0, 0.0))
    scene, straight = street(agents=ahead), plan(10.0)
    assert score(scene, straight).epdms[0] == 0.0
    found = score(recorded(scene, straight), straight)
    assert (found.raw.nc[0], found.filtered.nc[0], found.filtered.ttc[0]) == (0.0, 1.0, 1.0)
    assert found.epdms[0] == pytest.approx((5 * found.raw.ep[0] + 9) / 14, abs=1e-15)
