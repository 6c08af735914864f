"""A cell with everything that it names opened and hashed, once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from g2d_bench.cards.encoder import EncoderCard
from g2d_bench.cards.kind import KINDS
from g2d_bench.cards.protocol import Protocol
from g2d_bench.cards.task import TaskCard
from g2d_bench.data.manifest import Manifest
from g2d_bench.data.task_data import TaskData
from g2d_bench.encoders.digests import digests
from g2d_bench.encoders.weights import weights_file
from g2d_bench.errors import InputError
from g2d_bench.readers.base import Dataset
from g2d_bench.records.cell import Cell
from g2d_bench.records.identity import code_of_others, identity
from g2d_bench.records.record import Record
from g2d_bench.records.store import Store

if TYPE_CHECKING:
    from g2d_bench.encoders.load import Encoder


@dataclass(frozen=True)
class Model:
    """An encoder that is in memory, in the place of a weights file.

    Attributes:
        encoder: ready to use.
        digest: names its state; the code of the module is not part of it.
        notes: for its records.
        arguments: of ``evaluate``, as they are written, beside model, task, fraction, seed and protocol.
    """

    encoder: Encoder
    digest: str
    notes: Mapping[str, Any] = field(default_factory=dict)
    arguments: str = ""


@dataclass(frozen=True)
class Resolved:
    """A cell, opened: what is below the plan is handed this and asks nobody else.

    Attributes:
        cell: its name.
        task: what is measured.
        protocol: how.
        card: of which encoder.
        checkpoint: the user's weights file, which goes before what the card says.
        identity: all that moves the number, by its digest; see :func:`~g2d_bench.records.identity.identity`.
        dataset: the reader.
        manifest: its images and their hashes.
        key: digest of everything that moves the number.
        path: where the record belongs.
        command: measures this very cell again.
        split_hash: divides the images as it is done today, and names the split; asked once per split.
        model: the encoder itself, where it came from memory and not from a file.
    """

    cell: Cell
    task: TaskCard
    protocol: Protocol
    card: EncoderCard
    checkpoint: Path | None
    identity: Mapping[str, Any]
    dataset: Dataset
    manifest: Manifest
    key: str
    path: Path
    command: str
    split_hash: Callable[[], str]
    model: Model | None = None

    @property
    def weights(self) -> str:
        """Digest of the weights that are loaded, or what a random initialisation is derived from."""
        found: str = self.identity["weights"]
        return found

    def recorded(self, store: Store) -> Record | None:
        """Return the record that a store has of the cell as it is today, None where there is none.

        The key holds neither an id list nor what `where` is read from: a record of another split is none of
        this cell.

        Raises:
            InputError: the images cannot be divided.
        """
        found = store.find(self.path, self.key)
        return found if found is not None and self.holds(found) else None

    def holds(self, record: Record) -> bool:
        """Say whether a record is of this cell's key, and of its split as it is today.

        Raises:
            InputError: the images cannot be divided.
        """
        return record.key == self.key and record.data.split_hash == self.split_hash()

    def data(self) -> TaskData:
        """Divide the cell's images.

        Raises:
            InputError: the split leaves a part empty, or its rule is unknown.
        """
        cell = self.cell
        data = TaskData(
            self.task, self.protocol, self.dataset, self.manifest, cell.fraction, cell.seed, cell.shots
        )
        data.blind = self.card.embeddings is not None
        return data

    def fill_caches(self) -> None:
        """Decode what the cell reads, so that several workers find it."""
        data = self.data()
        where = KINDS[self.task.kind].asks & {"maps", "cells"}
        data.pixels(self.card.image.size, None if where else self.card.image.frame)
        if self.task.masked:
            _ = data.masks

    def load(self) -> Encoder:
        """Load the encoder, or take it as it is in memory: a copy where it is trained.

        Raises:
            InputError: the weights do not fit, or are others than when the cell was resolved; or a model in
                memory is to be trained and cannot be copied, or has no parameters.
        """
        if self.model is not None:
            encoder, moved = self.model.encoder, _moved(self.protocol, self.task.kind)
            if "tuning" in moved and not any(True for _ in encoder.image.parameters()):
                raise InputError(
                    "is trained by this protocol, and no parameters can be found that it computes with",
                    field="model",
                )
            return _copied(encoder) if moved else encoder
        loaded = self._given() if self.card.embeddings is not None else self._loaded()
        self._require_unchanged()
        return loaded

    def _loaded(self) -> Encoder:
        from g2d_bench.devices import accelerator
        from g2d_bench.encoders.load import load_encoder

        text = "text" in KINDS[self.task.kind].asks
        # A scorer is made for the place where it computes, and never moved.
        device = accelerator() if self.card.scorer else "cpu"
        return load_encoder(
            self.card, checkpoint=self.checkpoint, seed=self.cell.seed, device=device, text=text
        )

    def _require_unchanged(self) -> None:
        """See that the files are those that the key and the record name.

        Raises:
            InputError: one was replaced since they were hashed.
        """
        texts = "text" in KINDS[self.task.kind].asks
        now = digests(self.card, self.checkpoint, self.cell.seed, self.task.dataset, texts=texts)
        for name, digest in now.items():
            if digest != self.identity[name]:
                raise InputError(
                    "changed since this run began; run it again",
                    file=weights_file(self.card, self.checkpoint, self.task.dataset),
                    field=name,
                )

    def _given(self) -> Encoder:
        from g2d_bench.encoders.given import load_given

        file = weights_file(self.card, self.checkpoint, self.task.dataset)
        assert file is not None
        return load_given(
            self.card,
            file,
            [sample.id for sample in self.manifest.samples],
            [image for ids in self.data().split.parts.values() for image in ids],
            dataset=self.task.dataset,
            content=self.manifest.content_hash,
        )


def _moved(protocol: Protocol, kind: str) -> set[str]:
    """Say what a protocol moves of an encoder in a kind of task; one that is silent moves nothing."""
    rule = protocol.says(kind)
    return {name for name in ("tuning", "batchnorm") if getattr(rule, name, "frozen") != "frozen"}


def _copied(encoder: Encoder) -> Encoder:
    import copy

    try:
        image = copy.deepcopy(encoder.image)
    except Exception as error:
        text = (str(error) or type(error).__name__).splitlines()[0]
        raise InputError(f"is trained, so it must be copied, which fails: {text}", field="model") from error
    return replace(encoder, image=image)


def identity_of(
    cell: Cell,
    task: TaskCard,
    protocol: Protocol,
    card: EncoderCard,
    *,
    checkpoint: Path | None,
    weights: str = "",
) -> Callable[[str], dict[str, Any]]:
    """Collect everything that moves a cell's number, from its cards and weights; all but its data.

    Args:
        cell: the cell.
        task: its task's card.
        protocol: its protocol's card.
        card: its encoder's card.
        checkpoint: the user's weights file.
        weights: names weights that lie in no file.

    Returns:
        What gives the whole for the content hash of the data.

    Raises:
        InputError: a file of the encoder cannot be read.
    """
    texts = "text" in KINDS[task.kind].asks
    taken = digests(card, checkpoint, cell.seed, task.dataset, texts=texts, weights=weights)
    taken |= code_of_others(task.kind, protocol.view(task).metrics)
    asked, how = task.digest(protocol.split), protocol.digest(task.kind)
    return lambda content: identity(
        cell, task=asked, protocol=how, encoder=card.digest, taken=taken, data=content
    )
