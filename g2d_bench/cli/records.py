"""What commands that read records share: which ones they look at, and in which order."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from g2d_bench.cli.options import folders, settings
from g2d_bench.cli.tell import tell_left_out
from g2d_bench.errors import InputError

if TYPE_CHECKING:
    from g2d_bench.cells.settings import Settings
    from g2d_bench.records.selection import Filter, Found


def main_metrics(found: Sequence[Found], configured: Settings) -> dict[tuple[str, str], str]:
    """Return the main metric per task and protocol whose cards are here."""
    from g2d_bench.cards.catalogue import Catalogue

    cards = Catalogue.open(configured.task_dirs, protocol_dirs=configured.protocol_dirs)
    pairs = {(one.record.cell.task, one.record.cell.protocol) for one in found}
    known = {
        (task, protocol): cards.protocols[protocol].view(cards.tasks[task]).main
        for task, protocol in pairs
        if task in cards.tasks.names and protocol in cards.protocols.names
    }
    for task, protocol in sorted(pairs - set(known)):
        click.echo(
            f"{task} under {protocol}: no card here, so its first metric stands for the main one (tasks_dir "
            "and protocols_dir in g2d-bench.toml say where your cards are)",
            err=True,
        )
    return known


def row_order(found: Iterable[Found]) -> list[str]:
    """Return encoder names in the order of tables: controls first, then as the field published them."""
    from g2d_bench.records.cell import encoder_order

    return sorted({one.record.cell.encoder for one in found}, key=encoder_order)


def filter_of(given: dict[str, Any]) -> Filter:
    """Return what a command's filter options let pass."""
    from g2d_bench.records.selection import Filter

    return Filter(
        task=given["tasks"],
        encoder=given["encoders"],
        fraction=given["fractions"],
        shots=given.get("shots", ()),
        protocol=given["protocols"],
        seed=given["seeds"],
        signature=given["signature"],
    )


def chosen(roots: Sequence[Path], given: dict[str, Any]) -> list[Found]:
    """Read the records that pass a command's filter options.

    Raises:
        InputError: none does, or a file is no record.
    """
    return select(roots, filter_of(given), hide=given.get("hide", False))


def roots_of(given: dict[str, Any]) -> list[Path]:
    """Return the folders that a command with :data:`reading_options` reads."""
    return folders(given["results"]) or [settings(given).results]


def named(roots: Sequence[Path]) -> Path:
    """Name folders in a message."""
    return Path(", ".join(map(str, roots)))


def select(roots: Sequence[Path], wanted: Filter, *, hide: bool = False) -> list[Found]:
    """Read the records that pass, and say on stderr which words nothing has; see :func:`chosen`.

    Args:
        roots: folders of results.
        wanted: which records.
        hide: whether those are left out whose encoder saw the data set in its pre-training.
    """
    from g2d_bench.records.selection import read_folders

    everything = read_folders(roots)
    found = [one for one in everything if wanted.passes(one.record)]
    if not found:
        raise wanted.explain(everything, named(roots))
    tell_left_out(everything, wanted, roots)
    return _clean(found) if hide else found


def with_insides(found: Sequence[Found], roots: Sequence[Path], configured: Settings) -> list[Found]:
    """Return records that were tested elsewhere, and beside them those that hold their inside scores.

    Args:
        found: records; without one that was tested elsewhere, nothing is returned.
        roots: folders in which inside scores are looked for that are not among them.
        configured: where the cards are.

    Raises:
        InputError: see :func:`g2d_bench.cells.verify.require_sound`.
    """
    from g2d_bench.cells.verify import require_sound
    from g2d_bench.records.record import TRAINED_ON
    from g2d_bench.records.selection import read_folders

    elsewhere = [one for one in found if TRAINED_ON in one.record.notes]
    # A stranger's note may hold anything.
    tasks = {str(one.record.notes[TRAINED_ON]["task"]) for one in elsewhere} - {""}
    beside = [one for one in found if one.cell.task in tasks]
    if tasks - {one.cell.task for one in beside}:
        encoders = {one.cell.encoder for one in elsewhere}
        more = [one for one in read_folders(roots) if one.cell.task in tasks and one.cell.encoder in encoders]
        require_sound(more, configured)
        beside = more
    return [*elsewhere, *(one for one in beside if TRAINED_ON not in one.record.notes)]


def _clean(found: list[Found]) -> list[Found]:
    """Leave out what encoders saw in their pre-training, and say so.

    Raises:
        InputError: nothing is left.
    """
    from g2d_bench.report.contamination import hide

    kept, told = hide(found)
    for line in told:
        click.echo(line, err=True)
    if not kept:
        raise InputError("every encoder saw what it was tested on", field="--hide-contaminated")
    return kept
