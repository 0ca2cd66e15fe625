"""What a person sees who asks for help or mistypes."""

from __future__ import annotations

from pathlib import Path

import pytest
import typer
from cli_bags import command

from irl_vla.cli.app import app


def commands() -> list[tuple[str, ...]]:
    """Every command there is, with those inside groups."""
    found = list[tuple[str, ...]]()

    def walk(group: typer.core.TyperGroup, before: tuple[str, ...]) -> None:
        for name, inner in group.commands.items():
            found.append((*before, name))
            if hasattr(inner, "commands"):
                walk(inner, (*before, name))

    root = typer.main.get_command(app)
    assert isinstance(root, typer.core.TyperGroup)
    walk(root, ())
    return found


def test_the_first_help_lists_every_command_with_a_sentence() -> None:
    ran = command("--help")
    assert ran.code == 0
    for words in commands():
        if len(words) == 1:
            row = next(line for line in ran.stdout.splitlines() if f" {words[0]} " in line)
            assert len(row.strip("│ \n").split()) >= 2, f"{words[0]} has no description"


@pytest.mark.parametrize("words", commands(), ids=" ".join)
def test_every_command_explains_itself_and_each_of_its_options(words: tuple[str, ...]) -> None:
    ran = command(*words, "--help")
    assert ran.code == 0
    assert f"irl-vla {' '.join(words)} [OPTIONS]" in ran.stdout and "Traceback" not in ran.stderr
    found = typer.main.get_command(app)
    for word in words:
        found = found.commands[word]  # type: ignore[attr-defined]
    assert found.help and len(found.help.split()) >= 1
    for option in found.params:
        if option.name != "help" and not getattr(option, "hidden", False):
            said = getattr(option, "help", None)
            assert said, f"irl-vla {' '.join(words)}: '{option.name}' has no help"


@pytest.mark.parametrize(
    "words",
    [
        ("--frobnicate",), ("frobnicate",), ("replay",), ("replay", "bag"),
        ("replay", "bag", "--bundle", "b", "--intent", "up"),
        ("replay", "bag", "--bundle", "b", "--seed", "x"), ("show", "--nonsense", "bag"),
        ("bag", "infos"), ("bag", "info"),
    ],
)  # fmt: skip
def test_wrong_usage_is_code_2_and_says_what_is_wrong(words: tuple[str, ...]) -> None:
    ran = command(*words)
    assert ran.code == 2
    assert "Usage: " in ran.stderr and "Error" in ran.stderr
    assert "Traceback" not in ran.stderr


def test_the_version_is_printed() -> None:
    ran = command("--version")
    assert (ran.code, ran.stdout.split()[0]) == (0, "irl-vla")


def test_bag_info_tells_what_a_replay_would_use(two_cameras: Path) -> None:
    ran = command("bag", "info", two_cameras)
    assert ran.code == 0
    for words in (
        "cameras     front, left",
        "calibrated  front, left",
        "ego motion  /localization/kinematic_state",
        "base frame  base_link",
    ):
        assert words in ran.stdout
    assert "warning" not in ran.stdout and "missing" not in ran.stdout
