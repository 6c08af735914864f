"""Commands about data: generate, look, check, audit, prepare, divide."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from g2d_bench.cli.import_films import data_import
from g2d_bench.cli.options import JOBS, PATH, SEED, bench, settings_options
from g2d_bench.errors import InputError

if TYPE_CHECKING:
    from g2d_bench.data.audit_facts import Audit

_tables_option = click.option(
    "--tables",
    type=PATH,
    multiple=True,
    help="Read only the tables, plain or packed, of the data sets below this folder; repeat for several.",
)


# As a literal, so that importing this module reads no generator; a test compares it with the source.
SHORTCUTS = ("view", "tube")


@click.group()
def data() -> None:
    """Generate, look at and check data."""


data.add_command(data_import)


@data.command("phantom")
@click.argument("datasets", nargs=-1)
@click.option("--out", type=PATH, help="Where to write.  [default: the cache, where `run` looks]")
@click.option("--count", type=click.IntRange(10, 1_000_000), help="Images.  [default: per data set]")
@click.option("--size", type=click.IntRange(64, 1024), help="Pixels per side.  [default: 256]")
@click.option("--seed", type=SEED, default=0, show_default=True)
@click.option("--workers", type=JOBS, help="Processes; the bytes do not depend on it.")
@click.option(
    "--shortcut",
    type=click.Choice(SHORTCUTS),
    help="Let view or chest tube give the target away; with --out, to be read by --data-root.",
)
@click.option("--sheet", type=PATH, help="Only draw a sheet of 16 examples into this PNG.")
def data_phantom(
    datasets: tuple[str, ...],
    out: Path | None,
    count: int | None,
    size: int | None,
    seed: int,
    workers: int | None,
    shortcut: str | None,
    sheet: Path | None,
) -> None:
    """Generate radiographs in the raw layout of public data sets (default: all of them)."""
    from g2d_bench.cells.settings import Settings
    from g2d_bench.readers.registry import dataset_class, dataset_names

    if sheet is not None:
        from g2d_bench.phantom.sheet import write_sheet

        write_sheet(sheet)
        click.echo(f"wrote {sheet}")
        return
    from g2d_bench.phantom import ensure

    if shortcut and out is None:
        raise InputError(
            "needs --out: `run` takes what lies in the cache for films without one", field="--shortcut"
        )
    for name in datasets:
        dataset_class(name)
    failed, root = dict[str, str](), out or Settings().phantom_root
    wanted = datasets or dataset_names()
    for name in wanted:
        try:
            folder = ensure(
                name, root=root, count=count, size=size, seed=seed, workers=workers, shortcut=shortcut or ""
            )
        except InputError as error:
            failed[name] = str(error)
        else:
            click.echo(f"{name}: {folder}")
    _tell_failed(failed, len(wanted), "generated")


@data.command("status")
@click.option("--json", "as_json", is_flag=True, help="Machine-readable.")
@settings_options
def data_status(as_json: bool, **given: Any) -> None:
    """Show which data sets are there, real or generated, prepared or not, and how to get the others."""
    from g2d_bench.cli.listing import render_listing, status_rows

    rows = status_rows(bench(given))
    if as_json:
        click.echo(json.dumps(rows, indent=1, ensure_ascii=False))
        return
    columns = ("data set", "there", "images", "patients", "prepared", "folder")
    click.echo(render_listing([{name: row[name] for name in columns} for row in rows]))
    for row in rows:
        for remark in row["remarks"]:
            click.echo(f"  {row['data set']}: {remark}")
    click.echo("\nhow to get the real ones that are not there, and under which terms:")
    for row in rows:
        if row["there"] != "real":
            click.echo(f"  {row['data set']}: {row['access']} ({row['licence']})")


@data.command("audit")
@click.argument("names", nargs=-1, metavar="[DATASET|TASK]...")
@_tables_option
@click.option("--json", "as_json", is_flag=True, help="Machine-readable.")
@settings_options
def data_audit(names: tuple[str, ...], tables: tuple[Path, ...], as_json: bool, **given: Any) -> None:
    """Count what the parts of every split hold and share, published splits with their defects, too.

    Images, patients, files and near-duplicates; between tasks and between data sets by ids. Exit 1 if a split
    that should be clean leaks, 2 if a data set could not be read; the others are audited all the same.
    Example: g2d-bench data audit siim --tables annotations
    """
    from g2d_bench.data.audit import audit
    from g2d_bench.data.audit_text import render_audit, render_between

    _check_tables(tables)
    opened = bench(given)

    def told(one: Audit) -> None:
        for line in render_audit(one):
            click.echo(line)

    found = audit(opened.source, opened.catalogue, names, tables, None if as_json else told)
    if as_json:
        click.echo(json.dumps(asdict(found), indent=1, ensure_ascii=False))
    for line in () if as_json else render_between(found):
        click.echo(line)
    if found.fails:
        click.echo("g2d-bench: a split that should be clean leaks", err=True)
    _tell_failed(found.unread, len(found.datasets) + len(found.unread), "read")
    if found.fails:
        sys.exit(1)


@data.command("prepare")
@click.argument("dataset")
@click.option("--source", type=PATH, help="Folder of the downloaded release.  [default: in the data root]")
@click.option(
    "--size", "sizes", type=click.IntRange(32, 1024), multiple=True, help="Decode at this side, too."
)
@click.option("--partial", is_flag=True, help="Take a release with other counts than the cards state.")
@settings_options
def data_prepare(
    dataset: str, source: Path | None, sizes: tuple[int, ...], partial: bool, **given: Any
) -> None:
    """Check a downloaded release, decode it into the cache, and link it into the data root.

    Every file is read once; counts, tables and id lists are held against the public release. Wrong counts
    stop it (exit 2) unless --partial is given; exit 1 if anything else differs.
    Example: g2d-bench data prepare siim --source ~/Downloads/siim --data-root data
    """
    from g2d_bench.data.prepare import find_source, prepare

    opened = bench(given)
    root = opened.settings.data_root
    found = find_source(dataset, source, root)
    usable = {card.image.size for card in opened.catalogue.encoders if opened.weights(card)[0]}
    problems = 0
    for line, good in prepare(opened.catalogue, found, root, sorted({*sizes, *usable}), partial=partial):
        click.echo(line if good else f"{line}  <- differs")
        problems += not good
    if root is None:
        click.echo("  give --data-root DIR to link it there, so that runs find it")
    if problems:
        click.echo(f"g2d-bench: {problems} checks differ from the public release", err=True)
        sys.exit(1)


@data.command("split")
@click.argument("task")
@click.option("--fraction", default="1", show_default=True, help="Share of the training labels: 0.01 or 1%.")
@click.option(
    "--shots", type=click.IntRange(1, 100_000), help="Images per class, in the place of a fraction."
)
@click.option("--seed", type=SEED, default=0, show_default=True)
@click.option("--protocol", default="clean", show_default=True, help="Protocol, which names the split.")
@click.option("--out", type=PATH, help="Write into this .csv or .csv.gz instead.")
@_tables_option
@settings_options
def data_split(
    task: str,
    fraction: str,
    shots: int | None,
    seed: int,
    protocol: str,
    out: Path | None,
    tables: tuple[Path, ...],
    **given: Any,
) -> None:
    """Print the ids of a cell: what trains, validates and tests, as CSV (id,split).

    Example: g2d-bench data split siim-seg --fraction 1% --seed 2 --out ids.csv
    """
    from g2d_bench.data.audit import open_data
    from g2d_bench.data.splits import Split, parse_fraction, split_csv, write_id_list
    from g2d_bench.data.task_data import TaskData

    _check_tables(tables)
    share = parse_fraction(fraction)
    if out is not None:
        _check_out(out)
    opened = bench(given)
    card, rules = opened.catalogue.tasks[task], opened.catalogue.protocols[protocol]
    if card.test is not None and not tables:
        dataset, manifest = opened.source.of_task(card, rules.split)
    else:
        dataset, manifest = open_data(opened.source, card.dataset, tables)
    if shots and rules.draw == "published":
        raise InputError(f"protocol {protocol!r} draws images as published, by fractions", field="--shots")
    cell = TaskData(card, rules, dataset, manifest, share, seed, shots or 0)
    parts = {"train": cell.train, "val": cell.val, "test": cell.test}
    if out is None:
        click.echo(split_csv(parts), nl=False)
    else:
        write_id_list(out, Split(rules.split, *parts.values()))
    sizes = [f"{part} {len(ids):,} ({cell.positives(ids):,} positive)" for part, ids in parts.items()]
    where = f"wrote {out}: " if out else ""
    click.echo(
        f"{where}{task} ({manifest.kind} {card.dataset}), split {rules.split}#{cell.split.hash[:8]}, "
        f"{f'{shots} per class' if shots else f'{share:.3g}'} of train, seed {seed}: {', '.join(sizes)}",
        err=True,
    )


def _tell_failed(failed: Mapping[str, str], total: int, done: str) -> None:
    """Raise what some of several data sets failed by, once the others are done."""
    if total == 1 and failed:
        raise InputError(*failed.values())
    if failed:
        why = "; ".join(f"{name}: {why}" for name, why in failed.items())
        raise InputError(f"{len(failed)} of {total} data sets cannot be {done}: {why}")


def _check_tables(tables: tuple[Path, ...]) -> None:
    for folder in tables:
        if not folder.is_dir():
            raise InputError("no such folder", file=folder, field="--tables")


def _check_out(out: Path) -> None:
    if not out.name.endswith((".csv", ".csv.gz")):
        raise InputError("is not named .csv or .csv.gz", file=out, field="--out")
    if not out.parent.is_dir():
        raise InputError("no such folder", file=out.parent, field="--out")
