"""The command that makes the leaderboard page."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from g2d_bench.cli.options import PATH, filter_options, folders, hide_option, results_option, settings

if TYPE_CHECKING:
    from g2d_bench.records.evidence import Evidence
    from g2d_bench.report.model import Table


@click.command()
@filter_options
@click.option("--signature", default="", help="Only signatures that contain this text.")
@hide_option
@click.option("--with-quoted", is_flag=True, help="Add numbers quoted from papers, in marked rows.")
@click.option("--allow-mixed", is_flag=True, help="Let different signatures share a column, marked.")
@click.option("--title", default="g2d-bench leaderboard", show_default=True, help="Heading of the page.")
@click.option("--out", type=PATH, default="leaderboard", show_default=True, help="Folder to write.")
@results_option
def leaderboard(
    with_quoted: bool, allow_mixed: bool, title: str, out: Path, results: Sequence[Path], **given: Any
) -> None:
    """Make a static leaderboard page of a results folder: index.html, all numbers as JSON, the records.

    No server and no network: open it, or put the folder on any web space.
    Several --results stand side by side. Example: g2d-bench leaderboard --results results/phantom --out site
    """
    from g2d_bench.cells.ahead import drawn_ahead
    from g2d_bench.cli.report import chosen, main_metrics, row_order
    from g2d_bench.cli.tell import tell_unquoted
    from g2d_bench.records.quoted import load_reported
    from g2d_bench.report.site.content import sections
    from g2d_bench.report.site.folder import require_free
    from g2d_bench.report.site.page import write
    from g2d_bench.report.table import blocks, summary

    require_free(out)
    configured = settings({"results": results})
    roots = folders(results) or [configured.results]
    found = chosen(roots, given)
    quoted = load_reported() if with_quoted else []
    main, order = main_metrics(found, configured), row_order(found)

    def make(evidence: Evidence) -> tuple[list[Table], list[Table]]:
        return (
            blocks(found, order, metrics={}, allow_mixed=allow_mixed, evidence=evidence, quoted=quoted),
            summary(found, order, main=main, allow_mixed=allow_mixed, evidence=evidence),
        )

    tables, overview = drawn_ahead(make, found, settings=configured)
    if with_quoted:
        tell_unquoted(tables)
    write(out, title, sections(tables, found, roots, main), overview, found, roots)
    click.echo(f"wrote {out / 'index.html'}: {len(found)} records, tables: {len(tables)}")
