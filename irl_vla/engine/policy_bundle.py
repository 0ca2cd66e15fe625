"""Bundles of policies without a network: their settings, hashed like every other bundle.

`python -m irl_vla.engine.policy_bundle models/rule` makes the shipped one.
"""

from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import yaml

from irl_vla.config import from_mapping
from irl_vla.engine.bundle import Bundle, file_entries, write_bundle
from irl_vla.engine.manifest import FORMAT, Manifest
from irl_vla.foreign import parse_yaml
from irl_vla.planner.policies import POLICIES
from irl_vla.planner.policy import Policy
from irl_vla.planner.rule import RuleConfig
from irl_vla.types import InputError


def write_policy_bundle(root: Path, kind: str, settings: Any, name: str) -> Bundle:
    """Settings of a kind of POLICIES -> bundle folder."""
    values = {key: list(v) if isinstance(v, tuple) else v for key, v in asdict(settings).items()}
    parameters = f"{kind}.yaml"
    files = {parameters: yaml.safe_dump(values).encode()}
    # made_by names no version of the library: the bytes must not change with it
    manifest = Manifest(
        format=FORMAT, kind=kind, name=name, made_by=f"irl-vla {kind} bundle 1", trained=False,
        files=file_entries(files), parameters=parameters,
    )  # fmt: skip
    return write_bundle(root, manifest, files)


def write_rule_bundle(root: Path, config: RuleConfig) -> Bundle:
    """The bundle of the `rule` policy."""
    return write_policy_bundle(root, "rule", config, "rule")


def policy_of_settings(bundle: Bundle) -> Policy:
    """The policy of a bundle without networks. Raises InputError for settings it does not have."""
    name, kind = str(bundle.manifest.parameters), POLICIES[bundle.manifest.kind]
    where = f"bundle {bundle.root}: {name}"
    settings = parse_yaml(bundle.read(name), where)
    if not isinstance(settings, dict):
        raise InputError(f"{where}: expected settings, got {type(settings).__name__}")
    return kind.make(from_mapping(kind.settings, settings, where))


if __name__ == "__main__":
    print(write_rule_bundle(Path(sys.argv[1]), RuleConfig()).id)
