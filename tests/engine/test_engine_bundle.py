"""A bundle is read only if every byte of it is what its manifest says."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from irl_vla.engine.bundle import load_bundle
from irl_vla.engine.manifest import FORMAT
from irl_vla.engine.policies import policy_from_bundle
from irl_vla.engine.policy_bundle import write_rule_bundle
from irl_vla.planner.rule import RuleConfig, RulePolicy
from irl_vla.types import InputError

SHIPPED = Path(__file__).parents[2] / "models" / "rule"


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    return write_rule_bundle(tmp_path / "rule", RuleConfig()).root


def spell(data: Any) -> bytes:
    """The documented spelling, written down a second time."""
    return (json.dumps(data, sort_keys=True, indent=1) + "\n").encode()


def edit(bundle: Path, **changes: Any) -> None:
    manifest = bundle / "manifest.json"
    manifest.write_bytes(spell({**json.loads(manifest.read_bytes()), **changes}))


def entry(content: bytes) -> dict[str, Any]:
    return {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}


def refused(bundle: Path, why: str) -> None:
    with pytest.raises(InputError, match=why) as caught:
        load_bundle(bundle)
    assert str(bundle) in str(caught.value), "the sentence says where"


def test_the_shipped_rule_bundle_is_what_its_function_makes(bundle: Path) -> None:
    for name in ("manifest.json", "rule.yaml"):
        assert (SHIPPED / name).read_bytes() == (bundle / name).read_bytes()
    assert {path.name for path in SHIPPED.iterdir()} == {"manifest.json", "rule.yaml"}


def test_the_shipped_rule_bundle_drives() -> None:
    policy = policy_from_bundle(load_bundle(SHIPPED))
    assert policy == RulePolicy(RuleConfig())


def test_the_id_is_the_hash_of_the_manifest_and_changes_with_any_parameter(tmp_path: Path) -> None:
    one = write_rule_bundle(tmp_path / "one", RuleConfig())
    same = write_rule_bundle(tmp_path / "same", RuleConfig())
    other = write_rule_bundle(tmp_path / "other", RuleConfig(lookahead_s=0.9))
    assert one.id == same.id != other.id
    assert one.id == hashlib.sha256((one.root / "manifest.json").read_bytes()).hexdigest()
    assert policy_from_bundle(other).config.lookahead_s == 0.9


def test_every_single_flipped_bit_is_refused(bundle: Path) -> None:
    for name in ("manifest.json", "rule.yaml"):
        path = bundle / name
        good = path.read_bytes()
        known = load_bundle(bundle).id
        for position in range(len(good)):
            bad = bytearray(good)
            bad[position] ^= 1 << (position % 8)
            path.write_bytes(bytes(bad))
            try:
                assert load_bundle(bundle).id != known, "a changed name is another bundle"
            except InputError as error:
                assert str(bundle) in str(error)
            else:
                assert name == "manifest.json"
        path.write_bytes(good)


def test_a_folder_that_is_no_bundle_is_refused(tmp_path: Path) -> None:
    refused(tmp_path / "nowhere", "expected a folder")
    refused(tmp_path, r"manifest.json' is missing")
    (tmp_path / "manifest.json").mkdir()
    refused(tmp_path, "cannot read 'manifest.json'")


def test_a_missing_a_longer_and_an_unlisted_file_are_refused(bundle: Path) -> None:
    parameters = bundle / "rule.yaml"
    good = parameters.read_bytes()
    parameters.write_bytes(good + b"\n")
    refused(bundle, "'rule.yaml' is damaged")
    parameters.unlink()
    refused(bundle, "'rule.yaml' is missing")
    parameters.write_bytes(good)
    (bundle / "notes.txt").write_text("hello")
    refused(bundle, "'notes.txt' is not listed")
    (bundle / "notes.txt").unlink()
    (bundle / "deep").mkdir()
    (bundle / "deep" / ".hidden").write_text("hello")
    refused(bundle, "'deep/.hidden' is not listed")


def test_built_engines_live_beside_the_hashed_files(bundle: Path) -> None:
    known = load_bundle(bundle).id
    (bundle / "engines").mkdir()
    (bundle / "engines" / "camera.engine").write_bytes(b"anything")
    assert load_bundle(bundle).id == known


@pytest.mark.parametrize("name", ["rule.yaml", "engines", "spare"])
def test_symbolic_links_are_refused(bundle: Path, tmp_path: Path, name: str) -> None:
    outside = tmp_path / "outside"
    shutil.copytree(bundle, outside)
    link = bundle / name
    link.unlink(missing_ok=True)
    link.symlink_to(outside / "rule.yaml" if name == "rule.yaml" else outside)
    refused(bundle, f"'{name}' is a symbolic link")


def test_a_linked_manifest_and_a_pipe_are_refused(bundle: Path, tmp_path: Path) -> None:
    manifest = bundle / "manifest.json"
    manifest.rename(tmp_path / "manifest.json")
    manifest.symlink_to(tmp_path / "manifest.json")
    refused(bundle, "cannot read 'manifest.json'")
    manifest.unlink()
    os.mkfifo(manifest)
    refused(bundle, "manifest.json")


@pytest.mark.parametrize(
    "name",
    ["../rule.yaml", "/etc/hostname", "a/../../b", "a//b", "a\\b", "", ".", "a\n", "engines/x",
     "manifest.json", "é"],
)  # fmt: skip
def test_names_that_could_leave_the_folder_are_refused(bundle: Path, name: str) -> None:
    content = (bundle / "rule.yaml").read_bytes()
    edit(bundle, files={"rule.yaml": entry(content), name: entry(content)})
    refused(bundle, "expected a plain relative path")


def test_an_unknown_format_kind_or_setting_is_refused(bundle: Path) -> None:
    good = (bundle / "manifest.json").read_bytes()
    for changes, why in [
        ({"format": "irl-vla-bundle/1"}, "not read any more. Export .* `irl-vla export --preset"),
        ({"format": "irl-vla-bundle/3"}, "got 'irl-vla-bundle/3'. A newer version of irl-vla is"),
        ({"format": None}, "got None. This is not a bundle"),
        ({"kind": "magic"}, "kind 'magic': expected one of network, rule"),
        ({"kind": "ruel"}, r"Did you mean 'rule'\?"),
        ({"kind": "network"}, "expected network and only that"),
        ({"traned": True}, "unknown setting 'traned'. Did you mean 'trained'"),
        ({"made_by": "irl-vla 9.0", "mood": 1}, "made by 'irl-vla 9.0'.*a newer version .* needed"),
        ({"trained": "yes"}, "setting 'trained': input should be a valid boolean, got 'yes'"),
        ({"parameters": "other.yaml"}, "'other.yaml' is needed but not listed"),
        ({"files": {}}, "'rule.yaml' is needed but not listed"),
    ]:
        edit(bundle, **changes)
        refused(bundle, why)
        (bundle / "manifest.json").write_bytes(good)


def test_the_id_is_that_of_the_bytes_as_stored_whatever_their_spelling(bundle: Path) -> None:
    manifest, known = bundle / "manifest.json", load_bundle(bundle)
    other = json.dumps(json.loads(manifest.read_bytes())).encode()
    manifest.write_bytes(other)
    again = load_bundle(bundle)
    assert again.manifest == known.manifest and again.weights_id == known.weights_id
    assert again.id == hashlib.sha256(other).hexdigest() != known.id


def test_a_setting_that_is_given_twice_is_refused(bundle: Path) -> None:
    manifest = bundle / "manifest.json"
    content = manifest.read_bytes()
    manifest.write_bytes(content.replace(b'"kind"', b'"kind": "rule",\n "kind"'))
    refused(bundle, "'kind' is given twice")


def test_hostile_json_is_refused(bundle: Path) -> None:
    for content in (
        b"",
        b"[]",
        b"\xff",
        b'{"format": NaN}',
        b"[" * 100_000,
        b"{" * 10,
        b"0",
        b'{"a":' * 900 + b"0" + b"}" * 900,
        spell({"format": FORMAT}).decode().encode("utf-16"),
    ):
        (bundle / "manifest.json").write_bytes(content)
        refused(bundle, "manifest.json")
    (bundle / "manifest.json").write_bytes(b" " * (2 << 20))
    refused(bundle, "larger than the expected")


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_any_value_in_any_place_of_the_manifest_is_refused_in_words(
    bundle: Path, data: st.DataObject
) -> None:
    manifest = bundle / "manifest.json"
    good = manifest.read_bytes()
    parsed = json.loads(good)
    key = data.draw(st.sampled_from(sorted(parsed)))
    scalar = st.none() | st.booleans() | st.integers() | st.floats() | st.text()
    parsed[key] = data.draw(
        st.recursive(scalar, lambda s: st.lists(s) | st.dictionaries(st.text(), s), max_leaves=8)
    )
    manifest.write_bytes(spell(parsed))
    try:
        load_bundle(bundle)
    except InputError as error:
        assert str(bundle) in str(error)
    finally:
        manifest.write_bytes(good)


def test_writing_where_another_bundle_stands_changes_nothing(tmp_path: Path) -> None:
    first = write_rule_bundle(tmp_path / "rule", RuleConfig())
    assert write_rule_bundle(tmp_path / "rule", RuleConfig()).id == first.id
    with pytest.raises(InputError, match="exists already and differs"):
        write_rule_bundle(tmp_path / "rule", RuleConfig(lookahead_s=2.0))
    assert load_bundle(tmp_path / "rule").id == first.id
    assert [path.name for path in tmp_path.iterdir()] == ["rule"], "nothing half-written is left"


@pytest.mark.parametrize(
    "content", [b"- 1\n", b"lookahead_s: -1.0\n", b"lokahead_s: 1.0\n", b"\x00", b"a: [", b"\xff"]
)
def test_parameters_that_mean_nothing_are_refused_though_hashed(
    bundle: Path, content: bytes
) -> None:
    (bundle / "rule.yaml").write_bytes(content)
    edit(bundle, files={"rule.yaml": entry(content)})
    with pytest.raises(InputError, match=r"rule\.yaml"):
        policy_from_bundle(load_bundle(bundle))
