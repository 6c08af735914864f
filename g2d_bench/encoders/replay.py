"""Steps that a GPU records once and then replays as one launch (CUDA graphs).

A training step of a small head is hundreds of kernels, that of a ResNet with a BERT thousands. Each costs the
host some ten microseconds, and a GPU that is done sooner waits: an H100 for two fifths of the step of a
detection head, and for half of MGCA's. A recorded step is one launch with the same kernels in the same order,
and so the same bits.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from g2d_bench.devices import overheard
from g2d_bench.errors import first_line

PLAIN = 3
"""Calls that are made as usual before one is recorded: libraries choose kernels then, and state is made. Of
further shapes, one."""

_WAITS = "called a synchronizing CUDA operation"
# The other is said once of the watch itself.
_SAID = re.compile(f"{_WAITS}|Synchronization debug mode is a prototype")


@dataclass(frozen=True)
class _Recording:
    graph: Any
    inputs: tuple[Tensor, ...]
    outputs: dict[str, Tensor]


class Replayed:
    """A step that is recorded on a GPU and replayed; on any other device every call is a plain one.

    A step that asks the device for a number, or copies pageable memory, cannot be recorded. The last plain
    call before a recording tells (the first may load what is kept from then on): such a step stays plain. So
    does one that cannot be recorded for another reason.

    Args:
        step: from tensors to scalars by name. It may change parameters, buffers and the state of an optimiser
            (``capturable``) in place and draw random numbers on the device. Whatever else decides what it
            does must be in ``phase``; what it does to Python's objects happens once. It must not add to
            gradients that were there before.
        device: where all tensors are.

    Attributes:
        replays: calls that were replayed.
        plain: None, or why the step is not recorded.
    """

    def __init__(self, step: Callable[..., dict[str, Tensor]], device: torch.device) -> None:
        self.replays = 0
        self.plain: str | None = None if device.type == "cuda" else "there is no GPU"
        self._step, self._device = step, device
        self._calls: dict[Hashable, int] = {}
        self._recordings: dict[Hashable, _Recording] = {}
        self._pool: Any = None
        self._stream: Any = None if self.plain else torch.cuda.Stream(device)  # type: ignore[no-untyped-call]

    def __call__(self, *inputs: Tensor, phase: Hashable = 0) -> dict[str, Tensor]:
        """Take a step.

        Args:
            inputs: tensors on the device; each combination of shapes is recorded by itself.
            phase: see ``step`` of the class; None for a step that cannot be recorded.

        Returns:
            What the step gives, without gradients.
        """
        if self.plain is not None or phase is None:
            return self._plainly(inputs)
        key = phase, tuple((tuple(one.shape), one.dtype) for one in inputs)
        if key not in self._recordings:
            calls = self._calls[key] = self._calls.get(key, 0) + 1
            plain = 1 if self._recordings else PLAIN
            if calls <= plain:
                return self._watched(inputs, last=calls == plain)
            try:
                self._recordings[key] = self._recorded(inputs)
            except RuntimeError as error:
                self._give_up(first_line(error))
                return self._plainly(inputs)
        recording = self._recordings[key]
        for kept, new in zip(recording.inputs, inputs, strict=True):
            kept.copy_(new)
        recording.graph.replay()
        self.replays += 1
        # The next replay writes to the same place.
        return {name: value.clone() for name, value in recording.outputs.items()}

    def _watched(self, inputs: tuple[Tensor, ...], *, last: bool) -> dict[str, Tensor]:
        """Take a plain step on the stream of the recording; if the last one waits, none is recorded."""
        here = torch.cuda.current_stream(self._device)
        self._stream.wait_stream(here)
        with waits() as found, torch.cuda.stream(self._stream):
            outputs = self._plainly(inputs)
        here.wait_stream(self._stream)
        if found and last:
            self.plain = f"it waits for the device at {found[0]}"
        return outputs

    def _plainly(self, inputs: tuple[Tensor, ...]) -> dict[str, Tensor]:
        return {name: value.detach() for name, value in self._step(*inputs).items()}

    def _recorded(self, inputs: tuple[Tensor, ...]) -> _Recording:
        kept = tuple(one.detach().clone() for one in inputs)
        graph = torch.cuda.CUDAGraph()
        # Other threads may copy the next batch meanwhile.
        with torch.cuda.graph(graph, pool=self._pool, stream=self._stream, capture_error_mode="thread_local"):
            outputs = self._plainly(kept)
        # Recordings are replayed one after the other, so they share the memory for what lies between.
        self._pool = graph.pool()
        return _Recording(graph, kept, outputs)

    def _give_up(self, reason: str) -> None:
        """Stay plain; random numbers of the device come from a new state, since the old one still records."""
        self.plain = reason
        index = self._device.index if self._device.index is not None else torch.cuda.current_device()
        generator = torch.cuda.default_generators[index]
        fresh = torch.Generator(device=self._device)
        fresh.manual_seed(generator.initial_seed())
        generator.graphsafe_set_state(fresh.graphsafe_get_state())


@contextmanager
def waits() -> Iterator[list[str]]:
    """Say, when the block ends, where it waited for the GPU, as ``file:line``."""
    found: list[str] = []
    before = torch.cuda.get_sync_debug_mode()
    with overheard(_SAID) as said:
        warnings.filterwarnings("always", message=f".*({_SAID.pattern})")
        torch.cuda.set_sync_debug_mode("warn")
        try:
            yield found
        finally:
            torch.cuda.set_sync_debug_mode(before)
            found += [place for match, place in said if match[0] == _WAITS]
