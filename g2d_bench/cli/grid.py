"""Grids on many machines: shares of a plan, a plan for other programs, records of several folders in one."""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from g2d_bench.cli.options import EXECUTOR, JOBS, PATH, options, settings, settings_options
from g2d_bench.errors import InputError

if TYPE_CHECKING:
    from g2d_bench.cells.bench import Bench
    from g2d_bench.cells.executors.base import Executor
    from g2d_bench.cells.settings import Settings
    from g2d_bench.cells.sharing import Unit
    from g2d_bench.records.cell import Cell

shard_options = options(
    click.option(
        "--shard",
        metavar="I/N",
        help="Only the I-th of N shares of the plan, such as 1/8; 'auto' asks Slurm or SkyPilot.",
    ),
    click.option(
        "--timings",
        type=PATH,
        metavar="FOLDER",
        help="Balance shares by the times of these records; the same for all shares.  "
        "[default: by the size of the encoders]",
    ),
)
"""Options of :func:`g2d_bench.cells.shards.own_share`."""


executor_options = options(
    click.option("--jobs", type=JOBS, help="Processes.  [default: as cores, memory and GPUs allow]"),
    click.option(
        "--devices",
        metavar="LIST",
        help="GPUs of this machine to use, such as 0,2; one process each.  [default: all]",
    ),
    click.option(
        "--per-gpu",
        type=click.IntRange(1, 64),
        default=1,
        show_default=True,
        help="Processes that share a GPU.",
    ),
    click.option(
        "--executor", type=EXECUTOR, default="local", show_default=True, help="Where the cells are run."
    ),
    click.option("--address", help="Of the Ray cluster, such as 10.0.0.1:6379 or auto."),
    click.option(
        "--executor-option",
        "wishes",
        multiple=True,
        metavar="KEY=VALUE",
        help="What one executor takes, such as partition=gpu of slurm; see docs/cluster.md.",
    ),
)
"""Options of :func:`executor_of`."""


def executor_of(given: dict[str, Any]) -> Executor:
    """Return the executor that :data:`executor_options` name.

    Raises:
        InputError: it knows no such option.
    """
    from g2d_bench.cells.executors import EXECUTORS
    from g2d_bench.cells.executors.base import Wishes

    wishes = {}
    for text in given["wishes"]:
        name, equals, value = text.partition("=")
        if not equals or not name or not value:
            raise InputError(f"{text[:60]!r} is not KEY=VALUE", field="--executor-option")
        wishes[name] = value
    devices = given["devices"]
    if devices is not None:
        devices = tuple(dict.fromkeys(part.strip() for part in devices.split(",")))
        if not all(devices):
            raise InputError(f"{given['devices'][:60]!r} is no list such as 0,2", field="--devices")
    return EXECUTORS[given["executor"]](
        Wishes(given["jobs"], devices, given["per_gpu"], given["address"], wishes)
    )


def unit_command(unit: Unit, settings: Settings, allow_leaks: str = "") -> str:
    """Return the command that runs a unit whole, so that its cells share what they can."""
    from g2d_bench.cells.repeat import command_of

    first = unit[0]
    words = shlex.split(command_of(first, settings, allow_leaks))
    at = words.index(first.options[0])
    drawn = dict.fromkeys(
        ("--shots", str(cell.shots)) if cell.shots else ("--fraction", repr(cell.fraction)) for cell in unit
    )
    seeds = ",".join(str(seed) for seed in dict.fromkeys(cell.seed for cell in unit))
    grid = [word for pair in drawn for word in pair]
    words[at : at + len(first.options)] = [
        *("--task", first.task, "--encoder", first.encoder, *grid),
        *("--seed", seeds, "--protocol", first.protocol),
    ]
    return shlex.join([*words, "--results", str(settings.results)])


def write_plan(opened: Bench, cells: Sequence[Cell], form: str) -> None:
    """Print a plan for programs: a command per unit that is not finished, or everything as JSON."""
    from g2d_bench.cells.outlook import outlook, require_runnable
    from g2d_bench.cells.units import units

    found = {one.cell: one for one in outlook(cells, opened)[0]}
    of_plan = [
        (unit_command(unit, opened.settings), [found[cell] for cell in unit]) for unit in units(cells, opened)
    ]
    if form == "commands":
        for command, unit in of_plan:
            if not all(one.finished for one in unit):
                click.echo(command)
        require_runnable([*found.values()])
        return
    plan = [
        {
            "command": command,
            "cells": [
                {
                    **one.cell.as_dict(),
                    "finished": one.finished,
                    "seconds": one.seconds,
                    "wrong": one.wrong,
                }
                for one in unit
            ],
        }
        for command, unit in of_plan
    ]
    click.echo(json.dumps({"units": plan}, indent=1, ensure_ascii=False))
    require_runnable([*found.values()])


@click.command()
@click.argument("sources", type=PATH, nargs=-1, required=True, metavar="FOLDER...")
@click.option("--into", type=PATH, required=True, help="Folder that takes the records; made if needed.")
@settings_options
def merge(sources: tuple[Path, ...], into: Path, **given: Any) -> None:
    """Bring the records of several folders into one, by their keys, each checked on its way.

    Where two folders hold different numbers of one key, they are named and nothing is written.
    Example: g2d-bench merge runs-a runs-b --into runs
    """
    from g2d_bench.cells.merge import merge as merged_folders

    merged = merged_folders(sources, into, settings(given))
    for line in merged.problems:
        click.echo(f"bad record: {line}", err=True)
    for line in merged.conflicts:
        click.echo(f"conflict: {line}", err=True)
    click.echo(f"{into}: {merged}")
    if merged.problems or merged.conflicts:
        sys.exit(1)
