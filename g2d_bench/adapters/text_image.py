"""What the kinds without training share: an encoder's two sides, asked together."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from g2d_bench.adapters.base import Job, NotApplicable
from g2d_bench.encoders.features import BATCH, frozen_hash
from g2d_bench.encoders.heads import Heads, ImageEmbedding, TextEmbedding
from g2d_bench.encoders.load import Encoder
from g2d_bench.encoders.text import TextEncoder
from g2d_bench.hashing import digest_json
from g2d_bench.pretrain.objective import bare_sentences
from g2d_bench.progress import track

BARE = ("gloria", "mgca")
"""Methods that were trained on lower-case words without punctuation."""


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
            bare = "no text encoder" + (" in the weights that were read" if encoder.card.text else "")
            raise NotApplicable(f"{bare}: {encoder.no_text}" if encoder.no_text else bare)
        device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        for module in (encoder.image, encoder.text, encoder.heads):
            module.eval().to(device)
        return cls(encoder, encoder.text, encoder.heads)

    @property
    def method(self) -> str:
        """The objective with which the encoder was trained."""
        return self.encoder.card.objective

    def read_as(self, text: str) -> str:
        """Bring a text into the form of those that the method was trained on."""
        return " ".join(bare_sentences([text])) if self.heads.method in BARE else text

    @torch.inference_mode()
    def embed_texts(self, texts: Sequence[str]) -> TextEmbedding:
        """Project texts, each on its own: [B, d] and, where the method has words, [B, W, d]."""
        card = self.encoder.card.text
        tokens = self.text.tokenize([self.read_as(text) for text in texts], card.max_length if card else None)
        return self.heads.embed_text(self.text(tokens), tokens)

    def embed_images(
        self, pixels: NDArray[np.uint8], rows: NDArray[np.integer[Any]]
    ) -> Iterator[tuple[slice, ImageEmbedding]]:
        """Project images batch by batch.

        Args:
            pixels: uint8 [M, S, S].
            rows: which of them, in this order.

        Yields:
            Places in ``rows`` and their embedding. Every batch has the same size before it is cut to its
            places, as for pooled features, since kernels are chosen by shape.
        """
        for start in track(range(0, len(rows), BATCH), f"images through {self.encoder.card.name}"):
            part = rows[start : start + BATCH]
            full = np.concatenate([part, np.repeat(part[-1:], BATCH - len(part))])
            images = torch.from_numpy(np.ascontiguousarray(pixels[full])).to(self.encoder.device)
            with torch.inference_mode():
                vector, cells = self.heads.embed_image(self.encoder.image(self.encoder.preprocess(images)))
            count = len(part)
            cut = ImageEmbedding(vector[:count], None if cells is None else cells[:count])
            yield slice(start, start + count), cut

    def state(self) -> dict[str, str]:
        """Hash what took part, for the record."""
        modules = {"image": self.encoder.image, "text": self.text.bert, "heads": self.heads}
        vocabulary = sorted(self.text.tokenizer.get_vocab(with_added_tokens=True).items())
        return {
            **{name: frozen_hash(module) for name, module in modules.items()},
            "vocabulary": digest_json(vocabulary),
        }


def pixels_of(job: Job, ids: Sequence[str]) -> tuple[NDArray[np.uint8], NDArray[np.intp]]:
    """Return the letterboxed images at the encoder's size, and the rows of ``ids``."""
    table = job.data.pixels(job.encoder.card.image.size)
    return table.pixels, table.rows(ids)


def chosen(text: TextEmbedding, rows: Tensor) -> TextEmbedding:
    """Take texts [B] in another order, or several times."""
    return TextEmbedding(*(None if part is None else part[rows] for part in text))  # type: ignore[arg-type]
