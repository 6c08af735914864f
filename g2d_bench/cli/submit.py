"""The commands of the way in: a bundle for a repository of results, and the review of one."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from g2d_bench.cli.options import PATH, filter_options, folders, options, settings
from g2d_bench.cli.records import chosen
from g2d_bench.errors import InputError

_cards = options(
    click.option("--data-root", type=PATH, help="Folder with real data (or G2D_BENCH_DATA)."),
    click.option(
        "--tasks-dir", "task_dirs", type=PATH, multiple=True, help="Folder with your own task cards."
    ),
    click.option("--encoders-dir", "encoder_dirs", type=PATH, multiple=True, help="Likewise of encoders."),
    click.option("--protocols-dir", "protocol_dirs", type=PATH, multiple=True, help="Likewise of protocols."),
)
_LIMIT = 1800.0
"""Seconds that a review may take unless told otherwise."""


@click.command()
@click.argument("runs", type=PATH, nargs=-1, required=True)
@filter_options
@click.option("--signature", default="", help="Only signatures that contain this text.")
@click.option("--out", type=PATH, required=True, help="Folder to make.")
@click.option("--against", type=PATH, help="The repository of results: what is there already is left out.")
@click.option("--note", default="", help="Words for those who review it.")
@click.option("--partial", default="", metavar="REASON", help="Why rows are not complete.")
@click.option("--without-predictions", is_flag=True, help="Leave out predictions on real data.")
@_cards
def submit(
    runs: Sequence[Path],
    out: Path,
    against: Path | None,
    note: str,
    partial: str,
    without_predictions: bool,
    **given: Any,
) -> None:
    """Make a bundle of finished cells, ready for a pull request to a repository of results.

    Records are verified and made compact; rows must be complete, and the card of each encoder must state the
    licence of its weights and what it has seen. No pixel goes along. Example:
    g2d-bench submit runs --encoder mine --encoders-dir cards --out bundle
    """
    from g2d_bench.cells.bundle import records_root
    from g2d_bench.cells.review import review as look
    from g2d_bench.cells.settings import Settings
    from g2d_bench.cells.submit import Wishes
    from g2d_bench.cells.submit import submit as make
    from g2d_bench.records.selection import read_folder
    from g2d_bench.records.store import Store

    configured = settings(given)
    found = chosen(folders(runs), given)
    there = records_root(against) if against is not None else None
    if there is not None and not there.is_dir():
        raise InputError("no such folder", file=there, field="--against")
    base = read_folder(there) if there is not None and Store(there).files() else []
    # As a reviewer sees it, who has no cards but those of the bundle.
    plain = Settings(task_dirs=configured.task_dirs, protocol_dirs=configured.protocol_dirs)

    def check(bundle: Path) -> Sequence[str]:
        return look(bundle, against if against is not None else bundle / "nothing", plain).problems

    made = make(found, out, configured, Wishes(note, partial, not without_predictions), base, check)
    for line in made.remarks:
        click.echo(line, err=True)
    click.echo(
        f"wrote {out}: {made.name}, {made.records} records; copy what is in it into the repository of results"
    )


@click.command()
@click.argument("bundle", type=PATH)
@click.option(
    "--against", type=PATH, required=True, help="The repository of results, or any folder of records."
)
@click.option(
    "--whole", is_flag=True, help="BUNDLE is a copy of the whole repository, with the changes in it."
)
@click.option("--out", type=PATH, help="Write into this file.")
@click.option(
    "--timeout",
    type=click.FloatRange(1, 86400),
    default=_LIMIT,
    show_default=True,
    help="Seconds it may take.",
)
@_cards
def review(bundle: Path, against: Path, whole: bool, out: Path | None, timeout: float, **given: Any) -> None:
    """Say in Markdown what a bundle would change: new and moved numbers, ranks, what cannot be compared.

    Nothing in the bundle is run, followed or believed; exit 1 if something in it is not true or not allowed.
    Example: g2d-bench review bundle --against results
    """
    from g2d_bench.cells.fence import fenced
    from g2d_bench.cells.review import Review
    from g2d_bench.cells.review import review as look
    from g2d_bench.cells.review_text import render
    from g2d_bench.files import write_out

    if out is not None and not out.parent.is_dir():
        raise InputError("no such folder", file=out.parent, field="--out")
    for folder in (bundle, against):
        if not folder.is_dir():
            raise InputError("no such folder" if not folder.exists() else "is not a folder", file=folder)
    configured = settings(given)
    try:
        found = fenced(look, bundle, against, configured, whole, seconds=timeout)
    except InputError as error:
        found = Review(problems=(str(error),))
    text = render(found)
    if out is None:
        click.echo(text)
    else:
        write_out(out, (text + "\n").encode())
        click.echo(f"wrote {out}", err=True)
    if found.problems:
        sys.exit(1)
