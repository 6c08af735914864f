"""What a card says in words today, brought into the finished records of the same card.

Title and pre-training move no number and are no part of a cell's key, so that a card whose words are
corrected finds its cells finished. Tables mark by what records say: these are told, and sealed anew.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from g2d_bench.cards.encoder import EncoderCard
from g2d_bench.cards.pretraining import hints
from g2d_bench.cells.resolve import Resolved
from g2d_bench.plain import counted
from g2d_bench.records.cell import Cell
from g2d_bench.records.record import Record, unbroken
from g2d_bench.records.store import Store

AMENDED = "encoder_amended"
"""Note of a record: what it said of its encoder when it was measured, where it says something else now."""


def amended(record: Record, card: EncoderCard) -> Record:
    """Return a record that says of its encoder what the card says; itself where that is so.

    A data set is added and never taken away: a mark does not go by an edit. An older record that says nothing
    of its encoder's scale is left as it is.

    Args:
        record: of a cell of this card, with the same digest.
        card: as it is today.
    """
    said = record.encoder
    update: dict[str, object] = {}
    if said.title != card.title:
        update["title"] = card.title
    union = union_of(said.pretraining, card.seen)
    if union != said.pretraining:
        update["pretraining"] = union
    if not update or said.scale is None:
        return record
    was = {name: getattr(said, name) for name in update} | dict(record.notes.get(AMENDED, {}))
    return record.model_copy(
        update={
            "encoder": said.model_copy(update=update),
            "notes": record.notes
            | {AMENDED: {n: list(v) if isinstance(v, tuple) else v for n, v in was.items()}},
        }
    )


def union_of(said: Sequence[str] | None, card: Sequence[str] | None) -> tuple[str, ...] | None:
    """Join what a record and a card say of the pre-training; None where neither says anything."""
    if said is None or card is None:
        both = said if card is None else card
        return None if both is None else tuple(both)
    return (*said, *(one for one in card if one not in said))


def bring_up_to_date(
    finished: Iterable[tuple[Resolved, Record]], store: Store
) -> tuple[dict[Cell, Record], list[str]]:
    """Write finished records whose card says something else in words today.

    Args:
        finished: cells and their records.
        store: where they are.

    Returns:
        The records that were written, and a line per encoder for the user.

    Raises:
        InputError: a record cannot be written.
    """
    written: dict[Cell, Record] = {}
    changed: dict[str, list[Record]] = {}
    kept: dict[str, list[Record]] = {}
    for cell, record in finished:
        now = amended(record, cell.card)
        name = cell.card.name
        stays = bool(set(now.encoder.pretraining or ()) - set(cell.card.pretraining))
        if now is not record:
            if unbroken(record):
                written[cell.cell] = store.amend(cell.path, now)
                changed.setdefault(name, []).append(now)
            else:
                stays = True
        if stays:
            kept.setdefault(name, []).append(now)
    lines = []
    for name, records in changed.items():
        seen = records[0].encoder.pretraining
        what = "unknown" if seen is None else " + ".join(seen) or "nothing"
        lines.append(
            f"{name}: {counted(len(records), 'finished record')} now with the card's words (title "
            f"{records[0].encoder.title!r}, pre-trained on {what}); no number moves"
        )
    for name, records in kept.items():
        lines.append(
            f"{name}: {counted(len(records), 'finished record')} with a pre-training that the card no longer "
            "names, or changed by hand; run with --force to measure anew"
        )
    return written, lines


def asked_of(cards: Mapping[str, EncoderCard]) -> list[str]:
    """Return a line per entry of a card's pre-training that is near to a data set and marks nothing."""
    return [f"{name}: {hint}" for name, card in cards.items() for hint in hints(card.pretraining)]
