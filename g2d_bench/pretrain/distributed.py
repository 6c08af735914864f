"""One process per device, started by ``torchrun``; without it, one process."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

import torch
from torch import Tensor, nn

from g2d_bench.devices import accelerator
from g2d_bench.errors import InputError


@dataclass(frozen=True, slots=True)
class World:
    """This process among all.

    Attributes:
        rank: number of this process.
        size: number of processes.
        device: where this process computes.
    """

    rank: int
    size: int
    device: torch.device

    @property
    def first(self) -> bool:
        """Whether this process writes files and shows progress."""
        return self.rank == 0

    def share(self, count: int) -> slice:
        """Return this process's part of a batch of ``count``; the parts in rank order are the batch."""
        part = count // self.size
        return slice(self.rank * part, (self.rank + 1) * part)

    def mean(self, value: Tensor) -> Tensor:
        """Average a value over the processes, without gradient."""
        if self.size == 1:
            return value.detach()
        value = value.detach().clone()
        torch.distributed.all_reduce(value)
        return value / self.size

    def barrier(self) -> None:
        """Wait for all processes."""
        if self.size > 1:
            torch.distributed.barrier()


@contextmanager
def world(device: str | None = None) -> Iterator[World]:
    """Join the processes that ``torchrun`` started, for the length of the block.

    Args:
        device: ``cpu`` or ``cuda``; by default, the accelerator if there is one and the environment
            does not forbid it.

    Raises:
        InputError: another device, or fewer accelerators than processes on this machine.
    """
    kind = device or accelerator().type
    if not re.fullmatch(r"cpu|cuda(:[0-9]{1,3})?", kind):
        raise InputError(f"{kind!r} is none of cpu, cuda and cuda:N", field="--device")
    size, rank, local = _number("WORLD_SIZE", 1), _number("RANK", 0), _number("LOCAL_RANK", 0)
    chosen = torch.device(kind)
    if chosen.type == "cuda":
        if not torch.cuda.is_available():
            raise InputError("no accelerator found", field="--device")
        if ":" not in kind:
            if local >= torch.cuda.device_count():
                raise InputError(
                    f"process {local} has no accelerator of its own, there are {torch.cuda.device_count()}",
                    field="torchrun --nproc-per-node",
                )
            chosen = torch.device("cuda", local)
        elif (chosen.index or 0) >= torch.cuda.device_count():
            raise InputError(f"{kind!r}: there are {torch.cuda.device_count()}", field="--device")
        torch.cuda.set_device(chosen)
    started = size > 1 and not torch.distributed.is_initialized()
    if started:
        backend = "nccl" if chosen.type == "cuda" else "gloo"
        torch.distributed.init_process_group(backend, timeout=timedelta(minutes=30))
    try:
        yield World(rank, size, chosen)
    finally:
        if started:
            torch.distributed.destroy_process_group()


def _number(name: str, default: int) -> int:
    """Read what ``torchrun`` puts into the environment."""
    value = os.environ.get(name, str(default))
    if not re.fullmatch(r"[0-9]{1,6}", value):
        raise InputError(f"{value!r} is no number of processes", field=name)
    return int(value)


def parallel(model: nn.Module, here: World) -> nn.Module:
    """Wrap a model so that gradients are averaged over the processes.

    Batch statistics are then those of the whole batch on accelerators; on CPU, where PyTorch has no
    synchronised batch normalisation, each process keeps its own.
    """
    if here.size == 1:
        return model
    if here.device.type == "cuda":
        model = nn.SyncBatchNorm.convert_sync_batchnorm(model)  # type: ignore[no-untyped-call]
    ids = [here.device.index] if here.device.type == "cuda" else None
    # Not every parameter takes part in every step: prototypes, late losses.
    return nn.parallel.DistributedDataParallel(model, device_ids=ids, find_unused_parameters=True)
