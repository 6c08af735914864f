"""A projection between an image encoder and its heads, for any method."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from g2d_bench.encoders.heads.base import Heads, ImageEmbedding, TextEmbedding, Tokens
from g2d_bench.encoders.heads.projection import along, projection
from g2d_bench.errors import InputError

if TYPE_CHECKING:
    from g2d_bench.encoders.image import ImageFeatures
    from g2d_bench.encoders.text import TextStates


class Neck(nn.Module):
    """A projection of the pooled vector and of each cell of the coarsest map.

    Args:
        width: of both.
        kind: ``linear`` or ``mlp``.
        dim: of what comes out.
        appended: how many trained constants are appended to each vector and cell (BioViL-T stands them in the
            place of a previous image); entry ``constant``.
        layers: further arguments of :func:`~g2d_bench.encoders.heads.projection.projection`.
    """

    def __init__(
        self, width: int, *, kind: str = "linear", dim: int, appended: int = 0, **layers: Any
    ) -> None:
        super().__init__()
        self.width = dim + appended
        self.projection = projection(kind, width, dim, **layers)
        # In the form in which BioViL-T keeps it, as a map of one cell.
        self.constant = nn.Parameter(torch.zeros(1, appended, 1, 1)) if appended else None

    def forward(self, vectors: Tensor) -> Tensor:
        """Project [N, width] to [N, dim + appended]."""
        found: Tensor = self.projection(vectors)
        if self.constant is None:
            return found
        return torch.cat([found, self.constant.flatten(1).expand(len(found), -1)], dim=1)


class NeckedHeads(Heads):
    """Heads behind a neck; their entries stand under ``heads.``, the neck's under ``neck.``.

    What linear probes read is the image encoder's own vector, before any neck, as of every encoder.

    Args:
        neck: the projection.
        heads: made for what it gives.
    """

    def __init__(self, neck: Neck, heads: Heads) -> None:
        super().__init__()
        self.neck, self.heads = neck, heads
        self.dim, self.has_cells = heads.dim, heads.has_cells
        # Of the class in all other heads; here each object has those of the heads behind the neck.
        self.__dict__.update(method=heads.method, bare_words=heads.bare_words)

    def embed_image(self, features: ImageFeatures) -> ImageEmbedding:
        """Project, then as the heads do."""
        maps = list(features.pyramid)
        if maps:
            maps[-1] = along(self.neck, maps[-1])
        return self.heads.embed_image(features._replace(pyramid=maps, pooled=self.neck(features.pooled)))

    def embed_text(self, states: TextStates, tokens: Tokens) -> TextEmbedding:
        """As the heads do."""
        return self.heads.embed_text(states, tokens)

    def local_map(self, image: ImageEmbedding, text: TextEmbedding) -> Tensor:
        """As the heads do."""
        return self.heads.local_map(image, text)


def necked(
    kind: type[Heads],
    neck: Mapping[str, Any],
    *,
    channels: Sequence[int],
    strides: Sequence[int],
    num_features: int,
    text_width: int,
    **options: Any,
) -> NeckedHeads:
    """Make heads of a class behind a neck; see :meth:`Heads.fitted`.

    Raises:
        InputError: pooled vector and coarsest map have different widths, so that one neck cannot serve both.
    """
    if channels and channels[-1] != num_features:
        raise InputError(
            f"a neck serves vector and cells alike, but these have {num_features} and {channels[-1]} values",
            field="heads.neck",
        )
    made = Neck(num_features, **neck)
    wider = [*channels[:-1], made.width] if channels else []
    heads = kind.fitted(
        channels=wider, strides=strides, num_features=made.width, text_width=text_width, **options
    )
    return NeckedHeads(made, heads)
