"""What stands between the encoders and the objectives: one projection head per method.

A head turns image features and text states into the vectors that its objective compares. The same module
serves at inference: :meth:`Heads.global_similarity` for zero-shot classification and retrieval,
:meth:`Heads.local_map` for grounding. Vectors are not normalised here; losses and similarities do that.

Sources: ConVIRT (Zhang et al. 2020, section 3), GLoRIA (Huang et al. 2021, section 3), MGCA (Wang et al.
2022, section 3), with the values of the released code where the papers are silent.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

if TYPE_CHECKING:
    from g2d_bench.encoders.image import ImageFeatures
    from g2d_bench.encoders.text import TextStates

Tokens = Mapping[str, Tensor]
"""What :meth:`TextEncoder.tokenize` gives."""

EPS = 1e-8
"""Smallest length a vector is divided by."""
LEAST, MOST = 1e-7, 1e15
"""Bounds of a vector's largest number: within them its length is above EPS, and its squares can be added."""


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
        has_cells: whether its image embedding has cells, in evaluation mode.
    """

    method: ClassVar[str]
    has_cells: bool = True
    bare_words: ClassVar[bool] = False
    """Whether the method reads lower-case words without punctuation."""
    dim: int

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
        """Make the heads for given encoders.

        Args:
            channels: of the maps of an :class:`~g2d_bench.encoders.image.ImageEncoder`, finest first.
            strides: of the same maps.
            num_features: length of its pooled vector.
            text_width: D of a :class:`~g2d_bench.encoders.text.TextEncoder`.
            options: further keyword arguments of the class.

        Raises:
            InputError: an option has an impossible value.
            TypeError: there is no such option.
        """
        sizes: dict[str, Any] = {"image_width": num_features, "text_width": text_width}
        return cls(**sizes, **options)

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


def in_range(vectors: Tensor, dim: int = -1) -> Tensor:
    """Scale vectors so short or long that :func:`unit` would lose their direction; others keep their bits."""
    vectors = widened(vectors)
    largest = vectors.abs().amax(dim=dim, keepdim=True)
    far = ((largest < LEAST) | (largest > MOST)) & (largest > 0)
    return torch.where(far, vectors / largest, vectors) if bool(far.any()) else vectors


def word_level(strides: Sequence[int]) -> int:
    """Return the map that words are compared with, counted from the coarsest as -1.

    It is the second coarsest (layer3 of a ResNet); where all maps have one stride, as in a ViT, the last one.
    """
    return -1 if len(set(strides)) == 1 else -2


def widened(values: Tensor) -> Tensor:
    """Return half-precision values in single precision, others as they are."""
    return values.float() if values.dtype in (torch.float16, torch.bfloat16) else values


def positions(words: Tensor) -> Tensor:
    """Return the places of words [B, W, d] as [1, W]."""
    return torch.arange(words.shape[1], device=words.device)[None]
