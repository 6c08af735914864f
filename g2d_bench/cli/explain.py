"""The command that says in words what a signature or a record means."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from g2d_bench.cli.options import PATH, settings


@click.command()
@click.argument("what", metavar="SIGNATURE|RECORD.json")
@click.option("--tasks-dir", "task_dirs", type=PATH, multiple=True, help="Folder with your own task cards.")
@click.option("--protocols-dir", "protocol_dirs", type=PATH, multiple=True, help="Likewise of protocols.")
def explain(what: str, **given: Any) -> None:
    """Say in words what a signature or a record means, part by part, and how to repeat it.

    Put a signature in quotes: it has bars in it.
    """
    from g2d_bench.cards.catalogue import Catalogue
    from g2d_bench.cells.explain import explain_record, explain_signature
    from g2d_bench.records.record import read_record

    configured = settings(given)
    catalogue = Catalogue.open(configured.task_dirs, (), configured.protocol_dirs)
    if what.endswith(".json") or ("|" not in what and Path(what).exists()):
        path = Path(what)
        lines = explain_record(read_record(path), str(path), catalogue)
    else:
        lines = explain_signature(what, catalogue)
    for line in lines:
        click.echo(line)
