"""What the yardstick reads without an encoder, and from within one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from transfer_cells import Candidate, write_cards
from transfer_shallow import CELLS, SIDE, WITHOUT, greys, readers, shallow, stage, thumbnails

from g2d_bench.cards.catalogue import Catalogue
from g2d_bench.encoders.load import load_encoder
from g2d_bench.errors import InputError
from g2d_bench.phantom import ensure


def test_greys_and_small_films_are_what_they_say() -> None:
    films = torch.rand(3, 1, SIDE, SIDE, generator=torch.Generator().manual_seed(0))
    array = films.numpy()[:, 0]
    np.testing.assert_allclose(
        greys(films), np.stack([array.mean((1, 2)), array.std((1, 2), ddof=1)], 1), rtol=1e-5
    )
    side = SIDE // CELLS
    cells = array.reshape(3, CELLS, side, CELLS, side).mean((2, 4)).reshape(3, -1)
    np.testing.assert_allclose(thumbnails(films), cells, rtol=1e-5)


def test_the_last_stage_is_what_tasks_get() -> None:
    encoder = load_encoder(Catalogue.open().encoders["g2d"], text=False)
    encoder.image.eval()
    images = torch.randint(0, 256, (4, SIDE, SIDE), generator=torch.Generator().manual_seed(1)).to(
        torch.uint8
    )
    films = images.float().div(255).unsqueeze(1)
    with torch.no_grad():
        expected = encoder.image(encoder.preprocess(images))
        last = len(expected.pyramid) - 1
        torch.testing.assert_close(stage(encoder, last)(films), expected.pooled, rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(stage(encoder, 0)(films), expected.pyramid[0].mean((2, 3)))


def test_a_head_is_fitted_on_each_reading_of_each_split(tmp_path: Path) -> None:
    root = ensure("nih1k", root=tmp_path / "data", count=200, size=64).parent
    ensure("covid-cxr", root=root, count=20, size=64)
    write_cards(tmp_path / "cards", root, 2)
    found = shallow([Candidate("random", 3)], 2, root, tmp_path / "cards", tmp_path / "runs")
    depth = 5
    assert len(found) == (len(WITHOUT) + depth) * 2 * 2
    assert {(one["encoder"], one["stage"]) for one in found} == {
        *(("", place) for place in range(len(WITHOUT))),
        *(("random", place) for place in range(depth)),
    }
    assert {one["training"] for one in found if one["encoder"]} == {3}
    assert all(0 <= one["value"] <= 1 for one in found)


def test_an_encoder_with_another_input_is_refused() -> None:
    with pytest.raises(InputError, match=r"random\.r50: stages are read of encoders that standardise"):
        list(readers([Candidate("random.r50", 0)]))
