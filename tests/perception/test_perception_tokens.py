"""The contract of the graphs: ego vector, memory inputs, camera slots, SceneTokens."""

from __future__ import annotations

from dataclasses import fields

import numpy as np
import pytest

from irl_vla.frames import rigid_from_pose
from irl_vla.perception.preset import load_preset
from irl_vla.perception.tokens import (
    EGO_VECTOR_SIZE,
    TOKEN_ARRAYS,
    BevMemory,
    bev_io,
    encode_ego,
    memory_inputs,
    planar,
    scene_tokens,
    to_slots,
)
from irl_vla.types import EgoStatus, InputError, Intent, IntentDirection, SceneTokens

NANO = load_preset("nano")


def status(valid: bool = True, yaw_rate: float = 0.5) -> EgoStatus:
    return EgoStatus(0, np.array([10.0, -1.0]), np.array([3.0, 0.0]), yaw_rate, valid, "test")


def test_ten_metres_a_second_is_one() -> None:
    vector = encode_ego(status(), None)
    np.testing.assert_allclose(vector[:6], [1.0, -0.1, 1.0, 0.0, 1.0, 1.0], rtol=1e-6)
    assert (vector.shape, vector.dtype) == ((EGO_VECTOR_SIZE,), np.float32)


def test_an_invalid_status_is_the_same_as_none_even_with_nan_in_it() -> None:
    broken = status(valid=False, yaw_rate=float("nan"))
    np.testing.assert_array_equal(encode_ego(broken, None), encode_ego(None, None))


def test_no_intent_is_the_unknown_intent() -> None:
    np.testing.assert_array_equal(
        encode_ego(status(), None), encode_ego(status(), Intent(IntentDirection.UNKNOWN))
    )


@pytest.mark.parametrize("direction", list(IntentDirection))
def test_each_intent_lights_one_lamp(direction: IntentDirection) -> None:
    lamps = encode_ego(None, Intent(direction))[6:10]
    assert lamps.sum() == 1.0
    assert list(IntentDirection)[int(lamps.argmax())] is direction


def test_a_route_point_at_the_origin_differs_from_no_route_point() -> None:
    here = Intent(route=np.zeros((1, 2)))
    assert not np.array_equal(encode_ego(None, here), encode_ego(None, Intent()))
    assert encode_ego(None, here)[-20:].sum() == 1.0


def test_planar_keeps_the_pose_in_the_plane() -> None:
    matrix = planar(rigid_from_pose((3.0, -2.0, 0.5), z=7.0))
    np.testing.assert_allclose(matrix @ [1.0, 0.0, 1.0], [3.0 + np.cos(0.5), -2.0 + np.sin(0.5), 1])


def test_memory_inputs_have_the_shapes_of_the_graph_with_and_without_memory() -> None:
    bev = np.zeros((NANO.d_model, *NANO.pooled), np.float16)
    specs = {spec.name: spec for spec in bev_io(NANO).inputs}
    for memory in (None, BevMemory(bev, np.eye(4), 0.5)):
        for name, value in memory_inputs(NANO, memory).items():
            assert (value.shape, value.dtype.name) == (specs[name].shape, specs[name].dtype)
        assert memory_inputs(NANO, memory)["memory_valid"][0] == (memory is not None)


def test_each_camera_goes_into_its_own_slot() -> None:
    slots = to_slots(np.array([[1.0], [2.0]]), np.array([False, True, False, True]))
    assert slots[:, 0].tolist() == [0.0, 1.0, 0.0, 2.0, 0.0, 0.0, 0.0, 0.0]


def test_nine_cameras_do_not_fit() -> None:
    with pytest.raises(InputError, match="at most 8 cameras, got 9"):
        to_slots(np.zeros((9, 1)), np.ones(9, np.bool_))


def test_the_graph_gives_exactly_the_arrays_of_scene_tokens() -> None:
    outputs = {spec.name: np.zeros(spec.shape, spec.dtype) for spec in bev_io(NANO).outputs}
    others = {"anchor_stamp_ns", "epoch", "memory_stamp_ns", "computed_by"}
    assert set(outputs) == {field.name for field in fields(SceneTokens)} - others
    assert tuple(outputs) == TOKEN_ARRAYS
    tokens = scene_tokens(outputs, 5, 2, None)
    assert (tokens.anchor_stamp_ns, tokens.epoch, tokens.bev is outputs["bev"]) == (5, 2, True)
