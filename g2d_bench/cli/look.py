"""Options that say how a table or a figure looks; what it says is the same."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from g2d_bench.cli.options import options

if TYPE_CHECKING:
    from g2d_bench.cells.settings import Settings
    from g2d_bench.records.selection import Found
    from g2d_bench.report.look import Look

look_options = options(
    click.option("--no-intervals", is_flag=True, help="Leave the bootstrap intervals out."),
    click.option("--titles", is_flag=True, help="Printed names and units: 'Dice (%)', 'SIIM segmentation'."),
    click.option("--p-values", is_flag=True, help="Show p against the best (paired, Holm)."),
    click.option("--narrow", is_flag=True, help="As wide as a column of a paper."),
)


def look_of(found: Sequence[Found], configured: Settings, given: dict[str, Any]) -> Look:
    """Return what the options of a command ask for.

    Args:
        found: the records that are shown.
        configured: where cards are.
        given: the options.
    """
    from g2d_bench.cards.catalogue import Catalogue
    from g2d_bench.report.look import Look
    from g2d_bench.report.titles import encoder_titles, task_titles

    titles = {}
    if given["titles"]:
        for card in Catalogue.open(encoder_dirs=configured.encoder_dirs).encoders:
            titles[card.name] = card.title
    return Look(
        intervals=not given["no_intervals"],
        p=given["p_values"],
        narrow=given["narrow"],
        titles=given["titles"],
        tasks=task_titles(found) if given["titles"] else {},
        encoders=encoder_titles(found, titles) if given["titles"] else {},
    )
