"""Where numbers are computed, and how exactly: the accelerator, its deterministic kernels, precision.

Determinism is a matter of the accelerator alone: on a processor nothing is switched, so that numbers stay
what they were.
"""

from __future__ import annotations

import os
import re
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Literal, TypeVar

import torch

from g2d_bench.processes import accelerator_forbidden

# Without it cuBLAS may add in another order in every run; it is read before the first product.
os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")

T = TypeVar("T")

Precision = Literal["fp32", "fast"]
"""``fp32``: single precision throughout, TF32 off. ``fast``: products and convolutions in bfloat16, what is
left of single precision by TF32."""

_WARNED = re.compile(r"(\S+) does not have a deterministic implementation|(because it uses CuBLAS)")


def accelerator() -> torch.device:
    """Return where cells are computed: the GPU if there is one and the environment does not forbid it.

    Raises:
        InputError: see :func:`g2d_bench.processes.accelerator_forbidden`.
    """
    there = not accelerator_forbidden() and torch.cuda.is_available()
    return torch.device("cuda" if there else "cpu")


@contextmanager
def steady(device: torch.device, precision: Precision = "fp32") -> Iterator[list[str]]:
    """Compute within the block so that the same work gives the same bits.

    Yields:
        Names of kernels that were used although they have no deterministic form, sorted and complete when
        the block ends.
    """
    kernels: list[str] = []
    if device.type != "cuda":
        yield kernels
        return
    with overheard(_WARNED) as found:
        hear()
        with switched(device, precision):
            try:
                yield kernels
            finally:
                kernels += sorted({match[1] or "cuBLAS" for match, _ in found})


@contextmanager
def overheard(pattern: re.Pattern[str]) -> Iterator[list[tuple[re.Match[str], str]]]:
    """Collect the warnings within the block that a pattern finds, with their ``file:line``; pass others on.

    Whoever asks sees to it that no filter hides them; see :func:`hear`.
    """
    found: list[tuple[re.Match[str], str]] = []
    with warnings.catch_warnings():
        passed_on = warnings.showwarning

        def note(message: Warning | str, *place: Any, **more: Any) -> None:
            match = pattern.search(str(message))
            if match is None:
                passed_on(message, *place, **more)
            else:
                _, file, line = place[:3]
                found.append((match, f"{Path(file).name}:{line}"))

        warnings.showwarning = note
        yield found


def hear() -> None:
    """Let what torch says of kernels that are not deterministic through a filter that ignores warnings."""
    warnings.filterwarnings("always", message=r"(?s).*(deterministic implementation|uses CuBLAS)")


@contextmanager
def switched(device: torch.device, precision: Precision = "fp32") -> Iterator[None]:
    """Do what :func:`steady` does, but leave warnings to whoever listens."""
    if device.type != "cuda":
        yield
        return
    cudnn, fill = torch.backends.cudnn, torch.utils.deterministic
    before = cudnn.benchmark, cudnn.deterministic
    asked = torch.are_deterministic_algorithms_enabled()
    warned = torch.is_deterministic_algorithms_warn_only_enabled()
    filled = fill.fill_uninitialized_memory  # type: ignore[attr-defined]
    # A search for the fastest kernel may end otherwise in the next run.
    cudnn.benchmark, cudnn.deterministic = False, True
    torch.use_deterministic_algorithms(True, warn_only=True)
    fill.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    try:
        with rounded(precision):
            yield
    finally:
        cudnn.benchmark, cudnn.deterministic = before
        torch.use_deterministic_algorithms(asked, warn_only=warned)
        fill.fill_uninitialized_memory = filled  # type: ignore[attr-defined]


@contextmanager
def rounded(precision: Precision = "fp32") -> Iterator[None]:
    """Let products of single precision be exact within the block, by TF32 on a GPU where ``fast`` says so.

    Whatever the process around it asked for is as it was afterwards. torch keeps two sets of switches, and
    refuses to tell the older ones where the newer ones say something else; so both are set, and the newer
    ones, which decide, last.
    """
    gpu: Any = torch.backends.cuda.matmul
    cudnn: Any = torch.backends.cudnn
    newer: list[tuple[Any, str]] = []
    if hasattr(gpu, "fp32_precision"):
        cpu: Any = torch.backends.mkldnn
        newer = [(part, "tf32" if precision == "fast" else "ieee") for part in (gpu, cudnn.conv, cudnn.rnn)]
        newer += [(part, "ieee") for part in (cpu.matmul, cpu.conv, cpu.rnn)]
    before = [part.fp32_precision for part, _ in newer]
    products = _told(torch.get_float32_matmul_precision) or "highest"
    convolutions = _told(lambda: cudnn.allow_tf32)
    _switch("high" if precision == "fast" else "highest", precision == "fast", newer)
    try:
        yield
    finally:
        restored = [(part, value) for (part, _), value in zip(newer, before, strict=True)]
        _switch(products, convolutions is not False, restored)


def _told(ask: Callable[[], T]) -> T | None:
    with suppress(RuntimeError):
        return ask()
    return None


def _switch(products: str, convolutions: bool, newer: Iterable[tuple[Any, str]]) -> None:
    torch.set_float32_matmul_precision(products)
    torch.backends.cudnn.allow_tf32 = convolutions
    for part, value in newer:
        part.fp32_precision = value


def stays(device: torch.device, precision: Precision) -> bool:
    """Say whether heads are trained without a word to the host, instead of by mmengine's loop.

    On a processor the numbers of single precision are those of mmengine's loop, which waits for nobody there.
    """
    return device.type != "cpu" or precision != "fp32"


def half(device: torch.device, precision: Precision) -> torch.autocast:
    """Return the context in which modules compute: bfloat16 where ``precision`` says so."""
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=precision == "fast")


def sent(values: torch.Tensor, device: torch.device) -> torch.Tensor:
    """Copy a small tensor to a device; on a GPU, behind what it has to do, and without a wait."""
    if device.type != "cuda" or values.is_cuda:
        return values.to(device)
    return values.pin_memory().to(device, non_blocking=True)


def room(device: torch.device, host: int) -> int:
    """Return the bytes that dense features may take where they are computed.

    Args:
        device: in a GPU's memory there is more room, and nothing else lies there.
        host: what they may take in the memory of a processor.
    """
    if device.type != "cuda":
        return host
    total: int = torch.cuda.get_device_properties(device).total_memory
    return min(16 * host, 2 * total // 5)
