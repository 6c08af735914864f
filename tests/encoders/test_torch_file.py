"""Files that torch saved."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from refusing import refused
from torch import nn

from g2d_bench.encoders.checkpoint import open_checkpoint

"""Mutations of each file; more with ``G2D_BENCH_FUZZ=2000``."""


def test_odd_tensors_are_named(tmp_path: Path) -> None:
    path = tmp_path / "x.pth"
    quantised = torch.quantize_per_tensor(torch.ones(3), 0.1, 0, torch.quint8)
    for word, tensor in (
        ("sparse", torch.eye(3).to_sparse()),
        ("sparse", torch.eye(3).to_sparse_csr()),
        ("meta (without values)", torch.empty(3, device="meta")),
        ("quantised", quantised),
    ):
        torch.save({"state_dict": {"conv.weight": tensor}}, path)
        assert refused(path) == (
            f"conv.weight: is a {word} tensor; only dense ones of plain numbers are read"
        )
    torch.save({"w": torch.zeros(1).expand(100_000, 100_000)}, path)
    assert refused(path).endswith(
        "a tensor of shape (100000, 100000) repeats a storage of 1 elements; save a contiguous copy"
    )
    torch.save({"w": torch.zeros(4).expand(1, 4)}, path)
    assert open_checkpoint(path).states[""]["w"].shape == (1, 4)


@pytest.mark.parametrize("new", [True, False])
def test_views_and_types_come_back_as_they_were(new: bool, tmp_path: Path) -> None:
    base = torch.arange(24.0)
    tagged: Any = torch.arange(3.0)
    tagged.note = "attributes of its own"
    state = {
        "view": base[3:15].reshape(3, 4).t(),
        "same": base[3:15],
        "scalar": torch.tensor(7),
        "empty": torch.zeros(0, 3),
        "half": torch.arange(5).half(),
        "bfloat": torch.arange(5).bfloat16(),
        "bool": torch.tensor([True, False]),
        "byte": torch.arange(3, dtype=torch.uint8),
        "double": torch.arange(3).double(),
        "complex": torch.tensor([1 + 2j]),
        "uint16": torch.tensor([1, 2, 65535], dtype=torch.uint16),
        "parameter": nn.Parameter(torch.ones(2)),
        "tagged": tagged,
    }
    path = tmp_path / "x.pth"
    torch.save({"model": state, "odd": base[1:2]}, path, _use_new_zipfile_serialization=new)
    read = open_checkpoint(path).states["model"]
    assert read.keys() == state.keys()
    for name, tensor in state.items():
        assert read[name].dtype == tensor.dtype, name
        assert torch.equal(read[name], tensor.detach()), name


def test_whole_models_are_called_so(tmp_path: Path) -> None:
    path = tmp_path / "x.pth"
    for new in (True, False):
        torch.save(nn.Linear(2, 2), path, _use_new_zipfile_serialization=new)
        assert refused(path) == (
            "holds no state dict but a whole pickled torch.nn.modules.linear.Linear; "
            "where its code is at hand, save its state_dict() instead"
        )
    torch.save({"model": nn.Linear(2, 2), "epoch": 3}, path)
    assert "holds no state dict: 'model' is a whole pickled torch.nn.modules.linear.Linear" in refused(path)
    torch.jit.script(nn.Linear(2, 2)).save(str(path))  # type: ignore[no-untyped-call]
    assert refused(path) == (
        "not a readable checkpoint: a TorchScript program, not a state dict; save its state_dict() instead"
    )
