"""The command that makes the leaderboard page."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from g2d_bench.cli.options import (
    PATH,
    few_collections,
    filter_options,
    folders,
    hide_option,
    results_option,
    settings,
)

if TYPE_CHECKING:
    from g2d_bench.records.evidence import Evidence
    from g2d_bench.report.model import Table
    from g2d_bench.report.sampled import Sampled


class Made(NamedTuple):
    """What is made of records, with draws or without."""

    evidence: Evidence
    tables: list[Table]
    overview: list[Table]
    columns: list[Sampled]


@click.command()
@filter_options
@click.option("--signature", default="", help="Only signatures that contain this text.")
@hide_option
@click.option("--with-quoted", is_flag=True, help="Add numbers quoted from papers, in marked rows.")
@click.option("--allow-mixed", is_flag=True, help="Let different signatures share a column, marked.")
@click.option("--title", default="g2d-bench leaderboard", show_default=True, help="Heading of the page.")
@click.option("--out", type=PATH, default="leaderboard", show_default=True, help="Folder to write.")
@click.option(
    "--self-reported",
    "reported",
    type=PATH,
    multiple=True,
    help="Folder of records that others sent in; their rows are marked.",
)
@click.option(
    "--history", type=PATH, multiple=True, help="Folder of earlier records: pages show how a number moved."
)
@click.option("--data-root", type=PATH, help="Folder with real data, for pictures of openly licensed films.")
@click.option("--no-pictures", is_flag=True, help="Make no pictures of films.")
@results_option
@few_collections
def leaderboard(
    with_quoted: bool,
    allow_mixed: bool,
    title: str,
    out: Path,
    reported: Sequence[Path],
    history: Sequence[Path],
    no_pictures: bool,
    results: Sequence[Path],
    **given: Any,
) -> None:
    """Make a static leaderboard of a results folder: pages, all numbers as JSON and CSV, the records.

    No server and no network: open index.html, or put the folder on any web space.
    Several --results stand side by side. Example: g2d-bench leaderboard --results results/phantom --out site
    """
    from g2d_bench.cards.catalogue import Catalogue
    from g2d_bench.cells.ahead import drawn_ahead
    from g2d_bench.cells.explain import signature_words
    from g2d_bench.cli.records import chosen, main_metrics, row_order, with_insides
    from g2d_bench.cli.tell import tell_unquoted
    from g2d_bench.records.groups import ATTRIBUTES
    from g2d_bench.records.quoted import load_reported
    from g2d_bench.report.groups import pairs_of
    from g2d_bench.report.site.board import Board, sampled_columns
    from g2d_bench.report.site.content import sections
    from g2d_bench.report.site.folder import require_free
    from g2d_bench.report.site.history import earlier
    from g2d_bench.report.site.page import write
    from g2d_bench.report.site.pictures import Gallery
    from g2d_bench.report.table import blocks, summary

    require_free(out)
    configured = settings({"results": results, "data_root": given.pop("data_root")})
    sent = folders(reported)
    roots = [*(folders(results) or [configured.results]), *sent]
    found = chosen(roots, given)
    printed = load_reported()
    quoted = printed if with_quoted else []
    main, order = main_metrics(found, configured), row_order(found)
    kept = earlier(found, folders(history))

    def make(evidence: Evidence) -> Made:
        return Made(
            evidence,
            blocks(found, order, metrics={}, allow_mixed=allow_mixed, evidence=evidence, quoted=quoted),
            summary(found, order, main=main, allow_mixed=allow_mixed, evidence=evidence),
            sampled_columns(found, order, main, evidence, allow_mixed=allow_mixed),
        )

    made = drawn_ahead(
        make, found, settings=configured, groups=lambda one: pairs_of(one, ATTRIBUTES, (), main)
    )
    if with_quoted:
        tell_unquoted(made.tables)
    cards = Catalogue.open(configured.task_dirs, configured.encoder_dirs, configured.protocol_dirs)
    board = Board(
        title=title,
        sections=sections(made.tables, found, roots, main),
        overview=made.overview,
        columns=made.columns,
        found=found,
        both=with_insides(found, roots, configured),
        roots=roots,
        catalogue=cards,
        order=order,
        words=lambda text: signature_words(text, cards),
        quoted=printed,
        reported=sent,
        history=kept,
    )
    gallery = Gallery() if no_pictures else Gallery.of(configured.phantom_root, configured.data_root)
    write(out, board, made.evidence, gallery)
    click.echo(f"wrote {out / 'index.html'}: {len(found)} records, tables: {len(made.tables)}")
