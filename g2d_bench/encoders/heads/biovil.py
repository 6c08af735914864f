"""BioViL's projection heads, for its published weights.

Source: Boecking et al., ECCV 2022, section 2.2, with the layers of the released code (hi-ml-multimodal).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import nn

from g2d_bench.encoders.heads.base import Heads, ImageEmbedding, TextEmbedding, Tokens

if TYPE_CHECKING:
    from g2d_bench.encoders.image import ImageFeatures
    from g2d_bench.encoders.text import TextStates


class BioViLHeads(Heads):
    """A perceptron for each cell of the coarsest map, another for [CLS].

    The image vector is the mean over the projected cells, so that cells and vector share their space.

    Args:
        image_width: channels of the coarsest map.
        text_width: D of the text encoder.
        dim: d, also the hidden width; 128 in the paper.
    """

    method = "biovil"

    def __init__(self, image_width: int, text_width: int, *, dim: int = 128) -> None:
        super().__init__()
        self.dim = dim
        self.image_projector = nn.Sequential(
            nn.Conv2d(image_width, dim, 1, bias=False),
            nn.BatchNorm2d(dim),
            nn.ReLU(),
            nn.Conv2d(dim, dim, 1),
        )
        self.text_projector = nn.Sequential(
            nn.Linear(text_width, dim), nn.GELU(), nn.LayerNorm(dim, eps=1e-12), nn.Linear(dim, dim)
        )

    def embed_image(self, features: ImageFeatures) -> ImageEmbedding:
        """Project the cells of the last map, and average them."""
        cells = self.image_projector(features.pyramid[-1])
        return ImageEmbedding(cells.mean(dim=(2, 3)), cells)

    def embed_text(self, states: TextStates, tokens: Tokens) -> TextEmbedding:
        """Project [CLS] of the last layer."""
        return TextEmbedding(self.text_projector(states.hidden[-1][:, 0]))


HEADS = BioViLHeads
