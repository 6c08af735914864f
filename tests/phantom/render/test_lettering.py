"""Letters on the film."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

from g2d_bench.phantom.render.lettering import LETTERS, WIDTH, write
from g2d_bench.phantom.render.raster import Array, Grid
from g2d_bench.phantom.render.strokes import Ink


def _drawn(text: str, size: int = 128) -> Array:
    ink = Ink(size)
    write(ink, text, -0.3, 0.2, 0.4)
    return ink.draw(Grid.full(size))


def test_no_two_letters_look_alike() -> None:
    # The letter O and the figure 0 are one, as on many films.
    shapes = {letter: _drawn(letter) > 0.5 for letter in sorted(LETTERS - {"O"})}
    for one, other in combinations(shapes, 2):
        assert (shapes[one] ^ shapes[other]).sum() > 40, (one, other)


@pytest.mark.parametrize("letter", sorted(LETTERS))
def test_a_letter_fills_its_field(letter: str) -> None:
    rows, columns = np.nonzero(_drawn(letter) > 0.5)
    assert rows.size
    assert rows.min() / 128 > 0.13
    assert rows.max() / 128 < 0.67
    assert columns.min() / 128 > 0.5 - 0.3 - 0.07
    assert columns.max() / 128 < 0.5 - 0.3 + 0.4 * WIDTH + 0.07


def test_text_runs_to_the_right() -> None:
    ink = Ink(64)
    end = write(ink, "AP 12", 0.0, 0.1, 0.06)
    assert end == pytest.approx(5 * 0.06 * (WIDTH + 0.22))


def test_an_unknown_letter_is_not_drawn_silently() -> None:
    with pytest.raises(KeyError):
        write(Ink(64), "ß", 0.0, 0.1, 0.06)
