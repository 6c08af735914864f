"""Numbers whose encoder saw the data set in its pre-training: how they are marked, and left out."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from g2d_bench.cards.pretraining import Sight, most, sight
from g2d_bench.records.selection import Found
from g2d_bench.report.model import SEEN, Row
from g2d_bench.report.origin import origin

WORDS: dict[Sight, str] = {
    "images": "pre-training saw the images of this data set",
    "labels": "pre-training saw images and labels of this data set",
}
"""What a mark of :data:`~g2d_bench.report.model.SEEN` says."""


def seen_by(found: Found) -> Sight:
    """Say what the encoder of a record saw of the data set that it was tested on."""
    data = found.record.data
    return sight(origin(found).pretraining, found.record.tested_on, data.kind)


def row_sight(found: Iterable[Found]) -> Sight:
    """Say what the encoder of some records saw of their data sets, at most."""
    return most(seen_by(one) for one in found)


def hide(found: Sequence[Found]) -> tuple[list[Found], list[str]]:
    """Leave out the records whose encoder saw what it is tested on.

    Returns:
        The others, and a line per encoder and data set that was left out.
    """
    kept: list[Found] = []
    counts: dict[str, int] = {}
    for one in found:
        saw = seen_by(one)
        if not saw:
            kept.append(one)
            continue
        what = f"{one.cell.encoder} saw the {saw} of {one.record.tested_on}"
        counts[what] = counts.get(what, 0) + 1
    return kept, [f"hidden: {what} ({n} {'record' if n == 1 else 'records'})" for what, n in counts.items()]


def legend(rows: Iterable[Row]) -> list[str]:
    """Say what the marks in some rows mean, and which encoders bear them; nothing where there is none."""
    bearers: dict[Sight, dict[str, None]] = {"images": {}, "labels": {}}
    for row in rows:
        for value in row.values:
            if value.seen:
                bearers[value.sight][row.name] = None
    return [legend_line(saw, names) for saw, names in bearers.items() if names]


def legend_line(saw: Sight, names: Iterable[str]) -> str:
    """Explain one mark."""
    return f"{SEEN[saw]} {WORDS[saw]}: {', '.join(names)}"
