"""The command `g2d-bench`. Parses, calls, prints; everything heavy is imported when a command needs it."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import click

from g2d_bench import __version__
from g2d_bench.cli import claim as cli_claim
from g2d_bench.cli import compare as cli_compare
from g2d_bench.cli import data as cli_data
from g2d_bench.cli import encoders as cli_encoders
from g2d_bench.cli import explain as cli_explain
from g2d_bench.cli import export as cli_export
from g2d_bench.cli import figure as cli_figure
from g2d_bench.cli import grid as cli_grid
from g2d_bench.cli import leaderboard as cli_leaderboard
from g2d_bench.cli import reference as cli_reference
from g2d_bench.cli import report as cli_report
from g2d_bench.cli import submit as cli_submit
from g2d_bench.cli.options import (
    Group,
    bench,
    fractions,
    options,
    seeds,
    settings_options,
    shots,
    split,
)
from g2d_bench.cli.records import row_order, with_insides
from g2d_bench.cli.track import end_watch, track_options, watching
from g2d_bench.errors import InputError

if TYPE_CHECKING:
    from g2d_bench.cells.bench import Bench
    from g2d_bench.cells.outlook import Expected
    from g2d_bench.cells.plan import Skipped
    from g2d_bench.records.cell import Cell
    from g2d_bench.records.selection import Found
    from g2d_bench.report.trackers.watch import Watch


@click.group(cls=Group, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="g2d-bench")
def main() -> None:
    """Compare medical vision-language pre-training on chest X-rays, honestly.

    Without configured data everything runs on generated radiographs ("phantom"), and says so.
    """


_grid_options = options(
    click.option(
        "--task",
        "tasks",
        multiple=True,
        required=True,
        callback=split,
        help="Task name; repeat, use commas, or 'all'.",
    ),
    click.option(
        "--encoder",
        "encoders",
        multiple=True,
        callback=split,
        help="Encoder name; NAME+decoder for its decoder, too.  [default: all with usable weights]",
    ),
    click.option(
        "--fraction",
        "fractions",
        multiple=True,
        callback=fractions,
        help="Share of the labels: 0.01 or 1%.  [default: those of the task]",
    ),
    click.option(
        "--shots",
        multiple=True,
        callback=shots,
        help="Training images per class: 1,4,16; in the place of fractions, or beside them.",
    ),
    click.option(
        "--seed",
        "seeds",
        multiple=True,
        default=["0"],
        show_default=True,
        callback=seeds,
        help="Seed: 0, 0,1,2 or 0-4.",
    ),
    click.option("--protocol", default="clean", show_default=True, help="Protocol name."),
)


def _planned(given: dict[str, Any], **allowed: Any) -> tuple[Bench, list[Cell], list[Skipped]]:
    """Open the settings and lay out the cells that are asked for."""
    from g2d_bench.cells.plan import make_cells
    from g2d_bench.cells.shards import own_share

    opened = bench(given, **allowed)
    cells, skipped = make_cells(
        opened.catalogue,
        tasks=given["tasks"],
        encoders=given["encoders"],
        fractions=given["fractions"],
        shots=given["shots"],
        seeds=given["seeds"],
        protocol=given["protocol"],
        weights=opened.weights,
    )
    if given["shard"] is not None:
        cells = own_share(cells, opened, given["shard"], given["timings"])
    return opened, cells, skipped


@main.command()
@_grid_options
@cli_grid.shard_options
@settings_options
@click.option("--force", is_flag=True, help="Run cells again that are finished.")
@click.option("--dry-run", is_flag=True, help="Only show the plan.")
@cli_grid.executor_options
@click.option(
    "--allow-leaks",
    metavar="REASON",
    default="",
    help="Run in spite of a leak; the reason goes into the record.",
)
@track_options
def run(force: bool, dry_run: bool, allow_leaks: str, **given: Any) -> None:
    """Run a task with encoders at label fractions and print the table.

    Finished cells are not run again. Example: g2d-bench run --task siim-seg --fraction 0.01
    """
    opened, cells, skipped = _planned(given, force=force, allow_leaks=allow_leaks)
    if dry_run:
        from g2d_bench.cells.outlook import outlook

        expected, in_the_way = outlook(cells, opened)
        _print_plan(expected, in_the_way, skipped)
        return
    from g2d_bench.cells.workers import Stopped, execute

    where, watch = cli_grid.executor_of(given), watching(opened, given)
    for left in skipped:
        click.echo(f"left out: {left.name}: {left.reason}", err=True)
    try:
        report = execute(cells, opened, executor=where, watch=watch.cell)
    except Stopped as stop:
        # What is finished is shown all the same.
        _print_tables(opened, stop.report.found, watch)
        raise
    _print_tables(opened, report.found, watch)
    if report.reused:
        click.echo(
            f"\n{report.reused} of {len(cells)} cells were finished before (run with --force to repeat them)."
        )
    if report.failures:
        click.echo(
            f"\n{len(report.failures)} of {len(cells)} cells failed (run again: only these):", err=True
        )
        for failure in report.failures:
            cell = failure.cell
            click.echo(f"  {cell}: {failure.error}", err=True)
            if not failure.bad_input:
                click.echo(f"    traceback in {opened.locate_failure(cell)[1]}", err=True)
        sys.exit(1)


@main.command()
@_grid_options
@cli_grid.shard_options
@settings_options
@click.option(
    "--format",
    "form",
    type=click.Choice(["text", "commands", "json"]),
    default="text",
    show_default=True,
    help="For people, as a command per unit of work that is left, or as JSON.",
)
def plan(form: str, **given: Any) -> None:
    """Show the cells that `run` would run, what is finished, and about how long the rest takes."""
    opened, cells, skipped = _planned(given)
    if form == "text":
        from g2d_bench.cells.outlook import outlook

        expected, in_the_way = outlook(cells, opened)
        _print_plan(expected, in_the_way, skipped)
    else:
        cli_grid.write_plan(opened, cells, form)


@main.command("list")
@click.argument("what", type=click.Choice(["tasks", "encoders", "datasets", "protocols", "labels"]))
@click.option("--json", "as_json", is_flag=True, help="Machine-readable.")
@settings_options
def list_(what: str, as_json: bool, **given: Any) -> None:
    """List what there is: tasks, encoders, datasets, protocols or labels."""
    from g2d_bench.cli.listing import listing, render_listing

    opened = bench(given)
    rows = listing(what, opened)
    click.echo(json.dumps(rows, indent=1, ensure_ascii=False) if as_json else render_listing(rows))
    if what == "labels" and not as_json:
        from g2d_bench.cli.labels import label_summary

        click.echo("\n" + label_summary(opened.catalogue))


@main.command()
@click.argument("name")
@click.option("--json", "as_json", is_flag=True, help="Machine-readable.")
@settings_options
def show(name: str, as_json: bool, **given: Any) -> None:
    """Show the card of a task, encoder, protocol or data set."""
    from g2d_bench.cli.listing import describe, render_description

    card = describe(name, bench(given))
    click.echo(json.dumps(card, indent=1, ensure_ascii=False) if as_json else render_description(card))


def _print_tables(opened: Bench, found: Sequence[Found], watch: Watch) -> None:
    from g2d_bench.report.drops import drop_tables
    from g2d_bench.report.formats.render import render
    from g2d_bench.report.table import blocks

    tasks, protocols = opened.catalogue.tasks, opened.catalogue.protocols
    metrics = {
        cell.task: protocols[cell.protocol].view(tasks[cell.task]).metrics
        for cell in (one.cell for one in found)
    }
    if found:
        order = row_order(found)
        both = list(found)
        # What was measured is shown, whatever else lies in the folder.
        with suppress(InputError):
            both = with_insides(found, [opened.settings.results], opened.settings)
        main = {
            pair: protocols[pair[1]].view(tasks[pair[0]]).main
            for pair in {(one.cell.task, one.cell.protocol) for one in both}
        }
        made = [*blocks(found, order, metrics=metrics), *drop_tables(both, order, main=main)]
        click.echo(render(made))
        end_watch(watch, opened, found, made)


def _print_plan(expected: Sequence[Expected], in_the_way: Sequence[str], skipped: Sequence[Skipped]) -> None:
    from g2d_bench.cells.outlook import require_runnable
    from g2d_bench.cli.listing import plan_lines

    for line in plan_lines(expected, skipped):
        click.echo(line)
    for line in in_the_way:
        click.echo(line, err=True)
    require_runnable(expected)


for command in (
    *(cli_report.table, cli_compare.compare, cli_report.verify, cli_figure.figure, cli_report.compact),
    cli_report.report,
    *(cli_submit.submit, cli_submit.review, cli_export.export),
    cli_explain.explain,
    cli_leaderboard.leaderboard,
    cli_claim.claim,
    cli_grid.merge,
    cli_data.data,
    *(cli_encoders.pretrain, cli_encoders.weights, cli_encoders.doctor, cli_reference.reference),
    *(cli_encoders.add_encoder, cli_encoders.export_images),
):
    main.add_command(command)
