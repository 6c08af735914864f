"""Projection heads of any CLIP: one projection per side, as its file has them.

Source: Radford et al., ICML 2021, section 2.3: linear projections; the perceptrons are those that methods
after it have in their place.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

import torch
from torch import Tensor

from g2d_bench.encoders.heads.base import Heads, ImageEmbedding, TextEmbedding, Tokens
from g2d_bench.encoders.heads.projection import along, projection
from g2d_bench.errors import InputError

if TYPE_CHECKING:
    from g2d_bench.encoders.image import ImageFeatures
    from g2d_bench.encoders.text import TextStates

POOLINGS = ("cls", "mean", "eos", "max", "pooler")


class ClipHeads(Heads):
    """A projection of the pooled image and one of the pooled text.

    A CLIP has no local head. For grounding each cell of the coarsest map goes through the image's projection,
    as it would if the image were that cell alone.

    Args:
        image_width: length of the pooled image vector.
        text_width: D of the text encoder.
        dim: d.
        image: ``linear``, ``mlp`` or ``none``; its entries are ``image.weight``, ... (``linear``) or
            ``image.0.weight``, ... (``mlp``).
        text: likewise, under ``text.``.
        hidden: width inside of an ``mlp``; ``dim`` if None.
        bias: whether linear layers have an offset.
        activation: inside of an ``mlp``: ``relu``, ``gelu`` or ``tanh``.
        norm: ``batch`` for batch normalisation behind each layer of an ``mlp``.
        transposed: linear maps are stored as [in, out], without offset.
        pooling: how a text becomes one vector: ``cls`` (the first token), ``eos`` (the last one), ``mean`` or
            ``max`` over all tokens, the first and the last included, or ``pooler``, the vector that the text
            model makes itself.
        layers: of which layers of the text encoder; several are averaged (MedCLIP: 1, 2 and -1). 0 are the
            embeddings.
    """

    method = "clip"

    def __init__(
        self,
        image_width: int,
        text_width: int,
        *,
        dim: int = 512,
        image: str = "linear",
        text: str = "linear",
        hidden: int | None = None,
        bias: bool = True,
        activation: str = "relu",
        norm: str = "",
        transposed: bool = False,
        pooling: Literal["cls", "mean", "eos", "max", "pooler"] = "cls",
        layers: Sequence[int] = (-1,),
    ) -> None:
        super().__init__()
        if pooling not in POOLINGS:
            raise InputError(
                f"must be one of {', '.join(POOLINGS)}, not {pooling!r}", field="heads.options.pooling"
            )
        if not layers:
            raise InputError("names no layer", field="heads.options.layers")
        self.dim, self.pooling, self.layers = dim, pooling, tuple(layers)
        shape: dict[str, Any] = {
            "hidden": hidden,
            "bias": bias,
            "activation": activation,
            "norm": norm,
            "transposed": transposed,
        }
        self.image = projection(image, image_width, dim, **shape)
        self.text = projection(text, text_width, dim, **shape)

    def embed_image(self, features: ImageFeatures) -> ImageEmbedding:
        """Project the pooled vector; in evaluation mode the last map's cells too, if they are as wide."""
        vector = self.image(features.pooled)
        maps = features.pyramid
        if self.training or not maps or maps[-1].shape[1] != features.pooled.shape[1]:
            return ImageEmbedding(vector)
        return ImageEmbedding(vector, along(self.image, maps[-1]))

    def embed_text(self, states: TextStates, tokens: Tokens) -> TextEmbedding:
        """Pool the chosen layers and project their mean.

        Raises:
            InputError: the text encoder has no such layer, or makes no vector itself.
        """
        if self.pooling == "pooler":
            if states.pooled is None:
                raise InputError("the text encoder makes no vector itself", field="heads.options.pooling")
            return TextEmbedding(self.text(states.pooled))
        count = len(states.hidden)
        if not all(-count <= layer < count for layer in self.layers):
            raise InputError(f"the text encoder has layers up to {count - 1}", field="heads.options.layers")
        found = [pooled(states.hidden[layer], states.mask, self.pooling) for layer in self.layers]
        return TextEmbedding(self.text(torch.stack(found).mean(dim=0) if len(found) > 1 else found[0]))


def pooled(last: Tensor, mask: Tensor, how: str) -> Tensor:
    """Make one vector of the states of a text's tokens.

    Args:
        last: [B, T, D].
        mask: bool [B, T], true for tokens.
        how: one of :data:`POOLINGS`, but ``pooler``, which is made of no tokens.
    """
    if how == "cls":
        return last[:, 0]
    if how == "eos":
        return last[torch.arange(len(last), device=last.device), mask.sum(dim=1) - 1]
    if how == "mean":
        weights = mask[..., None].to(last.dtype)
        return (last * weights).sum(dim=1) / weights.sum(dim=1)
    return last.masked_fill(~mask[..., None], torch.finfo(last.dtype).min).amax(dim=1)


HEADS = ClipHeads
"""For cards that say ``method = "clip"``."""
