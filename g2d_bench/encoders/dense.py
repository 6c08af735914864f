"""Dense maps of frozen encoders, kept in memory from cell to cell as far as they fit."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from g2d_bench.encoders.row_table import Rows


@dataclass(frozen=True)
class Maps:
    """Maps of some images.

    Attributes:
        rows: which images, each once.
        levels: [len(rows), C, H, W] per level, where they were computed.
    """

    rows: Rows
    levels: list[Tensor]

    @property
    def bytes(self) -> int:
        """Room that the levels take."""
        return sum(level.numel() * level.element_size() for level in self.levels)

    def places(self, rows: Rows) -> Rows:
        """Return where images lie in the levels; all of them must be there."""
        order = np.argsort(self.rows)
        return order[np.searchsorted(self.rows, rows, sorter=order)]

    def joined(self, other: Maps) -> Maps:
        """Return these maps and others behind them."""
        both = zip(self.levels, other.levels, strict=True)
        return Maps(np.concatenate([self.rows, other.rows]), [_stack(pair) for pair in both])

    def cut(self, rows: Rows) -> Maps:
        """Return the maps of some of the images."""
        places = torch.from_numpy(self.places(rows))
        return Maps(rows, [_stack((level[places],)) for level in self.levels])


_kept: OrderedDict[str, Maps] = OrderedDict()
"""By key, what was asked for last at the end."""


@contextmanager
def apart() -> Iterator[None]:
    """Forget in the end what was remembered within, as maps of an encoder that nobody will ask for again."""
    before = OrderedDict(_kept)
    try:
        yield
    finally:
        _kept.clear()
        _kept.update(before)


def remembered(
    key: str, rows: Rows, compute: Callable[[Rows], list[Tensor]], *, budget_bytes: int
) -> tuple[list[Tensor], Rows]:
    """Return maps of some images; what an earlier cell of this process computed is not computed again.

    Args:
        key: names encoder, data and which maps; whatever moves their values must be in it.
        rows: which images.
        compute: from rows to levels; asked for the missing ones only.
        budget_bytes: how much all that is kept may take. The wanted maps alone should fit; what was asked for
            longest ago gives way.

    Returns:
        Levels that hold the maps of ``rows`` and maybe of other images, not to be written to, and the place
        of each of ``rows`` in them.
    """
    wanted = np.unique(rows)
    maps = _kept.pop(key, None)
    missing = wanted if maps is None else np.setdiff1d(wanted, maps.rows)
    if missing.size:
        fresh = Maps(missing, compute(missing))
        maps = fresh if maps is None else maps.joined(fresh)
    assert maps is not None
    if maps.bytes > budget_bytes:
        maps = maps.cut(wanted)
    _kept[key] = maps
    while len(_kept) > 1 and sum(one.bytes for one in _kept.values()) > budget_bytes:
        _kept.popitem(last=False)
    return maps.levels, maps.places(rows)


def _stack(parts: tuple[Tensor, ...]) -> Tensor:
    """Join along the images, in the layout in which the CPU's convolutions are fastest."""
    return torch.cat(parts).contiguous(memory_format=torch.channels_last)
