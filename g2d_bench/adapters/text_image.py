"""What the kinds without training share: an encoder's two sides, asked together."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from g2d_bench.adapters.base import Job, NotApplicable, no_text
from g2d_bench.data.cache import pixels_content
from g2d_bench.devices import accelerator
from g2d_bench.encoders.embeddings import image_embeddings
from g2d_bench.encoders.features import frozen_hash
from g2d_bench.encoders.heads.base import Heads, ImageEmbedding, TextEmbedding, in_range
from g2d_bench.encoders.load import Encoder
from g2d_bench.encoders.text import TextEncoder
from g2d_bench.encoders.words import bare_sentences
from g2d_bench.errors import InputError
from g2d_bench.hashing import digest_json


@dataclass(frozen=True)
class TextImage:
    """An encoder with text side and heads, in evaluation mode, on one device.

    Attributes:
        encoder: the image side, with the card.
        text: the text encoder.
        heads: the projections into the common space.
    """

    encoder: Encoder
    text: TextEncoder
    heads: Heads

    @classmethod
    def of(cls, encoder: Encoder) -> TextImage:
        """Take an encoder's two sides.

        Raises:
            NotApplicable: the encoder has no text side, or its weights file brought none along.
        """
        if encoder.text is None or encoder.heads is None:
            raise NotApplicable(no_text(encoder))
        encoder.to(accelerator())
        for module in (encoder.image, encoder.text, encoder.heads):
            module.eval()
        return cls(encoder, encoder.text, encoder.heads)

    @property
    def method(self) -> str:
        """The objective with which the encoder was trained."""
        return self.encoder.card.objective

    def read_as(self, text: str) -> str:
        """Bring a text into the form of those that the method was trained on."""
        return " ".join(bare_sentences([text])) if self.heads.bare_words else text

    @torch.inference_mode()
    def embed_texts(self, texts: Sequence[str]) -> TextEmbedding:
        """Project texts, each on its own: [B, d] and, where the method has words, [B, W, d].

        Raises:
            InputError: a vector is zero, and so has no cosine with any other.
        """
        card = self.encoder.card.text
        tokens = self.text.tokenize([self.read_as(text) for text in texts], card.max_length if card else None)
        found = self.heads.embed_text(self.text(tokens), tokens)
        return found._replace(vector=self._pointing(found.vector, "texts"))

    def embed_images(
        self, job: Job, ids: Sequence[str], *, cells: bool
    ) -> Iterator[tuple[slice, ImageEmbedding]]:
        """Project images of the job's data set, with or without their cells.

        Yields:
            Places in ``ids`` and their embedding; see
            :func:`~g2d_bench.encoders.embeddings.image_embeddings`.

        Raises:
            InputError: a vector is zero, and so has no cosine with any text; not asked where cells are.
        """
        size = self.encoder.card.image.size
        # Cells must lie where the task looks for them: on the whole film.
        fit = None if cells else self.encoder.card.image.frame
        table = job.data.pixels(size, fit)
        content = pixels_content(job.data.manifest, size, fit=fit)
        for place, found in image_embeddings(
            self.encoder, table.pixels, table.rows(ids), content=content, cells=cells
        ):
            if found.cells is None:
                yield place, ImageEmbedding(self._pointing(found.vector, "images"))
            else:
                yield place, ImageEmbedding(found.vector, in_range(found.cells, dim=1))

    def _pointing(self, vectors: Tensor, of: str) -> Tensor:
        """Return vectors [B, d] of a length that can be computed with."""
        zeros = int((vectors == 0).all(dim=1).sum())
        if zeros:
            raise InputError(
                f"gives {zeros} {of} or more a vector of zeros, which has no direction to compare",
                field=self.encoder.card.name,
            )
        return in_range(vectors)

    def state(self) -> dict[str, str]:
        """Hash what took part, for the record."""
        modules = {"image": self.encoder.image, "text": self.text.bert, "heads": self.heads}
        vocabulary = sorted(self.text.tokenizer.get_vocab(with_added_tokens=True).items())
        return {
            **{name: frozen_hash(module) for name, module in modules.items()},
            "vocabulary": digest_json(vocabulary),
        }


def chosen(text: TextEmbedding, rows: Tensor) -> TextEmbedding:
    """Take texts [B] in another order, or several times."""
    return TextEmbedding(*(None if part is None else part[rows] for part in text))  # type: ignore[arg-type]
