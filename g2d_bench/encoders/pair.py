"""Text sides that come with their image encoder from one model of a library, such as CLIP and SigLIP."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from g2d_bench.encoders.heads.base import Heads, ImageEmbedding, TextEmbedding, Tokens
from g2d_bench.encoders.text import TextStates

if TYPE_CHECKING:
    from g2d_bench.encoders.image import ImageFeatures

Tokenize = Callable[[list[str]], dict[str, Tensor]]
"""From texts to what a tower takes, padded to its context length."""


class PairText(nn.Module):
    """The text tower of a pair in the place of a :class:`~g2d_bench.encoders.text.TextEncoder`.

    Args:
        tower: takes what ``tokenize`` gives as keyword arguments, gives vectors [B, d] of the common space.
        tokenize: from texts to tokens.
        vocabulary: piece to number, for records.
        dim: d.
        layers: of the tower.
        source: where it comes from, for records and messages.
    """

    def __init__(
        self,
        tower: nn.Module,
        tokenize: Tokenize,
        vocabulary: dict[str, int],
        *,
        dim: int,
        layers: int,
        source: str,
    ) -> None:
        super().__init__()
        self.bert: Any = tower
        self.width, self.source = dim, source
        self.tokenizer = _Vocabulary(vocabulary)
        self._tokenize = tokenize
        if not hasattr(tower, "config"):
            self.bert.__dict__["config"] = SimpleNamespace(num_hidden_layers=layers)

    def tokenize(
        self, texts: Sequence[str], max_length: int | None = None, *, host: bool = False
    ) -> dict[str, Tensor]:
        """Turn texts into tokens, padded to the context length as in the pair's training."""
        tokens = self._tokenize(list(texts))
        device = next(self.bert.parameters()).device
        return tokens if host else {name: value.to(device) for name, value in tokens.items()}

    def forward(self, tokens: dict[str, Tensor]) -> TextStates:
        """Encode what :meth:`tokenize` gave; each text is one state, its vector in the common space."""
        vectors = self.bert(**tokens)
        one = torch.ones((len(vectors), 1), dtype=torch.bool, device=vectors.device)
        return TextStates((vectors[:, None],), None, one)


class PairHeads(Heads):
    """The pair's own projection of images; its texts are projected by their tower.

    Args:
        project: from pooled vectors [B, D] to [B, d].
        cell: from single patches [N, D] to [N, d], in the way in which an image of this one patch would be
            projected; None where the model has no such way.
        dim: d.
    """

    method = "pair"

    def __init__(self, project: nn.Module, cell: nn.Module | None, *, dim: int) -> None:
        super().__init__()
        self.project, self.cell, self.dim = project, cell, dim
        self.has_cells = cell is not None

    def embed_image(self, features: ImageFeatures) -> ImageEmbedding:
        """Project the pooled vector, and each cell of the last map."""
        vector = self.project(features.pooled)
        if self.cell is None:
            return ImageEmbedding(vector)
        last = features.pyramid[-1]
        cells = self.cell(last.permute(0, 2, 3, 1).flatten(0, 2))
        rows, columns = last.shape[-2:]
        return ImageEmbedding(vector, cells.reshape(len(last), rows, columns, -1).permute(0, 3, 1, 2))

    def embed_text(self, states: TextStates, tokens: Tokens) -> TextEmbedding:
        """Take the vectors of the tower."""
        return TextEmbedding(states.hidden[-1][:, 0])


class Matrix(nn.Module):
    """A projection [D, d] without bias that is kept as a bare matrix."""

    def __init__(self, width: int, dim: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(width, dim))

    def forward(self, x: Tensor) -> Tensor:
        """Project [..., D] to [..., d]."""
        return x @ self.weight


class Pooled(nn.Module):
    """An attention pooling, asked about single patches."""

    def __init__(self, pooling: nn.Module, project: nn.Module | None = None) -> None:
        super().__init__()
        self.pooling = pooling
        self.project = nn.Identity() if project is None else project

    def forward(self, x: Tensor) -> Tensor:
        """Pool each of [N, D] for itself."""
        found: Tensor = self.project(self.pooling(x[:, None]))
        return found


class _Vocabulary:
    """What records read of a tokenizer."""

    def __init__(self, pieces: dict[str, int]) -> None:
        self._pieces = pieces

    def get_vocab(self, *, with_added_tokens: bool = True) -> dict[str, int]:
        return self._pieces
