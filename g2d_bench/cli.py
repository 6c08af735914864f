"""The command `g2d-bench`. Parses, calls, prints; everything heavy is imported when a command needs it."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from g2d_bench import __version__
from g2d_bench.cli_encoders import doctor, pretrain, weights
from g2d_bench.errors import InputError

if TYPE_CHECKING:
    from g2d_bench.plan import Cell, Skipped
    from g2d_bench.run import Bench

F = TypeVar("F", bound=Callable[..., Any])


class _Group(click.Group):
    """Prints an InputError as one line and exits with 2."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except InputError as error:
            click.echo(f"g2d-bench: {error}", err=True)
            ctx.exit(2)


@click.group(cls=_Group, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="g2d-bench")
def main() -> None:
    """Compare medical vision-language pre-training on chest X-rays, honestly.

    Without configured data everything runs on generated radiographs ("phantom"), and says so.
    """


def _split(_: click.Context, __: click.Parameter, values: Sequence[str]) -> tuple[str, ...]:
    """Options that repeat also take commas."""
    return tuple(part.strip() for value in values for part in value.split(",") if part.strip())


def _fractions(ctx: click.Context, param: click.Parameter, values: Sequence[str]) -> tuple[float, ...]:
    from g2d_bench.data.splits import parse_fraction

    return tuple(parse_fraction(text) for text in _split(ctx, param, values))


def _seeds(ctx: click.Context, param: click.Parameter, values: Sequence[str]) -> tuple[int, ...]:
    seeds: list[int] = []
    for text in _split(ctx, param, values):
        first, dash, last = text.partition("-")
        if not first.isdigit() or (dash and not last.isdigit()):
            raise InputError(f"{text!r} is not a seed; write 0, 0,1,2 or 0-4", field="--seed")
        seeds.extend(range(int(first), int(last or first) + 1))
    return tuple(dict.fromkeys(seeds))


def _checkpoints(ctx: click.Context, param: click.Parameter, values: Sequence[str]) -> dict[str, Path]:
    files = {}
    for text in values:
        name, equals, path = text.partition("=")
        if not equals or not name or not path:
            raise InputError(f"{text!r} is not NAME=FILE", field="--checkpoint")
        files[name] = Path(path).expanduser()
    return files


def _options(*decorators: Callable[[F], F]) -> Callable[[F], F]:
    def wrap(function: F) -> F:
        for decorator in reversed(decorators):
            function = decorator(function)
        return function

    return wrap


_PATH = click.Path(path_type=Path)
_settings_options = _options(
    click.option(
        "--data-root",
        type=_PATH,
        help="Folder with real data, one sub-folder per data set (or G2D_BENCH_DATA).",
    ),
    click.option("--phantom", is_flag=True, help="Use generated data, whatever is configured."),
    click.option("--results", type=_PATH, help="Folder of records (or G2D_BENCH_RESULTS).  [default: runs]"),
    click.option(
        "--tasks-dir", "task_dirs", type=_PATH, multiple=True, help="Folder with your own task cards."
    ),
    click.option(
        "--encoders-dir",
        "encoder_dirs",
        type=_PATH,
        multiple=True,
        help="Folder with your own encoder cards.",
    ),
    click.option(
        "--protocols-dir",
        "protocol_dirs",
        type=_PATH,
        multiple=True,
        help="Folder with your own protocol cards.",
    ),
    click.option(
        "--checkpoint",
        "checkpoints",
        multiple=True,
        metavar="NAME=FILE",
        callback=_checkpoints,
        help="Weights of an encoder.",
    ),
    click.option(
        "--weights-dir", type=_PATH, help="Folder with weights named after encoders (or G2D_BENCH_WEIGHTS)."
    ),
)
_grid_options = _options(
    click.option(
        "--task",
        "tasks",
        multiple=True,
        required=True,
        callback=_split,
        help="Task name; repeat, use commas, or 'all'.",
    ),
    click.option(
        "--encoder",
        "encoders",
        multiple=True,
        callback=_split,
        help="Encoder name, NAME+decoder for its decoder too.  [default: all with usable weights]",
    ),
    click.option(
        "--fraction",
        "fractions",
        multiple=True,
        callback=_fractions,
        help="Share of the labels: 0.01 or 1%.  [default: those of the task]",
    ),
    click.option(
        "--seed",
        "seeds",
        multiple=True,
        default=["0"],
        show_default=True,
        callback=_seeds,
        help="Seed: 0, 0,1,2 or 0-4.",
    ),
    click.option("--protocol", default="clean", show_default=True, help="Protocol name."),
)


def _bench(options: dict[str, Any], **run_options: Any) -> Bench:
    from g2d_bench.run import Bench, Options
    from g2d_bench.settings import resolve

    names = ("data_root", "phantom", "results", "task_dirs", "encoder_dirs")
    names += ("protocol_dirs", "checkpoints", "weights_dir")
    return Bench(
        resolve(**{name: options[name] for name in names if name in options}), Options(**run_options)
    )


def _cells(bench: Bench, options: dict[str, Any]) -> tuple[list[Cell], list[Skipped]]:
    from g2d_bench.plan import make_cells

    return make_cells(
        bench.catalogue,
        tasks=options["tasks"],
        encoders=options["encoders"],
        fractions=options["fractions"],
        seeds=options["seeds"],
        protocol=options["protocol"],
        weights=bench.weights,
    )


@main.command()
@_grid_options
@_settings_options
@click.option("--force", is_flag=True, help="Run cells again that are finished.")
@click.option("--dry-run", is_flag=True, help="Only show the plan.")
@click.option("--jobs", type=click.IntRange(min=1), help="Processes.  [default: as the cores allow]")
@click.option(
    "--allow-leaks",
    metavar="REASON",
    default="",
    help="Run in spite of a leak; the reason goes into the record.",
)
def run(force: bool, dry_run: bool, jobs: int | None, allow_leaks: str, **options: Any) -> None:
    """Run a task with encoders at label fractions and print the table.

    Finished cells are not run again. Example: g2d-bench run --task siim-seg --fraction 0.01
    """
    bench = _bench(options, force=force, allow_leaks=allow_leaks)
    cells, skipped = _cells(bench, options)
    if dry_run:
        _print_plan(bench, cells, skipped)
        return
    from g2d_bench.execute.local import execute

    report = execute(cells, bench, jobs)
    for left in skipped:
        click.echo(f"left out: {left.encoder}: {left.reason}", err=True)
    _print_tables(bench, report.records)
    if report.reused:
        click.echo(
            f"\n{report.reused} of {len(cells)} cells were finished before (run with --force to repeat them)."
        )
    if report.failures:
        click.echo(f"\n{len(report.failures)} of {len(cells)} cells failed:", err=True)
        for failure in report.failures:
            cell = failure.cell
            click.echo(
                f"  {cell.task} {cell.encoder} {cell.fraction:g} seed {cell.seed}: {failure.error}", err=True
            )
        sys.exit(1)


@main.command()
@_grid_options
@_settings_options
def plan(**options: Any) -> None:
    """Show the cells that `run` would run, what is finished, and about how long the rest takes."""
    bench = _bench(options)
    _print_plan(bench, *_cells(bench, options))


@main.command("list")
@click.argument("what", type=click.Choice(["tasks", "encoders", "datasets", "protocols", "labels"]))
@click.option("--json", "as_json", is_flag=True, help="Machine-readable.")
@_settings_options
def list_(what: str, as_json: bool, **options: Any) -> None:
    """List what there is: tasks, encoders, datasets, protocols or labels."""
    from g2d_bench.report.listing import listing, render_listing

    rows = listing(what, _bench(options))
    click.echo(json.dumps(rows, indent=1, ensure_ascii=False) if as_json else render_listing(rows))


@main.command()
@click.argument("name")
@click.option("--json", "as_json", is_flag=True, help="Machine-readable.")
@_settings_options
def show(name: str, as_json: bool, **options: Any) -> None:
    """Show the card of a task, encoder, protocol or data set."""
    from g2d_bench.report.listing import describe, render_description

    card = describe(name, _bench(options))
    click.echo(json.dumps(card, indent=1, ensure_ascii=False) if as_json else render_description(card))


@main.command()
@click.option("--task", "tasks", multiple=True, callback=_split, help="Only these tasks.")
@click.option("--encoder", "encoders", multiple=True, callback=_split, help="Only these encoders.")
@click.option("--fraction", "fractions", multiple=True, callback=_fractions, help="Only these fractions.")
@click.option("--protocol", "protocols", multiple=True, callback=_split, help="Only these protocols.")
@click.option("--signature", default="", help="Only signatures that contain this text.")
@click.option("--allow-mixed", is_flag=True, help="Let different signatures share a column, marked.")
@_settings_options
def table(
    tasks: tuple[str, ...],
    encoders: tuple[str, ...],
    fractions: tuple[float, ...],
    protocols: tuple[str, ...],
    signature: str,
    allow_mixed: bool,
    **options: Any,
) -> None:
    """Print the tables of a results folder."""
    bench = _bench(options)
    records = [
        record
        for _, record in bench.store
        if (not tasks or record.cell.task in tasks)
        and (not encoders or record.cell.encoder in encoders)
        and (not fractions or record.cell.fraction in fractions)
        and (not protocols or record.cell.protocol in protocols)
        and signature in record.signature
    ]
    if not records:
        raise InputError("no record matches", file=bench.settings.results, field="--results")
    _print_tables(bench, records, allow_mixed)


@main.group()
def data() -> None:
    """Generate, look at and check data."""


@data.command("phantom")
@click.argument("datasets", nargs=-1)
@click.option("--out", type=_PATH, help="Where to write.  [default: the cache, where `run` looks]")
@click.option("--count", type=click.IntRange(min=10), help="Images.  [default: per data set]")
@click.option("--size", type=click.IntRange(64, 1024), help="Pixels per side.  [default: 256]")
@click.option("--seed", type=int, default=0, show_default=True)
@click.option("--workers", type=click.IntRange(min=1), help="Processes; the bytes do not depend on it.")
@click.option("--sheet", type=_PATH, help="Only draw a sheet of 16 examples into this PNG.")
def data_phantom(
    datasets: tuple[str, ...],
    out: Path | None,
    count: int | None,
    size: int | None,
    seed: int,
    workers: int | None,
    sheet: Path | None,
) -> None:
    """Generate radiographs in the raw layout of public data sets (default: all of them)."""
    from g2d_bench.data.registry import dataset_class, dataset_names
    from g2d_bench.settings import Settings

    if sheet is not None:
        from g2d_bench.data.phantom.sheet import write_sheet

        write_sheet(sheet)
        click.echo(f"wrote {sheet}")
        return
    from g2d_bench.data.phantom import ensure

    for name in datasets:
        dataset_class(name)
    for name in datasets or dataset_names():
        folder = ensure(
            name, root=out or Settings().phantom_root, count=count, size=size, seed=seed, workers=workers
        )
        click.echo(f"{name}: {folder}")


@data.command("status")
@click.option("--json", "as_json", is_flag=True, help="Machine-readable.")
@_settings_options
def data_status(as_json: bool, **options: Any) -> None:
    """Show which data sets are there, real or generated, and how to get the others."""
    from g2d_bench.report.listing import data_rows, render_listing

    rows = data_rows(_bench(options))
    click.echo(json.dumps(rows, indent=1, ensure_ascii=False) if as_json else render_listing(rows))


@data.command("verify")
@click.argument("datasets", nargs=-1)
@_settings_options
def data_verify(datasets: tuple[str, ...], **options: Any) -> None:
    """Read data sets in full: tables, images, counts against the cards, leaks between the splits."""
    from g2d_bench.data.verify import verify

    bench = _bench(options)
    problems = 0
    for line, good in verify(bench, datasets):
        click.echo(line)
        problems += not good
    if problems:
        click.echo(f"g2d-bench: {problems} checks failed", err=True)
        sys.exit(1)


def _print_tables(bench: Bench, records: Sequence[Any], allow_mixed: bool = False) -> None:
    from g2d_bench.report.table import blocks
    from g2d_bench.report.text import render

    metrics = {name: bench.catalogue.tasks[name].metrics for name in {r.cell.task for r in records}}
    order = list(dict.fromkeys(record.cell.encoder for record in records))
    made = blocks(records, order, metrics=metrics, allow_mixed=allow_mixed)
    click.echo("\n\n".join(render(block) for block in made))


def _print_plan(bench: Bench, cells: Sequence[Cell], skipped: Sequence[Skipped]) -> None:
    from g2d_bench.report.listing import plan_lines

    for line in plan_lines(bench, cells, skipped):
        click.echo(line)


main.add_command(pretrain)
main.add_command(weights)
main.add_command(doctor)
