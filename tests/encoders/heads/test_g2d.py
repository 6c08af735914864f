from __future__ import annotations

import math
from typing import Any, cast

import pytest
import torch
from torch import Tensor, nn

from g2d_bench.encoders.heads.g2d import G2DHeads
from g2d_bench.encoders.heads.make import make_heads
from g2d_bench.encoders.image import ImageEncoder, ImageFeatures
from g2d_bench.encoders.text import TextStates
from g2d_bench.errors import InputError


def fitted(**options: Any) -> Any:
    return make_heads("g2d", strides=(4, 8, 16), num_features=10, **options)


def features(*shapes: tuple[int, int], batch: int = 3) -> ImageFeatures:
    """Random maps of (channels, side), fine to coarse."""
    maps = [torch.randn(batch, channels, side, side) for channels, side in shapes]
    return ImageFeatures(maps, maps[-1].mean(dim=(2, 3)))


def states(batch: int, tokens: int, width: int) -> TextStates:
    return TextStates((torch.randn(batch, tokens, width),), None, torch.ones(batch, tokens).bool())


def parameters(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


def test_parameters_count_as_in_the_release() -> None:
    heads = fitted(channels=(64, 256, 512, 1024, 2048), text_width=768)
    assert parameters(heads.image_projector) == 2048 * 128 + 128 * 128 == 278_528
    assert parameters(heads.text_projector) == 768 * 128 + 128 * 128 == 114_688
    pooling = heads.positions.numel() + parameters(heads.attention) + parameters(heads.output)
    assert pooling == 65 * 128 + 5 * 128 * 128 + 5 * 128 == 90_880


def literal_pooling(heads: G2DHeads, projected: Tensor) -> tuple[Tensor, Tensor]:
    """Attention pooling of one image [d, h, w], from softmax(q k / sqrt(d/H)) v, head by head."""
    d, count = heads.dim, heads.attention.num_heads
    pixels = projected.flatten(1).T
    tokens = torch.cat([pixels.mean(dim=0, keepdim=True), pixels]) + heads.positions
    weight, bias = heads.attention.in_proj_weight, heads.attention.in_proj_bias
    q, k, v = (tokens @ weight[i * d : (i + 1) * d].T + bias[i * d : (i + 1) * d] for i in range(3))
    outputs, maps = [], []
    for head in range(count):
        part = slice(head * d // count, (head + 1) * d // count)
        scores = torch.stack([(q[0, part] * key).sum() / math.sqrt(d / count) for key in k[:, part]])
        share = scores.exp() / scores.exp().sum()
        outputs.append(sum(s * value for s, value in zip(share, v[:, part], strict=True)))
        maps.append(share[1:].reshape(projected.shape[1:]))
    mixed = heads.attention.out_proj(torch.cat(cast(list[Tensor], outputs)))
    return heads.output(mixed), torch.stack(maps)


@pytest.mark.parametrize("count", [1, 2, 4])
def test_pooling_equals_the_formula(count: int) -> None:
    torch.manual_seed(0)
    heads = G2DHeads([5], 6, dim=8, heads=count, grid=3).double().eval()
    maps = [torch.randn(2, 5, 3, 3, dtype=torch.double)]
    embedding, attention = heads.pool(ImageFeatures(maps, maps[0].mean((2, 3))))
    for image, vector, shares in zip(
        heads.image_projector(maps[0]), embedding.vector, attention, strict=True
    ):
        expected_vector, expected_shares = literal_pooling(heads, image)
        torch.testing.assert_close(vector, expected_vector)
        torch.testing.assert_close(shares, expected_shares)


def test_values_are_what_the_pooling_averages() -> None:
    """With one head, the vector is the attention-weighted sum of cells and mean token."""
    torch.manual_seed(1)
    heads = G2DHeads([5], 6, dim=8, heads=1, grid=2, local="values").double().eval()
    maps = [torch.randn(3, 5, 2, 2, dtype=torch.double)]
    embedding, attention = heads.pool(ImageFeatures(maps, maps[0].mean((2, 3))))
    assert embedding.cells is not None
    projected = heads.image_projector(maps[0])
    mean = heads._values((projected.mean((2, 3)) + heads.positions[0])[:, None])[:, 0]
    share = attention.sum((1, 2, 3))[:, None]
    seen = torch.einsum("bhw,bdhw->bd", attention[:, 0], embedding.cells)
    torch.testing.assert_close(embedding.vector, seen + (1 - share) * mean)


def test_projected_cells_as_released() -> None:
    heads = G2DHeads([5], 6, dim=8, grid=3).eval()
    maps = features((5, 3))
    cells = heads.embed_image(maps).cells
    assert cells is not None
    torch.testing.assert_close(cells, heads.image_projector(maps.pyramid[0]))


def test_maps_from_a_finer_level_are_joined() -> None:
    heads = fitted(channels=(4, 6, 10), text_width=7, level=-2, dim=8, grid=8)
    maps = features((4, 16), (6, 8), (10, 4))
    for level in maps.pyramid:
        level.requires_grad_()
    embedding, attention = heads.pool(maps)
    assert attention.shape == (3, 4, 8, 8)
    torch.autograd.backward(embedding.vector.square().sum())
    finest, fine, coarse = (level.grad for level in maps.pyramid)
    assert finest is None
    assert fine is not None
    assert coarse is not None
    assert fine.abs().sum() > 0
    assert coarse.abs().sum() > 0


def test_published_level_is_the_coarsest_alone() -> None:
    heads = fitted(channels=(4, 6, 10), text_width=7, dim=8, grid=4)
    assert heads.image_projector[0].weight.shape == (8, 10, 1, 1)


@pytest.mark.parametrize("side", [1, 7, 8, 13])
def test_positions_follow_the_grid(side: int) -> None:
    heads = G2DHeads([5], 6, dim=8, grid=8)
    assert heads._positions(side, side).shape == (1 + side * side, 8)
    nn.init.constant_(heads.positions, 0.5)
    torch.testing.assert_close(heads._positions(side, side), torch.full((1 + side * side, 8), 0.5))
    embedding, attention = heads.eval().pool(features((5, side)))
    assert attention.shape == (3, 4, side, side)
    assert embedding.cells is not None
    assert embedding.cells.shape == (3, 8, side, side)


def test_with_the_phantom_encoder_and_a_vit() -> None:
    options: dict[str, Any] = {"channels": [8, 8, 16, 16], "stem_type": "deep", "stem_width": 8}
    encoder = ImageEncoder("resnet18", options=options)
    heads = fitted(channels=encoder.channels, text_width=7, level=-2)
    assert heads.pool(encoder(torch.randn(2, 3, 128, 128)))[1].shape == (2, 4, 8, 8)
    vit = ImageEncoder("vit_tiny_patch16_224", options={"embed_dim": 12, "num_heads": 2, "img_size": 64})
    heads = fitted(channels=vit.channels, text_width=7)
    assert heads.pool(vit(torch.randn(2, 3, 64, 64)))[1].shape == (2, 4, 4, 4)


def test_text_rows_differ_by_batch_statistics_only() -> None:
    torch.manual_seed(2)
    heads = G2DHeads([5], 6, dim=8, text_rows="all")
    alone = G2DHeads([5], 6, dim=8)
    alone.load_state_dict(heads.state_dict())
    text = states(4, 5, 6)
    last = text.hidden[-1]
    trained = heads.embed_text(text, {}).vector
    torch.testing.assert_close(trained, heads.text_projector(last.flatten(0, 1))[::5])
    assert not torch.allclose(trained, alone.embed_text(text, {}).vector)
    alone.load_state_dict(heads.state_dict())
    assert torch.equal(heads.eval().embed_text(text, {}).vector, alone.eval().embed_text(text, {}).vector)


def test_grounding_compares_cells_with_the_text_vector() -> None:
    torch.manual_seed(3)
    heads = G2DHeads([5], 6, dim=8, grid=3)
    image, text = features((5, 3)), states(3, 4, 6)
    with pytest.raises(ValueError, match="call eval"):
        heads.local_map(heads.embed_image(image), heads.embed_text(text, {}))
    heads.eval()
    cells, words = heads.embed_image(image), heads.embed_text(text, {})
    ours = heads.local_map(cells, words)
    assert cells.cells is not None
    expected = nn.functional.cosine_similarity(cells.cells, words.vector[:, :, None, None], dim=1)
    torch.testing.assert_close(ours, expected)
    both = heads(image, text, {})
    torch.testing.assert_close(both.image_global, cells.vector)
    torch.testing.assert_close(both.text_global, words.vector)


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"heads": 3}, "3 attention heads do not divide the width 128"),
        ({"heads": 0}, "0 attention heads"),
        ({"local": "none"}, "heads.local"),
        ({"text_rows": "some"}, "heads.text_rows"),
        ({"level": 0}, "heads.level"),
        ({"level": -4}, "between -3 and -1"),
        ({"wdith": 3}, "wdith"),
    ],
)
def test_options_that_cannot_be(options: dict[str, Any], match: str) -> None:
    with pytest.raises(InputError, match=match):
        fitted(channels=(4, 6, 10), text_width=7, **options)
