from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, Literal

import hypothesis.extra.numpy as hnp
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from torch.nn import functional

from g2d_bench.errors import InputError
from g2d_bench.pretrain.body_mask import body_mask, stretched
from g2d_bench.pretrain.pseudo_mask import PseudoMaskConfig, masked_quantile, pseudo_masks, released_masks

Array = NDArray[Any]
RELEASED = PseudoMaskConfig("released")


@pytest.fixture(autouse=True, scope="module")
def _one_thread() -> Iterator[None]:
    """Images this small only lose by threads, badly so on a busy machine."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def literal_released(cells: Array, size: tuple[int, int], quantile: float) -> Array:
    """Nearest enlargement of every map and numpy.quantile over all of its pixels, image by image."""
    rows = np.arange(size[0]) * cells.shape[1] // size[0]
    columns = np.arange(size[1]) * cells.shape[2] // size[1]
    maps = cells[:, rows][:, :, columns]
    return np.stack([one > np.quantile(one, quantile) for one in maps])


def same(cells: Array, size: tuple[int, int], quantile: float) -> None:
    with np.errstate(invalid="ignore"):
        expected = literal_released(cells, size, quantile)
    ours = released_masks(torch.from_numpy(cells), size, quantile)
    assert ours.dtype == torch.from_numpy(cells).dtype
    assert torch.equal(ours, torch.from_numpy(expected).to(ours.dtype))


# Released variant


@settings(max_examples=300, deadline=None)
@given(data=st.data())
def test_released_is_bit_equal_to_numpy(data: st.DataObject) -> None:
    dtype = data.draw(st.sampled_from([np.float32, np.float64]))
    shape = data.draw(st.tuples(st.integers(1, 3), st.integers(1, 6), st.integers(1, 6)))
    width: Literal[32, 64] = 32 if dtype == np.float32 else 64
    values = data.draw(
        st.sampled_from(
            [
                st.floats(-10, 10, width=width),
                st.sampled_from([0.0, 0.1, 0.2]),  # ties
                st.integers(0, 6).map(lambda k: float(np.float32(1) + k * np.float32(2**-23))),  # neighbours
            ]
        )
    )
    cells = data.draw(hnp.arrays(dtype, shape, elements=values))
    size = data.draw(st.tuples(st.integers(1, 40), st.integers(1, 40)))
    quantile = data.draw(st.sampled_from([0.85, 0.75, 0.5, 0.0, 1.0, 0.999]) | st.floats(0, 1))
    same(cells, size, quantile)


@pytest.mark.parametrize("size", [(256, 256), (224, 224), (128, 128), (250, 190), (8, 8), (5, 300)])
def test_released_is_bit_equal_at_real_sizes(size: tuple[int, int]) -> None:
    generator = np.random.default_rng(0)
    logits = generator.normal(size=(16, 8, 8))
    cells = (np.exp(logits) / np.exp(logits).sum(axis=(1, 2), keepdims=True)).astype(np.float32)
    cells[3] = cells[3].round(2)  # ties
    cells[4] = 1 / 65  # constant
    cells[5] = 0
    cells[5, 0, 0] = np.nan
    same(cells, size, 0.85)


def test_released_equals_the_enlargement_of_pytorch_and_the_mean_over_four_heads() -> None:
    torch.manual_seed(0)
    attention = torch.rand(5, 4, 8, 8).softmax(dim=1)
    maps = functional.interpolate(
        attention.sum(dim=1, keepdim=True) / 4, size=(256, 256), mode="nearest"
    ).numpy()
    expected = np.stack([one > np.quantile(one, 0.85) for one in maps])
    ours = pseudo_masks(attention, torch.zeros(5, 1, 256, 256), RELEASED)
    assert torch.equal(ours, torch.from_numpy(expected).float())


def test_released_marks_nine_of_64_cells_always() -> None:
    torch.manual_seed(0)
    for sharpness in (0.1, 1.0, 10.0):
        attention = (sharpness * torch.randn(50, 4, 64)).softmax(dim=2).reshape(50, 4, 8, 8)
        masks = pseudo_masks(attention, torch.zeros(50, 1, 256, 256), RELEASED)
        assert (masks.sum(dim=(1, 2, 3)) == 9 * 32 * 32).all()


def test_half_precision_attention_is_widened_first() -> None:
    torch.manual_seed(0)
    attention = torch.rand(3, 4, 8, 8).half()
    image = torch.zeros(3, 1, 64, 64)
    assert torch.equal(
        pseudo_masks(attention, image, RELEASED), pseudo_masks(attention.float(), image, RELEASED)
    )


# Steps of the paper's variant


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_quantile_of_the_body_equals_numpy(data: st.DataObject) -> None:
    values = data.draw(
        hnp.arrays(np.float64, (3, 11), elements=st.floats(0, 1) | st.sampled_from([0.25, 0.5]))
    )
    counted = data.draw(hnp.arrays(np.bool_, (3, 11)))
    counted[:, 4] = True
    quantile = data.draw(st.sampled_from([0.85, 0.5, 0.0, 1.0]) | st.floats(0, 1))
    ours = masked_quantile(torch.from_numpy(values), torch.from_numpy(counted), quantile)
    expected = [np.quantile(v[c], quantile) for v, c in zip(values, counted, strict=True)]
    np.testing.assert_allclose(ours.numpy(), expected, rtol=1e-12, atol=1e-14)


# The paper's variant as a whole


def paper_loop(loops: Any, attention: Array, grey: Array, config: PseudoMaskConfig) -> Array:
    """All steps in double precision, image by image, from the definitions above."""
    side = grey.shape[1]
    out = []
    for heads, image in zip(attention, grey, strict=True):
        mean = torch.from_numpy(heads).mean(dim=0)[None, None]
        scores = functional.interpolate(mean, size=grey.shape[1:], mode="bilinear")[0, 0].numpy()
        low, high = image.min(), image.max()
        light = (image - low) / (high - low) if high > low else np.zeros_like(image)
        index = np.minimum((light.astype(np.float32) * config.bins).astype(int), config.bins - 1)
        body = loops.filled((index > loops.otsu(light, config.bins))[None])[0]
        mask = (scores >= np.quantile(scores[body], config.quantile)) & body
        window = max(3, 2 * int(config.window * side / 256 / 2) + 1)
        soft = loops.bilateral(
            mask[None].astype(float), light[None], window, config.sigma_color, config.sigma_space * side / 256
        )
        out.append(soft > 0.5)
    return np.concatenate(out)


def test_paper_equals_the_loop(chest: Any, loops: Any) -> None:
    generator = np.random.default_rng(4)
    attention = generator.random((3, 4, 4, 4))
    grey = np.concatenate([chest(24).double().numpy()] * 3) + 0.05 * generator.random((3, 24, 24))
    config = PseudoMaskConfig(bins=32, window=60, sigma_space=15.0)
    ours = pseudo_masks(torch.from_numpy(attention), torch.from_numpy(grey[:, None]), config)
    assert torch.equal(ours[:, 0], torch.from_numpy(paper_loop(loops, attention, grey, config)).double())
    assert 0 < ours.mean() < 0.3


@pytest.mark.parametrize(
    "change",
    [
        {"body": False},
        {"smoothing": False},
        {"quantile": 0.5},
        {"head": 2},
        {"shuffle": True},
        {"guide": "mask"},
        {"fill": False},
        {"quantile_over": "image"},
    ],
)
def test_every_switch_changes_the_masks(change: dict[str, Any], chest: Any) -> None:
    torch.manual_seed(5)
    attention = (3 * torch.randn(4, 4, 64)).softmax(dim=2).reshape(4, 4, 8, 8)
    image = chest(128).expand(4, 1, 128, 128) + 0.1 * torch.rand(4, 1, 128, 128)
    default = pseudo_masks(attention, image)
    assert not torch.equal(default, pseudo_masks(attention, image, PseudoMaskConfig(**change)))


def test_heads_and_shuffle_mean_what_they_say() -> None:
    torch.manual_seed(6)
    attention, image = torch.rand(3, 4, 8, 8), torch.rand(3, 1, 64, 64)
    for config in (PseudoMaskConfig(), RELEASED):
        masks = pseudo_masks(attention, image, config)
        alone = PseudoMaskConfig(config.variant, head=1)
        assert torch.equal(
            pseudo_masks(attention[:, 1:2], image, config), pseudo_masks(attention, image, alone)
        )
        shuffled = pseudo_masks(attention, image, PseudoMaskConfig(config.variant, shuffle=True))
        assert torch.equal(shuffled, masks[[2, 0, 1]])


def test_share_of_the_body_is_what_the_quantile_leaves(chest: Any) -> None:
    torch.manual_seed(7)
    attention, image = torch.rand(4, 4, 8, 8), chest(128).expand(4, 1, 128, 128)
    body = body_mask(stretched(image))
    masks = pseudo_masks(attention, image, PseudoMaskConfig(smoothing=False))[:, 0]
    assert not (masks.bool() & ~body).any()
    torch.testing.assert_close(
        masks.sum((1, 2)) / body.sum((1, 2)), torch.full((4,), 0.15), atol=1e-3, rtol=0
    )


@pytest.mark.parametrize("value", [0.0, 0.7, 1.0])
def test_constant_image_is_all_body(value: float) -> None:
    torch.manual_seed(8)
    attention = torch.rand(2, 4, 8, 8)
    masks = pseudo_masks(attention, torch.full((2, 1, 64, 64), value))
    assert 0.05 < masks.mean() < 0.3
    assert torch.equal(masks, pseudo_masks(attention, torch.zeros(2, 64, 64), PseudoMaskConfig(body=False)))


def test_constant_attention_marks_the_whole_body_and_no_air(chest: Any) -> None:
    image = chest(64)[:, None]
    body = body_mask(stretched(image)).float()[:, None]
    for over in ("body", "image"):
        config = PseudoMaskConfig(smoothing=False, quantile_over=over)
        assert torch.equal(pseudo_masks(torch.full((1, 4, 8, 8), 1 / 64), image, config), body)
        assert torch.equal(pseudo_masks(torch.zeros(1, 4, 8, 8), image, config), body)


def test_one_bright_pixel() -> None:
    image = torch.zeros(1, 1, 64, 64)
    image[0, 0, 30, 30] = 1
    masks = pseudo_masks(torch.rand(1, 4, 8, 8), image, PseudoMaskConfig(smoothing=False))
    assert torch.equal(masks, image)


@pytest.mark.parametrize("config", [PseudoMaskConfig(), RELEASED])
@pytest.mark.parametrize("side", [64, 75])
def test_nothing_is_read_back_and_nothing_learns(config: PseudoMaskConfig, side: int) -> None:
    # A meta tensor has no data: whatever would wait for the device fails here.
    meta = pseudo_masks(
        torch.rand(2, 4, 8, 8, device="meta"), torch.rand(2, 3, side, side, device="meta"), config
    )
    assert meta.shape == (2, 1, side, side)
    attention = torch.rand(2, 4, 8, 8, requires_grad=True)
    masks = pseudo_masks(attention, torch.rand(2, 3, side, side), config)
    assert not masks.requires_grad
    assert set(masks.flatten().tolist()) == {0.0, 1.0}


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("variant", "other"),
        ("quantile", 1.5),
        ("quantile", math.nan),
        ("quantile_over", "lungs"),
        ("guide", "none"),
        ("window", 0),
        ("sigma_color", -1.0),
        ("bins", 0),
    ],
)
def test_values_that_make_no_sense(field: str, value: Any) -> None:
    with pytest.raises(InputError, match=f"pseudo_mask.{field}"):
        PseudoMaskConfig(**{field: value})


def test_a_head_that_is_not_there() -> None:
    with pytest.raises(InputError, match="no head 4, only 0 to 3"):
        pseudo_masks(torch.rand(1, 4, 8, 8), torch.rand(1, 32, 32), PseudoMaskConfig(head=4))
