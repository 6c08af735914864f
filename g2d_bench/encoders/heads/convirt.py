"""Projection heads of ConVIRT (Zhang et al. 2020, section 3)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

import torch
from torch import nn

from g2d_bench.errors import InputError

if TYPE_CHECKING:
    from g2d_bench.encoders.image import ImageFeatures
    from g2d_bench.encoders.text import TextStates
from g2d_bench.encoders.heads.base import Heads, ImageEmbedding, TextEmbedding, Tokens


class ConVIRTHeads(Heads):
    """Two perceptrons, Linear–ReLU–Linear; the text is max-pooled over its tokens.

    ConVIRT has no local head. For grounding each cell of the coarsest map goes through the perceptron of the
    pooled image, whose mean it is part of; this is done in evaluation mode only. Where the image encoder's
    vector has another width than its map (EfficientNet, MobileNet), no cell fits, and there are none.

    Args:
        image_width: length of the pooled image vector.
        text_width: D of the text encoder.
        dim: d, also the hidden width; 512 in the paper.
        pooling: ``max``, the paper. ``pooler``, BenchX and vilmedic: [CLS] through the layer that BERT calls
            so, a linear map and tanh.
    """

    method = "convirt"

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
        """Make the heads for given encoders; see :meth:`Heads.fitted`."""
        made = cls(num_features, text_width, **options)
        made.has_cells = bool(channels) and channels[-1] == num_features
        return made

    def __init__(
        self,
        image_width: int,
        text_width: int,
        *,
        dim: int = 512,
        pooling: Literal["max", "pooler"] = "max",
    ) -> None:
        super().__init__()
        if pooling not in ("max", "pooler"):
            raise InputError(f"must be max or pooler, not {pooling!r}", field="heads.pooling")
        self.dim = dim
        self.pooler = nn.Linear(text_width, text_width) if pooling == "pooler" else None
        self.image = nn.Sequential(nn.Linear(image_width, dim), nn.ReLU(), nn.Linear(dim, dim))
        self.text = nn.Sequential(nn.Linear(text_width, dim), nn.ReLU(), nn.Linear(dim, dim))

    def embed_image(self, features: ImageFeatures) -> ImageEmbedding:
        """Project the pooled vector; in evaluation mode the cells of the last map too."""
        vector = self.image(features.pooled)
        if self.training or not self.has_cells:
            return ImageEmbedding(vector)
        cells = self.image(features.pyramid[-1].movedim(1, -1)).movedim(-1, 1)
        return ImageEmbedding(vector, cells)

    def embed_text(self, states: TextStates, tokens: Tokens) -> TextEmbedding:
        """Project the last layer: the maximum over all tokens, [CLS] and [SEP] included, or [CLS] pooled."""
        last = states.hidden[-1]
        if self.pooler is not None:
            return TextEmbedding(self.text(torch.tanh(self.pooler(last[:, 0]))))
        pooled = last.masked_fill(~states.mask[..., None], torch.finfo(last.dtype).min).amax(dim=1)
        return TextEmbedding(self.text(pooled))


HEADS = ConVIRTHeads
