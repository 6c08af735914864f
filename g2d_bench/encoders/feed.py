"""Pixels on their way to an encoder, and features on their way back, so that a GPU waits for neither."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from g2d_bench.encoders.row_table import Rows

AHEAD = 3
"""Batches that are gathered while a GPU computes."""
HELD = 32 << 20
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


def stored(parts: Iterable[tuple[Rows, Tensor]], write: Callable[[Rows, Tensor], None]) -> None:
    """Write what is computed, in its order.

    What lies on a GPU is joined until it is worth a transfer; another thread fetches and writes it, so that
    the GPU is given the next batches meanwhile.

    Args:
        parts: rows and their values.
        write: takes rows and their values, wherever these lie.
    """
    rows: list[Rows] = []
    values: list[Tensor] = []
    with ThreadPoolExecutor(1) as pool:
        begun: list[Future[None]] = []

        def hand_on() -> None:
            # A full disk is said now, not when all is computed.
            for one in [one for one in begun if one.done()]:
                one.result()
                begun.remove(one)
            begun.append(pool.submit(write, np.concatenate(rows), torch.cat(values)))
            rows.clear()
            values.clear()

        for row, value in parts:
            if value.device.type == "cpu":
                write(row, value)
                continue
            rows.append(row)
            values.append(value)
            if sum(one.numel() * one.element_size() for one in values) >= HELD:
                hand_on()
        if rows:
            hand_on()
        for one in begun:
            one.result()


def _full(part: Rows, size: int) -> NDArray[np.integer[Any]]:
    return np.concatenate([part, np.repeat(part[-1:], size - len(part))])
