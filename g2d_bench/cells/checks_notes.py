"""Do the notes of a record agree with its cards and its images?

What no card, image or prediction tells is taken as it stands: the state of an encoder, whether a fit
converged, the threshold that validation chose for maps, how many steps were made, which kernels were used.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from g2d_bench.cards.encoder import EncoderCard
from g2d_bench.cards.kind import KINDS, Sources
from g2d_bench.cards.protocol import Protocol
from g2d_bench.cards.task import TaskCard
from g2d_bench.cells.run import crossed_notes, form_notes
from g2d_bench.errors import InputError
from g2d_bench.records.notes import SHORT, differing
from g2d_bench.records.record import SHARED, SPLIT_DEFECTS, TESTED_ON, TRAINED_ON, WHY_UNDEFINED, Record
from g2d_bench.records.signature import is_of_this_code

if TYPE_CHECKING:
    from g2d_bench.data.task_data import TaskData


def check_notes(
    record: Record,
    task: TaskCard,
    protocol: Protocol,
    encoder: EncoderCard | None,
    data: TaskData | None = None,
) -> Iterator[str]:
    """Compare a record's notes with what its cards say and, where they are at hand, its images.

    Args:
        record: measured by code that computes as this does; of another nothing is said.
        task: its card.
        protocol: its card.
        encoder: its card, None where it is another one here.
        data: of the cell, None where they are not at hand.

    Yields:
        A line per note that says something else.
    """
    if not is_of_this_code(record.signature):
        return
    kind = KINDS[task.kind]
    sources = Sources(protocol.view(task), protocol.says(task.kind), encoder, data, record.notes)
    found = kind.told(sources) if kind.told is not None else {}
    found |= _of_cards(task, protocol, encoder) if data is None else _of_images(record, data)
    yield from differing(record.notes, found, "the cards" if data is None else "the images")


def _of_cards(task: TaskCard, protocol: Protocol, encoder: EncoderCard | None) -> dict[str, Any]:
    found: dict[str, Any] = {
        SPLIT_DEFECTS: list(task.split[protocol.split].defects) or None,
        "precision": None if protocol.precision == "fp32" else protocol.precision,
    }
    if task.test is None:
        found |= {TRAINED_ON: None, TESTED_ON: None, SHARED: None}
    if encoder is not None:
        form = form_notes(encoder)
        found["embeddings"] = form.get("embeddings")
        # Of its code another version may be installed; where that moves a number, it is part of the key.
        names = ("scorer.name", "scorer.module")
        found |= {name: form["scorer"][name[7:]] for name in names} if "scorer" in form else {"scorer": None}
    return found


def _of_images(record: Record, data: TaskData) -> dict[str, Any]:
    found: dict[str, Any] = {SHORT: data.short or None}
    if data.task.test is not None:
        found |= {SHARED: None, **crossed_notes(data)}
    if WHY_UNDEFINED in record.notes:
        names = [name for name, value in record.metrics.items() if value is None]
        # Labels that contradict each other are said where they are read.
        with suppress(InputError):
            found[WHY_UNDEFINED] = {name: data.why_undefined(name) for name in names}
    return found
