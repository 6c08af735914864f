"""Commands that read records: tables, comparisons, checks, figures, compact copies."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from g2d_bench.cli.options import (
    FORMAT,
    JOBS,
    PATH,
    bench,
    filter_options,
    folders,
    hide_option,
    reading_options,
    results_option,
    settings,
    split,
)
from g2d_bench.cli.tell import tell_left_out, tell_other_protocols, tell_unquoted
from g2d_bench.errors import InputError

if TYPE_CHECKING:
    from g2d_bench.cells.settings import Settings
    from g2d_bench.records.compare import Line
    from g2d_bench.records.record import Record
    from g2d_bench.records.selection import Filter, Found
    from g2d_bench.report.model import Table

# As literals, so that importing this module reads no table code; a test compares them with the source.
PAPERS = ("g2d-table1", "g2d-table2a", "g2d-table2b", "g2d-table3", "g2d-table4", "g2d-table7")
GROUPS = ("sex", "age", "view", "device")
COMPARE_FORMATS = ("text", "github", "junit")


@click.command()
@filter_options
@click.option("--signature", default="", help="Only signatures that contain this text.")
@hide_option
@click.option("--paper", type=click.Choice(PAPERS), help="A table of the G2D paper, in its own shape.")
@click.option("--metric", "names", multiple=True, callback=split, help="Only these: --metric ece,brier.")
@click.option("--by", type=click.Choice(GROUPS), help="By group of patients: n, interval, worst, gap.")
@click.option("--summary", is_flag=True, help="One table: the main metric of each task at each fraction.")
@click.option("--format", "style", type=FORMAT, default="text", show_default=True)
@click.option("--with-quoted", is_flag=True, help="Add numbers quoted from papers, in marked rows.")
@click.option("--allow-mixed", is_flag=True, help="Let different signatures share a column, marked.")
@click.option("--data-root", type=PATH, help="Real data, for --by of records that keep no groups.")
@click.option("--out", type=PATH, help="Write into this file.")
@click.option("--into", type=PATH, help="Replace what stands between the marker lines of this Markdown file.")
@results_option
def table(
    paper: str | None,
    names: tuple[str, ...],
    by: str | None,
    summary: bool,
    style: str,
    with_quoted: bool,
    allow_mixed: bool,
    out: Path | None,
    into: Path | None,
    results: Sequence[Path],
    **given: Any,
) -> None:
    """Print the tables of a results folder, or of several side by side.

    Mean and standard deviation over seeds, a 95 % bootstrap interval by patient, and marked or bold what is
    not significantly worse than the best. Example: g2d-bench table --paper g2d-table1 --format latex
    """
    from g2d_bench.cells.ahead import all_metrics, drawn_ahead
    from g2d_bench.cells.verify import require_sound
    from g2d_bench.cli.tell import asked_metrics
    from g2d_bench.records.quoted import load_reported
    from g2d_bench.report import table as tables
    from g2d_bench.report.formats.render import render

    if paper is not None and summary:
        raise InputError("a paper's table has its own shape", field="--summary")
    if into is not None and (style != "md" or out is not None):
        raise InputError("goes with --format md and without --out", field="--into")
    if names and (paper is not None or summary):
        raise InputError("goes with neither --paper nor --summary, which choose theirs", field="--metric")
    if by and (paper is not None or summary or with_quoted or allow_mixed):
        raise InputError("stands alone: no --paper, --summary, --with-quoted or --allow-mixed", field="--by")
    quoted = load_reported() if with_quoted else []
    wanted = _filter(given)
    configured = settings({"results": results, "data_root": given["data_root"]})
    # Without records a paper's table can still show what was printed.
    roots = folders(results) or [configured.results]
    printed_only = paper is not None and with_quoted and not any(root.exists() for root in roots)
    found = [] if printed_only else _select(roots, wanted, hide=given["hide"])
    order = row_order(found)
    if paper is not None:
        require_sound(found, configured)
        protocols = wanted.protocol
        one = tables.paper_table(
            paper, found, order, protocols=protocols, allow_mixed=allow_mixed, quoted=quoted
        )
        made = [one]
        tell_other_protocols(found, paper, protocols)
    elif by:
        made = _by_group(found, by, names, order, configured)
    elif summary:
        main = main_metrics(found, configured)
        made = drawn_ahead(
            lambda evidence: tables.summary(
                found, order, main=main, allow_mixed=allow_mixed, evidence=evidence, quoted=quoted
            ),
            found,
            lambda record: [tables.main_metric(record, main)],
            settings=configured,
        )
    else:
        found, columns = asked_metrics(found, names)
        made = drawn_ahead(
            lambda evidence: tables.blocks(
                found, order, metrics=columns, allow_mixed=allow_mixed, evidence=evidence, quoted=quoted
            ),
            found,
            (lambda _: names) if names else all_metrics,
            settings=configured,
            more=names,
        )
        if not names:
            made += _inside_outside(found, order, configured)
    if with_quoted:
        tell_unquoted(made)
    _emit(render(made, style), out, into)


def _inside_outside(found: Sequence[Found], order: Sequence[str], configured: Settings) -> list[Table]:
    """Make the tables of tasks that are tested elsewhere."""
    from g2d_bench.records.record import TRAINED_ON
    from g2d_bench.report.drops import drop_tables

    elsewhere = [one for one in found if TRAINED_ON in one.record.notes]
    return drop_tables(found, order, main=main_metrics(elsewhere, configured)) if elsewhere else []


def _by_group(
    found: Sequence[Found], by: str, names: Sequence[str], order: Sequence[str], configured: Settings
) -> list[Table]:
    from g2d_bench.cells.groups import GroupsOfData
    from g2d_bench.cells.verify import require_sound
    from g2d_bench.report.groups import group_tables

    require_sound(found, configured)
    main = {} if names else main_metrics(found, configured)
    made, left = group_tables(found, by, order, main=main, metrics=names, elsewhere=GroupsOfData(configured))
    for line in left:
        click.echo(line, err=True)
    return made


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
@click.option("--jobs", type=JOBS, help="Processes of --run.  [default: as the cores allow]")
@reading_options
def compare(
    to: str,
    tolerance: str,
    style: str,
    run_missing: bool,
    allow_missing: bool,
    jobs: int | None,
    **given: Any,
) -> None:
    """Say which numbers moved, by how much and since which versions; exit 1 if one did.

    Example: g2d-bench compare --to results/phantom --task siim-seg --fraction 0.01 --run
    """
    from g2d_bench.records.compare import BAD, Tolerance, render

    allowed = Tolerance.parse(tolerance)
    wanted = _filter(given)
    if to == "reported":
        if run_missing:
            raise InputError("quoted numbers are no cells to run", field="--run")
        lines = _against_papers(wanted, allowed, _roots(given))
    else:
        lines = _against_folder(_folder(to), wanted, allowed, run_missing, jobs, given)
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

    found = _select(roots, wanted)
    require_sound(found)
    real = sum(one.record.data.kind == "real" for one in found)
    lines = compare_reported(found, load_reported(), allowed, _named(roots))
    if real < len(found):
        click.echo(f"{len(found) - real} records on generated data were left out", err=True)
    return lines


def _against_folder(
    folder: Path, wanted: Filter, allowed: Any, run_missing: bool, jobs: int | None, given: dict[str, Any]
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
    roots = _roots(given)
    if run_missing:
        phantom = all(one.record.data.kind == "phantom" for one in chosen)
        ran = _run(cells, given | ({"phantom": True} if phantom else {}), jobs)
        measured = by_cell(located(ran, configured.results))
    else:
        here = read_folders(roots)
        measured = by_cell(_repeats(here, [one.record for one in chosen]))
        if not measured:
            reason = f"none of the {len(cells)} cells of {folder} is here; add --run"
            raise InputError(reason, file=_named(roots))
        there = {one.cell for one in everything}
        if more := sorted({one.cell for one in here if wanted.passes(one.record)} - there):
            click.echo(
                f"not compared, since {folder} lacks them: {len(more)} cells ({more[0]} ...)", err=True
            )
    require_sound(list(measured.values()), configured)
    return compare_cells(index, measured, allowed, cells)


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


def _run(cells: Sequence[Any], given: dict[str, Any], jobs: int | None) -> list[Record]:
    """Run what is not finished; failures are named and leave their cells missing."""
    from g2d_bench.cells.rivals import rivals
    from g2d_bench.cells.workers import execute

    opened = bench(given)
    for line in rivals(cells, opened):
        click.echo(line, err=True)
    report = execute(cells, opened, jobs)
    for failure in report.failures:
        click.echo(f"failed: {failure.cell.task} {failure.cell.encoder}: {failure.error}", err=True)
    return list(report.records)


@click.command()
@click.argument("folder", type=PATH, nargs=-1)
@results_option
@click.option("--data-root", type=PATH, help="Folder with real data (or G2D_BENCH_DATA).")
@click.option("--tasks-dir", "task_dirs", type=PATH, multiple=True, help="Folder with your own task cards.")
@click.option("--encoders-dir", "encoder_dirs", type=PATH, multiple=True, help="Likewise of encoders.")
@click.option("--protocols-dir", "protocol_dirs", type=PATH, multiple=True, help="Likewise of protocols.")
def verify(folder: Sequence[Path], results: Sequence[Path], **given: Any) -> None:
    """Check results folders: all that can be derived of a record is derived again.

    Every metric from the predictions; counts, trivial predictors, names and keys from the record, the cards,
    the other records and, where the data are here, from their split. What could not be checked is said on
    stderr. No check but measuring a cell again (g2d-bench compare --run) proves a number.
    Exit 1 if anything is not as recorded. FOLDER is by default the one of `run`.
    """
    from g2d_bench.cells.verify import verify as check

    configured = settings(given)
    roots = list(dict.fromkeys(folders([*folder, *results]) or [configured.results]))
    wrong = False
    for root in roots:
        checked = check(root, configured)
        for problem in checked.problems:
            click.echo(problem)
        for reason in checked.undecided:
            click.echo(f"not checked: {reason}", err=True)
        click.echo(f"{root}: {checked}" if len(roots) > 1 else str(checked))
        wrong = wrong or bool(checked.problems)
    if wrong:
        sys.exit(1)


@click.group()
def figure() -> None:
    """Draw figures from a results folder."""


@figure.command("curves")
@filter_options
@hide_option
@click.option("--signature", default="", help="Only signatures that contain this text.")
@click.option("--metric", help="On the vertical axis.  [default: the main one of each task]")
@click.option("--out", type=PATH, help="A .png, .svg or .pdf file.  [default: TASKS-METRIC.png]")
@results_option
def figure_curves(metric: str | None, out: Path | None, results: Sequence[Path], **given: Any) -> None:
    """Draw the score against the label fraction, one line per encoder, with intervals; one panel per task.

    Example: g2d-bench figure curves --task siim-seg --metric dice_positive --out siim.pdf
    """
    from g2d_bench.cells.verify import require_sound
    from g2d_bench.report.curves import check_suffix, curves, draw, remarks, write

    if out is not None:
        check_suffix(out)
    configured = settings({"results": results})
    found = chosen(folders(results) or [configured.results], given)
    require_sound(found, configured)
    main = {} if metric else main_metrics(found, configured)
    panels, names = [], []
    for task in given["tasks"] or sorted({one.cell.task for one in found}):
        mine = [one for one in found if one.cell.task == task]
        if mine:
            name = metric or main.get((task, mine[0].cell.protocol)) or next(iter(mine[0].record.metrics))
            panels.append(curves(mine, name, row_order(found)))
            names.append((task, name.replace("/", "-")))
    tasks, metrics = (dict.fromkeys(part) for part in zip(*names, strict=True))
    out = out or Path("-".join([*tasks, *metrics]) + ".png")
    for line in remarks(panels):
        click.echo(line, err=True)
    write(draw(panels), out)
    click.echo(f"wrote {out}")


@click.command()
@click.argument("source", type=PATH)
@click.argument("target", type=PATH)
@filter_options
@click.option("--signature", default="", help="Only signatures that contain this text.")
def compact(source: Path, target: Path, **given: Any) -> None:
    """Copy records small enough for git: predictions keep only what the metrics are computed from.

    Every record is verified before and after; running it again changes nothing.
    """
    from g2d_bench.cells.verify import require_sound
    from g2d_bench.records.compact import write_compact

    found = chosen([source], given)
    require_sound(found, settings({}))
    written = write_compact(found, source, target)
    size = sum(file.stat().st_size for path in written for file in path.parent.glob(f"{path.stem}.*"))
    click.echo(f"wrote {len(written)} records to {target}, {size / len(written) / 1024:.1f} KiB per cell")


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


def _filter(given: dict[str, Any]) -> Filter:
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
    return _select(roots, _filter(given), hide=given.get("hide", False))


def _roots(given: dict[str, Any]) -> list[Path]:
    """Return the folders that a command with :data:`reading_options` reads."""
    return folders(given["results"]) or [settings(given).results]


def _named(roots: Sequence[Path]) -> Path:
    """Name folders in a message."""
    return Path(", ".join(map(str, roots)))


def _select(roots: Sequence[Path], wanted: Filter, *, hide: bool = False) -> list[Found]:
    from g2d_bench.records.selection import read_folders

    everything = read_folders(roots)
    found = [one for one in everything if wanted.passes(one.record)]
    if not found:
        raise wanted.explain(everything, _named(roots))
    tell_left_out(everything, wanted, roots)
    return _clean(found) if hide else found


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


def _folder(name: str) -> Path:
    """Find a reference folder: as given, else among what ships with the suite."""
    from g2d_bench.paths import expanded, shipped_results

    return shipped_results(expanded(name, "--to"))


def _emit(text: str, out: Path | None, into: Path | None) -> None:
    if into is not None:
        from g2d_bench.report.formats.embed import embed

        changed = embed(into, text)
        click.echo(f"{into}: {'wrote the table' if changed else 'the table was up to date'}", err=True)
        return
    if out is None:
        click.echo(text)
        return
    from g2d_bench.files import write_atomically

    if not out.parent.is_dir():
        raise InputError("no such folder", file=out.parent, field="--out")
    write_atomically(out, (text + "\n").encode())
    click.echo(f"wrote {out}", err=True)
