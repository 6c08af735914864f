"""Projection heads of MGCA (Wang et al. 2022, section 3)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from g2d_bench.encoders.words import word_counts, word_sums

if TYPE_CHECKING:
    from g2d_bench.encoders.image import ImageFeatures
    from g2d_bench.encoders.text import TextStates
from g2d_bench.encoders.heads.base import (
    Heads,
    ImageEmbedding,
    TextEmbedding,
    Tokens,
    positions,
    widened,
    word_level,
)


class MGCAHeads(Heads):
    """Two-layer perceptrons with batch normalisation, for image, cells, text and words.

    The text vector is [CLS] of the last layer; words are sums of word pieces, weighted by the attention that
    [CLS] pays them in the last layer (mean over heads, clipped to its own 10–90 % quantiles).

    Args:
        image_width: length of the pooled image vector.
        text_width: D of the text encoder.
        local_width: channels of the map that words are compared with.
        level: which map of the pyramid that is; -2 (layer3) in the paper, -1 for a ViT.
        dim: d, 128 in the paper.
        hidden: hidden width, 2048 in the paper.
        word_weights: ``aligned``, the paper: words without [SEP], each with its own attention. ``shifted``,
            the released code: [SEP] counts as a word, each token has the attention of the token after it, and
            a text that fills ``max_length`` loses its last word and [SEP].
        pads: fill every text up to ``max_length`` with zero vectors and let them take part in the batch
            statistics of the word head, as the released code does. Their weight is zero either way.
        max_length: tokens at which texts are cut.
    """

    method = "mgca"
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
        self,
        image_width: int,
        text_width: int,
        local_width: int,
        *,
        level: int = -2,
        dim: int = 128,
        hidden: int = 2048,
        word_weights: Literal["aligned", "shifted"] = "aligned",
        pads: bool = False,
        max_length: int = 112,
    ) -> None:
        super().__init__()
        self.dim, self.level, self.max_length = dim, level, max_length
        self.word_weights, self.pads = word_weights, pads
        self.image_global, self.image_local = _mlp(image_width, hidden, dim), _mlp(local_width, hidden, dim)
        self.text_global, self.text_local = _mlp(text_width, hidden, dim), _mlp(text_width, hidden, dim)

    def embed_image(self, features: ImageFeatures) -> ImageEmbedding:
        """Project the pooled vector and the cells of the chosen map."""
        cells = features.pyramid[self.level].movedim(1, -1)
        local = self.image_local(cells.flatten(0, 2)).reshape(*cells.shape[:3], self.dim)
        return ImageEmbedding(self.image_global(features.pooled), local.movedim(-1, 1))

    def embed_text(self, states: TextStates, tokens: Tokens) -> TextEmbedding:
        """Project [CLS] and the words, and weigh the words."""
        if states.attention is None:
            raise ValueError("MGCA needs the attention of the text encoder's last layer")
        shifted = self.word_weights == "shifted"
        last, index = states.hidden[-1], tokens["word_index"]
        attention = states.attention[:, :, 0].detach().mean(dim=1)
        counts = word_counts(index)[:, None]
        if shifted:
            attention = functional.pad(attention[:, 1:], (0, 1))
            full = states.mask.sum(dim=1, keepdim=True) >= self.max_length
            counts = torch.where(full, counts - 2, counts)
        else:
            counts = counts - 1
        # Word 0 is [CLS]: the text vector, not a word.
        words, attended = word_sums(last, index)[:, 1:], word_sums(widened(attention), index)[:, 1:]
        if self.pads:
            missing = max(0, self.max_length - 1 - words.shape[1])
            words, attended = (
                functional.pad(words, (0, 0, 0, missing)),
                functional.pad(attended, (0, missing)),
            )
        mask = positions(words) + 1 < counts
        rows = torch.ones_like(mask) if self.pads else mask
        local = self._words(words * mask[..., None], rows)
        return TextEmbedding(self.text_global(last[:, 0]), local, mask, clipped_shares(attended, mask))

    def _words(self, words: Tensor, rows: Tensor) -> Tensor:
        """Project the chosen words [B, W, D] only, so that the others leave no trace in batch statistics."""
        chosen = words[rows]
        out = words.new_zeros((*rows.shape, self.dim))
        if len(chosen) == 0:
            return out
        projected = self.text_local(chosen)
        return out.to(projected.dtype).masked_scatter(rows[..., None], projected)


def clipped_shares(attention: Tensor, mask: Tensor, low: float = 0.1, high: float = 0.9) -> Tensor:
    """Clip the positive attention of each text to its own quantiles, and scale it to sum one (MGCA).

    Args:
        attention: [B, W], non-negative.
        mask: bool [B, W], which of them count.
        low: lower quantile.
        high: upper quantile.

    Returns:
        [B, W], zero outside of the mask and where attention is zero; all zero for a text without any.
    """
    counted = mask & (attention > 0)
    blank = attention.masked_fill(~counted, torch.nan)
    bounds = torch.nanquantile(blank, attention.new_tensor([low, high]), dim=1)[..., None]
    kept = torch.clamp(blank, bounds[0], bounds[1]).nan_to_num(0.0)
    return kept / kept.sum(dim=1, keepdim=True).clamp(min=torch.finfo(kept.dtype).tiny)


def _mlp(width: int, hidden: int, dim: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Linear(width, hidden),
        nn.BatchNorm1d(hidden),
        nn.ReLU(),
        nn.Linear(hidden, dim),
        nn.BatchNorm1d(dim, affine=False),
    )


HEADS = MGCAHeads
