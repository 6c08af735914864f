"""What a record says of the machine, the code and the time that made it."""

from __future__ import annotations

import contextlib
import platform
import re
import resource
import shlex
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from g2d_bench import __version__
from g2d_bench.paths import PACKAGE
from g2d_bench.processes import cores

PACKAGES = (
    "torch",
    "torchvision",
    "timm",
    "transformers",
    "mmengine",
    "onedl-mmengine",
    "onedl-mmsegmentation",
    "onedl-mmdetection",
    "numpy",
    "pandas",
    "scikit-learn",
    "pydicom",
)


_CLEAR, _STATUS = Path("/proc/self/clear_refs"), Path("/proc/self/status")


@cache
def versions() -> dict[str, str]:
    """Versions of the suite, of Python and of the packages that move numbers."""
    found = {"g2d-bench": __version__, "python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


MEASURING = ("g2d_bench", "tasks", "baselines")
"""Folders of a checkout whose content can move a number; results and texts cannot."""


@cache
def commit() -> str:
    """Git commit of a checkout, or "" for an installed wheel.

    ``-dirty`` stands behind it where something uncommitted could have moved a number.
    """
    root = PACKAGE.parent
    if not (root / ".git").exists():
        return ""
    described = _git(root, "describe", "--always", "--abbrev=12")
    changed = described and _git(root, "status", "--porcelain", "--", *MEASURING)
    return described + ("-dirty" if changed else "")


def _git(root: Path, *arguments: str) -> str:
    """Return what git prints, "" where it fails."""
    command = ["git", "-C", str(root), *arguments]
    # Tags and names of files need not be in UTF-8.
    done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
    return done.stdout.strip()


_CPUINFO = Path("/proc/cpuinfo")


@cache
def processor() -> str:
    """Name of the processor as the system tells it, or what it is built like where it tells none."""
    with contextlib.suppress(OSError):
        found = re.search(r"^model name\s*:\s*(\S.*)$", _CPUINFO.read_text(errors="replace"), re.MULTILINE)
        if found:
            return " ".join(found[1].split())
    return platform.processor() or platform.machine()


def hardware() -> dict[str, str | int]:
    """Processor, instruction set of torch's kernels, cores, threads and accelerator of this process."""
    import torch

    from g2d_bench.devices import accelerator

    return {
        "machine": platform.machine(),
        "processor": processor(),
        "kernels": torch.backends.cpu.get_cpu_capability(),
        "system": platform.system(),
        "cores": cores(),
        "threads": torch.get_num_threads(),
        "accelerator": torch.cuda.get_device_name() if accelerator().type == "cuda" else "none",
    }


def forget_peak_memory() -> None:
    """Let :func:`peak_memory_mb` start anew, where the system can (Linux)."""
    with contextlib.suppress(OSError):
        _CLEAR.write_text("5")


def peak_memory_mb() -> int:
    """Peak resident memory of this process since :func:`forget_peak_memory`, or so far, in MiB."""
    with contextlib.suppress(OSError):
        # The process's own name stands there, too, cut off after 15 bytes, be it within a letter.
        found = re.search(r"^VmHWM:\s*(\d+) kB$", _STATUS.read_text(errors="replace"), re.MULTILINE)
        if found:
            return int(found[1]) >> 10
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak // (1 << 20) if sys.platform == "darwin" else peak // (1 << 10)


def now() -> str:
    """UTC time in ISO 8601, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


class Stopwatch:
    """Seconds per named phase."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Add the time of the block to ``name``."""
        start = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[name] = round(self.seconds.get(name, 0.0) + time.perf_counter() - start, 3)


def command_line() -> str:
    """Return the command as it was typed; bytes that are no UTF-8 are written as ``\\xff``."""
    typed = shlex.join(["g2d-bench", *sys.argv[1:]])
    return typed.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
