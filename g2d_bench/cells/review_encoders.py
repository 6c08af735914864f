"""Is what a submission states of its encoders what their cards and records say, and are the names theirs?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from g2d_bench.cards.catalogue import Catalogue
from g2d_bench.cards.encoder import EncoderCard
from g2d_bench.cards.io import load_card
from g2d_bench.cells.bundle import CARDS, Claim, Submission
from g2d_bench.encoders.weights import file_hash
from g2d_bench.errors import InputError
from g2d_bench.paths import PACKAGE
from g2d_bench.plain import visible
from g2d_bench.records.selection import Found


@dataclass(frozen=True)
class Submitted:
    """What a bundle says of encoders.

    Attributes:
        bundle: the folder.
        against: the repository of results.
        claims: what its submissions state, by name.
        cards: its own cards, by name.
        found: its new records.
        submissions: what it states, by file.
    """

    bundle: Path
    against: Path
    claims: Mapping[str, Claim]
    cards: Mapping[str, EncoderCard]
    found: Sequence[Found]
    submissions: Mapping[str, Submission] = field(default_factory=dict)


def encoder_problems(given: Submitted, base: Sequence[Found], catalogue: Catalogue) -> list[str]:
    """Hold what is stated of encoders against cards, records and the names that are taken.

    Args:
        given: what the bundle says.
        base: the records that are there.
        catalogue: the reviewer's cards.

    Returns:
        A line per contradiction.
    """
    lines = [
        *_cards(given, catalogue),
        *_records(given, base, catalogue),
        *_unbacked(given),
        *_statements(given, base, catalogue),
    ]
    return [visible(line) for line in dict.fromkeys(lines)]


def _unbacked(given: Submitted) -> Iterator[str]:
    """Name what a submission states of encoders of which it brings nothing."""
    records = {
        one.path.relative_to(given.bundle).as_posix(): one.cell.card
        for one in given.found
        if one.path is not None
    }
    for path, stated in given.submissions.items():
        brought = {records[file] for file in stated.files if file in records}
        for name in stated.encoders:
            if name not in brought and f"{CARDS}/{name}.toml" not in stated.files:
                yield f"{path}: states {name}, of which it brings no record and no card"


def _statements(given: Submitted, base: Sequence[Found], catalogue: Catalogue) -> Iterator[str]:
    """Hold what is stated of each encoder against its card and the weights of its records."""
    measured: dict[str, set[str]] = {}
    for one in (*base, *given.found):
        measured.setdefault(one.cell.card, set()).add(one.record.encoder.weights)
    for name, claim in given.claims.items():
        trained = [digest for digest in claim.weights if not digest.startswith("init:")]
        if len(trained) > 1:
            yield f"{name}: one name for {len(trained)} different weights"
        if unseen := sorted(set(claim.weights) - measured.get(name, set())):
            yield f"weights of {name}: {', '.join(one[:13] for one in unseen)} are those of no record"
        if (card := _card(name, given, catalogue)) is not None:
            yield from _against_card(claim, card)


def _cards(given: Submitted, catalogue: Catalogue) -> Iterator[str]:
    for name in given.cards:
        path = f"{CARDS}/{name}.toml"
        if name in catalogue.encoders.names:
            yield f"{path}: takes the name of an encoder that ships with the suite"
        elif name not in given.claims:
            yield f"{path}: no submission states anything of {name}"
        elif (given.against / path).exists():
            yield f"{path}: the card of an encoder that is there is changed"


def _records(given: Submitted, base: Sequence[Found], catalogue: Catalogue) -> Iterator[str]:
    there: dict[str, set[str]] = {}
    for one in base:
        there.setdefault(one.cell.card, set()).add(one.record.encoder.weights)
    shipped = _shipped_weights()
    for one in given.found:
        name, part = one.cell.card, one.record.encoder
        where = one.path.relative_to(given.bundle) if one.path is not None else name
        claim = given.claims.get(name)
        if claim is None:
            yield f"{where}: no submission states licence and pre-training of {name}"
            continue
        card = _card(name, given, catalogue)
        if card is None:
            yield f"{where}: there is no card of {name}"
        elif card.digest != part.card_hash:
            yield f"{where}: encoder.card_hash: is not that of the card of {name}"
        for text in _contradictions(claim, one):
            yield f"{where}: {text}"
        taken = there.get(name, set())
        if not part.weights.startswith("init:") and taken and part.weights not in taken:
            yield f"{where}: the name {name} is taken by other weights ({min(taken)[:8]})"
        if (owner := shipped.get(part.weights, name)) != name:
            yield f"{where}: these are the weights of {owner}, which ship with the suite"


def _card(name: str, given: Submitted, catalogue: Catalogue) -> EncoderCard | None:
    """Return the card of an encoder: the bundle's, the one that is there already, or the reviewer's."""
    if name in given.cards:
        return given.cards[name]
    earlier = given.against / CARDS / f"{name}.toml"
    try:
        if earlier.is_file():
            return load_card(earlier, EncoderCard)
        return catalogue.encoders[name] if name in catalogue.encoders.names else None
    except InputError:
        return None


def _shipped_weights() -> dict[str, str]:
    """Return the digest of weights that ship with the suite to the encoder whose they are."""
    cards = (card for card in Catalogue.open().encoders if card.folder is None)
    files = {
        PACKAGE / "weights" / card.weights: card.name
        for card in cards
        if card.weights.endswith(".safetensors")
    }
    return {file_hash(path): name for path, name in files.items() if path.is_file()}


def _contradictions(claim: Claim, one: Found) -> list[str]:
    """Compare what a submission states of an encoder with a record."""
    part, lines = one.record.encoder, []
    if part.weights not in claim.weights:
        lines.append(f"encoder.weights: {part.weights[:8]} are not among those of the submission")
    for what, stated, said in (
        ("title", claim.title, part.title or None),
        ("scale", claim.scale, part.scale),
        ("pretraining", tuple(claim.pretraining), part.pretraining),
    ):
        if said is not None and said != stated:
            lines.append(f"encoder.{what}: the record says {said!r}, the submission {stated!r}")
    return lines


def _against_card(claim: Claim, card: EncoderCard) -> Iterator[str]:
    """Compare what a submission states of an encoder with its card."""
    for what, stated, said in (
        ("title", claim.title, card.title),
        ("paper", claim.paper, card.paper),
        ("licence", claim.licence, card.licence),
        ("scale", claim.scale, card.scale),
        ("pretraining", tuple(claim.pretraining), tuple(card.pretraining)),
    ):
        if said != stated:
            yield f"{what} of {card.name}: the card says {said!r}, the submission {stated!r}"
    if card.seen is None:
        yield f"pretraining of {card.name}: is not stated"
