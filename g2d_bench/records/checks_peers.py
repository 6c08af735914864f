"""Do records agree with each other in what must be the same for all of them?

One signature means one test set: the same images, patients and truth, in one order. One fraction and seed
beside it mean the same training images. One card and one weights file mean one encoder. So what was changed
in one record stands out among the others, although the data are not at hand.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from g2d_bench.plain import counted
from g2d_bench.records.recompute import Facts
from g2d_bench.records.record import Record
from g2d_bench.records.selection import Found
from g2d_bench.records.signature import is_of_this_code


@dataclass(frozen=True)
class Peer:
    """A record with what its predictions tell, None where it has none."""

    found: Found
    facts: Facts | None


Read = Callable[[Record, Facts | None], object]


def _count(what: str, part: str) -> Read:
    """Read a number of images."""
    return lambda record, _: getattr(record.data, what)[part]


_ONE_TEST: dict[str, Read] = {
    "kind": lambda record, _: record.kind,
    "data.hash": lambda record, _: record.data.hash,
    "data.split_hash": lambda record, _: record.data.split_hash,
    **{
        f"data.{what}.{part}": _count(what, part)
        for what in ("images", "positive")
        for part in ("val", "test")
    },
    "predictions: ids and patients": lambda _, facts: facts.order if facts else None,
    "predictions: truth": lambda _, facts: facts.truth if facts and facts.truth else None,
    "predictions: label": lambda _, facts: facts.labels if facts else None,
}
"""What all records of one signature have in common; None is not compared."""
_ONE_TRAINING: dict[str, Read] = {
    f"data.{what}.train": _count(what, "train") for what in ("images", "positive")
}
"""What all records of one signature, fraction and seed have in common."""
_DIGITS = 5


def disagreements(peers: Sequence[Peer]) -> Iterator[tuple[Found, str]]:
    """Find the records that differ from others where they cannot.

    Yields:
        A record that the majority contradicts (where there is none, each that differs), and the field.
    """
    tests: dict[object, list[Peer]] = defaultdict(list)
    trainings: dict[object, list[Peer]] = defaultdict(list)
    encoders: dict[object, list[Peer]] = defaultdict(list)
    for peer in peers:
        record = peer.found.record
        tests[record.signature].append(peer)
        trainings[record.signature, record.cell.drawn, record.cell.seed].append(peer)
        if is_of_this_code(record.signature):
            encoders[record.encoder.card_hash, record.encoder.weights].append(peer)
    for group in tests.values():
        for field, read in _ONE_TEST.items():
            yield from _minority(group, field, read, "signature")
    for group in encoders.values():
        yield from _minority(group, "notes.encoder_state", _state, "card and weights")
    for group in trainings.values():
        for field, read in _ONE_TRAINING.items():
            yield from _minority(group, field, read, "signature, fraction and seed")
        names = {
            (predictor, metric)
            for peer in group
            for predictor, values in peer.found.record.references.items()
            for metric in values
        }
        for predictor, metric in sorted(names):
            yield from _minority(
                group,
                f"references.{predictor}.{metric}",
                _reference(predictor, metric),
                "signature, fraction and seed",
            )


def _state(record: Record, _: Facts | None) -> object:
    """Read the state of the image encoder, as it was loaded; None where a record does not say."""
    said = record.notes.get("encoder_state")
    found = said.get("image") if isinstance(said, dict) else said
    return found if isinstance(found, str) else None


def _reference(predictor: str, metric: str) -> Read:
    """Read a trivial predictor's number, rounded; None where it has none."""

    def read(record: Record, _: Facts | None) -> object:
        values = record.references.get(predictor, {})
        if metric not in values:
            return None
        value = values[metric]
        return "undefined" if value is None else round(value, _DIGITS)

    return read


def _minority(group: Sequence[Peer], field: str, read: Read, what: str) -> Iterator[tuple[Found, str]]:
    said = [
        (peer.found, value) for peer in group if (value := read(peer.found.record, peer.facts)) is not None
    ]
    counts = Counter(value for _, value in said)
    if len(counts) < 2:
        return
    (first, most), (_, next_most), *_ = counts.most_common()
    for found, value in said:
        if value == first and most > next_most:
            continue
        others = len(said) - counts[value]
        shown = f"says {value}, " if isinstance(value, int | float) else ""
        yield found, f"{field}: {shown}{counted(others, 'other record')} of the same {what} differ"
