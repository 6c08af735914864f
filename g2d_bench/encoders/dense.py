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

    @property
    def largest(self) -> float:
        """Share of the room that the largest level takes."""
        return max(level.numel() * level.element_size() for level in self.levels) / self.bytes


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
    key: str, rows: Rows, compute: Callable[[Rows], list[Tensor]], *, budget_bytes: int, each: int
) -> tuple[list[Tensor], Rows]:
    """Return maps of some images; what an earlier cell of this process computed is not computed again.

    Args:
        key: names encoder, data and which maps; whatever moves their values must be in it.
        rows: which images.
        compute: from rows to levels; asked for the missing ones only, or for all where old and new ones would
            not fit side by side.
        budget_bytes: room that all that is kept takes at most, also while maps are computed and joined. The
            wanted maps alone should fit; what was asked for longest ago gives way, before the new ones come.
        each: room that the maps of one image take.

    Returns:
        Levels that hold the maps of ``rows`` and maybe of other images, not to be written to, and the place
        of each of ``rows`` in them.
    """
    wanted = np.unique(rows)
    maps = _kept.pop(key, None)
    missing = wanted if maps is None else np.setdiff1d(wanted, maps.rows)
    need = len(wanted) * each if maps is None else maps.bytes
    if maps is not None and missing.size:
        # Levels are joined one after the other; while one is, it is there twice.
        need = round((len(maps.rows) + missing.size) * each * (1 + maps.largest))
        if need > budget_bytes:
            maps, missing, need = None, wanted, len(wanted) * each
    while _kept and sum(one.bytes for one in _kept.values()) + need > budget_bytes:
        _kept.popitem(last=False)
    if missing.size:
        known, levels = (missing[:0], []) if maps is None else (maps.rows, list(maps.levels))
        maps = None
        maps = Maps(np.concatenate([known, missing]), _joined(levels, compute(missing)))
    assert maps is not None
    _kept[key] = maps
    return maps.levels, maps.places(rows)


def _joined(old: list[Tensor], fresh: list[Tensor]) -> list[Tensor]:
    """Join levels along the images, in the layout in which the CPU's convolutions are fastest.

    Both lists are used up, level by level, so that what nobody else holds is freed at once.
    """
    if not old:
        return [level.contiguous(memory_format=torch.channels_last) for level in fresh]
    joined = []
    while old:
        joined.append(torch.cat([old.pop(0), fresh.pop(0)]).contiguous(memory_format=torch.channels_last))
    return joined
