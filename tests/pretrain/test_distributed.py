"""Two processes over gloo must make the step that one process with the whole batch makes."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

import pytest
import torch

from g2d_bench.errors import InputError
from g2d_bench.pretrain.distributed import World, parallel, world

# Batch normalisation has no synchronised form on CPU; a ViT and layer normalisation do without.
CHANGES: dict[str, Any] = {
    "model": "vit_tiny_patch16_224",
    "options": {"img_size": 32, "embed_dim": 24, "depth": 4, "num_heads": 2},
    "heads": {},
    "steps": 3,
    "text_options": {
        "hidden": 16,
        "layers": 1,
        "heads": 2,
        "intermediate": 16,
        "positions": 64,
        "dropout": 0.0,
    },
}

SCRIPT = """
import json, sys, torch
from pathlib import Path
from g2d_bench.pretrain.pretrain import pretrain
torch.set_num_threads(1)
method, data, out, cache, changes = sys.argv[1:]
pretrain(method, data, out=Path(out), overrides=json.loads(changes), device="cpu", cache=Path(cache))
"""


@contextmanager
def second_process(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> Iterator[None]:
    """Be process 0 of two, as torchrun would have it; process 1 runs the script."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    shared = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "WORLD_SIZE": "2"}
    own = {"RANK": "1", "LOCAL_RANK": "1", "PYTHONPATH": str(Path(__file__).parents[2])}
    command = [sys.executable, "-c", SCRIPT, *arguments]
    with monkeypatch.context() as patch:
        for name, value in (shared | {"RANK": "0", "LOCAL_RANK": "0"}).items():
            patch.setenv(name, value)
        process = subprocess.Popen(command, env=os.environ | shared | own, stderr=subprocess.PIPE, text=True)
        try:
            yield
            _, errors = process.communicate(timeout=60)
            assert process.returncode == 0, errors
        finally:
            process.kill()


def result(out: Path) -> tuple[list[dict[str, float]], dict[str, torch.Tensor]]:
    log = [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]
    return log, torch.load(out / "checkpoint.pt", weights_only=True)["model"]


class Go(Protocol):
    def __call__(self, out: Path, method: str = "convirt", **changes: Any) -> object: ...


def test_two_processes_equal_one(
    toy: Path, go: Go, tmp_path: Path, tiny: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    # GLoRIA gathers vectors, cells and similarities: all that any of the objectives does.
    go(tmp_path / "1", "gloria", **CHANGES)
    arguments = (str(toy), str(tmp_path / "2"), str(toy.parent / "cache"), json.dumps(tiny | CHANGES))
    with second_process(monkeypatch, "gloria", *arguments):
        go(tmp_path / "2", "gloria", **CHANGES)
    (one, first), (two, second) = result(tmp_path / "1"), result(tmp_path / "2")
    assert len(one) == len(two) == 3  # one process alone writes the log
    for entry, other in zip(one, two, strict=True):
        assert entry["loss"] == pytest.approx(other["loss"], abs=2e-4)
        assert entry["grad_norm"] == pytest.approx(other["grad_norm"], rel=2e-3)
    assert one[-1]["val_loss"] == pytest.approx(two[-1]["val_loss"], abs=2e-3)
    assert first.keys() == second.keys()
    for name in first:
        torch.testing.assert_close(first[name], second[name], atol=2e-4, rtol=2e-3)
    assert (tmp_path / "2" / "encoder.safetensors").is_file()


def test_one_process_alone() -> None:
    with world("cpu") as here:
        assert here == World(0, 1, torch.device("cpu"))
        assert here.first
        assert here.share(8) == slice(0, 8)
        here.barrier()
        value = torch.ones(1, requires_grad=True)
        assert not here.mean(value).requires_grad
    module = torch.nn.Linear(2, 2)
    assert parallel(module, here) is module
    assert [World(rank, 4, torch.device("cpu")).share(8) for rank in range(4)] == [
        slice(0, 2),
        slice(2, 4),
        slice(4, 6),
        slice(6, 8),
    ]


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is an accelerator")
def test_no_accelerator() -> None:
    with pytest.raises(InputError, match="--device: no accelerator found"), world("cuda"):
        pass


def test_more_processes_than_accelerators(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setenv("LOCAL_RANK", "1")
    with pytest.raises(InputError, match="process 1 has no accelerator of its own, there are 1"), world():
        pass
