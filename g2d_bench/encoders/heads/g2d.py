"""G2D's projection heads: 1x1 projectors, and attention pooling whose weights become the pseudo-masks.

Source: Liu et al. 2024 (arXiv 2312.01522), section 3.1 and table 5, with the layers of the released code.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from g2d_bench.encoders.heads.base import Heads, ImageEmbedding, TextEmbedding, Tokens
from g2d_bench.errors import InputError

if TYPE_CHECKING:
    from g2d_bench.encoders.image import ImageFeatures
    from g2d_bench.encoders.text import TextStates


class G2DHeads(Heads):
    """Projectors for cells and text, attention pooling over the cells.

    The map goes through 1x1 convolution, batch normalisation without affine part, ReLU and 1x1 convolution,
    then, with learned positions, through an attention pooling as in CLIP: the mean of the cells asks, mean
    and cells answer, in several heads. The weights that a head gives the cells are its attention map.

    The paper's best number of heads, 3 (table 5e), cannot be built: a head takes an equal share of the width,
    and 3 divides neither 128 nor the 2048 of a ResNet-50. The released code has 4, the default here.

    For grounding, cells are the projected ones before the pooling, as in the released code; the paper
    compares "the last convolutional map", which has another width than the text. No loss ties their space to
    that of the text but through the pooling. The other choice, ``local="values"``, is what the pooling
    averages: projected cell plus position, through value, output and last linear map. Of such averages the
    text vector was trained to be a neighbour, yet a single cell that gets no attention may point anywhere.
    So may a projected one, and which way it points is the chance of a training: on the validation images of
    generated RSNA and SIIM the contrast to noise of findings was 0.67 and 0.60 with the first shipped weights
    (values: -0.66 and -0.51), and is -0.55 and -0.37 with the present ones (values: -0.35 and -0.64), that
    is, findings are colder than what lies around them. The released choice is the default.

    Args:
        widths: channels of the maps from ``level`` to the coarsest.
        text_width: D of the text encoder.
        level: the map whose grid the cells have; -1, the coarsest, is published. Where that has too few cells
            (4 x 4 for 128 px at stride 32), a finer level such as -2 has the published 8 x 8: coarser maps
            are then enlarged (bilinearly) to its grid and joined to it, so that the coarsest still learns
            from the reports.
        dim: d, 128 in the paper.
        heads: of the attention pooling; must divide ``dim``.
        grid: cells per side for which positions are learned; for other grids they are interpolated.
        local: what cells of the embedding are, in evaluation mode; see above.
        text_rows: ``cls``: the text projector sees [CLS] alone. ``all``, as released: it sees all tokens,
            padding too, which move its batch statistics; [CLS] is then used.

    Raises:
        InputError: ``heads`` does not divide ``dim``, or an unknown choice.
    """

    method = "g2d"

    @classmethod
    def fitted(
        cls,
        *,
        channels: Sequence[int],
        strides: Sequence[int],
        num_features: int,
        text_width: int,
        level: int = -1,
        **options: Any,
    ) -> Heads:
        """Make the heads for given encoders; see :meth:`Heads.fitted`.

        Raises:
            InputError: no map has the level, or see the class.
        """
        if not -len(channels) <= level <= -1:
            raise InputError(f"must lie between {-len(channels)} and -1, not {level}", field="heads.level")
        return cls(channels[level:], text_width, level=level, **options)

    def __init__(
        self,
        widths: Sequence[int],
        text_width: int,
        *,
        level: int = -1,
        dim: int = 128,
        heads: int = 4,
        grid: int = 8,
        local: Literal["projected", "values"] = "projected",
        text_rows: Literal["cls", "all"] = "cls",
    ) -> None:
        super().__init__()
        if heads < 1 or dim % heads:
            raise InputError(
                f"{heads} attention heads do not divide the width {dim} (the paper's 3 cannot be built; "
                "the released code has 4)",
                field="heads.heads",
            )
        for name, value, allowed in (
            ("local", local, ("projected", "values")),
            ("text_rows", text_rows, ("cls", "all")),
        ):
            if value not in allowed:
                raise InputError(f"must be {' or '.join(allowed)}, not {value!r}", field=f"heads.{name}")
        self.dim, self.level, self.grid = dim, level, grid
        self.local, self.text_rows = local, text_rows
        self.image_projector = nn.Sequential(
            nn.Conv2d(sum(widths), dim, 1, bias=False),
            nn.BatchNorm2d(dim, affine=False),
            nn.ReLU(),
            nn.Conv2d(dim, dim, 1, bias=False),
        )
        self.text_projector = nn.Sequential(
            nn.Linear(text_width, dim, bias=False),
            nn.BatchNorm1d(dim, affine=False),
            nn.ReLU(),
            nn.Linear(dim, dim, bias=False),
        )
        # As in CLIP: tokens of unit length, about.
        self.positions = nn.Parameter(torch.randn(1 + grid * grid, dim) / dim**0.5)
        self.attention = nn.MultiheadAttention(dim, heads, batch_first=True)
        self.output = nn.Linear(dim, dim)

    def pool(self, features: ImageFeatures) -> tuple[ImageEmbedding, Tensor]:
        """Project and pool images.

        Returns:
            The embedding, with cells in evaluation mode only, and the attention that each head pays the
            cells, [B, heads, h, w]; a head's sum is one less what it pays the mean.
        """
        projected = self.image_projector(self._map(features))
        height, width = projected.shape[2:]
        pixels = projected.flatten(2).transpose(1, 2)
        tokens = torch.cat([pixels.mean(dim=1, keepdim=True), pixels], dim=1)
        tokens = tokens + self._positions(height, width)
        pooled, weights = self.attention(tokens[:, :1], tokens, tokens, average_attn_weights=False)
        vector = self.output(pooled[:, 0])
        attention = weights[:, :, 0, 1:].reshape(*weights.shape[:2], height, width)
        if self.training:
            return ImageEmbedding(vector), attention
        if self.local == "projected":
            return ImageEmbedding(vector, projected), attention
        cells = self._values(tokens[:, 1:]).transpose(1, 2).reshape(projected.shape)
        return ImageEmbedding(vector, cells), attention

    def embed_image(self, features: ImageFeatures) -> ImageEmbedding:
        """Project and pool images; in evaluation mode their cells too."""
        return self.pool(features)[0]

    def embed_text(self, states: TextStates, tokens: Tokens) -> TextEmbedding:
        """Project [CLS] of the last layer."""
        last = states.hidden[-1]
        if self.text_rows == "cls" or not self.training:
            return TextEmbedding(self.text_projector(last[:, 0]))
        projected = self.text_projector(last.flatten(0, 1))
        return TextEmbedding(projected.reshape(*last.shape[:2], self.dim)[:, 0])

    def _map(self, features: ImageFeatures) -> Tensor:
        """Join the maps from the chosen level to the coarsest, on the grid of the first."""
        first, *coarser = features.pyramid[self.level :]
        if not coarser:
            return first
        size = (first.shape[2], first.shape[3])
        enlarged = [functional.interpolate(x, size, mode="bilinear", align_corners=False) for x in coarser]
        return torch.cat([first, *enlarged], dim=1)

    def _positions(self, height: int, width: int) -> Tensor:
        if (height, width) == (self.grid, self.grid):
            return self.positions
        plane = self.positions[1:].T.reshape(1, self.dim, self.grid, self.grid)
        plane = functional.interpolate(plane, (height, width), mode="bilinear", align_corners=False)
        return torch.cat([self.positions[:1], plane[0].flatten(1).T])

    def _values(self, tokens: Tensor) -> Tensor:
        """What the pooled vector would be if all attention were paid to one token: [B, N, d]."""
        weight, bias = self.attention.in_proj_weight, self.attention.in_proj_bias
        values = functional.linear(tokens, weight[2 * self.dim :], bias[2 * self.dim :])
        return cast(Tensor, self.output(self.attention.out_proj(values)))


HEADS = G2DHeads
