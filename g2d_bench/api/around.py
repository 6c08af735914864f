"""The process around an evaluation, and the modules that it measures, are left as they were."""

from __future__ import annotations

import random
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from torch import nn


ALONE = threading.RLock()
"""Held while something is measured: seeds, streams, warnings and what is kept belong to the whole process."""


@contextmanager
def as_found(modules: Sequence[nn.Module]) -> Iterator[None]:
    """Put modules back in the end: mode, device, gradients, and what wants some."""
    parts = {part: part.training for module in modules for part in module.modules()}
    parameters = {one for part in parts for one in part._parameters.values() if one is not None}
    # A module that is moved takes the data of its gradients along, not only its own.
    slopes = [(one.grad, one.grad.data) for one in parameters if one.grad is not None]
    held = [(one, one.data, one.grad, one.requires_grad) for one in parameters]
    buffers = [(part, dict(part._buffers)) for part in parts]
    try:
        yield
    finally:
        for slope, there in slopes:
            slope.data = there
        for parameter, data, gradient, wanted in held:
            parameter.data = data
            parameter.requires_grad_(wanted)
            parameter.grad = gradient
        for part, found in buffers:
            # One by one: a scripted module has no dictionary, and refuses what is there already.
            for name, value in found.items():
                if name not in part._buffers or part._buffers[name] is not value:
                    part._buffers[name] = value
        for part, mode in parts.items():
            part.training = mode


@contextmanager
def undisturbed() -> Iterator[None]:
    """Work as in a fresh process, and leave the one around it as it is.

    Within, gradients are possible, products exact, and nothing is cast or placed by default; afterwards
    random states, number of threads, determinism and defaults are those that a training loop had.
    """
    import torch

    from g2d_bench.devices import rounded

    python, numpy = random.getstate(), np.random.get_state()  # noqa: NPY002
    threads, kind, cudnn = torch.get_num_threads(), torch.get_default_dtype(), torch.backends.cudnn
    deterministic, benchmark = cudnn.deterministic, cudnn.benchmark
    started = torch.cuda.is_initialized()  # type: ignore[no-untyped-call]
    devices = range(torch.cuda.device_count()) if started else ()
    try:
        torch.set_default_dtype(torch.float32)
        with (
            torch.random.fork_rng(devices=devices),
            torch.inference_mode(False),
            torch.enable_grad(),
            torch.device("cpu"),
            torch.autocast("cpu", enabled=False),
            torch.autocast("cuda", enabled=False) if torch.cuda.is_available() else nullcontext(),
            rounded(),
        ):
            yield
    finally:
        random.setstate(python)
        np.random.set_state(numpy)  # noqa: NPY002
        torch.set_num_threads(threads)
        torch.set_default_dtype(kind)
        cudnn.deterministic, cudnn.benchmark = deterministic, benchmark
