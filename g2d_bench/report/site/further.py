"""What a page shows beyond its tables of scores: inside against outside, and scores by group of patients."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress

from g2d_bench.errors import InputError
from g2d_bench.records.groups import ATTRIBUTES
from g2d_bench.records.parts import kept_groups
from g2d_bench.records.selection import Found
from g2d_bench.report.drops import drop_tables
from g2d_bench.report.groups import group_tables
from g2d_bench.report.model import Table


def further_tables(
    found: Sequence[Found],
    both: Sequence[Found],
    order: Sequence[str] = (),
    *,
    main: Mapping[tuple[str, str], str] | None = None,
) -> list[Table]:
    """Make the tables of tasks that are tested elsewhere, and those by group that records themselves tell.

    Args:
        found: records, with their files.
        both: those of them that were tested elsewhere, and records with their inside scores.
        order: encoder names in the order of rows.
        main: the metric per task and protocol.

    Returns:
        None of them where no record was tested elsewhere or keeps groups.
    """
    made = drop_tables(both, order, main=main)
    grouped = [one for one in found if kept_groups(one)]
    for attribute in ATTRIBUTES:
        # A page is made of what records hold; that others lack groups is no fault of theirs.
        with suppress(InputError):
            made += group_tables(grouped, attribute, order, main=main)[0]
    return made
