"""The command that writes what others read: hubs, tables of numbers, descriptions of the splits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from g2d_bench.cli.options import EXPORT, PATH, filter_options, folders, results_option, settings
from g2d_bench.cli.records import chosen, main_metrics
from g2d_bench.errors import InputError


@click.command()
@click.argument("form", metavar="FORMAT", type=EXPORT)
@filter_options
@click.option("--signature", default="", help="Only signatures that contain this text.")
@click.option("--out", type=PATH, help="File or folder to write.  [default: named after the format]")
@click.option("--dataset", default="", metavar="OWNER/NAME", help="The benchmark's data set on the hub.")
@click.option("--source", default="", metavar="URL", help="Where the numbers stand.")
@click.option("--no-intervals", is_flag=True, help="Compute no bootstrap intervals: quicker.")
@results_option
def export(
    form: str,
    out: Path | None,
    dataset: str,
    source: str,
    no_intervals: bool,
    results: Sequence[Path],
    **given: Any,
) -> None:
    """Write records, or what the suite ships, in a format of others.

    csv and parquet: all records, a row per cell and metric. hf-eval-results and model-index: for the
    repository of a model on Hugging Face. croissant: the committed splits. schema: the JSON schema of a
    record. Example: g2d-bench export csv --results results/phantom --out records.csv
    """
    from g2d_bench.cards.catalogue import Catalogue
    from g2d_bench.cells.verify import require_sound
    from g2d_bench.files import write_out
    from g2d_bench.report.exports import EXPORTS
    from g2d_bench.report.exports.base import Request
    from g2d_bench.report.titles import encoder_titles

    made = EXPORTS[form]
    for name in made.asks:
        if not {"dataset": dataset, "source": source}[name]:
            raise InputError(f"{form} needs it", field=f"--{name}")
    target = out or Path(made.file or form)
    _require_free(target, folder=not made.file)
    request = Request(dataset=dataset, source=source, intervals=not no_intervals)
    if made.of_records:
        configured = settings({"results": results})
        found = chosen(folders(results) or [configured.results], given)
        require_sound(found, configured)
        encoders = Catalogue.open(encoder_dirs=configured.encoder_dirs).encoders
        titles = encoder_titles(found, {card.name: card.title for card in encoders})
        request = replace(request, found=found, main=main_metrics(found, configured), titles=titles)
    files = made.write(request)
    if not files:
        raise InputError("no number to write: the main metric of every record is undefined")
    for name, data in files.items():
        write_out(target / name if not made.file else target, data)
    click.echo(f"wrote {target}" + ("" if made.file else f": {len(files)} files"))


def _require_free(target: Path, *, folder: bool) -> None:
    if folder and target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise InputError("is there already; name a new folder", file=target, field="--out")
    if not folder and target.is_dir():
        raise InputError("is a folder; name a file", file=target, field="--out")
    if not target.absolute().parent.is_dir():
        raise InputError("no such folder", file=target.parent, field="--out")
