"""What the last layers say, in metres and radians: boxes and polylines from known numbers."""

from __future__ import annotations

import math

import pytest
import torch

from irl_vla.perception.classes import CLASSES
from irl_vla.perception.heads import CAR, SPEED_SCALE, Detections, ElementHeads
from irl_vla.perception.networks import _boxes
from irl_vla.perception.preset import AGENT_QUERIES, POLYLINE_POINTS, load_preset

NANO = load_preset("nano")
ELEMENTS = NANO.map_queries
Z, SIZE, SIN, COS, SPEED = 0, slice(1, 4), 4, 5, slice(6, 8)  # rows of the box layer


@pytest.fixture
def heads() -> ElementHeads:
    """Last layers that say zero, whatever the tokens are."""
    made = ElementHeads(NANO.d_model, NANO.bev, CLASSES)
    with torch.no_grad():
        for layer in (made.box[-1], made.line[-1]):
            layer.weight.zero_()  # type: ignore[union-attr, operator]
            layer.bias.zero_()  # type: ignore[union-attr, operator]
    return made


def detections(heads: ElementHeads, places: torch.Tensor | None = None) -> Detections:
    tokens = torch.randn(1, AGENT_QUERIES + ELEMENTS, NANO.d_model)
    if places is None:
        places = torch.zeros(1, AGENT_QUERIES + 1 + ELEMENTS, 2)
    with torch.no_grad():
        return heads(tokens[:, :AGENT_QUERIES], tokens[:, AGENT_QUERIES:], places)  # type: ignore[no-any-return]


def bias(heads: ElementHeads, rows: int | slice, values: torch.Tensor | float) -> None:
    with torch.no_grad():
        heads.box[-1].bias[rows] = values  # type: ignore[index, union-attr, operator]


@pytest.mark.parametrize("degrees", [0, 30, 90, 135, 180, -45, -90, -170])
def test_a_boxes_yaw_is_the_angle_of_its_sine_and_cosine(
    heads: ElementHeads, degrees: float
) -> None:
    """Counter-clockwise from straight ahead, whatever the length of (sine, cosine)."""
    angle = math.radians(degrees)
    for length in (0.5, 1.0, 3.0):
        bias(heads, SIN, length * math.sin(angle))
        bias(heads, COS, length * math.cos(angle) - 1.0)  # the layer begins with straight ahead
        boxes = _boxes(detections(heads), torch.zeros(1, AGENT_QUERIES))
        turned = boxes[0, :, 6] - angle
        assert torch.cos(turned).min() > 1.0 - 1e-6, "the same direction"
        assert boxes[0, :, 6].abs().max() <= math.pi + 1e-6


def test_size_height_and_speed_are_in_metres_and_metres_a_second(heads: ElementHeads) -> None:
    default = detections(heads).boxes[0, 0]
    assert default[3:6].tolist() == pytest.approx(CAR) and default[2] == pytest.approx(CAR[2] / 2)
    assert default[8:].tolist() == [0.0, 0.0]
    bias(heads, Z, 0.7)
    bias(heads, SIZE, torch.tensor([math.log(2.0), 0.0, math.log(0.5)]))
    bias(heads, SPEED, torch.tensor([1.2, -0.3]))
    box = detections(heads).boxes[0, 0]
    assert box[2] == pytest.approx(CAR[2] / 2 + 0.7)
    assert box[3:6].tolist() == pytest.approx([2.0 * CAR[0], CAR[1], 0.5 * CAR[2]])
    assert box[8:].tolist() == pytest.approx([1.2 * SPEED_SCALE, -0.3 * SPEED_SCALE])


def test_agents_and_polylines_stand_at_their_own_places(heads: ElementHeads) -> None:
    """Places are those of agents, then of the ego, then of map elements; all different."""
    count = AGENT_QUERIES + 1 + ELEMENTS
    places = torch.linspace(-3.0, 3.0, 2 * count).reshape(1, count, 2)
    found, metres = detections(heads, places), heads.meters(places)
    assert torch.equal(found.boxes[..., :2], metres[:, :AGENT_QUERIES])
    for point in range(POLYLINE_POINTS):
        assert torch.equal(found.polylines[:, :, point], metres[:, AGENT_QUERIES + 1 :])
