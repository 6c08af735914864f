"""BioViL's projection heads, for its published weights.

Source: Boecking et al., ECCV 2022, section 2.2, with the layers of the released code (hi-ml-multimodal).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from g2d_bench.encoders.heads.base import Heads, ImageEmbedding, TextEmbedding, Tokens
from g2d_bench.errors import InputError

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
        smooth: standard deviation, in cells, of the Gaussian that a map of similarities passes before
            anything is read off it; 1.5 in the released engine. 0 leaves maps as they are.
    """

    method = "biovil"

    def __init__(self, image_width: int, text_width: int, *, dim: int = 128, smooth: float = 0.0) -> None:
        super().__init__()
        if not 0 <= smooth <= 100:
            raise InputError(f"must lie between 0 and 100, not {smooth!r}", field="heads.smooth")
        self.dim, self.smooth = dim, smooth
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

    def local_map(self, image: ImageEmbedding, text: TextEmbedding) -> Tensor:
        """Compare each cell with the text, and smooth the map as the released engine does."""
        found = super().local_map(image, text)
        if not self.smooth:
            return found
        rows, columns = (
            gaussian(size, self.smooth).to(found.device, found.dtype) for size in found.shape[1:]
        )
        return rows @ found @ columns.T


def gaussian(size: int, sigma: float) -> Tensor:
    """Return the matrix [size, size] that smooths a line of cells, mirrored at its ends.

    The kernel is cut at four deviations, rounded, and sums to one; the cells at the ends are mirrored with
    themselves (``d c b a | a b c d | d c b a``), as SciPy's ``gaussian_filter`` does by default.
    """
    radius = int(4 * sigma + 0.5)
    steps = torch.arange(-radius, radius + 1)
    kernel = torch.exp(-0.5 * (steps.double() / sigma) ** 2)
    kernel = kernel / kernel.sum()
    places = (torch.arange(size)[:, None] + steps) % (2 * size)
    places = torch.where(places < size, places, 2 * size - 1 - places)
    matrix = torch.zeros(size, size, dtype=torch.float64)
    return matrix.scatter_add_(1, places, kernel.expand(size, -1).contiguous())


HEADS = BioViLHeads
