"""What kind of encoder a row stands for: its scale, and the data that it was pre-trained on."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Literal

from g2d_bench.cards.catalogue import Catalogue
from g2d_bench.cards.encoder import EncoderCard
from g2d_bench.cards.pretraining import in_words
from g2d_bench.encoders.weights import file_hash
from g2d_bench.paths import PACKAGE
from g2d_bench.records.selection import Found

Scale = Literal["phantom", "published", "unknown"]
WORDS: dict[Scale, str] = {
    "phantom": "phantom-scale",
    "published": "full-scale",
    "unknown": "scale unknown",
}
"""How a scale is called in tables."""
EXPLAINED: dict[str, str] = {
    "phantom-scale": "[phantom-scale]: a small encoder of this suite, NOT the published model of that name",
    "self-reported embeddings": "[self-reported embeddings]: vectors that somebody computed elsewhere; "
    "nothing but their ids and shapes could be checked",
    "scorer": "[scorer]: images and texts were compared by code of another package, named in the records",
    "scale unknown": "[scale unknown]: its records do not say what encoder it was, nor does a card here",
}
"""Tag of a row to the sentence that explains it."""
FORMS: dict[str, str] = {"embeddings": "self-reported embeddings", "scorer": "scorer"}
"""Form of an encoder, as in records, to the tag of its rows."""
INIT = "init:"
"""How the weights of an encoder without pre-training begin."""


@dataclass(frozen=True)
class Origin:
    """Where an encoder comes from.

    Attributes:
        scale: ``phantom`` (small), ``published`` or ``unknown``.
        pretraining: data sets, none for an encoder without pre-training; None where it is not known.
        form: ``embeddings`` or ``scorer`` where it is no encoder whose weights were here.
    """

    scale: Scale = "unknown"
    pretraining: tuple[str, ...] | None = None
    form: str = ""

    @property
    def words(self) -> str:
        """Scale and pre-training in words."""
        if self.pretraining is None:
            seen = "pre-training data unknown"
        else:
            seen = f"pre-trained on {in_words(self.pretraining)}" if self.pretraining else "not pre-trained"
        return ", ".join(one for one in (FORMS.get(self.form, ""), WORDS[self.scale], seen) if one)

    @property
    def tag(self) -> str:
        """What a row's name bears where it could be taken for a published model, "" for one that is."""
        scale = "" if self.scale == "published" else WORDS[self.scale]
        return ", ".join(one for one in (FORMS.get(self.form, ""), scale) if one)


def origin(found: Found) -> Origin:
    """Say what a record's encoder was.

    The package's own weights are known by their digest, whatever card they were run under. Else the record
    says it; for one that was written before records did, the shipped card of that name, if it is the one that
    the record hashed.
    """
    part = found.record.encoder
    ours = _shipped_weights().get(part.weights)
    if ours is not None:
        return ours
    if part.scale is not None:
        return Origin(part.scale, part.pretraining, part.form)
    return _shipped_cards().get((found.cell.card, part.card_hash), Origin())


def origins(found: Iterable[Found]) -> dict[str, Origin]:
    """Return encoder name to its origin; unknown where its records disagree."""
    known: dict[str, set[Origin]] = {}
    for one in found:
        known.setdefault(one.record.cell.encoder, set()).add(origin(one))
    return {name: next(iter(some)) if len(some) == 1 else Origin() for name, some in known.items()}


def tags(known: Mapping[str, Origin], *, generated: bool, quoted: bool = False) -> dict[str, str]:
    """Return encoder name to the tag behind it, "" where it needs none.

    On generated data, among encoders of one scale and with nothing quoted beside them, nobody can take a
    small encoder for the published model of its name.

    Args:
        known: all encoders that stand together.
        generated: whether they were measured on generated data.
        quoted: whether numbers from papers stand beside them.
    """
    alike = len({one.scale for one in known.values()}) == 1
    if generated and alike and not quoted:
        # What is no encoder of ours says so in any company.
        return {name: FORMS.get(one.form, "") for name, one in known.items()}
    return {name: one.tag for name, one in known.items()}


def explained(marks: Iterable[str]) -> list[str]:
    """Return the sentences that explain some tags, each once."""
    return [EXPLAINED[one] for one in sorted({part for tag in marks for part in tag.split(", ")} - {""})]


def tagged(name: str, tag: str) -> str:
    """Write an encoder's name with its tag."""
    return f"{name} [{tag}]" if tag else name


def sentence(known: Mapping[str, Origin]) -> str:
    """Say of all encoders what they are, those alike together, in the order given."""
    groups: dict[str, list[str]] = {}
    for name, one in known.items():
        groups.setdefault(one.words, []).append(name)
    parts = (f"{', '.join(names)} ({words})" for words, names in groups.items())
    return f"scale and pre-training: {'; '.join(parts)}"


def several_weights(found: Iterable[Found]) -> list[str]:
    """Say of which encoders the records were made with different weights.

    An encoder without pre-training starts every seed anew; of any other one, a mean over seeds or a line over
    tasks is only then about one model.
    """
    seen: dict[str, dict[str, list[str]]] = {}
    for one in found:
        weights, cell = one.record.encoder.weights, one.record.cell
        if not weights.startswith(INIT):
            places = seen.setdefault(cell.encoder, {}).setdefault(weights[:8], [])
            places.append(f"{cell.task} seed {cell.seed}")
    return [
        f"{name} stands for {len(some)} different weights: "
        + "; ".join(f"{weights} ({_first(places)})" for weights, places in some.items())
        for name, some in sorted(seen.items())
        if len(some) > 1
    ]


def _first(places: list[str]) -> str:
    unique = list(dict.fromkeys(places))
    return ", ".join(unique[:3]) + (f" and {len(unique) - 3} more" if len(unique) > 3 else "")


@cache
def _cards() -> tuple[EncoderCard, ...]:
    """Read the package's own cards."""
    return tuple(Catalogue.open().encoders)


@cache
def _shipped_cards() -> dict[tuple[str, str], Origin]:
    """Return name and digest of the package's own cards to what they say."""
    return {(card.name, card.digest): Origin(card.scale, card.seen) for card in _cards()}


@cache
def _shipped_weights() -> dict[str, Origin]:
    """Return the digest of the package's own weights to what the card beside them says."""
    known: dict[str, Origin] = {}
    for card in _cards():
        file = PACKAGE / "weights" / card.weights
        if card.weights.endswith(".safetensors") and file.is_file():
            known[file_hash(file)] = Origin(card.scale, card.seen)
    return known
