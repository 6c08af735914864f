"""Tables of features, kept row by row."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from refusing import refusal

from g2d_bench.cards.encoder import EncoderCard
from g2d_bench.encoders import features as features_module
from g2d_bench.encoders.features import (
    BATCH,
    features_key,
    pooled_features,
)
from g2d_bench.encoders.load import Encoder, load_encoder
from g2d_bench.encoders.row_table import RowTable

MakeCard = Callable[[str], EncoderCard]


@pytest.fixture(scope="module")
def encoder(small_card: MakeCard) -> Encoder:
    return load_encoder(small_card("random"), seed=3)


@pytest.fixture(scope="module")
def pixels() -> NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 256, (3 * BATCH + 5, 32, 32), dtype=np.uint8)


def test_each_image_is_computed_once(
    encoder: Encoder,
    pixels: NDArray[np.uint8],
    tmp_path: Path,
    forwarded: Callable[[ModuleType], list[int]],
) -> None:
    computed = forwarded(features_module)
    first = pooled_features(encoder, pixels, [1, 2, 3], content="c", folder=tmp_path)
    both = pooled_features(encoder, pixels, [3, 4, 2], content="c", folder=tmp_path)
    again = pooled_features(encoder, pixels, [4, 1], content="c", folder=tmp_path)
    assert computed == [1, 2, 3, 4]
    assert np.array_equal(both[0], first[2])
    assert np.array_equal(again, np.stack([both[1], first[0]]))
    pooled_features(encoder, pixels, [1], content="other data", folder=tmp_path)
    assert computed == [1, 2, 3, 4, 1]
    assert len(list(tmp_path.glob("*.done.npy"))) == 2


@pytest.mark.parametrize("rows", [[5, 6, 2, 3, 9, 0], [7], [9, 8, 7], list(range(10))])
def test_rows_lie_in_their_own_places(rows: list[int], tmp_path: Path) -> None:
    values = torch.arange(20.0).view(10, 2)
    for part in (rows[:2], rows[2:], []):
        with RowTable(tmp_path, "one", 10, (2,)) as table:
            table.write(np.array(part, np.int64), values[part])
            table.seal(np.array(part, np.int64))
    with RowTable(tmp_path, "one", 10, (2,)) as table:
        assert table.missing(np.arange(10)).tolist() == sorted(set(range(10)) - set(rows))
        found = table.read(np.array(rows))
        assert np.array_equal(found, values[rows].numpy())
        found[:] = 0  # a copy
        assert np.array_equal(table.read(np.array(rows)), values[rows].numpy())


@pytest.mark.parametrize("shape", [(2, 2, 2), (2, 1), (3, 2), (2, 4)])
def test_rows_of_another_shape_are_refused(shape: tuple[int, ...], tmp_path: Path) -> None:
    with RowTable(tmp_path, "one", 10, (2,)) as table:
        text = refusal(lambda: table.write(np.array([3, 4]), torch.zeros(shape)))
        assert f"rows of shape {list(shape)} do not fit, they must be [2, 2]" in text
        assert table.missing(np.arange(10)).tolist() == list(range(10))


def test_damaged_tables_are_made_again(encoder: Encoder, pixels: NDArray[np.uint8], tmp_path: Path) -> None:
    first = pooled_features(encoder, pixels, [1, 2], content="c", folder=tmp_path)
    key = features_key(encoder, "c")
    for content in (b"", b"\x93NUMPY broken"):
        (tmp_path / f"{key}.npy").write_bytes(content)
        assert np.array_equal(pooled_features(encoder, pixels, [1, 2], content="c", folder=tmp_path), first)
