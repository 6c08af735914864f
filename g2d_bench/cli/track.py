"""Options of `run` that show it in a tracker, too."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from g2d_bench.cli.options import TRACKER, options, split

if TYPE_CHECKING:
    from g2d_bench.cells.bench import Bench
    from g2d_bench.records.selection import Found
    from g2d_bench.report.model import Table
    from g2d_bench.report.trackers.watch import Watch


def _names(ctx: click.Context, option: click.Parameter, values: Sequence[str]) -> tuple[str, ...]:
    """Take several names, also with commas between them."""
    return tuple(TRACKER.convert(name, option, ctx) for name in split(ctx, option, values))


track_options = options(
    click.option(
        "--tracker",
        "trackers",
        multiple=True,
        callback=_names,
        metavar="NAME",
        help="Show the run there, too: tensorboard, mlflow, wandb, trackio; repeat or use commas.",
    ),
    click.option(
        "--tracker-project", default="g2d-bench", show_default=True, help="Project or experiment there."
    ),
)


def watching(opened: Bench, given: dict[str, Any]) -> Watch:
    """Open the trackers that are asked for.

    Raises:
        InputError: the library of one is not installed.
    """
    from g2d_bench.report.trackers.base import Setup
    from g2d_bench.report.trackers.watch import opened as open_trackers

    names, project = given.pop("trackers"), given.pop("tracker_project")
    return open_trackers(names, Setup(project, opened.settings.results))


def end_watch(watch: Watch, opened: Bench, found: Sequence[Found], tables: Sequence[Table]) -> None:
    """Show tables and a picture of the run in its trackers."""
    if not watch or not found:
        return
    from g2d_bench.report.trackers.pages import pages_of

    tasks, protocols = opened.catalogue.tasks, opened.catalogue.protocols
    main = {one.cell.task: protocols[one.cell.protocol].view(tasks[one.cell.task]).main for one in found}
    watch.end(lambda: pages_of(found, tables, main))
