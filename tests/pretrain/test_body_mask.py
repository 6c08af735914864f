"""Where the body is, against loops and scikit-image."""

from __future__ import annotations

from typing import Any

import hypothesis.extra.numpy as hnp
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from g2d_bench.pretrain.body_mask import body_mask, filled, otsu_bin, stretched

Array = NDArray[Any]


@pytest.mark.parametrize("bins", [16, 32])
def test_otsu_equals_the_loop(loops: Any, bins: int) -> None:
    generator = np.random.default_rng(1)
    bright = generator.random((12, 9, 7)) < generator.random((12, 1, 1))
    grey = np.where(
        bright, generator.normal(0.7, 0.1, bright.shape), generator.normal(0.2, 0.1, bright.shape)
    )
    grey = np.clip(grey, 0, 1).astype(np.float32)
    grey[0] = 0
    grey[1] = 1
    grey[2] = (generator.random((9, 7)) < 0.5).astype(np.float32)
    threshold, _ = otsu_bin(torch.from_numpy(grey), bins)
    assert threshold.tolist() == [loops.otsu(image, bins) for image in grey]


def test_otsu_equals_scikit_image() -> None:
    filters = pytest.importorskip("skimage.filters")
    generator = np.random.default_rng(2)
    pixels = np.concatenate(
        [generator.normal(60, 15, (4, 40, 32)), generator.normal(170, 25, (4, 40, 32))], axis=2
    )
    pixels = pixels.clip(0, 255).astype(np.uint8)
    threshold, _ = otsu_bin(torch.from_numpy(pixels / 256.0))
    assert threshold.tolist() == [filters.threshold_otsu(image) for image in pixels]


@settings(max_examples=50, deadline=None)
@given(mask=hnp.arrays(np.bool_, st.tuples(st.integers(1, 2), st.integers(1, 7), st.integers(1, 7))))
def test_filling_equals_the_loop(loops: Any, mask: Array) -> None:
    assert torch.equal(filled(torch.from_numpy(mask)), torch.from_numpy(loops.filled(mask)))


def test_body_holds_the_lungs_and_not_the_air(chest: Any) -> None:
    image = chest()
    body = body_mask(image)
    assert body[0, 32, 20]
    assert not body_mask(image, fill=False)[0, 32, 20]
    assert not body[0, :, :4].any()
    assert not body[0, :2].any()
    # Any linear map of the grey values, and normalised colour channels, give the same body.
    normalised = (image[:, None] - torch.tensor([0.485, 0.456, 0.406])[:, None, None]) / 0.22
    assert torch.equal(body_mask(stretched(normalised)), body)
    assert torch.equal(body_mask(stretched(3 * image - 7)), body)
