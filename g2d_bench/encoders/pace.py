"""How many images an encoder takes in a second."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch


class Pace:
    """Times batches on their way through a frozen encoder, preprocessing included, reading left out.

    On a GPU the device's own clock is asked, so that nothing waits for it while images are computed. The
    first batch, in which memory is found and kernels are chosen, counts where it is the only one.
    """

    def __init__(self) -> None:
        self._batches: list[tuple[int, float | tuple[Any, Any]]] = []

    @contextmanager
    def timed(self, images: int, device: torch.device) -> Iterator[None]:
        """Time the block, in which ``images`` images are computed."""
        if device.type == "cuda":
            event: Any = torch.cuda.Event
            start, end = (event(enable_timing=True) for _ in range(2))
            start.record()
            yield
            end.record()
            self._batches.append((images, (start, end)))
            return
        began = time.perf_counter()
        yield
        self._batches.append((images, time.perf_counter() - began))

    @property
    def images_per_second(self) -> float | None:
        """Images per second so far, to three digits; None where none was computed."""
        counted = self._batches[1:] or self._batches
        images, spent = sum(count for count, _ in counted), sum(map(_seconds, counted))
        return float(f"{images / spent:.3g}") if spent > 0 else None

    def forget(self) -> None:
        """Start anew."""
        self._batches.clear()


def _seconds(batch: tuple[int, float | tuple[Any, Any]]) -> float:
    spent = batch[1]
    if not isinstance(spent, tuple):
        return spent
    start, end = spent
    end.synchronize()
    return float(start.elapsed_time(end)) / 1000
