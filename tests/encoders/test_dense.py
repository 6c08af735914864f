from __future__ import annotations

import gc
from collections.abc import Iterator

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from g2d_bench.encoders import dense
from g2d_bench.encoders.dense import _kept, remembered

ROW = 4 * (2 * 3 * 3 + 5)
"""Bytes of the maps of one image."""


@pytest.fixture(autouse=True)
def fresh() -> Iterator[None]:
    _kept.clear()
    yield
    _kept.clear()


class Source:
    """Computes maps whose values tell the image, and notes what it was asked for."""

    def __init__(self) -> None:
        self.asked: list[list[int]] = []

    def __call__(self, rows: NDArray[np.int64]) -> list[Tensor]:
        self.asked.append(rows.tolist())
        values = torch.from_numpy(rows).float()[:, None, None, None]
        return [values.expand(-1, 2, 3, 3).clone(), -values.expand(-1, 5, 1, 1).clone()]


def ask(source: Source, rows: list[int], key: str = "a", budget: int = 100 * ROW) -> int:
    """Check all values; return how many images the levels hold."""
    levels, places = remembered(key, np.array(rows), source, budget_bytes=budget, each=ROW)
    for sign, level in zip((1, -1), levels, strict=True):
        values = level[places].flatten(1)
        assert values.amin(1).tolist() == values.amax(1).tolist() == [sign * row for row in rows]
    return len(levels[0])


def test_only_what_is_missing_is_computed() -> None:
    source = Source()
    assert ask(source, [7, 2, 7]) == 2
    assert ask(source, [2, 9, 4, 7]) == 4
    level = remembered("a", np.array([4]), source, budget_bytes=100 * ROW, each=ROW)[0][0]
    assert level.is_contiguous(memory_format=torch.channels_last)
    assert ask(source, [4, 2]) == 4
    assert source.asked == [[2, 7], [4, 9]]
    assert ask(source, [2], key="b") == 1
    assert source.asked == [[2, 7], [4, 9], [2]]


def test_budget_cuts_to_what_is_wanted_and_drops_the_oldest() -> None:
    source = Source()
    ask(source, [1, 2, 3], budget=4 * ROW)
    # Five do not fit: the two that nobody wants go; as old and new do not fit side by side, 3 goes, too.
    assert ask(source, [3, 4, 5], budget=4 * ROW) == 3
    assert ask(source, [1], budget=8 * ROW) == 4
    assert source.asked == [[1, 2, 3], [3, 4, 5], [1]]
    ask(source, [1, 2], key="b", budget=4 * ROW)
    assert list(dense._kept) == ["b"], "both together take more"
    ask(source, [1], key="c", budget=4 * ROW)
    ask(source, [2], key="b", budget=4 * ROW)
    ask(source, [1, 2], key="d", budget=4 * ROW)
    assert list(dense._kept) == ["b", "d"], "c was asked for longest ago"
    assert source.asked[3:] == [[1, 2], [1], [1, 2]]


def test_what_an_earlier_cell_holds_does_not_change() -> None:
    source = Source()
    levels, places = remembered("a", np.array([1, 2]), source, budget_bytes=100 * ROW, each=ROW)
    before = [level[places].clone() for level in levels]
    ask(source, [3, 4])
    ask(source, [5], budget=ROW)
    for level, then in zip(levels, before, strict=True):
        assert torch.equal(level[places], then)


def test_the_budget_holds_while_maps_are_computed_and_joined() -> None:
    """Tensors that are alive are counted at every moment when some are made."""
    budget, peak = 12 * ROW, 0

    def held() -> int:
        gc.collect()
        found = {
            one.data_ptr(): one.numel() * one.element_size()
            for one in gc.get_objects()
            if isinstance(one, Tensor) and one.shape[1:] in ((2, 3, 3), (5, 1, 1))
        }
        return sum(found.values())

    def compute(rows: NDArray[np.int64]) -> list[Tensor]:
        nonlocal peak
        values = torch.from_numpy(rows).float()[:, None, None, None]
        made = [values.expand(-1, 2, 3, 3).clone(), -values.expand(-1, 5, 1, 1).clone()]
        peak = max(peak, held())
        return made

    before = held()
    wants = [("a", 4), ("a", 6), ("b", 5), ("b", 9), ("a", 10), ("c", 12), ("c", 3)]
    for key, count in wants:
        levels, _ = remembered(key, np.arange(count), compute, budget_bytes=budget, each=ROW)
        del levels
        peak = max(peak, held())
    assert ROW * 12 <= peak - before <= budget
