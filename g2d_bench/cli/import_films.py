"""The command that reads somebody's own films."""

from __future__ import annotations

import re
from pathlib import Path

import click

from g2d_bench.cli.options import PATH
from g2d_bench.errors import InputError


@click.command("import")
@click.argument("films", type=PATH, metavar="DIR")
@click.option("--csv", "table", type=PATH, required=True, help="The table, one row per film (or per box).")
@click.option("--name", help="What task names begin with.  [default: the name of DIR]")
@click.option("--out", type=PATH, help="Where to write.  [default: NAME-bench in the current folder]")
@click.option(
    "--column",
    "columns",
    multiple=True,
    metavar="ROLE=COLUMN",
    help="Say what a column is, such as patient=MRN.",
)
@click.option("--label", "labels", multiple=True, help="Only these columns are labels; repeat for several.")
@click.option("--region", default="", help="Label of masks and boxes that name none.")
@click.option(
    "--rle",
    type=click.Choice(["absolute", "relative"]),
    default="absolute",
    show_default=True,
    help="Run lengths as start and length (Kaggle), or gap and length (SIIM-ACR).",
)
def data_import(
    films: Path,
    table: Path,
    name: str | None,
    out: Path | None,
    columns: tuple[str, ...],
    labels: tuple[str, ...],
    region: str,
    rle: str,
) -> None:
    """Read your own films, PNG, JPEG or DICOM, with a table, and write cards of the tasks that it allows.

    Films and table stay where they are. Columns are known by their names (image, patient, split, sex, age,
    view, report, mask, rle, boxes or x, y, width, height); columns of 1, 0 and -1 are labels.
    Example: g2d-bench data import films --csv films.csv --name ours
    """
    from g2d_bench.data.import_films import import_films

    called = name or re.sub(r"[^a-z0-9]+", "-", films.resolve().name.lower()).strip("-")
    given = {}
    for pair in columns:
        role, equals, column = pair.partition("=")
        if not equals:
            raise InputError(f"{pair!r} is not ROLE=COLUMN", field="--column")
        given[role] = column
    made = import_films(
        films,
        table,
        out or Path(f"{called}-bench"),
        name=called,
        columns=given,
        labels=labels,
        region=region,
        rle=rle,
    )
    for line in made.lines:
        click.echo(line)
    click.echo(
        f"wrote {made.out}; now: g2d-bench run --task {made.tasks[0]} --data-root {made.out} "
        f"--tasks-dir {made.out / 'tasks'}"
    )
