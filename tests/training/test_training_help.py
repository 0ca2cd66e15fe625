"""What a person sees who asks `irl-vla-train` for help; nothing of it costs torch."""

from __future__ import annotations

import shlex
import subprocess
import sys

import pytest
from typer.testing import CliRunner

from irl_vla.terminal.lazy import loaded
from irl_vla.types import InputError
from irl_vla_training.app import COMMANDS, PROGRAM, app


def said(*words: str) -> str:
    ran = CliRunner().invoke(app, [*words], catch_exceptions=False)
    assert ran.exit_code == 0, ran.output
    return " ".join(ran.output.split())


@pytest.mark.parametrize("name", COMMANDS)
def test_help_says_what_a_command_does_with_examples_and_exit_codes(name: str) -> None:
    entry = COMMANDS[name]
    found = loaded(PROGRAM, name, entry)
    assert " ".join(found.help.split()).startswith(entry.help)
    text = said(name, "-h")
    assert text == said(name, "--help") and "Exit codes: 0 done; 2 wrong usage" in text
    known = {option for one in found.params for option in one.opts}
    for example in entry.examples:
        parts = shlex.split(example)
        assert f"{PROGRAM} {example}" in text and parts[0] == name
        assert {part for part in parts if part.startswith("--")} <= known, example
    for option in found.params:
        assert option.name == "help" or getattr(option, "help", None), option.name


def test_an_option_that_would_do_nothing_is_refused_by_the_name_it_has() -> None:
    line = ["evaluate", "--eyes", "--run", "r", "--seeds", "0:1", "--red-set", "--out", "o"]
    with pytest.raises(InputError, match="--seeds: does nothing with --red-set; leave it out"):
        CliRunner().invoke(app, line, catch_exceptions=False)


def test_the_list_of_commands_imports_nothing_heavy() -> None:
    assert all(name in said("-h") for name in COMMANDS)
    code = (
        "import sys, irl_vla_training.app; sys.exit({'torch', 'numpy'} & sys.modules.keys() or 0)"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
