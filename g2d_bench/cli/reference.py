"""The command that makes the reference records of the phantom benchmark."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from g2d_bench.cli.grid import executor_of, executor_options
from g2d_bench.cli.options import PATH, filter_options


@click.command()
@filter_options
@click.option(
    "--results",
    type=PATH,
    default="runs/reference",
    show_default=True,
    help="Full records; what is there is kept.",
)
@click.option(
    "--out", type=PATH, default="results/phantom", show_default=True, help="Compact records, for git."
)
@executor_options
@click.option("--dry-run", is_flag=True, help="Only show the plan.")
def reference(results: Path, out: Path, dry_run: bool, **given: Any) -> None:
    """Run what is missing of the phantom benchmark's reference and keep compact records of it.

    All tasks, all small encoders, the tasks' fractions, seeds 0 to 2, protocol clean, and cxr14-cls under
    clean-finetune; cheap cells first, always on generated data with the shipped cards and weights. It may be
    interrupted: finished cells are not run again, nor those whose records in --out are up to date, wherever
    they were made. Options take a part of it.
    Example: g2d-bench reference --task siim-seg --fraction 1%
    """
    from g2d_bench.cards.catalogue import Catalogue
    from g2d_bench.cells.bench import Bench
    from g2d_bench.cells.outlook import outlook
    from g2d_bench.cells.reference import finished, publish, published_before, reference_cells
    from g2d_bench.cells.settings import Settings
    from g2d_bench.cells.verify import verify
    from g2d_bench.cells.workers import execute
    from g2d_bench.cli.listing import plan_lines
    from g2d_bench.records.forecast import Forecast, costs
    from g2d_bench.records.selection import Filter
    from g2d_bench.records.store import Store

    wanted = Filter(
        task=given["tasks"],
        encoder=given["encoders"],
        fraction=given["fractions"],
        protocol=given["protocols"],
        seed=given["seeds"],
    )
    where = executor_of(given)
    # No user's data, cards, packages or checkpoints: the same cells for everybody.
    bench = Bench(Settings(results=results), catalogue=Catalogue.of_the_suite())
    cells, skipped = reference_cells(bench, wanted)
    kept = [record for _, record in Store(out)]
    before = published_before(cells, bench, kept, generate=not dry_run)
    missing = [cell for cell in cells if cell not in before]
    forecast = Forecast([*kept, *(record for _, record in bench.store)], costs(bench.catalogue))
    if dry_run:
        for line in plan_lines(outlook(missing, bench, forecast)[0], skipped):
            click.echo(line)
        data = {bench.catalogue.tasks[cell.task].dataset for cell in before}
        absent = sorted(name for name in data if bench.source.state(name) == "no")
        believed = (
            f", provided that {', '.join(absent)} (not generated yet) come out as recorded" if absent else ""
        )
        click.echo(f"{len(before)} more are up to date in {out}{believed}")
        return
    for left in skipped:
        click.echo(f"left out: {left.name}: {left.reason}", err=True)
    report = execute(missing, bench, forecast=forecast, executor=where)
    whole, _ = reference_cells(bench, Filter())
    published = publish(finished(cells, bench), results / "phantom", out, whole, bench.catalogue)
    for failure in report.failures:
        click.echo(f"failed: {failure.cell.task} {failure.cell.encoder}: {failure.error}", err=True)
    for path in published.strangers:
        click.echo(f"{path}: is no cell of the reference; remove it if it should not count", err=True)
    checked = verify(out, bench.settings)
    for problem in checked.problems:
        click.echo(problem)
    click.echo(
        f"{out}: {len(whole) - len(published.missing)} of {len(whole)} cells of the reference, "
        f"{len(published.replaced)} older records replaced; {checked}"
    )
    if checked.problems or report.failures:
        sys.exit(1)
