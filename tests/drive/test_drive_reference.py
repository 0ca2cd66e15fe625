"""Plans are those of the stored reference: see reference_plans.py, which also makes it anew."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from numpy._core._multiarray_umath import __cpu_features__
from reference_plans import (
    FILE,
    NETWORK_EVERY,
    RECORDING,
    Kept,
    flat,
    in_world,
    kept_of,
    on_recording,
    rule_bundle,
    tiny_bundle,
)

from irl_vla.engine.bundle import Bundle

SAME_BITS = bool(__cpu_features__.get("AVX512_SKX"))  # NumPy's sine and cosine, as of the file
needs_recording = pytest.mark.skipif(
    not RECORDING.is_dir(), reason=f"the recording is not at {RECORDING}"
)


@pytest.fixture(scope="module")
def reference() -> Kept:
    with np.load(FILE) as stored:
        return dict(stored)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return tiny_bundle(tmp_path_factory.mktemp("bundle") / "tiny")


def assert_same(case: str, kept: Kept, reference: Kept, metres: float) -> None:
    """metres: poses may differ by so much; 0: not in one bit."""
    for name, values in flat(case, kept).items():
        stored = reference[name]
        assert values.shape == stored.shape, name
        if name.endswith("poses") and metres > 0.0:
            np.testing.assert_allclose(values, stored, rtol=0.0, atol=metres, err_msg=name)
        else:
            np.testing.assert_array_equal(values, stored, err_msg=name)


@needs_recording
def test_rule_plans_the_same_on_a_real_recording(reference: Kept) -> None:
    kept = kept_of(on_recording(rule_bundle()))
    assert_same("rule_recording", kept, reference, 0.0 if SAME_BITS else 1e-9)


def test_rule_plans_the_same_in_a_minute_of_the_world_with_agents_given(reference: Kept) -> None:
    kept = kept_of(in_world(rule_bundle()))
    assert_same("rule_world", kept, reference, 0.0 if SAME_BITS else 1e-9)


def test_the_reference_is_worth_comparing_with(reference: Kept) -> None:
    """Agents, refusals and stops of all kinds occur in it."""
    reasons = Counter(reference["rule_world/reasons"].tolist())
    assert len(reasons) >= 3 and reasons["best_candidate"] > 100, reasons
    assert len(set(reference["rule_world/stops"].tolist())) == 3
    assert sum(" " in rejected for rejected in reference["rule_world/rejected"]) > 20
    assert Path(FILE).stat().st_size < 300_000


@needs_recording
@pytest.mark.slow
def test_tiny_plans_the_same_on_a_real_recording(reference: Kept, tiny: Bundle) -> None:
    assert_same("tiny_recording", kept_of(on_recording(tiny)), reference, 1e-6)


@pytest.mark.slow
def test_tiny_plans_the_same_in_a_minute_of_the_world(reference: Kept, tiny: Bundle) -> None:
    assert_same("tiny_world", kept_of(in_world(tiny), NETWORK_EVERY), reference, 1e-6)
