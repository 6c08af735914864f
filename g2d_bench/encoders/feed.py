"""Pixels on their way to an encoder, and features on their way back, so that a GPU waits for neither."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from g2d_bench.encoders.row_table import Rows

AHEAD = 3
"""Batches that are gathered while a GPU computes."""
HELD = 256 << 20
"""Bytes of features that wait on a GPU before they are fetched."""


def batches(
    pixels: NDArray[np.uint8], parts: Sequence[Rows], size: int, device: torch.device
) -> Iterator[Tensor]:
    """Yield the images of each part, filled up to one size with its last image.

    For a GPU another thread gathers the next parts in memory from which they are copied without waiting.

    Args:
        pixels: uint8 [M, S, S].
        parts: row numbers, at least one and at most ``size`` each.
        size: images per batch.
        device: where they are wanted.

    Yields:
        uint8 [size, S, S] on the device.
    """
    if device.type != "cuda":
        for part in parts:
            yield torch.from_numpy(np.ascontiguousarray(pixels[_full(part, size)]))
        return

    def load(part: Rows) -> Tensor:
        found = torch.empty((size, *pixels.shape[1:]), dtype=torch.uint8, pin_memory=True)
        np.take(pixels, _full(part, size), axis=0, out=found.numpy(), mode="clip")
        return found

    with ThreadPoolExecutor(1) as pool:
        waiting: list[Future[Tensor]] = [pool.submit(load, part) for part in parts[:AHEAD]]
        for place in range(len(parts)):
            found = waiting.pop(0).result()
            if place + AHEAD < len(parts):
                waiting.append(pool.submit(load, parts[place + AHEAD]))
            yield found.to(device, non_blocking=True)


def gathered(parts: Iterable[tuple[Rows, Tensor]], held: int = HELD) -> Iterator[tuple[Rows, Tensor]]:
    """Join what lies on a GPU until it is worth the wait to fetch it; what lies elsewhere passes.

    Args:
        parts: rows and their values.
        held: bytes to join.

    Yields:
        Rows and their values, in the same order, on the processor.
    """
    rows: list[Rows] = []
    values: list[Tensor] = []

    def fetched() -> tuple[Rows, Tensor]:
        both = np.concatenate(rows), torch.cat(values).cpu()
        rows.clear()
        values.clear()
        return both

    for row, value in parts:
        if value.device.type == "cpu":
            yield row, value
            continue
        rows.append(row)
        values.append(value)
        if sum(one.numel() * one.element_size() for one in values) >= held:
            yield fetched()
    if rows:
        yield fetched()


def _full(part: Rows, size: int) -> NDArray[np.integer[Any]]:
    return np.concatenate([part, np.repeat(part[-1:], size - len(part))])
