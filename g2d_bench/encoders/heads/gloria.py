"""Projection heads of GLoRIA (Huang et al. 2021, section 3)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from g2d_bench.encoders.words import word_counts, word_sums

if TYPE_CHECKING:
    from g2d_bench.encoders.image import ImageFeatures
    from g2d_bench.encoders.text import TextStates
from g2d_bench.encoders.heads.base import Heads, ImageEmbedding, TextEmbedding, Tokens, positions, word_level


class GLoRIAHeads(Heads):
    """A linear map for the image, a bias-free one for its cells, none for the text.

    Text states are summed over the last layers (embeddings are not a layer), word pieces over words; words
    are [CLS] and all words, without [SEP], as in the released code. The text vector is the mean over all
    tokens; the released one divides by a constant instead, which no cosine sees.

    Args:
        image_width: length of the pooled image vector.
        text_width: D of the text encoder, and d.
        local_width: channels of the map that words are compared with.
        level: which map of the pyramid that is; -2 (layer3) in the paper.
        last_layers: how many layers are summed, all where there are fewer; 4 in the paper.
    """

    method = "gloria"
    bare_words = True

    @classmethod
    def fitted(
        cls,
        *,
        channels: Sequence[int],
        strides: Sequence[int],
        num_features: int,
        text_width: int,
        **options: Any,
    ) -> Heads:
        """Make the heads for given encoders; see :meth:`Heads.fitted` and :func:`word_level`."""
        level = word_level(strides)
        sizes: dict[str, Any] = {"image_width": num_features, "text_width": text_width}
        return cls(**sizes, local_width=channels[level], level=level, **options)

    def __init__(
        self, image_width: int, text_width: int, local_width: int, *, level: int = -2, last_layers: int = 4
    ) -> None:
        super().__init__()
        self.dim, self.level, self.last_layers = text_width, level, last_layers
        self.global_embedder = nn.Linear(image_width, text_width)
        self.local_embedder = nn.Conv2d(local_width, text_width, 1, bias=False)

    def embed_image(self, features: ImageFeatures) -> ImageEmbedding:
        """Project the pooled vector and the cells of the chosen map."""
        return ImageEmbedding(
            self.global_embedder(features.pooled), self.local_embedder(features.pyramid[self.level])
        )

    def embed_text(self, states: TextStates, tokens: Tokens) -> TextEmbedding:
        """Sum layers and word pieces."""
        layers = states.hidden[1:][-self.last_layers :]
        summed = torch.stack(layers).sum(dim=0) * states.mask[..., None]
        index = tokens["word_index"]
        # No text has more words than tokens. What is padded costs a GPU less than to be asked.
        most = index.shape[1] if index.is_cuda else None
        words = word_sums(summed, index, most)[:, :-1]
        mask = positions(words) < word_counts(index)[:, None] - 1
        vector = summed.sum(dim=1) / states.mask.sum(dim=1, keepdim=True)
        return TextEmbedding(vector, words * mask[..., None], mask)


HEADS = GLoRIAHeads
