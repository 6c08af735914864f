"""Every command that README, docs, help texts and the example workflow name is one that the program takes."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import NamedTuple

import click
import pytest

from g2d_bench.cli.main import main

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")), ROOT / "docs" / "workflow-example.yml"]


class Named(NamedTuple):
    """A command line, where it stands, and whether it is a mere mention, which may lack arguments."""

    line: str
    where: str
    mention: bool = False


def commands(text: str, where: str) -> list[Named]:
    """Find what follows a prompt, ``run:``, a step's line, or a backtick, with continued lines."""
    folded = re.sub(r"\n +(?=--)", " ", text)
    found = re.findall(r"(^\$ |run: |^ {2,}|`)(g2d-bench [^`\n]*)", folded, re.MULTILINE)
    return [Named(line, where, before == "`") for before, line in found]


def of_group(group: click.Group, name: str) -> list[Named]:
    """Collect the examples of all help texts."""
    found: list[Named] = []
    for word, command in group.commands.items():
        full = f"{name} {word}"
        text = " ".join((command.help or "").split())
        found += [Named(line, full) for line in re.findall(r"Example: (g2d-bench .*?)$", text)]
        found += of_group(command, full) if isinstance(command, click.Group) else []
    return found


ALL = [named for page in PAGES for named in commands(page.read_text(encoding="utf-8"), page.name)]
HELP = of_group(main, "g2d-bench")


def parse(words: list[str]) -> None:
    """Let click read a command line, down to the last sub-command, and run nothing."""
    command: click.Command = main
    context = main.make_context("g2d-bench", words)
    while isinstance(command, click.Group):
        rest = [*context._protected_args, *context.args]
        if not rest:
            return
        name, found, rest = command.resolve_command(context, rest)
        assert found is not None
        command = found
        context = command.make_context(name, rest, parent=context)


@pytest.mark.parametrize("named", [*ALL, *HELP], ids=lambda named: f"{named.where}: {named.line}"[:90])
def test_the_program_takes_it(named: Named) -> None:
    line = re.split(r" (?:>|>>|\||\|\||#) ?", named.line)[0]
    try:
        parse(shlex.split(line, comments=True)[1:])
    except click.ClickException as error:
        if not (named.mention and isinstance(error, click.MissingParameter)):
            pytest.fail(f"{named.where}: {line}: {error.format_message()}")


def test_enough_is_found() -> None:
    assert len(ALL) > 60
    assert len(HELP) > 3
    with pytest.raises(click.UsageError, match="No such option"):
        parse(["run", "--no-such-option", "x"])
    with pytest.raises(click.UsageError, match="No such command"):
        parse(["walk"])
