"""The `rule` bundle: the policy without a network, in the same hashed form as every other.

`python -m irl_vla.engine.rule_bundle models/rule` makes the shipped one.
"""

from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path

import yaml

from irl_vla.config import from_mapping
from irl_vla.engine.bundle import Bundle, file_entries, write_bundle
from irl_vla.engine.manifest import FORMAT, Manifest
from irl_vla.planner.rule import RuleConfig, RulePolicy
from irl_vla.types import InputError

PARAMETERS = "rule.yaml"
MADE_BY = "irl-vla rule bundle 1"  # not the library's version: the bytes must not change with it


def write_rule_bundle(root: Path, config: RuleConfig, name: str = "rule") -> Bundle:
    """Parameters -> bundle folder."""
    settings = {key: list(v) if isinstance(v, tuple) else v for key, v in asdict(config).items()}
    files = {PARAMETERS: yaml.safe_dump(settings).encode()}
    manifest = Manifest(
        format=FORMAT, kind="rule", name=name, made_by=MADE_BY, trained=False,
        files=file_entries(files), parameters=PARAMETERS,
    )  # fmt: skip
    return write_bundle(root, manifest, files)


def rule_policy(bundle: Bundle) -> RulePolicy:
    """The policy of a bundle of kind "rule"."""
    name = str(bundle.manifest.parameters)
    where = f"bundle {bundle.root}: {name}"
    try:
        settings = yaml.safe_load(bundle.read(name).decode("utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise InputError(f"{where}: not valid YAML: {error}") from None
    if not isinstance(settings, dict):
        raise InputError(f"{where}: expected settings, got {type(settings).__name__}")
    return RulePolicy(from_mapping(RuleConfig, settings, where))


if __name__ == "__main__":
    print(write_rule_bundle(Path(sys.argv[1]), RuleConfig()).id)
