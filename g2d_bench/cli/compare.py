"""The command that says whether a number has moved."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from g2d_bench.cli.grid import executor_of, executor_options
from g2d_bench.cli.options import bench, filter_options, reading_options, settings
from g2d_bench.cli.records import filter_of, named, roots_of, select
from g2d_bench.errors import InputError
from g2d_bench.plain import counted

if TYPE_CHECKING:
    from g2d_bench.records.cell import Cell
    from g2d_bench.records.compare import Line
    from g2d_bench.records.record import Record
    from g2d_bench.records.selection import Filter, Found

# As literals, so that importing this module reads no table code; a test compares them with the source.
COMPARE_FORMATS = ("text", "github", "junit")


@click.command()
@click.option(
    "--to",
    required=True,
    metavar="DIR|reported",
    help="Records to compare with, or numbers quoted from papers.",
)
@filter_options
@click.option("--signature", default="", help="Only signatures that contain this text.")
@click.option(
    "--tolerance",
    default="seeds",
    show_default=True,
    metavar="seeds|Nsd|ABS|REL%",
    help="How far a number may move: two deviations over seeds, more (4sd), points (0.5), a share (2%).",
)
@click.option("--format", "style", type=click.Choice(COMPARE_FORMATS), default="text", show_default=True)
@click.option("--run", "run_missing", is_flag=True, help="Run the cells that are missing.")
@click.option("--allow-missing", is_flag=True, help="Cells that were not measured are no failure.")
@executor_options
@reading_options
def compare(
    to: str,
    tolerance: str,
    style: str,
    run_missing: bool,
    allow_missing: bool,
    **given: Any,
) -> None:
    """Say which numbers moved, by how much and since which versions; exit 1 if one did.

    Example: g2d-bench compare --to results/phantom --task siim-seg --fraction 0.01 --run
    """
    from g2d_bench.records.compare import BAD, Tolerance, render

    allowed = Tolerance.parse(tolerance)
    wanted = filter_of(given)
    if to == "reported":
        if run_missing:
            raise InputError("quoted numbers are no cells to run", field="--run")
        lines = _against_papers(wanted, allowed, roots_of(given))
    else:
        lines = _against_folder(_folder(to), wanted, allowed, run_missing, given)
    left = [line for line in lines if line.state == "missing"]
    if allow_missing:
        lines = [line for line in lines if line.state != "missing"]
    click.echo(render(lines, style))
    if allow_missing and left:
        click.echo(f"{len(left)} cells of the reference were not measured", err=True)
    if any(line.state in BAD for line in lines):
        sys.exit(1)


def _against_papers(wanted: Filter, allowed: Any, roots: Sequence[Path]) -> list[Line]:
    from g2d_bench.cells.verify import require_sound
    from g2d_bench.records.compare_quoted import compare_reported
    from g2d_bench.records.quoted import load_reported

    found = select(roots, wanted)
    require_sound(found)
    real = sum(one.record.data.kind == "real" for one in found)
    lines = compare_reported(found, load_reported(), allowed, named(roots))
    if real < len(found):
        click.echo(f"{len(found) - real} records on generated data were left out", err=True)
    return lines


def _against_folder(
    folder: Path, wanted: Filter, allowed: Any, run_missing: bool, given: dict[str, Any]
) -> list[Line]:
    from g2d_bench.cells.verify import require_sound
    from g2d_bench.records.compare import compare as compare_cells
    from g2d_bench.records.selection import by_cell, located, read_folder, read_folders

    everything = read_folder(folder)
    chosen = [one for one in everything if wanted.passes(one.record)]
    # A word that the reference does not have would be a check that never fails.
    if words := wanted.lacking(everything):
        raise InputError(words[0], file=folder)
    if not chosen:
        raise wanted.explain(everything, folder)
    # Another signature of the same cell is another reference; only the chosen ones can be in one index.
    index = by_cell(one for one in everything if wanted.signature in one.record.signature)
    cells = [one.cell for one in chosen]
    configured = settings(given)
    # Tolerances are drawn from the other seeds and encoders of a column.
    columns = {(cell.task, cell.drawn, cell.protocol) for cell in cells}
    require_sound(
        [one for cell, one in index.items() if (cell.task, cell.drawn, cell.protocol) in columns],
        configured,
    )
    roots = roots_of(given)
    failed: dict[Cell, str] = {}
    if run_missing:
        ran, failed = _run(chosen, folder, given)
        measured = by_cell(located(ran, configured.results))
        if not measured:
            reason = f"none of the {len(cells)} cells of {folder} could be measured"
            cell, error = next(iter(failed.items()))
            raise InputError(f"{reason} ({cell}: {error})")
    else:
        here = read_folders(roots)
        measured = by_cell(_repeats(here, [one.record for one in chosen]))
        if not measured:
            reason = f"none of the {len(cells)} cells of {folder} is here; add --run"
            raise InputError(reason, file=named(roots))
        there = {one.cell for one in everything}
        if more := sorted({one.cell for one in here if wanted.passes(one.record)} - there):
            click.echo(
                f"not compared, since {folder} lacks them: {len(more)} cells ({more[0]} ...)", err=True
            )
    require_sound(list(measured.values()), configured)
    return compare_cells(index, measured, allowed, cells, failed)


def _repeats(measured: Sequence[Found], reference: Sequence[Record]) -> list[Found]:
    """Choose the records of the reference's cells.

    A folder that grows keeps records of older protocols, too: where a cell has records with the signature of
    the reference, only they count.
    """
    signatures = {one.cell: one.signature for one in reference}
    mine = [one for one in measured if one.record.cell in signatures]
    alike = [one for one in mine if one.record.signature == signatures[one.record.cell]]
    served = {one.record.cell for one in alike}
    return [*alike, *(one for one in mine if one.record.cell not in served)]


def _run(
    chosen: Sequence[Found], folder: Path, given: dict[str, Any]
) -> tuple[list[Record], dict[Cell, str]]:
    """Run what is not finished, each cell on the kind of data on which it was measured.

    Returns:
        Records, and the cells that failed, with the reasons.

    Raises:
        InputError: cells were measured on real data, and none are configured; or see
            :func:`g2d_bench.cells.workers.execute`.
    """
    from g2d_bench.cells.workers import execute

    real = [one.cell for one in chosen if one.record.data.kind == "real"]
    if real and settings(given).data_root is None:
        held = f"{folder} holds {counted(len(real), 'cell')} measured on real data ({real[0]} ...)"
        raise InputError(f"{held}; say where such data lie", field="--data-root")
    generated = [one.cell for one in chosen if one.record.data.kind == "phantom"]
    records: list[Record] = []
    failed: dict[Cell, str] = {}
    for cells, phantom in ((generated, True), (real, False)):
        if not cells:
            continue
        opened = bench(given | ({"phantom": True} if phantom else {}))
        report = execute(cells, opened, executor=executor_of(given))
        records += report.records
        failed |= {failure.cell: failure.error for failure in report.failures}
    return records, failed


def _folder(name: str) -> Path:
    """Find a reference folder: as given, else among what ships with the suite."""
    from g2d_bench.paths import expanded, shipped_results

    return shipped_results(expanded(name, "--to"))
