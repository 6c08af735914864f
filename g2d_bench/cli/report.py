"""Commands that read records: tables, checks, compact copies, checklists."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from g2d_bench.cli.look import look_of, look_options
from g2d_bench.cli.options import (
    FORMAT,
    PATH,
    few_collections,
    filter_options,
    folders,
    hide_option,
    results_option,
    settings,
    split,
)
from g2d_bench.cli.records import chosen, filter_of, main_metrics, row_order, select, with_insides
from g2d_bench.cli.tell import tell_other_protocols, tell_unquoted
from g2d_bench.errors import InputError

if TYPE_CHECKING:
    from g2d_bench.cells.settings import Settings
    from g2d_bench.records.selection import Found
    from g2d_bench.report.model import Table

# As literals, so that importing this module reads no table code; a test compares them with the source.
PAPERS = ("g2d-table1", "g2d-table2a", "g2d-table2b", "g2d-table3", "g2d-table4", "g2d-table7")
GROUPS = ("sex", "age", "view", "device")


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
@look_options
@click.option("--data-root", type=PATH, help="Real data, for --by of records that keep no groups.")
@click.option("--out", type=PATH, help="Write into this file.")
@click.option("--into", type=PATH, help="Replace what stands between the marker lines of this Markdown file.")
@results_option
@few_collections
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
    not significantly worse than the best. For a paper's column: --narrow --no-intervals --titles --p-values.
    Example: g2d-bench table --paper g2d-table1 --format latex
    """
    from g2d_bench.cells.ahead import all_metrics, drawn_ahead
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
    wanted = filter_of(given)
    configured = settings({"results": results, "data_root": given["data_root"]})
    # Without records a paper's table can still show what was printed.
    roots = folders(results) or [configured.results]
    printed_only = paper is not None and with_quoted and not any(root.exists() for root in roots)
    found = [] if printed_only else select(roots, wanted, hide=given["hide"])
    order = row_order(found)
    if paper is not None:
        named: str = paper
        made = [
            drawn_ahead(
                lambda evidence: tables.paper_table(
                    named,
                    found,
                    order,
                    protocols=wanted.protocol,
                    allow_mixed=allow_mixed,
                    evidence=evidence,
                    quoted=quoted,
                ),
                found,
                lambda record: tables.paper_metrics(named, record, wanted.protocol),
                settings=configured,
                more=tables.paper_more(named),
            )
        ]
        tell_other_protocols(found, paper, wanted.protocol)
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
            made += _inside_outside(found, order, configured, roots)
    if with_quoted:
        tell_unquoted(made)
    _emit(render(made, style, look_of(found, configured, given)), out, into)


def _inside_outside(
    found: Sequence[Found], order: Sequence[str], configured: Settings, roots: Sequence[Path]
) -> list[Table]:
    """Make the tables of tasks that are tested elsewhere."""
    from g2d_bench.report.drops import drop_tables

    both = with_insides(found, roots, configured)
    return drop_tables(both, order, main=main_metrics(both, configured)) if both else []


def _by_group(
    found: Sequence[Found], by: str, names: Sequence[str], order: Sequence[str], configured: Settings
) -> list[Table]:
    from g2d_bench.cells.ahead import draw_ahead, undrawn
    from g2d_bench.cells.groups import GroupsOfData
    from g2d_bench.cells.verify import require_sound
    from g2d_bench.report.groups import group_tables, pairs_of

    require_sound(found, configured)
    main = {} if names else main_metrics(found, configured)
    draw_ahead(undrawn(found, lambda _: (), lambda one: pairs_of(one, (by,), names, main)))
    made, left = group_tables(found, by, order, main=main, metrics=names, elsewhere=GroupsOfData(configured))
    for line in left:
        click.echo(line, err=True)
    return made


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


@click.command()
@click.argument("source", type=PATH)
@click.argument("target", type=PATH)
@filter_options
@click.option("--signature", default="", help="Only signatures that contain this text.")
def compact(source: Path, target: Path, **given: Any) -> None:
    """Copy records small enough for git: predictions keep only what the metrics are computed from.

    Of segmentation and grounding the best, median and worst case keep mask or map, small, for the pages.
    Every record is verified before and after; one without predictions is copied as it is. Running it
    again changes nothing.
    """
    from g2d_bench.cards.catalogue import Catalogue
    from g2d_bench.cells.verify import require_sound
    from g2d_bench.records.compact import write_compact

    found, configured = chosen([source], given), settings({})
    require_sound(found, configured)
    cards = Catalogue.open(configured.task_dirs, protocol_dirs=configured.protocol_dirs)
    written = write_compact(found, source, target, cards=cards)
    size = sum(file.stat().st_size for path in written for file in path.parent.glob(f"{path.stem}.*"))
    click.echo(f"wrote {len(written)} records to {target}, {size / len(written) / 1024:.1f} KiB per cell")


@click.command()
@filter_options
@click.option("--signature", default="", help="Only signatures that contain this text.")
@click.option("--checklist", is_flag=True, required=True, help="CLAIM and TRIPOD+AI, item by item.")
@click.option("--format", "style", type=click.Choice(("md", "latex")), default="md", show_default=True)
@click.option("--no-intervals", is_flag=True, help="Compute no bootstrap intervals: quicker.")
@click.option("--out", type=PATH, help="Write into this file.")
@results_option
def report(
    checklist: bool,
    style: str,
    no_intervals: bool,
    out: Path | None,
    results: Sequence[Path],
    **given: Any,
) -> None:
    """Fill a reporting checklist with what records and cards know, for a paper's appendix.

    Data, split by patient, reference standard, metrics with intervals, code, hardware; what no record can
    know is marked as left to the authors. Example: g2d-bench report --checklist --format latex --out app.tex
    """
    from g2d_bench.cards.catalogue import Catalogue
    from g2d_bench.cells.verify import require_sound
    from g2d_bench.report.checklist import Study, fill
    from g2d_bench.report.checklist_text import render
    from g2d_bench.report.exports.base import Request, numbers

    configured = settings({"results": results})
    found = chosen(folders(results) or [configured.results], given)
    require_sound(found, configured)
    catalogue = Catalogue.open(configured.task_dirs, configured.encoder_dirs, configured.protocol_dirs)
    request = Request(found, main_metrics(found, configured), intervals=not no_intervals)
    answers = fill(Study(found, list(numbers(request)), catalogue))
    generated = any(one.record.data.kind == "phantom" for one in found)
    _emit(render(answers, style, generated=generated), out, None)


def _emit(text: str, out: Path | None, into: Path | None) -> None:
    if into is not None:
        from g2d_bench.report.formats.embed import embed

        changed = embed(into, text)
        click.echo(f"{into}: {'wrote the table' if changed else 'the table was up to date'}", err=True)
        return
    if out is None:
        click.echo(text)
        return
    from g2d_bench.files import write_out

    if not out.parent.is_dir():
        raise InputError("no such folder", file=out.parent, field="--out")
    write_out(out, (text + "\n").encode())
    click.echo(f"wrote {out}", err=True)
