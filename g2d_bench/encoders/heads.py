"""What stands between the encoders and the objectives: one projection head per method.

A head turns image features and text states into the vectors that its objective compares. The same module
serves at inference: :meth:`Heads.global_similarity` for zero-shot classification and retrieval,
:meth:`Heads.local_map` for grounding. Vectors are not normalised here; losses and similarities do that.

Sources: ConVIRT (Zhang et al. 2020, section 3), GLoRIA (Huang et al. 2021, section 3), MGCA (Wang et al.
2022, section 3), with the values of the released code where the papers are silent.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from g2d_bench.encoders.words import word_counts, word_sums
from g2d_bench.errors import InputError, did_you_mean

if TYPE_CHECKING:
    from g2d_bench.encoders.image import ImageFeatures
    from g2d_bench.encoders.text import TextStates

Tokens = Mapping[str, Tensor]
"""What :meth:`TextEncoder.tokenize` gives."""

EPS = 1e-8
"""Smallest length a vector is divided by."""


class ImageEmbedding(NamedTuple):
    """Projected images.

    Attributes:
        vector: [B, d].
        cells: [B, d, h, w], or None where the method has no local head (in training).
    """

    vector: Tensor
    cells: Tensor | None = None


class TextEmbedding(NamedTuple):
    """Projected texts.

    Attributes:
        vector: [B, d].
        words: [B, W, d], or None.
        mask: bool [B, W], true for the words that the method compares with cells.
        weights: [B, W], non-negative, zero outside of the mask; sums to one in a text with words. MGCA only.
    """

    vector: Tensor
    words: Tensor | None = None
    mask: Tensor | None = None
    weights: Tensor | None = None


class Embeddings(NamedTuple):
    """Everything that an objective compares; see :class:`ImageEmbedding` and :class:`TextEmbedding`."""

    image_global: Tensor
    image_local: Tensor | None
    text_global: Tensor
    text_local: Tensor | None = None
    text_mask: Tensor | None = None
    text_weights: Tensor | None = None


class Heads(nn.Module):
    """Projection heads of one method.

    Attributes:
        method: name of the objective.
        dim: d.
    """

    method: ClassVar[str]
    dim: int

    def embed_image(self, features: ImageFeatures) -> ImageEmbedding:
        """Project images."""
        raise NotImplementedError

    def embed_text(self, states: TextStates, tokens: Tokens) -> TextEmbedding:
        """Project texts."""
        raise NotImplementedError

    def forward(self, features: ImageFeatures, states: TextStates, tokens: Tokens) -> Embeddings:
        """Project images and texts."""
        vector, cells = self.embed_image(features)
        return Embeddings(vector, cells, *self.embed_text(states, tokens))

    @staticmethod
    def global_similarity(image: Tensor, text: Tensor) -> Tensor:
        """Compare all images [A, d] with all texts [B, d]: cosine, [A, B]."""
        return unit(image) @ unit(text).T

    def local_map(self, image: ImageEmbedding, text: TextEmbedding) -> Tensor:
        """Compare each cell of image i with text i, in cosines.

        With words, the mean over the words of the cosine between word and cell (MGCA: weighted by the words'
        attention weights, as in its loss); without, the cosine between text vector and cell. The papers
        ground nothing so, but thresholds on cosines are how grounding is scored.

        Returns:
            [B, h, w] in [-1, 1]; zero for a text without words.

        Raises:
            ValueError: the image embedding has no cells (ConVIRT in training mode).
        """
        if image.cells is None:
            raise ValueError(f"{self.method} projects no cells in training mode; call eval() first")
        cells = unit(image.cells, dim=1)
        if text.words is None or text.mask is None:
            return torch.einsum("bdhw,bd->bhw", cells, unit(text.vector))
        shares = text.mask / text.mask.sum(1, keepdim=True).clamp(min=1)
        shares = (shares if text.weights is None else text.weights).to(cells.dtype)
        return torch.einsum("bdhw,bnd,bn->bhw", cells, unit(text.words), shares)


def unit(vectors: Tensor, dim: int = -1) -> Tensor:
    """Scale vectors to length one, in at least single precision."""
    return functional.normalize(widened(vectors), dim=dim, eps=EPS)


def widened(values: Tensor) -> Tensor:
    """Return half-precision values in single precision, others as they are."""
    return values.float() if values.dtype in (torch.float16, torch.bfloat16) else values


class ConVIRTHeads(Heads):
    """Two perceptrons, Linear–ReLU–Linear; the text is max-pooled over its tokens.

    ConVIRT has no local head. For grounding each cell of the coarsest map goes through the perceptron of the
    pooled image, whose mean it is part of; this is done in evaluation mode only.

    Args:
        image_width: length of the pooled image vector.
        text_width: D of the text encoder.
        dim: d, also the hidden width; 512 in the paper.
        pooling: ``max``, the paper. ``pooler``, BenchX and vilmedic: [CLS] through the layer that BERT calls
            so, a linear map and tanh.
    """

    method = "convirt"

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
        if self.training:
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
        last_layers: how many layers are summed; 4 in the paper.
    """

    method = "gloria"

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
        words = word_sums(summed, index)[:, :-1]
        mask = _positions(words) < word_counts(index)[:, None] - 1
        vector = summed.sum(dim=1) / states.mask.sum(dim=1, keepdim=True)
        return TextEmbedding(vector, words * mask[..., None], mask)


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
        pads: let padding (zero vectors) take part in the batch statistics of the word head, as the released
            code does. The loss masks it either way.
        max_length: tokens at which texts are cut.
    """

    method = "mgca"

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
        mask = _positions(words) + 1 < counts
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


def make_heads(
    method: str,
    *,
    channels: Sequence[int],
    strides: Sequence[int],
    num_features: int,
    text_width: int,
    **options: Any,
) -> Heads:
    """Make the heads of a method for given encoders.

    Words are compared with the second coarsest map (layer3 of a ResNet); where all maps have one stride, as
    in a ViT, with the last one.

    Args:
        method: ``convirt``, ``gloria``, ``mgca``, ``g2d`` or, for its published weights, ``biovil``.
        channels: of :class:`~g2d_bench.encoders.image.ImageEncoder`.
        strides: of the same.
        num_features: of the same.
        text_width: of :class:`~g2d_bench.encoders.text.TextEncoder`.
        options: further keyword arguments of the heads.

    Raises:
        InputError: unknown method or option.
    """
    if method == "g2d":
        from g2d_bench.encoders.heads_g2d import make_g2d_heads

        return make_g2d_heads(channels=channels, text_width=text_width, **options)
    level = -1 if len(set(strides)) == 1 else -2
    from g2d_bench.encoders.heads_biovil import BioViLHeads

    known = (ConVIRTHeads, GLoRIAHeads, MGCAHeads, BioViLHeads)
    kinds: dict[str, type[Heads]] = {kind.method: kind for kind in known}
    if method not in kinds:
        raise InputError(
            f"no heads for {method!r}; {did_you_mean(method, sorted([*kinds, 'g2d']))}", field="objective"
        )
    arguments: dict[str, Any] = {"image_width": num_features, "text_width": text_width}
    if method in ("gloria", "mgca"):
        arguments |= {"local_width": channels[level], "level": level}
    try:
        return kinds[method](**arguments, **options)
    except TypeError as error:
        raise InputError(f"heads of {method}: {str(error).split('__init__() ')[-1]}", field="heads") from None


def _mlp(width: int, hidden: int, dim: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Linear(width, hidden),
        nn.BatchNorm1d(hidden),
        nn.ReLU(),
        nn.Linear(hidden, dim),
        nn.BatchNorm1d(dim, affine=False),
    )


def _positions(words: Tensor) -> Tensor:
    return torch.arange(words.shape[1], device=words.device)[None]
