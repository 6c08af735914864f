"""Does a record agree with the cards that it names? Only where these are those of the measurement."""

from __future__ import annotations

from typing import Any

from g2d_bench.cards.catalogue import Catalogue
from g2d_bench.cards.encoder import EncoderCard
from g2d_bench.cards.kind import KINDS
from g2d_bench.cards.protocol import Protocol
from g2d_bench.cards.task import TaskCard
from g2d_bench.cells.checks_notes import check_notes
from g2d_bench.encoders.text_folder import needs_folder
from g2d_bench.encoders.weights import weights_digest
from g2d_bench.errors import InputError
from g2d_bench.metrics.spec import PER_LABEL
from g2d_bench.records.cell import Cell
from g2d_bench.records.identity import identity, key_of
from g2d_bench.records.recompute import Facts
from g2d_bench.records.record import CODE, Record
from g2d_bench.records.signature import Parts, parse_signature


class CardCheck:
    """Holds records against cards.

    Args:
        catalogue: the cards that are here.
    """

    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue
        self._digests: dict[tuple[str, ...], str] = {}

    def task(self, parts: Parts) -> TaskCard | None:
        """Return the task's card if it is the one that a signature names."""
        card = self._card(self._catalogue.tasks, parts.task)
        if card is None or card.version != parts.version:
            return None
        return card if self.task_digest(card, parts.split)[:4] == parts.task_hash else None

    def protocol(self, parts: Parts, task: TaskCard) -> Protocol | None:
        """Return the protocol's card if it is the one that a signature names."""
        card = self._card(self._catalogue.protocols, parts.protocol)
        if card is None or card.version != parts.protocol_version or card.split != parts.split:
            return None
        return card if self.protocol_digest(card, task)[:4] == parts.protocol_hash else None

    def encoder(self, record: Record) -> EncoderCard | None:
        """Return the encoder's card if it is the one that a record hashed."""
        card = self._card(self._catalogue.encoders, _cell(record).card)
        return card if card is not None and card.digest == record.encoder.card_hash else None

    def task_digest(self, card: TaskCard, split: str) -> str:
        """Return a card's digest, computed once."""
        key = ("task", card.name, split)
        if key not in self._digests:
            self._digests[key] = card.digest(split)
        return self._digests[key]

    def protocol_digest(self, card: Protocol, task: TaskCard) -> str:
        """Return a card's digest, computed once."""
        key = ("protocol", card.name, task.kind)
        if key not in self._digests:
            self._digests[key] = card.digest(task.kind)
        return self._digests[key]

    @staticmethod
    def _card(cards: Any, name: str) -> Any:
        """Return a card, None where there is none that can be read."""
        try:
            return cards[name] if name in cards.names else None
        except InputError:
            return None

    def __call__(self, record: Record, facts: Facts | None) -> tuple[list[str], list[str]]:
        """Hold one record against its cards.

        Returns:
            A line per contradiction, and what could not be decided, in words.
        """
        parts = parse_signature(record.signature)
        if parts is None:
            return [], []
        task = self.task(parts)
        if task is None:
            return [], [f"kind, labels, metrics and key: the card of task {parts.task} is another one here"]
        problems = []
        if record.kind != task.kind:
            problems.append(f"kind: says {record.kind!r}, the card of {task.name} says {task.kind!r}")
        if record.data.dataset != task.data_name:
            problems.append(f"data.dataset: says {record.data.dataset!r}, the card says {task.data_name!r}")
        if facts is not None and facts.labels and facts.labels != task.labels:
            problems.append("predictions: label: other labels than the card's, or in another order")
        protocol = self.protocol(parts, task)
        if protocol is None:
            reason = f"metrics and key: the card of protocol {parts.protocol} is another one here"
            return problems, [reason]
        problems += _metrics(record, protocol.view(task))
        encoder = self.encoder(record)
        if encoder is not None and _cell(record).with_decoder and not encoder.decoder:
            problems.append(f"cell.encoder: {encoder.name} has no pre-trained decoder")
        problems += check_notes(record, task, protocol, encoder)
        prose: list[str] = []
        if encoder is not None:
            problems += _of_encoder(record, encoder)
            prose += _of_prose(record, encoder)
        wrong, undecided = self._key(record, parts, task, protocol, encoder)
        return problems + wrong, undecided + prose

    def _key(
        self, record: Record, parts: Parts, task: TaskCard, protocol: Protocol, encoder: EncoderCard | None
    ) -> tuple[list[str], list[str]]:
        """Compute the key again from all that it is the digest of."""
        if "text" in KINDS[task.kind].asks and (encoder is None or needs_folder(encoder)):
            # The files of its text encoder are part of the key, and of no record.
            name = _cell(record).card
            if encoder is None:
                return [], [f"key: the card of {name} is not at hand, or is another one here"]
            return [], [f"key: the files of the text encoder of {name} are not kept in a record"]
        taken: dict[str, Any] = {"weights": record.encoder.weights}
        scorer = record.notes.get("scorer")
        if "text" in KINDS[task.kind].asks and isinstance(scorer, dict):
            taken["scorer"] = scorer.get("code", "")
        code = record.notes.get(CODE)
        if isinstance(code, dict):
            taken |= {name: code[name] for name in ("kind", "metrics") if name in code}
        found = identity(
            _cell(record),
            task=self.task_digest(task, parts.split),
            protocol=self.protocol_digest(protocol, task),
            encoder=record.encoder.card_hash,
            taken=taken,
            data=record.data.hash,
            numbers=int(parts.numbers),
        )
        if key_of(found) == record.key:
            return [], []
        if encoder is not None and encoder.weights == "none":
            own = weights_digest(encoder, None, record.cell.seed)
            if key_of(found | {"weights": own}) == record.key:
                return [f"encoder.weights: says {record.encoder.weights!r}, the key is that of {own!r}"], []
        return ["key: is not that of the record's cell, cards, weights and data"], []


def _of_encoder(record: Record, card: EncoderCard) -> list[str]:
    """Compare what a record says of its encoder with the card; older records say less."""
    said = record.encoder
    return [
        f"encoder.{field}: says {stated!r}, the card says {there!r}"
        for field, stated, there in (("scale", said.scale, card.scale), ("form", said.form, card.form))
        if stated is not None and stated != there
    ]


def _of_prose(record: Record, card: EncoderCard) -> list[str]:
    """Name what differs and moves no number, so that a card may have been amended since."""
    said = record.encoder
    pairs = (("title", said.title or None, card.title), ("pretraining", said.pretraining, card.seen))
    return [
        f"encoder.{field}: another one than on the card of {card.name}, which may have been amended since"
        for field, stated, there in pairs
        if stated is not None and stated != there
    ]


def _metrics(record: Record, task: TaskCard) -> list[str]:
    wanted = set(task.metrics)
    kept = KINDS[task.kind].per_label
    if len(task.labels) > 1 and wanted & set(kept):
        per_label = {f"{name}{PER_LABEL}{label}" for name in kept if name in wanted for label in task.labels}
        # A cell that does not apply has the metrics of the card alone.
        wanted |= per_label if set(record.metrics) - wanted or record.predictions is not None else set()
    lines = [f"metrics.{name}: is missing" for name in sorted(wanted - set(record.metrics))]
    return lines + [f"metrics.{name}: is none of the card" for name in sorted(set(record.metrics) - wanted)]


def _cell(record: Record) -> Cell:
    return record.cell
