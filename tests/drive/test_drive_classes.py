"""Classes are found by their names: the order of a bundle's lists does not change a decision."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from irl_vla.camera.projection import BevGrid
from irl_vla.drive.checks import surroundings
from irl_vla.drive.guard import Choice, GuardConfig, best_first, choose
from irl_vla.perception.classes import CLASSES, SceneClasses
from irl_vla.types import Candidates, EgoStatus, InputError, SceneTokens
from irl_vla.vehicle import PACIFICA

AREA = BevGrid(x=(-16.0, 48.0), y=(-32.0, 32.0), cells=(64, 64))
FEWER = SceneClasses(  # two, one and one fewer, and in another order
    agents=("pedestrian", "vehicle"),
    map=("red_stop_line", "stop_line", "boundary", "divider", "centerline"),
    seg=("obstacle", "vehicle", "centerline", "nothing", "pedestrian", "road"),
)
EGO = EgoStatus(0, np.array([8.0, 0.0]), np.zeros(2), 0.0, True, "test")


def seen(rng: np.random.Generator) -> SceneTokens:
    """A street with cars, lines and undrivable places anywhere, of classes that both lists have."""
    agents, lines = 4, 5
    boxes = np.zeros((agents, 10), np.float16)
    boxes[:, :2] = rng.uniform((5.0, -6.0), (40.0, 6.0), (agents, 2))
    boxes[:, 3:6] = 4.0, 1.8, 1.5
    boxes[:, 6:8] = rng.normal(size=(agents, 2))
    start = rng.uniform((5.0, -12.0), (45.0, 12.0), (lines, 1, 2))
    along = np.linspace(0.0, 8.0, 20)[:, None] * rng.normal(size=(lines, 1, 2))
    seg = np.zeros((len(CLASSES.seg), *AREA.cells))
    kinds = [CLASSES.seg.index(name) for name in FEWER.seg]
    drawn = rng.choice(kinds, AREA.cells, p=(0.002, 0.002, 0.1, 0.002, 0.002, 0.892))
    np.put_along_axis(seg, drawn[None], 0.9, axis=0)
    shared = [CLASSES.map.index(name) for name in FEWER.map]
    return replace(
        SceneTokens.blind(0, 0),
        boxes=boxes, agent_valid=rng.random(agents) < 0.2, agent_class=np.zeros(agents, np.int64),
        polylines=(start + along).astype(np.float16), map_valid=rng.random(lines) < 0.5,
        map_class=rng.choice(shared, lines), seg=seg.astype(np.float16),
    )  # fmt: skip


def reordered(tokens: SceneTokens, classes: SceneClasses) -> SceneTokens:
    """The same sight as a bundle with these lists would say it."""
    agents = [classes.agents.index(CLASSES.agents[kind]) for kind in tokens.agent_class]
    lines = [classes.map.index(CLASSES.map[kind]) for kind in tokens.map_class]
    cells = [CLASSES.seg.index(name) for name in classes.seg]
    return replace(
        tokens, agent_class=np.array(agents), map_class=np.array(lines), seg=tokens.seg[cells]
    )


def fan() -> Candidates:
    """Eleven ways to go on, left to right."""
    time = 0.5 * np.arange(1, 9)
    poses = []
    for curvature in np.linspace(-0.04, 0.04, 11):
        yaw = curvature * 8.0 * time
        steps = np.diff(yaw, prepend=0.0)
        x = np.cumsum(4.0 * np.cos(yaw - steps / 2))
        y = np.cumsum(4.0 * np.sin(yaw - steps / 2))
        poses.append(np.stack([x, y, yaw], axis=-1))
    return Candidates(np.array(poses), np.linspace(1.0, 0.1, 11))


def decision(tokens: SceneTokens, classes: SceneClasses) -> Choice:
    around = surroundings(tokens, AREA, classes, PACIFICA, 0.7)
    order = best_first(fan().confidence)
    return choose(fan(), order, EGO, around, PACIFICA, GuardConfig())


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 2**32 - 1))
def test_fewer_classes_in_another_order_give_the_same_guard_decisions(seed: int) -> None:
    tokens = seen(np.random.default_rng(seed))
    first, second = (
        decision(told, classes)
        for told, classes in ((tokens, CLASSES), (reordered(tokens, FEWER), FEWER))
    )
    assert first == second


def test_the_drawn_streets_differ_and_so_do_the_decisions() -> None:
    """Else the law above would say nothing."""
    chosen, reasons = set(), set()
    for seed in range(40):
        tokens = seen(np.random.default_rng(seed))
        choice = decision(tokens, CLASSES)
        chosen.add(choice.chosen)
        reasons |= {rejection.reason for rejection in choice.rejected}
    assert len(chosen) >= 4 and reasons >= {"collision", "red_light", "boundary", "off_road"}


def test_read_by_the_wrong_lists_the_decisions_would_differ() -> None:
    wrong = replace(CLASSES, map=(*CLASSES.map[1:], CLASSES.map[0]))
    tokens = seen(np.random.default_rng(1))
    right = surroundings(tokens, AREA, CLASSES, PACIFICA, 0.7)
    told = surroundings(tokens, AREA, wrong, PACIFICA, 0.7)
    assert len(right.boundaries) + len(right.red_lines) > 0
    assert [len(x) for x in (told.boundaries, told.red_lines)] != [
        len(x) for x in (right.boundaries, right.red_lines)
    ]


def test_a_class_that_the_guard_needs_and_the_bundle_lacks_is_named() -> None:
    blind = replace(CLASSES, map=tuple(name for name in CLASSES.map if name != "boundary"))
    with pytest.raises(InputError, match="no class 'boundary' under 'map', which the guard needs"):
        surroundings(seen(np.random.default_rng(0)), AREA, blind, PACIFICA, 0.7)
