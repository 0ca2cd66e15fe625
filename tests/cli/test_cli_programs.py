"""Laws over the commands of both programs: one name for one thing, examples that can be typed,
completion that knows them all.
"""

from __future__ import annotations

import shlex
from collections import defaultdict
from typing import Any

import pytest
import typer
from test_cli_help import commands

from irl_vla.cli import app as core
from irl_vla.terminal.lazy import CommandEntry, loaded
from irl_vla_training import app as lab

PROGRAMS = {"irl-vla": core, "irl-vla-train": lab}
ENTRIES = {
    (program, *words): entry
    for program, module in PROGRAMS.items()
    for words, entry in commands(module.COMMANDS).items()
}
SINGLE = {words: entry for words, entry in ENTRIES.items() if isinstance(entry, CommandEntry)}
ONE_NAME = (  # words for one thing, of which one at most is a name of ours
    ("--out", "--output", "--target"), ("--jobs", "--workers", "--processes", "--num-workers"),
    ("--seconds", "--duration"), ("--route-length", "--metres", "--length"),
    ("--bundle", "--policy", "--model"), ("--rig", "--calibration", "--cameras-file"),
    ("--seeds", "--range"), ("--repetitions", "--repeat", "--iterations"),
    ("--threads", "--num-threads"), ("--split", "--subset"), ("--preset", "--size"),
    ("--recipe", "--config"), ("--accept-changes", "--force"), ("--agent", "--driver"),
)  # fmt: skip


def parameters(words: tuple[str, ...]) -> list[Any]:
    return list(loaded(words[0], words[-1], ENTRIES[words]).params)


def test_one_thing_has_one_name_over_both_programs() -> None:
    names = {name for words in SINGLE for option in parameters(words) for name in option.opts}
    for several in ONE_NAME:
        assert len(names & set(several)) <= 1, several


def test_one_name_takes_one_kind_of_value_and_has_no_second_spelling() -> None:
    kinds = defaultdict(set)
    for words in SINGLE:
        for option in parameters(words):
            longs = [name for name in option.opts if name.startswith("--")]
            assert len(longs) <= 1 and not option.secondary_opts, (words, option.opts)
            for name in longs:
                kinds[name].add((option.is_flag, option.multiple))
    assert all(len(kind) == 1 for kind in kinds.values()), kinds


@pytest.mark.parametrize("words", SINGLE, ids=" ".join)
def test_every_example_is_a_whole_command_line(words: tuple[str, ...]) -> None:
    """Parsed as it would be: known options, values of their kind, nothing required left out."""
    for example in SINGLE[words].examples:
        parts = shlex.split(example)
        given = parts[len(words) - 1 :]
        assert (words[0], *parts[: len(words) - 1]) == words
        loaded(words[0], words[-1], SINGLE[words]).make_context(words[-1], given)


@pytest.mark.parametrize("words", ENTRIES, ids=" ".join)
def test_both_spellings_of_help_are_known_and_codes_are_said(words: tuple[str, ...]) -> None:
    command = loaded(words[0], words[-1], ENTRIES[words])
    with typer.Context(command, **command.context_settings) as context:
        assert set(command.get_help_option_names(context)) == {"-h", "--help"}
    if words in SINGLE:
        assert "Exit codes: 0 done" in str(command.epilog)


@pytest.mark.parametrize("words", ENTRIES, ids=" ".join)
def test_completion_knows_every_command_and_all_its_options(words: tuple[str, ...]) -> None:
    group: Any = typer.main.get_command(PROGRAMS[words[0]].app)
    if len(words) > 2:
        group = loaded(words[0], words[1], ENTRIES[words[:2]])
    assert words[-1] in completed(group, words[-1][:2])
    if words in SINGLE:
        known = {name for option in parameters(words) for name in option.opts if name[:2] == "--"}
        command = loaded(words[0], words[-1], SINGLE[words])
        assert completed(command, "--") == known | {"--help"}


def completed(command: Any, begun: str) -> set[str]:
    with typer.Context(command, **command.context_settings) as context:
        return {item.value for item in command.shell_complete(context, begun)}


@pytest.mark.parametrize("program", PROGRAMS)
def test_completion_can_be_installed(program: str) -> None:
    options = {
        name for o in typer.main.get_command(PROGRAMS[program].app).params for name in o.opts
    }
    assert {"--install-completion", "--show-completion"} <= options
