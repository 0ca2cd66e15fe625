"""The table of lens models: ones own lens goes there and back, an unknown one is refused."""

from __future__ import annotations

import numpy as np
import pytest

from irl_vla.camera.camera import Camera, camera_from_info
from irl_vla.camera.lens_models import LENS_MODELS, LensModel
from irl_vla.camera.projection import project, unproject
from irl_vla.types import F64, InputError
from irl_vla.world.render.view import view_of

K = np.array([[600.0, 0.0, 319.5], [0.0, 600.0, 179.5], [0.0, 0.0, 1.0]])
AHEAD = np.array([[0.0, 0, 1, 1.5], [-1, 0, 0, 0], [0, -1, 0, 1.4], [0, 0, 0, 1]])


def _ratio(square: F64, c: F64) -> F64:
    """Division model (Fitzgibbon 2001): x = xd / (1 + c0 rd²), solved for rd / r."""
    return np.asarray(2.0 / (1.0 + np.sqrt(1.0 - 4.0 * c[0] * square)))


DIVISION = LensModel(
    counts=(1,),
    distort=lambda flat, c: flat * _ratio((flat**2).sum(axis=-1, keepdims=True), c),
    radial=lambda theta, c: np.tan(theta) * _ratio(np.tan(theta) ** 2, c),
    domain=lambda c: np.inf if c[0] <= 0.0 else float(0.5 / np.sqrt(c[0])),
)


@pytest.fixture(autouse=True)
def division(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(LENS_MODELS, "division", DIVISION)


def camera(strength: float) -> Camera:
    return Camera("front", 640, 360, "division", K, np.array([strength]), AHEAD)


@pytest.mark.parametrize("strength", [-0.3, 0.0, 0.2])
def test_a_pixel_of_ones_own_lens_becomes_a_ray_and_the_same_pixel_again(strength: float) -> None:
    lens = camera(strength)
    pixels = np.stack(np.meshgrid(np.arange(0, 640, 40.0), np.arange(0, 360, 40.0)), axis=-1)
    assert np.abs(project(lens, unproject(lens, pixels)).pixels - pixels).max() < 1e-9


def test_ones_own_lens_bends_as_its_formula_says() -> None:
    pixel = project(camera(-0.3), np.array([0.5, 0.0, 1.0])).pixels
    bent = (pixel[0] - 319.5) / 600.0
    assert bent / (1.0 - 0.3 * bent**2) == pytest.approx(0.5, abs=1e-12)


def test_camera_info_may_name_ones_own_model() -> None:
    told = camera_from_info("c", 640, 360, "division", [-0.3], K.reshape(-1).tolist(), AHEAD)
    assert (told.model, told.distortion.tolist()) == ("division", [-0.3])


def test_an_unknown_model_is_refused_with_the_nearest_one() -> None:
    with pytest.raises(InputError, match=r"'front': model 'divison'.*Did you mean 'division'\?"):
        Camera("front", 640, 360, "divison", K, np.zeros(0), AHEAD)


def test_the_built_in_world_says_which_lenses_it_draws_through() -> None:
    with pytest.raises(InputError, match=r"drawn through plumb_bob.*not 'division'"):
        view_of(camera(-0.1))
