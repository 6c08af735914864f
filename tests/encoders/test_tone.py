"""Grey values less their own mean, over their own deviation, beside the same by numpy."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from g2d_bench.cards.catalogue import Catalogue
from g2d_bench.cards.image import ImageInput
from g2d_bench.encoders.load import load_encoder
from g2d_bench.encoders.tone import FLAT, standardised


def test_it_is_what_numpy_computes_image_by_image() -> None:
    grey = torch.rand((3, 1, 16, 16), generator=torch.Generator().manual_seed(0))
    found = standardised(grey).numpy()
    for one, image in zip(found, grey.double().numpy(), strict=True):
        np.testing.assert_allclose(one, (image - image.mean()) / image.std(), rtol=1e-4, atol=1e-5)


def test_neither_brightness_nor_contrast_reaches_the_encoder() -> None:
    grey = torch.rand((2, 1, 16, 16), generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(standardised(0.3 * grey + 0.2), standardised(grey), rtol=1e-4, atol=1e-5)


def test_an_image_of_one_grey_value_is_zeros() -> None:
    found = standardised(torch.full((1, 1, 8, 8), 0.7))
    # Rounding, of which the least deviation makes no more than this.
    assert float(found.abs().max()) < 1e-6 / FLAT


def test_a_card_says_so_in_the_place_of_mean_and_deviation() -> None:
    card = Catalogue.open().encoders["random"]
    plain = {name: value for name, value in card.image.model_dump().items() if name != "standardise"}
    other = card.model_copy(update={"image": ImageInput.model_validate(plain)})
    encoder = load_encoder(card)
    pixels = torch.randint(
        0, 200, (2, 128, 128), dtype=torch.uint8, generator=torch.Generator().manual_seed(1)
    )
    fed = encoder.preprocess(pixels)
    assert fed.shape == (2, 3, 128, 128)
    torch.testing.assert_close(fed[:, :1], standardised(pixels.float()[:, None] / 255))
    assert torch.equal(fed[:, 0], fed[:, 2])
    # Cards that do not say it are what they were.
    assert "standardise" not in other.image.model_dump()
    assert other.digest != card.digest
    for wrong in ({"mean": 0.4}, {"std": 0.2}, {"range": [0.0, 255.0]}):
        with pytest.raises(ValidationError, match="in the place of"):
            ImageInput.model_validate({"model": "resnet18", "size": 64, "standardise": True, **wrong})
