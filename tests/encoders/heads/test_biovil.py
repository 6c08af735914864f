"""BioViL's heads."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter

from g2d_bench.cards.catalogue import Catalogue
from g2d_bench.encoders.heads.base import ImageEmbedding, TextEmbedding
from g2d_bench.encoders.heads.biovil import BioViLHeads
from g2d_bench.encoders.image import ImageFeatures
from g2d_bench.encoders.text import TextStates
from g2d_bench.errors import InputError


def test_the_image_vector_is_the_mean_of_the_projected_cells() -> None:
    torch.manual_seed(0)
    heads = BioViLHeads(10, 12, dim=5).eval()
    last = torch.randn(2, 10, 3, 4)
    image = heads.embed_image(ImageFeatures([torch.zeros(2, 6, 6, 8), last], last.mean(dim=(2, 3))))
    assert image.cells is not None
    assert image.cells.shape == (2, 5, 3, 4)
    for row in range(2):
        cells = [image.cells[row, :, i, j] for i in range(3) for j in range(4)]
        torch.testing.assert_close(image.vector[row], torch.stack(cells).mean(dim=0))


def test_the_text_vector_is_that_of_the_first_token_alone() -> None:
    torch.manual_seed(0)
    heads = BioViLHeads(10, 12, dim=5).eval()
    hidden = torch.randn(2, 4, 12)
    mask = torch.ones(2, 4, dtype=torch.bool)
    text = heads.embed_text(TextStates((torch.zeros_like(hidden), hidden), None, mask), {})
    torch.testing.assert_close(text.vector, heads.text_projector(hidden[:, 0]))
    other = hidden.clone()
    other[:, 1:] = 9
    again = heads.embed_text(TextStates((hidden, other), None, mask), {})
    torch.testing.assert_close(again.vector, text.vector)
    assert text.words is None


def test_parameters_count_as_in_the_paper() -> None:
    # 1x1 convolutions without and with offset, BatchNorm between: 2048 x 128 + 2 x 128 + 128 x 128 + 128.
    heads = BioViLHeads(2048, 768)
    assert sum(p.numel() for p in heads.image_projector.parameters()) == 278912


@pytest.mark.parametrize(("rows", "columns", "sigma"), [(15, 15, 1.5), (3, 5, 1.5), (15, 15, 0.4)])
def test_maps_are_smoothed_as_the_engine_does(rows: int, columns: int, sigma: float) -> None:
    """The released engine asks SciPy for it; before that, maps are cosines."""
    torch.manual_seed(0)
    image = ImageEmbedding(torch.zeros(2, 5), torch.randn(2, 5, rows, columns))
    text = TextEmbedding(torch.randn(2, 5))
    plain = BioViLHeads(10, 12, dim=5).local_map(image, text)
    smooth = BioViLHeads(10, 12, dim=5, smooth=sigma).local_map(image, text)
    expected = np.stack([gaussian_filter(one, sigma=(sigma, sigma)) for one in plain.double().numpy()])
    np.testing.assert_allclose(smooth.numpy(), expected, atol=1e-6)
    assert abs(plain - smooth).max() > 0.1


def test_the_card_smooths() -> None:
    assert Catalogue.open().encoders["biovil.r50"].heads.options["smooth"] == 1.5
    with pytest.raises(InputError, match="between 0 and 100"):
        BioViLHeads(10, 12, smooth=-1)
